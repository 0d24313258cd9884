"""Capacities, and sets of hosts against Python's own."""

from __future__ import annotations

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.hosts import Site, host_set, hosts_in, lowest
from haizea.core.model.resources import (
    ResourceTypes,
    UnknownResourceType,
    add,
    copies,
    fits,
    scale,
    subtract,
)

TYPES = ResourceTypes(("CPU", "Memory", "GPU"))
AMOUNTS = st.tuples(*[st.integers(0, 9)] * 3)
IDS = st.sets(st.integers(0, 200))


def test_types_that_are_not_named_get_nothing() -> None:
    assert TYPES.capacity({"Memory": 512}) == (0, 512, 0)
    assert TYPES.zero() == (0, 0, 0)
    assert TYPES.amount("Memory", (100, 512, 1)) == 512
    assert TYPES.amount("Disk", (100, 512, 1)) == 0
    assert TYPES.describe((100, 512, 1)) == "CPU:100 Memory:512 GPU:1"


def test_a_type_that_the_site_lacks_is_named() -> None:
    with pytest.raises(UnknownResourceType, match=r"no resource type 'Disk' .*CPU, Memory, GPU"):
        TYPES.capacity({"Disk": 1})


@tries(200)
@given(AMOUNTS, AMOUNTS)
def test_what_is_added_can_be_taken_away(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert subtract(add(a, b), b) == a
    assert fits(a, add(a, b))
    assert fits(a, b) == (min(subtract(b, a)) >= 0)


@tries(200)
@given(AMOUNTS, st.tuples(*[st.integers(-3, 30)] * 3), st.integers(0, 12))
def test_copies_are_as_many_as_fit(
    wanted: tuple[int, ...], free: tuple[int, ...], most: int
) -> None:
    expected = 0
    while expected < most and fits(scale(wanted, expected + 1), free):
        expected += 1
    assert copies(wanted, free, most) == expected


def test_a_uniform_site_has_equal_hosts_by_number() -> None:
    site = Site.uniform(TYPES, 3, (100, 512, 0))
    assert [(h.id, h.name, h.capacity) for h in site.hosts] == [
        (i, f"host-{i + 1}", (100, 512, 0)) for i in range(3)
    ]


@tries(200)
@given(IDS, IDS)
def test_host_sets_do_what_sets_do(a: set[int], b: set[int]) -> None:
    x, y = host_set(a), host_set(b)
    assert list(hosts_in(x)) == sorted(a)
    assert set(hosts_in(x & y)) == a & b
    assert set(hosts_in(x | y)) == a | b
    assert set(hosts_in(x & ~y)) == a - b
    assert x.bit_count() == len(a)


@tries(200)
@given(IDS, st.integers(0, 250))
def test_the_lowest_hosts(ids: set[int], count: int) -> None:
    if count:
        assert list(hosts_in(lowest(host_set(ids), count))) == sorted(ids)[:count]
