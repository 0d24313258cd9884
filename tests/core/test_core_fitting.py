"""Nodes that may not run everywhere: what brute force finds on small sites, the core finds."""

from __future__ import annotations

from itertools import product

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hostrules import (
    AllowedRecord,
    HostRules,
    allowed_hosts,
    allowed_record,
    cliques,
    permits,
)
from haizea.core.model.hosts import EVERYWHERE, Host, HostSet, hosts_in
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import Capacity, add, fits
from haizea.core.placement.fitting import Blocks
from haizea.core.placement.mapper import Demand, GreedyMapper
from haizea.policies.host_selection import Greedy

CAPACITIES: st.SearchStrategy[Capacity] = st.sampled_from([(100, 100), (200, 100), (50, 200)])
SITES = st.lists(CAPACITIES, min_size=1, max_size=4)
SIZES: st.SearchStrategy[Capacity] = st.sampled_from([(50, 50), (100, 50), (100, 100), (25, 0)])


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[Capacity], HostRules]:
    """Up to five nodes, half the time of one size, with rules."""
    count = draw(st.integers(1, 5))
    sizes = draw(st.lists(SIZES, min_size=count, max_size=count))
    if draw(st.booleans()):
        sizes = sizes[:1] * count
    some = st.lists(st.integers(0, count - 1), unique=True, max_size=count).map(tuple)
    return sizes, HostRules(
        allowed=tuple(draw(st.lists(st.integers(1, 15), min_size=count, max_size=count))),
        together=tuple(draw(st.lists(some, max_size=2))) if draw(st.booleans()) else (),
        apart=tuple(draw(st.lists(some, max_size=2))) if draw(st.booleans()) else (),
    )


def room_for(sizes: list[Capacity], hosts: tuple[int, ...], site: list[Capacity]) -> bool:
    total: dict[int, Capacity] = {}
    for size, host in zip(sizes, hosts, strict=True):
        total[host] = add(total.get(host, (0, 0)), size)
    return all(fits(held, site[host]) for host, held in total.items())


def by_force(sizes: list[Capacity], rules: HostRules, site: list[Capacity]) -> bool:
    """Tell whether there is any way at all, rules spelled out once more."""
    for hosts in product(range(len(site)), repeat=len(sizes)):
        if not all(rules.allowed[i] >> host & 1 for i, host in enumerate(hosts)):
            continue
        if any(len({hosts[i] for i in nodes}) > 1 for nodes in rules.together):
            continue
        if any(len({hosts[i] for i in nodes}) < len(nodes) for nodes in rules.apart):
            continue
        if room_for(sizes, hosts, site):
            return True
    return False


@pytest.mark.slow
@tries(1500)
@given(SITES, asked(), st.randoms(use_true_random=False))
def test_a_place_is_found_wherever_there_is_one(
    site: list[Capacity], nodes: tuple[list[Capacity], HostRules], rng: object
) -> None:
    sizes, rules = nodes
    order = list(range(len(site)))
    rng.shuffle(order)  # type: ignore[attr-defined]
    free = dict(enumerate(site))
    hosts = Blocks(sizes, rules).fit(order, free)
    assert free == dict(enumerate(site))
    assert (hosts is not None) == by_force(sizes, rules, site)
    if hosts is not None:
        assert list(rules.broken_by(hosts)) == []
        assert by_force(sizes, HostRules(allowed=tuple(1 << h for h in hosts)), site)


@tries(200)
@given(
    SITES, asked(), st.lists(st.tuples(st.integers(0, 3), SIZES), max_size=3), st.integers(0, 15)
)
def test_the_mapper_takes_what_is_free_and_open_only(
    site: list[Capacity],
    nodes: tuple[list[Capacity], HostRules],
    held: list[tuple[int, Capacity]],
    shut: HostSet,
) -> None:
    sizes, rules = nodes
    table = SlotTable([Host(i, f"h{i}", c) for i, c in enumerate(site)], 0)
    table.shut = shut
    for host, amount in held:
        use = ((host, amount),)
        if host < len(site) and table.fits_on(use, 0, 5):
            table.reserve(0, 5, use, 1)
    sets = tuple(NodeSet(1, size) for size in sizes)
    request = LeaseRequest(id=9, submitted=0, kind=Kind.BEST_EFFORT, nodes=sets, duration=5)
    demand = Demand(request, rules)
    assert demand.size is None
    hosts = GreedyMapper(Greedy()).pack(table, request, demand, 0, 5)
    free = [table.least_free(host, 0, 5) for host in range(len(site))]
    open_there = [c if not shut >> i & 1 else (-1, -1) for i, c in enumerate(free)]
    assert (hosts is not None) == by_force(sizes, rules, open_there)
    if hosts is not None:
        assert demand.permits(hosts)
        assert room_for(sizes, hosts, open_there)


