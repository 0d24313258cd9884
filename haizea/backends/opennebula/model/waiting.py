"""In which states VMs wait for Haizea to start them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from haizea.backends.opennebula.model.version import Version
from haizea.backends.opennebula.model.vm import VirtualMachine, VmState

PENDING = frozenset([int(VmState.PENDING)])
HOLD = frozenset([int(VmState.HOLD)])


def waits_by_version(version: Version) -> frozenset[int]:
    """On hold where OpenNebula's own scheduler is part of it and would start pending VMs."""
    return HOLD if version.scheduler_is_a_driver else PENDING


class WaitingStates:
    """The states in which VMs wait: those of the rule, and of some VMs those of an earlier rule.

    A rule that changes, by configuration or with OpenNebula's version, says nothing about VMs
    that have a lease and wait: they go on waiting in the state that they are in. ``keep`` makes
    durable what an earlier run had and ``kept`` has; it says whether it could.
    """

    def __init__(
        self, kept: str | None = None, keep: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._keep = keep
        found = json.loads(kept) if kept else {}
        #: Those of the rule.
        self.usual = frozenset[int](found.get("usual", ()))
        #: Of the VMs that wait in a state which the rule does not name.
        self._own = {int(vm): int(state) for vm, state in found.get("own", {}).items()}
        #: The states of rules that held until now, for VMs that were not looked at since.
        self._earlier = frozenset[int]()
        self._kept = kept

    def rule(self, states: frozenset[int]) -> None:
        """VMs wait in these states from now on."""
        self._earlier = (self._earlier | self.usual) - states
        self.usual = states

    def settle(self, leased: Iterable[VirtualMachine]) -> None:
        """All VMs were looked at; these have leases."""
        self._own = {
            vm.id: vm.state
            for vm in leased
            if vm.state in self._earlier or self._own.get(vm.id) == vm.state
        }
        self._earlier = frozenset()
        text = json.dumps({"usual": sorted(self.usual), "own": self._own}, sort_keys=True)
        if text != self._kept and self._keep(text):
            self._kept = text

    def has(self, vm: VirtualMachine) -> bool:
        """Tell whether a VM that has a lease waits."""
        own = self._own.get(vm.id) == vm.state
        return own or vm.state in self.usual or vm.state in self._earlier
