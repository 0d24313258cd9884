"""The mapper: lease nodes → hosts, at a given moment.

Hosts are taken in the order of the host-selection policy; each takes as many of the
nodes as it has room for. Hosts named in ``prefer`` come before all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final, NamedTuple, Protocol

from haizea.core.capacity.fit_index import Levels, level_count
from haizea.core.capacity.hold import Shape, shape_of
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.allocation import Apart, Use
from haizea.core.model.derivable import mypyc_attr
from haizea.core.model.hostrules import Allowed, HostRules, permits
from haizea.core.model.hosts import EVERYWHERE, HostSet, host_set, hosts_in, lowest
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.policy import HostSelectionPolicy, declares
from haizea.core.model.resources import FOREVER, Capacity, add, fits
from haizea.core.placement.fitting import Block, Blocks
from haizea.core.placement.packing import first_fit, largest_first

#: ``hosts[i]`` is the host of lease node *i* + 1.
Hosts = tuple[int, ...]


class Spread(NamedTuple):
    """A lease on particular hosts: what it takes of each, which they are, one node on each?"""

    use: Use
    shape: Shape
    apart: bool

    @property
    def hosts(self) -> HostSet:
        """The hosts."""
        return self.shape.hosts


class Demand:
    """The needs of a lease's nodes: read off its request once."""

    __slots__ = (
        "_capacities",
        "_largest_first",
        "_parts",
        "_request",
        "_spreads",
        "allowed",
        "blocks",
        "count",
        "rules",
        "size",
    )

    def __init__(self, request: LeaseRequest, allowed: Allowed = EVERYWHERE) -> None:
        nodes = request.nodes
        self._request = request
        self._capacities: list[Capacity] = []
        self.count = nodes[0].count if len(nodes) == 1 else request.node_count
        #: What nodes may run where; ``None`` where the same hosts will do for each.
        self.rules: HostRules | None = None
        #: The nodes as they have to be placed by the rules, if there are any.
        self.blocks: Blocks | None = None
        #: The size of every node, or ``None`` where nodes differ, in this or by the rules.
        self.size: Capacity | None = None
        #: The hosts that will do for one node at least.
        self.allowed: HostSet
        if isinstance(allowed, HostRules):
            assert len(allowed.allowed) == self.count, "rules are for each node"
            self.allowed = allowed.anywhere
            self.rules = allowed
            self.blocks = Blocks(self.capacities, allowed)
        else:
            self.allowed = allowed
            if len(nodes) == 1 or len({s.capacity for s in nodes}) == 1:
                self.size = nodes[0].capacity
        self._spreads: list[tuple[Sequence[int], Spread]] = []
        self._parts: list[Block] | None = None
        self._largest_first: list[tuple[Capacity, list[int]]] = []

    @property
    def capacities(self) -> list[Capacity]:
        """The capacity of each node; do not change it."""
        if not self._capacities:
            self._capacities = self._request.node_capacities()
        return self._capacities

    @property
    def largest_first(self) -> list[tuple[Capacity, list[int]]]:
        """The nodes as :func:`largest_first` has them; do not change it."""
        if not self._largest_first:
            self._largest_first = largest_first(self.capacities)
        return self._largest_first

    @property
    def where(self) -> Allowed:
        """The hosts that will do."""
        return self.allowed if self.rules is None else self.rules

    def permits(self, hosts: Sequence[int]) -> bool:
        """Tell whether the nodes may be on these hosts."""
        return permits(self.where, hosts)

    def parts(self) -> Sequence[Block]:
        """The nodes in blocks that each need a host."""
        if self.blocks is not None:
            return self.blocks.parts
        if self._parts is None:
            sizes = enumerate(self.capacities)
            self._parts = [Block((i,), size, self.allowed, 0) for i, size in sizes]
        return self._parts

    def spread(self, hosts: Sequence[int]) -> Spread:
        """The lease on these hosts; the same answer for the same object, while it is in use."""
        for known, spread in self._spreads:
            if known is hosts:
                return spread
        found = self._spread(hosts)
        self._spreads = [(hosts, found), *self._spreads[:1]]
        return found

    def use(self, hosts: Sequence[int]) -> Use:
        """Return what the nodes take of these hosts, per host."""
        return self.spread(hosts).use

    def keep(self, bound: Hosts, hosts: Hosts) -> Hosts:
        """``hosts`` dealt out so that as many equal nodes as possible stay on ``bound``."""
        if self.size is None:
            return hosts
        left = list(hosts)
        result: list[int | None] = []
        for host in bound:
            if host in left:
                left.remove(host)
                result.append(host)
            else:
                result.append(None)
        rest = iter(left)
        return tuple([next(rest) if host is None else host for host in result])

    def take_apart(self, hosts: Hosts, found: HostSet) -> None:
        """These hosts, the set ``found``, are chosen for equal nodes, one on each."""
        assert self.size is not None, "nodes are equal"
        spread = Spread(Apart(hosts, self.size), Shape(found, self.size), True)
        self._spreads = [(hosts, spread), *self._spreads[:1]]

    def _spread(self, hosts: Sequence[int]) -> Spread:
        found = host_set(hosts)
        apart = found.bit_count() == len(hosts)
        if self.size is not None and apart:
            size = self.size
            return Spread(Apart(tuple(hosts), size), Shape(found, size), apart)
        totals: dict[int, Capacity] = {}
        for host, capacity in zip(hosts, self.capacities, strict=True):
            totals[host] = add(totals[host], capacity) if host in totals else capacity
        use = tuple(totals.items())
        return Spread(use, shape_of(use), apart)


