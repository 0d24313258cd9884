"""In which states VMs wait for Haizea to start them."""

from __future__ import annotations

from haizea.backends.opennebula.model.version import Version
from haizea.backends.opennebula.model.vm import VmState

PENDING = frozenset([int(VmState.PENDING)])
HOLD = frozenset([int(VmState.HOLD)])


def waits_by_version(version: Version) -> frozenset[int]:
    """On hold where OpenNebula's own scheduler is part of it and would start pending VMs."""
    return HOLD if version.scheduler_is_a_driver else PENDING
