"""Counters: both averages against what their definitions say."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.accounting.counter import Counter


def rows_of(counter: Counter) -> list[list[object]]:
    """Name, time, lease, value and averages."""
    leases = counter.names_leases
    flat, width = counter.drain(), 5 if leases else 4
    rows = [flat[i : i + width] for i in range(0, len(flat), width)]
    return [[counter.name, row[0], row[1] if leases else None, *row[-3:]] for row in rows]


def weighted_oracle(points: list[tuple[int, int]], until: int) -> Fraction:
    """The area below the steps, step by step, over the time they take."""
    start = points[0][0]
    if until == start:
        return Fraction([v for t, v in points if t <= until][-1])
    ends = [t for t, _ in points[1:]] + [until]
    area = sum(v * (end - t) for (t, v), end in zip(points, ends, strict=True))
    return Fraction(area, until - start)


@st.composite
def series(draw: st.DrawFn) -> list[tuple[int, int]]:
    gaps = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
    values = draw(st.lists(st.integers(-(10**9), 10**9), min_size=len(gaps), max_size=len(gaps)))
    start = draw(st.integers(0, 2**33))
    times = [start + sum(gaps[1 : i + 1]) for i in range(len(gaps))]
    return list(zip(times, values, strict=True))


@given(series(), st.integers(0, 5000))
def test_averages_of_whole_numbers_are_exact(points: list[tuple[int, int]], more: int) -> None:
    counter = Counter("x")
    for time, value in points:
        counter.add(time, value)
    for i, row in enumerate(rows_of(counter)):
        so_far = points[: i + 1]
        time, value = so_far[-1]
        average = Fraction(sum(v for _, v in so_far), len(so_far))
        assert row == ["x", time, None, value, float(average), float(weighted_oracle(so_far, time))]
    end = points[-1][0] + more
    assert counter.weighted(end) == float(weighted_oracle(points, end))
    assert counter.average() == float(Fraction(sum(v for _, v in points), len(points)))


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 1)), min_size=1, max_size=40))
def test_averages_of_shares_are_right(steps: list[tuple[int, float]]) -> None:
    counter = Counter("share")
    time = 0
    points: list[tuple[int, Fraction]] = []
    for gap, value in steps:
        time += gap
        counter.add(time, value)
        points.append((time, Fraction(value)))
    end = time + 10
    ends = [t for t, _ in points[1:]] + [end]
    area = sum(v * (e - t) for (t, v), e in zip(points, ends, strict=True))
    expected = float(area / (end - points[0][0]))
    assert counter.weighted(end) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(0, 3), max_size=50))
def test_a_level_has_a_row_only_where_it_changes(levels: list[int]) -> None:
    counter = Counter("level")
    for time, level in enumerate(levels):
        counter.set(time, level)
    values = [row[3] for row in rows_of(counter)]
    assert values == [v for i, v in enumerate(levels) if i == 0 or v != levels[i - 1]]


def test_nothing_has_no_average() -> None:
    counter = Counter("x")
    assert counter.average() is None
    assert counter.weighted(5) is None
    assert counter.drain() == []


def test_rows_are_drained_once_and_averages_go_on() -> None:
    counter = Counter("x")
    counter.add(0, 2, lease=7)
    assert rows_of(counter) == [["x", 0, 7, 2, 2, 2]]
    counter.add(10, 4)
    assert rows_of(counter) == [["x", 10, None, 4, 3, 2]]


def test_time_does_not_go_back() -> None:
    counter = Counter("x")
    counter.add(10, 1)
    with pytest.raises(AssertionError, match="time does not go back"):
        counter.add(9, 1)
