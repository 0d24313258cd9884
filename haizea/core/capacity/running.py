"""Free capacity of every host at present, and once the holds that have started end.

Holds that have started can only end, so what is free at present stays free of them, and
what will be free later follows from their ends alone.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence

from haizea.core.capacity.fit_index import MOST_SIZES, Levels, SizeIndexes, raise_level
from haizea.core.capacity.hold import Hold
from haizea.core.capacity.host_free import Free
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.sorted_map import Ordered
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import FOREVER, Capacity, add, subtract

_Change = Callable[[Capacity, Capacity], Capacity]


class Releases:
    """The levels of one size over time, as present holds end; found as far as they are asked for.

    Not to be used after the present changed.
    """

    __slots__ = ("_freed", "_levels", "_next", "_present", "_size", "_times")

    def __init__(self, present: Present, size: Capacity) -> None:
        self._present = present
        self._size = size
        self._times = [-FOREVER]
        self._levels = [present.indexes.of(size).levels.copy()]
        self._freed: dict[int, Capacity] = {}
        self._next = 0

    def at(self, moment: int) -> Levels:
        """The levels as ends leave them at ``moment``; do not change them.

        O(log ends) where a moment as late was asked for before.
        """
        ends = self._present.ends
        while self._next < len(ends) and ends[self._next][0] <= moment:
            time = ends[self._next][0]
            levels = self._levels[-1].copy()
            self._next = self._present.let_end(self._size, levels, self._freed, self._next, time)
            self._times.append(time)
            self._levels.append(levels)
        return self._levels[bisect_right(self._times, moment) - 1]


class Present:
    """Free capacity now; ``ends`` are the holds that have started, by (end, serial)."""

    __slots__ = (
        "_ending",
        "_lefts",
        "_releases",
        "_taken",
        "_timelines",
        "ends",
        "free",
        "held",
        "indexes",
        "uniform",
    )

    def __init__(
        self, capacities: Iterable[Capacity], timelines: Timelines, uniform: Capacity | None
    ) -> None:
        self.free = Free(capacities)
        self.indexes = SizeIndexes(self.free)
        self.ends: list[tuple[int, int, Hold]] = []
        #: ``held[k]`` are the hosts that have more than ``k`` holds at present.
        self.held: list[HostSet] = [0, 0]
        # Hosts by when the first of their holds ends.
        self._ending: Ordered[HostSet] = Ordered()
        self._taken: set[int] = set()  # serial numbers of ``ends``
        #: The capacity that every host has; ``None`` where hosts differ.
        self.uniform = uniform
        self._timelines = timelines
        self._releases: dict[Capacity, Releases] = {}
        # What an amount leaves of a host where all are alike.
        self._lefts: dict[Capacity, Capacity] = {}

    def walk(
        self, size: Capacity, start: int, later_ends: Sequence[int]
    ) -> Iterator[tuple[int, Levels]]:
        """Every moment from ``start`` on at which something comes free, with the levels then.

        The levels are of holds that have started only; do not change them. Others end at
        ``later_ends``, in order.
        """
        releases, ends = self.releases(size), self.ends
        moment = start
        i, j = bisect_right(ends, (moment, FOREVER)), bisect_right(later_ends, moment)
        while moment < FOREVER:
            yield moment, releases.at(moment)
            while i < len(ends) and ends[i][0] <= moment:
                i += 1
            j = bisect_right(later_ends, moment, j)
            soonest = ends[i][0] if i < len(ends) else FOREVER
            moment = min(soonest, later_ends[j] if j < len(later_ends) else FOREVER)

    def take(self, hold: Hold) -> None:
        """The hold has started, and is listed on its hosts. O(its hosts)."""
        if self.uniform is not None and hold.same and not hold.hosts & self.held[0]:
            self._set(hold, self.uniform, self._left(hold.same))
        else:
            self._shift(hold, subtract)
        sooner = hold.hosts
        shared = hold.hosts & self.held[0]
        for host in hosts_in(shared) if shared else ():
            end = self._first_end(host, hold)
            if end > hold.end:
                self._ends_not(end, 1 << host)
            else:
                sooner ^= 1 << host
        if sooner:
            self._ends(hold.end, sooner)
        insort(self.ends, (hold.end, hold.serial, hold))
        self._taken.add(hold.serial)
        more = hold.hosts
        for k, hosts in enumerate(self.held):
            self.held[k] = hosts | more
            more &= hosts
            if not more:
                return
        self.held.append(more)

    def give_back(self, hold: Hold) -> None:
        """The hold is over, and taken off ``ends`` and its hosts. O(its hosts)."""
        if self.uniform is not None and hold.same and not hold.hosts & self.held[1]:
            self._set(hold, self._left(hold.same), self.uniform)
        else:
            self._shift(hold, add)
        first = self.ending_first(hold.end) & hold.hosts
        if first:
            self._ends_not(hold.end, first)
            shared = first & self.held[1]
            for host in hosts_in(shared) if shared else ():
                self._ends(self._first_end(host, hold), 1 << host)
        self._taken.discard(hold.serial)
        fewer = hold.hosts
        if not fewer & self.held[1]:
            self.held[0] ^= fewer
            return
        for k in range(len(self.held) - 1, -1, -1):
            top = self.held[k] & fewer
            self.held[k] ^= top
            fewer ^= top

    def by_holds(self, hosts: HostSet) -> Iterable[HostSet]:
        """``hosts`` split by how many holds they have, fewest first."""
        return (hosts,) if hosts and not hosts & self.held[0] else self._by_holds(hosts)

    def _by_holds(self, hosts: HostSet) -> Iterator[HostSet]:
        for more in self.held:
            if hosts & ~more:
                yield hosts & ~more
            hosts &= more
            if not hosts:
                return
        yield hosts

    def latest_ends(self) -> Iterator[int]:
        """The moments at which the first hold of some host ends, latest first."""
        return reversed(self._ending.keys)

    def ending_first(self, end: int) -> HostSet:
        """The hosts on which the first hold to end does so at ``end``."""
        return self._ending.get(end) or 0

    def _first_end(self, host: int, besides: Hold) -> int:
        """Return when the first of the host's other holds that were taken ends."""
        taken = self._taken
        return min(
            h.end for h in self._timelines.on(host) if h is not besides and h.serial in taken
        )

    def _ends(self, end: int, hosts: HostSet) -> None:
        self._ending.set(end, self.ending_first(end) | hosts)

    def _ends_not(self, end: int, hosts: HostSet) -> None:
        rest = self._ending[end] & ~hosts
        if rest:
            self._ending.set(end, rest)
        else:
            self._ending.drop(end)

    def releases(self, size: Capacity) -> Releases:
        """The levels of ``size`` over time, as the holds that have started end."""
        found = self._releases.get(size)
        if found is None:
            if len(self._releases) >= MOST_SIZES:
                self._releases.clear()
            found = self._releases[size] = Releases(self, size)
        return found

    def let_end(
        self, size: Capacity, levels: Levels, freed: dict[int, Capacity], first: int, moment: int
    ) -> int:
        """Add what ends by ``moment`` to ``levels``; answers how many ends that makes.

        ``first`` ends are counted already. ``freed`` has what is free on the hosts, shared
        by several holds, that differ from the present. O(ends), times hosts where shared.
        """
        index, ends, i, free = self.indexes.of(size), self.ends, first, self.free.amounts()
        whole = 0 if self.uniform is None else index.copies(self.uniform)
        while i < len(ends) and ends[i][0] <= moment:
            hold = ends[i][2]
            i += 1
            if self.uniform is not None and not hold.hosts & self.held[1]:
                raise_level(levels, hold.hosts, 0, whole)
                continue
            for host, amount in hold.use:
                old = freed.get(host) or free[host]
                new = freed[host] = add(old, amount)
                before, after = index.copies(old), index.copies(new)
                if before != after:
                    raise_level(levels, 1 << host, before, after)
        return i

    def takes_one(self, size: Capacity) -> bool:
        """Tell whether every host, once its present holds end, has room for one of ``size``.

        And for no more; and no host has several such holds, so that each end says all.
        """
        uniform = self.uniform
        return (
            uniform is not None and not self.held[1] and self.indexes.of(size).copies(uniform) == 1
        )

    def moments(
        self, size: Capacity, count: int, keep: HostSet, start: int, before: int
    ) -> Iterator[tuple[int, Levels]]:
        """Moments in ``[start, before)`` from which ``count`` of the hosts in ``keep`` are free.

        Each with these hosts. Where :meth:`takes_one`, and no hold is to come.
        """
        hosts, moment = self.indexes.of(size).levels[0] & keep, start
        most = hosts.bit_count()  # at most so many: to count them takes longest of all
        for end, _, hold in self.ends:
            if end > moment:
                if moment >= before:
                    return
                if most >= count:
                    most = hosts.bit_count()
                    if most >= count:
                        yield moment, [hosts]
                moment = end
            hosts |= hold.hosts & keep
            most += hold.count
        if moment < before and hosts.bit_count() >= count:
            yield moment, [hosts]

    def add_host(self, capacity: Capacity, uniform: Capacity | None) -> None:
        """There is one host more."""
        self.free.amounts().append(capacity)
        self.uniform = uniform
        self.indexes.clear()
        self._releases.clear()
        self._lefts.clear()

    def fork(self, timelines: Timelines) -> Present:
        """An independent copy; ``timelines`` is a copy too."""
        twin = Present(self.free, timelines, self.uniform)
        twin.indexes = self.indexes.fork(twin.free)
        twin.ends = self.ends.copy()
        twin.held = self.held.copy()
        twin._ending = self._ending.copy()
        twin._taken = self._taken.copy()
        return twin

    def check(self, now: int) -> None:
        """Assert that this is what the holds make it."""
        self.indexes.check()
        assert all(hold.start <= now for _, _, hold in self.ends)
        for host in range(len(self.free)):
            started = sum(h.start <= now for h in self._timelines.on(host))
            assert started == sum(hosts >> host & 1 for hosts in self.held), "holds on a host"
            ends = [h.end for h in self._timelines.on(host) if h.start <= now]
            listed = [end for end in self._ending.keys if self._ending[end] >> host & 1]
            assert listed == ([min(ends)] if ends else []), "first end on a host"

    def _left(self, amount: Capacity) -> Capacity:
        left = self._lefts.get(amount)
        if left is None:
            assert self.uniform is not None, "hosts are alike"
            if len(self._lefts) >= MOST_SIZES:
                self._lefts.clear()
            left = self._lefts[amount] = subtract(self.uniform, amount)
        return left

    def _set(self, hold: Hold, old: Capacity, new: Capacity) -> None:
        """All hosts of the hold go from ``old`` to ``new`` free."""
        self.free.change(hold.hosts, old, new)
        self.indexes.change(hold.hosts, old, new)
        self._releases.clear()

    def _shift(self, hold: Hold, change: _Change) -> None:
        """Change what is free on the hold's hosts; hosts that change alike go together."""
        free = self.free.amounts()
        alike: dict[tuple[Capacity, Capacity], HostSet] = {}
        for host, amount in hold.use:
            key = (free[host], amount)
            alike[key] = alike.get(key, 0) | 1 << host
        for (old, amount), hosts in alike.items():
            new = change(old, amount)
            for host in hosts_in(hosts):
                free[host] = new
            self.indexes.change(hosts, old, new)
        self._releases.clear()
