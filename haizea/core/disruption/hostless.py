"""ARs without hosts: their own failed or are others', and there are none for the same time.

Such a lease keeps its right to start. Where hosts are planned to be free before its time is over,
it gets these, late. Else it waits, outside the queue and before all who are in it, and is looked
at whenever something comes free. It ends when it was to end; once nothing is left of its time, it
fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from haizea.core.images.co_planning import soonest
from haizea.core.model.hosts import HostSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.requests.admission import Admission
from haizea.core.requests.periods import last_moment, period_of
from haizea.core.requests.taking import Refusal
from haizea.core.schedule.schedule import Schedule

#: A late start is looked for at so many moments; what comes free after them is seen when it does.
_MOST_MOMENTS: Final = 200


class Hostless:
    """Gives ARs that lost their hosts others, as soon as there are any."""

    def __init__(self, schedule: Schedule, admission: Admission) -> None:
        self._schedule = schedule
        self._admission = admission

    def wait(
        self, lease: Lease, reason: Reason, refusal: Refusal | None, keep_off: HostSet = 0
    ) -> None:
        """An AR that has lost its plan starts late, if that can be planned, or waits for hosts.

        It found no others for its time, by this ``refusal``. It does not go to hosts to
        ``keep_off``, until it is looked at again. If its time is over, or if all hosts together
        would not do for it if they were empty, it fails.
        """
        schedule, told = self._schedule, in_vain(reason, refusal)
        is_over = self._last_moment(lease) <= schedule.now
        if is_over or not schedule.empty_site.fits(lease.demand):
            schedule.finish(lease, State.FAILED, told, "failure")
            return
        schedule.forget_images(lease)
        schedule.book.note_late(lease, reason)
        if not self._start_later(lease, reason, keep_off):
            schedule.book.wait_for_hosts(lease, because(Code.WAITS_FOR_HOSTS, cause=told))
            self._ask_again_in_the_end(lease)

    def remember(self) -> None:
        """Go on with those that waited in an earlier scheduler."""
        for lease in self._schedule.book.hostless.values():
            self._ask_again_in_the_end(lease)

    def _ask_again_in_the_end(self, lease: Lease) -> None:
        last = self._last_moment(lease)
        if last < FOREVER:
            self._schedule.holdings.ask_again_at(lease, last)

    def look(self) -> Iterator[Lease]:
        """Give hosts that came free to those that wait; return who is planned to start.

        The first to start comes first. Those whose time is over fail.
        """
        schedule, hostless = self._schedule, self._schedule.book.hostless
        waiting = sorted(hostless.values(), key=lambda x: (x.request.start or 0, x.id))
        ways = self._admission.ways(max(1, len(waiting)))
        for lease in waiting:
            reason = lease.late
            assert reason is not None, "it has lost its hosts for a reason"
            if self._last_moment(lease) <= schedule.now:
                why = because(Code.NO_HOSTS_CAME_FREE, cause=reason)
                schedule.finish(lease, State.FAILED, why, "failure")
                continue
            if self._admission.place_again(lease, elsewhere=next(ways)) is None:
                schedule.book.note_in_time(lease)
            elif not self._start_later(lease, reason):
                continue
            schedule.holdings.tell_hosts(lease, (), because(Code.HOSTS_CAME_FREE))
            yield lease

    def _last_moment(self, lease: Lease) -> int:
        """Return the moment at which it is too late for it to begin."""
        return last_moment(self._schedule, lease, period_of(self._schedule, lease).end)

    def _start_later(self, lease: Lease, reason: Reason, keep_off: HostSet = 0) -> bool:
        """Plan an AR as soon as hosts will be free beside what is planned; tell if some will."""
        schedule = self._schedule
        planner = schedule.planner.keeping_off(keep_off)
        first = period_of(schedule, lease).begin
        preparation, plan, shipment = schedule.preparation, None, None
        if preparation is None or lease.request.image is None:
            plan = self._from(planner, lease, first, 0)
        else:
            found = soonest(
                lease,
                preparation,
                schedule.now,
                first,
                lambda t, prefer, off: self._from(
                    planner.keeping_off(off), lease, max(t, first), prefer
                ),
            )
            if found is not None:
                plan, shipment = found
        if plan is None:
            return False
        schedule.book.cut(lease, _seconds(plan))
        schedule.book.explain(lease, plan.starts, because(Code.STARTS_LATE, cause=reason))
        schedule.commit(lease, plan, shipment)
        return True

    def _from(self, planner: Planner, lease: Lease, first: int, prefer: HostSet) -> Plan | None:
        """Return the plan to its old end that begins soonest, not before ``first``."""
        schedule, last = self._schedule, self._last_moment(lease)
        for moment in islice(planner.table.candidate_starts(first), _MOST_MOMENTS):
            if moment >= last:
                break
            begin, start, end = period = period_of(schedule, lease, begin=moment)
            hosts = planner.free_hosts(lease, begin, end, schedule.claim, prefer)
            if hosts is not None:
                schedule.book.cut(lease, period.length)
                plan = Plan(hosts, lease.demand.use(hosts), [])
                planner.prepare(lease, plan, begin, start)
                return plan
        return None


def in_vain(reason: Reason, refusal: Refusal | None) -> Reason:
    """There is nowhere else for a lease that cannot have what it had."""
    if refusal is None:
        return reason
    return because(Code.NOWHERE_ELSE, cause=reason, refusal=refusal.reason)


def _seconds(plan: Plan) -> int:
    """The time of the lease in a plan: its run, and its VMs being shut down."""
    return plan.end - plan.runs_from if plan.end < FOREVER else FOREVER
