"""Reservations follow where others take VMs of leases that run."""

from __future__ import annotations

from effort import how_hard
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.events import (
    Decision,
    HostDrained,
    HostFailed,
    HostUsed,
    Input,
    LeaseCancelled,
    LeaseMoved,
    LeaseSubmitted,
    OperationEnded,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import FOREVER, ResourceTypes
from haizea.core.model.settings import Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies


def lease(
    lease_id: int,
    kind: Kind = Kind.BEST_EFFORT,
    start: int | None = None,
    *,
    nodes: int = 1,
    cpu: int = 100,
    duration: int | None = 100,
    preemptible: bool = False,
) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=kind,
        nodes=(NodeSet(nodes, (cpu, 10)),),
        duration=duration,
        start=start,
        preemptible=preemptible,
    )


def scheduler(hosts: int) -> Scheduler:
    site = Site.uniform(ResourceTypes(), hosts, (100, 1024))
    policies = make_policies(preemption="ar-preempts-everything")
    return Scheduler(site, Settings(suspension=Suspension.ALL), policies, 0)


def runs(decisions: list[Decision]) -> list[tuple[int, int, tuple[int, ...], int]]:
    """Return which leases run from when on, where, and until when."""
    return [
        (d.lease_id, d.time, d.hosts, d.end)
        for d in decisions
        if isinstance(d, OperationStarted) and d.purpose is Purpose.RUN
    ]


def ran(decisions: list[Decision]) -> list[tuple[int, int, int, list[int]]]:
    return [
        (d.lease_id, d.start, d.end, [host for host, _ in d.use])
        for d in decisions
        if isinstance(d, OperationEnded) and d.purpose is Purpose.RUN
    ]


def states(decisions: list[Decision], lease_id: int) -> list[State]:
    return [d.new for d in decisions if isinstance(d, StateChanged) and d.lease_id == lease_id]


def test_the_reservation_follows_and_the_old_host_is_free() -> None:
    made = scheduler(2)
    assert runs(made.handle(0, [LeaseSubmitted(lease(1))]).decisions) == [(1, 0, (0,), 100)]
    decisions = made.handle(30, [LeaseMoved(1, (1,))]).decisions
    assert ran(decisions) == [(1, 0, 30, [0])]
    assert runs(decisions) == [(1, 30, (1,), 100)]
    made.check()
    assert runs(made.handle(40, [LeaseSubmitted(lease(2))]).decisions) == [(2, 40, (0,), 140)]
    assert runs(made.handle(41, [LeaseSubmitted(lease(3))]).decisions) == []
    decisions = made.handle(100).decisions
    assert ran(decisions) == [(1, 30, 100, [1])]
    assert states(decisions, 1) == [State.DONE]
    assert runs(decisions) == [(3, 100, (1,), 200)]


def test_what_is_planned_there_in_its_time_makes_way() -> None:
    made = scheduler(3)
    made.handle(0, [LeaseSubmitted(lease(1)), LeaseSubmitted(lease(2, Kind.AR, 50, nodes=2))])
    decisions = made.handle(10, [LeaseMoved(1, (1,))]).decisions
    made.check()
    assert runs(decisions) == [(1, 10, (1,), 100)]
    assert runs(made.handle(50).decisions) == [(2, 50, (0, 2), 150)]


def test_what_is_planned_there_later_stays() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1)), LeaseSubmitted(lease(2, Kind.AR, 120, nodes=2))])
    made.handle(10, [HostDrained(0), LeaseMoved(1, (1,))])
    made.check()
    assert states(made.handle(100).decisions, 1) == [State.DONE]
    assert [(found[0], set(found[2])) for found in runs(made.handle(120).decisions)] == [
        (2, {0, 1})
    ]


def test_an_ar_without_another_host_starts_when_the_moved_lease_is_over() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1)), LeaseSubmitted(lease(2, Kind.AR, 50))])
    made.handle(10, [HostDrained(0)])
    made.handle(20, [LeaseMoved(1, (1,))])
    made.check()
    found = made.handle(100).decisions
    assert (2, 100, (1,), 150) in runs(found)


def test_nothing_follows_where_others_run() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1)), LeaseSubmitted(lease(2))])
    assert made.handle(10, [LeaseMoved(1, (1,))]).decisions == []
    made.check()
    assert runs(made.handle(20, [LeaseCancelled(2), LeaseMoved(1, (1,))]).decisions) == [
        (1, 20, (1,), 100)
    ]
    made.check()


def test_one_that_is_over_in_that_moment_ends_where_it_was() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1))])
    decisions = made.handle(100, [LeaseMoved(1, (1,))]).decisions
    assert ran(decisions) == [(1, 0, 100, [0])]
    assert states(decisions, 1) == [State.DONE]
    made.check()


