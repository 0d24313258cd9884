"""Meaning of ``[opennebula]`` to whoever speaks to OpenNebula: the service, and the check of it."""

from __future__ import annotations

from haizea.backends.opennebula.matching.ranks import DefaultRanks
from haizea.backends.opennebula.model import waiting
from haizea.backends.opennebula.wire.address import Address, address_of
from haizea.config.opennebula import DatastorePolicy, HostPolicy, OpenNebula, VmStates

_WAITS_IN = {
    VmStates.AUTO: None,
    VmStates.PENDING: waiting.PENDING,
    VmStates.HOLD: waiting.HOLD,
    VmStates.BOTH: waiting.PENDING | waiting.HOLD,
}

#: As OpenNebula's own scheduler ranks for them; else the section says how.
_HOST_RANKS = {
    HostPolicy.PACKING: "RUNNING_VMS",
    HostPolicy.STRIPING: "-RUNNING_VMS",
    HostPolicy.LOAD_AWARE: "FREE_CPU",
    HostPolicy.FIXED: "PRIORITY",
}
_DATASTORE_RANKS = {
    DatastorePolicy.PACKING: "-FREE_MB",
    DatastorePolicy.STRIPING: "FREE_MB",
    DatastorePolicy.FIXED: "PRIORITY",
}


def address(section: OpenNebula) -> Address:
    """Return the address of OpenNebula."""
    return address_of(section.host, section.port, section.url, section.events)


def waits_in(section: OpenNebula) -> frozenset[int] | None:
    """The states in which VMs wait for Haizea; ``None`` for what suits the version."""
    return _WAITS_IN[section.vm_states]


def default_ranks(section: OpenNebula) -> DefaultRanks:
    """The ranks of VMs that have none of their own."""
    policy = section.host_policy
    hosts = _HOST_RANKS.get(policy, section.host_rank)
    return DefaultRanks(
        hosts=hosts,
        legacy_hosts="FREECPU" if policy is HostPolicy.LOAD_AWARE else hosts,
        datastores=_DATASTORE_RANKS.get(section.datastore_policy, section.datastore_rank),
        packing=policy is HostPolicy.PACKING,
    )
