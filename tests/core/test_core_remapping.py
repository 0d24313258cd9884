"""Whoever is refused was refused because it cannot be done: an exact judge says the same."""

from __future__ import annotations

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from bench.judge import Node, witness
from bench.promises import nodes_of, situation
from haizea.core.model.events import (
    Decision,
    HostsPlanned,
    LeaseSubmitted,
    OperationStarted,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import Capacity, ResourceTypes
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.wording import in_words

HOST = (400, 4096)


def ar(lease_id: int, start: int, duration: int, nodes: int, size: Capacity) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=Kind.AR,
        nodes=(NodeSet(nodes, size),),
        duration=duration,
        start=start,
    )


def scheduler(hosts: int, settings: Settings | None = None) -> Scheduler:
    site = Site.uniform(ResourceTypes(), hosts, HOST)
    policies = make_policies(preemption="ar-preempts-everything")
    return Scheduler(site, settings or Settings(), policies, 0)


def rejected(decisions: list[Decision], lease_id: int) -> bool:
    return any(
        isinstance(d, StateChanged) and d.lease_id == lease_id and d.new is State.REJECTED
        for d in decisions
    )


def test_what_has_not_begun_goes_elsewhere_before_anyone_is_refused() -> None:
    made = scheduler(2)
    half, whole = (200, 2048), HOST
    for lease_id, size in ((1, half), (2, half)):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, size))])
    decisions = made.handle(0, [LeaseSubmitted(ar(3, 100, 50, 1, whole))]).decisions
    assert not rejected(decisions, 3)
    moved = [d for d in decisions if isinstance(d, HostsPlanned)]
    assert [(d.lease_id, d.hosts) for d in moved] == [(1, (1,))]
    assert "lease 3" in in_words(moved[0].reason)
    made.check()
    started = [d for d in made.handle(100).decisions if isinstance(d, OperationStarted)]
    assert {d.lease_id: d.hosts for d in started} == {1: (1,), 2: (1,), 3: (0,)}


def test_a_lease_that_has_begun_stays_where_it_is() -> None:
    made = scheduler(2)
    half = (200, 2048)
    for lease_id in (1, 2):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 0, 50, 1, half))])
    assert rejected(made.handle(0, [LeaseSubmitted(ar(3, 10, 20, 1, HOST))]).decisions, 3)


def test_nobody_is_suspended_where_moving_a_plan_is_enough() -> None:
    settings = Settings(backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL)
    made = scheduler(3, settings)
    work = LeaseRequest(
        id=1,
        submitted=0,
        kind=Kind.BEST_EFFORT,
        nodes=(NodeSet(1, HOST),),
        duration=1000,
        preemptible=True,
    )
    made.handle(0, [LeaseSubmitted(work)])
    half = (200, 2048)
    for lease_id in (2, 3):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, half))])
    decisions = made.handle(0, [LeaseSubmitted(ar(4, 100, 50, 1, HOST))]).decisions
    assert not rejected(decisions, 4)
    assert [d.lease_id for d in decisions if isinstance(d, HostsPlanned)] == [2]
    states = [
        d.new
        for now in (100, 150)
        for d in made.handle(now).decisions
        if isinstance(d, StateChanged)
    ]
    assert State.SUSPENDING not in states


@st.composite
def requests(draw: st.DrawFn, sizes: list[int], most_nodes: int) -> list[LeaseRequest]:
    """ARs, each with how long after the one before it it is asked for."""
    asked: list[LeaseRequest] = []
    now = 0
    for lease_id in range(1, draw(st.integers(4, 25)) + 1):
        now += draw(st.integers(0, 3))
        cores = draw(st.sampled_from(sizes))
        asked.append(
            LeaseRequest(
                id=lease_id,
                submitted=now,
                kind=Kind.AR,
                nodes=(NodeSet(draw(st.integers(1, most_nodes)), (100 * cores, 1024 * cores)),),
                duration=draw(st.integers(1, 12)),
                start=now + draw(st.integers(0, 20)),
            )
        )
    return asked


def avoidable(hosts: int, asked: list[LeaseRequest]) -> list[int]:
    """The requests that were refused though the judge finds room."""
    made, found = scheduler(hosts), []
    for request in asked:
        now = request.submitted
        while (due := made.next_wakeup()) is not None and due <= now:
            made.handle(due)
        made.handle(now)
        before: list[Node] = situation(made.leases(), now)
        decisions = made.handle(now, [LeaseSubmitted(request)]).decisions
        made.check()
        refused = rejected(decisions, request.id)
        if refused and witness([HOST] * hosts, [*before, *nodes_of(request)]) is not None:
            found.append(request.id)
    return found


@pytest.mark.slow
@tries(300)
@given(hosts=st.integers(1, 6), asked=requests([4], 3))
def test_on_equal_hosts_taken_whole_no_rejection_is_avoidable(
    hosts: int, asked: list[LeaseRequest]
) -> None:
    assert avoidable(hosts, asked) == []


@pytest.mark.slow
@tries(100)
@given(hosts=st.integers(1, 5), asked=requests([1, 2, 3, 4], 3))
def test_where_sizes_differ_hardly_any_rejection_is_avoidable(
    hosts: int, asked: list[LeaseRequest]
) -> None:
    assert avoidable(hosts, asked) == []


def test_a_restart_goes_on_with_the_hosts_as_they_were_planned_last() -> None:
    made, records = scheduler(2), {}
    for lease_id, size in ((1, (200, 2048)), (2, (200, 2048)), (3, HOST)):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, size))])
        records.update({record.id: record for record in made.leases()})
    site = made.site_record()
    again = scheduler(2)
    again.restore(records.values(), site)
    again.check()
    started = [d for d in again.handle(100).decisions if isinstance(d, OperationStarted)]
    assert {d.lease_id: d.hosts for d in started} == {1: (1,), 2: (1,), 3: (0,)}


def test_with_no_effort_nothing_is_moved() -> None:
    made = scheduler(2, Settings(remapping_effort=0))
    for lease_id in (1, 2):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, (200, 2048)))])
    assert rejected(made.handle(0, [LeaseSubmitted(ar(3, 100, 50, 1, HOST))]).decisions, 3)


def test_a_counter_offer_is_found_by_moving_too() -> None:
    made = scheduler(2)
    for lease_id in (1, 2):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, (200, 2048)))])
    made.handle(0, [LeaseSubmitted(ar(3, 0, 90, 2, HOST))])
    assert made.offer(ar(4, 80, 20, 1, HOST)) == 90, "not only when both halves are over"