#: Leases are counted for all hosts at once where there are more than so many.
_MANY_HOSTS: Final = 256


class View:
    """The hosts at the start of a lease, as a host-selection policy sees them."""

    __slots__ = ("_table", "start")

    def __init__(self, table: SlotTable, start: int) -> None:
        self._table = table
        self.start = start

    def leases_on(self, host: int) -> int:
        """Return how many leases hold the host at the start."""
        return sum(h.start <= self.start < h.end for h in self._table.holds_on(host))

    def unchanged_until(self, host: int) -> int:
        """Return when the host's free capacity changes next, after the start."""
        return self._table.next_change(host, self.start)

    def by_leases(self, hosts: HostSet) -> Iterable[HostSet]:
        """``hosts`` split by how many leases they hold at the start, fewest first."""
        if self.start <= self._table.now:
            return self._table.by_holds(hosts)
        return self._by_leases_later(hosts)

    def by_unchanged(self, hosts: HostSet) -> Iterable[HostSet]:
        """``hosts`` split by when their free capacity changes next, latest first."""
        if self.start <= self._table.now:
            return self._table.by_next_change(hosts)
        return self._by_unchanged_later(hosts)

    def _by_leases_later(self, hosts: HostSet) -> Iterator[HostSet]:
        idle = hosts & ~self._table.held(self.start, self.start + 1, hosts)
        if idle:
            yield idle
        if hosts == idle:
            return
        if (hosts & ~idle).bit_count() > _MANY_HOSTS:
            yield from self._counted(hosts & ~idle)
        else:
            yield from _grouped(hosts & ~idle, self.leases_on)

    def _counted(self, hosts: HostSet) -> Iterator[HostSet]:
        """The same as by :meth:`leases_on`, counted for all hosts at once, in binary numbers."""
        start, digits = self.start, list[HostSet]()
        for hold in self._table.holds_between(start, start + 1):
            carry, place = hold.hosts & hosts if hold.start <= start < hold.end else 0, 0
            while carry:
                if place == len(digits):
                    digits.append(0)
                digits[place], carry = digits[place] ^ carry, digits[place] & carry
                place += 1
        groups = [hosts]
        for digit in reversed(digits):
            groups = [part for group in groups for part in (group & ~digit, group & digit) if part]
        yield from groups

    def _by_unchanged_later(self, hosts: HostSet) -> Iterator[HostSet]:
        forever = hosts & ~self._table.held(self.start, FOREVER, hosts)
        if forever:
            yield forever
        if hosts != forever:
            next_change, start = self._table.next_change, self.start
            yield from _grouped(hosts & ~forever, lambda host: -next_change(host, start))


@mypyc_attr(allow_interpreted_subclasses=True)
class _Key(Protocol):
    def __call__(self, host: int, /) -> int: ...


def _grouped(hosts: HostSet, key: _Key) -> Iterator[HostSet]:
    groups: dict[int, list[int]] = {}
    for host in hosts_in(hosts):
        groups.setdefault(key(host), []).append(host)
    for _, members in sorted(groups.items()):
        yield host_set(members)


@mypyc_attr(allow_interpreted_subclasses=True)
class Mapper(Protocol):
    """Chooses hosts for a lease's nodes.

    A class may say with ``refuses_only_without_room = True``
    (:func:`~haizea.core.model.policy.declares`) that it finds hosts for equal nodes wherever
    there are enough: waiting leases are then looked at again only where something came free.
    """

    def choose(
        self,
        table: SlotTable,
        request: LeaseRequest,
        demand: Demand,
        levels: Levels,
        start: int,
        prefer: HostSet = 0,
    ) -> Hosts | None:
        """Hosts for equal nodes, out of those in ``levels``; ``None`` if they are too few."""

    def pack(
        self,
        table: SlotTable,
        request: LeaseRequest,
        demand: Demand,
        start: int,
        end: int,
        prefer: HostSet = 0,
    ) -> Hosts | None:
        """Hosts for nodes of several sizes, free throughout ``[start, end)``; ``None`` if none."""


