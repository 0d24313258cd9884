"""Starts for leases in their windows, by what all hosts together have over time.

Hosts are not told apart here, so that thousands of starts are tried in the time in which hosts
are found for a few leases. Leases are put in one by one, each as soon as it fits: for some order
that finds starts wherever there are any. Who finds no room in its window goes before one that is
there, which is drawn, and all from there on are put in anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from haizea.core.capacity.slottable import SlotTable
from haizea.core.placement.left_over_time import soonest, summed, take, turned
from haizea.core.placement.places import Places
from haizea.core.placement.plan import Lease
from haizea.core.placement.sums import Sums

#: Of the generator that draws: the same numbers each time.
_FACTOR: Final = 6364136223846793005
_STEP: Final = 1442695040888963407
_LARGEST: Final = (1 << 64) - 1
#: The searches from the beginning and from the end take turns, so many in all.
_TURNS: Final = 6
#: Who is stuck goes before one of so many that were put in last, of those in its way.
_LAST: Final = 5


class Window(NamedTuple):
    """A lease, from when to when it may begin, and for how long it needs hosts."""

    lease: Lease
    first: int
    last: int
    seconds: int


class Timing:
    """Finds starts for windows, known by their places, on a table that has none of them.

    One search puts leases in as soon as possible, another as late as possible, by turns: where
    one is stuck for long, the other often is not. What they take is counted in ``places``, where
    these are given, otherwise in sums of each type of resources.
    """

    def __init__(
        self, table: SlotTable, windows: Sequence[Window], places: Places | None = None
    ) -> None:
        self._windows = windows
        sizes = [window.lease.demand.capacities for window in windows]
        self._sums = sums = places or Sums(table, {size for nodes in sizes for size in nodes})
        self._needs = [sum([sums.of(size) for size in of_lease]) for of_lease in sizes]
        self._spare = sums.spare
        self._times, self._free = self._beside(table)
        spans = [_Span(x.first, x.last, x.seconds) for x in windows]
        self._sooner = _Search(self._times, self._free, spans, self._needs, self._spare)
        # The same seen from the end: what is left from a moment on is what was left before it.
        times, free = turned(self._times, self._free)
        back = [_Span(-x.last - x.seconds, -x.first - x.seconds, x.seconds) for x in windows]
        self._later = _Search(times, free, back, self._needs, self._spare)

    def _beside(self, table: SlotTable) -> tuple[list[int], list[int]]:
        """Return what all hosts together have left from each of some moments on."""
        first = min([window.first for window in self._windows])
        end = max([window.last + window.seconds for window in self._windows])
        changes = {first: self._sums.total() + self._spare, end: 0}
        for hold in table.holds_between(first, end):
            amount = self._sums.held(hold)
            begin = max(hold.start, first)
            changes[begin] = changes.get(begin, 0) - amount
            if hold.end <= end:
                changes[hold.end] = changes.get(hold.end, 0) + amount
        return summed(changes)

    def put_first(self, place: int) -> None:
        """Put a window in before all others from now on."""
        self._sooner.put_first(place)
        self._later.put_first(place)

    def starts(self, looks: int) -> tuple[list[int] | None, int]:
        """Find a start for each window; return how many of so many looks are left, too.

        A look puts in one lease. ``None`` if no starts are found.
        """
        share = looks // _TURNS
        for turn in range(_TURNS):
            search = self._later if turn % 2 else self._sooner
            found, left = search.starts(share)
            looks -= share - left
            if found is not None:
                return self._justified(found) if turn % 2 else found, looks
            if left:
                # One of them fits at no time, even alone.
                break
        return None, looks

    def _justified(self, found: list[int]) -> list[int]:
        """Starts that were found from the end, with each as soon as it fits in their order."""
        starts = [-x - window.seconds for x, window in zip(found, self._windows, strict=True)]
        spans = [
            _Span(x.first, start, x.seconds) for x, start in zip(self._windows, starts, strict=True)
        ]
        again = _Search(self._times, self._free, spans, self._needs, self._spare)
        return again.starts(len(starts))[0] or starts


class _Span(NamedTuple):
    """From when to when something may begin, and for how long it lasts."""

    first: int
    last: int
    seconds: int


class _Search:
    """Puts spans in one by one, each as soon as it fits, in one order after another."""

    def __init__(
        self,
        times: list[int],
        free: list[int],
        spans: Sequence[_Span],
        needs: Sequence[int],
        spare: int,
    ) -> None:
        self._spans = spans
        self._needs = needs
        self._spare = spare
        self._order = sorted(range(len(spans)), key=self._hardest)
        self._starts = [0] * len(spans)
        #: What is free over time before each place of the order, as far as that still holds.
        self._until = [(times, free)]
        self._drawn = 1

    def _hardest(self, place: int) -> tuple[int, int, int]:
        span = self._spans[place]
        return span.last, -span.seconds * self._needs[place], place

    def put_first(self, place: int) -> None:
        """Put a span in before all others from now on."""
        self._order.remove(place)
        self._order.insert(0, place)
        del self._until[1:]

    def starts(self, looks: int) -> tuple[list[int] | None, int]:
        """Find a start for each span; return how many of so many looks are left, too."""
        order, until = self._order, self._until
        while looks > 0:
            stuck = -1
            for at in range(len(until) - 1, len(order)):
                looks -= 1
                times, free = until[at][0].copy(), until[at][1].copy()
                start = self._put_in(times, free, order[at])
                if start is None:
                    stuck = at
                    break
                self._starts[order[at]] = start
                until.append((times, free))
            if stuck < 0:
                return list(self._starts), looks
            if stuck == 0:
                return None, looks
            place = self._before(stuck)
            order.insert(place, order.pop(stuck))
            del until[place + 1 :]
        return None, 0

    def _before(self, stuck: int) -> int:
        """Draw one of those that have the time of the one that is stuck: it goes before that.

        One of the last: what was put in before these was of use to others.
        """
        order = self._order
        first, last, seconds = self._spans[order[stuck]]
        there = [
            at
            for at in range(stuck)
            if self._starts[order[at]] < last + seconds
            and self._starts[order[at]] + self._spans[order[at]].seconds > first
        ]
        there = there[-_LAST:]
        return there[self._draw(len(there))] if there else self._draw(stuck)

    def _put_in(self, times: list[int], free: list[int], place: int) -> int | None:
        """Take a lease out as soon as there is enough; return when, ``None`` if there is not."""
        (first, last, seconds), need = self._spans[place], self._needs[place]
        start = soonest(times, free, need, self._spare, first, last, seconds)
        if start is not None:
            take(times, free, start, start + seconds, need)
        return start

    def _draw(self, count: int) -> int:
        """Return a number below ``count``; the same ones in each search."""
        self._drawn = (self._drawn * _FACTOR + _STEP) & _LARGEST
        drawn: int = (self._drawn >> 33) % count
        return drawn