def test_others_there_have_what_it_leaves() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, cpu=60)), HostUsed(1, (50, 0))])
    assert runs(made.handle(10, [LeaseMoved(1, (1,))]).decisions) == [(1, 10, (1,), 100)]
    made.check()
    assert runs(made.handle(20, [LeaseSubmitted(lease(2, cpu=100, duration=None))]).decisions) == [
        (2, 20, (0,), FOREVER)
    ]
    # Nothing is left beside it; when it is over, others have their 50.
    assert runs(made.handle(30, [LeaseSubmitted(lease(3, cpu=10, duration=30))]).decisions) == []
    assert runs(made.handle(31, [LeaseSubmitted(lease(4, cpu=60, duration=None))]).decisions) == []
    assert runs(made.handle(100).decisions) == [(3, 100, (1,), 130)]
    made.check()


def test_several_nodes_on_one_host() -> None:
    made = scheduler(3)
    made.handle(0, [LeaseSubmitted(lease(1, nodes=4, cpu=40))])
    decisions = made.handle(10, [LeaseMoved(1, (2, 2, 1, 0))]).decisions
    [(_, _, hosts, _)] = runs(decisions)
    assert hosts == (2, 2, 1, 0)
    made.check()
    assert ran(made.handle(100).decisions)[0][3] == [2, 1, 0]


def test_who_was_moved_is_suspended_where_it_is_after_all_that_it_ran() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, preemptible=True, duration=1000))])
    made.handle(300, [LeaseMoved(1, (1,))])
    made.handle(310, [HostDrained(0)])
    decisions = made.handle(320, [LeaseSubmitted(lease(2, Kind.AR, 400))]).decisions
    while made.next_wakeup() is not None and (made.next_wakeup() or 0) <= 1500:
        decisions += made.handle(made.next_wakeup() or 0).decisions
        made.check()
    saved = [d for d in decisions if isinstance(d, OperationStarted) and d.lease_id == 1]
    assert (saved[0].purpose, saved[0].hosts) == (Purpose.SUSPEND, (1,))
    of_ran = [end - start for found, start, end, _ in ran(decisions) if found == 1]
    assert sum(of_ran) == 700
    assert states(decisions, 1)[-1] is State.DONE


def test_a_host_that_fails_takes_only_what_is_there_now() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1))])
    made.handle(10, [LeaseMoved(1, (1,))])
    assert states(made.handle(20, [HostFailed(0)]).decisions, 1) == []
    assert states(made.handle(30, [HostFailed(1)]).decisions, 1) == [State.QUEUED]
    made.check()


def test_it_is_there_after_a_restart() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1))])
    made.handle(30, [LeaseMoved(1, (1,))])
    again = scheduler(2)
    again.restore(made.leases(), made.site_record())
    decisions = again.handle(40, [LeaseSubmitted(lease(2))]).decisions
    assert runs(decisions) == [(2, 40, (0,), 140)]
    assert ran(again.handle(100).decisions) == [(1, 30, 100, [1])]
    again.check()


HOSTS = 3
WHERE = st.lists(st.integers(0, HOSTS - 1), min_size=2, max_size=2).map(tuple)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "book", "move", "move", "move", "use", "cancel"]),
        st.integers(0, 60),
        st.sampled_from([20, 50, 100]),
        WHERE,
    ),
    max_size=30,
)


@how_hard(150)
@given(STEPS)
def test_whatever_is_moved_nothing_is_held_twice(
    steps: list[tuple[str, int, int, tuple[int, ...]]],
) -> None:
    made = scheduler(HOSTS)
    where: dict[int, tuple[int, ...]] = {}
    for step, (what, number, cpu, hosts) in enumerate(steps):
        now = step * 5
        request = lease(step + 1, nodes=2, cpu=cpu, preemptible=number % 2 == 0)
        ar = lease(step + 1, Kind.AR, now + number, nodes=2, cpu=cpu)
        inputs: dict[str, Input] = {
            "ask": LeaseSubmitted(request),
            "book": LeaseSubmitted(ar),
            "move": LeaseMoved(number % (step + 1), hosts),
            "use": HostUsed(number % HOSTS, (cpu // 2, 0)),
            "cancel": LeaseCancelled(number % (step + 1)),
        }
        decisions = made.handle(now, [inputs[what]]).decisions
        made.check()
        for decision in decisions:
            if isinstance(decision, OperationStarted) and decision.purpose is Purpose.RUN:
                where[decision.lease_id] = decision.hosts
            elif isinstance(decision, OperationEnded) and decision.purpose is Purpose.RUN:
                at = {host for host, _ in decision.use}
                moved = decision.lease_id in where and what == "move" and number % (step + 1)
                if moved != decision.lease_id:
                    assert at == set(where[decision.lease_id])
    made.check()
