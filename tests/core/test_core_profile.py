"""The profile of free hosts against seconds that are simply counted."""

from __future__ import annotations

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity.availability import Profile
from haizea.core.model.resources import FOREVER

HORIZON = 30
HOSTS = 5
MOMENTS = st.integers(0, HORIZON - 1)

#: Free hosts in each second; the last entry is for ever.
Seconds = list[int]


@st.composite
def profiles(draw: st.DrawFn) -> tuple[Profile, Seconds]:
    """A profile, and the same counted second by second."""
    seconds = [HOSTS] * (HORIZON + 1)
    ends = []
    for end in draw(st.lists(st.one_of(st.integers(1, HORIZON), st.just(FOREVER)), max_size=4)):
        if seconds[0]:
            ends.append((end, 1))
            subtract(seconds, 0, end, 1)
    profile = Profile(0, HOSTS, ends)
    given_back = []
    for start, length, count in draw(
        st.lists(st.tuples(MOMENTS, st.integers(1, HORIZON), st.integers(1, HOSTS)), max_size=6)
    ):
        end = start + length if start + length <= HORIZON else FOREVER
        if min(seconds[start : end if end <= HORIZON else None]) >= count:
            profile.take(start, end, count)
            subtract(seconds, start, end, count)
            given_back.append((start, end, count))
    for start, end, count in draw(st.lists(st.sampled_from(given_back))) if given_back else ():
        if (start, end, count) in given_back:
            given_back.remove((start, end, count))
            profile.take(start, end, -count)
            subtract(seconds, start, end, -count)
    return profile, seconds


def subtract(seconds: Seconds, start: int, end: int, count: int) -> None:
    for t in range(start, min(end, HORIZON + 1)):
        seconds[t] -= count


def free(seconds: Seconds, start: int, end: int, count: int) -> bool:
    """Tell whether ``count`` are free throughout ``[start, end)``."""
    return all(seconds[min(t, HORIZON)] >= count for t in range(start, min(end, 2 * HORIZON)))


@tries(200)
@given(profiles(), st.integers(1, HOSTS), st.integers(1, HORIZON), MOMENTS)
def test_the_earliest_moment(
    made: tuple[Profile, Seconds], count: int, length: int, start: int
) -> None:
    profile, seconds = made
    found = (t for t in range(start, HORIZON + 1) if free(seconds, t, t + length, count))
    assert profile.earliest(count, length, start) == next(found, None)


@tries(200)
@given(profiles(), st.integers(1, HOSTS), st.integers(1, HORIZON), MOMENTS, MOMENTS)
def test_an_earlier_moment_for_one_that_has_its_hosts_already(
    made: tuple[Profile, Seconds], count: int, length: int, start: int, before: int
) -> None:
    profile, seconds = made
    possible = range(start, before)
    found = (t for t in possible if free(seconds, t, min(t + length, before), count))
    assert profile.earliest(count, length, start, before) == next(found, None)


@tries(200)
@given(profiles(), MOMENTS, st.integers(1, HOSTS), st.integers(1, HORIZON))
def test_time_passes(made: tuple[Profile, Seconds], now: int, count: int, length: int) -> None:
    profile, seconds = made
    profile.advance(now)
    assert profile.free_at_start() == seconds[now]
    found = (t for t in range(now, HORIZON + 1) if free(seconds, t, t + length, count))
    assert profile.earliest(count, length, now) == next(found, None)


@tries(200)
@given(profiles())
def test_it_says_what_another_one_says_that_was_made_otherwise(
    made: tuple[Profile, Seconds],
) -> None:
    profile, seconds = made
    other = Profile(0, HOSTS, [])
    for t in range(HORIZON):
        other.take(t, t + 1, HOSTS - seconds[t])
    other.take(HORIZON, FOREVER, HOSTS - seconds[HORIZON])
    profile.check(other)
    other.take(3, 4, 1)
    with pytest.raises(AssertionError):
        profile.check(other)
