"""Room that was found before, brought up to date where hosts have changed since.

Leases that wait have few sizes and lengths. Where hosts take several nodes and much is to come, to
find the room for one means to look at most hosts one by one; the next one of its kind asks for the
same, and meanwhile one lease began somewhere.
"""

from __future__ import annotations

from typing import Final

from haizea.core.capacity.fit_index import Levels, SizeIndexes, raise_level
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.model.hosts import hosts_in
from haizea.core.model.resources import Capacity

#: So many answers are kept.
_MOST_ROOMS: Final = 256
#: So many hosts are looked at sooner than room is found anew, even if no other is in question.
_FEW: Final = 64


class KnownRoom:
    """Keeps levels by size, start and end, while the present stays the same."""

    __slots__ = ("_indexes", "_now", "_rooms", "_timelines")

    def __init__(self, timelines: Timelines, indexes: SizeIndexes, now: int) -> None:
        self._timelines = timelines
        self._indexes = indexes
        self._now = now
        #: With the number of the changes that were known by then, and what it took to find.
        self._rooms: dict[tuple[Capacity, int, int], tuple[Levels, int, int]] = {}

    def keep(self, size: Capacity, start: int, end: int, levels: Levels, looks: int) -> None:
        """Keep what was found just now by looking at so many hosts; nobody changes it any more."""
        if start < end:
            if len(self._rooms) >= _MOST_ROOMS:
                self._rooms.clear()
            self._rooms[size, start, end] = levels, self._timelines.changed.follow(), looks

    def find(self, size: Capacity, start: int, end: int, now: int) -> Levels | None:
        """Return the room there is, if it is known but for some hosts. O(hosts that changed)."""
        if now != self._now:
            self._now = now
            self._rooms.clear()
        found = self._rooms.get((size, start, end))
        if found is None:
            return None
        levels, known, looks = found
        changed = self._timelines.changed.since(known)
        if not changed:
            return levels
        if changed < 0 or changed.bit_count() > max(looks, _FEW):
            return None  # To find it anew is quicker.
        levels = [hosts & ~changed for hosts in levels]
        copies, least_free = self._indexes.of(size).copies, self._timelines.least_free
        for host in hosts_in(changed):
            count = copies(least_free(host, start, end))
            if count:
                raise_level(levels, 1 << host, 0, count)
        self.keep(size, start, end, levels, looks)
        return levels

    def clear(self) -> None:
        """Forget all."""
        self._rooms.clear()
