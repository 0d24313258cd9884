"""Hosts and VMs that exist in a simulation only.

The simulated backend knows what a trace says really happened: how long each lease ran.
On request it also makes things go wrong. It is for simulations and tests; it commands
nothing real.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from haizea.backends.chances import describe_chances
from haizea.core.model.events import (
    Decision,
    Input,
    LeaseAccepted,
    LeaseEnded,
    OperationDelayed,
    OperationEnded,
    OperationFailed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lifecycle import FINAL
from haizea.core.model.members import QUEUED, RUN, SHUTDOWN, SUSPEND
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER

#: A run without end fails, if it fails at all, within this many seconds.
_ENDLESS_RUN_SECONDS = 86_400

#: A lease that comes to one of these states has not got a run under way, nor its progress.
_ENDING: Final = FINAL | {QUEUED}


#: Moment, running number (ties go in the order in which they were foreseen), event, and the
#: start of the operation it belongs to: the event counts while that one is under way.
#: ``None`` for an event that belongs to no operation.
_Foreseen = tuple[int, int, Input, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults of a simulation. The same faults go wrong whenever it is repeated.

    ``failure`` and ``delay`` give, by purpose, the probability (0 to 1) that an operation
    fails before its planned end or is not over by then. A failure is reported at a random
    moment of the operation; a delay, of 1 to ``longest_delay_seconds`` s, at its planned
    end. A run can fail but not be delayed. ``at`` has inputs to report at given moments:
    hosts that fail and return, leases that are cancelled. ``seed`` is the only source of
    randomness.

    Raises :class:`ValueError` for anything that is not a probability, a delay shorter
    than a second or a delayed run.
    """

    seed: int = 0
    failure: Mapping[Purpose, float] = field(default_factory=dict)
    delay: Mapping[Purpose, float] = field(default_factory=dict)
    longest_delay_seconds: int = 60
    at: tuple[tuple[int, Input], ...] = ()

    def __post_init__(self) -> None:
        for table in (self.failure, self.delay):
            for purpose, probability in table.items():
                if not 0 <= probability <= 1:
                    raise ValueError(f"{purpose}: {probability:g} is not a probability (0 to 1)")
        if self.longest_delay_seconds < 1:
            raise ValueError(f"invalid longest delay {self.longest_delay_seconds} s: at least 1 s")
        if self.delay.get(RUN):
            raise ValueError("a run cannot be delayed: it ends with the lease's duration")

    def describe(self) -> str:
        """In a few words, for the results of a run. Begins with "events" if there is nothing
        but events at given moments, so that what is carried out is carried out as planned."""
        events = f"events at given moments: {len(self.at)}"
        chances = describe_chances(self.seed, self.failure, self.delay)
        return f"{chances}; {events}" if chances else events


