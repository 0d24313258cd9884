"""Counting at single moments never says no where a packing is known."""

from __future__ import annotations

from collections.abc import Sequence

from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import Host
from haizea.core.model.resources import Capacity
from haizea.core.placement.canvas import Canvas, Unit
from haizea.core.placement.counting import cannot_be_packed
from haizea.core.placement.plan import Lease

HOST = (400, 4096)


class Nobody:
    """Nothing on the table may be moved."""

    def movable(self, owner: int) -> Lease | None:
        return None

    def keeps_apart(self, lease: Lease) -> bool:
        return False


def unit(size: Capacity, start: int = 0, end: int = 10) -> Unit:
    made = Unit(start, end, size, -1)
    made.nodes = (0,)
    return made


def refused(
    capacities: Sequence[Capacity], asked: list[Unit], fixed: list[tuple[int, int]]
) -> bool:
    """Count, with ``fixed`` of so much CPU on a host from 0 to 10."""
    hosts = [Host(i, f"host-{i}", capacity) for i, capacity in enumerate(capacities)]
    table = SlotTable(hosts, 0)
    for owner, (host, cpu) in enumerate(fixed, 1):
        table.reserve(0, 10, ((host, (cpu, 0)),), owner)
    canvas = Canvas(table, Nobody())
    return cannot_be_packed(canvas, list(range(len(capacities))), asked, 0, 10)


def test_a_whole_host_is_not_made_of_two_halves() -> None:
    assert refused([HOST, HOST], [unit((400, 1))], [(0, 200), (1, 200)])
    assert not refused([HOST, HOST], [unit((400, 1))], [(0, 200), (0, 200)])


def test_hosts_that_no_sum_of_sizes_fills_have_less_room() -> None:
    # Sums of 300 and 150 fill 450 of each host: 1,050 are too much, although hosts have 1,180.
    asked = [unit((cpu, 1)) for cpu in (300, 300, 150, 150)]
    hosts = [(590, 4096)] * 2
    assert not refused(hosts, asked, [])
    assert refused(hosts, [*asked, unit((150, 1))], [])


def test_large_nodes_need_a_part_each() -> None:
    assert not refused([HOST] * 3, [unit((300, 1))] * 3, [])
    assert refused([HOST] * 3, [unit((300, 1))] * 4, [])


def test_what_is_at_another_moment_does_not_count() -> None:
    assert not refused([HOST], [unit(HOST, 0, 5), unit(HOST, 5, 10)], [])
    assert refused([HOST], [unit(HOST, 0, 6), unit(HOST, 5, 10)], [])


SIZES = st.tuples(st.integers(1, 4), st.integers(0, 4))


@tries(200)
@given(packed=st.lists(st.lists(SIZES, max_size=5), min_size=1, max_size=4))
def test_what_was_packed_is_never_refused(packed: list[list[tuple[int, int]]]) -> None:
    """Hosts are as large as what is on them: that it fits is known."""
    capacities = [
        (100 * sum(c for c, _ in there), 512 * sum(m for _, m in there)) for there in packed
    ]
    asked = [unit((100 * c, 512 * m)) for there in packed for c, m in there]
    assert not refused(capacities, asked, [])
