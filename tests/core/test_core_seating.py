"""Starts and hosts found at once, by the second and beside the exact judge."""

from __future__ import annotations

from random import Random

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from played_leases import lease, on_hosts
from test_core_counting import Nobody

from bench.judge import Task, can_be_kept
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.events import LeaseSubmitted, StateChanged
from haizea.core.model.hosts import Host
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.settings import Settings
from haizea.core.placement.canvas import Canvas
from haizea.core.placement.mapper import Demand
from haizea.core.placement.seating import Guest, Seating

Spec = tuple[int, int, int, int, int]
LOOKS = 20_000


def seating(
    hosts: list[int], held: list[tuple[int, int, int, int]], specs: list[Spec], apart: bool = False
) -> tuple[Seating, list[Guest]]:
    """Guests of a window, a length, nodes and cores, on hosts of so many cores."""
    sizes = [(100 * cores, 1024 * cores) for cores in hosts]
    table = SlotTable([Host(i, f"host-{i + 1}", size) for i, size in enumerate(sizes)], 0)
    for host, start, seconds, cores in held:
        size = (100 * cores, 1024 * cores)
        if table.fits_on(((host, size),), start, start + seconds):
            table.reserve(start, start + seconds, ((host, size),), 100)
    canvas, guests = Canvas(table, Nobody()), []
    for place, (first, slack, seconds, nodes, cores) in enumerate(specs):
        asked = lease(place + 1, Kind.BEST_EFFORT, duration=seconds, nodes=nodes, cpu=100 * cores)
        units = canvas.units(place + 1, Demand(asked), (), first, first + seconds)
        for unit in units if apart else ():
            unit.foes = (1 << nodes) - 1 & ~(1 << unit.place)
        guests.append(Guest(first, first + slack, seconds, units))
    return Seating(canvas, [*range(len(hosts))], guests), guests


