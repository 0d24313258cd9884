"""Starts in windows, beside trying every order."""

from __future__ import annotations

from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from played_leases import lease

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import Host
from haizea.core.model.lease import Kind
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease
from haizea.core.placement.timing import Timing, Window

HOSTS = 3
HORIZON = 40
Spec = tuple[int, int, int, int]


def window(place: int, spec: Spec) -> Window:
    first, slack, seconds, nodes = spec
    asked = lease(place + 1, Kind.BEST_EFFORT, duration=seconds, nodes=nodes, cpu=400)
    return Window(Lease(asked, Demand(asked)), first, first + slack, seconds)


def table_with(held: list[tuple[int, int]]) -> SlotTable:
    table = SlotTable([Host(i, f"host-{i + 1}", (400, 1024)) for i in range(HOSTS)], 0)
    for host, (start, seconds) in enumerate(held):
        table.reserve(start, start + seconds, ((host, (400, 1024)),), 100 + host)
    return table


def free_hosts(held: list[tuple[int, int]]) -> list[int]:
    return [HOSTS - sum(s <= t < s + n for s, n in held) for t in range(HORIZON)]


def fits_in_some_order(held: list[tuple[int, int]], windows: list[Window]) -> bool:
    for order in permutations(windows):
        free = free_hosts(held)
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
    assert (starts is not None) == fits_in_some_order(held, windows)
    if starts is not None:
        assert left > 0
        assert_kept(free_hosts(held), windows, starts)


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
