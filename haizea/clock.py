"""What time it is, and waiting for the next moment.

All moments are whole seconds since the epoch. The loop knows a clock by three methods
only, so a simulation and a daemon are the same program with another clock.
"""

from __future__ import annotations

from typing import Protocol

from haizea.core.resources import FOREVER


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
