"""Capacity taken over time by holds that have not started yet.

The time from the first such hold on is cut into slices at every start and end. A slice
knows which hosts are *touched* by some future hold, and on which one of them is
*closed*: such a hold leaves nothing of some resource type there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Final

from haizea.core.model.hosts import HostSet

#: So many slices are put together anew rather than all of them kept.
_FEW_SLICES: Final = 32


class Future:
    """Touched and closed hosts over time.

    Slice *i* is ``[times[i], times[i + 1])``; the last one is empty and has no end.
    """

    __slots__ = ("_closed", "_prefix", "_prefix_closed", "_times", "_touched", "crowded")

    def __init__(self) -> None:
        self._times: list[int] = [0]
        self._touched: list[HostSet] = [0]
        self._closed: list[HostSet] = [0]
        self._prefix: list[HostSet] | None = None
        self._prefix_closed: list[HostSet] = []
        #: Hosts that may have future holds which overlap each other.
        self.crowded: HostSet = 0

    def add(self, start: int, end: int, hosts: HostSet, closed: HostSet) -> None:
        """A hold on ``hosts``, which leaves nothing on ``closed``. O(slices it spans)."""
        first, last = self._cut(start), self._cut(end)
        touched = self._touched
        for i in range(first, last):
            overlap = touched[i] & hosts
            if overlap:
                self.crowded |= overlap
        touched[first:last] = [t | hosts for t in touched[first:last]]
        if closed:
            self._closed[first:last] = [c | closed for c in self._closed[first:last]]
        self._prefix = None

    def remove(self, start: int, end: int, hosts: HostSet) -> None:
        """Nothing touches ``hosts`` between these two moments any more."""
        first, last = self._cut(start), self._cut(end)
        keep = ~hosts
        self._touched[first:last] = [t & keep for t in self._touched[first:last]]
        self._closed[first:last] = [c & keep for c in self._closed[first:last]]
        self._join(first, last)
        self._prefix = None

    def advance(self, now: int) -> None:
        """Forget the slices that are over."""
        past = bisect_right(self._times, now) - 1
        if past > 0:
            del self._times[:past], self._touched[:past], self._closed[:past]
            self._prefix = None
        if len(self._times) == 1:
            self.crowded = 0

    def until(self, end: int) -> tuple[HostSet, HostSet]:
        """Touched and closed hosts from the present to ``end``. O(log slices) when unchanged."""
        if len(self._times) == 1:
            return 0, 0
        last = bisect_left(self._times, end) - 1
        if last < 0:
            return 0, 0
        if self._prefix is None and last < _FEW_SLICES:
            touched = reduce(or_, self._touched[: last + 1])
            return touched, reduce(or_, self._closed[: last + 1])
        if self._prefix is None:
            self._prefix = list(accumulate(self._touched, or_))
            self._prefix_closed = list(accumulate(self._closed, or_))
        return self._prefix[last], self._prefix_closed[last]

    def within(self, start: int, end: int) -> tuple[HostSet, HostSet]:
        """Touched and closed hosts in ``[start, end)``. O(slices)."""
        if len(self._times) == 1:
            return 0, 0
        touched, closed = self.each(*self.slices(start, end))
        return reduce(or_, touched, 0), reduce(or_, closed, 0)

    def slices(self, start: int, end: int) -> tuple[int, int]:
        """The first slice that overlaps ``[start, end)``, and the first behind that does not."""
        first = max(0, bisect_right(self._times, start) - 1)
        return first, bisect_left(self._times, end)

    def each(self, first: int, last: int) -> tuple[list[HostSet], list[HostSet]]:
        """Touched and closed hosts of each of these slices."""
        return self._touched[first:last], self._closed[first:last]

    def window(self, length: int) -> SlidingWindow:
        """Return a window of this length, of use until anything changes."""
        return SlidingWindow(self, length)

    def cuts(self, after: int, before: int) -> list[int]:
        """The change points of future holds in ``(after, before)``, in order."""
        times = self._times
        return times[bisect_right(times, after) : bisect_left(times, before)]

    def fork(self) -> Future:
        """An independent copy."""
        twin = Future()
        twin._times = self._times.copy()
        twin._touched = self._touched.copy()
        twin._closed = self._closed.copy()
        twin.crowded = self.crowded
        return twin

    def _cut(self, time: int) -> int:
        """The index of the slice that begins at ``time``, made if there is none."""
        i = bisect_left(self._times, time)
        if i == len(self._times) or self._times[i] != time:
            self._times.insert(i, time)
            self._touched.insert(i, self._touched[i - 1] if i else 0)
            self._closed.insert(i, self._closed[i - 1] if i else 0)
        return i

    def _join(self, first: int, last: int) -> None:
        """Drop the cuts in ``[first, last]`` where nothing changes, if both ends allow it."""
        for i in (last, first):
            if (
                0 < i < len(self._times)
                and self._touched[i] == self._touched[i - 1]
                and self._closed[i] == self._closed[i - 1]
            ):
                del self._times[i], self._touched[i], self._closed[i]


class SlidingWindow:
    """Touched and closed hosts in ``[start, start + length)``, for starts that only grow.

    The slices up to some middle are put together backwards, once, and those behind it
    forwards, as the window gets to them: O(1) for each slice that it passes.
    """

    __slots__ = (
        "_asked",
        "_before",
        "_before_closed",
        "_behind",
        "_behind_closed",
        "_first",
        "_future",
        "_last",
        "_length",
        "_middle",
    )

    def __init__(self, future: Future, length: int) -> None:
        self._future = future
        self._length = length
        self._asked = False
        #: ``_before[i]`` has the slices from ``_first + i`` up to ``_middle``.
        self._first = self._middle = self._last = 0
        self._before: list[HostSet] = []
        self._before_closed: list[HostSet] = []
        self._behind: HostSet = 0
        self._behind_closed: HostSet = 0

    def at(self, start: int) -> tuple[HostSet, HostSet]:
        """Touched and closed hosts of the window from ``start`` on, no less than the last one."""
        end = start + self._length
        if not self._asked:  # Most windows are looked through once.
            self._asked = True
            return self._future.within(start, end)
        first, last = self._future.slices(start, end)
        if first >= last:
            return 0, 0
        if first >= self._middle:
            self._begin(first, last)
        else:
            touched, closed = self._future.each(self._last, last)
            self._behind = reduce(or_, touched, self._behind)
            self._behind_closed = reduce(or_, closed, self._behind_closed)
        self._last = last
        i = first - self._first
        return self._before[i] | self._behind, self._before_closed[i] | self._behind_closed

    def _begin(self, first: int, last: int) -> None:
        """Put the slices of this window together backwards."""
        touched, closed = self._future.each(first, last)
        self._first, self._middle = first, last
        self._before = list(accumulate(reversed(touched), or_))[::-1]
        self._before_closed = list(accumulate(reversed(closed), or_))[::-1]
        self._behind = self._behind_closed = 0
