"""Leases with deadlines that are suspended for others, as long as they go on in time."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from effort import looks_by, tries
from hypothesis import given
from hypothesis import strategies as st
from played_leases import HOST, at, lease, on_hosts, played

from haizea.core.model.events import (
    ChangeRefused,
    Decision,
    HostFailed,
    HostRestored,
    Input,
    LeaseCancelled,
    LeaseChanged,
    LeaseEnded,
    LeaseSubmitted,
    MaintenanceAsked,
    OperationDelayed,
    OperationEnded,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Exclusion, Migration, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.store.codec import read_lease, read_site, write_lease, write_site
from haizea.wording import in_words

#: Saving and restoring a lease takes 10 s each.
RULES = Settings(suspension=Suspension.ALL, override_suspend_seconds=10, override_resume_seconds=10)
POLICY = "ar-preempts-everything"
NOBODY_WANTS_IT = because(Code.CANCELLED_BY_OPERATOR)


def by(
    lease_id: int,
    deadline: int,
    *,
    after: int | None = None,
    duration: int = 100,
    submitted: int = 0,
    nodes: int = 1,
    preemptible: bool = True,
) -> LeaseRequest:
    return lease(
        lease_id,
        Kind.DEADLINE,
        after=after,
        deadline=deadline,
        duration=duration,
        submitted=submitted,
        nodes=nodes,
        preemptible=preemptible,
    )


def reserved(lease_id: int, start: int, duration: int = 50, submitted: int = 0) -> LeaseRequest:
    return lease(lease_id, Kind.AR, start, duration=duration, submitted=submitted)


def told(made: Scheduler, now: int, *inputs: Input) -> list[Decision]:
    found = made.handle(now, inputs).decisions
    made.check()
    return found


def ask(made: Scheduler, request: LeaseRequest) -> bool:
    """Ask for a lease; whether it is accepted."""
    decisions = told(made, request.submitted, LeaseSubmitted(request))
    return not any(
        isinstance(d, StateChanged) and (d.lease_id, d.new) == (request.id, State.REJECTED)
        for d in decisions
    )


def record(made: Scheduler, lease_id: int) -> LeaseRecord:
    return next(r for r in made.leases() if r.id == lease_id)


def done(decisions: list[Decision], lease_id: int) -> list[tuple[int, int]]:
    """Return from when to when it ran."""
    return [
        (d.start, d.end)
        for d in decisions
        if isinstance(d, OperationEnded) and d.lease_id == lease_id and d.purpose is Purpose.RUN
    ]


def last(decisions: list[Decision], lease_id: int) -> StateChanged:
    changes = [d for d in decisions if isinstance(d, StateChanged) and d.lease_id == lease_id]
    return changes[-1]


@pytest.fixture
def made() -> Scheduler:
    """A host with a lease that runs for 100 s and has time until 300, and an AR from 50 to 100."""
    made = on_hosts(1, POLICY, RULES)
    assert ask(made, by(1, 300))
    assert ask(made, reserved(2, 50, submitted=10))
    return made


# --- who makes room -----------------------------------------------------------------------


def test_it_is_suspended_for_a_reservation_and_goes_on_in_time(made: Scheduler) -> None:
    decisions = played(made, 1000)
    assert done(decisions, 2) == [(50, 100)]
    assert done(decisions, 1) == [(0, 40), (110, 170)]
    assert last(decisions, 1).new is State.DONE


def test_its_owner_is_told_when_it_goes_on(made: Scheduler) -> None:
    told_so = "suspended @40 for another; goes on @100, and is done @170"
    assert in_words(record(made, 1).reason, at) == told_so


@pytest.mark.parametrize(("deadline", "accepted"), [(169, False), (170, True)])
def test_it_is_not_where_it_would_be_late(deadline: int, accepted: bool) -> None:
    made = on_hosts(1, POLICY, RULES)
    assert ask(made, by(1, deadline))
    before = made.leases()
    assert ask(made, reserved(2, 50, submitted=10)) is accepted
    if not accepted:
        assert made.leases() == before
    assert done(played(made, 1000), 1)[-1][1] <= deadline


@pytest.mark.parametrize(
    ("rules", "policy", "preemptible"),
    [
        (RULES, POLICY, False),
        (RULES, "no-preemption", True),
        (replace(RULES, suspension=Suspension.NONE), POLICY, True),
    ],
    ids=["it may not be preempted", "nobody is preempted", "nothing is suspended"],
)
def test_it_stays_where_it_may_not_leave(rules: Settings, policy: str, preemptible: bool) -> None:
    made = on_hosts(1, policy, rules)
    assert ask(made, by(1, 300, preemptible=preemptible))
    assert not ask(made, reserved(2, 50, submitted=10))


def test_it_makes_room_for_another_with_a_deadline() -> None:
    made = on_hosts(1, POLICY, RULES)
    assert ask(made, by(1, 300))
    assert ask(made, by(2, 100, duration=50, submitted=10))
    decisions = played(made, 1000)
    assert (done(decisions, 2), done(decisions, 1)) == ([(50, 100)], [(0, 40), (110, 170)])


def test_what_is_left_of_it_makes_room_again(made: Scheduler) -> None:
    assert ask(made, reserved(3, 105, submitted=20)), "before it is suspended"
    played(made, 60)
    assert ask(made, reserved(4, 155, submitted=60)), "as it is suspended"
    assert not ask(made, reserved(5, 205, submitted=60)), "there is no time for that"
    decisions = played(made, 1000)
    assert done(decisions, 1)[-1] == (215, 275)


def test_it_is_suspended_a_second_time(made: Scheduler) -> None:
    decisions = played(made, 115)
    assert ask(made, reserved(3, 140, submitted=115))
    decisions += played(made, 1000)
    assert done(decisions, 1) == [(0, 40), (110, 130), (200, 240)]


def test_it_leaves_sooner_for_one_that_comes_first(made: Scheduler) -> None:
    assert ask(made, reserved(3, 35, 15, submitted=12))
    decisions = played(made, 1000)
    assert done(decisions, 3) == [(35, 50)]
    assert done(decisions, 1) == [(0, 25), (110, 185)]


def test_no_more_of_them_leave_than_must() -> None:
    made = on_hosts(2, POLICY, RULES)
    assert ask(made, by(1, 400))
    assert ask(made, by(2, 300))
    assert ask(made, reserved(3, 50, submitted=10))
    decisions = played(made, 1000)
    assert sorted(len(done(decisions, i)) for i in (1, 2)) == [1, 2]


def test_two_leave_for_one_and_both_are_in_time() -> None:
    made = on_hosts(2, POLICY, RULES)
    assert ask(made, by(1, 300))
    assert ask(made, by(2, 200))
    assert ask(made, replace(reserved(3, 50, submitted=10), nodes=by(1, 1, nodes=2).nodes))
    decisions = played(made, 1000)
    assert [len(done(decisions, i)) for i in (1, 2, 3)] == [2, 2, 1]
    assert last(decisions, 2).time <= 200


# --- it stays after all, or goes on sooner ------------------------------------------------


def test_it_runs_on_where_who_needed_its_hosts_is_gone(made: Scheduler) -> None:
    decisions = told(made, 20, LeaseCancelled(2, NOBODY_WANTS_IT)) + played(made, 50)
    found = record(made, 1)
    assert found.expected is None
    assert in_words(found.reason, at) == "it keeps its hosts, which nobody else needs now"
    assert done(decisions + played(made, 1000), 1) == [(0, 100)]


def test_it_goes_on_sooner_where_hosts_come_free(made: Scheduler) -> None:
    decisions = played(made, 60)
    decisions += told(made, 60, LeaseEnded(2)) + played(made, 1000)
    assert done(decisions, 1) == [(0, 40), (70, 130)]


@pytest.mark.parametrize("moment", [20, 45, 60, 105])
def test_what_was_left_of_it_is_free_once_it_is_over(made: Scheduler, moment: int) -> None:
    played(made, moment)
    told(made, moment, LeaseCancelled(1, NOBODY_WANTS_IT))
    assert ask(made, reserved(3, 110, 190, submitted=moment))


# --- changes ------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [20, 60], ids=["before", "while it is suspended"])
@pytest.mark.parametrize(
    ("duration", "deadline", "end"), [(150, 300, 220), (80, 300, 150), (100, 180, 170)]
)
def test_its_end_can_be_changed(
    made: Scheduler, moment: int, duration: int, deadline: int, end: int
) -> None:
    decisions = played(made, moment)
    asked = replace(record(made, 1).request, duration=duration, deadline=deadline)
    decisions += told(made, moment, LeaseChanged(1, asked)) + played(made, 1000)
    assert not [d for d in decisions if isinstance(d, ChangeRefused)]
    assert done(decisions, 1)[-1] == (110, end)
    assert sum(b - a for a, b in done(decisions, 1)) == duration


@pytest.mark.parametrize("moment", [20, 60], ids=["before", "while it is suspended"])
@pytest.mark.parametrize("changed", [{"duration": 240}, {"deadline": 160}])
def test_a_change_that_leaves_no_time_changes_nothing(
    made: Scheduler, moment: int, changed: dict[str, int]
) -> None:
    played(made, moment)
    before = made.leases()
    asked = replace(record(made, 1).request, **changed)  # type: ignore[arg-type]
    decisions = told(made, moment, LeaseChanged(1, asked))
    assert [type(d) for d in decisions] == [ChangeRefused]
    assert made.leases() == before
    assert done(played(made, 1000), 1)[-1] == (110, 170)


def test_an_extension_leaves_what_goes_on_its_time(made: Scheduler) -> None:
    played(made, 60)
    longer = replace(record(made, 2).request, duration=181)
    refused = told(made, 60, LeaseChanged(2, longer))
    assert [type(d) for d in refused] == [ChangeRefused]
    granted = told(made, 61, LeaseChanged(2, replace(longer, duration=180)))
    assert not [d for d in granted if isinstance(d, ChangeRefused)]
    assert done(played(made, 1000), 1)[-1] == (240, 300)


# --- what goes wrong ----------------------------------------------------------------------


def test_a_suspension_that_takes_longer_delays_the_rest(made: Scheduler) -> None:
    decisions = played(made, 45)
    decisions += told(made, 49, OperationDelayed(1, Purpose.SUSPEND, 70)) + played(made, 1000)
    assert last(decisions, 1).new is State.DONE
    assert done(decisions, 1)[-1][1] <= 300


def test_it_gets_what_is_left_where_its_time_is_too_short(made: Scheduler) -> None:
    decisions = played(made, 60)
    decisions += told(made, 60, HostFailed(0)) + played(made, 260)
    decisions += told(made, 260, HostRestored(0)) + played(made, 1000)
    assert done(decisions, 1)[-1] == (270, 300)
    assert last(decisions, 1).new is State.DONE


def test_it_fails_once_there_is_no_time_left(made: Scheduler) -> None:
    decisions = played(made, 60)
    decisions += told(made, 60, HostFailed(0)) + played(made, 1000)
    assert last(decisions, 1).new is State.FAILED
    assert "no time until its deadline, @300, is left" in in_words(last(decisions, 1).reason, at)


def test_what_was_saved_on_a_host_that_failed_waits_for_it(made: Scheduler) -> None:
    decisions = played(made, 60)
    decisions += told(made, 60, HostFailed(0)) + played(made, 150)
    assert record(made, 1).state is State.SUSPENDED_QUEUED
    decisions += told(made, 150, HostRestored(0)) + played(made, 1000)
    assert done(decisions, 1)[-1] == (160, 220)


def test_one_that_ran_when_its_host_failed_begins_again() -> None:
    made = on_hosts(2, POLICY, RULES)
    assert ask(made, reserved(9, 0, 35))
    assert ask(made, by(1, 300))
    assert ask(made, replace(reserved(2, 50, submitted=10), nodes=by(1, 1, nodes=2).nodes))
    decisions = told(made, 20, HostFailed(1)) + told(made, 40, HostRestored(1))
    decisions += played(made, 1000)
    assert last(decisions, 1).new is State.DONE
    assert sum(b - a for a, b in done(decisions, 1)[1:]) == 100


@pytest.mark.parametrize("moment", [20, 60], ids=["before", "while it is suspended"])
def test_maintenance_finds_another_time_for_what_is_left(made: Scheduler, moment: int) -> None:
    decisions = played(made, moment)
    window = Maintenance(id=1, hosts=(0,), start=120, end=140, leases=Leaving.REFUSE)
    decisions += told(made, moment, MaintenanceAsked(window)) + played(made, 1000)
    assert done(decisions, 1)[-1] == (150, 210)


def test_maintenance_that_leaves_it_no_time_is_refused(made: Scheduler) -> None:
    window = Maintenance(id=1, hosts=(0,), start=120, end=240, leases=Leaving.REFUSE)
    before = made.leases()
    told(made, 20, MaintenanceAsked(window))
    assert made.leases() == before


@pytest.mark.parametrize("moment", [10, 20, 40, 45, 50, 60, 100, 105, 115])
def test_a_restart_goes_on_with_what_was_planned(made: Scheduler, moment: int) -> None:
    decisions = played(made, moment)
    records = [read_lease(write_lease(r)) for r in made.leases()]
    site = read_site(write_site(made.site_record()))
    hosts = Site.uniform(ResourceTypes(), 1, HOST)
    again = Scheduler(hosts, RULES, make_policies(preemption=POLICY), moment)
    again.restore(records, site)
    assert again.leases() == records
    decisions += played(again, 1000)
    assert done(decisions, 1)[-1] == (110, 170)


# --- everything together ------------------------------------------------------------------


def requests_by(chance: Random, hosts: int) -> list[LeaseRequest]:
    """Leases with deadlines, half of them with much time to spare, ARs, and others beside."""
    found, now, sizes = [], 0, chance.choice([(4,), (1, 2, 4), (2, 4)])
    for lease_id in range(1, 15):
        now += chance.randint(0, 12)
        begin, duration = now + chance.choice([0, 0, chance.randint(0, 30)]), chance.randint(5, 40)
        kind = chance.choice([Kind.DEADLINE, Kind.DEADLINE, Kind.AR, Kind.BEST_EFFORT])
        slack = chance.choice([0, 20, 60, 200, 200])
        found.append(
            lease(
                lease_id,
                kind,
                begin if kind is Kind.AR else None,
                after=begin if kind is Kind.DEADLINE else None,
                deadline=begin + duration + slack if kind is Kind.DEADLINE else None,
                submitted=now,
                duration=duration,
                nodes=chance.randint(1, hosts),
                cpu=100 * chance.choice(sizes),
                preemptible=chance.random() < 0.85,
            )
        )
    return found


def rules_by(chance: Random, looks: int) -> Settings:
    return Settings(
        backfilling=chance.choice(list(Backfilling)),
        suspension=Suspension.ALL,
        override_suspend_seconds=chance.choice([1, 2, 4]),
        override_resume_seconds=chance.choice([1, 2, 4]),
        exclusion=chance.choice(list(Exclusion)),
        migration=chance.choice(list(Migration)),
        migration_bandwidth_mbps=chance.choice([100, 8192]),
        shutdown_seconds=chance.choice([0, 0, 2]),
        force_scheduling_threshold_seconds=chance.choice([None, 0]),
        remapping_effort=looks,
    )


def is_guaranteed(found: LeaseRecord) -> bool:
    """Tell whether what is planned for a lease has it done by its deadline."""
    plan, deadline = found.plan, found.request.deadline
    assert deadline is not None
    if plan is None:
        return False
    if plan.rest is not None:
        return plan.rest.phases[-1].end <= deadline
    return plan.phases[-1].purpose is not Purpose.SUSPEND and plan.end <= deadline


@pytest.mark.slow
@tries(60)
@given(seed=st.integers(0, 10**9), changes=st.booleans())
def test_at_every_moment_everyone_accepted_is_planned_to_be_done_in_time(
    seed: int, changes: bool
) -> None:
    """Leases end by themselves, are cancelled and changed, and the scheduler is restarted."""
    chance = Random(seed)
    hosts, rules = chance.randint(1, 3), rules_by(chance, looks_by(seed))
    made, requests = on_hosts(hosts, POLICY, rules), requests_by(chance, hosts)
    decisions: list[Decision] = []
    for now in range(400):
        events: list[Input] = [LeaseSubmitted(r) for r in requests if r.submitted == now]
        who, what = chance.randint(1, 14), chance.random()
        asked = next((r.request for r in made.leases() if r.id == who), None)
        if what < 0.06:
            early: list[Input] = [LeaseEnded(who), LeaseCancelled(who, NOBODY_WANTS_IT)]
            events.insert(0, chance.choice(early))
        elif what < 0.2 and changes and asked is not None and asked.deadline is not None:
            longer = max(1, (asked.duration or 1) + chance.randint(-6, 9))
            deadline = asked.deadline + chance.randint(-9, 20)
            changed = replace(asked, duration=longer, deadline=deadline)
            events.insert(0, LeaseChanged(who, changed))
        if not events and made.next_wakeup() != now:
            continue
        decisions += told(made, now, *events)
        records = made.leases()
        for found in records:
            assert found.request.kind is not Kind.DEADLINE or is_guaranteed(found), (now, found)
        if chance.random() < 0.1:
            site, policies = made.site_record(), make_policies(preemption=POLICY)
            hosts_as_they_were = Site.uniform(ResourceTypes(), hosts, HOST)
            made = Scheduler(hosts_as_they_were, rules, policies, now)
            made.restore([read_lease(write_lease(r)) for r in records], site)
            decisions += told(made, now)
    decisions += played(made, 100_000)
    for request in requests:
        if request.kind is Kind.DEADLINE:
            end = last(decisions, request.id)
            assert end.new in FINAL
            assert end.new is not State.FAILED, end
