"""Consequences of a turn, in this order: it is kept, shown, answered.

Nothing is answered or carried out that is not durable. Where the store cannot be written,
everything waits until it can.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from haizea.backends.base import Backend
from haizea.core.model.events import (
    Decision,
    HostChanged,
    Input,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.lifecycle import State
from haizea.core.model.settings import Settings
from haizea.core.model.turn import Turn
from haizea.service.answers import Answers
from haizea.service.board import Board
from haizea.service.figures import Figures
from haizea.service.inbox import Inbox
from haizea.service.upkeep import changes_maintenance
from haizea.store import KeptTurn, Store, StoreUnavailable

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0


class Stopped(Exception):
    """The service ends, and a turn could not be kept: nothing of it counts."""


class Turns:
    """An observer that keeps each turn, updates the board and answers who waits.

    ``settings`` are the scheduler's.
    """

    def __init__(
        self,
        store: Store,
        board: Board,
        inbox: Inbox,
        answers: Answers,
        figures: Figures,
        logger: logging.Logger,
        *,
        settings: Settings,
    ) -> None:
        # What is planned for images is kept, too, where they are managed.
        self._images = settings.images is not None
        self._store = store
        self._board = board
        self._inbox = inbox
        self._answers = answers
        self._figures = figures
        self._logger = logger
        self._stop = threading.Event()
        #: The first lease that failed, in words; empty if none has.
        self.failure = ""
        self._watchers: dict[int, Callable[[], None]] = {}
        self._serial = 0

    def stop(self) -> None:
        """Wait for the store no longer. From any thread."""
        self._stop.set()

    def watch(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have ``notify`` called after each turn; call the answer to end that."""
        self._serial += 1
        number = self._serial
        self._watchers[number] = notify

        def end() -> None:
            self._watchers.pop(number, None)

        return end

    def note(self, turn: Turn) -> None:
        """Keep the turn, then tell everybody. Raises :class:`Stopped`."""
        taken, decisions = self._inbox.taken, turn.decisions
        self._figures.turns += 1
        if decisions or turn.records:
            changed = self._images or any(
                isinstance(d, HostChanged | RatesChanged) or changes_maintenance(d)
                for d in decisions
            )
            kept = KeptTurn(
                now=turn.now,
                decisions=decisions,
                records=turn.records,
                site=turn.site if changed else None,
                keys=list(taken.by_key.values()),
            )
            self._board.last_event = self._keep(kept)
            if kept.site is not None:
                self._board.maintenance = kept.site.maintenance
            self._note_lateness(turn)
        self._board.note(turn)
        self._count(decisions)
        self._figures.turn_seconds.add(time.monotonic() - taken.began)
        self._answers.give(taken, turn)
        self._inbox.upkeep.answer(decisions)
        if decisions:
            for notify in list(self._watchers.values()):
                notify()

    def _note_lateness(self, turn: Turn) -> None:
        """Keep that nobody was at work when something was due, whatever kept it from that."""
        if turn.late_since is None:
            return
        self._figures.late_turns += 1
        try:
            self._store.note_start(turn.late_since, turn.now)
        except StoreUnavailable as error:
            self._logger.warning("that it was late is not on record: %s", error)

    def _keep(self, turn: KeptTurn) -> int:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                last_event = self._store.save(turn)
            except StoreUnavailable as error:
                self._figures.store_retries += 1
                if not self._figures.store_problem:
                    self._logger.error("nothing can be kept, and so nothing is done: %s", error)
                self._figures.store_problem = str(error)
                if self._stop.wait(pause):
                    raise Stopped from error
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            self._figures.save_seconds.add(time.monotonic() - began)
            if self._figures.store_problem:
                self._figures.store_problem = ""
                self._logger.warning("the store can be written again")
            return last_event

    def _count(self, decisions: Sequence[Decision]) -> None:
        counts = self._figures.decisions
        for decision in decisions:
            name = type(decision).__name__
            counts[name] = counts.get(name, 0) + 1
            if isinstance(decision, StateChanged) and decision.new is State.FAILED:
                self.failure = self.failure or f"lease {decision.lease_id} failed"


class Enacting:
    """A backend that has the store told when commands were handed over."""

    def __init__(self, backend: Backend, store: Store) -> None:
        self._backend = backend
        self._store = store

    def observe(self, now: int) -> list[Input]:
        """Return what the backend observes."""
        return self._backend.observe(now)

    def enact(self, now: int, decisions: Sequence[Decision]) -> None:
        """Have the backend enact decisions; then it is known that these need not be repeated."""
        self._backend.enact(now, decisions)
        self._store.enacted()

    def next_event(self) -> int | None:
        """Return the backend's next event."""
        return self._backend.next_event()
