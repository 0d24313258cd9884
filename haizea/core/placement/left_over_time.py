"""Amounts left over time, as a step function: from each of some moments on, in order, how much.

Amounts are numbers as :func:`haizea.core.placement.canvas.pack` makes them, with bits to ``spare``
that are lost where too much is taken. The last moment is that at which all is over.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


def summed(changes: dict[int, int]) -> tuple[list[int], list[int]]:
    """Return the step function that changes by so much at these moments."""
    times, free, left = sorted(changes), list[int](), 0
    for moment in times:
        left += changes[moment]
        free.append(left)
    return times, free


def turned(times: list[int], free: list[int]) -> tuple[list[int], list[int]]:
    """Return what was left before each moment, seen from the end."""
    return [-x for x in reversed(times)], [*reversed(free[:-1]), 0]


def soonest(
    times: list[int], free: list[int], need: int, spare: int, first: int, last: int, seconds: int
) -> int | None:
    """Return the first moment in ``[first, last]`` from which there is enough for so long.

    ``None`` if there is none. What is asked for may end with the last moment known.
    """
    if first > last:
        return None
    i, start = bisect_right(times, first) - 1, first
    end = start + seconds
    while times[i] < end:
        if free[i] - need & spare != spare:
            start = times[i + 1]
            if start > last:
                return None
            end = start + seconds
        i += 1
    return start


def take(times: list[int], free: list[int], start: int, end: int, need: int) -> None:
    """Leave so much less throughout ``[start, end)``."""
    begin = _cut(times, free, start)
    for i in range(begin, _cut(times, free, end)):
        free[i] -= need


def _cut(times: list[int], free: list[int], moment: int) -> int:
    """The place of a moment, which is put in if it is not there."""
    i = bisect_left(times, moment)
    if i == len(times) or times[i] != moment:
        times.insert(i, moment)
        free.insert(i, free[i - 1])
    return i
