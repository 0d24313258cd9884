"""Capacity taken over time by holds that have not started yet.

The time from the first such hold on is cut into slices at every start and end. A slice
knows which hosts are *touched* by some future hold, and on which one of them is
*closed*: such a hold leaves nothing of some resource type there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Final

from haizea.core.model.hosts import HostSet

#: So many slices are put together before it is asked whether more can change anything.
_AT_A_TIME: Final = 64

#: Hosts that something to come touches, and those of which it leaves nothing of some resource type.
Reach = tuple[HostSet, HostSet]


class Future:
    """Touched and closed hosts over time.

    Slice *i* is ``[times[i], times[i + 1])``; the last one is empty and has no end.
    """

    __slots__ = ("_closed", "_prefix", "_prefix_closed", "_times", "_touched", "crowded")

    def __init__(self) -> None:
        self._times: list[int] = [0]
        self._touched: list[HostSet] = [0]
        self._closed: list[HostSet] = [0]
        # What slices up to each come to together, as far as anybody asked since they changed.
        self._prefix: list[HostSet] = []
        self._prefix_closed: list[HostSet] = []
        #: Hosts that may have future holds which overlap each other.
        self.crowded: HostSet = 0

    def add(self, start: int, end: int, hosts: HostSet, closed: HostSet) -> None:
        """A hold on ``hosts``, which leaves nothing on ``closed``. O(slices it spans)."""
        first, last = self._cut(start), self._cut(end)
        before = self._touched[first:last]
        if hosts & ~self.crowded:
            self.crowded |= hosts & reduce(or_, before, 0)
        self._touched[first:last] = [t | hosts for t in before]
        if closed:
            self._closed[first:last] = [c | closed for c in self._closed[first:last]]
        self._changed(first)

    def remove(self, start: int, end: int, hosts: HostSet) -> None:
        """Nothing touches ``hosts`` between these two moments any more."""
        first, last = self._cut(start), self._cut(end)
        keep = ~hosts
        self._touched[first:last] = [t & keep for t in self._touched[first:last]]
        self._closed[first:last] = [c & keep for c in self._closed[first:last]]
        self._join(first, last)
        self._changed(first)

    def renew(
        self,
        hosts: HostSet,
        touched: Mapping[int, HostSet],
        closed: Mapping[int, HostSet],
        crowded: HostSet,
        span: tuple[int, int],
    ) -> None:
        """Change all that is known of some hosts within a span of time. O(slices there).

        Those of them that are touched, and closed, are no more, or are so, from some moments on.
        """
        self.crowded = self.crowded & ~hosts | crowded
        for moment in {*span, *touched, *closed}:
            self._cut(moment)
        first, last = bisect_left(self._times, span[0]), bisect_left(self._times, span[1])
        times, all_touched, all_closed = list[int](), list[HostSet](), list[HostSet]()
        keep, now_touched, now_closed = ~hosts, 0, 0
        before = (self._touched[first - 1], self._closed[first - 1]) if first else None
        for i in range(first, last):
            moment = self._times[i]
            now_touched ^= touched.get(moment, 0)
            now_closed ^= closed.get(moment, 0)
            here = self._touched[i] & keep | now_touched, self._closed[i] & keep | now_closed
            if here != before:
                times.append(moment)
                all_touched.append(here[0])
                all_closed.append(here[1])
                before = here
        self._times[first:last] = times
        self._touched[first:last] = all_touched
        self._closed[first:last] = all_closed
        behind = first + len(times)
        self._join(behind, behind)
        self._changed(first)

    def advance(self, now: int) -> None:
        """Forget the slices that are over."""
        past = bisect_right(self._times, now) - 1
        if past > 0:
            del self._times[:past], self._touched[:past], self._closed[:past]
            self._changed(0)
        if len(self._times) == 1:
            self.crowded = 0

    def until(self, end: int, among: HostSet) -> tuple[HostSet, HostSet]:
        """Touched and closed hosts ``among`` these from the present to ``end``.

        There may be others beside them. O(log slices) where somebody asked for as much before
        and they are unchanged, and no slices are looked at once all hosts are closed.
        """
        if len(self._times) == 1:
            return 0, 0
        last = bisect_left(self._times, end) - 1
        if last < 0:
            return 0, 0
        touched, closed = self._prefix, self._prefix_closed
        known = len(touched)
        while known <= last and (not known or among & ~closed[-1]):
            upto = min(known + _AT_A_TIME, last + 1)
            _extend(touched, self._touched[known:upto])
            _extend(closed, self._closed[known:upto])
            known = upto
        last = min(last, known - 1)
        return touched[last], closed[last]

    def within(self, start: int, end: int, among: HostSet) -> tuple[HostSet, HostSet]:
        """Touched and closed hosts ``among`` these in ``[start, end)``, and maybe others.

        O(slices until all are closed).
        """
        touched = closed = 0
        if len(self._times) > 1:
            first, last = self.slices(start, end)
            for i in range(first, last, _AT_A_TIME):
                upto = min(i + _AT_A_TIME, last)
                touched = reduce(or_, self._touched[i:upto], touched)
                closed = reduce(or_, self._closed[i:upto], closed)
                if not among & ~closed:
                    break
        return touched, closed

    def touched(self, start: int, end: int, among: HostSet) -> HostSet:
        """Touched hosts ``among`` these in ``[start, end)``. O(slices until all are)."""
        touched = 0
        if len(self._times) > 1:
            first, last = self.slices(start, end)
            for i in range(first, last, _AT_A_TIME):
                touched = reduce(or_, self._touched[i : min(i + _AT_A_TIME, last)], touched)
                if not among & ~touched:
                    break
        return touched & among

    def by_next_start(self, hosts: HostSet, moment: int) -> Iterator[HostSet]:
        """``hosts`` split by when they are touched next from a moment on, latest first.

        O(slices until all are).
        """
        found: list[HostSet] = []
        for touched in self._touched[max(0, bisect_right(self._times, moment) - 1) :]:
            if hit := hosts & touched:
                found.append(hit)
                hosts ^= hit
                if not hosts:
                    break
        yield hosts
        yield from reversed(found)

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

    def check(self, spans: Iterable[tuple[int, int, HostSet, HostSet]]) -> None:
        """Assert that holds touch and close just these hosts from one moment to another."""
        touched: list[HostSet] = [0] * len(self._times)
        closed = touched.copy()
        for start, end, hosts, full in spans:
            for i in range(*self.slices(start, end)):
                touched[i] |= hosts
                closed[i] |= full
        assert (self._touched, self._closed) == (touched, closed), "touched and closed hosts"

    def fork(self) -> Future:
        """An independent copy."""
        twin = Future()
        twin._times = self._times.copy()
        twin._touched = self._touched.copy()
        twin._closed = self._closed.copy()
        twin.crowded = self.crowded
        return twin

    def _changed(self, first: int) -> None:
        """Forget what was put together of the slices from ``first`` on."""
        del self._prefix[first:], self._prefix_closed[first:]

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


def _extend(together: list[HostSet], more: list[HostSet]) -> None:
    """Go on with what slices come to ``together``, by ``more`` of them."""
    before = together[-1] if together else 0
    found = accumulate(more, or_, initial=before)
    next(found)
    together.extend(found)


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

    def at(self, start: int, among: HostSet) -> tuple[HostSet, HostSet]:
        """Touched and closed hosts ``among`` these of the window from ``start`` on.

        And maybe others. ``start`` is no less than the last one.
        """
        end = start + self._length
        if not self._asked:  # Most windows are looked through once.
            self._asked = True
            return self._future.within(start, end, among)
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
