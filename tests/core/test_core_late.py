"""Leases that ended by themselves while nobody looked, or shut down sooner than was planned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from played_leases import lease, on_hosts, played

from haizea.core.model.events import (
    Expected,
    LeaseAltered,
    LeaseChanged,
    LeaseEnded,
    LeaseSubmitted,
    OperationDelayed,
    OperationEnded,
    OperationFailed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord, PhaseRecord, PlanRecord, SiteRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.wording import in_words


@pytest.mark.parametrize(
    ("heard", "code"),
    [(40, "early-end"), (99, "early-end"), (100, "duration-over"), (150, "duration-over")],
)
def test_an_end_that_is_heard_of_late_is_not_early(heard: int, code: str) -> None:
    site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    scheduler = Scheduler(site, Settings(), make_policies(), 0)
    nodes = (NodeSet(1, (100, 1024)),)
    request = LeaseRequest(id=1, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=100)
    scheduler.handle(0, [LeaseSubmitted(request)])
    decisions = scheduler.handle(heard, [LeaseEnded(1)]).decisions
    (done,) = [d for d in decisions if isinstance(d, StateChanged)]
    assert (done.new, done.code, done.time) == (State.DONE, code, heard)


@pytest.mark.parametrize("kind", [Kind.BEST_EFFORT, Kind.IMMEDIATE])
def test_hosts_are_free_when_vms_have_shut_down(kind: Kind) -> None:
    site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    scheduler = Scheduler(site, Settings(shutdown_seconds=30), make_policies(), 0)
    nodes = (NodeSet(1, (100, 1024)),)
    first = LeaseRequest(id=1, submitted=0, kind=kind, nodes=nodes, duration=100)
    following = LeaseRequest(id=2, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=100)
    scheduler.handle(0, [LeaseSubmitted(first), LeaseSubmitted(following)])
    scheduler.handle(70)
    decisions = scheduler.handle(72, [LeaseEnded(1)]).decisions
    changes = [d for d in decisions if isinstance(d, StateChanged)]
    assert (changes[0].lease_id, changes[0].new) == (1, State.DONE)
    assert in_words(changes[0].reason) == "its duration is over, and its VMs have shut down"
    assert changes[0].code == "shut-down"
    assert (changes[-1].lease_id, changes[-1].new, changes[-1].time) == (2, State.ACTIVE, 72)
    scheduler.check()


CPU_AND_MEMORY = (100, 1024)


def kept(
    lease_id: int,
    state: State,
    capacity: tuple[int, int],
    *phases: tuple[Purpose, int, int],
    since: int | None = None,
    remaining: int | None = None,
) -> LeaseRecord:
    """A lease on the one host, as an earlier scheduler left it: an AR if it has not begun."""
    begin, end = phases[0][1], phases[-1][2]
    request = LeaseRequest(
        id=lease_id,
        submitted=-100,
        kind=Kind.AR if since is None else Kind.BEST_EFFORT,
        nodes=(NodeSet(1, capacity),),
        duration=remaining or end - begin,
        start=begin if since is None else None,
        preemptible=since is not None,
    )
    plan = PlanRecord(
        hosts=(0,),
        phases=tuple(PhaseRecord(purpose=p, start=s, end=e) for p, s, e in phases),
        since=since,
    )
    return LeaseRecord(
        request=request,
        state=state,
        changed=-100,
        queued_since=-100,
        remaining=request.duration or 0,
        saved=state is State.RESUMING,
        bound=(0,) if state is State.RESUMING else None,
        plan=plan,
    )


def going_on(now: int, *records: LeaseRecord) -> Scheduler:
    """A scheduler of one host that goes on with these leases."""
    site = Site.uniform(ResourceTypes(), 1, CPU_AND_MEMORY)
    scheduler = Scheduler(site, Settings(suspension=Suspension.ALL), make_policies(), now)
    scheduler.restore(records, SiteRecord())
    return scheduler


def test_an_overrun_makes_a_late_reservation_wait_that_was_to_begin_before() -> None:
    """The AR was to begin at 28, before the resumption that overruns was to give its room back."""
    run, suspend, resume = Purpose.RUN, Purpose.SUSPEND, Purpose.RESUME
    scheduler = going_on(
        10,
        kept(1, State.RESUMING, (20, 256), (resume, 0, 14), (run, 14, 54), since=0, remaining=40),
        kept(2, State.ACTIVE, (50, 256), (run, -8, 20), (suspend, 20, 28), since=-8, remaining=500),
        kept(3, State.SCHEDULED, (60, 768), (run, 28, 161)),
        kept(4, State.SCHEDULED, (60, 768), (run, 230, 260)),
    )
    decisions = scheduler.handle(86, [OperationDelayed(1, resume, 54)]).decisions
    scheduler.check()
    records = {record.id: record for record in scheduler.leases()}
    assert [records[i].state for i in (1, 2, 3)] == ["Active", "Suspending", "Scheduled"]
    assert records[4].plan is not None
    assert records[4].plan.phases[0].start == 230, "what is not in the way keeps its time"
    because = "it starts late: host-1 is still held by lease 1"
    late = [d for d in decisions if isinstance(d, Expected) and d.lease_id == 3]
    assert [(d.start, in_words(d.reason)) for d in late] == [(94, because)]
    assert (in_words(records[3].reason), records[3].expected) == (because, 94), (
        "what its owner reads"
    )
    assert not scheduler.handle(93).decisions
    started = {
        d.lease_id for d in scheduler.handle(94).decisions if isinstance(d, OperationStarted)
    }
    assert started == {3}


@pytest.mark.parametrize(
    ("late", "state"), [(45, State.ACTIVE), (60, State.ACTIVE), (61, State.FAILED)]
)
def test_an_immediate_lease_that_could_not_begin_begins_soon_and_says_why_or_fails(
    late: int, state: State
) -> None:
    site = Site.uniform(ResourceTypes(), 1, CPU_AND_MEMORY)
    nodes = (NodeSet(1, (50, 512)),)
    request = LeaseRequest(id=1, submitted=10, kind=Kind.IMMEDIATE, nodes=nodes, duration=100)
    accepting = Scheduler(site, Settings(), make_policies(), 0)
    accepting.handle(10, [LeaseSubmitted(request)])
    (accepted,) = accepting.leases()
    assert accepted.state is State.SCHEDULED, "it begins in the next turn of that moment"
    scheduler = Scheduler(site, Settings(), make_policies(), 10)
    scheduler.restore([accepted], SiteRecord())
    (record,) = scheduler.handle(10 + late).records
    assert record.state is state
    assert "Haizea was not at work then" in in_words(record.reason)
    assert record.code == ("late" if state is State.ACTIVE else "failure")


@pytest.mark.parametrize(("tried", "state"), [(False, State.QUEUED), (True, State.FAILED)])
def test_starts_that_were_not_tried_do_not_count_as_failures(tried: bool, state: State) -> None:
    site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    scheduler = Scheduler(site, Settings(), make_policies(), 0)
    nodes = (NodeSet(1, (100, 1024)),)
    request = LeaseRequest(id=1, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=100)
    scheduler.handle(0, [LeaseSubmitted(request)])
    last = State.ACTIVE
    for now in range(10, 70, 10):
        failed = OperationFailed(
            1, Purpose.RUN, because(Code.STATED, text="nobody was there"), tried
        )
        decisions = scheduler.handle(now, [failed]).decisions
        changes = [d.new for d in decisions if isinstance(d, StateChanged)]
        last = next((new for new in changes if new in (State.QUEUED, State.FAILED)), last)
    assert last is state


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize(("back", "resumes"), [(60, True), (110, False), (139, False)])
def test_who_would_resume_late_for_nothing_waits_and_lets_a_reservation_start(
    back: int, resumes: bool, moved: bool
) -> None:
    """Nobody was there from 41 or before on, when a lease was to run until a reservation."""
    run, suspend, resume = Purpose.RUN, Purpose.SUSPEND, Purpose.RESUME
    phases = (Purpose.MIGRATE, 0, 41), (resume, 41, 57), (run, 57, 124), (suspend, 124, 140)
    saved = kept(1, State.MIGRATING, (100, 512), *phases, since=0, remaining=500)
    assert saved.plan is not None
    reason = because(Code.HOSTS_RESERVED, start=140)
    plan = replace(saved.plan, because=reason, code="hole")
    saved = replace(saved, saved=True, bound=(0,), plan=plan)
    if moved:
        plan = replace(plan, at=1, since=None)
        saved = replace(saved, state=State.SUSPENDED_SCHEDULED, plan=plan)
    scheduler = going_on(10, saved, kept(2, State.SCHEDULED, (100, 512), (run, 140, 200)))
    decisions = list(scheduler.handle(back).decisions)
    while (moment := scheduler.next_wakeup()) is not None and moment <= 200:
        decisions += scheduler.handle(moment).decisions
        scheduler.check()
    starts = [d for d in decisions if isinstance(d, OperationStarted)]
    assert [d.time for d in starts if d.lease_id == 2] == [140]
    before = [d.purpose for d in starts if d.lease_id == 1 and d.time < 140]
    assert before == ([resume, run, suspend] if resumes else [])
    assert [d.purpose for d in starts if d.lease_id == 1 and d.time >= 140] == [resume]


def test_a_run_that_is_late_is_cut_before_what_follows_it_is_late() -> None:
    """Its resumption goes on for 80 s longer than the run before its suspension was to take."""
    run, suspend, resume = Purpose.RUN, Purpose.SUSPEND, Purpose.RESUME
    phases = (resume, 0, 16), (run, 16, 76), (suspend, 76, 92)
    going = kept(1, State.RESUMING, (100, 512), *phases, since=0, remaining=500)
    assert going.plan is not None
    reason = because(Code.HOSTS_RESERVED, start=92)
    going = replace(going, plan=replace(going.plan, because=reason, code="hole"))
    scheduler = going_on(10, going, kept(2, State.SCHEDULED, (100, 512), (run, 92, 300)))
    decisions = list(scheduler.handle(15, [OperationDelayed(1, resume, 96)]).decisions)
    while (moment := scheduler.next_wakeup()) is not None and moment <= 200:
        decisions += scheduler.handle(moment).decisions
        scheduler.check()
    started = [d.time for d in decisions if isinstance(d, OperationStarted) and d.lease_id == 2]
    assert started == [96 + 1 + 16]


def crowded(*others: LeaseRequest) -> Scheduler:
    """A reservation until 100 and one from 200 on are on one host, a lease that waited on another.

    A lease with a deadline is to run between the two, and to begin by 150.
    """
    made = on_hosts(2, "ar-preempts-everything", Settings(suspension=Suspension.ALL))
    waited = lease(2, Kind.BEST_EFFORT, duration=1000, preemptible=True)
    between = lease(3, Kind.DEADLINE, after=100, deadline=250)
    first, last = lease(1, Kind.AR, 0), lease(4, Kind.AR, 200, duration=300)
    for request in (first, waited, between, last, *others):
        made.handle(0, [LeaseSubmitted(request)])
    return made


def test_who_makes_room_after_an_absence_is_not_saved_in_the_past() -> None:
    """There is no time to save it by 150, although there was when somebody was there last."""
    made = crowded()
    turn = made.handle(140)
    made.check()
    assert [r.state for r in turn.records if r.id == 2] == [State.QUEUED]
    assert 3 in [d.lease_id for d in played(made, 150) if isinstance(d, OperationStarted)]
    found = [*turn.decisions, *played(made, 600)]
    assert Purpose.SUSPEND not in [d.purpose for d in found if isinstance(d, OperationStarted)]


@pytest.mark.parametrize("kind", [Kind.BEST_EFFORT, Kind.AR])
def test_a_lease_goes_on_that_is_extended_in_its_last_instant(kind: Kind) -> None:
    made = on_hosts(1, "no-preemption")
    request = lease(1, kind, 0 if kind is Kind.AR else None)
    made.handle(0, [LeaseSubmitted(request)])
    longer = replace(request, duration=300)
    assert made.next_wakeup() == 100
    assert LeaseAltered in map(type, made.handle(100, [LeaseChanged(1, longer)]).decisions)
    made.check()
    ended = [d for d in played(made, 400) if isinstance(d, OperationEnded)]
    assert [(d.start, d.end) for d in ended] == [(0, 300)]
