"""Starts in windows, beside trying every order."""

from __future__ import annotations

from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from played_leases import lease, states

from bench.judge import Task, can_be_kept
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.events import LeaseSubmitted
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings
from haizea.core.placement.mapper import Demand
from haizea.core.placement.places import places_of
from haizea.core.placement.plan import Lease
from haizea.core.placement.timing import Timing, Window
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

HOSTS = 3
HORIZON = 40
Spec = tuple[int, int, int, int]


def window(place: int, spec: Spec, cpu: int = 400) -> Window:
    first, slack, seconds, nodes = spec
    asked = lease(place + 1, Kind.BEST_EFFORT, duration=seconds, nodes=nodes, cpu=cpu)
    return Window(Lease(asked, Demand(asked)), first, first + slack, seconds)


def table_with(held: list[tuple[int, int]]) -> SlotTable:
    table = SlotTable([Host(i, f"host-{i + 1}", (400, 1024)) for i in range(HOSTS)], 0)
    for host, (start, seconds) in enumerate(held):
        table.reserve(start, start + seconds, ((host, (400, 1024)),), 100 + host)
    return table


def free_hosts(held: list[tuple[int, int]]) -> list[int]:
    return [HOSTS - sum(s <= t < s + n for s, n in held) for t in range(HORIZON)]


def fits_in_some_order(room: list[int], windows: list[Window]) -> bool:
    for order in permutations(windows):
        free = room.copy()
        if all(put_in(free, asked) is not None for asked in order):
            return True
    return False


def put_in(free: list[int], asked: Window) -> int | None:
    count = asked.lease.demand.count
    for start in range(asked.first, asked.last + 1):
        span = range(start, start + asked.seconds)
        if all(free[t] >= count for t in span):
            for t in span:
                free[t] -= count
            return start
    return None


specs = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 6), st.integers(1, HOSTS))
spans = st.tuples(st.integers(0, 10), st.integers(1, 6))


@given(st.lists(spans, max_size=HOSTS), st.lists(specs, min_size=1, max_size=5))
def test_starts_are_found_where_some_order_finds_them(
    held: list[tuple[int, int]], asked: list[Spec]
) -> None:
    windows = [window(place, spec) for place, spec in enumerate(asked)]
    starts, left = Timing(table_with(held), windows).starts(3000)
    assert (starts is not None) == fits_in_some_order(free_hosts(held), windows)
    if starts is not None:
        assert left > 0
        assert_kept(free_hosts(held), windows, starts)


