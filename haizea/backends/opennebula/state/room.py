"""The room for VMs that hosts have at this moment, whatever the schedule says."""

from __future__ import annotations

from collections import defaultdict

from haizea.backends.opennebula.model.vm import VmState
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import Ledger
from haizea.backends.opennebula.state.seen import Seen, SeenVms, size_of
from haizea.backends.opennebula.state.steps import Goal
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.resources import Capacity, fits, subtract


class Room:
    """Load of hosts, with what was commanded to go there and is not seen yet.

    ``suspends`` is whether VMs that are saved stay on their hosts, suspended. To be used from
    one thread.
    """

    def __init__(self, ledger: Ledger, seen: SeenVms, hosts: HostTable, suspends: bool) -> None:
        self._ledger = ledger
        self._seen = seen
        self._hosts = hosts
        self._suspends = suspends
        self._going: dict[int, int] = {}
        self._going_to: defaultdict[int, set[int]] = defaultdict(set)

    def goes(self, vm: int, host: int) -> None:
        """A VM was commanded to go to a host."""
        self.came(vm)
        self._going[vm] = host
        self._going_to[host].add(vm)

    def came(self, vm: int) -> None:
        """A VM is on no way any more."""
        host = self._going.pop(vm, None)
        if host is not None:
            self._going_to[host].discard(vm)

    def nobody_comes(self) -> None:
        """Whatever was commanded is lost, but what is being sent."""
        for vm in list(self._going):
            errand = self._ledger.errands.get(vm)
            if errand is None or not errand.busy:
                self.came(vm)

    def settled(self, vm: int) -> None:
        """A VM was seen anew: where it was on its way to shows there."""
        host, seen = self._going.get(vm), self._seen.get(vm)
        if host is not None and (seen is None or host in seen.places):
            self.came(vm)

    def problem(self, host: int, amount: Capacity, own: set[int]) -> Reason | None:
        """Why VMs cannot be started on a host at this moment; ``None`` if they can."""
        info = self._hosts.info(host)
        if info is None or not self.is_usable(host):
            name = info.name if info else f"host {host}"
            return because(Code.HOST_UNUSABLE, host=name)
        room: Capacity = (info.cpu_percent, info.memory_mb)
        for vm in self._seen.on(host) | self._going_to[host]:
            seen = self._seen.get(vm)
            if seen is None or vm in own or self._is_saved(seen):
                continue
            room = subtract(room, size_of(seen.vm))
        return None if fits(amount, room) else because(Code.HOST_NOT_FREE, host=info.name)

    def is_usable(self, host: int) -> bool:
        """Tell whether OpenNebula starts VMs on the host."""
        info = self._hosts.info(host)
        return info is not None and info.usable

    def _is_saved(self, seen: Seen) -> bool:
        """Tell whether it is a lease's VM whose place others may have, though it counts there."""
        errand = self._ledger.errands.get(seen.vm.id)
        return (
            self._suspends
            and seen.vm.state == VmState.SUSPENDED
            and errand is not None
            and errand.next_goal is Goal.SAVED
        )
