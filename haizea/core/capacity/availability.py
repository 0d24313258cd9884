"""Free capacity over time as one number: of hosts, where they are interchangeable.

On a site of equal hosts that lease nodes take whole, with nothing that starts later on
particular hosts, the number of free hosts says all: leases given such times one after
another can always be dealt hosts when they start (intervals colour like that).
Elsewhere such a number says what all hosts have free together
(:mod:`haizea.core.capacity.totals`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

from haizea.core.model.resources import FOREVER

#: A bit that is set in a negative number of hosts, and in no other.
_NEGATIVE: Final = 1 << 61


class Profile:
    """A step function: ``free[i]`` hosts from ``times[i]`` to the next time, the last for ever."""

    __slots__ = ("_below", "_free", "_times")

    def __init__(
        self, now: int, hosts: int, ends: Iterable[tuple[int, int]], below: int = _NEGATIVE
    ) -> None:
        """From ``now`` on, of ``hosts`` in all, so many are taken until each of ``ends``.

        A difference is less than nothing where one of the bits ``below`` is set in it.
        """
        self._below = below
        taken: dict[int, int] = {}
        free = hosts
        for end, count in ends:
            taken[end] = taken.get(end, 0) + count
            free -= count
        self._times = [now]
        self._free = [free]
        for end in sorted(taken):
            free += taken[end]
            self._times.append(end)
            self._free.append(free)

    def advance(self, now: int) -> None:
        """Forget what is over."""
        past = bisect_right(self._times, now) - 1
        if past > 0:
            del self._times[:past], self._free[:past]
        self._times[0] = max(self._times[0], now)

    def take(self, start: int, end: int, count: int) -> None:
        """``count`` hosts fewer over ``[start, end)``; negative to give them back. O(steps)."""
        first, last = self._cut(start), self._cut(end)
        free = self._free
        free[first:last] = [f - count for f in free[first:last]]
        for i in (last, first):
            if 0 < i < len(free) and free[i] == free[i - 1]:
                del self._times[i], free[i]

    def earliest(self, count: int, length: int, start: int, before: int = FOREVER) -> int | None:
        """The first moment from ``start`` on from which ``count`` are free for ``length``.

        ``before`` is when they are taken for the one who asks already, over the same
        length: by then they count as free. ``None`` if there is no such moment before it.
        """
        times, free, below = self._times, self._free, self._below
        last = len(times)
        i = bisect_right(times, start) - 1
        moment = start
        while moment < before:
            if free[i] - count & below:
                i += 1
                if i == last:
                    return None
                moment = times[i]
                continue
            end = min(moment + length, before)
            j = i + 1
            while j < last and times[j] < end and not free[j] - count & below:
                j += 1
            if j == last or times[j] >= end:
                return moment
            i = j
            moment = times[i]
        return None

    @property
    def begin(self) -> int:
        """The first moment that is known."""
        return self._times[0]

    def free_at_start(self) -> int:
        """Return the number of hosts that are free at present."""
        return self._free[0]

    def lasts(self, count: int) -> int:
        """The seconds for which so many are free from the present on: 0, or up to ``FOREVER``."""
        free, below = self._free, self._below
        for i in range(len(free)):
            if free[i] - count & below:
                return self._times[i] - self._times[0]
        return FOREVER

    def check(self, other: Profile) -> None:
        """Assert that this says what ``other`` does."""
        points = sorted({*self._times, *other._times})
        for point in points:
            assert self._at(point) == other._at(point), (point, self._at(point), other._at(point))
            assert self._at(point) >= 0, "more hosts are taken than there are"

    def _at(self, time: int) -> int:
        return self._free[max(0, bisect_right(self._times, time) - 1)]

    def _cut(self, time: int) -> int:
        i = bisect_left(self._times, time)
        if i == len(self._times) or self._times[i] != time:
            self._times.insert(i, time)
            self._free.insert(i, self._free[i - 1])
        return i
