"""What is free on every host at present, and once the holds that have started end.

Holds that have started can only end, so what is free at present stays free of them, and
what will be free later follows from their ends alone.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from haizea.core.hold import Hold
from haizea.core.hosts import HostSet, hosts_in
from haizea.core.resources import FOREVER, Capacity, add, subtract
from haizea.core.sizes import Levels, SizeIndexes, raise_level
from haizea.core.timelines import Timelines

_Change = Callable[[Capacity, Capacity], Capacity]

#: Levels of later moments that are remembered until something changes.
_MOST_REMEMBERED = 256


class Present:
    """Free capacity now; ``ends`` are the holds that have started, by (end, serial)."""

    __slots__ = (
        "_known",
        "_later",
        "_next_end",
        "_timelines",
        "_uniform",
        "ends",
        "free",
        "held",
        "indexes",
    )

    def __init__(
        self, capacities: list[Capacity], timelines: Timelines, uniform: Capacity | None
    ) -> None:
        self.free: list[Capacity] = capacities.copy()
        self.indexes = SizeIndexes(self.free)
        self.ends: list[tuple[int, int, Hold]] = []
        #: ``held[k]`` are the hosts that have more than ``k`` holds at present.
        self.held: list[HostSet] = [0, 0]
        self._next_end: dict[int, int] = {}
        self._known: HostSet = 0  # hosts whose next end is remembered
        self._uniform = uniform
        self._timelines = timelines
        self._later: dict[tuple[Capacity, int], Levels] = {}

    def take(self, hold: Hold) -> None:
        """The hold has started. O(its hosts)."""
        if self._uniform is not None and hold.same and not hold.hosts & self.held[0]:
            self._set(hold, self._uniform, subtract(self._uniform, hold.same))
        else:
            self._shift(hold, subtract)
        insort(self.ends, (hold.end, hold.serial, hold))
        more = hold.hosts
        for k, hosts in enumerate(self.held):
            self.held[k] = hosts | more
            more &= hosts
            if not more:
                return
        self.held.append(more)

    def give_back(self, hold: Hold) -> None:
        """The hold is over, and taken off ``ends``. O(its hosts)."""
        if self._uniform is not None and hold.same and not hold.hosts & self.held[1]:
            self._set(hold, subtract(self._uniform, hold.same), self._uniform)
        else:
            self._shift(hold, add)
        fewer = hold.hosts
        for k in range(len(self.held) - 1, -1, -1):
            top = self.held[k] & fewer
            self.held[k] ^= top
            fewer ^= top

    def next_end(self, host: int, now: int) -> int:
        """When the first of the host's holds ends; ``FOREVER`` if it has none."""
        if not self._known >> host & 1:
            ends = [h.end for h in self._timelines.on(host) if h.start <= now]
            self._next_end[host] = min(ends, default=FOREVER)
            self._known |= 1 << host
        return self._next_end[host]

    def levels_at(self, size: Capacity, moment: int) -> Levels:
        """The levels of ``size`` as ends leave them at a later ``moment``; do not change them."""
        levels = self._later.get((size, moment))
        if levels is None:
            levels = self.indexes.of(size).levels.copy()
            self.let_end(size, levels, {}, 0, moment)
            if len(self._later) >= _MOST_REMEMBERED:
                self._later.clear()
            self._later[size, moment] = levels
        return levels

    def let_end(
        self, size: Capacity, levels: Levels, freed: dict[int, Capacity], first: int, moment: int
    ) -> int:
        """Add what ends by ``moment`` to ``levels``; answers how many ends that makes.

        ``first`` ends are counted already. ``freed`` has what is free on the hosts, shared
        by several holds, that differ from the present. O(ends), times hosts where shared.
        """
        index, ends, i = self.indexes.of(size), self.ends, first
        whole = 0 if self._uniform is None else index.copies(self._uniform)
        while i < len(ends) and ends[i][0] <= moment:
            hold = ends[i][2]
            i += 1
            if self._uniform is not None and not hold.hosts & self.held[1]:
                raise_level(levels, hold.hosts, 0, whole)
                continue
            for host, amount in hold.use:
                old = freed.get(host) or self.free[host]
                new = freed[host] = add(old, amount)
                before, after = index.copies(old), index.copies(new)
                if before != after:
                    raise_level(levels, 1 << host, before, after)
        return i

    def add_host(self, capacity: Capacity, uniform: Capacity | None) -> None:
        """There is one host more."""
        self.free.append(capacity)
        self._uniform = uniform
        self.indexes.clear()
        self._later.clear()

    def fork(self, timelines: Timelines) -> Present:
        """An independent copy; ``timelines`` is a copy too."""
        twin = Present.__new__(Present)
        twin.free = self.free.copy()
        twin.indexes = self.indexes.fork(twin.free)
        twin.ends = self.ends.copy()
        twin.held = self.held.copy()
        twin._next_end = {}
        twin._known = 0
        twin._uniform = self._uniform
        twin._timelines = timelines
        twin._later = {}
        return twin

    def check(self, now: int) -> None:
        """Assert that this is what the holds make it."""
        self.indexes.check()
        assert all(hold.start <= now for _, _, hold in self.ends)
        for host in range(len(self.free)):
            started = sum(h.start <= now for h in self._timelines.on(host))
            assert started == sum(hosts >> host & 1 for hosts in self.held), "holds on a host"

    def _set(self, hold: Hold, old: Capacity, new: Capacity) -> None:
        """All hosts of the hold go from ``old`` to ``new`` free."""
        free = self.free
        for host, _ in hold.use:
            free[host] = new
        self.indexes.change(hold.hosts, old, new)
        self._later.clear()
        self._known &= ~hold.hosts

    def _shift(self, hold: Hold, change: _Change) -> None:
        """Change what is free on the hold's hosts; hosts that change alike go together."""
        free = self.free
        alike: dict[tuple[Capacity, Capacity], HostSet] = {}
        for host, amount in hold.use:
            key = (free[host], amount)
            alike[key] = alike.get(key, 0) | 1 << host
        for (old, amount), hosts in alike.items():
            new = change(old, amount)
            for host in hosts_in(hosts):
                free[host] = new
            self.indexes.change(hosts, old, new)
        self._later.clear()
        self._known &= ~hold.hosts
