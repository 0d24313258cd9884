"""Host-selection policies that the study compares with those that come with Haizea."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.policy import HostView
from haizea.policies.host_selection import Greedy


class Fullest:
    """The hosts with most leases first, so that others stay empty."""

    ignores_request = True

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterator[HostSet]:
        """By number of leases, most first, then by next change, soonest first."""
        for group in reversed(list(view.by_leases(hosts))):
            yield from reversed(list(view.by_unchanged(group)))


class ReservationsFullest:
    """``Fullest`` for advance reservations, ``greedy`` for all others."""

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterable[HostSet]:
        """As the one or the other says."""
        policy = Fullest() if request.kind is Kind.AR else Greedy()
        return policy.tiers(request, hosts, view)


class OthersFullest:
    """``greedy`` for advance reservations, ``Fullest`` for all others."""

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterable[HostSet]:
        """As the one or the other says."""
        policy = Greedy() if request.kind is Kind.AR else Fullest()
        return policy.tiers(request, hosts, view)
