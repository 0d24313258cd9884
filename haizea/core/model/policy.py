"""The pluggable parts of a schedule: four small protocols, and what their authors may see.

The policies that come with Haizea are in :mod:`haizea.policies`. A policy is pure: the
same question has the same answer, whatever the time of day or the order of hashing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import State


class PlacedLease(NamedTuple):
    """A lease that holds hosts: what a preemption policy chooses among.

    ``started`` is when it (last) started or will start, ``hosts`` the hosts it holds.
    """

    request: LeaseRequest
    state: State
    started: int
    hosts: HostSet


class AdmissionPolicy(Protocol):
    """Decides which requests are considered at all."""

    def refusal(self, request: LeaseRequest) -> str | None:
        """Why the request is refused, in words for its owner; ``None`` to admit it."""


class PreemptionPolicy(Protocol):
    """Chooses who makes room for whom."""

    def victims(
        self, request: LeaseRequest, candidates: Sequence[PlacedLease]
    ) -> Sequence[PlacedLease]:
        """Return the ``candidates`` that ``request`` may preempt, the first to go first.

        Candidates are preemptible leases; no more of them are preempted than is needed.
        """


class QueueOrderPolicy(Protocol):
    """In which order waiting leases are taken."""

    def key(self, request: LeaseRequest, since: int) -> Any:
        """A sort key (smallest first), the same whenever asked. Ties go by lease id.

        ``since`` is when the lease joined the queue: its submission, or when it was
        suspended. One that was dropped to start over has its old place.
        """


class HostView(Protocol):
    """The questions that a host-selection policy may ask about hosts, at the start of a lease."""

    @property
    def start(self) -> int:
        """The moment at which the lease would start."""

    def leases_on(self, host: int) -> int:
        """Return the number of leases that hold the host at the start."""

    def unchanged_until(self, host: int) -> int:
        """Return when the host's free capacity changes next, after the start."""

    def by_leases(self, hosts: HostSet) -> Iterable[HostSet]:
        """``hosts`` split by how many leases they hold at the start, fewest first."""

    def by_unchanged(self, hosts: HostSet) -> Iterable[HostSet]:
        """``hosts`` split by when their free capacity changes next, latest first."""


class HostSelectionPolicy(Protocol):
    """Chooses which hosts are preferred for a lease's nodes."""

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterable[HostSet]:
        """``hosts`` split into sets, the preferred first; within a set, lowest index first.

        A class that does not look at ``request`` may say so with ``ignores_request = True``
        (:func:`declares`): long queues of leases that need the same are then faster to go
        through.
        """


def declares(thing: object, name: str) -> bool:
    """Return whether the class of ``thing`` itself sets ``name``; what it inherits does not count.

    So that a class which changes what it derives from does not go on promising the same.
    """
    return bool(vars(type(thing)).get(name, False))


@dataclass(frozen=True, slots=True)
class Policies:
    """The four policies of one scheduler."""

    admission: AdmissionPolicy
    preemption: PreemptionPolicy
    queue_order: QueueOrderPolicy
    host_selection: HostSelectionPolicy
