"""VMs whose leases are over and that may not have ended yet: durable, so that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable


class Endings:
    """A few VMs, each to be ended or only taken off its host.

    ``keep`` makes that durable, and says whether it could.
    """

    def __init__(self, kept: str | None, keep: Callable[[str], bool]) -> None:
        self._keep = keep
        found: dict[str, bool] = json.loads(kept) if kept else {}
        self._only_off = {int(vm): only_off for vm, only_off in found.items()}
        self._changed = False

    def vms(self) -> dict[int, bool]:
        """The VMs, and whether each is only to leave its host."""
        return dict(self._only_off)

    def has(self, vm: int) -> bool:
        """Whether the VM is one of them."""
        return vm in self._only_off

    def add(self, vm: int, *, only_off: bool = False) -> None:
        """A VM is to end, or only to leave its host."""
        self._changed |= self._only_off.get(vm) is not only_off
        self._only_off[vm] = only_off

    def remove(self, vm: int) -> None:
        """A VM has ended or left, or is somebody else's business now."""
        self._changed |= self._only_off.pop(vm, None) is not None

    def save(self) -> None:
        """Make it durable, where it changed; what cannot be kept now is kept with the next."""
        if self._changed:
            self._changed = not self._keep(json.dumps(self._only_off, sort_keys=True))
