"""The mapper: the hosts that it takes, and that it never takes what is not there."""

from __future__ import annotations

from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import Host, host_set
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import FOREVER, Capacity, add, copies, fits, subtract
from haizea.core.placement.mapper import Demand, GreedyMapper, fits_site
from haizea.core.placement.packing import first_fit, largest_first
from haizea.policies.host_selection import Greedy, NoPolicy

SIZES = st.tuples(st.integers(1, 4), st.integers(0, 4))
HOLDS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(0, 5), SIZES), max_size=10
)


@st.composite
def tables(draw: st.DrawFn) -> SlotTable:
    """Up to six hosts of two sizes, and holds on single hosts."""
    capacities = draw(st.lists(st.sampled_from([(4, 4), (8, 6)]), min_size=1, max_size=6))
    table = SlotTable([Host(i, f"h{i}", c) for i, c in enumerate(capacities)], 0)
    for start, length, host, amount in draw(HOLDS):
        use = ((host, amount),)
        if host < len(capacities) and table.fits_on(use, start, start + length):
            table.reserve(start, start + length, use, 1)
    return table


def asked(*nodes: NodeSet) -> LeaseRequest:
    return LeaseRequest(id=9, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=5)


def most_wanted(table: SlotTable, start: int) -> list[int]:
    """Hosts in the documented order: leases on them, longest unchanged, identifier."""

    def key(host: int) -> tuple[int, int, int]:
        holds = table.holds_on(host)
        there = [h for h in holds if h.start <= start < h.end]
        changes = [h.end for h in there] + [h.start for h in holds if h.start > start]
        return len(there), -min(changes, default=FOREVER), host

    return sorted(range(len(table.capacities)), key=key)


def taken_in(order: list[int], table: SlotTable, size: Capacity, count: int, end: int) -> list[int]:
    hosts: list[int] = []
    for host in order:
        free = table.least_free(host, 0, end)
        hosts += [host] * min(copies(size, free, count), count - len(hosts))
    return hosts


@tries(300)
@given(tables(), SIZES, st.integers(1, 8), st.integers(1, 12), st.sets(st.integers(0, 5)))
def test_equal_nodes_go_to_the_preferred_hosts_first(
    table: SlotTable, size: Capacity, count: int, end: int, prefer: set[int]
) -> None:
    request = asked(NodeSet(count, size))
    demand = Demand(request)
    levels = table.room(size, 0, end)
    order = most_wanted(table, 0)
    by_image = sorted(order, key=lambda host: host not in prefer)
    by_number = list(range(len(order)))
    for selection, preferred, expected in (
        (Greedy(), 0, order),
        (Greedy(), host_set(prefer), by_image),
        (NoPolicy(), 0, by_number),
    ):
        hosts = GreedyMapper(selection).choose(table, request, demand, levels, 0, preferred)
        wanted = taken_in(expected, table, size, count, end)
        assert hosts == (tuple(wanted) if len(wanted) == count else None)
        if hosts is not None:
            assert table.fits_on(demand.use(hosts), 0, end)


@tries(300)
@given(tables(), st.lists(SIZES, min_size=1, max_size=5), st.integers(1, 12))
def test_unequal_nodes_get_what_they_ask_for(
    table: SlotTable, sizes: list[Capacity], end: int
) -> None:
    request = asked(*[NodeSet(1, size) for size in sizes])
    demand = Demand(request)
    hosts = GreedyMapper(Greedy()).pack(table, request, demand, 0, end)
    if hosts is not None:
        assert len(hosts) == len(sizes)
        assert table.fits_on(demand.use(hosts), 0, end)
    elif len(sizes) == 1:
        assert not any(
            table.fits_on(((h, sizes[0]),), 0, end) for h in range(len(table.capacities))
        )


@tries(200)
@given(st.lists(SIZES, min_size=1, max_size=6), st.lists(SIZES, min_size=1, max_size=4))
def test_first_fit(sizes: list[Capacity], capacities: list[Capacity]) -> None:
    free = dict(enumerate(capacities))
    hosts = first_fit(largest_first(sizes), list(free), free.copy())
    left = free.copy()
    if hosts is not None:
        for host, size in zip(hosts, sizes, strict=True):
            left[host] = subtract(left[host], size)
        assert all(min(amounts) >= 0 for amounts in left.values())
    else:
        total: Capacity = (0, 0)
        for size in sizes:
            total = add(total, size)
        # Whatever fits on one host is found there.
        assert not any(fits(total, capacity) for capacity in capacities)


@tries(200)
@given(st.lists(SIZES, min_size=1, max_size=12), st.lists(SIZES, min_size=1, max_size=4))
def test_first_fit_asks_host_by_host_for_each_node(
    sizes: list[Capacity], capacities: list[Capacity]
) -> None:
    left = dict(enumerate(capacities))
    expected: list[int | None] = [None] * len(sizes)
    for node in sorted(
        range(len(sizes)), key=lambda i: (-sum(sizes[i]), [-n for n in sizes[i]], i)
    ):
        expected[node] = next((h for h, free in left.items() if fits(sizes[node], free)), None)
        host = expected[node]
        if host is not None:
            left[host] = subtract(left[host], sizes[node])
    found = first_fit(largest_first(sizes), range(len(capacities)), dict(enumerate(capacities)))
    assert found == (None if None in expected else tuple(expected))


def test_shut_hosts_get_no_nodes_of_several_sizes() -> None:
    table = SlotTable([Host(i, f"h{i}", (4, 4)) for i in range(2)], 0)
    table.shut = 1
    request = asked(NodeSet(1, (2, 2)), NodeSet(1, (1, 1)))
    assert GreedyMapper(Greedy()).pack(table, request, Demand(request), 0, 5) == (1, 1)


def test_what_never_fits_the_site() -> None:
    capacities: list[Capacity] = [(4, 4), (8, 4)]
    assert fits_site(Demand(asked(NodeSet(3, (4, 2)))), capacities)
    assert not fits_site(Demand(asked(NodeSet(4, (4, 2)))), capacities)
    assert fits_site(Demand(asked(NodeSet(1, (8, 4)), NodeSet(1, (4, 4)))), capacities)
    assert not fits_site(Demand(asked(NodeSet(2, (8, 4)), NodeSet(1, (1, 1)))), capacities)
