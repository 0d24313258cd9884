"""VMs of leases that others take to other hosts while they run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from haizea.backends.opennebula.model.vm import VmState
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import Errand, Ledger, Tracked
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.backends.opennebula.state.steps import Goal
from haizea.core.model.events import Decision, Input, LeaseMoved, OperationStarted, Purpose
from haizea.core.model.lifecycle import State


@dataclass(frozen=True, slots=True)
class _Before:
    """The host where a VM was to run before others took it elsewhere."""

    errand: Errand
    host: int | None
    index: int | None


class Moves:
    """Tells the schedule, which may have no room there. To be used from one thread.

    A VM is where it goes to from the moment it is on its way.
    """

    def __init__(self, ledger: Ledger, seen: SeenVms, table: HostTable) -> None:
        self._ledger = ledger
        self._seen = seen
        self._table = table
        #: What the schedule was told and has not answered, by lease.
        self._told: dict[int, list[_Before]] = {}
        #: Where it had no room for leases.
        self._refused: dict[int, tuple[int, ...]] = {}

    def news(self) -> list[Input]:
        """The leases that run on other hosts than the schedule has them on."""
        self._take_back()
        lease_of = self._ledger.lease_of
        leases = {lease_of[vm] for vm in self._ledger.changed if vm in lease_of}
        told: list[Input] = []
        for lease_id in sorted(leases):
            lease = self._ledger.leases[lease_id]
            hosts = self._hosts(lease)
            if hosts is not None and hosts != self._refused.get(lease_id):
                self._told[lease_id] = self._follow(lease, hosts)
                told.append(LeaseMoved(lease_id, hosts))
        return told

    def confirm(self, decisions: Iterable[Decision]) -> None:
        """Note which leases the schedule follows: they run from now on where they are."""
        if not self._told:
            return
        for decision in decisions:
            if isinstance(decision, OperationStarted) and decision.purpose is Purpose.RUN:
                self._told.pop(decision.lease_id, None)
                self._refused.pop(decision.lease_id, None)

    def ask_again(self) -> None:
        """There may be room now."""
        for lease_id in self._refused:
            lease = self._ledger.leases.get(lease_id)
            self._ledger.changed.update(lease.vms if lease is not None else ())
        self._refused.clear()

    def _hosts(self, lease: Tracked) -> tuple[int, ...] | None:
        """The hosts of a lease's VMs, by index; ``None`` if they are where they are to be."""
        if lease.purpose is not Purpose.RUN or lease.state is not State.ACTIVE or lease.let_go:
            return None
        errands = list(self._ledger.of(lease))
        known = [errand.index for errand in errands]
        hosts = [index for index in map(self._index, errands) if index is not None]
        complete = len(hosts) == len(lease.vms)
        return tuple(hosts) if complete and hosts != known else None

    def _index(self, errand: Errand) -> int | None:
        """The index of the host on which a VM is that is to run; the one it has if in doubt."""
        seen = self._seen.get(errand.vm)
        if errand.goal is not Goal.RUNNING:
            return None
        if not errand.reached or seen is None or seen.vm.state != VmState.ACTIVE:
            return errand.index
        number = seen.vm.host_id
        index = None if number is None else self._table.current.get(number)
        if number == errand.host or index is None or self._table.entries[index].status == "down":
            return errand.index
        return index

    def _follow(self, lease: Tracked, hosts: tuple[int, ...]) -> list[_Before]:
        """Aim the VMs at where they are."""
        before: list[_Before] = []
        for errand, index in zip(self._ledger.of(lease), hosts, strict=True):
            if errand.index != index:
                before.append(_Before(errand, errand.host, errand.index))
                self._aim(errand, self._table.entries[index].number, index)
        return before

    def _aim(self, errand: Errand, host: int | None, index: int | None) -> None:
        errand.host, errand.index = host, index
        self._ledger.changed.add(errand.vm)

    def _take_back(self) -> None:
        """Give up moves that the schedule does not follow: others use the hosts where they went."""
        for lease_id, before in self._told.items():
            lease = self._ledger.leases.get(lease_id)
            if lease is not None:
                known = [errand.index for errand in self._ledger.of(lease)]
                self._refused[lease_id] = tuple([i for i in known if i is not None])
            for one in before:
                if self._ledger.errands.get(one.errand.vm) is one.errand:
                    self._aim(one.errand, one.host, one.index)
        self._told.clear()
