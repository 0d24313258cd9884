"""The real clock: waits, interruptions, a system clock that is set, a machine that sleeps."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.clock import Pace, RealClock
from haizea.core.model.resources import FOREVER


@pytest.fixture
def clock() -> Iterator[RealClock]:
    made = RealClock(3600)
    yield made
    made.close()


class System:
    """A system's clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.real = 1_000_000.0
        self.steady = 50.0

    def pass_by(self, seconds: float) -> None:
        self.real += seconds
        self.steady += seconds


def clock_of(system: System, pace: Pace | None = None) -> RealClock:
    return RealClock(60, pace or Pace(), real=lambda: system.real, steady=lambda: system.steady)


def test_it_follows_the_system(clock: RealClock) -> None:
    before = int(time.time())
    now = clock.now()
    assert before <= now <= int(time.time())


def test_a_moment_that_has_passed_is_not_waited_for(clock: RealClock) -> None:
    now = clock.now()
    assert now <= clock.wait_until(now - 100) <= now + 1


def test_a_wait_ends_when_the_moment_has_come() -> None:
    clock = RealClock(3600, Pace(100.0, time.time(), 5_000.0))
    moment = clock.now() + 30
    assert clock.wait_until(moment) >= moment
    clock.close()


def test_an_interruption_ends_the_wait_or_the_next_one(clock: RealClock) -> None:
    clock.interrupt()
    clock.interrupt()
    assert clock.wait_until(FOREVER) < FOREVER
    interrupting = threading.Timer(0.05, clock.interrupt)
    interrupting.start()
    assert clock.wait_until(FOREVER) < FOREVER
    interrupting.join()


def test_very_many_interruptions_are_one(clock: RealClock) -> None:
    for _ in range(100_000):
        clock.interrupt()
    clock.wait_until(FOREVER)
    moment = clock.now() + 1
    assert clock.wait_until(moment) >= moment


def test_a_wait_is_no_longer_than_the_longest() -> None:
    clock = RealClock(1, Pace(20.0, time.time(), 0.0))
    assert clock.wait_until(FOREVER) < 1000
    clock.close()


def test_a_clock_that_is_put_forward_is_followed_at_once() -> None:
    system = System()
    clock = clock_of(system)
    start = clock.now()
    system.real += 7200
    assert clock.now() == start + 7200
    clock.close()


def test_a_machine_that_slept_wakes_at_the_time_it_is() -> None:
    system = System()
    clock = clock_of(system)
    start = clock.now()
    system.real += 8 * 3600  # a clock that cannot be set stands still meanwhile
    assert clock.wait_until(start + 10) == start + 8 * 3600
    clock.close()


def test_a_clock_that_is_put_back_is_caught_up_with() -> None:
    system = System()
    clock = clock_of(system)
    start = clock.now()
    system.real -= 100
    assert clock.now() == start
    system.pass_by(50)
    assert clock.now() == start + 25, "it goes on, at half the pace"
    system.pass_by(151)
    assert clock.now() == int(system.real), "until both agree"
    clock.close()


def test_a_clock_that_was_put_back_before_a_restart_is_caught_up_with() -> None:
    system = System()
    kept = system.real + 100
    clock = RealClock(60, not_before=kept, real=lambda: system.real, steady=lambda: system.steady)
    assert clock.now() == kept
    system.pass_by(50)
    assert clock.now() == kept + 25, "it goes on, at half the pace"
    system.pass_by(151)
    assert clock.now() == int(system.real), "until both agree"
    clock.close()


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e5)), max_size=30))
def test_it_never_goes_backwards(steps: list[tuple[float, float]]) -> None:
    system = System()
    system.real = 1e9
    clock = clock_of(system)
    last = clock.now()
    for jump, passed in steps:
        system.real += jump
        system.pass_by(passed)
        now = clock.now()
        assert now >= last
        assert now >= int(system.real)
        last = now
    clock.close()


def test_a_pace_goes_on_where_it_was_after_a_restart() -> None:
    system = System()
    pace = Pace(60.0, system.real, 500.0)
    first = clock_of(system, pace)
    system.pass_by(10)
    then = first.now()
    first.close()
    system.pass_by(10)
    second = clock_of(system, pace)
    assert second.now() == then + 600
    second.close()
