"""The one loop: what drives a scheduler, in a simulation and in a daemon.

In a turn of the loop the clock comes to the next moment at which something is due, what
happened is handed to the scheduler, and what it decides goes to everyone concerned. All
that differs between a simulation and a daemon is in the parts that the loop is given.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from haizea.backends.base import Backend
from haizea.clock import Clock
from haizea.core.model.events import (
    Input,
    LeaseAccepted,
    LeaseAltered,
    LeaseChanged,
    LeaseSubmitted,
    MaintenanceAsked,
    StateChanged,
)
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.maintenance import Maintenance
from haizea.core.model.members import BEST_EFFORT, FAILED, NEW
from haizea.core.model.reasons import Reason
from haizea.core.model.resources import FOREVER
from haizea.core.model.turn import Turn
from haizea.workloads.changes import BoundChange

#: So many turns at one instant, with nothing new arriving, and the loop gives up: parts
#: that keep on answering each other would never let the clock go on.
MOST_ROUNDS: Final = 10_000


class SchedulerError(Exception):
    """The scheduler failed: a bug in it. Its schedule may be half changed and is not used again.

    ``now`` is the moment, ``inputs`` what it had been told. The cause is chained.
    """

    def __init__(self, now: int, inputs: Sequence[Input], cause: Exception) -> None:
        self.now = now
        self.inputs = tuple(inputs)
        # Compiled code chains nothing by itself.
        self.__cause__ = cause
        super().__init__(f"{type(cause).__name__}: {cause}" if str(cause) else repr(cause))


class EndlessInstant(Exception):
    """The scheduler and the backend keep answering each other at one instant: a bug."""


class DrivenScheduler(Protocol):
    """The part of a scheduler that the loop uses (:class:`haizea.core.scheduler.Scheduler`)."""

    def handle(self, now: int, inputs: Sequence[Input]) -> Turn:
        """Return what follows from ``inputs`` and from its being ``now``."""

    def next_wakeup(self) -> int | None:
        """The next moment at which something of the plan starts or ends."""


class Arrivals(Protocol):
    """A source of requests: a trace, or the inbox of a daemon."""

    def next_arrival(self) -> int | None:
        """Return when the next request comes, where that is known."""

    def take(self, now: int) -> list[Input]:
        """The requests that have come up to ``now`` and were not yet taken, in order."""


class Observer(Protocol):
    """Somebody who is told every turn: results, log, progress, a daemon's store."""

    def note(self, turn: Turn) -> None:
        """Take note of a turn before its decisions are carried out.

        These are none where the scheduler was told something that changes nothing.
        """


class TraceArrivals:
    """The requests of a trace, each at the moment it was submitted.

    Requests with the same moment come together, in the order given; before them come maintenance
    ``windows``, each with the moment at which it is asked for, and ``changes`` of leases. Each asks
    for what its lease is by then, but for what it changes: so it has to observe the run.
    """

    def __init__(
        self,
        requests: Iterable[LeaseRequest],
        windows: Iterable[tuple[int, Maintenance]] = (),
        changes: Iterable[BoundChange] = (),
    ) -> None:
        self._requests = sorted(requests, key=lambda r: r.submitted)
        self._changes = sorted(changes, key=lambda c: c.moment, reverse=True)
        changed = {change.lease_id for change in self._changes}
        self._terms = {r.id: r for r in self._requests if r.id in changed}
        self._windows = sorted(windows, key=lambda entry: entry[0], reverse=True)
        self._next = 0

    def next_arrival(self) -> int | None:
        """Return when the next request is submitted; ``None`` after the last."""
        due = FOREVER
        if self._next < len(self._requests):
            due = self._requests[self._next].submitted
        if self._windows:
            due = min(due, self._windows[-1][0])
        if self._changes:
            due = min(due, self._changes[-1].moment)
        return due if due < FOREVER else None

    def note(self, turn: Turn) -> None:
        """Note what leases are that were changed."""
        for decision in turn.decisions if self._terms else ():
            if isinstance(decision, LeaseAltered):
                self._terms[decision.request.id] = decision.request

    def take(self, now: int) -> list[Input]:
        """The requests submitted up to ``now``."""
        first = last = self._next
        requests = self._requests
        while last < len(requests) and requests[last].submitted <= now:
            last += 1
        self._next = last
        asked: list[Input] = []
        while self._windows and self._windows[-1][0] <= now:
            asked.append(MaintenanceAsked(self._windows.pop()[1]))
        # One of a lease at a time: the next one asks for what this makes of it.
        told: set[int] = set()
        while self._changes and self._changes[-1].moment <= now:
            change = self._changes[-1]
            if change.lease_id in told:
                break
            told.add(change.lease_id)
            before = self._terms[change.lease_id]
            asked.append(LeaseChanged(change.lease_id, change.of(before)))
            self._changes.pop()
        if last > first:
            asked += [LeaseSubmitted(r) for r in requests[first:last]]
        return asked


