"""Trials: what would come of a request, found out beside the schedule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from haizea.api.manager import Busy
from haizea.core.model.events import LeaseSubmitted
from haizea.core.model.lease import Draft, LeaseRequest, node_sets
from haizea.core.model.lifecycle import State
from haizea.core.model.policy import Policies
from haizea.core.model.records import LeaseRecord
from haizea.core.model.settings import Backfilling, Settings
from haizea.core.scheduler import Scheduler
from haizea.service.board import Board
from haizea.service.offers import offer_for, offer_until
from haizea.service.shadow import shadow
from haizea.service_types import Decided

#: No lease has this number yet, nor will have soon.
_NUMBER = 1 << 52
#: So many of those that wait are looked at, from the head of the queue on.
_MOST_WAITING = 100
#: Another start is looked for so long at most.
_OFFER_SECONDS = 0.2
#: A trial waits so long for another one to end, and one that took long is followed by a rest
#: of so many times as long: the schedule shares the processor with it.
_PATIENCE_SECONDS = 1.0
_REST = 2


class Trials:
    """Trials, one at a time; any thread may ask. ``now`` reads the service's clock.

    ``settings`` are the scheduler's.
    """

    def __init__(
        self,
        board: Board,
        settings: Settings,
        policies: Policies,
        now: Callable[[], int],
    ) -> None:
        self._board = board
        self._settings = replace(settings, images=None)
        self._policies = policies
        self._now = now
        self._busy = threading.Lock()
        self._rest_until = 0.0

    def try_out(self, draft: Draft) -> Decided:
        """Answer what the request would lead to. Raises :class:`Busy`."""
        if time.monotonic() < self._rest_until:
            raise Busy
        if not self._busy.acquire(timeout=_PATIENCE_SECONDS):
            raise Busy
        began = time.monotonic()
        try:
            return self._try(draft)
        finally:
            took = time.monotonic() - began
            self._rest_until = began + took + _REST * max(0.0, took - 0.1)
            self._busy.release()

    def _try(self, draft: Draft) -> Decided:
        now = self._now()
        request = draft.bind(_NUMBER, now, node_sets(draft.nodes, self._board.site.types))
        scheduler, record = self._asked(request, now, self._settings)
        place = expected = offer = None
        if record.state is State.REJECTED:
            until = time.monotonic() + _OFFER_SECONDS
            offer = offer_for(scheduler, record, until)
        elif _NUMBER in scheduler.queue():
            place, expected = self._board.waiting + 1, record.expected
            if expected is None:
                everybody = replace(self._settings, backfilling=Backfilling.CONSERVATIVE)
                expected = self._asked(request, now, everybody)[1].expected
        return Decided(
            record=replace(record, request=replace(record.request, id=0)),
            place=place,
            expected=expected,
            offer=offer,
            offer_until=offer_until(record, offer, self._settings.non_schedulable_seconds),
        )

    def _asked(
        self, request: LeaseRequest, now: int, settings: Settings
    ) -> tuple[Scheduler, LeaseRecord]:
        """A scheduler that was asked, and the lease then."""
        waiting = self._board.queue()[:_MOST_WAITING]
        scheduler, _ = shadow(self._board, settings, self._policies, now, waiting)
        turn = scheduler.handle(now, [LeaseSubmitted(request)])
        return scheduler, next(r for r in turn.records if r.id == request.id)
