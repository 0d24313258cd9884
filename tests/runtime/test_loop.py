"""The loop: when it wakes, what it passes on to whom, and when it ends.

The schedulers here follow a script, so that each rule of the loop can be seen by itself;
runs with the real scheduler are in ``test_simulate.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from haizea.backends.simulated import Faults, SimulatedBackend
from haizea.clock import SimulatedClock
from haizea.core.model.events import (
    Decision,
    HostFailed,
    Input,
    LeaseAccepted,
    LeaseEnded,
    LeaseSubmitted,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import stated
from haizea.core.model.resources import FOREVER
from haizea.core.model.turn import Turn
from haizea.loop import EndlessInstant, SchedulerError, Tally, TraceArrivals, run_loop


def request(lease_id: int, submitted: int) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=submitted,
        kind=Kind.BEST_EFFORT,
        nodes=(NodeSet(1, (100, 1024)),),
        duration=3600,
    )


class StartsAtOnce:
    """Starts every lease when it arrives and ends it when its duration is over."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[Input]]] = []
        self.ends: dict[int, int] = {}

    def next_wakeup(self) -> int | None:
        return min(self.ends.values(), default=None)

    def handle(self, now: int, inputs: Sequence[Input]) -> Turn:
        self.calls.append((now, list(inputs)))
        decisions: list[Decision] = []
        over = [i for i, end in self.ends.items() if end <= now]
        for event in inputs:
            match event:
                case LeaseEnded(lease_id):
                    over.append(lease_id)
                case LeaseSubmitted(asked):
                    assert asked.duration is not None
                    end = now + asked.duration
                    self.ends[asked.id] = end
                    decisions.append(LeaseAccepted(now, asked))
                    decisions.append(StateChanged(now, asked.id, State.NEW, State.ACTIVE))
                    decisions.append(OperationStarted(now, asked.id, Purpose.RUN, end, (0,)))
        for lease_id in over:
            del self.ends[lease_id]
            decisions.append(StateChanged(now, lease_id, State.ACTIVE, State.DONE))
        return Turn(now, decisions)


class Recorder:
    """Notes what it is told, and what the backend knew then."""

    def __init__(self, backend: SimulatedBackend) -> None:
        self.backend = backend
        self.told: list[tuple[int, list[Decision]]] = []
        self.foreseen: list[int | None] = []

    def note(self, turn: Turn) -> None:
        self.told.append((turn.now, list(turn.decisions)))
        self.foreseen.append(self.backend.next_event())


def nothing_due(due: int) -> bool:
    return due >= FOREVER


def drive(
    requests: Sequence[LeaseRequest],
    backend: SimulatedBackend | None = None,
    stop: Callable[[int], bool] = nothing_due,
) -> tuple[StartsAtOnce, Recorder]:
    backend = backend or SimulatedBackend({})
    scheduler, recorder = StartsAtOnce(), Recorder(backend)
    clock = SimulatedClock(0)
    run_loop(scheduler, clock, backend, TraceArrivals(requests), [recorder], stop)
    return scheduler, recorder


def test_requests_of_one_instant_come_together_in_trace_order() -> None:
    second, first, later = request(2, 10), request(1, 10), request(3, 20)
    scheduler, _ = drive([later, second, first])
    assert scheduler.calls == [
        (10, [LeaseSubmitted(second), LeaseSubmitted(first)]),
        (20, [LeaseSubmitted(later)]),
        (3610, []),
        (3620, []),
    ]


def test_it_wakes_for_what_the_backend_foresees_and_passes_it_on_after_arrivals() -> None:
    backend = SimulatedBackend({1: 90}, Faults(at=((100, HostFailed(0)),)))
    scheduler, _ = drive([request(1, 10), request(2, 100)], backend)
    assert scheduler.calls[1] == (100, [LeaseSubmitted(request(2, 100)), *backend_events()])
    assert [now for now, _ in scheduler.calls] == [10, 100, 3700]


def backend_events() -> list[Input]:
    """Return what the backend above reports at 100, in the order in which it was foreseen."""
    return [HostFailed(0), LeaseEnded(1)]


def test_observers_are_told_before_the_backend() -> None:
    _, recorder = drive([request(1, 10)], SimulatedBackend({1: 90}))
    assert recorder.foreseen == [None, None]
    assert [now for now, _ in recorder.told] == [10, 100]


def test_the_end_is_asked_for_between_instants_with_what_is_due() -> None:
    asked: list[int] = []

    def third_time(due: int) -> bool:
        asked.append(due)
        return len(asked) == 3

    scheduler, _ = drive([request(1, 10), request(2, 20)], stop=third_time)
    assert asked == [10, 20, 3610]
    assert [now for now, _ in scheduler.calls] == [10, 20]


def test_what_follows_at_the_same_instant_is_handled_without_moving_the_clock() -> None:
    scheduler, _ = drive([request(1, 10)], SimulatedBackend({1: 0}))
    assert scheduler.calls == [(10, [LeaseSubmitted(request(1, 10))]), (10, [LeaseEnded(1)])]


def test_an_interrupted_wait_is_a_turn_without_inputs() -> None:
    clock, scheduler, backend = SimulatedClock(0), StartsAtOnce(), SimulatedBackend({})
    clock.interrupt()
    run_loop(scheduler, clock, backend, TraceArrivals([request(1, 10)]), [], nothing_due)
    assert scheduler.calls[0] == (0, [])
    assert scheduler.calls[1] == (10, [LeaseSubmitted(request(1, 10))])


def test_an_instant_that_does_not_end_is_an_error() -> None:
    class NeverDone(StartsAtOnce):
        def next_wakeup(self) -> int | None:
            return 77

    with pytest.raises(EndlessInstant, match="77"):
        run_loop(
            NeverDone(), SimulatedClock(0), SimulatedBackend({}), TraceArrivals([]), [], nothing_due
        )


def test_what_the_scheduler_raises_comes_with_the_moment_and_the_inputs() -> None:
    class Broken(StartsAtOnce):
        def handle(self, now: int, inputs: Sequence[Input]) -> Turn:
            raise AssertionError("lease 1 cannot go from Done to Active")

    arrivals = TraceArrivals([request(1, 10)])
    with pytest.raises(SchedulerError, match="lease 1 cannot go from Done to Active") as caught:
        run_loop(Broken(), SimulatedClock(0), SimulatedBackend({}), arrivals, [], nothing_due)
    assert caught.value.now == 10
    assert caught.value.inputs == (LeaseSubmitted(request(1, 10)),)
    assert isinstance(caught.value.__cause__, AssertionError)


def test_the_tally_counts_leases_by_state() -> None:
    tally, died = Tally(), stated("host-1 died")
    tally.note(Turn(0, [LeaseAccepted(0, request(i, 0)) for i in (1, 2, 3)]))
    tally.note(Turn(0, [StateChanged(0, 1, State.NEW, State.PENDING)]))
    tally.note(Turn(0, [StateChanged(0, 2, State.NEW, State.CANCELLED)]))
    tally.note(Turn(1, [StateChanged(1, 1, State.PENDING, State.FAILED, died)]))
    assert tally.states == {State.NEW: 1, State.CANCELLED: 1, State.FAILED: 1}
    assert (tally.submitted, tally.finished) == (3, 2)
    assert (tally.best_effort_submitted, tally.best_effort_finished) == (3, 2)
    assert tally.failure == (1, died)