class SimulatedBackend:
    """A backend that carries everything out as planned, save for early ends and faults.

    ``real_durations`` has, by lease id, the seconds for which the lease runs until it ends
    by itself, runtime before a suspension included; a lease that is not named, or whose
    real duration is no shorter than what it asked for, runs for the time it asked for. A
    lease that is put back in the queue starts over. One whose real duration ends while it
    is being shut down anyway is shut down as planned.

    Each decision and each event costs O(log n) at most, n being the events to come.
    """

    def __init__(self, real_durations: Mapping[int, int], faults: Faults | None = None) -> None:
        self._real_durations = dict(real_durations)
        self._faults = faults
        self._random = random.Random(faults.seed if faults else 0)
        self._running: dict[int, int] = {}  # lease -> start of its present stretch
        self._progress: dict[int, int] = {}  # lease -> seconds run in earlier stretches
        self._under_way: dict[tuple[int, Purpose], int] = {}  # -> start; kept for faults only
        self._events: list[_Foreseen] = []
        self._foreseen = 0
        for moment, event in faults.at if faults else ():
            self._foresee(moment, event, None)

    def observe(self, now: int) -> list[Input]:
        """The events up to ``now``: early ends and faults."""
        happened: list[Input] = []
        events = self._events
        while events and events[0][0] <= now:
            entry = heappop(events)
            if self._counts(entry):
                happened.append(entry[2])
                self._forget(entry)
        return happened

    def enact(self, now: int, decisions: Sequence[Decision]) -> None:
        """Note what starts and ends, and foresee what will come of it."""
        for decision in decisions:
            if isinstance(decision, StateChanged):
                if decision.new in _ENDING:
                    self._ended_or_put_back(decision)
            elif isinstance(decision, OperationStarted):
                self._started(decision)
            elif isinstance(decision, OperationEnded):
                self._ended(decision)
            elif isinstance(decision, LeaseAccepted):
                self._accepted(decision)

    def next_event(self) -> int | None:
        """The moment of the next early end or fault."""
        events = self._events
        while events:
            if self._counts(events[0]):
                return events[0][0]
            heappop(events)
        return None

    # --- decisions ----------------------------------------------------------------------

    def _accepted(self, decision: LeaseAccepted) -> None:
        request = decision.request
        real = self._real_durations.get(request.id)
        if real is not None and request.duration is not None and real >= request.duration:
            del self._real_durations[request.id]

    def _ended_or_put_back(self, decision: StateChanged) -> None:
        lease_id = decision.lease_id
        self._running.pop(lease_id, None)
        self._progress.pop(lease_id, None)
        if decision.new is QUEUED:
            return
        self._real_durations.pop(lease_id, None)
        if self._faults:
            for purpose in Purpose:
                self._under_way.pop((lease_id, purpose), None)

    def _started(self, decision: OperationStarted) -> None:
        lease_id, start = decision.lease_id, decision.time
        if decision.purpose is RUN:
            real = self._real_durations.get(lease_id)
            if real is not None:
                # Foreseen whatever the planned end: the plan may change while the lease
                # runs, and an event after the run's end does not count.
                self._running[lease_id] = start
                left = real - self._progress.get(lease_id, 0)
                self._foresee(start + max(left, 0), LeaseEnded(lease_id), start)
        elif decision.purpose is SUSPEND or decision.purpose is SHUTDOWN:
            self._stop_running(lease_id, start)
        if self._faults:
            self._draw_fault(decision, self._faults)

    def _ended(self, decision: OperationEnded) -> None:
        if decision.purpose is RUN:
            self._stop_running(decision.lease_id, decision.end)
        if self._faults:
            self._under_way.pop((decision.lease_id, decision.purpose), None)

    def _stop_running(self, lease_id: int, now: int) -> None:
        start = self._running.pop(lease_id, None)
        if start is not None:
            self._progress[lease_id] = self._progress.get(lease_id, 0) + now - start

    # --- events to come -----------------------------------------------------------------

    def _foresee(self, moment: int, event: Input, start: int | None) -> None:
        heappush(self._events, (moment, self._foreseen, event, start))
        self._foreseen += 1

    def _counts(self, entry: _Foreseen) -> bool:
        """Tell whether what the event belongs to still goes on."""
        _, _, event, start = entry
        if start is None:
            return True
        if isinstance(event, LeaseEnded):
            return self._running.get(event.lease_id) == start
        assert isinstance(event, OperationFailed | OperationDelayed)
        return self._under_way.get((event.lease_id, event.purpose)) == start

    def _forget(self, entry: _Foreseen) -> None:
        """Forget what ended or went wrong; it does so once, even if started again this second."""
        _, _, event, start = entry
        if start is None:
            return
        if isinstance(event, LeaseEnded):
            del self._running[event.lease_id]
        elif isinstance(event, OperationFailed | OperationDelayed):
            del self._under_way[event.lease_id, event.purpose]

    def _draw_fault(self, decision: OperationStarted, faults: Faults) -> None:
        start, lease_id, purpose = decision.time, decision.lease_id, decision.purpose
        self._under_way[lease_id, purpose] = start
        if self._random.random() < faults.failure.get(purpose, 0):
            seconds = decision.end - start
            if decision.end >= FOREVER:
                seconds = _ENDLESS_RUN_SECONDS
            moment = start + self._random.randrange(max(seconds, 1))
            failed = OperationFailed(lease_id, purpose, because(Code.SIMULATED_FAULT))
            self._foresee(moment, failed, start)
        elif self._random.random() < faults.delay.get(purpose, 0):
            end = decision.end + self._random.randint(1, faults.longest_delay_seconds)
            self._foresee(decision.end, OperationDelayed(lease_id, purpose, end), start)
