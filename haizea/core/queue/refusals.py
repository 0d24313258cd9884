"""Refusals that hold for others, within one look at the queue.

A lease that cannot start before some moment rules that out for every lease that needs as
much at least: as many nodes or more, as large or larger, for as long or longer.
"""

from __future__ import annotations

from bisect import insort
from typing import Final

from haizea.core.model.hosts import HostSet
from haizea.core.model.resources import Capacity, fits
from haizea.core.placement.mapper import Demand

#: (no start before this moment, as a negative number; nodes, seconds, on these hosts)
_Refusal = tuple[int, int, int, HostSet]


#: So many of a size are kept whether all are needed or not.
_FEW: Final = 16


class Refusals:
    """Starts that are ruled out; for leases with equal nodes, which need nothing but room."""

    __slots__ = ("_by_size", "_last", "_most", "_no_larger")

    def __init__(self) -> None:
        #: The latest first.
        self._by_size: dict[Capacity, list[_Refusal]] = {}
        #: By size, what is known of sizes that are no larger.
        self._no_larger: dict[Capacity, list[list[_Refusal]]] = {}
        #: By size, of how many the needless ones are to be sorted out.
        self._most: dict[Capacity, int] = {}
        #: What was asked for last, and the answer, until something changes.
        self._last: tuple[Demand, int, int] | None = None

    def add(self, demand: Demand, length: int, until: int) -> None:
        """No start before ``until`` has room for so much, for ``length``. O(refusals)."""
        if self.bound(demand, length) >= until:
            return
        size, count, allowed = demand.size, demand.count, demand.allowed
        assert size is not None, "nodes are equal"
        known = self._by_size.get(size)
        if known is None:
            known = self._by_size[size] = []
            self._no_larger.clear()
        if len(known) >= self._most.get(size, _FEW):
            known[:] = _needed(known)
            self._most[size] = max(2 * len(known), _FEW)
        insort(known, (-until, count, length, allowed))
        self._last = None

    def opened(self, start: int) -> None:
        """Capacity came free from ``start`` on: what reaches into that is open again."""
        self._last = None
        for known in self._by_size.values():
            known[:] = [
                (until, c, n, a) if (until := n - 1 - start) > t else (t, c, n, a)
                for t, c, n, a in known
            ]
            known.sort()

    def bound(self, demand: Demand, length: int) -> int:
        """The moment before which no start has room for so much.

        O(refusals), and O(1) where the same was asked last.
        """
        last = self._last
        if last is not None and last[0] is demand and last[1] == length:
            return last[2]
        count, allowed = demand.count, demand.allowed
        best = 0
        for known in self._of_no_larger(demand.size):
            for t, c, n, a in known:
                if t >= best:
                    break
                if c <= count and n <= length and not allowed & ~a:
                    best = t
                    break
        self._last = demand, length, -best
        return -best

    def _of_no_larger(self, size: Capacity | None) -> list[list[_Refusal]]:
        assert size is not None, "nodes are equal"
        found = self._no_larger.get(size)
        if found is None:
            found = [known for other, known in self._by_size.items() if fits(other, size)]
            self._no_larger[size] = found
        return found


def _needed(known: list[_Refusal]) -> list[_Refusal]:
    """Return those of these, the latest first, that no other includes."""
    needed = list[_Refusal]()
    for refusal in known:
        _, count, length, allowed = refusal
        for _, c, n, a in needed:
            if c <= count and n <= length and not allowed & ~a:
                break
        else:
            needed.append(refusal)
    return needed
