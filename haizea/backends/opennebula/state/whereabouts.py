"""The whereabouts of a VM: where it was started, or elsewhere, and by whose doing."""

from __future__ import annotations

from haizea.backends.opennebula.model.vm import LcmState, VmState
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import Errand
from haizea.backends.opennebula.state.seen import Seen
from haizea.backends.opennebula.state.steps import Goal

#: While a VM moves, it comes to another host by itself.
_MOVES = frozenset(
    [
        LcmState.MIGRATE,
        LcmState.SAVE_MIGRATE,
        LcmState.PROLOG_MIGRATE,
        LcmState.BOOT_MIGRATE,
    ]
)

#: A VM of 1.4 that nobody knows of for so long, on a host that is well, has ended.
_UNKNOWN_SECONDS = 60


def is_elsewhere(errand: Errand, seen: Seen) -> bool:
    """Tell whether an earlier start brought the VM to another host than where it is to run."""
    return _is_on_another(errand, seen) and not _came_since(errand, seen)


def was_moved(errand: Errand, seen: Seen) -> bool:
    """Tell whether others took the VM to another host after it was started where it was to run."""
    return _is_on_another(errand, seen) and not errand.off_first and _came_since(errand, seen)


def _is_on_another(errand: Errand, seen: Seen) -> bool:
    if errand.goal is not Goal.RUNNING or seen.vm.state != VmState.ACTIVE:
        return False
    return seen.vm.host_id != errand.host and seen.vm.lcm_state not in _MOVES


def _came_since(errand: Errand, seen: Seen) -> bool:
    """Tell whether the VM came to its host after it was to run."""
    return bool(seen.vm.history) and seen.vm.history[-1].start >= errand.since


def ended_by_itself(now: int, seen: Seen, table: HostTable) -> bool:
    """Tell whether this is a VM of 1.4 that ended: 1.4 then knows nothing of it any more."""
    if seen.vm.lcm_state != LcmState.UNKNOWN or now - seen.changed < _UNKNOWN_SECONDS:
        return False
    info = table.info(seen.vm.host_id)
    return info is not None and info.usable
