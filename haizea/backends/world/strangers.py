"""VMs in a world that are nobody's: left alone, and what they take of hosts is told.

They belong to leases of another store, or of one that was lost, so that whoever drives the
world now cannot say what they are good for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container

from haizea.backends.world.world import World
from haizea.core.model.events import HostUsed, Input
from haizea.core.model.resources import Capacity, add

_log = logging.getLogger(__name__)

#: So many leases are named in the log.
_MOST_NAMED = 20


class Strangers:
    """``knows`` says whether a lease is, or was, one of those that the world is driven for."""

    def __init__(self, world: World, knows: Callable[[int], bool]) -> None:
        self._world = world
        self._knows = knows
        self._leases: frozenset[int] = frozenset()
        self._told: dict[int, Capacity] = {}

    def find(self, active: Container[int]) -> frozenset[int]:
        """The leases with VMs there that are neither active nor known to be over."""
        there = {vm.lease for vm in self._world.vms() if vm.there and vm.lease not in active}
        self._leases = frozenset(lease for lease in there if not self._knows(lease))
        if self._leases:
            some = ", ".join(map(str, sorted(self._leases)[:_MOST_NAMED]))
            rest = ", …" if len(self._leases) > _MOST_NAMED else ""
            _log.warning(
                "VMs of leases that the store does not know are left alone, and what they take of"
                " hosts is given to nobody: %s%s",
                some,
                rest,
            )
        return self._leases

    def news(self) -> list[Input]:
        """The hosts of which they now take more or less than was told last."""
        if not self._leases and not self._told:
            return []
        used: dict[int, Capacity] = {}
        for lease in self._leases:
            for vm in self._world.vms(lease):
                if vm.holds:
                    amount = used.get(vm.host)
                    used[vm.host] = vm.capacity if amount is None else add(amount, vm.capacity)
        told: list[Input] = [
            HostUsed(host, used.get(host, (0,) * len(amount)))
            for host, amount in sorted((self._told | used).items())
            if used.get(host) != self._told.get(host)
        ]
        self._told = used
        return told
