"""Preemption for an AR: of no more than is needed, and of nobody if it is in vain."""

from __future__ import annotations

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.events import (
    Decision,
    LeaseCancelled,
    LeaseEnded,
    LeaseSubmitted,
    OperationStarted,
    StateChanged,
)
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import Capacity, ResourceTypes, copies, subtract
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.model.vm_times import LeavingTime
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

SIZES: st.SearchStrategy[Capacity] = st.sampled_from([(100, 100), (200, 100), (100, 200), (50, 50)])


@st.composite
def requests(draw: st.DrawFn) -> list[LeaseRequest]:
    return [
        LeaseRequest(
            id=lease_id,
            submitted=0,
            kind=Kind.BEST_EFFORT,
            nodes=(NodeSet(draw(st.integers(1, 3)), draw(SIZES)),),
            duration=draw(st.integers(5, 40)),
            preemptible=draw(st.booleans()),
        )
        for lease_id in range(1, draw(st.integers(1, 8)) + 1)
    ]


def room(
    capacities: list[Capacity], size: Capacity, uses: list[tuple[int, ...]], sizes: list[Capacity]
) -> int:
    """Return how many copies of ``size`` fit beside leases on these hosts, each of its size."""
    free = list(capacities)
    for hosts, taken in zip(uses, sizes, strict=True):
        for host in hosts:
            free[host] = subtract(free[host], taken)
    return sum(copies(size, left, 99) for left in free)


@pytest.mark.slow
@tries(300)
@given(
    st.lists(st.sampled_from([(200, 200), (400, 200)]), min_size=1, max_size=5),
    requests(),
    st.integers(1, 4),
    SIZES,
    st.integers(0, 20),
)
def test_giving_back_any_one_would_leave_too_little(
    capacities: list[Capacity],
    queue: list[LeaseRequest],
    count: int,
    size: Capacity,
    start: int,
) -> None:
    site = Site(ResourceTypes(), tuple(Host(i, f"h{i}", c) for i, c in enumerate(capacities)))
    policies = make_policies(preemption="ar-preempts-everything")
    scheduler = Scheduler(site, Settings(), policies, 0)
    before = scheduler.handle(0, [LeaseSubmitted(r) for r in queue]).decisions
    hosts = {d.lease_id: d.hosts for d in before if isinstance(d, OperationStarted)}
    held = {r.id: r for r in queue if r.id in hosts and (r.duration or 0) > start}
    reservation = LeaseRequest(
        id=99, submitted=0, kind=Kind.AR, nodes=(NodeSet(count, size),), duration=50, start=start
    )
    after = scheduler.handle(0, [LeaseSubmitted(reservation)]).decisions
    scheduler.check()
    victims = sent_back(after)
    assert victims <= {i for i, r in held.items() if r.preemptible}

    def room_beside(ids: set[int]) -> int:
        uses = [hosts[i] for i in sorted(ids)]
        return room(capacities, size, uses, [held[i].nodes[0].capacity for i in sorted(ids)])

    if any(isinstance(d, StateChanged) and d.new is State.REJECTED for d in after):
        assert not victims
        assert room_beside({i for i, r in held.items() if not r.preemptible}) < count
        return
    stay = set(held) - victims
    assert room_beside(stay) >= count
    for one in victims:
        assert room_beside(stay | {one}) < count
    if room_beside(set(held)) < count:
        # The youngest go first: of those older than the eldest victim none had to.
        younger = {i for i, r in held.items() if r.preemptible and i > min(victims)}
        assert room_beside(set(held) - younger) < count


def sent_back(decisions: list[Decision]) -> set[int]:
    return {d.lease_id for d in decisions if isinstance(d, StateChanged) and d.code == "preempted"}


# --- running on until it must go --------------------------------------------------------------


def batch(duration: int = 1000) -> LeaseRequest:
    return LeaseRequest(
        id=1,
        submitted=0,
        kind=Kind.BEST_EFFORT,
        nodes=(NodeSet(1, (100, 320)),),
        duration=duration,
        preemptible=True,
    )


def reservation(start: int, lease_id: int = 2) -> LeaseRequest:
    nodes = (NodeSet(1, (100, 320)),)
    return LeaseRequest(
        id=lease_id, submitted=0, kind=Kind.AR, nodes=nodes, start=start, duration=50
    )


def running(suspension: Suspension = Suspension.ALL, *, run_on: bool = False) -> Scheduler:
    """A batch lease runs from 0 on, on the one host; saving it takes 10 s, its threshold is 20."""
    site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    settings = Settings(suspension=suspension, backfilling=Backfilling.AGGRESSIVE, run_on=run_on)
    policies = make_policies(preemption="ar-preempts-everything")
    scheduler = Scheduler(site, settings, policies, 0)
    scheduler.handle(0, [LeaseSubmitted(batch())])
    return scheduler