def test_a_long_chain_of_nodes_moves_out_of_the_way() -> None:
    # Node i may be on host i and i + 1, and the last on none but host 0.
    count = 400
    allowed = [3 << i for i in range(count - 1)] + [1]
    hosts = Blocks([(1, 1)] * count, HostRules(allowed=tuple(allowed))).fit(
        range(count), dict.fromkeys(range(count), (1, 1))
    )
    assert hosts == (*range(1, count), 0)


def test_one_host_too_few_is_known_at_once() -> None:
    # Forty nodes for 39 hosts: trying all ways would take for ever.
    rules = HostRules(allowed=(EVERYWHERE,) * 40, apart=(tuple(range(40)),))
    sizes: list[Capacity] = [(1 + i % 3, 1) for i in range(40)]
    assert Blocks(sizes, rules).fit(range(39), dict.fromkeys(range(39), (9, 9))) is None
    found = Blocks(sizes, rules).fit(range(40), dict.fromkeys(range(40), (9, 9)))
    assert found is not None
    assert sorted(found) == list(range(40))


def test_a_search_without_end_is_given_up() -> None:
    # Three equal parts of these cannot be made, and no sum says so.
    sizes: list[Capacity] = [(17 + i * 7 % 11, 1) for i in range(30)]
    rules = HostRules(allowed=(EVERYWHERE,) * 30, apart=((0, 1),))
    room = sum(size[0] for size in sizes) // 3
    free = dict.fromkeys(range(3), (room, 10))
    hosts = Blocks(sizes, rules).fit(range(3), free)
    assert hosts is None or room_for(sizes, hosts, [(room, 10)] * 3)


def test_rules_that_say_nothing_are_one_set_of_hosts() -> None:
    assert allowed_hosts([5, 5], [[0]], [[1], []]) == 5
    assert allowed_hosts([5, 5], [[0, 1]]) == HostRules(allowed=(5, 5), together=((0, 1),))
    assert allowed_hosts([5, 4]) == HostRules(allowed=(5, 4))


@tries(200)
@given(asked(), st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_what_breaks_a_rule_is_named(
    nodes: tuple[list[Capacity], HostRules], where: list[int]
) -> None:
    rules = nodes[1]
    hosts = tuple(where[: len(rules.allowed)])
    told = list(rules.broken_by(hosts))
    assert permits(rules, hosts) == (not told)
    site: list[Capacity] = [(1, 1)] * 4
    there = tuple(1 << host & some for host, some in zip(hosts, rules.allowed, strict=True))
    fixed = HostRules(allowed=there, together=rules.together, apart=rules.apart)
    assert (not told) == by_force([(0, 0)] * len(hosts), fixed, site)


@tries(300)
@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n)
    )
)
def test_cliques_part_just_those_who_are_to_be_apart(drawn: list[set[int]]) -> None:
    foes: list[set[int]] = [set() for _ in drawn]
    for one, others in enumerate(drawn):
        for other in others - {one}:
            foes[one].add(other)
            foes[other].add(one)
    found = cliques(foes)
    pairs = {(a, b) for clique in found for a in clique for b in clique if a != b}
    assert pairs == {(a, b) for a, others in enumerate(foes) for b in others}


@tries(200)
@given(st.integers(-(1 << 200), 1 << 200))
def test_one_set_of_hosts_is_kept_as_it_is(hosts: int) -> None:
    record = allowed_record(hosts)
    assert (EVERYWHERE if record is None else record.allowed()) == hosts


@tries(200)
@given(asked())
def test_rules_are_kept_as_they_are(nodes: tuple[list[Capacity], HostRules]) -> None:
    record = allowed_record(nodes[1])
    assert record is not None
    assert record.allowed() == nodes[1]
    assert len(record.sets) == len(set(nodes[1].allowed))


@pytest.mark.parametrize(
    ("sets", "nodes"), [((), ()), (("x",), ()), (("ff",), (1,)), (("ff",), (-1,))]
)
def test_a_record_that_makes_no_sense_cannot_be_made(
    sets: tuple[str, ...], nodes: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"set of hosts|invalid literal"):
        AllowedRecord(sets=sets, nodes=nodes)


def test_sets_below_zero_are_all_hosts_but_some() -> None:
    record = allowed_record(~0b101)
    assert record is not None
    allowed = record.allowed()
    assert isinstance(allowed, int)
    assert hosts_in(allowed & 0b11111) == [1, 3, 4]
