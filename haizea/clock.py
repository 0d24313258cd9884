"""Clocks: the present time, and waiting for the next moment.

All moments are whole seconds since the epoch. The loop knows a clock by three methods
only, so a simulation and a daemon are the same program with another clock.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from haizea.core.model.resources import FOREVER


class Clock(Protocol):
    """Time for one run. It never goes backwards."""

    def now(self) -> int:
        """The present moment."""

    def wait_until(self, moment: int) -> int:
        """Return when ``moment`` has come, with what time it is then.

        It returns sooner when it is interrupted, or when the clock itself has a reason to
        look around; the answer is then earlier than ``moment``. It may be a little later
        than ``moment`` where time is real. ``FOREVER`` waits for an interruption. A
        moment that has passed is not waited for.
        """

    def interrupt(self) -> None:
        """End the wait that is under way or, if there is none, the next one.

        May be called from another thread and from a signal handler, any number of times.
        """


class SimulatedClock:
    """A clock that jumps: waiting takes no time."""

    def __init__(self, start: int) -> None:
        self._now = start
        self._interrupted = False

    def now(self) -> int:
        """The moment last jumped to."""
        return self._now

    def wait_until(self, moment: int) -> int:
        """Jump to ``moment``, or stay where it is if interrupted or already past it.

        Raises :class:`ValueError` for ``FOREVER``: nothing would ever end that wait.
        """
        if self._interrupted:
            self._interrupted = False
            return self._now
        if moment > self._now:
            if moment >= FOREVER:
                raise ValueError("a simulated clock cannot wait for ever")
            self._now = moment
        return self._now

    def interrupt(self) -> None:
        """Make the next wait return without a jump."""
        self._interrupted = True


class Pace(NamedTuple):
    """The pace at which the time of a run follows real time.

    ``speed`` seconds of the run pass in a real second; the run's ``moment`` was real
    ``time``, both in seconds since the epoch.
    """

    speed: float = 1.0
    time: float = 0.0
    moment: float = 0.0

    def at(self, real: float) -> float:
        """The moment of the run at a real time."""
        return self.moment + (real - self.time) * self.speed


#: Real time as it is.
REAL_PACE = Pace()


class RealClock:
    """Real time, or a multiple of it: waiting takes its time.

    It follows the system's clock, so that a start at nine is at nine, whatever was done
    to that clock and however long the machine slept. Only backwards it does not go: when
    the system's clock is put back, it goes on at half the pace until both agree.

    A wait is never longer than ``longest_wait_seconds`` (of the run). A run that goes on does
    so ``not_before`` the moment that it had come to, as if the system's clock were put back
    now. ``real`` and ``steady`` read the system's clock and one that cannot be set; they are
    for tests.
    """

    #: So often, in real seconds, a wait looks whether the system's clock was set.
    _GLANCE_SECONDS = 1.0

    def __init__(
        self,
        longest_wait_seconds: int,
        pace: Pace = REAL_PACE,
        *,
        not_before: float = 0,
        real: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.longest_wait_seconds = longest_wait_seconds
        self._pace = pace
        self._real = real
        self._steady = steady
        self._last = max(pace.at(real()), not_before)
        self._last_steady = steady()
        self._reading = threading.Lock()
        # A pipe, because a signal handler may write to it at any moment.
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakes, False)

    def now(self) -> int:
        """The present moment."""
        return int(self._now())

    def wait_until(self, moment: int) -> int:
        """Return when ``moment`` has come, at an interruption, or after the longest wait."""
        until = min(moment, self._now() + self.longest_wait_seconds)
        while True:
            left = (until - self._now()) / self._pace.speed
            if self._was_woken(min(max(left, 0.0), self._GLANCE_SECONDS)) or left <= 0:
                return self.now()

    def interrupt(self) -> None:
        """End the wait that is under way, or the next one."""
        # Where so many interruptions are pending, one more says nothing new.
        with suppress(BlockingIOError):
            os.write(self._wakes, b".")

    def close(self) -> None:
        """Give back what it takes of the system. It is not used again."""
        os.close(self._woken)
        os.close(self._wakes)

    def _now(self) -> float:
        # One after the other: a thread that took its time would put the clock back for others.
        with self._reading:
            steady = self._steady()
            passed = (steady - self._last_steady) * self._pace.speed
            self._last_steady = steady
            self._last = max(self._pace.at(self._real()), self._last + max(passed, 0.0) / 2)
            return self._last

    def _was_woken(self, seconds: float) -> bool:
        """Wait so long for an interruption; whether there was one."""
        if not select.select([self._woken], [], [], seconds)[0]:
            return False
        while True:
            try:
                if len(os.read(self._woken, 4096)) < 4096:
                    return True
            except BlockingIOError:
                return True
