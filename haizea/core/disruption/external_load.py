"""Use of hosts by others than leases: seen, and kept free of leases.

It may be more than what leases leave: then as much as there is counts as used, and more
as leases go.
"""

from __future__ import annotations

from haizea.core.disruption.replanning import Repair
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.schedule.schedule import Schedule


class Others:
    """Holds capacity for whatever else runs on the hosts, without end."""

    def __init__(self, schedule: Schedule, repair: Repair) -> None:
        self._schedule = schedule
        self._repair = repair
        self._wanted: dict[int, Capacity] = {}
        #: Hosts of which others use more than could be held for them.
        self.short: set[int] = set()

    @property
    def known(self) -> dict[int, Capacity]:
        """Use by others of each host of which they use anything, whether there is room or not."""
        return dict(self._wanted)

    def use(self, host: int, amount: Capacity) -> None:
        """Others use so much of the host from now on."""
        self.make_way(host)
        if any(amount):
            self._wanted[host] = amount
        else:
            self._wanted.pop(host, None)
        self._schedule.host_table.use_changed()
        self._hold(host)

    def make_way(self, host: int) -> None:
        """Forget what others use of a host until :meth:`settle`."""
        self._schedule.host_table.make_way(host)
        if host in self._wanted:
            self.short.add(host)

    def settle(self) -> None:
        """Hold what others use and could not be held before."""
        for host in sorted(self.short):
            self.make_way(host)
            self._hold(host)

    def _hold(self, host: int) -> None:
        self.short.discard(host)
        wanted = self._wanted.get(host)
        if wanted is None:
            return
        table, now = self._schedule.table, self._schedule.now
        free = table.free_now(host)
        amount = tuple([max(0, min(w, f)) for w, f in zip(wanted, free, strict=True)])
        if amount != wanted:
            self.short.add(host)
        if not any(amount):
            return
        reason = because(Code.HOST_USED_BY_OTHERS, host=self._schedule.host_table.name(host))
        while any(map(int.__lt__, table.least_free(host, now, FOREVER), amount)):
            if not self._repair.displace_last(host, now, FOREVER, reason):
                break
        self._schedule.host_table.hold_for_others(host, amount)
