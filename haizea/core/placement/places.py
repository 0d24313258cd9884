"""Places for nodes, where all nodes that matter are of one size, on whatever hosts.

Numbers of places say everything then, as numbers of hosts do where equal hosts are taken whole:
who begins first takes any that are free, and whoever begins later finds as many as were counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import EVERYWHERE, hosts_in
from haizea.core.model.resources import Capacity, copies
from haizea.core.placement.canvas import Canvas, Unit
from haizea.core.placement.mapper import Demand
from haizea.core.placement.seating import TURNS, Guest, Seating

#: No site has as many places as that.
_SPARE: Final = 1 << 40


class Places:
    """Numbers of places of a table's hosts, to be added as :class:`~.sums.Sums` are."""

    spare = _SPARE

    def __init__(self, table: SlotTable, size: Capacity) -> None:
        self._size = size
        self._shut = table.shut
        self._on = [copies(size, capacity, _SPARE) for capacity in table.capacities]
        self._up = table.up

    def of(self, size: Capacity) -> int:
        """The places that a node of this size takes: one, as all have the same."""
        assert size == self._size, "all nodes have one size"
        return 1

    def total(self) -> int:
        """The places of all hosts that take what is new."""
        return sum([self._on[host] for host in hosts_in(self._up)])

    def held(self, hold: Hold) -> int:
        """The places that are held of these hosts."""
        if hold.same == self._size:
            return (hold.hosts & ~self._shut).bit_count()
        size, shut = self._size, self._shut
        return sum([copies(size, x, _SPARE) for host, x in hold.use if not shut >> host & 1])


def places_of(table: SlotTable, demands: Sequence[Demand], start: int, end: int) -> Places | None:
    """Return the places for nodes as these have; ``None`` where numbers would not say everything.

    They say it where all nodes, and those of whoever holds something within ``[start, end)``, have
    one size and may run on any host. O(holds).
    """
    size = demands[0].size
    if size is None or not any(size):
        return None
    if any(demand.size != size or demand.allowed != EVERYWHERE for demand in demands):
        return None
    holds = table.holds_between(start, end)
    if not all(hold.same == size or _has_only(hold, size) for hold in holds):
        return None
    return Places(table, size)


def _has_only(hold: Hold, size: Capacity) -> bool:
    """Tell whether what is held is so many nodes of this size."""
    return all(
        tuple([copies(size, amount, _SPARE) * part for part in size]) == amount
        for _, amount in hold.use
    )


def all_taken_whole(table: SlotTable, start: int, end: int) -> bool:
    """Tell whether whoever holds something of equal hosts then holds them whole."""
    whole = table.uniform_capacity
    return whole is not None and all(
        hold.same is not None and hold.same[0] == whole[0]
        for hold in table.holds_between(start, end)
    )


def seated_in_order(canvas: Canvas, hosts: list[int], units: Sequence[Unit]) -> bool:
    """Give units places on hosts, beside what is fixed there, in order of their starts.

    They are all of one size. Tell if all have some: they do where there are enough at each moment,
    unless something is fixed that begins later. O(units × hosts).
    """
    if any(unit.foes for unit in units):
        return False
    guests = [Guest(unit.start, unit.start, unit.end - unit.start, [unit]) for unit in units]
    # Each turn of the search has enough looks to come through all units.
    starts, _ = Seating(canvas, hosts, guests).find(TURNS * len(units) * len(hosts))
    return starts is not None
