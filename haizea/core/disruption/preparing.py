"""Leases whose VMs are being started: for longer, over sooner or otherwise than was planned.

Those of an AR are started before its start. The time of any other lease begins when its VMs
run, or when they are started.
"""

from __future__ import annotations

from haizea.core.capacity.what_if import without
from haizea.core.disruption.delays import Lateness
from haizea.core.disruption.late_runs import LateRuns
from haizea.core.model.members import AR, DEADLINE, PREPARE, PREPARING, READY
from haizea.core.model.reasons import Code, because
from haizea.core.placement.plan import Lease, Plan
from haizea.core.requests.admission import Admission
from haizea.core.requests.periods import Period, period_of
from haizea.core.schedule.schedule import Schedule


class Preparing:
    """Has leases run when their VMs do, and start those of ARs in time."""

    def __init__(
        self, schedule: Schedule, admission: Admission, lateness: Lateness, late_runs: LateRuns
    ) -> None:
        self._schedule = schedule
        self._admission = admission
        self._lateness = lateness
        self._late_runs = late_runs

    def delayed(self, lease_id: int, end: int) -> None:
        """Note that VMs of a lease do not run before ``end``, later than was planned.

        An AR ends when it was to end; told of that end that it is not over, the AR keeps its
        hosts until ``end``. To be told before the slot table lets that time pass.
        """
        lease = self._schedule.leases.get(lease_id)
        plan = None if lease is None else _under_way(lease)
        if lease is None or plan is None:
            return
        schedule, planned, old_end = self._schedule, plan.phases[0].end, plan.end
        if end <= planned:
            return
        if plan.never_runs and not plan.suspends:
            self._lateness.delayed(lease_id, PREPARE, end)
            return
        schedule.holdings.run_later(lease, end - planned)
        moment, reason = plan.phases[1].start, because(Code.VMS_TAKE_LONGER)
        if moment == planned:
            return
        if plan.never_runs and not plan.suspends:
            reason = because(Code.TIME_RUNS_OUT, end=moment)
        if lease.request.kind is AR and not schedule.planner.settings.prepares_at_start:
            schedule.book.note_late(lease, lease.late or reason)
        schedule.book.explain(lease, moment, reason)
        if plan.end > old_end:
            self._late_runs.keeps_hosts(lease, old_end, moment)

    def ready(self, lease_id: int) -> None:
        """All VMs of a lease run: so does the lease, an AR from its start on."""
        lease = self._schedule.leases.get(lease_id)
        plan = None if lease is None else _under_way(lease)
        if lease is None or plan is None:
            return
        schedule, start = self._schedule, lease.request.start
        moment = schedule.now if start is None else max(start, schedule.now)
        if moment < plan.phases[0].end:
            schedule.holdings.run_later(lease, moment - plan.phases[0].end)
        schedule.book.note_in_time(lease)
        if moment > schedule.now and lease.state is PREPARING:
            schedule.book.change(lease, READY, because(Code.VMS_RUN, start=moment))

    def learn(self, lease_id: int, seconds: int) -> None:
        """The VMs of a promised lease that has not begun take so long to start, as is known now.

        It keeps its hosts, where these are free for as long; else it gets others, if there are any.
        Otherwise they are given to it when it was planned.
        """
        lease = self._schedule.leases.get(lease_id)
        if lease is None:
            return
        schedule, plan = self._schedule, lease.plan
        if plan is None or lease.started or schedule.preparation is not None:
            return
        if lease.request.kind is DEADLINE and seconds != lease.prepare_seconds:
            self._replan(lease, seconds)
        if lease.request.kind is not AR:
            return
        schedule.book.plan_preparation(lease, seconds)
        period = period_of(schedule, lease)
        is_planned = (period.begin, period.start) == (plan.phases[0].start, plan.runs_from)
        if is_planned or self._on_own_hosts(lease, plan, period):
            return
        if not lease.request.fixed_hosts:
            self._admission.place_better(lease)

    def _replan(self, lease: Lease, seconds: int) -> None:
        """Have a lease with a deadline begin in time, if it finds room; else as was planned."""
        before = lease.prepare_seconds
        self._schedule.book.plan_preparation(lease, seconds)
        if lease.request.fixed_hosts or not self._admission.place_better(lease):
            self._schedule.book.plan_preparation(lease, before)

    def _on_own_hosts(self, lease: Lease, plan: Plan, period: Period) -> bool:
        """Have a lease begin sooner or later on its hosts, and tell whether it can."""
        schedule = self._schedule
        with without(schedule.table, lease.hold):
            if not schedule.table.fits_on(plan.use, period.begin, period.end):
                return False
        self._admission.begin_on(lease, plan.hosts, period)
        return True


def _under_way(lease: Lease) -> Plan | None:
    """Return the plan of a lease that is being prepared."""
    under_way = lease.under_way
    return lease.plan if under_way is not None and under_way.purpose is PREPARE else None
