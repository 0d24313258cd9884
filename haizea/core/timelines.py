"""The holds on each host: exact answers about one host at a time."""

from __future__ import annotations

from haizea.core.hold import Hold
from haizea.core.resources import FOREVER, Capacity, fits


class Timelines:
    """For every host, its holds that are not over. ``capacities`` is shared with the table."""

    __slots__ = ("_capacities", "_on")

    def __init__(self, capacities: list[Capacity]) -> None:
        self._capacities = capacities
        self._on: list[list[Hold]] = [[] for _ in capacities]

    def on(self, host: int) -> list[Hold]:
        """The holds on a host; do not change it."""
        return self._on[host]

    def add(self, hold: Hold) -> None:
        """List a hold on its hosts."""
        for host, _ in hold.use:
            self._on[host].append(hold)

    def drop(self, hold: Hold) -> None:
        """List it no more."""
        for host, _ in hold.use:
            self._on[host].remove(hold)

    def has(self, hold: Hold) -> bool:
        """Whether a hold is listed."""
        return bool(hold.use) and hold in self._on[hold.use[0][0]]

    def least_free(self, host: int, start: int, end: int) -> Capacity:
        """The capacity free on one host throughout ``[start, end)``. O(its holds, squared)."""
        holds = [h for h in self._on[host] if h.start < end and h.end > start]
        least = total = self._capacities[host]
        if not holds:
            return total
        for moment in {start, *(h.start for h in holds if h.start > start)}:
            used = [0] * len(total)
            for hold in holds:
                if hold.start <= moment < hold.end:
                    for i, amount in enumerate(hold.amount(host)):
                        used[i] += amount
            least = tuple([min(low, t - u) for low, t, u in zip(least, total, used, strict=True)])
        return least

    def free_from(self, host: int, amount: Capacity, length: int, start: int) -> int:
        """The first moment from ``start`` on from which ``amount`` is free for ``length``.

        ``FOREVER`` if there is none.
        """
        if fits(amount, self.least_free(host, start, start + length)):
            return start
        for moment in sorted({h.end for h in self._on[host] if h.end > start}):
            if moment < FOREVER and fits(amount, self.least_free(host, moment, moment + length)):
                return moment
        return FOREVER

    def fork(self) -> Timelines:
        """An independent copy."""
        twin = Timelines.__new__(Timelines)
        twin._capacities = self._capacities
        twin._on = [holds.copy() for holds in self._on]
        return twin

    def add_host(self) -> None:
        """There is one host more."""
        self._on.append([])
