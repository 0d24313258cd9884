"""Preferences among hosts: the stock scheduler's default policies, and ranks for the core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from haizea.backends.opennebula.expressions.table import Ranking
from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.policy import HostView


class HostPolicy(StrEnum):
    """Policies that rank hosts for VMs without a rank of their own.

    ``PACKING`` fills hosts that are in use, ``STRIPING`` spreads VMs, ``LOAD_AWARE`` takes
    those with the most free CPU, ``FIXED`` goes by the attribute PRIORITY, ``CUSTOM`` by a
    rank that the administrator writes.
    """

    PACKING = "packing"
    STRIPING = "striping"
    LOAD_AWARE = "load-aware"
    FIXED = "fixed"
    CUSTOM = "custom"


class DatastorePolicy(StrEnum):
    """Policies that rank system datastores for VMs without a rank for them.

    ``PACKING`` takes the one with the least free space, ``STRIPING`` that with the most.
    """

    PACKING = "packing"
    STRIPING = "striping"
    FIXED = "fixed"
    CUSTOM = "custom"


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


def host_rank(policy: HostPolicy, custom: str = "", free_cpu: str = "FREE_CPU") -> str:
    """The rank that the policy stands for; ``custom`` is that of ``CUSTOM``.

    ``free_cpu`` is what hosts call the CPU that is free: 1.4 has ``FREECPU``.
    """
    if policy is HostPolicy.LOAD_AWARE:
        return free_cpu
    return _HOST_RANKS.get(policy, custom)


def datastore_rank(policy: DatastorePolicy, custom: str = "") -> str:
    """The rank that the policy stands for; ``custom`` is that of ``CUSTOM``."""
    return _DATASTORE_RANKS.get(policy, custom)


class RankedHosts:
    """A host-selection policy of the core: every lease by the ranking of its VMs.

    A ranking is of one moment, and many leases are placed at once. So hosts of one rank are
    told apart by what is planned for them: those with few leases first, or with many where
    ``packing`` is wanted.
    """

    def __init__(
        self, rankings: Mapping[int, Ranking], default: Ranking, *, packing: bool = False
    ) -> None:
        """``rankings`` are by lease id, and may change meanwhile; others have ``default``."""
        self._rankings = rankings
        self._default = default
        self._packing = packing

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterator[HostSet]:
        """By rank, the best first, then by number of leases."""
        for tier in self._rankings.get(request.id, self._default).among(hosts):
            yield from self._by_leases(tier, view)

    def _by_leases(self, tier: HostSet, view: HostView) -> Iterable[HostSet]:
        by_leases = view.by_leases(tier)
        return reversed(list(by_leases)) if self._packing else by_leases
