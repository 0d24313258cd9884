"""VMs whose leases are over and that may not have ended yet: durable, so that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from haizea.backends.opennebula.state.ledger import Errand
from haizea.backends.opennebula.state.steps import Goal

#: So long after a restart, what was asked of OpenNebula before may take effect.
_LATE_SECONDS = 120


class Endings:
    """A few VMs, each to be ended or only taken off its host.

    ``keep`` makes that durable, and says whether it could.
    """

    def __init__(self, kept: str | None, keep: Callable[[str], bool]) -> None:
        self._keep = keep
        found = json.loads(kept) if kept else {}
        # An earlier version kept no time.
        known = {vm: one if isinstance(one, list) else (one, 0) for vm, one in found.items()}
        self._vms: dict[int, tuple[bool, int]] = {int(vm): tuple(one) for vm, one in known.items()}
        self._changed = False
        self._fresh_until = 0

    def restart(self, now: int) -> None:
        """Note that Haizea or OpenNebula came back: VMs may still do what was asked before."""
        self._fresh_until = now + _LATE_SECONDS

    def is_fresh(self, vm: int, now: int) -> bool:
        """Tell whether the VM is one of them, and Haizea or OpenNebula came back only now."""
        return vm in self._vms and now <= self._fresh_until

    def errands(self) -> Iterator[Errand]:
        """One errand of no lease for each of the VMs."""
        for vm, (only_off, since) in self._vms.items():
            goal = Goal.PARKED if only_off else Goal.ENDED
            errand = Errand(vm=vm, lease=-1, size=(0, 0), goal=goal, since=since)
            errand.first_sent = since
            yield errand

    def has(self, vm: int) -> bool:
        """Tell whether the VM is one of them."""
        return vm in self._vms

    def add(self, vm: int, now: int, *, only_off: bool = False) -> None:
        """A VM is to end, or only to leave its host."""
        known = self._vms.get(vm)
        if known is None or known[0] is not only_off:
            self._vms[vm] = (only_off, now)
            self._changed = True

    def remove(self, vm: int) -> None:
        """A VM has ended or left, or is somebody else's business now."""
        self._changed |= self._vms.pop(vm, None) is not None

    def save(self) -> None:
        """Make it durable, where it changed; what cannot be kept now is kept with the next."""
        if self._changed:
            self._changed = not self._keep(json.dumps(self._vms, sort_keys=True))
