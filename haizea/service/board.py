"""Present state, for whoever asks: replaced turn by turn, never changed in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from haizea.core.model.events import Decision, HostChanged, RatesChanged
from haizea.core.model.hosts import Host, Site
from haizea.core.model.maintenance import MaintenanceRecord
from haizea.core.model.records import HostRecord, LeaseRecord
from haizea.core.model.resources import Capacity
from haizea.core.model.turn import Turn
from haizea.core.placement.durations import Rates
from haizea.service.outages import Outages
from haizea.store import Saved


class Board:
    """Leases that are not over, hosts and the queue, as the last turn left them.

    The loop's thread writes, any thread reads: single entries of a dictionary are put and
    taken in one step, and everything in them is immutable.
    """

    def __init__(self, site: Site, now: int) -> None:
        self.site = site
        self.now = now
        #: When something was decided last.
        self.last_turn: int | None = None
        #: The id of the last event that was kept.
        self.last_event = 0
        self._leases: dict[int, LeaseRecord] = {}
        self._statuses: dict[int, HostRecord] = {}
        self._rates: dict[int, Rates] = {}
        #: What others than leases use of each host of which they use anything.
        self.others: Mapping[int, Capacity] = {}
        #: Maintenance windows that are not over.
        self.maintenance: tuple[MaintenanceRecord, ...] = ()
        #: When hosts were out of use, and are.
        self.outages = Outages()
        self._queue: tuple[int, ...] = ()
        self._places: tuple[tuple[int, ...], dict[int, int]] = ((), {})

    def start(self, saved: Saved, queue: Sequence[int], history: Iterable[Decision]) -> None:
        """Begin with what was kept, with who waits by that, and with what became of hosts."""
        site = saved.site
        self._leases = {record.id: record for record in saved.records}
        self._statuses = {record.host: record for record in site.hosts}
        self._rates = {r.host: Rates(r.suspend_mb_s, r.resume_mb_s) for r in site.rates}
        self.maintenance = site.maintenance
        self.outages.start(history, site)
        self.last_event = saved.last_event_id
        self._queue = tuple(queue)

    def note(self, turn: Turn) -> None:
        """Take notice of a turn."""
        self.now = turn.now
        if turn.decisions:
            self.last_turn = turn.now
        for decision in turn.decisions:
            if isinstance(decision, HostChanged):
                self._change(decision)
            elif isinstance(decision, RatesChanged):
                _, host_id, suspend, resume = decision
                self._rates[host_id] = Rates(suspend, resume)
        self.outages.update(turn.decisions)
        # After the hosts, so that whoever reads these first finds a host for each.
        self.others = turn.used_by_others
        for record in turn.records:
            if record.over:
                self._leases.pop(record.id, None)
            else:
                self._leases[record.id] = record
        self._queue = tuple(turn.queue)

    def _change(self, change: HostChanged) -> None:
        host, hosts = change.host, self.site.hosts
        if host.id == len(hosts):
            self.site = Site(self.site.types, (*hosts, host))
        if change.status == "up":
            self._statuses.pop(host.id, None)
        else:
            self._statuses[host.id] = HostRecord(
                host=host.id, status=change.status, reason=change.reason
            )

    def lease(self, lease_id: int) -> LeaseRecord | None:
        """The lease, if it is not over."""
        return self._leases.get(lease_id)

    def leases(self) -> list[LeaseRecord]:
        """All leases that are not over."""
        return list(self._leases.values())

    @property
    def count(self) -> int:
        """Number of leases that are not over."""
        return len(self._leases)

    def queue(self) -> list[LeaseRecord]:
        """The leases that wait, in the order of the queue."""
        found = (self._leases.get(lease_id) for lease_id in self._queue)
        return [record for record in found if record is not None]

    def place(self, lease_id: int) -> int | None:
        """The place of a lease in the queue, from 1."""
        queue = self._queue
        known, places = self._places
        if known is not queue:
            places = {lease_id: place for place, lease_id in enumerate(queue, 1)}
            self._places = queue, places
        return places.get(lease_id)

    @property
    def waiting(self) -> int:
        """Number of leases that wait."""
        return len(self._queue)

    def status(self, host: Host) -> HostRecord:
        """Return whether the host is ``up``, ``down`` or ``drained``, and why."""
        return self._statuses.get(host.id) or HostRecord(host=host.id, status="up")

    def rates(self, host: Host) -> Rates:
        """Return what was learned of how fast the host suspends and resumes."""
        return self._rates.get(host.id, Rates())

    def all_rates(self) -> dict[int, Rates]:
        """Return what was learned of any host."""
        return {host: rates for host, rates in list(self._rates.items()) if rates != Rates()}
