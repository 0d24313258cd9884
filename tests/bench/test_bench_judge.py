"""The judge of the benches says what trying every assignment says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from bench.judge import Node, Task, can_be_kept, witness
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.resources import Capacity

CAPACITIES = st.lists(st.sampled_from([(4, 4), (4, 6), (6, 5)]), min_size=1, max_size=3)
SIZES = st.sampled_from([(1, 1), (2, 1), (2, 2), (3, 2), (1, 3), (4, 4)])


@st.composite
def _nodes(draw: st.DrawFn) -> Node:
    start = draw(st.integers(0, 4))
    return Node(
        start,
        start + draw(st.integers(1, 4)),
        draw(SIZES),
        allowed=draw(st.sampled_from([EVERYWHERE, EVERYWHERE, 0b11, 0b101])),
        apart=draw(st.sampled_from(["", "", "a"])),
    )


def _all_fit(capacities: Sequence[Capacity], nodes: Sequence[Node], hosts: Sequence[int]) -> bool:
    for moment, (host, capacity) in product(range(9), enumerate(capacities)):
        there = [n for n, h in zip(nodes, hosts, strict=True) if h == host]
        there = [n for n in there if n.start <= moment < n.end]
        taken = [sum(n.size[kind] for n in there) for kind in range(len(capacity))]
        if any(part > has for part, has in zip(taken, capacity, strict=True)):
            return False
        if sum(n.apart == "a" for n in there) > 1:
            return False
    return all(n.allowed >> h & 1 for n, h in zip(nodes, hosts, strict=True))


@tries(300)
@given(CAPACITIES, st.lists(_nodes(), min_size=3, max_size=6))
def test_the_judge_finds_room_just_where_there_is_some(
    capacities: list[Capacity], nodes: list[Node]
) -> None:
    every = product(range(len(capacities)), repeat=len(nodes))
    possible = any(_all_fit(capacities, nodes, hosts) for hosts in every)
    found = witness(capacities, nodes)
    assert (found is not None) == possible
    assert found is None or _all_fit(capacities, nodes, found)


@pytest.mark.parametrize("hosts", [5, 6])
def test_nodes_of_more_than_half_need_a_host_each(hosts: int) -> None:
    begun = Node(0, 50, (1, 1), 0)
    nodes = [begun, *[Node(5 * i, 5 * i + 40, (3, 3)) for i in range(6)]]
    found = witness([(4, 4)] * hosts, nodes)
    assert (found is not None) == (hosts == 6)
    assert found is None or found[0] == 0


@st.composite
def _task(draw: st.DrawFn) -> Task:
    first = draw(st.integers(0, 3))
    sizes = draw(st.lists(SIZES, min_size=1, max_size=2))
    last, seconds = first + draw(st.integers(0, 2)), draw(st.integers(1, 3))
    return Task(first, last, seconds, tuple(sizes))


@tries(150)
@given(CAPACITIES, st.lists(_task(), min_size=2, max_size=3))
def test_the_judge_finds_starts_just_where_there_are_some(
    capacities: list[Capacity], tasks: list[Task]
) -> None:
    possible = False
    for starts in product(*[range(task.first, task.last + 1) for task in tasks]):
        nodes = [
            Node(start, start + task.seconds, size)
            for start, task in zip(starts, tasks, strict=True)
            for size in task.sizes
        ]
        possible = possible or witness(capacities, nodes) is not None
    assert can_be_kept(capacities, tasks) == possible


def test_more_large_nodes_than_hosts_are_counted() -> None:
    """Else the solver tries one after another of the orders in which they may be on hosts."""
    asked = [Task(0, 39, 40, ((3, 3),)) for _ in range(11)]
    beside = [Task(0, 39, 40, ((1, 1),)) for _ in range(5)]
    assert not can_be_kept([(4, 4)] * 10, [*asked, *beside], seconds=0.05)


def test_nodes_as_large_as_several_kinds_of_hosts_need_hosts_as_large() -> None:
    """Nodes are counted only where all hosts and nodes are alike."""
    large, small = Task(0, 0, 9, ((4, 4),)), Task(0, 0, 9, ((2, 2),))
    assert can_be_kept([(4, 4), (2, 2), (2, 2)], [large, small])
    assert not can_be_kept([(4, 4), (2, 2), (2, 2)], [large, large, small])
