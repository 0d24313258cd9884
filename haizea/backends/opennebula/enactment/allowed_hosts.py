"""The hosts that the schedule was told will do for each lease, and changes of them."""

from __future__ import annotations

from collections.abc import Iterable

from haizea.backends.opennebula.enactment.leases import Leases
from haizea.backends.opennebula.matching.lease_hosts import Placing, satisfiable
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import Ledger, Tracked
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.core.model.events import (
    Decision,
    HostsAllowed,
    Input,
    OperationFailed,
    StateChanged,
)
from haizea.core.model.hostrules import Allowed, by_node, on_hosts
from haizea.core.model.hosts import EVERYWHERE, HostSet
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord


class Allowing:
    """The hosts that the schedule knows will do, by lease. To be used from one thread."""

    def __init__(
        self, ledger: Ledger, seen: SeenVms, table: HostTable, leases: Leases, placing: Placing
    ) -> None:
        self._ledger = ledger
        self._seen = seen
        self._table = table
        self._leases = leases
        self._placing = placing
        self._allowed: dict[int, Allowed] = {}

    def take_up(self, record: LeaseRecord) -> None:
        """After a restart: the schedule still knows of it."""
        if record.allowed is not None:
            self._allowed[record.id] = record.allowed.allowed()

    def note(self, lease: int, allowed: Allowed) -> None:
        """The schedule has a new lease."""
        self._allowed[lease] = allowed

    def of(self, lease: int) -> Allowed:
        """Return the hosts that will do for a lease."""
        return self._allowed.get(lease, EVERYWHERE)

    def forget(self) -> None:
        """Leases that are over need no hosts."""
        for lease in self._allowed.keys() - self._ledger.leases.keys():
            del self._allowed[lease]

    def match_again(self) -> list[Input]:
        """Leases for which other hosts will do than before, as everything was seen now."""
        told: list[Input] = []
        for lease in self._ledger.leases.values():
            if lease.purpose is None and not lease.let_go:
                told += self._match(lease)
        return told

    def follow(self, decisions: Iterable[Decision]) -> None:
        """Let reservations that wait for hosts have those back on which they did not start.

        That is told by the next look at everything, so that no host is tried again at once.
        """
        states = {d.lease_id: d.new for d in decisions if isinstance(d, StateChanged)}
        for lease_id, state in states.items():
            lease = self._ledger.leases.get(lease_id)
            if state is State.QUEUED and lease is not None and lease.request.kind is Kind.AR:
                self._leases.avoid.pop(lease_id, None)

    def not_started(self, inputs: Iterable[Input]) -> list[Input]:
        """Keep leases of which something failed off the hosts where it did."""
        told: list[Input] = []
        for lease in [i.lease_id for i in inputs if isinstance(i, OperationFailed)]:
            tracked = self._ledger.leases.get(lease)
            before = self._allowed.get(lease, EVERYWHERE)
            if tracked is not None:
                told += self._tell(lease, self._without(tracked, before), before)
        return told

    def _match(self, lease: Tracked) -> list[Input]:
        vms = self._seen.all_of(lease.vms)
        if vms is None:
            return []
        places = self._placing.places(vms)
        self._placing.ranks.rank(lease.vms[0], places.ranking)
        if places.reason:
            return []
        hosts = self._without(lease, places.hosts)
        before = self._allowed.get(lease.id, EVERYWHERE)
        if lease.request.kind is Kind.AR and lease.id in self._allowed:
            # What its hosts are like now says nothing about its start.
            count = len(vms)
            both = zip(by_node(hosts, count), by_node(before, count), strict=True)
            hosts = on_hosts(hosts, [now | then for now, then in both])
        return self._tell(lease.id, hosts, before)

    def _tell(self, lease: int, hosts: Allowed, before: Allowed) -> list[Input]:
        if hosts == before:
            return []
        self._allowed[lease] = hosts
        return [HostsAllowed(lease, hosts)]

    def _without(self, lease: Tracked, allowed: Allowed) -> Allowed:
        """``allowed`` but for hosts on which the lease could not be started, if others do."""
        avoid = self._leases.avoid.get(lease.id, 0)
        if not avoid:
            return allowed
        everything: HostSet = (1 << len(self._table.entries)) - 1
        sets = by_node(allowed, len(lease.vms))
        spared = [left if (left := hosts & ~avoid) & everything else hosts for hosts in sets]
        fewer = on_hosts(allowed, spared)
        return fewer if satisfiable(fewer, everything) else allowed
