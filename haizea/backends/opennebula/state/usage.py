"""The use of hosts by others than leases."""

from __future__ import annotations

from collections.abc import Iterable

from haizea.backends.opennebula.model.vm import LcmState, VmState
from haizea.backends.opennebula.state.host_table import Entry, HostTable
from haizea.backends.opennebula.state.ledger import Errand, Ledger
from haizea.backends.opennebula.state.seen import Seen, SeenVms, size_of
from haizea.backends.opennebula.state.steps import Goal
from haizea.core.model.events import HostUsed, Input
from haizea.core.model.resources import Capacity, add


class Usage:
    """Tells the schedule what others use of hosts, whenever that changes; from one thread."""

    def __init__(self, table: HostTable, seen: SeenVms, ledger: Ledger) -> None:
        self._table = table
        self._seen = seen
        self._ledger = ledger
        self._told: dict[int, Capacity] = {}
        #: By OpenNebula's number of a host; see :meth:`_unexplained`.
        self._hidden: dict[int, Capacity] = {}

    def news(self, *, everywhere: bool) -> list[Input]:
        """The hosts of which others now use more or less than was told last."""
        numbers: Iterable[int] = self._table.current if everywhere else self._touched()
        self._seen.touched = set()
        self._ledger.changed = set()
        if everywhere:
            self._hidden = self._unexplained() if self._seen.unread else {}
        told: list[Input] = []
        for number in sorted(numbers):
            index = self._table.current.get(number)
            if index is None:
                continue
            amount = self._used(self._table.entries[index])
            if amount != self._told.get(index, (0, 0)):
                self._told[index] = amount
                told.append(HostUsed(index, amount))
        return told

    def _touched(self) -> set[int]:
        numbers = set(self._seen.touched)
        for vm in self._ledger.changed:
            seen, errand = self._seen.get(vm), self._ledger.errands.get(vm)
            if seen is not None:
                numbers.update(seen.places)
            if errand is not None and errand.host is not None:
                numbers.add(errand.host)
        return numbers

    def _used(self, entry: Entry) -> Capacity:
        amount = add(self._table.lost(entry), self._hidden.get(entry.number, (0, 0)))
        for seen in self._seen.all_on(entry.number):
            if not self._is_leased(seen, entry):
                amount = add(amount, size_of(seen.vm))
        limit = entry.capacity
        return (min(amount[0], limit[0]), min(amount[1], limit[1]))

    def _unexplained(self) -> dict[int, Capacity]:
        """The use that OpenNebula counts on hosts beyond what VMs and leases are known to take.

        Of a VM that never could be read, nothing else tells where it is and what it takes.
        """
        hidden: dict[int, Capacity] = {}
        for number in self._table.current:
            info = self._table.info(number)
            if info is None:
                continue
            sizes = [size_of(seen.vm) for seen in self._seen.all_on(number)]
            sizes += [errand.size for errand in self._unread_of_leases(number)]
            cpu_percent = info.used_cpu_percent - sum(size[0] for size in sizes)
            memory_mb = info.used_memory_mb - sum(size[1] for size in sizes)
            hidden[number] = (max(0, cpu_percent), max(0, memory_mb))
        return hidden

    def _unread_of_leases(self, number: int) -> Iterable[Errand]:
        for vm in self._seen.unread:
            errand = self._ledger.errands.get(vm)
            if errand is not None and errand.host == number and errand.lease in self._ledger.leases:
                yield errand

    def _is_leased(self, seen: Seen, entry: Entry) -> bool:
        """Tell whether what the VM takes is a lease's, or is freed by Haizea's own commands."""
        errand = self._ledger.errands.get(seen.vm.id)
        if errand is None:
            return False
        if errand.given_up:
            # What becomes of a lease whose start was given up is decided in this turn.
            lease = self._ledger.leases.get(errand.lease)
            return lease is not None and lease.purpose is None
        if not errand.reached:
            return errand.index == entry.index or not self._is_stuck(errand, seen)
        if errand.goal is Goal.RUNNING:
            # While others move it, it takes room twice, but not for long.
            return errand.index == entry.index or len(seen.places) > 1
        return errand.goal is Goal.SAVED and seen.vm.state == VmState.SUSPENDED

    def _is_stuck(self, errand: Errand, seen: Seen) -> bool:
        """Tell whether a VM is to leave its host, and nobody knows when it does."""
        lost = seen.vm.lcm_state == LcmState.UNKNOWN
        match errand.next_goal:
            case Goal.OFF | Goal.PARKED:
                return lost or errand.attempts > 0
            case Goal.ENDED:  # Until it ends, an active lease holds its place itself.
                return errand.lease not in self._ledger.leases and errand.attempts > 0
            case Goal.RUNNING | Goal.SAVED:
                return False
