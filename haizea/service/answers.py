"""Answers to those who asked for leases, or for the change or the end of one."""

from __future__ import annotations

import logging

from haizea.api.manager import Unavailable
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord
from haizea.core.model.turn import Turn
from haizea.service.alterations import answer_all
from haizea.service.board import Board
from haizea.service.figures import Figures
from haizea.service.inbox import NOT_KEPT, Taken
from haizea.service.offers import offer_until
from haizea.service_types import Decided, Submission
from haizea.store import Store, StoreError


class Answers:
    """Gives answers from a turn, the board and the store.

    A proposed start can be asked for until ``ahead_seconds`` s before it.
    """

    def __init__(
        self,
        board: Board,
        store: Store,
        figures: Figures,
        logger: logging.Logger,
        ahead_seconds: int,
    ) -> None:
        self._board = board
        self._store = store
        self._figures = figures
        self._logger = logger
        self._ahead_seconds = ahead_seconds

    def give(self, taken: Taken, turn: Turn) -> None:
        """Answer all that a turn took."""
        records = {record.id: record for record in turn.records}
        for lease_id, submission in taken.submitted.items():
            self._decided(submission, records[lease_id], turn.offers.get(lease_id))
        for submission, lease_id in taken.repeated:
            self.repeated(submission, lease_id)
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
        answer_all(taken.altered, turn.decisions, self._board.lease, self._ahead_seconds)
        taken.submitted, taken.repeated, taken.cancelled, taken.altered = {}, [], [], []

    def _decided(self, submission: Submission, record: LeaseRecord, offer: int | None) -> None:
        if record.state is State.REJECTED:
            self._figures.submitted["rejected"] += 1
        place = self._board.place(record.id)
        if record.state is not State.REJECTED:
            self._figures.submitted["accepted" if place is None else "queued"] += 1
        submission.answer.set_result(
            Decided(
                record=record,
                place=place,
                expected=record.expected,
                offer=offer,
                offer_until=offer_until(record, offer, self._ahead_seconds),
            )
        )

    def repeated(self, submission: Submission, lease_id: int) -> None:
        """Answer a request that repeats an earlier one, with that one's lease."""
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