def changes(decisions: list[Decision], lease_id: int) -> list[tuple[int, State, str]]:
    found = [d for d in decisions if isinstance(d, StateChanged) and d.lease_id == lease_id]
    return [(d.time, d.new, d.code) for d in found]


@pytest.mark.parametrize("suspension", [Suspension.ALL, Suspension.NONE])
def test_what_is_not_worth_saving_runs_on_until_it_must_go(suspension: Suspension) -> None:
    scheduler = running(suspension, run_on=True)
    assert not changes(scheduler.handle(5, [LeaseSubmitted(reservation(25))]).decisions, 1)
    assert scheduler.next_wakeup() == 15, "so long before as saving it would take"
    scheduler.check()
    decisions = scheduler.handle(15).decisions
    assert changes(decisions, 1)[0] == (15, State.QUEUED, "preempted")
    assert changes(scheduler.handle(25).decisions, 2)[-1] == (25, State.ACTIVE, "")
    scheduler.check()
    assert changes(scheduler.handle(75).decisions, 1)[-1] == (75, State.ACTIVE, "")


def test_it_goes_as_long_before_as_leaving_was_learned_to_take() -> None:
    scheduler = running(run_on=True)
    scheduler.handle(2, [LeavingTime(1, 3)])
    scheduler.handle(5, [LeaseSubmitted(reservation(25))])
    assert scheduler.next_wakeup() == 22
    scheduler.check()
    assert changes(scheduler.handle(22).decisions, 1)[0] == (22, State.QUEUED, "preempted")
    assert changes(scheduler.handle(25).decisions, 2)[-1] == (25, State.ACTIVE, "")


def test_leaving_that_takes_longer_than_saving_begins_sooner() -> None:
    scheduler = running(run_on=True)
    scheduler.handle(2, [LeavingTime(1, 15)])
    scheduler.handle(5, [LeaseSubmitted(reservation(25))])
    assert scheduler.next_wakeup() == 10


def test_in_a_simulation_it_goes_at_once() -> None:
    decisions = running().handle(5, [LeaseSubmitted(reservation(25))]).decisions
    assert changes(decisions, 1)[0] == (5, State.QUEUED, "preempted")


def test_what_is_worth_saving_is_saved() -> None:
    scheduler = running(run_on=True)
    scheduler.handle(5, [LeaseSubmitted(reservation(30))])
    assert changes(scheduler.handle(20).decisions, 1) == [(20, State.SUSPENDING, "preempted")]


def test_where_there_is_no_time_left_it_goes_at_once() -> None:
    decisions = running(run_on=True).handle(5, [LeaseSubmitted(reservation(15))]).decisions
    assert changes(decisions, 1)[0] == (5, State.QUEUED, "preempted")


def test_it_may_be_done_before() -> None:
    scheduler = running(run_on=True)
    scheduler.handle(5, [LeaseSubmitted(reservation(25))])
    assert changes(scheduler.handle(12, [LeaseEnded(1)]).decisions, 1) == [
        (12, State.DONE, "early-end")
    ]


def test_it_stays_where_nobody_needs_its_hosts_any_more() -> None:
    scheduler = running(run_on=True)
    scheduler.handle(5, [LeaseSubmitted(reservation(25))])
    scheduler.handle(10, [LeaseCancelled(2)])
    assert not changes(scheduler.handle(15).decisions, 1)
    scheduler.check()
    assert scheduler.next_wakeup() == 1000
    assert changes(scheduler.handle(1000).decisions, 1) == [(1000, State.DONE, "duration-over")]


def test_another_reservation_sooner_has_it_go_sooner() -> None:
    scheduler = running(run_on=True)
    scheduler.handle(2, [LeaseSubmitted(reservation(80, lease_id=3))])
    scheduler.handle(3, [LeaseSubmitted(reservation(25))])
    assert changes(scheduler.handle(15).decisions, 1)[0] == (15, State.QUEUED, "preempted")
    scheduler.check()


def test_a_restart_does_not_forget_that_it_has_to_go() -> None:
    scheduler = running(run_on=True)
    scheduler.handle(5, [LeaseSubmitted(reservation(25))])
    known = {record.id: record for record in scheduler.leases()}
    site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    policies = make_policies(preemption="ar-preempts-everything")
    settings = Settings(suspension=Suspension.ALL, run_on=True)
    later = Scheduler(site, settings, policies, 5)
    later.restore(known.values(), scheduler.site_record())
    later.check()
    assert changes(later.handle(15).decisions, 1)[0] == (15, State.QUEUED, "preempted")
    assert changes(later.handle(25).decisions, 2)[-1] == (25, State.ACTIVE, "")
