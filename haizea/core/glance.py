"""A quick glance at a waiting lease: whether it is worth trying to start it at all."""

from __future__ import annotations

from haizea.core.plan import Lease
from haizea.core.resources import FOREVER, Capacity
from haizea.core.sizes import level_count
from haizea.core.slottable import SlotTable


class Glance:
    """How many nodes of each size would fit at this very moment, remembered until told."""

    __slots__ = ("_free", "_table")

    def __init__(self, table: SlotTable) -> None:
        self._table = table
        self._free: dict[Capacity, int] = {}

    def forget(self) -> None:
        """Something was placed: what is remembered is not true any more."""
        self._free.clear()

    def hopeless(self, lease: Lease) -> bool:
        """Whether fewer hosts are free at present than the lease needs, for however long.

        ``False`` where nodes differ: that takes a closer look.
        """
        size = lease.demand.size
        if size is None:
            return False
        count = self._free.get(size)
        if count is None:
            now = self._table.now
            count = level_count(self._table.room(size, now, now + 1), FOREVER)
            self._free[size] = count
        return lease.demand.count > count
