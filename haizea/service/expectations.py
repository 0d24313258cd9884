"""Starts that waiting leases would have if everything ran for as long as was asked for.

Most schedules reserve a start for the first waiting lease or for none. What the others may
expect is found by trying: a scheduler of its own goes on from the present records and gives
each waiting lease a reservation. It is a guess, and never later than it is made.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from haizea.core.model.policy import Policies
from haizea.core.model.settings import Backfilling, Settings
from haizea.service.board import Board
from haizea.service.shadow import shadow

#: Of a longer queue, at least and at most so many leases from its head on are told what to
#: expect: as many as a guess can be made for in the time it may take.
_FEWEST_LEASES, _MOST_LEASES = 10, 1000

#: A guess may take so long, as schedule and answers wait for their turn meanwhile.
_GUESS_SECONDS = 0.1

#: A guess that took long to make is kept for so many times as long.
_REST = 10

_NOTHING: Mapping[int, int] = MappingProxyType({})


class Expectations:
    """Guesses, made when somebody asks; any thread may. ``now`` reads the service's clock."""

    def __init__(
        self,
        board: Board,
        settings: Settings,
        policies: Policies,
        now: Callable[[], int],
        logger: logging.Logger,
    ) -> None:
        self._board = board
        self._settings = replace(settings, backfilling=Backfilling.CONSERVATIVE, images=None)
        self._policies = policies
        self._now = now
        self._logger = logger
        self._busy = threading.Lock()
        self._made_for = -1
        self._found = _NOTHING
        self._rest_until = 0.0
        #: So many leases from the head of the queue on are told what to expect.
        self.reach = 5 * _FEWEST_LEASES

    def all(self) -> Mapping[int, int]:
        """The expected starts of waiting leases by id, as far as they are known.

        They are those of a little earlier where somebody is working on them at present, or
        has just done so at some length.
        """
        stale = self._made_for != self._board.last_event
        if stale and time.monotonic() >= self._rest_until and self._busy.acquire(blocking=False):
            try:
                self._renew()
            finally:
                self._busy.release()
        return self._found

    def _renew(self) -> None:
        made_for, began = self._board.last_event, time.monotonic()
        # How long a guess for more would take is seen only where so many wait.
        may_grow = self._board.waiting >= self.reach
        try:
            self._found = self._guess()
        except Exception:
            # Nobody's schedule depends on a guess.
            self._logger.exception("what waiting leases may expect could not be worked out")
            self._found = _NOTHING
        took = time.monotonic() - began
        self._made_for = made_for
        self._rest_until = began + (_REST + 1) * took
        if took > _GUESS_SECONDS:
            self.reach = max(self.reach // 2, _FEWEST_LEASES)
        elif may_grow and took < _GUESS_SECONDS / 4:
            self.reach = min(self.reach * 2, _MOST_LEASES)

    def _guess(self) -> Mapping[int, int]:
        waiting = {record.id: record for record in self._board.queue()[: self.reach]}
        if not waiting:
            return _NOTHING
        now = self._now()
        _, turn = shadow(self._board, self._settings, self._policies, now, [*waiting.values()])
        found: dict[int, int] = {}
        for record in turn.records:
            if record.id in waiting:
                if record.expected is not None:
                    found[record.id] = record.expected
                elif record.plan is not None:
                    found[record.id] = now
        return found
