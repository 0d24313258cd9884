"""ARs whose VMs are started before their start: longer, sooner or otherwise than was planned."""

from __future__ import annotations

from haizea.core.capacity.what_if import without
from haizea.core.model.members import AR, PREPARE, PREPARING, READY
from haizea.core.model.reasons import Code, because
from haizea.core.placement.plan import Lease, Plan
from haizea.core.requests.admission import Admission
from haizea.core.requests.periods import period_of
from haizea.core.schedule.schedule import Schedule


class Preparing:
    """Has an AR run when its VMs do, and start them in time."""

    def __init__(self, schedule: Schedule, admission: Admission) -> None:
        self._schedule = schedule
        self._admission = admission

    def delayed(self, lease_id: int, end: int) -> None:
        """Note that VMs of a lease do not run before ``end``, later than was planned.

        It ends when it was to end. To be told before the slot table lets that time pass.
        """
        lease = self._schedule.leases.get(lease_id)
        plan = None if lease is None else _under_way(lease)
        if lease is None or plan is None:
            return
        # In its last second it counts as running, and whether it did is found out as of any other.
        moment = min(end, plan.phases[1].end - 1)
        if moment > plan.phases[0].end:
            self._schedule.holdings.run_from(lease, moment)
            reason = because(Code.VMS_TAKE_LONGER)
            self._schedule.book.note_late(lease, lease.late or reason)
            self._schedule.book.explain(lease, moment, reason)

    def ready(self, lease_id: int) -> None:
        """All VMs of a lease run: so does the lease, from its start on."""
        lease = self._schedule.leases.get(lease_id)
        plan = None if lease is None else _under_way(lease)
        if lease is None or plan is None:
            return
        assert lease.request.start is not None, "it is an AR"
        schedule, moment = self._schedule, max(lease.request.start, self._schedule.now)
        if moment < plan.phases[0].end:
            schedule.holdings.run_from(lease, moment)
        schedule.book.note_in_time(lease)
        if moment > schedule.now and lease.state is PREPARING:
            schedule.book.change(lease, READY, because(Code.VMS_RUN, start=moment))

    def learn(self, lease_id: int, seconds: int) -> None:
        """The VMs of an AR that has not begun take so long to start, as far as is known now.

        It keeps its hosts, where these are free for as long; else it gets others, if there are any.
        Otherwise they are given to it when it was planned.
        """
        lease = self._schedule.leases.get(lease_id)
        if lease is None or lease.request.kind is not AR or seconds == lease.prepare_seconds:
            return
        schedule, plan = self._schedule, lease.plan
        schedule.book.plan_preparation(lease, seconds)
        if plan is None or lease.started or schedule.preparation is not None:
            return
        if self._on_own_hosts(lease, plan):
            return
        if not lease.request.fixed_hosts:
            self._admission.place_better(lease)

    def _on_own_hosts(self, lease: Lease, plan: Plan) -> bool:
        """Have a lease begin sooner or later on its hosts, and tell whether it can."""
        schedule = self._schedule
        period = period_of(schedule, lease)
        with without(schedule.table, lease.hold):
            if not schedule.table.fits_on(plan.use, period.begin, period.end):
                return False
        self._admission.begin_on(lease, plan.hosts, period)
        return True


def _under_way(lease: Lease) -> Plan | None:
    """Return the plan of a lease that is being prepared."""
    under_way = lease.under_way
    return lease.plan if under_way is not None and under_way.purpose is PREPARE else None
