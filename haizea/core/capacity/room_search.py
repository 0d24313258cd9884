"""Room for nodes of one size: throughout a window, and from when on there is enough of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from haizea.core.capacity.ahead import Ahead
from haizea.core.capacity.beside import blocked, may_fit, room_beside
from haizea.core.capacity.fit_index import EqualNodes, Levels, level_count
from haizea.core.capacity.hold import Hold
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.openings import Spans
from haizea.core.capacity.running import Present
from haizea.core.capacity.upcoming import Future, Reach
from haizea.core.model.hosts import EVERYWHERE, HostSet, hosts_in
from haizea.core.model.resources import FOREVER, Capacity


class RoomSearch:
    """Looks for room beside what has begun, and beside what is to come. It changes neither."""

    __slots__ = ("_ahead", "_future", "_present", "_timelines")

    def __init__(
        self, present: Present, ahead: Ahead, future: Future, timelines: Timelines
    ) -> None:
        self._present = present
        self._ahead = ahead
        self._future = future
        self._timelines = timelines

    def holds_between(self, start: int, end: int) -> list[Hold]:
        """Every hold that overlaps ``[start, end)``: those that have started, then the others."""
        ends = self._present.ends
        started = [hold for _, _, hold in ends[bisect_right(ends, (start, FOREVER)) :]]
        return started + self._ahead.overlapping(start, end)

    def _holds_but(self, without: Hold | None, span: tuple[int, int]) -> Iterator[Hold]:
        """Every hold in a time but one; they are not read before somebody asks for the first."""
        for hold in self.holds_between(*span):
            if hold is not without:
                yield hold

    def next_end(self, moment: int) -> int | None:
        """Return when some hold ends next after a moment; ``None`` if none does."""
        started, later = self._present.ends, self._ahead.ends
        i, j = bisect_right(started, (moment, FOREVER)), bisect_right(later, moment)
        ends = [ends for ends, _, _ in started[i : i + 1]] + later[j : j + 1]
        return min(ends, default=None)

    def without_room(
        self, size: Capacity, hosts: HostSet, start: int, end: int, now: int
    ) -> tuple[HostSet, HostSet]:
        """Some of these hosts that have no room for a size; where there are none, who may have."""
        present, future = self._present, self._future
        if start <= now:
            free, reach = present.indexes.of(size).levels[0], future.until(end, hosts)
        else:
            free = present.releases(size).at(start)[0]
            reach = (0, 0) if hosts & ~free else future.within(start, end, hosts)
        full = hosts & (~free | blocked(reach, size, present.uniform))
        return full, 0 if full else hosts & reach[0]

    def about(self, size: Capacity, start: int, end: int, now: int) -> tuple[Levels, Reach]:
        """Room beside what has begun by ``start``, and hosts that the future touches and closes."""
        if start <= now:
            levels = self._present.indexes.of(size).levels
            return levels, self._future.until(end, levels[0])
        levels = self._present.releases(size).at(start)
        return levels, self._future.within(start, end, levels[0])

    def beside(
        self,
        levels: Levels,
        size: Capacity,
        span: tuple[int, int],
        future: Reach,
        enough: int = 0,
        without: tuple[Hold, HostSet] | None = None,
    ) -> Levels:
        """Return what of ``levels`` is left beside the ``future``; see :func:`room_beside`.

        A hold that is to come within the ``span`` may be left ``without``.
        """
        if not levels[0] & future[0]:
            return levels
        holds = self._holds_but(without and without[0], span)
        whole, index = self._present.uniform, self._present.indexes.of(size)
        return room_beside(
            levels, future, self._timelines, whole, index, span, holds, enough, without
        )

    def _given_up(self, hold: Hold, start: int, end: int, size: Capacity) -> HostSet:
        """Hosts of a hold to come on which others do not block a size in the rest of a time."""
        own, whole = hold.hosts, self._present.uniform
        own &= ~blocked(self._future.within(start, hold.start, own), size, whole)
        if hold.end < end:
            own &= ~blocked(self._future.within(hold.end, end, own), size, whole)
        return own

    def moments(
        self,
        demand: EqualNodes,
        keep: HostSet,
        length: int,
        starts: tuple[int, int],
        spans: Spans | None,
        without: Hold | None,
    ) -> Iterator[tuple[int, Levels]]:
        """See :meth:`SlotTable.moments`; they are from the first of ``starts`` to before the other.

        A hold that is to come may be left ``without``.
        """
        size, count, (start, before) = demand.size, demand.count, starts
        assert size is not None, "nodes are equal"
        if not self._ahead.ends and self._present.takes_one(size):
            yield from self._present.moments(size, count, keep, start, before)
            return
        window, whole = self._future.window(length), self._present.uniform
        for moment, levels in self._present.walk(size, start, self._ahead.ends):
            if moment >= before:
                return
            if level_count(levels, count) < count:
                continue
            end = moment + length
            opened = levels[0] if spans is None else levels[0] & spans.opened(moment, end)
            if not opened:
                continue
            if keep != EVERYWHERE:
                levels = [hosts & keep for hosts in levels]
            future = window.at(moment, levels[0])
            taken, own = blocked(future, size, whole), 0
            if without is not None and without.start < end:
                own = without.hosts
                if not may_fit(levels, taken & ~own, count):
                    continue
                own = self._given_up(without, moment, end, size)
                taken &= ~own
            opened &= ~taken
            if not opened or not may_fit(levels, taken, count):
                continue
            left = None if without is None or not own else (without, own)
            if spans and not self._any_room(opened, future, size, (moment, end), left):
                continue
            room = self.beside(levels, size, (moment, end), future, count, left)
            if level_count(room, count) >= count:
                yield moment, room

    def _any_room(
        self,
        hosts: HostSet,
        future: Reach,
        size: Capacity,
        span: tuple[int, int],
        without: tuple[Hold, HostSet] | None,
    ) -> bool:
        """Tell whether some of these hosts, free at first, has room for a size; see ``beside``."""
        if hosts & ~future[0]:
            return True
        copies, timelines = self._present.indexes.of(size).copies, self._timelines
        for host in hosts_in(hosts):
            if without is not None and without[1] >> host & 1:
                free = timelines.least_free_without(without[0], host, *span)
            else:
                free = timelines.least_free(host, *span)
            if copies(free):
                return True
        return False
