"""VMs whose leases are over and that may not have ended yet: durable, so that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable


class Endings:
    """A small set of VMs. ``keep`` makes it durable, and says whether it could."""

    def __init__(self, kept: str | None, keep: Callable[[str], bool]) -> None:
        self._keep = keep
        self._vms: set[int] = set(json.loads(kept)) if kept else set()
        self._changed = False

    def vms(self) -> frozenset[int]:
        """The VMs that are to end."""
        return frozenset(self._vms)

    def add(self, vm: int) -> None:
        """A VM is to end."""
        self._changed |= vm not in self._vms
        self._vms.add(vm)

    def remove(self, vm: int) -> None:
        """A VM has ended, or is somebody else's business now."""
        self._changed |= vm in self._vms
        self._vms.discard(vm)

    def save(self) -> None:
        """Make it durable, where it changed; what cannot be kept now is kept with the next."""
        if self._changed:
            self._changed = not self._keep(json.dumps(sorted(self._vms)))
