"""Refusals that hold for others, within one look at the queue.

A lease that cannot start before some moment rules that out for every lease that needs as
much at least: as many nodes or more, as large or larger, for as long or longer.
"""

from __future__ import annotations

from haizea.core.model.hosts import HostSet
from haizea.core.model.resources import Capacity, fits
from haizea.core.placement.mapper import Demand

#: (nodes, seconds, no start before this moment, on these hosts)
_Refusal = tuple[int, int, int, HostSet]


class Refusals:
    """Starts that are ruled out; for leases with equal nodes, which need nothing but room."""

    __slots__ = ("_by_size",)

    def __init__(self) -> None:
        self._by_size: dict[Capacity, list[_Refusal]] = {}

    def add(self, demand: Demand, length: int, until: int) -> None:
        """No start before ``until`` has room for so much, for ``length``. O(refusals)."""
        assert demand.size is not None, "nodes are equal"
        count, allowed = demand.count, demand.allowed
        known = self._by_size.get(demand.size, [])
        for c, n, t, a in known:
            if c <= count and n <= length and t >= until and not allowed & ~a:
                return  # It is ruled out with that.
        kept = [
            (c, n, t, a)
            for c, n, t, a in known
            if c < count or n < length or t > until or a & ~allowed
        ]
        kept.append((count, length, until, allowed))
        self._by_size[demand.size] = kept

    def opened(self, start: int) -> None:
        """Capacity came free from ``start`` on: what reaches into that is open again."""
        for size, known in self._by_size.items():
            self._by_size[size] = [(c, n, min(t, start - n + 1), a) for c, n, t, a in known]

    def bound(self, demand: Demand, length: int) -> int:
        """The moment before which no start has room for so much. O(refusals)."""
        assert demand.size is not None, "nodes are equal"
        count, allowed = demand.count, demand.allowed
        best = 0
        for size, known in self._by_size.items():
            if fits(size, demand.size):
                for c, n, t, a in known:
                    if t > best and c <= count and n <= length and not allowed & ~a:
                        best = t
        return best
