"""Preferences among hosts, as a host-selection policy of the core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from haizea.backends.opennebula.expressions.table import Ranking
from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.policy import HostView


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRanks:
    """Rank expressions of VMs that have none of their own.

    ``legacy_hosts`` is that of hosts in OpenNebula 1.4, which has other attributes. With
    ``packing``, of hosts of one rank those with many leases come first.
    """

    hosts: str = "-RUNNING_VMS"
    legacy_hosts: str = "-RUNNING_VMS"
    datastores: str = "FREE_MB"
    packing: bool = False


class LiveRanks:
    """A host-selection policy of the core that follows what is seen of the hosts.

    Until they are seen, all are alike. A ranking is of one moment, and many leases are placed at
    once. So hosts of one rank are told apart by what is planned for them: those with few leases
    first, or with many where ``packing`` is wanted.
    """

    def __init__(self, *, packing: bool = False) -> None:
        self._packing = packing
        self._default: Ranking | None = None
        #: By the first of a lease's names, where its owner wrote a rank.
        self._rankings: dict[str, Ranking] = {}

    def follow(self, default: Ranking) -> None:
        """Use this ranking from now on for leases without one of their own."""
        self._default = default

    def rank(self, vm: int, ranking: Ranking | None) -> None:
        """Use this ranking for the lease whose first node is this VM; ``None``: the default."""
        if ranking is None:
            self._rankings.pop(str(vm), None)
        else:
            self._rankings[str(vm)] = ranking

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterator[HostSet]:
        """``hosts`` by rank, the best first, then by number of leases."""
        own = self._rankings.get(request.names[0]) if request.names else None
        ranking = own or self._default
        if ranking is None:
            yield hosts
            return
        for tier in ranking.among(hosts):
            by_leases = view.by_leases(tier)
            yield from reversed(list(by_leases)) if self._packing else by_leases
