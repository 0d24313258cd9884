"""Times of ARs: from when they hold hosts, run, and end."""

from __future__ import annotations

from typing import NamedTuple

from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease
from haizea.core.schedule.schedule import Schedule


class Period(NamedTuple):
    """The times of an AR: it holds hosts from ``begin`` on, and runs over ``[start, end)``."""

    begin: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """The seconds that it runs for."""
        return self.end - self.start if self.end < FOREVER else FOREVER


def period_of(schedule: Schedule, lease: Lease, begin: int | None = None) -> Period:
    """Return the times of an AR that has not started yet, its VMs being started in time.

    Where that has to begin at once, or not before ``begin``, it runs so much later.
    """
    request, now = lease.request, schedule.now
    assert request.start is not None, "an AR has a start"
    end = FOREVER if request.duration is None else request.start + request.duration
    start, seconds = max(request.start, now), lead_seconds(schedule, lease)
    if not seconds:
        start = start if begin is None else max(start, begin)
        return Period(start, start, end)
    begin = max(start - seconds, now) if begin is None else begin
    last = end - schedule.planner.durations.shutdown_seconds(lease) - 1
    return Period(begin, max(start, min(begin + seconds, last)), end)


def lead_seconds(schedule: Schedule, lease: Lease) -> int:
    """Return how long before its start an AR's VMs are started, so that they run then."""
    return 0 if schedule.planner.settings.prepares_at_start else lease.prepare_seconds


def has_time_left(schedule: Schedule, lease: Lease, end: int) -> bool:
    """Tell whether an AR that starts late runs at all before it is to end."""
    request, now = lease.request, schedule.now
    assert request.start is not None, "an AR has a start"
    return request.start >= now or last_moment(schedule, lease, end) > now


def last_moment(schedule: Schedule, lease: Lease, end: int) -> int:
    """Return the moment from which on there is nothing left of a lease that is to end then."""
    if end >= FOREVER:
        return FOREVER
    return end - schedule.planner.durations.shutdown_seconds(lease)


def run_end(end: int, shutdown_seconds: int) -> int:
    """Return until when a lease runs that is to be off its hosts by ``end``."""
    return end if end >= FOREVER else end - shutdown_seconds
