"""The hosts of a site in groups that are alike, and where nodes of one size fit on them.

A lease that holds a hundred hosts mostly makes one group of another: what is worked out for
a group is worked out once, and only where something changed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from haizea.checker.packed import Packing
from haizea.checker.records import FOREVER, Capacity, Host, copies

#: When somebody is going to leave, which stay that is, and what it holds on each host.
Holding = tuple[int, int, int]

#: So many sizes of nodes are remembered, and so many answers for each.
_MOST_SIZES = 64
_MOST_ANSWERS = 50_000


class _Likeness(NamedTuple):
    """The state that hosts share: if they take something new, what is free, and who is there."""

    shut: bool
    free: int
    holdings: tuple[Holding, ...]


class _Group:
    """A number of hosts that are alike."""

    __slots__ = ("count", "likeness")

    def __init__(self, likeness: _Likeness) -> None:
        self.likeness = likeness
        self.count = 0


class AlikeHosts:
    """All hosts of a site, as leases come and go. Packed capacities have the guard's bits."""

    def __init__(self, hosts: Mapping[int, Host], types: int) -> None:
        self.packing = packing = Packing(types)
        self._groups: dict[_Likeness, _Group] = {}
        self._of: dict[int, _Group] = {}
        self._sizes: dict[Capacity, NodeSize] = {}
        self._spare = packing.guard
        for host in hosts.values():
            likeness = _Likeness(False, packing.pack(host.capacity) + packing.guard, ())
            self._count(self._group(likeness), 1)
            self._of[host.id] = self._group(likeness)

    def take(self, hosts: Sequence[int], holding: Holding) -> None:
        """Something is held on the hosts; those that the site does not have are passed over."""
        for alike in self._alike(hosts):
            shut, free, holdings = self._of[alike[0]].likeness
            there = (*holdings, holding) if not holdings else tuple(sorted((*holdings, holding)))
            self._become(alike, _Likeness(shut, free - holding[2], there))

    def give_back(self, hosts: Sequence[int], holding: Holding) -> None:
        """Note that it is not held any more."""
        for alike in self._alike(hosts):
            shut, free, holdings = self._of[alike[0]].likeness
            if holding in holdings:
                at = holdings.index(holding)
                rest = (*holdings[:at], *holdings[at + 1 :])
                self._become(alike, _Likeness(shut, free + holding[2], rest))

    def turn(self, host: int, *, opens: bool) -> None:
        """A host takes new leases, or does not."""
        group = self._of.get(host)
        if group is not None and group.likeness.shut == opens:
            self._become([host], group.likeness._replace(shut=not opens))

    def may_fit(self, total: Capacity) -> bool:
        """Tell whether there is as much free on all open hosts together."""
        guard = self.packing.guard
        return (self._spare - self.packing.pack(total)) & guard == guard

    def node_size(self, node: Capacity) -> NodeSize:
        """Return the room for nodes of this size."""
        size = self._sizes.pop(node, None)
        if size is None:
            if len(self._sizes) >= _MOST_SIZES:
                del self._sizes[next(iter(self._sizes))]
            size = NodeSize(node, self.packing, self._groups.values())
        self._sizes[node] = size  # the last is the one that was asked for last
        size.refresh()
        return size

    def free_at(self, host: int, time: int) -> int | None:
        """Return what is free on a host when those that leave until then are gone.

        ``None`` if it takes nothing new, or is not there.
        """
        group = self._of.get(host)
        if group is None or group.likeness.shut:
            return None
        going = [holding[2] for holding in group.likeness.holdings if holding[0] <= time]
        return group.likeness.free + sum(going)

    def _alike(self, hosts: Sequence[int]) -> Iterable[Sequence[int]]:
        """The same hosts, those together that are alike; one that is there twice comes twice."""
        of = self._of
        if not of.keys() >= set(hosts):
            hosts = [host for host in hosts if host in of]
        if len(set(hosts)) < len(hosts):
            return [[host] for host in hosts]
        if len(set(map(of.__getitem__, hosts))) == 1:
            return (hosts,)
        by_group: dict[_Group, list[int]] = {}
        for host in hosts:
            by_group.setdefault(of[host], []).append(host)
        return by_group.values()

    def _become(self, hosts: Sequence[int], likeness: _Likeness) -> None:
        """Hosts that were alike are alike in another way."""
        before, after = self._of[hosts[0]], self._group(likeness)
        self._count(before, -len(hosts))
        self._count(after, len(hosts))
        self._of.update(dict.fromkeys(hosts, after))

    def _group(self, likeness: _Likeness) -> _Group:
        group = self._groups.get(likeness)
        if group is None:
            group = self._groups[likeness] = _Group(likeness)
        return group

    def _count(self, group: _Group, by: int) -> None:
        group.count += by
        if not group.likeness.shut:
            self._spare += by * (group.likeness.free - self.packing.guard)
        if not group.count:
            del self._groups[group.likeness]
        # Who has not asked for long has to look at everything anew.
        most = 2 * len(self._groups) + 100
        for node, size in list(self._sizes.items()):
            size.changed.add(group)
            if len(size.changed) > most:
                del self._sizes[node]


class NodeSize:
    """The number of nodes of one size that fit now, and how many more when leases have left."""

    def __init__(self, node: Capacity, packing: Packing, groups: Iterable[_Group]) -> None:
        self._node = node
        self._packing = packing
        self._answers: dict[int, int] = {}
        self._seen: dict[_Group, tuple[int, int, list[tuple[int, int]]]] = {}
        self._more: dict[int, int] = {}
        self._times: list[int] = []
        self.changed: set[_Group] = set(groups)
        #: How many fit now on hosts that take something new.
        self.room = 0

    def refresh(self) -> None:
        """Take in what has changed."""
        for group in self.changed:
            seen, room, steps = self._seen.get(group) or (0, *self._rooms(group.likeness))
            by = group.count - seen
            if not by:
                continue
            self.room += by * room
            for time, more in steps:
                self._change(time, by * more)
            if group.count:
                self._seen[group] = (group.count, room, steps)
            else:
                del self._seen[group]
        self.changed.clear()

    def soonest(self, count: int) -> tuple[int, int] | None:
        """Return when so many fit, more than now, if all leave as planned; and how many then."""
        room = self.room
        for time in self._times:
            if time >= FOREVER:
                return None
            room += self._more[time]
            if room >= count:
                return time, room
        return None

    def fits(self, free: int) -> int:
        """Return the number of nodes that fit in so much, which is packed."""
        found = self._answers.get(free)
        if found is None:
            if len(self._answers) > _MOST_ANSWERS:
                self._answers.clear()
            found = self._answers[free] = copies(self._node, self._packing.left(free))
        return found

    def _rooms(self, likeness: _Likeness) -> tuple[int, list[tuple[int, int]]]:
        """Return the number that fit on one such host now, and when more do, and how many more."""
        if likeness.shut:
            return 0, []
        free, steps = likeness.free, list[tuple[int, int]]()
        room = now = self.fits(free)
        for time, _, capacity in likeness.holdings:
            free += capacity
            then = self.fits(free)
            if then > now:
                steps.append((time, then - now))
                now = then
        return room, steps

    def _change(self, time: int, by: int) -> None:
        before = self._more.get(time, 0)
        if not before:
            insort(self._times, time)
        if before + by:
            self._more[time] = before + by
        else:
            self._more.pop(time, None)
            del self._times[bisect_left(self._times, time)]
