"""Hosts by when what is free on them changes next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.running import Present
from haizea.core.capacity.sorted_map import Ordered
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import FOREVER


class NextChanges:
    """Splits hosts by when what is free on them changes next, latest first.

    When it changes where something starts later is found for a host when it is asked for first,
    and kept until its holds change, or it comes.
    """

    __slots__ = ("_by_change", "_changes", "_kept", "_known", "_present", "_timelines")

    def __init__(self, present: Present, timelines: Timelines) -> None:
        self._present = present
        self._timelines = timelines
        self._by_change: Ordered[HostSet] = Ordered()
        self._changes: dict[int, int] = {}
        #: Hosts that are kept, as of so many changes.
        self._kept: HostSet = 0
        self._known = 0

    def split(self, hosts: HostSet, touched: HostSet, now: int) -> Iterable[HostSet]:
        """``hosts`` split; ``touched`` are those where something starts later."""
        touched &= hosts
        idle = hosts & ~self._present.held[0] & ~touched
        return (hosts,) if idle and idle == hosts else self._split(hosts, touched, idle, now)

    def _split(
        self, hosts: HostSet, touched: HostSet, idle: HostSet, now: int
    ) -> Iterator[HostSet]:
        present = self._present
        others = self._of_touched(touched, idle, now)
        change, found = next(others, (0, 0))
        rest = hosts & ~touched & ~idle
        for end in present.latest_ends() if rest else ():
            while change > end:
                yield found
                change, found = next(others, (0, 0))
            ending = present.ending_first(end) & rest
            rest ^= ending
            if found and change == end:
                ending |= found
                change, found = next(others, (0, 0))
            if ending:
                yield ending
            if not rest:
                break
        while found:
            yield found
            change, found = next(others, (0, 0))

    def _of_touched(
        self, touched: HostSet, idle: HostSet, now: int
    ) -> Iterator[tuple[int, HostSet]]:
        """By when it changes, those that are touched, and those that never do."""
        if touched:
            self._keep(touched, now)
        if idle:
            never = (self._by_change.get(FOREVER) or 0) & touched
            touched ^= never
            yield FOREVER, idle | never
        for change in reversed(self._by_change.keys) if touched else ():
            found = touched & self._by_change[change]
            if found:
                yield change, found
                touched ^= found
                if not touched:
                    break

    def _keep(self, hosts: HostSet, now: int) -> None:
        """See to it that what is kept of these hosts is so. O(those that are not or changed)."""
        by_change, timelines = self._by_change, self._timelines
        stale = self._kept & timelines.changed.since(self._known)
        self._known = timelines.changed.follow()
        for host in hosts_in(stale):
            self._drop(1 << host, self._changes[host])
        while by_change.keys and by_change.keys[0] <= now:
            come = by_change[by_change.keys[0]]
            self._drop(come, by_change.keys[0])
        missing = hosts & ~self._kept
        for host in hosts_in(missing):
            change = self._changes[host] = timelines.next_change(host, now)
            by_change.set(change, (by_change.get(change) or 0) | 1 << host)
        self._kept |= missing

    def _drop(self, hosts: HostSet, change: int) -> None:
        """Keep some of those that change at a moment no more."""
        self._kept &= ~hosts
        rest = self._by_change[change] & ~hosts
        if rest:
            self._by_change.set(change, rest)
        else:
            self._by_change.drop(change)
