"""Host selection policies: which hosts are preferred for a lease's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from haizea.core.model.derivable import mypyc_attr
from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.policy import HostView


@mypyc_attr(allow_interpreted_subclasses=True)
class Greedy:
    """``greedy``: the emptiest hosts first, then those whose free capacity stays longest.

    Fewest leases first means that few leases would have to be preempted; longest
    unchanged first keeps hosts with little time left for the leases that need little.
    """

    ignores_request: ClassVar[bool] = True

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterator[HostSet]:
        """By number of leases, fewest first, then by next change, latest first."""
        for group in view.by_leases(hosts):
            yield from view.by_unchanged(group)


@mypyc_attr(allow_interpreted_subclasses=True)
class NoPolicy:
    """``no-policy``: hosts in the order of their identifiers."""

    ignores_request: ClassVar[bool] = True

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterable[HostSet]:
        """All hosts as one set, of which the lowest identifiers are taken first."""
        return (hosts,)
