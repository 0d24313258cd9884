"""The channel against seconds that are simply counted."""

from __future__ import annotations

from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity.channel import Channel

HORIZON = 40
MOMENTS = st.integers(0, HORIZON)
LENGTHS = st.integers(1, 8)


@st.composite
def channels(draw: st.DrawFn) -> tuple[Channel, list[tuple[int, int]]]:
    """A channel and its busy intervals, after reserving, releasing and forgetting."""
    channel, busy = Channel(), list[tuple[int, int]]()
    for start, length in draw(st.lists(st.tuples(MOMENTS, LENGTHS), max_size=8)):
        end = start + length
        if all(end <= s or e <= start for s, e in busy):
            channel.reserve(start, end)
            busy.append((start, end))
    for interval in draw(st.lists(st.sampled_from(busy), unique=True)) if busy else ():
        channel.release(*interval)
        busy.remove(interval)
    channel.check()
    return channel, busy


def free(busy: list[tuple[int, int]], moment: int, length: int) -> bool:
    return not any(s <= t < e for t in range(moment, moment + length) for s, e in busy)


@tries(200)
@given(channels(), MOMENTS, LENGTHS)
def test_earliest(made: tuple[Channel, list[tuple[int, int]]], start: int, length: int) -> None:
    channel, busy = made
    expected = next(t for t in range(start, 3 * HORIZON) if free(busy, t, length))
    assert channel.earliest(length, start) == expected


@tries(200)
@given(channels(), MOMENTS, LENGTHS, MOMENTS)
def test_latest(
    made: tuple[Channel, list[tuple[int, int]]], end: int, length: int, not_before: int
) -> None:
    channel, busy = made
    possible = [t for t in range(not_before, end - length + 1) if free(busy, t, length)]
    assert channel.latest(length, end, not_before) == (max(possible) if possible else None)


@tries(200)
@given(channels(), MOMENTS, MOMENTS, LENGTHS)
def test_what_is_forgotten_is_over(
    made: tuple[Channel, list[tuple[int, int]]], now: int, later: int, length: int
) -> None:
    channel, busy = made
    channel.forget(now)
    start = max(now, later)
    expected = next(t for t in range(start, 3 * HORIZON) if free(busy, t, length))
    assert channel.earliest(length, start) == expected
    for interval in busy:
        channel.release(*interval)
    assert channel.earliest(length, start) == start


@tries(200)
@given(channels(), MOMENTS)
def test_a_fork_is_independent(made: tuple[Channel, list[tuple[int, int]]], start: int) -> None:
    channel, _ = made
    before = channel.earliest(5, start)
    twin = channel.fork()
    twin.reserve(before, before + 5)
    assert channel.earliest(5, start) == before
    assert twin.earliest(5, start) > before
    channel.reserve(before, before + 3)
    assert twin.earliest(1, before) >= before + 5


def test_an_empty_interval_takes_nothing() -> None:
    channel = Channel()
    channel.reserve(5, 5)
    assert channel.earliest(10, 0) == 0
