"""Free capacity of one host over time, and who holds the rest: asked about many times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from haizea.core.capacity.hold import Hold
from haizea.core.model.resources import Capacity, add, subtract


class HostProfile:
    """Free capacity of a host as a step function, and its holds, which do not change meanwhile.

    Slice *i* is ``[times[i], times[i + 1])``; before the first one the host is empty.
    """

    __slots__ = ("_begins", "_free", "_holds", "_there", "_times", "_total")

    def __init__(self, total: Capacity, holds: Sequence[Hold], host: int) -> None:
        """Put together what is left of ``total`` beside these holds. O(n log n)."""
        none = (0,) * len(total)
        changes: dict[int, Capacity] = {}
        for hold in holds:
            if hold.start >= hold.end:
                continue
            amount = hold.amount(host)
            changes[hold.start] = subtract(changes.get(hold.start, none), amount)
            changes[hold.end] = add(changes.get(hold.end, none), amount)
        self._total = total
        self._times = sorted(changes)
        self._free: list[Capacity] = []
        free = total
        for moment in self._times:
            free = add(free, changes[moment])
            self._free.append(free)
        self._holds = list(holds)
        #: By place there, who is there in each slice, and who begins when: where somebody asks.
        self._there: list[list[int]] = []
        self._begins: list[tuple[int, int]] = []

    def _list_holds(self) -> None:
        self._there = [[] for _ in self._times]
        for place, hold in enumerate(self._holds):
            if hold.start >= hold.end:
                continue
            self._begins.append((hold.start, place))
            first = bisect_left(self._times, hold.start)
            for slice_ in range(first, bisect_left(self._times, hold.end, first)):
                self._there[slice_].append(place)
        self._begins.sort()

    def least(self, start: int, end: int) -> Capacity:
        """Return what is free throughout ``[start, end)``. O(log n + slices it overlaps)."""
        times, free = self._times, self._free
        first = bisect_right(times, start) - 1
        last = bisect_left(times, end)
        if first < 0:
            return self._total if last <= 0 else tuple(map(min, self._total, *free[:last]))
        if last <= first + 1:
            return free[first]
        return tuple(map(min, *free[first:last]))

    def overlapping(self, start: int, end: int) -> list[Hold]:
        """Return the holds that are there at some time in ``[start, end)``, as they were listed.

        O(log n + k log k) for the k that there are; at first O(n × slices that each overlaps).
        """
        if not self._there:
            self._list_holds()
        begins, holds = self._begins, self._holds
        first = bisect_right(self._times, start) - 1
        places = self._there[first] if first >= 0 else []
        later = bisect_left(begins, (start + 1, 0))
        until = bisect_left(begins, (end, 0))
        if until > later:
            places = sorted([*places, *[place for _, place in begins[later:until]]])
        return [holds[place] for place in places]
