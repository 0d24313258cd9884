"""The history of each lease so far, as decisions tell it."""

from __future__ import annotations

from typing import Final

from haizea.core.model.events import Decision, Expected, StateChanged
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.members import ACTIVE, DONE, MIGRATING, NEW, QUEUED, SUSPENDING
from haizea.wording import in_words

#: A lease that runs for less counts as if it ran for this long, in the bounded slowdown.
SLOWDOWN_BOUND_SECONDS: Final = 10

#: Changes to these states, and from ``ACTIVE``, are those that :meth:`LeaseRecord.count` is for.
COUNTED: Final = FINAL | {ACTIVE, SUSPENDING, MIGRATING}


class LeaseRecord:
    """A lease's progress.

    ``started`` is when the run that counts began: its first run, or, if it was requeued
    without being suspended, the run after that (``None`` while it waits to start over).
    ``ended`` is when it reached a final state. ``running_seconds`` is how long it was
    active in the run that counts, time suspended left out.

    ``slowdown`` is the bounded slowdown of a lease that is done, ``None`` for others: time
    from submission (for an AR: from the start asked for) to the end, over time running; a
    lease that ran for less than 10 s counts as if it ran for 10 s, and the result is at
    least 1. After Feitelson and Rudolph, "Metrics and benchmarking for parallel job
    scheduling", 1998.

    Whoever keeps the record sets ``last`` to each change of its state and ``told`` to that
    or to what it is said to wait for, whichever is the later, and calls :meth:`count` for
    the changes that need it. ``boxes`` are where its changes are put for probes.
    """

    __slots__ = (
        "_due",
        "boxes",
        "ended",
        "last",
        "migrations",
        "request",
        "restarts",
        "running_seconds",
        "slowdown",
        "started",
        "suspensions",
        "told",
    )

    def __init__(
        self, request: LeaseRequest, time: int, boxes: tuple[list[Decision], ...] = ()
    ) -> None:
        self.request = request
        self.boxes = boxes
        self.last = StateChanged(time, request.id, NEW, NEW)
        self.told: StateChanged | Expected = self.last
        # What waiting is counted from.
        self._due = request.submitted if request.start is None else request.start
        self.slowdown: float | None = None
        self.started: int | None = None
        self.ended: int | None = None
        self.running_seconds = 0
        self.suspensions = 0
        self.migrations = 0
        self.restarts = 0

    def count(self, before: StateChanged, change: StateChanged) -> None:
        """Take notice of a change; ``before`` is the one that came before it."""
        time, new = change.time, change.new
        if before.new is ACTIVE:
            self.running_seconds += time - before.time
            if new is QUEUED:
                self.restarts += 1
                self.started = None
                self.running_seconds = 0
        if new is ACTIVE:
            if self.started is None:
                self.started = time
        elif new in FINAL:
            self.ended = time
            if new is DONE:
                self.slowdown = self._bounded_slowdown()
        elif new is SUSPENDING:
            self.suspensions += 1
        elif new is MIGRATING:
            self.migrations += 1

    @property
    def state(self) -> State:
        """The state it is in."""
        return self.last.new

    @property
    def since(self) -> int:
        """The moment at which it came to that state."""
        return self.last.time

    @property
    def reason(self) -> str:
        """Why it is where it is, or what it waits for."""
        return in_words(self.told.reason)

    @property
    def code(self) -> str:
        """Why, in a word for programs."""
        return self.last.code

    @property
    def waiting_time(self) -> int | None:
        """Seconds from submission (for an AR: from the start asked for) to the start."""
        return None if self.started is None else self.started - self._due

    def _bounded_slowdown(self) -> float:
        assert self.ended is not None, "it has ended"
        elapsed = self.ended - self._due
        return max(1.0, elapsed / max(SLOWDOWN_BOUND_SECONDS, self.running_seconds))
