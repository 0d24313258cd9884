"""Leases with deadlines that lost the time at which they were to go on, or to begin.

Hosts failed or go into maintenance, an operation took longer, or others need more of the hosts than
was known. Another time is looked for whenever something comes free. If no time is long enough for
all that is left of a lease, it runs for as long as it can before its deadline; once it cannot run
at all, it fails.
"""

from __future__ import annotations

from collections.abc import Callable

from haizea.core.model.lifecycle import State
from haizea.core.model.members import INTERRUPTED
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.placement.interrupting import as_saved, going_on
from haizea.core.placement.plan import Lease
from haizea.core.placement.preemption import Preemption
from haizea.core.requests.deadlines import Deadlines, Found
from haizea.core.schedule.interruptions import Interruptions
from haizea.core.schedule.schedule import Schedule


class Resumptions:
    """Gives leases with deadlines another time to go on at."""

    def __init__(self, schedule: Schedule, deadlines: Deadlines) -> None:
        self._schedule = schedule
        self._deadlines = deadlines
        self._interruptions = Interruptions(schedule)

    def look(self, pin: Callable[[], None]) -> None:
        """Give those that have none a time to go on at, who has the least time to spare first.

        Where there are any, ``pin`` is called first, to have what is reserved on hosts.
        """
        lost = [x for x in self._schedule.book.deadlines.values() if _has_no_time(x)]
        if not lost:
            return
        pin()
        with self._deadlines.shared_by(len(lost)):
            for lease in sorted(lost, key=lambda lease: (lease.last_start, lease.id)):
                if lease.plan is not None:
                    self._plan_rest(lease)
                elif self._deadlines.place(lease, self._schedule.planner) is not None:
                    self._what_is_left(lease)

    def _plan_rest(self, lease: Lease) -> None:
        """Plan what is left of a lease that is to be suspended, if there is time for that."""
        schedule, plan = self._schedule, lease.plan
        assert plan is not None, "it is to be suspended"
        saved = as_saved(lease, plan.phases[-1].start)
        rest = going_on(schedule.planner, saved, max(plan.end, schedule.now), schedule.claim)
        if rest is not None:
            self._interruptions.plan_rest(lease, rest)

    def _what_is_left(self, lease: Lease) -> None:
        """Let a lease that has no time for all of it run until its deadline, if it can at all."""
        schedule, whole, deadline = self._schedule, lease.remaining, lease.request.deadline
        assert deadline is not None, "it has a deadline"
        reason = lease.late or _why(lease)
        last = min(whole, deadline - schedule.now)
        if last <= schedule.planner.durations.shutdown_seconds(lease):
            told = because(Code.LOST_ITS_TIME, cause=reason, end=deadline)
            schedule.finish(lease, State.FAILED, told, "failure")
            return
        told = because(Code.CUT_AT_DEADLINE, cause=reason, end=deadline)
        if not lease.saved:
            if self._deadlines.place_rest(lease, schedule.planner) is None:
                schedule.book.note_late(lease, told)
                return
        else:
            found = self._shortened(lease, deadline)
            if found is not None:
                schedule.book.note_late(lease, told)
                self._deadlines.take(lease, found)
                return
        self._interruptions.look_again_at(lease, self._last_moment(lease, deadline))

    def _shortened(self, lease: Lease, deadline: int) -> Found | None:
        """A plan by which a saved lease goes on now, and runs until its deadline."""
        schedule, whole, bound = self._schedule, lease.remaining, lease.bound
        assert bound is not None, "what is saved is somewhere"
        planner = schedule.planner
        resume_seconds = planner.durations.resume_seconds(lease, bound)
        left = min(whole, deadline - schedule.now - resume_seconds)
        if left <= planner.durations.shutdown_seconds(lease):
            return None
        schedule.book.cut(lease, left)
        plan = planner.whole(lease, schedule.now, schedule.claim, 0)
        if plan is None or plan.end > deadline:
            schedule.book.cut(lease, whole)
            return None
        return Found(plan.start, Preemption(plan.hosts, [], []), None, plan)

    def _last_moment(self, lease: Lease, deadline: int) -> int:
        """Return when nothing of a lease can run any more."""
        shutdown_seconds = self._schedule.planner.durations.shutdown_seconds(lease)
        return max(self._schedule.now + 1, deadline - max(1, shutdown_seconds))


def _has_no_time(lease: Lease) -> bool:
    """Tell whether a lease waits, or is to be suspended, and has no time planned after that."""
    plan = lease.plan
    if plan is None:
        return lease.state in INTERRUPTED
    return lease.since is not None and plan.suspends and plan.rest is None


def _why(lease: Lease) -> Reason:
    assert lease.why is not None, "it came into its state somehow"
    return lease.why.reason or because(Code.PLANNED_ANEW)
