"""A quick glance at what is free at present: whether a closer look is worth while at all."""

from __future__ import annotations

from haizea.core.capacity.fit_index import Levels, level_count
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import HostSet
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.placement.shadow import Claim


class Glance:
    """Numbers of nodes of each size that would fit at this very moment, remembered until told."""

    __slots__ = ("_claim", "_free", "_room", "_spare", "_table")

    def __init__(self, table: SlotTable, claim: Claim | None = None) -> None:
        self._table = table
        self._claim = claim
        self._free: dict[Capacity, int] = {}
        self._room: dict[Capacity, Levels] = {}
        self._spare: dict[Capacity, int] = {}

    def forget(self) -> None:
        """Something was placed: what is remembered is not true any more."""
        self._free.clear()
        self._room.clear()
        self._spare.clear()

    def may_fit(self, size: Capacity | None, count: int) -> bool:
        """Tell whether as many hosts are free at present, for however long.

        ``True`` where nodes differ (``size`` is ``None``): that takes a closer look.
        """
        return size is None or self.free(size) >= count

    def free(self, size: Capacity) -> int:
        """Return the number of nodes of this size that fit at present."""
        count = self._free.get(size)
        if count is None:
            count = self._free[size] = level_count(self._levels(size), FOREVER)
        return count

    def hosts(self, size: Capacity) -> HostSet:
        """Return the hosts that have room for a node of this size at present."""
        return self._levels(size)[0]

    def spare(self, size: Capacity) -> int:
        """Return how many of them could stay beyond the start of the claim, at most."""
        count = self._spare.get(size)
        if count is None:
            assert self._claim is not None, "there is a claim"
            levels = self._levels(size)
            if self._claim.shares_hosts(levels):
                count = FOREVER
            else:
                count = level_count(self._claim.spare(levels), FOREVER)
            self._spare[size] = count
        return count

    def _levels(self, size: Capacity) -> Levels:
        levels = self._room.get(size)
        if levels is None:
            now = self._table.now
            levels = self._room[size] = self._table.room(size, now, now + 1)
        return levels
