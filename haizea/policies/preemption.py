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
    """``ar-preempts-everything``: best-effort leases make room for promises, the youngest first.

    Promises are ARs and, where nothing else lets them be done in time, leases with deadlines. These
    make room, too, where they are suspended and still done in time.

    The youngest is the one submitted last; of two submitted at once, the one with the
    higher id. It has lost least when it starts over, and an old lease is not put off
    again and again.
    """

    def victims(
        self, request: LeaseRequest, candidates: Sequence[PlacedLease]
    ) -> Sequence[PlacedLease]:
        """The preemptible leases that may leave, youngest first, if ``request`` is a promise."""
        if request.kind not in (Kind.AR, Kind.DEADLINE):
            return ()
        leave = (Kind.BEST_EFFORT, Kind.DEADLINE)
        victims = [c for c in candidates if c.request.kind in leave and c.request.preemptible]
        return sorted(victims, key=lambda c: (c.request.submitted, c.request.id), reverse=True)
