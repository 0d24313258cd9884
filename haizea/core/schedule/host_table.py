"""The hosts: which take nothing new and why, what was learned of them, what others use."""

from __future__ import annotations

from collections.abc import Iterable

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.events import HostChanged, RatesChanged
from haizea.core.model.hosts import Host
from haizea.core.model.reasons import Reason
from haizea.core.model.records import HostRecord, SiteRecord
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.placement.durations import Rates
from haizea.core.schedule.instant import Instant

#: The owner of holds that are no lease's.
OTHERS = -2


class HostTable:
    """Hosts of the site by their ids, as the slot table and the planner's ``rates`` have them."""

    def __init__(
        self, hosts: Iterable[Host], table: SlotTable, rates: dict[int, Rates], instant: Instant
    ) -> None:
        self._hosts = list(hosts)
        self._table = table
        self._rates = rates
        self._instant = instant
        self._used: dict[int, Hold] = {}
        #: Hosts that are not simply up, by id.
        self.statuses: dict[int, HostRecord] = {}

    def name(self, host_id: int) -> str:
        """Return a host's name."""
        return self._hosts[host_id].name

    # --- which there are, and which take leases -----------------------------------------

    def add(self, host: Host) -> None:
        """The site grows."""
        self._hosts.append(host)
        self._table.add_host(host)
        self._instant.freed = True

    def shut(self, host_id: int) -> None:
        """The host takes nothing new."""
        self._table.close(1 << host_id)
        self._instant.freed = True

    def open(self, host_id: int) -> None:
        """The host takes leases again."""
        self._table.open(1 << host_id)
        self._instant.freed = True

    def note(self, host_id: int, status: str, reason: Reason | None = None) -> None:
        """Have everybody told that a host is ``up``, ``down`` or ``drained`` now, and why."""
        if status == "up":
            self.statuses.pop(host_id, None)
        else:
            self.statuses[host_id] = HostRecord(host=host_id, status=status, reason=reason)
        instant = self._instant
        instant.say(HostChanged(instant.now, self._hosts[host_id], status, reason))

    def learn(self, host_id: int, rates: Rates) -> None:
        """Note the rates to plan with on the host from now on; existing plans there stay."""
        known = self._rates
        if rates == known.get(host_id, Rates()):
            return
        if rates == Rates():
            del known[host_id]
        else:
            known[host_id] = rates
        self._instant.freed = True
        self._instant.say(RatesChanged(self._instant.now, host_id, *rates))

    def restore(self, site: SiteRecord) -> None:
        """Go on with the hosts that are not simply up, and the rates that were learned.

        Whoever waits for hosts is to be looked at.
        """
        self._instant.freed = True
        for record in site.hosts:
            self.statuses[record.host] = record
            self.shut(record.host)
        for learned in site.rates:
            self._rates[learned.host] = Rates(learned.suspend_mb_s, learned.resume_mb_s)

    # --- what others than leases use ----------------------------------------------------

    def hold_for_others(self, host_id: int, amount: Capacity) -> None:
        """Keep so much of a host, of which nothing is kept yet, free of leases. It is free now."""
        now, use = self._instant.now, ((host_id, amount),)
        self._used[host_id] = self._table.reserve(now, FOREVER, use, OTHERS)

    def make_way(self, host_id: int) -> None:
        """Keep nothing of a host for others for the moment, so that leases come first."""
        hold = self._used.pop(host_id, None)
        if hold is not None:
            self._table.release(hold)

    def use_changed(self) -> None:
        """Others use more or less than before: leases that wait may start sooner, or later."""
        self._instant.freed = True
