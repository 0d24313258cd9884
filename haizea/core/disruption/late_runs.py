"""Leases whose VMs came to run later than their hosts were given to them.

The time of a best-effort or immediate lease counts from when its VMs run. Where they took
long to start, it keeps its hosts for longer, before leases that wait; but what was promised
stays. Before that, it is saved, to go on later, where that is worth it. A lease with a deadline
is not, and ends by its deadline.
"""

from __future__ import annotations

from haizea.core.disruption.failures import Trouble
from haizea.core.disruption.replanning import Repair
from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.preemption import clearing
from haizea.core.schedule.schedule import Schedule


class LateRuns:
    """Gives leases the time that their VMs took to start."""

    def __init__(self, schedule: Schedule, repair: Repair, trouble: Trouble) -> None:
        self._schedule = schedule
        self._repair = repair
        self._trouble = trouble
        self._longer: list[tuple[Lease, int, int]] = []
        #: Leases that are to be saved before they ran.
        self._unsaved: list[Lease] = []

    def runs_from(self, lease_id: int, since: int) -> None:
        """Note that the VMs of a lease that was started do not run before ``since``.

        To be told before the slot table lets that time pass, and :meth:`make_room` after. The
        same told again changes nothing.
        """
        lease = self._schedule.leases.get(lease_id)
        if lease is None or lease.request.kind is Kind.AR or lease.remaining >= FOREVER:
            return
        if self._schedule.planner.settings.counts_preparation:
            return
        if _is_saved_at_once(lease, since):
            self._schedule.book.lose_time(lease, lease.ran)
        elif _starts(lease):
            self._starts_later(lease, since)

    def _starts_later(self, lease: Lease, since: int) -> None:
        plan, begun = lease.plan, lease.since
        assert plan is not None, "its run is under way"
        assert begun is not None, "it has begun"
        if plan.suspends and since >= plan.phases[lease.at].end:
            self._unsaved.append(lease)
            return
        lost = since - begun + lease.ran
        # Where nobody looked, they may have run for a while when that was found out.
        if lost <= 0 and not plan.prepares:
            return
        self._schedule.book.lose_time(lease, lost)
        old_end, end = plan.end, begun + lease.remaining
        if end > old_end and not plan.suspends and not plan.drops:
            self._schedule.holdings.shift(lease, lease.at, end - old_end)
            self.keeps_hosts(lease, old_end, since)

    def keeps_hosts(self, lease: Lease, old_end: int, since: int) -> None:
        """Note that a lease keeps its hosts for longer than until ``old_end``.

        Its VMs run from ``since`` on.
        """
        self._longer.append((lease, old_end, since))

    @property
    def need_room(self) -> bool:
        """True if some lease keeps its hosts for longer and has no room there yet."""
        return bool(self._longer or self._unsaved)

    def make_room(self) -> None:
        """Take waiting leases off the hosts that are needed longer, and end before promises."""
        unsaved, self._unsaved = self._unsaved, []
        for lease in unsaved:
            if lease.plan is not None:
                self._schedule.start_over(lease, *lease.plan.leaving)
        longer, self._longer = self._longer, []
        for lease, old_end, since in longer:
            plan = lease.plan
            if plan is None:
                continue
            end = self._free_until(lease, plan, old_end)
            if end < plan.end:
                self._cut(lease, plan, end, since)

    def _free_until(self, lease: Lease, plan: Plan, old_end: int) -> int:
        """Return how long its hosts can be kept, from ``old_end`` to the end of its plan."""
        table, deadline = self._schedule.table, lease.request.deadline
        end = plan.end if deadline is None else max(old_end, min(plan.end, deadline))
        for host, _ in plan.use:
            name = self._schedule.host_table.name(host)
            reason = because(Code.HOST_STILL_HELD, host=name, lease=lease.id)
            self._repair.displace_waiting(host, old_end, end, reason)
            starts = [hold.start for hold in self._repair.planned(host, old_end, end)]
            while end > old_end and min(table.least_free(host, old_end, end)) < 0:
                end = max(old_end, starts.pop()) if starts else old_end
        return end

    def _cut(self, lease: Lease, plan: Plan, end: int, since: int) -> None:
        """The lease gives its hosts up at ``end``, although it has not run for all of its time."""
        schedule, planner = self._schedule, self._schedule.planner
        lacks = plan.end - end
        schedule.holdings.cut_short(lease, lacks)
        run = plan.phase(Purpose.RUN)
        assert run is not None, "every plan has a run"
        if run.end <= run.start or run.end <= schedule.now < since:
            self._trouble.never_ran(lease)
            return
        if lease.request.deadline is not None or not lease.request.preemptible:
            return
        if lacks < planner.durations.threshold_seconds(lease, plan.hosts):
            return
        way = clearing(planner, lease, end, schedule.now)
        if way is not None:
            schedule.clear(way, because(Code.HOSTS_RESERVED, start=end))


def _starts(lease: Lease) -> bool:
    """Tell whether a lease begins from nothing, and has not been moved since."""
    under_way = lease.under_way
    if lease.plan is None or under_way is None or under_way.purpose is not Purpose.RUN:
        return False
    return lease.at == (1 if lease.plan.prepares else 0) and lease.ran <= 0


def _is_saved_at_once(lease: Lease, since: int) -> bool:
    """Tell whether a lease that began from nothing is being saved, and does not run before that."""
    plan, under_way = lease.plan, lease.under_way
    if plan is None or under_way is None or under_way.purpose is not Purpose.SUSPEND:
        return False
    first = 1 if plan.prepares else 0
    begins = lease.at == first + 1 and plan.phases[first].purpose is Purpose.RUN
    return begins and since >= under_way.start
