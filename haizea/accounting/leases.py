"""What became of each lease so far, as decisions tell it."""

from __future__ import annotations

from haizea.core.lease import Kind, LeaseRequest
from haizea.core.lifecycle import FINAL, State

#: A lease that runs for less counts as if it ran for this long, in the bounded slowdown.
SLOWDOWN_BOUND_SECONDS = 10

# Looking a member up in its enumeration costs more than all else that change() does.
_ACTIVE = State.ACTIVE
_QUEUED = State.QUEUED
_SUSPENDING = State.SUSPENDING
_MIGRATING = State.MIGRATING


class LeaseRecord:
    """A lease's progress.

    ``started`` is when the run that counts began: its first run, or, if it was requeued
    without being suspended, the run after that (``None`` while it waits to start over).
    ``ended`` is when it reached a final state. ``since`` is when it reached ``state``.
    ``running_seconds`` is how long it was active in the run that counts, time suspended
    left out. ``reason`` and ``code`` say why it is where it is.
    """

    __slots__ = (
        "code",
        "ended",
        "migrations",
        "reason",
        "request",
        "restarts",
        "running_seconds",
        "since",
        "started",
        "state",
        "suspensions",
    )

    def __init__(self, request: LeaseRequest, time: int) -> None:
        self.request = request
        self.state = State.NEW
        self.since = time
        self.started: int | None = None
        self.ended: int | None = None
        self.running_seconds = 0
        self.suspensions = 0
        self.migrations = 0
        self.restarts = 0
        self.reason = ""
        self.code = ""

    def change(self, time: int, old: State, new: State, reason: str, code: str) -> None:
        """The lease goes from ``old`` to ``new``."""
        if old is _ACTIVE:
            self.running_seconds += time - self.since
            if new is _QUEUED:
                self.restarts += 1
                self.started = None
                self.running_seconds = 0
        if new is _ACTIVE:
            if self.started is None:
                self.started = time
        elif new in FINAL:
            self.ended = time
        elif new is _SUSPENDING:
            self.suspensions += 1
        elif new is _MIGRATING:
            self.migrations += 1
        self.state = new
        self.since = time
        self.reason = reason
        self.code = code

    @property
    def waiting_time(self) -> int | None:
        """Seconds from submission (for an AR: from the start asked for) to the start."""
        return None if self.started is None else self.started - self._due()

    @property
    def slowdown(self) -> float | None:
        """The bounded slowdown of a lease that is done, ``None`` for others.

        Time from submission (for an AR: from the start asked for) to the end, over time
        running; a lease that ran for less than 10 s counts as if it ran for 10 s, and the
        result is at least 1. After Feitelson and Rudolph, "Metrics and benchmarking for
        parallel job scheduling", 1998.
        """
        if self.state is not State.DONE or self.ended is None:
            return None
        elapsed = self.ended - self._due()
        return max(1.0, elapsed / max(SLOWDOWN_BOUND_SECONDS, self.running_seconds))

    def _due(self) -> int:
        request = self.request
        if request.kind is Kind.AR and request.start is not None:
            return request.start
        return request.submitted
