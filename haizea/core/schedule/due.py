"""Carrying the schedule out: what is due begins and ends, and is told as decisions."""

from __future__ import annotations

from haizea.core.images.shipments import ImageTransfer
from haizea.core.model.events import OperationStarted
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.lease import DiskImage
from haizea.core.model.lifecycle import State
from haizea.core.model.members import (
    ACTIVE,
    DONE,
    FIRM,
    MIGRATE,
    PREPARE,
    PREPARING,
    READY,
    RESUME,
    RUN,
    SCHEDULED,
    SUSPEND,
)
from haizea.core.model.reasons import DURATION_OVER, Code, because
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.staying import can_go_on, can_run_on
from haizea.core.schedule.agenda import START
from haizea.core.schedule.schedule import Schedule


def begin(schedule: Schedule, lease: Lease, plan: Plan) -> None:
    """Apply the plan of a lease that waited and starts now, and start it."""
    if schedule.shipping is not None and not lease.saved:
        schedule.shipping.settle(lease, host_set(plan.hosts))
    heap, now = schedule.agenda.heap, schedule.instant.now
    if plan.start > now or (heap and heap[0][0] <= now) or lease.request.kind in FIRM:
        schedule.commit(lease, plan)
        do_what_is_due(schedule)
    else:
        # Nothing else is due: it would be the next on the agenda.
        schedule.holdings.grant(lease, plan, firm=True)
        schedule.book.hold_claim(lease, now)
        _start_phase(schedule, lease)
    if schedule.claim is not None:
        schedule.claim.taken(schedule.table, plan.end)


def send_ahead(schedule: Schedule, image: DiskImage, riders: dict[int, HostSet]) -> None:
    """Send an image now, for leases that wait, to where each of them may start."""
    assert schedule.shipping is not None, "images are managed"
    schedule.shipping.send_ahead(image, riders)
    do_what_is_due(schedule)


def do_what_is_due(schedule: Schedule) -> None:
    """Carry out what ends or starts by now, ends first."""
    heap, now = schedule.agenda.heap, schedule.instant.now
    while heap and heap[0][0] <= now and (due := schedule.agenda.pop(now)) is not None:
        rank, subject = due
        if isinstance(subject, ImageTransfer):
            assert schedule.shipping is not None, "images are managed"
            if rank == START:
                schedule.shipping.begin(subject)
            else:
                schedule.shipping.end(subject)
        elif rank == START:
            _start_phase(schedule, subject)
        else:
            _end_phase(schedule, subject)


def _start_phase(schedule: Schedule, lease: Lease) -> None:
    plan = lease.plan
    if plan is None:
        # What was promised is due: the queue has to be looked at.
        schedule.instant.freed = True
        return
    if lease.at == 0:
        schedule.waiting.discard(lease)
        lease.hold.firm = True
        if lease.start_seconds and plan.phases[0].purpose is RUN:
            schedule.holdings.prepare(lease)
    sources, phase = tuple[int, ...](), plan.phases[lease.at]
    lease.expected = phase.end if phase.purpose is PREPARE else None
    purpose = phase.purpose
    if purpose is RUN:
        if lease.state is SCHEDULED or lease.state is PREPARING:
            schedule.book.change(lease, READY)
        schedule.book.change(lease, ACTIVE, lease.late, "late" if lease.late else "")
        lease.saved = False
        lease.bound = None
        if lease.whole:
            schedule.book.picky.discard(lease.id)
    elif purpose is PREPARE:
        reason = because(Code.VMS_ARE_STARTED, moment=phase.end)
        schedule.book.change(lease, PREPARING, reason)
    elif purpose is MIGRATE:
        schedule.book.change(lease, State.MIGRATING)
        sources = plan.sources
    elif purpose is RESUME:
        schedule.book.change(lease, State.RESUMING)
    elif purpose is SUSPEND:
        schedule.book.change(lease, State.SUSPENDING, plan.because, plan.code)
    lease.since = schedule.instant.now
    schedule.instant.say(
        OperationStarted(schedule.instant.now, lease.id, purpose, phase.end, plan.hosts, sources)
    )
    schedule.holdings.go_on(lease)


def _end_phase(schedule: Schedule, lease: Lease) -> None:
    plan = lease.plan
    assert plan is not None, "it has a plan"
    phase = plan.phases[lease.at]
    if phase.purpose is RUN and can_run_on(schedule.planner, schedule.claim, lease, plan):
        schedule.holdings.run_on(lease)
        if lease.expected is not None:
            # It was told when it goes on.
            schedule.book.explain(lease, None, because(Code.KEEPS_ITS_HOSTS))
        return
    schedule.book.ended(lease, phase.purpose)
    lease.since = None
    lease.at += 1
    if phase.purpose is MIGRATE:
        lease.bound = plan.hosts
        schedule.book.change(lease, State.SUSPENDED_SCHEDULED)
    elif phase.purpose is RESUME:
        schedule.book.change(lease, State.RESUMED_READY)
    if phase.purpose is PREPARE and plan.never_runs:
        if plan.suspends:
            schedule.start_over(lease, *plan.leaving)
        else:
            schedule.finish(lease, State.FAILED, because(Code.NEVER_RAN), "failure")
    elif lease.at < len(plan.phases):
        schedule.holdings.go_on(lease)
    elif plan.suspends:
        _saved(schedule, lease, plan)
    elif plan.drops and lease.remaining > 0:
        schedule.start_over(lease, *plan.leaving)
    else:
        reason = plan.because if plan.because is not None and not plan.code else None
        schedule.finish(lease, DONE, reason or DURATION_OVER, "duration-over")


def _saved(schedule: Schedule, lease: Lease, plan: Plan) -> None:
    lease.saved = True
    lease.bound = plan.hosts
    schedule.book.picky.add(lease.id)
    schedule.book.change(lease, State.SUSPENDED_PENDING)
    rest = plan.rest
    schedule.drop_plan(lease)
    if rest is not None and can_go_on(schedule.planner, lease, rest):
        schedule.commit(lease, rest)
        return
    schedule.book.join(lease, schedule.instant.now)
    schedule.book.enqueue(lease, because(Code.WAITS_TO_GO_ON, nodes=lease.demand.count))