@given(
    cores=st.lists(st.integers(0, 7), min_size=1, max_size=3),
    size=st.integers(1, 4),
    held=st.lists(st.tuples(st.integers(0, 10), st.integers(1, 6), st.integers(1, 2)), max_size=3),
    asked=st.lists(specs, min_size=1, max_size=5),
)
def test_nodes_of_one_size_find_starts_where_some_order_of_their_places_finds_them(
    cores: list[int], size: int, held: list[tuple[int, int, int]], asked: list[Spec]
) -> None:
    hosts = [Host(i, f"host-{i + 1}", (100 * n, 99_999)) for i, n in enumerate(cores)]
    table, windows = SlotTable(hosts, 0), list[Window]()
    free = [sum(n // size for n in cores)] * HORIZON
    for host, (start, seconds, nodes) in zip(range(len(hosts)), held, strict=False):
        use = ((host, (100 * size * nodes, 1024 * nodes)),)
        if table.fits_on(use, start, start + seconds):
            table.reserve(start, start + seconds, use, 100 + host)
            for t in range(start, start + seconds):
                free[t] -= nodes
    windows = [window(place, spec, 100 * size) for place, spec in enumerate(asked)]
    places = places_of(table, [window.lease.demand for window in windows], 0, HORIZON)
    assert places is not None
    starts, _ = Timing(table, windows, places).starts(3000)
    assert (starts is not None) == fits_in_some_order(free, windows)
    if starts is not None:
        assert_kept(free, windows, starts)


def test_places_are_not_counted_where_they_would_not_say_everything() -> None:
    table = table_with([])
    small, large = window(0, (0, 5, 5, 1), 100), window(1, (0, 5, 5, 1), 200)
    alike = [small.lease.demand] * 2
    assert places_of(table, alike, 0, HORIZON) is not None
    assert places_of(table, [small.lease.demand, large.lease.demand], 0, HORIZON) is None
    table.reserve(10, 20, ((0, (200, 2048)),), 7)
    assert places_of(table, alike, 0, HORIZON) is not None, "two nodes of the same size"
    table.reserve(10, 20, ((1, (150, 1024)),), 8)
    assert places_of(table, alike, 0, HORIZON) is None
    assert places_of(table, alike, 20, HORIZON) is not None, "and nobody else later"


def assert_kept(free: list[int], windows: list[Window], starts: list[int]) -> None:
    for start, there in zip(starts, windows, strict=True):
        assert there.first <= start <= there.last
        for t in range(start, start + there.seconds):
            free[t] -= there.lease.demand.count
    assert min(free) >= 0


def full_windows(random: Random) -> list[Window]:
    """Windows around starts at which leases fill all hosts until the horizon."""
    free, found = free_hosts([]), list[Window]()
    for start in range(HORIZON):
        while free[start]:
            count, most = random.randint(1, min(2, free[start])), random.randint(2, 9)
            seconds = 0
            while start + seconds < HORIZON and seconds < most:
                if free[start + seconds] < count:
                    break
                free[start + seconds] -= count
                seconds += 1
            first = max(0, start - random.randint(0, 6))
            last = min(start + random.randint(0, 6), HORIZON - seconds)
            found.append(window(len(found), (first, last - first, seconds, count)))
    random.shuffle(found)
    return found


def test_starts_are_found_for_most_that_fill_all_hosts() -> None:
    found = 0
    for seed in range(40):
        windows = full_windows(Random(seed))
        starts, _ = Timing(table_with([]), windows).starts(5_000)
        if starts is not None:
            found += 1
            assert_kept(free_hosts([]), windows, starts)
    assert found >= 36


def site(cores: tuple[int, ...]) -> Scheduler:
    hosts = [Host(i, f"h{i + 1}", (100 * n, 99_999)) for i, n in enumerate(cores)]
    return Scheduler(Site(ResourceTypes(), tuple(hosts)), Settings(), make_policies(), 0)


def drawn(random: Random, lease_id: int) -> tuple[LeaseRequest, Task]:
    """A reservation or a lease with a deadline, of nodes of six cores, and its task."""
    seconds, nodes = random.randint(300, 1800), random.randint(1, 4)
    after = random.randint(60, 12_000)
    slack = random.choice((0, random.randint(1, 3600), random.randint(1, 7200)))
    task = Task(after, after + slack, seconds, ((600, 1024),) * nodes)
    return request(lease_id, after, slack or None, seconds, nodes, 600), task


def request(
    lease_id: int, first: int, slack: int | None, seconds: int, nodes: int, cpu: int
) -> LeaseRequest:
    """A lease with a deadline, which may begin later by ``slack``, or else a reservation."""
    if slack is None:
        return lease(lease_id, Kind.AR, first, duration=seconds, nodes=nodes, cpu=cpu)
    deadline = first + slack + seconds
    return lease(
        lease_id,
        Kind.DEADLINE,
        after=first,
        deadline=deadline,
        duration=seconds,
        nodes=nodes,
        cpu=cpu,
    )


def test_who_is_refused_beside_nodes_of_the_same_size_has_no_room_by_the_judge() -> None:
    random, scheduler = Random(0), site((16, 8, 16, 16))
    promised, refused = list[Task](), list[tuple[list[Task], Task]]()
    for lease_id in range(1, 60):
        asked, task = drawn(random, lease_id)
        found = states(scheduler.handle(0, [LeaseSubmitted(asked)]).decisions)
        if found[lease_id] is State.SCHEDULED:
            promised.append(task)
        else:
            refused.append(([*promised], task))
    scheduler.check()
    assert len(refused) >= 10
    capacities = [(100 * cores, 99_999) for cores in (16, 8, 16, 16)]
    # Those before had more room, and were harder to refuse.
    for before, task in refused[-8:]:
        assert not can_be_kept(capacities, [*before, task])


def test_who_has_no_freedom_is_refused_only_where_places_of_its_size_are_too_few() -> None:
    random, scheduler, places = Random(1), site((8,) * 6), 12
    promised = list[tuple[int, int, int]]()
    for lease_id in range(1, 46):
        seconds, nodes, start = (
            random.randint(300, 1800),
            random.randint(1, 2),
            random.randint(60, 7200),
        )
        end, slack = start + seconds, 0 if random.random() < 0.3 else None
        asked = request(lease_id, start, slack, seconds, nodes, 300)
        found = states(scheduler.handle(0, [LeaseSubmitted(asked)]).decisions)
        moments = [start, *[since for since, _, _ in promised if start < since < end]]
        most = max(sum(n for s, e, n in promised if s <= t < e) for t in moments)
        assert (found[lease_id] is State.SCHEDULED) == (most + nodes <= places), asked
        if most + nodes <= places:
            promised.append((start, end, nodes))
