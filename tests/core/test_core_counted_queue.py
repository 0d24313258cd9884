"""Queues for whole hosts where a few may hold reservations: only those that may start are seen."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from simulated_runs import Case, play

from haizea.core.capacity.availability import Profile
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import FOREVER, ResourceTypes
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease
from haizea.core.queue.by_count import Counting
from haizea.core.schedule.wait_queue import Line

HOSTS = 8
CPU = (400, 1000)


def request(
    number: int, nodes: int, duration: int | None, submitted: int = 0, memory_mb: int = 1000
) -> LeaseRequest:
    """A request for hosts that are taken whole, though maybe not all of their memory."""
    return LeaseRequest(
        id=number,
        submitted=submitted,
        kind=Kind.BEST_EFFORT,
        nodes=(NodeSet(nodes, (400, memory_mb)),),
        duration=duration,
        preemptible=True,
    )


def queue(seed: int, leases: int, *, at_once: bool = False) -> Case:
    """Leases that come in bursts and mostly end early, two to five of which hold reservations."""
    chance = random.Random(seed)
    requests: list[LeaseRequest] = []
    real: dict[int, int] = {}
    now = 0
    for number in range(1, leases + 1):
        now += 0 if at_once else chance.choice([0, 0, 0, 20, 100])
        duration = chance.choice([10, 30, 100, 101, 300, 900])
        nodes = chance.choice([1, 1, 2, 3, 5, HOSTS])
        memory_mb = chance.choice([500, 1000])
        requests.append(request(number, nodes, duration, now, memory_mb))
        real[number] = chance.choice([duration, chance.randint(1, duration)])
    settings = Settings(
        backfilling=Backfilling.INTERMEDIATE,
        backfilling_reservations=chance.choice([2, 3, 5]),
        suspension=chance.choice([Suspension.NONE, Suspension.ALL]),
    )
    site = Site.uniform(ResourceTypes(), HOSTS, CPU)
    return Case(site, tuple(requests), real, settings)


def everybody(self: Counting, profile: Profile, limit: int) -> list[Lease]:
    """All that wait, as if nothing were known of who may start."""
    return list(self._schedule.waiting)


@pytest.mark.parametrize("seed", range(25))
def test_decisions_are_those_of_a_look_at_all_who_wait(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = queue(seed, 80)
    quick = play(case)
    monkeypatch.setattr(Counting, "_in_order", everybody)
    thorough = play(case)
    assert quick.decisions == thorough.decisions
    assert len(quick.stories) == 80


@pytest.mark.parametrize("leases", [100, 400])
def test_few_are_looked_at_however_many_wait(leases: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    really = Counting._look_at

    def counted(self: Counting, lease: Lease, profile: Profile, improve: bool) -> None:
        nonlocal looks
        looks += 1
        really(self, lease, profile, improve)

    monkeypatch.setattr(Counting, "_look_at", counted)
    play(queue(1, leases, at_once=True))
    assert looks < 12 * leases, "each look at the queue is at about as many"


LEASES = st.lists(
    st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(1, 40)), st.sampled_from([1, 2])),
    max_size=12,
)


@tries(200)
@given(
    made=LEASES,
    room=st.lists(st.integers(0, 40), min_size=4, max_size=4),
    first=st.integers(0, 12),
)
def test_who_is_done_while_there_is_room(
    made: list[tuple[int, int | None, int]], room: list[int], first: int
) -> None:
    """Each that is answered takes a second of what there is, and may leave the line."""
    line, lasting = Line(), sorted(room, reverse=True)
    leases: list[Lease] = []
    for number, (nodes, duration, memory_mb) in enumerate(made, 1):
        asked = request(number, nodes, duration, memory_mb=memory_mb)
        leases.append(Lease(asked, Demand(asked)))
        line.add(leases[-1])
    expected, left = list[int](), list(lasting)
    for lease in leases[first:]:
        if left[lease.demand.count - 1] >= lease.remaining:
            expected.append(lease.id)
            left = [max(0, seconds - 1) for seconds in left]
    found = list[int]()
    for lease in done_within(line, first, lasting):
        found.append(lease.id)
        lasting[:] = [max(0, seconds - 1) for seconds in lasting]
        if lease.id % 2:
            line.discard(lease)
    assert found == expected
    line.check()


def done_within(line: Line, first: int, lasting: list[int]) -> Iterator[Lease]:
    return line.done_within(((), first), lambda count: lasting[count - 1])


def test_the_next_in_line() -> None:
    line = Line()
    assert line.after(None) is None
    leases = [Lease(asked, Demand(asked)) for asked in (request(n, 1, 10) for n in (1, 2, 4))]
    for lease in leases:
        line.add(lease)
    assert line.after(None) is leases[0]
    assert line.after(leases[0].key) is leases[1]
    line.discard(leases[1])
    assert line.after(leases[0].key) is leases[2]
    assert line.after(leases[1].key) is leases[2]
    assert line.after(leases[2].key) is None


def test_room_that_is_never_less_lasts_for_ever() -> None:
    profile = Profile(100, 5, [(130, 2)])
    profile.take(150, 170, 4)
    assert [profile.lasts(count) for count in range(1, 7)] == [FOREVER, 50, 50, 0, 0, 0]