def assert_kept(
    hosts: list[int], held: list[tuple[int, int, int, int]], guests: list[Guest], starts: list[int]
) -> None:
    table_held = list[tuple[int, int, int, int]]()
    for host, start, seconds, cores in held:
        there = [*table_held, (host, start, seconds, cores)]
        if all(used(there, host, t) <= hosts[host] for t in range(start, start + seconds)):
            table_held = there
    placed = [
        (unit.host, start, guest.seconds, unit.size[0] // 100)
        for guest, start in zip(guests, starts, strict=True)
        for unit in guest.units
    ]
    for guest, start in zip(guests, starts, strict=True):
        assert guest.first <= start <= guest.last
    begin = {*starts, *[start for _, start, _, _ in table_held]}
    for host, cores in enumerate(hosts):
        for t in begin:
            assert used([*table_held, *placed], host, t) <= cores


def used(there: list[tuple[int, int, int, int]], host: int, t: int) -> int:
    return sum(c for h, s, n, c in there if h == host and s <= t < s + n)


specs = st.tuples(
    st.integers(0, 12), st.integers(0, 12), st.integers(1, 8), st.integers(1, 3), st.integers(1, 4)
)


@tries(200)
@given(
    hosts=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    held=st.lists(
        st.tuples(st.just(0), st.integers(0, 10), st.integers(1, 8), st.integers(1, 3)), max_size=3
    ),
    asked=st.lists(specs, min_size=1, max_size=6),
    apart=st.booleans(),
)
def test_whoever_is_seated_is_in_its_window_on_hosts_with_room(
    hosts: list[int], held: list[tuple[int, int, int, int]], asked: list[Spec], apart: bool
) -> None:
    found, guests = seating(hosts, held, asked, apart)
    starts, left = found.find(LOOKS)
    assert left <= LOOKS
    if starts is not None:
        assert_kept(hosts, held, guests, starts)
        for guest in guests:
            there = [unit.host for unit in guest.units]
            assert not apart or len(set(there)) == len(there)


def test_hardly_anyone_is_left_standing_whom_the_judge_seats() -> None:
    chance, hosts, could, missed = Random(4), [4, 4, 2], 0, 0
    for _ in range(150):
        asked = [
            (
                chance.randint(0, 12),
                chance.choice((0, chance.randint(0, 12))),
                chance.randint(2, 8),
                chance.randint(1, 2),
                chance.randint(1, 3),
            )
            for _ in range(8)
        ]
        tasks = [
            Task(first, first + slack, seconds, ((100 * cores, 1024 * cores),) * nodes)
            for first, slack, seconds, nodes, cores in asked
        ]
        sizes = [(100 * cores, 1024 * cores) for cores in hosts]
        if can_be_kept(sizes, tasks):
            could += 1
            missed += seating(hosts, [], asked)[0].find(LOOKS)[0] is None
    assert could >= 50
    assert missed <= 0.02 * could


def test_hosts_that_are_not_the_fullest_are_tried_too() -> None:
    """No order that is tried with ten times the looks seats these on the fullest hosts alone."""
    held = [(3, 0, 576, 1), (0, 0, 829, 4), (1, 0, 829, 4), (2, 0, 829, 4)]
    held += [(3, 0, 576, 1)] * 2
    asked = [
        *[(5515, 0, 915, 1, 1), (0, 1022, 990, 2, 4), (1616, 0, 480, 2, 1), (0, 1087, 836, 2, 1)],
        *[(0, 896, 1668, 3, 2), (205, 2527, 1017, 3, 2), (1039, 1603, 1223, 3, 1)],
        *[(3217, 1792, 812, 2, 1), (3415, 1081, 1536, 2, 3), (3360, 0, 1384, 1, 2)],
        *[(2740, 0, 1663, 3, 1), (3053, 0, 1378, 1, 4), (4515, 1175, 556, 1, 1)],
        *[(4167, 979, 509, 1, 3), (5305, 0, 747, 3, 1), (2084, 3144, 849, 3, 3)],
        *[(2286, 2563, 1194, 1, 4), (1784, 1408, 387, 2, 1), (6796, 2416, 1783, 3, 2)],
    ]
    found, guests = seating([4] * 4, held, asked)
    starts, _ = found.find(144_000)
    assert starts is not None
    assert_kept([4] * 4, held, guests, starts)


def test_a_search_takes_no_more_looks_than_it_may() -> None:
    asked = [(0, 10, 5, 2, 3)] * 12
    for looks in (0, 50, 1000):
        starts, left = seating([4, 4, 4], [], asked)[0].find(looks)
        assert starts is None
        assert 0 <= left <= looks


def test_one_that_fits_nowhere_alone_ends_the_search() -> None:
    starts, left = seating([4], [(0, 0, 20, 3)], [(0, 5, 5, 1, 2), (0, 30, 5, 1, 1)])[0].find(LOOKS)
    assert starts is None
    assert left > LOOKS // 2


# --- through the scheduler ----------------------------------------------------------------


def all_of_a_plan(chance: Random, hosts: int, seconds: int) -> list[LeaseRequest]:
    """ARs and leases with deadlines that fill hosts of 4 cores, for there is a plan for all."""
    free = {(h, t): 4 for h in range(hosts) for t in range(seconds)}
    found = list[LeaseRequest]()
    for _ in range(2500):
        nodes, cores, length = chance.randint(1, 2), chance.randint(1, 4), chance.randint(3, 12)
        start = chance.randint(1, seconds - length)
        time = range(start, start + length)
        there = [h for h in range(hosts) if all(free[h, t] >= cores for t in time)][:nodes]
        if len(there) < nodes:
            continue
        for place in [(h, t) for h in there for t in time]:
            free[place] -= cores
        sooner, later = chance.randint(0, 6), chance.randint(0, 6)
        windowed = chance.random() < 0.5
        found.append(
            lease(
                len(found) + 1,
                Kind.DEADLINE if windowed else Kind.AR,
                None if windowed else start,
                after=max(1, start - sooner) if windowed else None,
                deadline=start + length + later if windowed else None,
                duration=length,
                nodes=nodes,
                cpu=100 * cores,
            )
        )
    chance.shuffle(found)
    return found


@pytest.mark.slow
def test_of_all_that_one_plan_has_room_for_hardly_any_is_refused() -> None:
    asked_for = refused = 0
    for seed in range(5):
        made = on_hosts(6, "no-preemption")
        for request in all_of_a_plan(Random(seed), 6, 90):
            decisions = made.handle(0, [LeaseSubmitted(request)]).decisions
            states = [d.new for d in decisions if isinstance(d, StateChanged)]
            asked_for, refused = asked_for + 1, refused + (State.REJECTED in states)
        made.check()
    assert asked_for > 600
    assert refused <= 1


def test_all_effort_is_taken_where_everybody_with_a_deadline_is_in_the_way() -> None:
    made = on_hosts(2, "no-preemption", Settings(remapping_effort=10))
    for lease_id in (1, 2, 3, 4):
        small = lease(lease_id, Kind.DEADLINE, after=10, deadline=1000, duration=100, cpu=150)
        made.handle(0, [LeaseSubmitted(small)])
    asked = lease(5, Kind.AR, 10, duration=100, cpu=200)
    decisions = made.handle(0, [LeaseSubmitted(asked)]).decisions
    accepted = [d.new for d in decisions if isinstance(d, StateChanged) and d.lease_id == 5]
    assert State.REJECTED not in accepted
    made.check()
