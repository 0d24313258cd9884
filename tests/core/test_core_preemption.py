"""Who makes room for an AR: no more than is needed, and nobody if it is in vain."""

from __future__ import annotations

from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.events import Decision, LeaseSubmitted, OperationStarted, StateChanged
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import Capacity, ResourceTypes, copies, subtract
from haizea.core.model.settings import Settings
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
    """How many copies of ``size`` fit beside leases on these hosts, each of its size."""
    free = list(capacities)
    for hosts, taken in zip(uses, sizes, strict=True):
        for host in hosts:
            free[host] = subtract(free[host], taken)
    return sum(copies(size, left, 99) for left in free)


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
    before = scheduler.handle(0, [LeaseSubmitted(r) for r in queue])
    hosts = {d.lease_id: d.hosts for d in before if isinstance(d, OperationStarted)}
    held = {r.id: r for r in queue if r.id in hosts and (r.duration or 0) > start}
    reservation = LeaseRequest(
        id=99, submitted=0, kind=Kind.AR, nodes=(NodeSet(count, size),), duration=50, start=start
    )
    after = scheduler.handle(0, [LeaseSubmitted(reservation)])
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
