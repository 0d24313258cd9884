"""The claim of a waiting lease on a later start, which leases that overtake must not delay.

A claim names no hosts: only how many there must be. Which ones is left open until the
lease starts, for a claim pinned to particular hosts would refuse leases that do not delay
it at all. (A lease that can run on its own hosts only claims just these.)
"""

from __future__ import annotations

from haizea.core.capacity.fit_index import MOST_COPIES, Levels, level_count
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.allocation import Use
from haizea.core.model.hosts import HostSet, host_set, hosts_in, lowest
from haizea.core.model.resources import FOREVER, Capacity, copies, fits, subtract
from haizea.core.placement.mapper import Demand


class Claim:
    """Room for a lease over ``[start, end)``: ``levels`` of hosts, or exactly ``use``."""

    __slots__ = ("_levels", "_use", "demand", "end", "lease_id", "start")

    def __init__(
        self,
        lease_id: int,
        demand: Demand,
        start: int,
        end: int,
        levels: Levels | None,
        use: Use | None,
    ) -> None:
        self.lease_id = lease_id
        self.demand = demand
        self.start = start
        self.end = end
        self._levels = levels
        self._use = use

    def spare(self, levels: Levels) -> Levels:
        """Return a part of ``levels`` that can be taken beyond ``start`` without harm.

        A part for sure, not all of it: where hosts take several nodes, a taken host counts
        as lost to the claim.
        """
        if self._use is not None:
            mine = host_set(host for host, _ in self._use)
            return [hosts & ~mine for hosts in levels]
        assert self._levels is not None, "a claim has levels or a use"
        claimed = self._levels[0]
        extra = level_count(self._levels, FOREVER) - self.demand.count
        both = levels[0] & claimed
        if len(self._levels) == 1 or not self._levels[1]:
            given = lowest(both, extra) if extra > 0 else 0
        else:
            given = self._cheapest(both, extra)
        keep = ~claimed | given
        return [hosts & keep for hosts in levels]

    def shares_hosts(self, levels: Levels) -> bool:
        """Tell whether some host may have room for the claim beside another lease's node."""
        return (
            self._levels is None
            or (len(self._levels) > 1 and self._levels[1] != 0)
            or (len(levels) > 1 and levels[1] != 0)
            or self.demand.size is None
        )

    def allows(self, table: SlotTable, use: Use, start: int, end: int) -> bool:
        """Tell whether ``use`` over ``[start, end)`` leaves the claim its room. O(its hosts)."""
        if end <= self.start or start >= self.end:
            return True
        holding = max(start, self.start), min(end, self.end)
        if self._use is not None:
            taken = dict(use)
            return all(
                fits(amount, self._least_free(table, host, taken.get(host), holding))
                for host, amount in self._use
            )
        return self._has_room_beside(table, use, holding)

    def taken(self, table: SlotTable, end: int) -> None:
        """A lease was placed that ends at ``end``: look again at what is there for the claim."""
        if end > self.start and self._levels is not None:
            self._levels = self._room(table).copy()

    def _has_room_beside(self, table: SlotTable, use: Use, holding: tuple[int, int]) -> bool:
        """Tell whether its nodes still fit where ``use`` is held for a part of its time."""
        size, count, levels = self.demand.size, self.demand.count, self._room(table)
        assert size is not None, "only equal nodes have levels"
        room = level_count(levels, FOREVER)
        for host, amount in use:
            if room < count:
                return False
            if levels[0] >> host & 1:
                left = copies(size, self._least_free(table, host, amount, holding), MOST_COPIES)
                room -= sum([hosts >> host & 1 for hosts in levels]) - left
        return room >= count

    def _least_free(
        self, table: SlotTable, host: int, taken: Capacity | None, holding: tuple[int, int]
    ) -> Capacity:
        """Return what is free on a host throughout the claim, if ``taken`` were held there."""
        free = table.least_free(host, self.start, self.end)
        if taken is None:
            return free
        if holding == (self.start, self.end):
            return subtract(free, taken)
        beside = subtract(table.least_free(host, *holding), taken)
        return tuple(map(min, free, beside))

    def _room(self, table: SlotTable) -> Levels:
        assert self.demand.size is not None, "only equal nodes have levels"
        return table.room(self.demand.size, self.start, self.end, self.demand.allowed)

    def _cheapest(self, hosts: HostSet, extra: int) -> HostSet:
        """Return as many of ``hosts`` as cost the claim no more than ``extra`` nodes."""
        assert self._levels is not None, "a claim has levels or a use"
        given = 0
        for host in hosts_in(hosts):
            cost = sum(level >> host & 1 for level in self._levels)
            if cost <= extra:
                extra -= cost
                given |= 1 << host
        return given
