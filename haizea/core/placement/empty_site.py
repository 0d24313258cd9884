"""Demands that hosts would do for if these were empty."""

from __future__ import annotations

from haizea.core.capacity.fit_index import MOST_COPIES
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.resources import Capacity, copies
from haizea.core.placement.mapper import Demand, fits_site


class EmptySite:
    """Tells which demands the hosts of a table would do for, if they were empty and up."""

    def __init__(self, table: SlotTable) -> None:
        self._table = table
        self._most: dict[tuple[Capacity, int], int] = {}

    def fits(self, demand: Demand) -> bool:
        """Tell whether such a lease could run; of equal nodes it is remembered by size."""
        capacities = self._table.capacities
        if demand.size is None or demand.allowed != EVERYWHERE:
            return fits_site(demand, capacities)
        most = self._most.get((demand.size, len(capacities)))
        if most is None:
            most = sum(copies(demand.size, c, MOST_COPIES) for c in capacities)
            self._most[demand.size, len(capacities)] = most
        return demand.count <= most
