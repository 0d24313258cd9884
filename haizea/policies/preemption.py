"""Preemption policies: who makes room for whom."""

from __future__ import annotations

from collections.abc import Sequence

from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.policy import PlacedLease


class NoPreemption:
    """``no-preemption``: what a lease has, it keeps."""

    def victims(
        self, request: LeaseRequest, candidates: Sequence[PlacedLease]
    ) -> Sequence[PlacedLease]:
        """Nobody makes room."""
        return ()


class ArPreemptsEverything:
    """``ar-preempts-everything``: best-effort leases make room for ARs, the youngest first.

    The youngest is the one submitted last; of two submitted at once, the one with the
    higher id. It has lost least when it starts over, and an old lease is not put off
    again and again.
    """

    def victims(
        self, request: LeaseRequest, candidates: Sequence[PlacedLease]
    ) -> Sequence[PlacedLease]:
        """The preemptible best-effort leases, youngest first, if ``request`` is an AR."""
        if request.kind is not Kind.AR:
            return ()
        victims = [
            c for c in candidates if c.request.kind is Kind.BEST_EFFORT and c.request.preemptible
        ]
        return sorted(victims, key=lambda c: (c.request.submitted, c.request.id), reverse=True)