class Tally:
    """Counts leases by state as a run goes on; an observer.

    ``failure`` is the first lease that failed, with the reason.
    """

    def __init__(self) -> None:
        self.submitted = 0
        self.finished = 0
        self.best_effort_submitted = 0
        self.best_effort_finished = 0
        self.failure: tuple[int, Reason | None] | None = None
        self._states = dict.fromkeys(State, 0)
        self._best_effort: set[int] = set()

    @property
    def states(self) -> dict[State, int]:
        """The number of leases in each state, for the states that have any."""
        return {state: count for state, count in self._states.items() if count > 0}

    def note(self, turn: Turn) -> None:
        """Count what was decided."""
        states = self._states
        for decision in turn.decisions:
            if isinstance(decision, StateChanged):
                new = decision.new
                states[decision.old] -= 1
                states[new] += 1
                if new in FINAL:
                    self._finish(decision)
            elif isinstance(decision, LeaseAccepted):
                self._accept(decision.request)

    def _accept(self, request: LeaseRequest) -> None:
        self.submitted += 1
        self._states[NEW] += 1
        if request.kind is BEST_EFFORT:
            self.best_effort_submitted += 1
            self._best_effort.add(request.id)

    def _finish(self, change: StateChanged) -> None:
        self.finished += 1
        if change.lease_id in self._best_effort:
            self._best_effort.remove(change.lease_id)
            self.best_effort_finished += 1
        if change.new is FAILED and self.failure is None:
            self.failure = (change.lease_id, change.reason)


def run_loop(
    scheduler: DrivenScheduler,
    clock: Clock,
    backend: Backend,
    arrivals: Arrivals,
    observers: Sequence[Observer],
    stop: Callable[[int], bool],
    between: Callable[[], None] | None = None,
) -> None:
    """Drive ``scheduler`` until ``stop`` says that the run is over.

    ``between`` is called between instants; then ``stop`` is asked, with the next moment at
    which something is due (``FOREVER`` when nothing is). Observers are told decisions before
    the backend is, in the order given, so that nothing is done that is not on record.

    Besides the calls it makes, a turn costs about a microsecond. Raises
    :class:`SchedulerError` for anything that the scheduler raises, and
    :class:`EndlessInstant` for an instant that does not end; what other parts raise
    passes through.
    """
    last = clock.now()
    rounds = 0
    while True:
        due = FOREVER
        moment = arrivals.next_arrival()
        if moment is not None and moment < due:
            due = moment
        moment = scheduler.next_wakeup()
        if moment is not None and moment < due:
            due = moment
        moment = backend.next_event()
        if moment is not None and moment < due:
            due = moment
        if between is not None:
            between()
        if stop(due):
            return
        now = clock.wait_until(due)
        inputs = arrivals.take(now)
        if now > last or inputs:
            last = now
            rounds = 0
        else:
            rounds += 1
            if rounds > MOST_ROUNDS:
                raise EndlessInstant(f"nothing new arrives at {now}, yet it does not end")
        inputs += backend.observe(now)
        try:
            turn = scheduler.handle(now, inputs)
        except Exception as error:
            raise SchedulerError(now, inputs, error) from error
        if turn.decisions or inputs:
            for observer in observers:
                observer.note(turn)
            backend.enact(now, turn.decisions)


@contextmanager
def collecting_rarely(thresholds: tuple[int, int, int] = (200_000, 20, 100)) -> Iterator[None]:
    """Let Python look for garbage less often, and not among what the run begins with.

    A simulation makes millions of small objects and next to no cycles of them. ``thresholds``
    are those of :func:`gc.set_threshold`.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*thresholds)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
