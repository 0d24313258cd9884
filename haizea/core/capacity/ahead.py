"""Holds that have not started yet, in order: which they are, when they start and end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from haizea.core.capacity.hold import Hold
from haizea.core.model.resources import FOREVER


class Ahead:
    """The holds that start later than now, by (start, serial)."""

    __slots__ = ("_longest", "_starts", "ends")

    def __init__(self) -> None:
        self._starts: list[tuple[int, int, Hold]] = []
        #: When they end, in order; a moment stands here as often as holds end then.
        self.ends: list[int] = []
        # No hold here is longer, so that few are looked at for a window.
        self._longest = 0

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Hold]:
        for _, _, hold in self._starts:
            yield hold

    def add(self, hold: Hold) -> None:
        """Add a hold. O(log n) comparisons."""
        insort(self._starts, (hold.start, hold.serial, hold))
        insort(self.ends, hold.end)
        self._longest = max(self._longest, hold.end - hold.start)

    def remove(self, hold: Hold) -> None:
        """Take a hold out. O(log n) comparisons."""
        i = bisect_left(self._starts, (hold.start, hold.serial))
        assert self._starts[i][2] is hold, "a hold of this table"
        self._take_out(i)

    def pop_started(self, now: int) -> Hold | None:
        """Take out the first hold, if it has started by ``now``."""
        if not self._starts or self._starts[0][0] > now:
            return None
        return self._take_out(0)

    def _take_out(self, i: int) -> Hold:
        hold = self._starts.pop(i)[2]
        del self.ends[bisect_left(self.ends, hold.end)]
        if not self._starts:
            self._longest = 0
        return hold

    def overlapping(self, start: int, end: int) -> list[Hold]:
        """Return the holds that overlap ``[start, end)``. O(those that start near it)."""
        starts = self._starts
        first = bisect_right(starts, (start - self._longest, 0))
        near = starts[first : bisect_left(starts, (end, 0))]
        return [hold for _, _, hold in near if hold.end > start]

    def firm_starts(self, after: int, before: int) -> list[int]:
        """Return when firm holds start in ``(after, before)``, in order."""
        starts: list[int] = []
        for i in range(bisect_right(self._starts, (after, FOREVER)), len(self._starts)):
            moment, _, hold = self._starts[i]
            if moment >= before:
                break
            if hold.firm and (not starts or starts[-1] != moment):
                starts.append(moment)
        return starts

    def fork(self) -> Ahead:
        """Return an independent copy."""
        twin = Ahead()
        twin._starts = self._starts.copy()
        twin.ends = self.ends.copy()
        twin._longest = self._longest
        return twin
