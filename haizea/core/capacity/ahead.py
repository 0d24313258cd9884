"""Holds that have not started yet, in order: which they are, when they start and end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from haizea.core.capacity.hold import Hold
from haizea.core.model.resources import FOREVER


class Ahead:
    """The holds that start later than now, by (start, serial)."""

    __slots__ = ("_firm", "_firm_starts", "_holds", "_longest", "_starts", "ends")

    def __init__(self) -> None:
        self._holds: list[Hold] = []
        #: The start and serial of each.
        self._starts: list[tuple[int, int]] = []
        #: When they end, in order; a moment stands here as often as holds end then.
        self.ends: list[int] = []
        #: When firm holds start, in order, and how many do then.
        self._firm_starts: list[int] = []
        self._firm: dict[int, int] = {}
        # No hold here is longer, so that few are looked at for a window.
        self._longest = 0

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Hold]:
        yield from self._holds

    def add(self, hold: Hold) -> None:
        """Add a hold. O(log n) comparisons."""
        place = bisect_left(self._starts, (hold.start, hold.serial))
        self._starts.insert(place, (hold.start, hold.serial))
        self._holds.insert(place, hold)
        insort(self.ends, hold.end)
        if hold.firm:
            as_many = self._firm.get(hold.start, 0)
            self._firm[hold.start] = as_many + 1
            if not as_many:
                insort(self._firm_starts, hold.start)
        self._longest = max(self._longest, hold.end - hold.start)

    def remove(self, hold: Hold) -> None:
        """Take a hold out. O(log n) comparisons."""
        i = bisect_left(self._starts, (hold.start, hold.serial))
        assert self._holds[i] is hold, "a hold of this table"
        self._take_out(i)

    def pop_started(self, now: int) -> Hold | None:
        """Take out the first hold, if it has started by ``now``."""
        if not self._starts or self._starts[0][0] > now:
            return None
        return self._take_out(0)

    def _take_out(self, i: int) -> Hold:
        del self._starts[i]
        hold = self._holds.pop(i)
        del self.ends[bisect_left(self.ends, hold.end)]
        if hold.firm:
            self._firm[hold.start] -= 1
            if not self._firm[hold.start]:
                del self._firm[hold.start]
                del self._firm_starts[bisect_left(self._firm_starts, hold.start)]
        if not self._starts:
            self._longest = 0
        return hold

    def overlapping(self, start: int, end: int) -> list[Hold]:
        """Return the holds that overlap ``[start, end)``. O(those that start near it)."""
        starts, holds = self._starts, self._holds
        first = bisect_right(starts, (start - self._longest, 0))
        last = bisect_left(starts, (end, 0))
        later = min(bisect_right(starts, (start, FOREVER)), last)
        # Who starts later ends later, too.
        return [hold for hold in holds[first:later] if hold.end > start] + holds[later:last]

    def firm_starts(self, after: int, before: int) -> list[int]:
        """Return when firm holds start in ``(after, before)``, in order. O(log n + those)."""
        starts = self._firm_starts
        return starts[bisect_right(starts, after) : bisect_left(starts, before)]

    @property
    def has_firm(self) -> bool:
        """True if any hold is firm."""
        return bool(self._firm_starts)

    def fork(self) -> Ahead:
        """Return an independent copy."""
        twin = Ahead()
        twin._holds = self._holds.copy()
        twin._starts = self._starts.copy()
        twin.ends = self.ends.copy()
        twin._firm_starts = self._firm_starts.copy()
        twin._firm = self._firm.copy()
        twin._longest = self._longest
        return twin
