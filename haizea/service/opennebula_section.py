"""Meaning of ``[opennebula]`` to whoever speaks to OpenNebula: the service, and the check of it."""

from __future__ import annotations

from haizea.backends.opennebula.model import waiting
from haizea.backends.opennebula.wire.address import Address, address_of
from haizea.config.opennebula import OpenNebula, VmStates

_WAITS_IN = {
    VmStates.AUTO: None,
    VmStates.PENDING: waiting.PENDING,
    VmStates.HOLD: waiting.HOLD,
    VmStates.BOTH: waiting.PENDING | waiting.HOLD,
}


def address(section: OpenNebula) -> Address:
    """Return the address of OpenNebula."""
    return address_of(section.host, section.port, section.url, section.events)


def waits_in(section: OpenNebula) -> frozenset[int] | None:
    """The states in which VMs wait for Haizea; ``None`` for what suits the version."""
    return _WAITS_IN[section.vm_states]
