"""The sandbox's own time: as fast as the wall clock, faster, or only when told."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch in the sandbox."""

    def now(self) -> float:
        """The present moment."""

    def real_seconds_until(self, moment: float) -> float | None:
        """The time to wait for ``moment``, in real seconds; ``None``: for ever."""


class ScaledClock:
    """Runs ``speed`` times as fast as the wall clock, from ``start`` (the wall clock's time).

    ``anchor_wall`` is the wall clock's time at ``start``: with it the time that passed while
    a killed sandbox was away is counted.
    """

    def __init__(
        self, *, speed: float = 1.0, start: float | None = None, anchor_wall: float | None = None
    ) -> None:
        if not 0 < speed <= 1_000_000:
            raise ValueError(f"speed must be above 0 and at most a million, not {speed}")
        self.speed = speed
        self.anchor_wall = time.time() if anchor_wall is None else anchor_wall
        self.start = self.anchor_wall if start is None else start
        passed = max(0.0, time.time() - self.anchor_wall)
        self._zero = time.monotonic() - passed

    def now(self) -> float:
        """The present moment."""
        return self.start + (time.monotonic() - self._zero) * self.speed

    def real_seconds_until(self, moment: float) -> float:
        """The time to wait for ``moment``, in real seconds."""
        return max(0.0, (moment - self.now()) / self.speed)


class ManualClock:
    """Stands still until :meth:`advance`: for tests that must know every instant."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """The present moment."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        self._now += seconds

    def real_seconds_until(self, moment: float) -> None:
        """Return ``None``: the moment does not come by itself."""
        return
