"""The holds on each host: exact answers about one host at a time."""

from __future__ import annotations

from haizea.core.hold import Hold
from haizea.core.hosts import HostSet, hosts_in
from haizea.core.resources import FOREVER, Capacity, fits


class Timelines:
    """For every host, its holds that are not over. ``capacities`` is shared with the table.

    A hold is listed on its hosts only when somebody asks about one of them: on sites
    whose hosts are taken whole hardly anybody does.
    """

    __slots__ = ("_capacities", "_on", "_unlisted", "_unlisted_hosts")

    def __init__(self, capacities: list[Capacity]) -> None:
        self._capacities = capacities
        self._on: list[list[Hold]] = [[] for _ in capacities]
        self._unlisted: dict[int, Hold] = {}  # by serial number, in order
        self._unlisted_hosts: HostSet = 0

    def on(self, host: int) -> list[Hold]:
        """The holds on a host; do not change it."""
        if self._unlisted_hosts >> host & 1:
            for hold in self._unlisted.values():
                for other in hosts_in(hold.hosts):
                    self._on[other].append(hold)
            self._unlisted.clear()
            self._unlisted_hosts = 0
        return self._on[host]

    def add(self, hold: Hold) -> None:
        """List a hold on its hosts. O(1)."""
        self._unlisted[hold.serial] = hold
        self._unlisted_hosts |= hold.hosts

    def drop(self, hold: Hold) -> None:
        """List it no more. O(1) if nobody asked about its hosts."""
        if self._unlisted.pop(hold.serial, None) is None:
            for host in hosts_in(hold.hosts):
                self._on[host].remove(hold)
        elif not self._unlisted:
            self._unlisted_hosts = 0

    def has(self, hold: Hold) -> bool:
        """Whether a hold is listed."""
        return hold.serial in self._unlisted or (
            bool(hold.hosts) and hold in self._on[hold.hosts.bit_length() - 1]
        )

    def least_free(self, host: int, start: int, end: int) -> Capacity:
        """The capacity free on one host throughout ``[start, end)``. O(its holds, squared)."""
        holds = [h for h in self.on(host) if h.start < end and h.end > start]
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
        for moment in sorted({h.end for h in self.on(host) if h.end > start}):
            if moment < FOREVER and fits(amount, self.least_free(host, moment, moment + length)):
                return moment
        return FOREVER

    def fork(self) -> Timelines:
        """An independent copy."""
        twin = Timelines([])
        twin._capacities = self._capacities
        twin._on = [holds.copy() for holds in self._on]
        twin._unlisted = self._unlisted.copy()
        twin._unlisted_hosts = self._unlisted_hosts
        return twin

    def add_host(self) -> None:
        """There is one host more."""
        self._on.append([])
