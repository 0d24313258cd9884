"""Starts for leases in their windows, by what all hosts together have over time.

Hosts are not told apart here, so that thousands of starts are tried in the time in which hosts
are found for a few leases. Leases are put in one by one, each as soon as it fits: for some order
that finds starts wherever there are any. Who finds no room in its window goes to an earlier place,
which is drawn, and all are put in anew.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import HostSet
from haizea.core.model.resources import FOREVER
from haizea.core.placement.canvas import pack, spare_bits
from haizea.core.placement.plan import Lease

#: Of the generator that draws: the same numbers each time.
_FACTOR: Final = 6364136223846793005
_STEP: Final = 1442695040888963407
_LARGEST: Final = (1 << 64) - 1


class Window(NamedTuple):
    """A lease, from when to when it may begin, and for how long it needs hosts."""

    lease: Lease
    first: int
    last: int
    seconds: int


class Timing:
    """Finds starts for windows, known by their places, on a table that has none of them."""

    def __init__(self, table: SlotTable, windows: Sequence[Window]) -> None:
        self._windows = windows
        self._needs = [
            sum([pack(size) for size in window.lease.demand.capacities]) for window in windows
        ]
        types = len(table.capacities[0]) if table.capacities else 0
        self._spare = spare_bits(types)
        self._times, self._free = self._beside(table)
        self._order = sorted(range(len(windows)), key=self._hardest)
        self._drawn = 1

    def _hardest(self, place: int) -> tuple[int, int, int]:
        window = self._windows[place]
        return window.last, -window.seconds * self._needs[place], window.lease.id

    def _beside(self, table: SlotTable) -> tuple[list[int], list[int]]:
        """Return what all hosts together have left from each of some moments on."""
        first = min([window.first for window in self._windows])
        end = min(max([window.last + window.seconds for window in self._windows]), FOREVER)
        up = [c for host, c in enumerate(table.capacities) if not table.shut >> host & 1]
        changes = {first: sum([pack(capacity) for capacity in up]) + self._spare}
        for hold in table.holds_between(first, end):
            amount = _held(hold, table.shut)
            begin = max(hold.start, first)
            changes[begin] = changes.get(begin, 0) - amount
            changes[hold.end] = changes.get(hold.end, 0) + amount
        times, free, left = sorted(changes), list[int](), 0
        for moment in times:
            left += changes[moment]
            free.append(left)
        return times, free

    def put_first(self, place: int) -> None:
        """Put a window in before all others from now on."""
        self._order.remove(place)
        self._order.insert(0, place)

    def starts(self, looks: int) -> tuple[list[int] | None, int]:
        """Find a start for each window; return how many of so many looks are left, too.

        A look puts in one lease. ``None`` if no starts are found.
        """
        order = self._order
        while looks > 0:
            times, free, starts = self._times.copy(), self._free.copy(), [0] * len(order)
            stuck = -1
            for at, place in enumerate(order):
                looks -= 1
                start = self._put_in(times, free, place)
                if start is None:
                    stuck = at
                    break
                starts[place] = start
            if stuck < 0:
                return starts, looks
            if stuck == 0:
                return None, looks
            order.insert(self._draw(stuck), order.pop(stuck))
        return None, 0

    def _put_in(self, times: list[int], free: list[int], place: int) -> int | None:
        """Take a lease out as soon as there is enough; return when, ``None`` if there is not."""
        _, start, last, seconds = self._windows[place]
        need, spare = self._needs[place], self._spare
        i = bisect_right(times, start) - 1
        end = start + seconds
        while i < len(times) and times[i] < end:
            if free[i] - need & spare != spare:
                if i + 1 == len(times) or times[i + 1] > last:
                    return None
                start = times[i + 1]
                end = start + seconds
            i += 1
        if start > last:
            return None
        begin = _cut(times, free, start)
        for i in range(begin, _cut(times, free, end)):
            free[i] -= need
        return start

    def _draw(self, count: int) -> int:
        """Return a number below ``count``; the same ones in each search."""
        self._drawn = (self._drawn * _FACTOR + _STEP) & _LARGEST
        drawn: int = (self._drawn >> 33) % count
        return drawn


def _cut(times: list[int], free: list[int], moment: int) -> int:
    """The place of a moment, which is put in if it is not there."""
    i = bisect_left(times, moment)
    if i == len(times) or times[i] != moment:
        times.insert(i, moment)
        free.insert(i, free[i - 1])
    return i


def _held(hold: Hold, shut: HostSet) -> int:
    """Return what is held of the hosts that are not shut."""
    if hold.same is not None:
        return pack(hold.same) * (hold.hosts & ~shut).bit_count()
    return sum([pack(amount) for host, amount in hold.use if not shut >> host & 1])
