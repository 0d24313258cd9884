"""The simulated backend: real durations, progress across suspensions, seeded faults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.backends.simulated import Faults, SimulatedBackend
from haizea.core.model.events import (
    Decision,
    HostFailed,
    HostRestored,
    Input,
    LeaseAccepted,
    LeaseCancelled,
    LeaseEnded,
    OperationDelayed,
    OperationEnded,
    OperationFailed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import FOREVER
from haizea.wording import in_words

USE = ((0, (100, 1024)),)


def accepted(lease_id: int, duration: int | None = 3600) -> LeaseAccepted:
    node = NodeSet(1, (100, 1024))
    request = LeaseRequest(
        id=lease_id, submitted=0, kind=Kind.BEST_EFFORT, nodes=(node,), duration=duration
    )
    return LeaseAccepted(0, request)


def run(lease_id: int, start: int, end: int) -> OperationStarted:
    return OperationStarted(start, lease_id, Purpose.RUN, end, (0,))


def ran(lease_id: int, start: int, end: int) -> OperationEnded:
    return OperationEnded(lease_id, Purpose.RUN, start, end, USE)


def suspend(lease_id: int, start: int) -> OperationStarted:
    return OperationStarted(start, lease_id, Purpose.SUSPEND, start + 32, (0,))


def test_a_lease_ends_after_its_real_duration() -> None:
    backend = SimulatedBackend({1: 900})
    backend.enact(100, [accepted(1), run(1, 100, 3700)])
    assert backend.next_event() == 1000
    assert backend.observe(999) == []
    assert backend.observe(1000) == [LeaseEnded(1)]
    assert backend.next_event() is None
    assert backend.observe(5000) == []


@pytest.mark.parametrize("real", [3600, 4000])
def test_a_real_duration_that_is_not_shorter_says_nothing(real: int) -> None:
    backend = SimulatedBackend({1: real})
    backend.enact(0, [accepted(1, 3600), run(1, 0, 3600)])
    assert backend.next_event() is None


def test_a_lease_without_end_may_really_end() -> None:
    backend = SimulatedBackend({1: 900})
    backend.enact(0, [accepted(1, None), run(1, 0, FOREVER)])
    assert backend.observe(900) == [LeaseEnded(1)]


def test_a_lease_of_unknown_real_duration_runs_as_planned() -> None:
    backend = SimulatedBackend({2: 900})
    backend.enact(0, [accepted(1), run(1, 0, 3600)])
    assert backend.next_event() is None


def test_time_run_before_a_suspension_counts() -> None:
    backend = SimulatedBackend({1: 1000})
    backend.enact(0, [accepted(1), run(1, 0, 600)])
    backend.enact(600, [ran(1, 0, 600), suspend(1, 600)])
    assert backend.next_event() is None
    backend.enact(5000, [run(1, 5000, 8000)])
    assert backend.next_event() == 5400
    assert backend.observe(5400) == [LeaseEnded(1)]


def test_a_suspension_counts_once_whichever_decision_tells_of_it() -> None:
    tellings: list[list[Decision]] = [
        [suspend(1, 600)],
        [ran(1, 0, 600)],
        [suspend(1, 600), ran(1, 0, 600)],
    ]
    for decisions in tellings:
        backend = SimulatedBackend({1: 1000})
        backend.enact(0, [accepted(1), run(1, 0, 600)])
        backend.enact(600, decisions)
        backend.enact(700, [run(1, 700, 4000)])
        assert backend.next_event() == 1100


def test_an_end_at_the_moment_of_a_suspension_is_an_end() -> None:
    backend = SimulatedBackend({1: 600})
    backend.enact(0, [accepted(1), run(1, 0, 600)])
    assert backend.observe(600) == [LeaseEnded(1)]


def test_a_lease_put_back_in_the_queue_starts_over() -> None:
    requeued = StateChanged(600, 1, State.ACTIVE, State.QUEUED, None, "preempted")
    orders: list[list[Decision]] = [[ran(1, 0, 600), requeued], [requeued, ran(1, 0, 600)]]
    for decisions in orders:
        backend = SimulatedBackend({1: 1000})
        backend.enact(0, [accepted(1), run(1, 0, 3600)])
        backend.enact(600, decisions)
        assert backend.next_event() is None
        backend.enact(700, [run(1, 700, 4300)])
        assert backend.next_event() == 1700


def test_a_lease_that_restarts_in_the_same_second_ends_once() -> None:
    backend = SimulatedBackend({1: 1000})
    requeued = StateChanged(0, 1, State.ACTIVE, State.QUEUED)
    backend.enact(0, [accepted(1), run(1, 0, 3600), requeued, ran(1, 0, 0), run(1, 0, 3600)])
    assert backend.observe(1000) == [LeaseEnded(1)]


def test_an_end_during_the_shutdown_is_no_early_end() -> None:
    backend = SimulatedBackend({1: 3590})
    backend.enact(0, [accepted(1), run(1, 0, 3570)])
    shutdown = OperationStarted(3570, 1, Purpose.SHUTDOWN, 3600, (0,))
    backend.enact(3570, [shutdown, ran(1, 0, 3570)])
    assert backend.next_event() is None


@pytest.mark.parametrize("final", [State.CANCELLED, State.FAILED, State.DONE])
def test_a_finished_lease_does_not_end_again(final: State) -> None:
    backend = SimulatedBackend({1: 900}, Faults(failure={Purpose.RUN: 1.0}))
    backend.enact(0, [accepted(1), run(1, 0, 3600)])
    backend.enact(0, [StateChanged(0, 1, State.ACTIVE, final)])
    assert backend.next_event() is None


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.integers(1, 4000))
def test_a_lease_runs_for_its_real_duration_however_often_it_is_suspended(
    stretches: list[int], real: int
) -> None:
    backend = SimulatedBackend({1: real})
    backend.enact(0, [accepted(1, 10_000)])
    now = total = 0
    for seconds in stretches:
        now += 1000
        backend.enact(now, [run(1, now, now + seconds)])
        if total + seconds >= real:
            assert backend.next_event() == now + real - total
            assert backend.observe(now + seconds) == [LeaseEnded(1)]
            return
        assert backend.observe(now + seconds) == []
        backend.enact(now + seconds, [ran(1, now, now + seconds), suspend(1, now + seconds)])
        total += seconds
    assert backend.next_event() is None


# --- faults -----------------------------------------------------------------------------


def story(faults: Faults) -> list[tuple[int, Input]]:
    """Return what is reported of forty suspensions and runs that start one a minute."""
    backend = SimulatedBackend({}, faults)
    told: list[tuple[int, Input]] = []
    for i in range(40):
        decisions: list[Decision] = [run(i, i * 60, i * 60 + 3600), suspend(100 + i, i * 60)]
        backend.enact(i * 60, decisions)
    while (moment := backend.next_event()) is not None:
        told += [(moment, event) for event in backend.observe(moment)]
    return told


SOME = Faults(
    seed=7, failure={Purpose.RUN: 0.3, Purpose.SUSPEND: 0.2}, delay={Purpose.SUSPEND: 0.5}
)


def test_faults_depend_on_their_seed_alone() -> None:
    assert story(SOME) == story(SOME)
    other = Faults(seed=8, failure=SOME.failure, delay=SOME.delay)
    assert story(other) != story(SOME)


def test_faults_happen_about_as_often_as_they_should() -> None:
    told = [event for _, event in story(SOME)]
    failures = [e for e in told if isinstance(e, OperationFailed)]
    delays = [e for e in told if isinstance(e, OperationDelayed)]
    assert 0 < sum(e.purpose is Purpose.RUN for e in failures) < 40
    assert 0 < len(delays) < 40
    assert all(e.purpose is Purpose.SUSPEND for e in delays)


def test_a_failure_is_reported_while_the_operation_goes_on() -> None:
    for seed in range(30):
        backend = SimulatedBackend({}, Faults(seed=seed, failure={Purpose.SUSPEND: 1.0}))
        backend.enact(1000, [suspend(1, 1000)])
        moment = backend.next_event()
        assert moment is not None
        assert 1000 <= moment < 1032
        (event,) = backend.observe(moment)
        assert isinstance(event, OperationFailed)
        assert (event.lease_id, event.purpose) == (1, Purpose.SUSPEND)
        assert in_words(event.reason) == "a simulated fault"


def test_a_run_without_end_fails_in_time() -> None:
    backend = SimulatedBackend({}, Faults(failure={Purpose.RUN: 1.0}))
    backend.enact(0, [run(1, 0, FOREVER)])
    moment = backend.next_event()
    assert moment is not None
    assert moment < 100_000


def test_a_delay_is_reported_at_the_planned_end() -> None:
    faults = Faults(delay={Purpose.SUSPEND: 1.0}, longest_delay_seconds=5)
    backend = SimulatedBackend({}, faults)
    backend.enact(1000, [suspend(1, 1000)])
    assert backend.next_event() == 1032
    (event,) = backend.observe(1032)
    assert isinstance(event, OperationDelayed)
    assert 1032 < event.end <= 1037


def test_what_has_ended_does_not_fail() -> None:
    backend = SimulatedBackend({}, Faults(failure={Purpose.SUSPEND: 1.0}))
    backend.enact(1000, [suspend(1, 1000)])
    backend.enact(1000, [OperationEnded(1, Purpose.SUSPEND, 1000, 1000, USE)])
    assert backend.next_event() is None


def test_events_at_given_moments_come_in_order() -> None:
    at: tuple[tuple[int, Input], ...] = (
        (500, HostRestored(3)),
        (100, HostFailed(3)),
        (100, LeaseCancelled(1)),
        (900, HostFailed(4)),
    )
    backend = SimulatedBackend({}, Faults(at=at))
    assert backend.next_event() == 100
    assert backend.observe(500) == [HostFailed(3), LeaseCancelled(1), HostRestored(3)]
    assert backend.next_event() == 900


def test_faults_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"suspend: 1\.5 is not a probability"):
        Faults(failure={Purpose.SUSPEND: 1.5})
    with pytest.raises(ValueError, match=r"resume: -1 is not a probability"):
        Faults(delay={Purpose.RESUME: -1})
    with pytest.raises(ValueError, match="invalid longest delay 0 s"):
        Faults(longest_delay_seconds=0)
    with pytest.raises(ValueError, match="a run cannot be delayed"):
        Faults(delay={Purpose.RUN: 0.1})
