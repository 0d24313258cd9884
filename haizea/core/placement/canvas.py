"""A sketch of who is where and when, on which what has not begun can be moved about.

The slot table stays as it is: a canvas is read off it host by host, as hosts are asked
about, and thrown away. On it, a lease is *units*: its nodes, or those of them that must be
together. A unit that has begun, or may not be moved for another reason, is fixed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, Protocol

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import EVERYWHERE, HostSet
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.placement.mapper import Demand, Hosts
from haizea.core.placement.plan import Lease

#: What the largest host has of a resource type counts so much.
_WHOLE: Final = 1 << 20
#: Amounts of all types in one number, each in so many bits, the highest of them being spare.
_BITS: Final = 48


class Unit:
    """Nodes that go to one host together, over ``[start, end)``; ``host`` is where they are.

    ``nodes`` are positions in the lease, from 0; none, where it is fixed. ``foes`` are the
    positions of the lease's units that need another host. ``refused`` counts how often it
    found no room without making some. ``packed`` is ``size`` in one number, ``bulk`` how much
    that is of a host.
    """

    __slots__ = (
        "allowed",
        "bulk",
        "end",
        "foes",
        "host",
        "lease_id",
        "nodes",
        "packed",
        "place",
        "refused",
        "size",
        "start",
    )

    def __init__(self, start: int, end: int, size: Capacity, host: int) -> None:
        self.start = start
        self.end = end
        self.size = size
        self.host = host
        self.lease_id = -1
        self.nodes: tuple[int, ...] = ()
        self.place = 0
        self.allowed: HostSet = EVERYWHERE
        self.foes = 0
        self.refused = 1
        self.packed = pack(size)
        self.bulk = 0


@lru_cache(maxsize=4096)
def pack(size: Capacity) -> int:
    """The amounts in one number: sums of amounts are sums of such numbers."""
    packed = 0
    for amount in size:
        packed = packed << _BITS | amount
    return packed


def spare_bits(types: int) -> int:
    """The highest bit of each of so many amounts.

    With these added, what is taken away leaves them as they are, unless it is too much.
    """
    return pack((1 << _BITS - 1,) * types)


class Planned(Protocol):
    """The plans of leases whose hosts may still change."""

    def movable(self, owner: int) -> Lease | None:
        """The lease that holds something, if it may be given other hosts."""

    def keeps_apart(self, lease: Lease) -> bool:
        """Tell whether each of its nodes needs a host of its own."""


class Canvas:
    """Units on hosts; with a ``window``, those in it, and what reaches beyond it is fixed."""

    def __init__(
        self, table: SlotTable, planned: Planned, window: tuple[int, int] = (0, FOREVER)
    ) -> None:
        self.table = table
        self._planned = planned
        self.window = self._first, self._last = window
        self._rows: dict[int, list[Unit]] = {}
        self._units: dict[int, list[Unit]] = {}
        self._leases: dict[int, Lease] = {}
        whole = table.uniform_capacity
        capacities = table.capacities if whole is None else [whole]
        first = capacities[0] if capacities else ()
        totals = [max(1, *amounts) for amounts in zip(*capacities, first, strict=False)]
        self._bulks: dict[Capacity, int] = {}
        self._weights = [_WHOLE // total for total in totals]
        self._spare = spare_bits(len(first))
        #: Hosts of which somebody asked who is there.
        self.loaded: HostSet = 0

    def units(
        self, lease_id: int, demand: Demand, hosts: Hosts, start: int, end: int
    ) -> list[Unit]:
        """A lease's units; ``hosts`` are those of its nodes, empty where it has none yet."""
        units: list[Unit] = []
        for place, block in enumerate(demand.parts()):
            host = hosts[block.nodes[0]] if hosts else -1
            unit = self._unit(start, end, block.capacity, host)
            unit.lease_id = lease_id
            unit.nodes = block.nodes
            unit.place = place
            unit.allowed = block.hosts
            unit.foes = block.foes
            units.append(unit)
        return units

    def _unit(self, start: int, end: int, size: Capacity, host: int) -> Unit:
        unit = Unit(start, end, size, host)
        unit.bulk = self.bulk(size)
        return unit

    def row(self, host: int) -> list[Unit]:
        """The units on a host."""
        row = self._rows.get(host)
        if row is None:
            holds = self.table.holds_over(host, self._first, self._last)
            row = self._rows[host] = self._read(host, holds)
        return row

    def _read(self, host: int, holds: Iterable[Hold]) -> list[Unit]:
        """Return the units that hold something of a host, of which none has left or come yet."""
        self.loaded |= 1 << host
        row: list[Unit] = []
        seen: set[int] = set()
        for hold in holds:
            units = self.units_of(hold.owner)
            if units is None:
                row.append(self._unit(hold.start, hold.end, hold.amount(host), host))
            elif hold.owner not in seen:
                seen.add(hold.owner)
                row += [unit for unit in units if unit.host == host]
        return row

    def units_of(self, owner: int) -> list[Unit] | None:
        """The units of who holds something; ``None`` if they are fixed."""
        units = self._units.get(owner)
        if units is None:
            lease = self._planned.movable(owner)
            if lease is None or lease.plan is None or lease.hold.hosts & self.table.shut:
                return None
            hold = lease.hold
            if hold.start < self._first or hold.end > self._last:
                return None
            units = self.units(owner, lease.demand, lease.plan.hosts, hold.start, hold.end)
            if self._planned.keeps_apart(lease):
                everyone = (1 << len(units)) - 1
                for unit in units:
                    unit.foes = everyone & ~(1 << unit.place)
            self._units[owner], self._leases[owner] = units, lease
        return units

    def next_start(self, host: int, moment: int) -> int:
        """Return when something begins on a host next, from ``moment`` on; else ``FOREVER``."""
        row = self._rows.get(host)
        if row is not None:
            return min((u.start for u in row if u.start >= moment), default=FOREVER)
        holds = self.table.holds_on(host)
        return min([hold.start for hold in holds if hold.start >= moment], default=FOREVER)

    def overlapping(self, host: int, start: int, end: int) -> list[Unit]:
        """The units on a host that are there at some time in ``[start, end)``.

        O(those, and log n of its n holds) where none has left or come yet.
        """
        row = self._rows.get(host)
        if row is None:
            row = self._read(host, self.table.holds_over(host, start, end))
        return [unit for unit in row if unit.start < end and unit.end > start]

    def put(self, unit: Unit, host: int) -> None:
        """The unit is on this host now."""
        self.row(host).append(unit)
        unit.host = host

    def take(self, unit: Unit) -> None:
        """The unit is nowhere now."""
        self.row(unit.host).remove(unit)
        unit.host = -1

    def as_planned(self) -> None:
        """Put all units back on the hosts on which they are planned."""
        for lease_id, units in self._units.items():
            plan = self._leases[lease_id].plan
            assert plan is not None, "it has a plan"
            for unit in units:
                planned = plan.hosts[unit.nodes[0]]
                if unit.host != planned:
                    if unit.host >= 0:
                        self.take(unit)
                    self.put(unit, planned)

    def wasted(self, host: int, unit: Unit, there: list[Unit]) -> int:
        """Return how much of the host nobody has while the unit is there, beside ``there``."""
        start, end = unit.start, unit.end
        free = self.bulk(self.table.capacities[host]) * (end - start)
        for other in there:
            first = other.start if other.start > start else start
            last = other.end if other.end < end else end
            free -= other.bulk * (last - first)
        return free

    def bulk(self, size: Capacity) -> int:
        """Return how much that is of a host."""
        bulk = self._bulks.get(size)
        if bulk is None:
            weights = self._weights
            bulk = sum([amount * weight for amount, weight in zip(size, weights, strict=True)])
            self._bulks[size] = bulk
        return bulk

    def has_room(self, host: int, unit: Unit, there: list[Unit]) -> bool:
        """Tell whether the unit fits beside ``there``, all of them with it at some time."""
        spare = self._spare
        free = pack(self.table.capacities[host]) + spare - unit.packed
        if free & spare != spare:
            return False
        used = 0
        for other in there:
            used += other.packed
        if free - used & spare == spare:
            return True
        if len(there) == 1:
            return False
        start = unit.start
        for moment in {start, *[other.start for other in there if other.start > start]}:
            used = 0
            for other in there:
                if other.start <= moment < other.end:
                    used += other.packed
            if free - used & spare != spare:
                return False
        return True

    def movable(self) -> Iterator[tuple[Lease, list[Unit]]]:
        """The leases that may be moved, as far as somebody asked who is there, by id."""
        for lease_id, lease in sorted(self._leases.items()):
            yield lease, self._units[lease_id]

    def moved(self) -> Iterator[tuple[Lease, Hosts]]:
        """The leases that are on other hosts than planned, and these, by id."""
        for lease_id, lease in sorted(self._leases.items()):
            plan = lease.plan
            assert plan is not None, "it has a plan"
            hosts = hosts_of(self._units[lease_id], len(plan.hosts))
            if hosts == plan.hosts:
                continue
            hosts = lease.demand.keep(plan.hosts, hosts)
            if hosts != plan.hosts:
                yield lease, hosts


def hosts_of(units: list[Unit], count: int) -> Hosts:
    """The host of each of a lease's nodes."""
    hosts = [-1] * count
    for unit in units:
        for node in unit.nodes:
            hosts[node] = unit.host
    return tuple(hosts)


def work(unit: Unit) -> int:
    """Return how much of a host the unit takes, times how long."""
    return unit.bulk * (unit.end - unit.start)


def crowded(units: Sequence[Unit], first: int) -> list[int]:
    """Return the moments from the first on at which as many are there as can be.

    Whoever is there at another moment is there at one of these, too.
    """
    begins = sorted({max(unit.start, first) for unit in units})
    ends = sorted([unit.end for unit in units])
    return [
        moment
        for moment, following in pairwise([*begins, FOREVER + 1])
        if bisect_right(ends, moment) < bisect_right(ends, following)
    ]
