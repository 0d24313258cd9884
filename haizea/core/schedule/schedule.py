"""The one place that changes the schedule: verbs that change it, and what is due, carried out.

What changes leases and plans is in :class:`Standing`, below; here they are carried out when
their time comes.
"""

from __future__ import annotations

from haizea.core.images.transfers import ImageTransfer
from haizea.core.model.events import OperationStarted
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.lease import DiskImage
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.members import (
    ACTIVE,
    DEADLINE,
    DONE,
    FIRM,
    INTERRUPTED,
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
from haizea.core.schedule.standing import Standing


class Schedule(Standing):
    """The schedule, and what to do when something is due."""

    def begin(self, lease: Lease, plan: Plan) -> None:
        """Apply the plan of a lease that waited and starts now, and start it."""
        if self.shipping is not None and not lease.saved:
            self.shipping.settle(lease, host_set(plan.hosts))
        heap, now = self.agenda.heap, self.instant.now
        if plan.start > now or (heap and heap[0][0] <= now) or lease.request.kind in FIRM:
            self.commit(lease, plan)
            self.do_what_is_due()
        else:
            # Nothing else is due: it would be the next on the agenda.
            self.holdings.grant(lease, plan, firm=True)
            self.book.hold_claim(lease, now)
            self._start_phase(lease)
        if self.claim is not None:
            self.claim.taken(self.table, plan.end)

    def send_ahead(self, image: DiskImage, riders: dict[int, HostSet]) -> None:
        """Send an image now, for leases that wait, to where each of them may start."""
        assert self.shipping is not None, "images are managed"
        self.shipping.send_ahead(image, riders)
        self.do_what_is_due()

    # --- carrying plans out -----------------------------------------------------------

    def do_what_is_due(self) -> None:
        """Carry out what ends or starts by now, ends first."""
        heap, now = self.agenda.heap, self.instant.now
        while heap and heap[0][0] <= now and (due := self.agenda.pop(now)) is not None:
            rank, subject = due
            if isinstance(subject, ImageTransfer):
                assert self.shipping is not None, "images are managed"
                if rank == START:
                    self.shipping.begin(subject)
                else:
                    self.shipping.end(subject)
            elif rank == START:
                self._start_phase(subject)
            else:
                self._end_phase(subject)

    def _start_phase(self, lease: Lease) -> None:
        plan = lease.plan
        if plan is None:
            # What was promised is due: the queue has to be looked at.
            self.instant.freed = True
            return
        if lease.at == 0:
            self.waiting.discard(lease)
            lease.hold.firm = True
            if lease.start_seconds and plan.phases[0].purpose is RUN:
                self.holdings.prepare(lease)
        sources, phase = tuple[int, ...](), plan.phases[lease.at]
        lease.expected = phase.end if phase.purpose is PREPARE else None
        purpose = phase.purpose
        if purpose is RUN:
            if lease.state is SCHEDULED or lease.state is PREPARING:
                self.book.change(lease, READY)
            self.book.change(lease, ACTIVE, lease.late, "late" if lease.late else "")
            lease.saved = False
            lease.bound = None
            if lease.whole:
                self.book.picky.discard(lease.id)
        elif purpose is PREPARE:
            reason = because(Code.VMS_ARE_STARTED, moment=phase.end)
            self.book.change(lease, PREPARING, reason)
        elif purpose is MIGRATE:
            self.book.change(lease, State.MIGRATING)
            sources = plan.sources
        elif purpose is RESUME:
            self.book.change(lease, State.RESUMING)
        elif purpose is SUSPEND:
            self.book.change(lease, State.SUSPENDING, plan.because, plan.code)
        lease.since = self.instant.now
        self.instant.say(
            OperationStarted(self.instant.now, lease.id, purpose, phase.end, plan.hosts, sources)
        )
        self.holdings.go_on(lease)

    def _end_phase(self, lease: Lease) -> None:
        plan = lease.plan
        assert plan is not None, "it has a plan"
        phase = plan.phases[lease.at]
        if phase.purpose is RUN and can_run_on(self.planner, self.claim, lease, plan):
            self.holdings.run_on(lease)
            return
        self.book.ended(lease, phase.purpose)
        lease.since = None
        lease.at += 1
        if phase.purpose is MIGRATE:
            lease.bound = plan.hosts
            self.book.change(lease, State.SUSPENDED_SCHEDULED)
        elif phase.purpose is RESUME:
            self.book.change(lease, State.RESUMED_READY)
        if phase.purpose is PREPARE and plan.never_runs:
            self.start_over(lease, *plan.leaving)
        elif lease.at < len(plan.phases):
            self.holdings.go_on(lease)
        elif plan.suspends:
            self._saved(lease, plan)
        elif plan.drops and lease.remaining > 0:
            self.start_over(lease, *plan.leaving)
        else:
            reason = plan.because if plan.because is not None and not plan.code else None
            self.finish(lease, DONE, reason or DURATION_OVER, "duration-over")

    def _saved(self, lease: Lease, plan: Plan) -> None:
        lease.saved = True
        lease.bound = plan.hosts
        self.book.picky.add(lease.id)
        self.book.change(lease, State.SUSPENDED_PENDING)
        rest = plan.rest
        self.drop_plan(lease)
        if rest is not None and can_go_on(self.planner, lease, rest):
            self.commit(lease, rest)
            return
        self.book.join(lease, self.instant.now)
        self.book.enqueue(lease, because(Code.WAITS_TO_GO_ON, nodes=lease.demand.count))

    # --- upkeep -----------------------------------------------------------------------

    def forget_past(self) -> None:
        """Drop what is over from what serves one at a time."""
        self.channel.forget(self.instant.now)
        if self.preparation is not None:
            self.preparation.forget(self.instant.now)

    def check(self) -> None:
        """Assert every invariant."""
        self.table.check()
        self.channel.check()
        if self.preparation is not None:
            self.preparation.check()
        self.waiting.check()
        for lease in self.leases.values():
            assert lease.state not in FINAL, lease.id
            waits = lease in self.waiting or lease.id in self.book.hostless
            waits = waits or (lease.request.kind is DEADLINE and lease.state in INTERRUPTED)
            assert waits or lease.plan is not None, f"lease {lease.id} is lost"