@mypyc_attr(allow_interpreted_subclasses=True)
class GreedyMapper:
    """Fills the policy's preferred hosts one after another."""

    refuses_only_without_room: ClassVar[bool] = True

    def __init__(self, selection: HostSelectionPolicy) -> None:
        self._selection = selection
        #: Whether leases that need the same always get the same hosts.
        self.chooses_alike = declares(self, "refuses_only_without_room") and declares(
            selection, "ignores_request"
        )

    def choose(
        self,
        table: SlotTable,
        request: LeaseRequest,
        demand: Demand,
        levels: Levels,
        start: int,
        prefer: HostSet = 0,
    ) -> Hosts | None:
        """See :meth:`Mapper.choose`. O(nodes) where a host takes one node each."""
        count = demand.count
        if level_count(levels, count) < count:
            return None
        chosen: list[int] = []
        taken = 0
        several = levels[1] if len(levels) > 1 else 0
        for tier in self._tiers(table, request, levels[0], start, prefer):
            missing = count - len(chosen)
            if missing <= 0:
                break
            if missing > 1 and tier & several:
                for host in hosts_in(tier):
                    most = 1
                    while most < missing and most < len(levels) and levels[most] >> host & 1:
                        most += 1
                    chosen += [host] * most
                    missing -= most
                    if not missing:
                        break
            else:
                tier = lowest(tier, missing)
                taken |= tier
                chosen += hosts_in(tier)
        assert len(chosen) == count, "tiers leave out no host"
        hosts = tuple(chosen)
        if taken.bit_count() == count:
            demand.take_apart(hosts, taken)
        return hosts

    def pack(
        self,
        table: SlotTable,
        request: LeaseRequest,
        demand: Demand,
        start: int,
        end: int,
        prefer: HostSet = 0,
    ) -> Hosts | None:
        """See :meth:`Mapper.pack`: first fit, the largest nodes first. O(sizes × hosts + nodes).

        Where there are rules, those with the fewest hosts first: see :class:`Blocks`.
        """
        everywhere = table.up & demand.allowed
        smallest = tuple([min(amounts) for amounts in zip(*demand.capacities, strict=True)])
        possible = everywhere
        if possible & possible - 1:  # Of one host alone it is known soon enough.
            possible &= table.room(smallest, start, end)[0]
        order = [
            host
            for tier in self._tiers(table, request, possible, start, prefer)
            for host in hosts_in(tier)
        ]
        free = {host: table.least_free(host, start, end) for host in order}
        if demand.blocks is not None:
            return demand.blocks.fit(order, free)
        return first_fit(demand.largest_first, order, free)

    def _tiers(
        self, table: SlotTable, request: LeaseRequest, hosts: HostSet, start: int, prefer: HostSet
    ) -> Iterable[HostSet]:
        view = View(table, start)
        if not prefer & hosts:
            return self._selection.tiers(request, hosts, view) if hosts else ()
        return self._preferred_first(request, hosts, prefer, view)

    def _preferred_first(
        self, request: LeaseRequest, hosts: HostSet, prefer: HostSet, view: View
    ) -> Iterator[HostSet]:
        yield from self._selection.tiers(request, hosts & prefer, view)
        if hosts & ~prefer:
            yield from self._selection.tiers(request, hosts & ~prefer, view)


def takes_whole(demand: Demand, capacity: Capacity | None) -> bool:
    """Tell whether each node takes a host of this capacity for itself, whichever it is.

    It takes all of the first resource type, so that nothing else that needs some fits.
    """
    size = demand.size
    return (
        size is not None
        and capacity is not None
        and demand.allowed == EVERYWHERE
        and size[0] == capacity[0] > 0
        and fits(size, capacity)
    )


def fits_site(demand: Demand, capacities: Sequence[Capacity]) -> bool:
    """Tell whether nodes of several sizes could run if every host were empty."""
    hosts = [host for host in range(len(capacities)) if demand.allowed >> host & 1]
    free = {host: capacities[host] for host in hosts}
    if demand.blocks is not None:
        return demand.blocks.fit(hosts, free) is not None
    return first_fit(demand.largest_first, hosts, free) is not None
