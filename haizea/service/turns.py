"""Consequences of a turn, in this order: it is kept, shown, answered.

Nothing is answered or carried out that is not durable. Where the store cannot be written,
everything waits until it can.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from haizea.api.manager import Decided, Unavailable
from haizea.backends.base import Backend
from haizea.core.model.events import (
    Decision,
    HostChanged,
    Input,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord
from haizea.core.model.settings import Settings
from haizea.service.alterations import answer_all
from haizea.service.board import Board
from haizea.service.figures import Figures
from haizea.service.inbox import NOT_KEPT, Inbox, Submission
from haizea.service.steadfast import Steadfast
from haizea.service.upkeep import changes_maintenance
from haizea.store import Store, StoreError, StoreUnavailable, Turn

#: For which rejections it helps to ask for another time.
OTHER_TIME = {"no-room", "no-time", "promised", "image-late", "too-soon", "in-the-past"}

#: So long, in real seconds, a proposed start can be asked for at least.
NOTICE_SECONDS = 60

#: So long may be looked for other times in a turn, for all its rejected requests together.
_OFFER_SECONDS = 0.05

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0


class Stopped(Exception):
    """The service ends, and a turn could not be kept: nothing of it counts."""


class Turns:
    """An observer that keeps each turn, updates the board and answers who waits.

    ``settings`` are the scheduler's. So many seconds of its time as ``speed`` pass in a real one.
    """

    def __init__(
        self,
        scheduler: Steadfast,
        store: Store,
        board: Board,
        inbox: Inbox,
        figures: Figures,
        logger: logging.Logger,
        *,
        settings: Settings,
        speed: float = 1.0,
    ) -> None:
        self._scheduler = scheduler
        # What is planned for images is kept, too, where they are managed.
        self._images = settings.images is not None
        self._ahead_seconds = settings.non_schedulable_seconds
        self._notice_seconds = math.ceil(NOTICE_SECONDS * speed)
        self._store = store
        self._board = board
        self._inbox = inbox
        self._figures = figures
        self._logger = logger
        #: When something of the plan was due, as it was before the present turn.
        self.due: int | None = None
        self._stop = threading.Event()
        #: The first lease that failed, in words; empty if none has.
        self.failure = ""
        inbox.answer_repeated = self._repeated
        inbox.upkeep.weigh = scheduler.impact
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

    def note(self, now: int, decisions: Sequence[Decision]) -> None:
        """Keep the turn, then tell everybody. Raises :class:`Stopped`."""
        records = self._scheduler.records()
        taken = self._inbox.taken
        self._figures.turns += 1
        if decisions or records:
            changed = self._images or any(
                isinstance(d, HostChanged | RatesChanged) or changes_maintenance(d)
                for d in decisions
            )
            turn = Turn(
                now=now,
                decisions=decisions,
                records=records,
                site=self._scheduler.site_record() if changed else None,
                keys=list(taken.by_key.values()),
            )
            self._board.last_event = self._keep(turn)
            if turn.site is not None:
                self._board.maintenance = turn.site.maintenance
            self._note_lateness(now)
        others = self._scheduler.used_by_others()
        self._board.update(now, decisions, records, self._scheduler.queue(), others)
        self._count(decisions)
        self._figures.turn_seconds.add(time.monotonic() - taken.began)
        self._answer({record.id: record for record in records})
        answer_all(taken.altered, decisions, self._board.lease)
        taken.altered = []
        self._inbox.upkeep.answer(decisions)
        if decisions:
            for notify in list(self._watchers.values()):
                notify()

    def _note_lateness(self, now: int) -> None:
        """Keep that nobody was at work when something was due, whatever kept it from that."""
        if self.due is None or self.due >= now:
            return
        self._figures.late_turns += 1
        try:
            self._store.note_start(self.due, now)
        except StoreUnavailable as error:
            self._logger.warning("that it was late is not on record: %s", error)

    def _keep(self, turn: Turn) -> int:
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

    def _answer(self, records: dict[int, LeaseRecord]) -> None:
        taken, until = self._inbox.taken, time.monotonic() + _OFFER_SECONDS
        for lease_id, submission in taken.submitted.items():
            self._decided(submission, records[lease_id], lambda: time.monotonic() > until)
        for submission, lease_id in taken.repeated:
            self._repeated(submission, lease_id)
        for cancellation in taken.cancelled:
            self._figures.cancelled += 1
            lease_id = cancellation.lease_id
            record = records.get(lease_id) or self._board.lease(lease_id)
            if record is not None:
                cancellation.answer.set_result(record)
                continue
            try:
                cancellation.answer.set_result(self._store.lease(lease_id))
            except StoreError as error:
                self._logger.debug("what was cancelled is not told: %s", error)
                cancellation.answer.set_exception(Unavailable(NOT_KEPT))
        taken.submitted, taken.repeated, taken.cancelled = {}, [], []

    def _decided(
        self, submission: Submission, record: LeaseRecord, enough: Callable[[], bool]
    ) -> None:
        offer = None
        request = record.request
        if record.state is State.REJECTED:
            self._figures.submitted["rejected"] += 1
            if request.kind is Kind.AR and record.code in OTHER_TIME:
                offer = self._scheduler.offer(request, enough, self._notice_seconds)
        place = self._board.place(record.id)
        if record.state is not State.REJECTED:
            self._figures.submitted["accepted" if place is None else "queued"] += 1
        submission.answer.set_result(
            Decided(
                record=record,
                place=place,
                expected=record.expected,
                offer=offer,
                offer_until=None if offer is None else offer - self._ahead_seconds,
            )
        )

    def _repeated(self, submission: Submission, lease_id: int) -> None:
        self._figures.submitted["repeated"] += 1
        try:
            record = self._board.lease(lease_id) or self._store.lease(lease_id)
        except StoreError as error:
            self._logger.debug("what was asked for again is not told: %s", error)
            submission.answer.set_exception(Unavailable(NOT_KEPT))
            return
        if record is None:
            gone = f"lease {lease_id}, which was asked for with this key, was forgotten since"
            submission.answer.set_exception(Unavailable(gone))
            return
        place = self._board.place(lease_id)
        submission.answer.set_result(
            Decided(record=record, place=place, expected=record.expected, repeated=True)
        )


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
