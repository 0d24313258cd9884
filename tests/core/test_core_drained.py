"""Drained hosts: what was promised them goes elsewhere, or stays and says why."""

from __future__ import annotations

import itertools

import pytest
from effort import how_hard
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.events import (
    Decision,
    Expected,
    HostDrained,
    HostRestored,
    Input,
    LeaseCancelled,
    LeaseSubmitted,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord, PlanRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.wording import in_words

WHY = "host-1 takes nothing new: repairs"


def lease(
    lease_id: int,
    kind: Kind,
    start: int | None = None,
    *,
    duration: int = 100,
    nodes: int = 1,
    preemptible: bool = False,
) -> LeaseRequest:
    sets = (NodeSet(nodes, (100, 1024)),)
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=kind,
        nodes=sets,
        duration=duration,
        start=start,
        preemptible=preemptible,
    )


AT_50 = "expected to start 1970-01-01 00:00:50"


def scheduler(hosts: int, rules: Settings | None = None) -> Scheduler:
    site = Site.uniform(ResourceTypes(), hosts, (100, 1024))
    policies = make_policies(preemption="ar-preempts-everything")
    return Scheduler(site, rules or Settings(), policies, 0)


def runs(decisions: list[Decision]) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return which leases run from when on, and where."""
    return [
        (d.lease_id, d.time, d.hosts)
        for d in decisions
        if isinstance(d, OperationStarted) and d.purpose is Purpose.RUN
    ]


def told(decisions: list[Decision]) -> list[tuple[int, int | None, str]]:
    return [(d.lease_id, d.start, in_words(d.reason)) for d in decisions if isinstance(d, Expected)]


def states(decisions: list[Decision], lease_id: int) -> list[State]:
    return [d.new for d in decisions if isinstance(d, StateChanged) and d.lease_id == lease_id]


def test_a_reservation_leaves_a_host_that_is_drained() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 50))])
    decisions = made.handle(10, [HostDrained(0, because(Code.STATED, text="repairs"))]).decisions
    assert told(decisions) == [(1, 50, f"{WHY}; other hosts were found")]
    assert [(r.id, r.plan and r.plan.hosts) for r in made.leases()] == [(1, (1,))]
    assert runs(made.handle(50).decisions) == [(1, 50, (1,))]
    made.check()


def test_all_nodes_find_hosts_together() -> None:
    made = scheduler(5)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 50, nodes=2))])
    made.handle(10, [HostDrained(0), HostDrained(1), HostDrained(2)])
    assert runs(made.handle(50).decisions) == [(1, 50, (3, 4))]
    made.check()


def test_where_nothing_else_fits_it_stays_and_says_why_until_the_host_is_back() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 50))])
    decisions = made.handle(10, [HostDrained(0, because(Code.STATED, text="repairs"))]).decisions
    assert told(decisions) == [(1, 50, f"{WHY}; no others are free yet")]
    assert [(r.state, in_words(r.reason)) for r in made.leases()] == [
        (State.SCHEDULED, f"{WHY}; no others are free yet")
    ]
    assert told(made.handle(20, [LeaseSubmitted(lease(2, Kind.BEST_EFFORT))]).decisions) == []
    assert told(made.handle(30, [HostRestored(0)]).decisions)[:1] == [(1, 50, AT_50)]
    assert (1, 50, (0,)) in runs(made.handle(50).decisions)
    made.check()


def test_what_comes_free_elsewhere_is_taken() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE))])
    turn = made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 50))])
    busy = 0 if [r for r in turn.records if r.plan and r.plan.hosts == (1,)] else 1
    decisions = made.handle(
        10, [HostDrained(1 - busy, because(Code.STATED, text="repairs"))]
    ).decisions
    assert told(decisions) == [
        (2, 50, f"host-{2 - busy} takes nothing new: repairs; no others are free yet")
    ]
    # Somebody who waits for that host comes after the reservation.
    made.handle(15, [LeaseSubmitted(lease(3, Kind.BEST_EFFORT))])
    decisions = made.handle(20, [LeaseCancelled(1)]).decisions
    assert [t[2] for t in told(decisions) if t[0] == 2] == [
        f"host-{2 - busy} takes nothing new: repairs; other hosts were found"
    ]
    assert runs(made.handle(50).decisions) == [(2, 50, (busy,))]
    made.check()


def test_it_may_preempt_where_it_goes() -> None:
    made = scheduler(2, Settings(suspension=Suspension.NONE))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, preemptible=True))])
    made.handle(1, [LeaseSubmitted(lease(2, Kind.AR, 50))])
    decisions = made.handle(10, [HostDrained(1)]).decisions
    assert states(decisions, 1)[:1] == [State.QUEUED]
    assert runs(made.handle(50).decisions) == [(2, 50, (0,))]
    made.check()


def test_one_that_is_due_in_that_moment_starts_elsewhere() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 50))])
    assert runs(made.handle(50, [HostDrained(0)]).decisions) == [(1, 50, (1,))]
    made.check()


def test_one_whose_host_is_drained_for_good_starts_there() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 50))])
    made.handle(10, [HostDrained(0)])
    assert runs(made.handle(50).decisions) == [(1, 50, (0,))]
    assert states(made.handle(150).decisions, 1) == [State.DONE]


def test_what_runs_there_stays() -> None:
    made = scheduler(2)
    made.handle(
        0, [LeaseSubmitted(lease(1, Kind.AR, 50)), LeaseSubmitted(lease(2, Kind.BEST_EFFORT))]
    )
    made.handle(50)
    decisions = made.handle(60, [HostDrained(0), HostDrained(1)]).decisions
    assert runs(decisions) == []
    assert states(decisions, 1) == states(decisions, 2) == []
    made.check()


@pytest.mark.parametrize("backfilling", [Backfilling.CONSERVATIVE, Backfilling.AGGRESSIVE])
def test_what_waits_is_not_promised_it_any_more(backfilling: Backfilling) -> None:
    made = scheduler(2, Settings(backfilling=backfilling))
    made.handle(
        0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE)), LeaseSubmitted(lease(2, Kind.AR, 50))]
    )
    made.handle(0, [LeaseSubmitted(lease(3, Kind.BEST_EFFORT))])
    before = {r.id: r for r in made.leases()}[3]
    assert before.expected == 100
    made.handle(10, [HostDrained(0)])
    found: list[tuple[int, int, tuple[int, ...]]] = []
    for moment in (50, 100, 150, 200):
        found += runs(made.handle(moment).decisions)
    assert (3, 150, (1,)) in found
    made.check()


# --- whatever happens ---------------------------------------------------------------------

HOSTS = 4
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 300), st.integers(1, 3)),
        st.tuples(st.just("drain"), st.integers(0, HOSTS - 1), st.just(0)),
        st.tuples(st.just("restore"), st.integers(0, HOSTS - 1), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(1, 12), st.just(0)),
    ),
    max_size=25,
)


def plan(record: LeaseRecord) -> PlanRecord:
    assert record.plan is not None
    return record.plan


def overlap(one: LeaseRecord, other: LeaseRecord) -> bool:
    return plan(one).phases[0].start < plan(other).end and (
        plan(other).phases[0].start < plan(one).end
    )


@how_hard(150)
@given(STEPS)
def test_no_reservation_stays_on_a_drained_host_beside_room(
    steps: list[tuple[str, int, int]],
) -> None:
    made = scheduler(HOSTS)
    drained: set[int] = set()
    known: dict[int, LeaseRecord] = {}
    for now, (what, number, nodes) in enumerate(steps):
        inputs: dict[str, Input] = {
            "ask": LeaseSubmitted(lease(now + 1, Kind.AR, now + number, nodes=nodes or 1)),
            "drain": HostDrained(number % HOSTS),
            "restore": HostRestored(number % HOSTS),
            "cancel": LeaseCancelled(number),
        }
        drained |= {number} if what == "drain" else set()
        drained -= {number} if what == "restore" else set()
        turn = made.handle(now, [inputs[what]])
        made.check()
        known |= {record.id: record for record in turn.records}
        planned = [r for r in known.values() if r.plan is not None and not r.over]
        for one, other in itertools.combinations(planned, 2):
            assert not overlap(one, other) or not set(plan(one).hosts) & set(plan(other).hosts)
        for record in planned:
            if plan(record).since is not None or not set(plan(record).hosts) & drained:
                continue
            others = [r for r in planned if r is not record and overlap(r, record)]
            taken = {host for r in others for host in plan(r).hosts}
            free = set(range(HOSTS)) - drained - taken
            assert len(free) < record.request.node_count, (record.id, free)
