"""The time that VMs of leases take to start, as the schedule is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.requests.shutdowns import Shutdowns, is_news
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.leads import LeadTimes
from haizea.backends.opennebula.state.ledger import Ledger
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.core.model.events import Decision, Input, Purpose
from haizea.core.model.hostrules import Allowed, HostRules
from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord
from haizea.core.model.vm_times import PreparationTime

_PROMISED = frozenset([Kind.AR, Kind.DEADLINE])


class Readiness:
    """Tells the schedule how long VMs take to start: with the request for their lease first.

    Of promised leases it tells again when that is known better. To be used from one thread.
    """

    def __init__(self, ledger: Ledger, seen: SeenVms, table: HostTable, leads: LeadTimes) -> None:
        self._ledger = ledger
        self._seen = seen
        self._table = table
        self._leads = leads
        self._known = leads.shown
        self._shutdowns = Shutdowns(ledger, seen, leads)
        #: What the schedule knows, by lease.
        self._told: dict[int, int] = {}
        #: Leases of an earlier run for which it planned no such time, or planned it otherwise.
        self._unplanned: set[int] = set()
        #: Names of hosts, by set, of use until something is seen.
        self._names: dict[HostSet, frozenset[str]] = {}

    def seconds(self, vms: Iterable[VirtualMachine], allowed: Allowed) -> int:
        """The time that VMs take to start on hosts that are ``allowed``."""
        anywhere = allowed.anywhere if isinstance(allowed, HostRules) else allowed
        hosts = self._names.get(anywhere)
        if hosts is None:
            entries = self._table.entries
            hosts = frozenset([e.name for e in entries if anywhere >> e.index & 1])
            self._names[anywhere] = hosts
        return self._leads.seconds(list(vms), hosts)

    def take_up(self, record: LeaseRecord) -> None:
        """Note a lease that the schedule knows with what it plans for it."""
        self._shutdowns.take_up(record)
        if not record.over and record.request.kind in _PROMISED:
            self._told[record.id] = record.prepare_seconds
            if not self._is_planned(record):
                self._told[record.id] = 0
                self._unplanned.add(record.id)

    def follow(self, decisions: Iterable[Decision]) -> None:
        """Note which leases begin."""
        self._shutdowns.follow(decisions)

    def _is_planned(self, record: LeaseRecord) -> bool:
        """Tell whether a promised lease begins as early as leases do now."""
        if record.request.kind is not Kind.AR or record.plan is None:
            return record.prepare_seconds > 0
        is_ahead = record.plan.phases[0].purpose is Purpose.PREPARE
        return record.prepare_seconds > 0 and is_ahead is self._leads.rules.ahead

    def news(self, allowed: Callable[[int], Allowed]) -> list[Input]:
        """Return for which leases something else is known now. O(n)."""
        self._names.clear()
        if self._leads.shown is not self._known:
            self._known = self._leads.shown
            concerned = list(self._told)
        else:
            concerned = sorted(self._unplanned)
        told: list[Input] = list(self._shutdowns.news())
        for lease_id in concerned:
            before, lease = self._told[lease_id], self._ledger.leases.get(lease_id)
            if lease is None:
                del self._told[lease_id]
                self._unplanned.discard(lease_id)
                continue
            if lease.state is not State.SCHEDULED or lease.purpose is not None:
                self._unplanned.discard(lease_id)
                continue
            vms = self._seen.all_of(lease.vms)
            if vms is None:
                continue
            self._unplanned.discard(lease_id)
            now = self.seconds(vms, allowed(lease_id))
            if is_news(now, before):
                self._told[lease_id] = now
                told.append(PreparationTime(lease_id, now))
        return told
