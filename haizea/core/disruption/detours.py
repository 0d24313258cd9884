"""Images that are planned into maintenance: other times for them, or other plans for their leases.

All of that is found out first, for a window that is asked for; nothing changes by it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from haizea.core.images.closures import Closures
from haizea.core.images.shipments import ImageTransfer, Move
from haizea.core.images.timing import Wanted
from haizea.core.images.transfers import Preparation
from haizea.core.model.hosts import EVERYWHERE, HostSet
from haizea.core.model.members import BEST_EFFORT
from haizea.core.placement.plan import Lease
from haizea.core.schedule.schedule import Schedule


class Detours(NamedTuple):
    """Transfers that come at other times, and leases that are planned anew, images and all.

    Images of those that are ``stuck`` can come to their hosts at no other time.
    """

    moves: list[Move]
    again: list[Lease]
    stuck: list[Lease]


class _Hit(NamedTuple):
    """A transfer to hosts that are closed then, and the promised leases that need it there."""

    transfer: ImageTransfer
    leases: list[Lease]


def detours(
    schedule: Schedule, closures: Closures, leaving: Container[int] = (), *, begun: bool = True
) -> Detours:
    """Find how images keep off closed hosts; no matter for leases that are ``leaving`` theirs.

    Transfers under way cannot come later: they are looked at only with ``begun``.
    """
    preparation = schedule.preparation
    if preparation is None or not closures:
        return Detours([], [], [])
    again: dict[int, Lease] = {}
    stuck: dict[int, Lease] = {}
    hits: list[_Hit] = []
    for transfer in preparation.transfers:
        if transfer.begun and not begun:
            continue
        leases = _needing(schedule, transfer, closures.forbidden(transfer), leaving)
        again.update({lease.id: lease for lease in leases if not _is_promised(lease)})
        promised = [lease for lease in leases if _is_promised(lease)]
        if transfer.begun:
            stuck.update({lease.id: lease for lease in promised})
        elif promised:
            hits.append(_Hit(transfer, promised))
    found = _Retiming(schedule, preparation, closures, leaving, again)
    moves = found.moves(hits)
    stuck.update(found.stuck)
    return Detours(moves, [again[i] for i in sorted(again)], [stuck[i] for i in sorted(stuck)])


def _needing(
    schedule: Schedule, transfer: ImageTransfer, hosts: HostSet, leaving: Container[int]
) -> list[Lease]:
    """Return the leases that need the transfer on some of these hosts."""
    wanted = [*transfer.riders.items(), *transfer.relying.items()]
    ids = {lease_id for lease_id, theirs in wanted if theirs & hosts and lease_id not in leaving}
    return [schedule.leases[i] for i in sorted(ids)]


def _is_promised(lease: Lease) -> bool:
    """Tell whether a lease has a time that it is not to lose."""
    return lease.plan is not None and lease.request.kind is not BEST_EFFORT


class _Retiming:
    """Finds other times for transfers that leases were promised."""

    def __init__(
        self,
        schedule: Schedule,
        preparation: Preparation,
        closures: Closures,
        leaving: Container[int],
        again: Container[int],
    ) -> None:
        self._schedule = schedule
        self._preparation = preparation
        self._closures = closures
        self._leaving = leaving
        self._again = again
        #: Leases for whose images there is no other time, by id.
        self.stuck: dict[int, Lease] = {}

    def moves(self, hits: list[_Hit]) -> list[Move]:
        """New times for all of them, or for as many as there are some for."""
        if not hits:
            return []
        wanted = [self._wanted(hit.transfer) for hit in hits]
        for repack in (False, True):
            moves = self._retimed(wanted, repack=repack)
            if moves is not None:
                return moves
        kept: list[Wanted] = []
        moves = []
        for hit, asked in zip(hits, wanted, strict=True):
            more = self._retimed([*kept, asked], repack=False)
            if more is None:
                self.stuck.update({lease.id: lease for lease in hit.leases})
            else:
                kept.append(asked)
                moves = more
        return moves

    def _retimed(self, wanted: list[Wanted], *, repack: bool) -> list[Move] | None:
        now = self._schedule.now
        return self._preparation.retimed(wanted, now, self._closures, repack=repack)

    def _wanted(self, transfer: ImageTransfer) -> Wanted:
        seconds = self._preparation.seconds(transfer.image)
        deadline, hosts = transfer.deadline, 0
        for lease_id in transfer.waiting:
            lease = self._schedule.leases[lease_id]
            if lease_id in self._again or (lease_id in self._leaving and not _is_promised(lease)):
                continue
            # It is not known here to which hosts an image follows a lease that leaves its own.
            going = lease_id in self._leaving
            hosts |= EVERYWHERE if going else transfer.riders.get(lease_id, 0)
            if lease.plan is not None:
                deadline = min(deadline, lease.plan.start)
        return Wanted(transfer, seconds, deadline, self._closures.periods_for(transfer, hosts))
