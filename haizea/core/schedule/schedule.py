"""The schedule as it stands, and the one place that changes it.

Plans come from :mod:`haizea.core.placement.planner` and its neighbours; here they are applied,
carried out when their time comes, changed and dropped. Everything that happens is
written to ``out`` as a decision.
"""

from __future__ import annotations

from haizea.core.images.transfers import ImageTransfer, Preparation, Shipment
from haizea.core.model.events import ImageStored, OperationEnded, OperationStarted, Purpose
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.members import (
    ACTIVE,
    DONE,
    MIGRATE,
    PREPARING,
    READY,
    RESUME,
    RUN,
    SCHEDULED,
    SUSPEND,
)
from haizea.core.model.policy import QueueOrderPolicy
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.preemption import Clearing
from haizea.core.placement.shadow import Claim
from haizea.core.placement.staying import run_on
from haizea.core.schedule.agenda import END, START, Agenda
from haizea.core.schedule.lease_table import Book, nodes


class Schedule(Book):
    """Slot table, leases, queue and agenda, and what to do when something is due.

    ``freed`` says that a waiting lease may fit better than when all were last looked at.
    """

    def __init__(
        self, planner: Planner, preparation: Preparation | None, order: QueueOrderPolicy
    ) -> None:
        super().__init__(planner.table.now, order)
        self.planner = planner
        self.table = planner.table
        self.channel = planner.channel
        self.preparation = preparation
        self.claim: Claim | None = None
        self.freed = False
        #: Until when, and on how many hosts, leases that stopped early held capacity.
        self.given_back: list[tuple[int, int]] = []
        self.agenda = Agenda()

    # --- plans ------------------------------------------------------------------------

    def commit(self, lease: Lease, plan: Plan, *, firm: bool = True) -> None:
        """Apply a plan: its hosts are held from now on, and its first phase is on the agenda."""
        self._hold(lease, plan, firm)
        self.hold_claim(lease, plan.start)

    def replace(self, lease: Lease, plan: Plan) -> None:
        """Apply a plan in the place of one that was withdrawn and has not begun."""
        assert lease.plan is not None, "it has a plan"
        for interval in lease.plan.exclusive:
            self.channel.release(*interval)
        self._hold(lease, plan, firm=False)
        if plan.start > self.now:
            self.expect(lease, plan.start, f"waiting for {nodes(lease.demand.count)}")

    def _hold(self, lease: Lease, plan: Plan, firm: bool) -> None:
        shape = lease.demand.spread(plan.hosts).shape
        plan.hold = self.table.reserve(
            plan.start, plan.end, plan.use, lease.id, firm=firm, shape=shape
        )
        for interval in plan.exclusive:
            self.channel.reserve(*interval)
        lease.plan = plan
        lease.at = 0
        lease.since = None
        lease.token += 1
        self.touched[lease.id] = lease
        self.agenda.add(plan.start, START, lease)

    def take_up(self, lease: Lease, plan: Plan, at: int, since: int | None) -> None:
        """Go on with a plan that an earlier scheduler made: phase ``at``, begun at ``since``."""
        self._hold(lease, plan, firm=True)
        lease.token += 1
        lease.at = at
        lease.since = since
        self._next_entry(lease)

    def ship(self, lease: Lease, shipment: Shipment) -> None:
        """Apply the plan for a lease's images."""
        assert self.preparation is not None, "images are managed"
        assert lease.request.image is not None, "it has an image"
        lease_image = lease.request.image
        for transfer in self.preparation.apply(lease.id, lease_image, shipment):
            self.agenda.add(transfer.start, START, transfer)
        self._say_stored()

    def promise(self, lease: Lease, start: int) -> None:
        """A waiting lease is to start then, on hosts that are chosen when the time comes."""
        self.hold_claim(lease, start)
        lease.token += 1
        self.agenda.add(start, START, lease)

    def drop_plan(self, lease: Lease) -> None:
        """Give back what a plan holds; what is under way is over."""
        plan = lease.plan
        assert plan is not None, "it has a plan"
        under_way = lease.under_way
        if under_way is not None and lease.since is not None:
            self.ended(lease, under_way.purpose)
        for start, end in plan.exclusive:
            self.channel.release(start, end)
            if start < self.now < end:
                self.channel.reserve(start, self.now)
        if lease.hold.start <= self.now < lease.hold.end:
            self.given_back.append((lease.hold.end, len(plan.use)))
        self.table.release(lease.hold)
        lease.plan = None
        lease.since = None
        lease.at = 0
        lease.token += 1
        self.touched[lease.id] = lease
        self.freed = True

    def unpin(self, lease: Lease) -> None:
        """A waiting lease gives its hosts up, but not the time that it expects to start."""
        self.table.release(lease.hold)
        lease.plan = None
        lease.token += 1

    def forget_images(self, lease: Lease) -> None:
        """The lease needs its images and their transfers no more."""
        image = lease.request.image
        if self.preparation is None or image is None:
            return
        withdrawal = self.preparation.withdraw(lease.id, self.now)
        for transfer, hosts in withdrawal.left:
            self._transfer_ended(lease.id, transfer, hosts)
        for transfer, other, hosts in withdrawal.joined:
            self._transfer_started(other, transfer, hosts)
        self.preparation.store.done(image, lease.id, self.now)
        self._say_stored()

    def finish(self, lease: Lease, state: State, reason: str, code: str) -> None:
        """The lease is over, in a final state; whatever it held is free."""
        assert state in FINAL, state
        if lease.plan is not None:
            self.drop_plan(lease)
        if lease in self.waiting:
            self.waiting.discard(lease)
            self.freed = True
        self.forget_images(lease)
        self.change(lease, state, reason, code)
        lease.token += 1
        self.leases.pop(lease.id, None)
        self.picky.discard(lease.id)
        if self.claim is not None and self.claim.lease_id == lease.id:
            # Other leases may be placed before the queue is looked at again.
            self.claim = None

    def start_over(self, lease: Lease, reason: str, code: str) -> None:
        """An active lease loses its hosts and its progress, and goes back to its place."""
        self.drop_plan(lease)
        self.forget_images(lease)
        lease.start_over()
        self.join(lease, lease.request.submitted)
        self.enqueue(lease, reason, code)

    def back_to_queue(self, lease: Lease, reason: str, code: str) -> None:
        """A lease whose plan has not begun gives it up and goes back to waiting."""
        self.drop_plan(lease)
        if lease in self.waiting:
            self.lose_claim(lease, reason, code)
            self.arrived.append(lease)
        else:
            self.enqueue(lease, reason, code)

    def clear(self, clearing: Clearing, reason: str) -> None:
        """Let a lease make room, as was planned."""
        lease, suspend_at, drop_at = clearing
        if suspend_at is not None:
            self._leave_at(lease, suspend_at, reason, saved=True)
        elif drop_at is not None:
            self._leave_at(lease, drop_at, reason, saved=False)
        elif lease.started:
            self.start_over(lease, reason, "preempted")
        else:
            self.back_to_queue(lease, reason, "preempted")

    def _leave_at(self, lease: Lease, moment: int, reason: str, *, saved: bool) -> None:
        plan = lease.plan
        assert plan is not None, "it has a plan"
        old = plan.phase(SUSPEND)
        if old is not None and (old.start, old.end) in plan.exclusive:
            plan.exclusive.remove((old.start, old.end))
            self.channel.release(old.start, old.end)
        plan.end_run(moment)
        if saved:
            self.planner.suspend(lease, plan, moment)
            if self.planner.shares_files:
                self.channel.reserve(*plan.exclusive[-1])
        plan.because, plan.code = reason, "preempted"
        self.table.change_end(lease.hold, plan.end)
        self.again(lease)
        self.freed = True

    # --- carrying plans out -----------------------------------------------------------

    def do_what_is_due(self) -> None:
        """Carry out what ends or starts by now, ends first."""
        while (due := self.agenda.pop(self.now)) is not None:
            rank, subject = due
            if isinstance(subject, ImageTransfer):
                if rank == START:
                    self._begin_transfer(subject)
                else:
                    self._end_transfer(subject)
            elif rank == START:
                self._start_phase(subject)
            else:
                self._end_phase(subject)

    def again(self, lease: Lease) -> None:
        """The times of a plan that is under way changed: what was on the agenda is void."""
        lease.token += 1
        self._next_entry(lease)

    def _next_entry(self, lease: Lease) -> None:
        assert lease.plan is not None, "it has a plan"
        self.touched[lease.id] = lease
        phase = lease.plan.phases[lease.at]
        if lease.since is None:
            self.agenda.add(phase.start, START, lease)
        elif phase.end < FOREVER:
            self.agenda.add(phase.end, END, lease)

    def _start_phase(self, lease: Lease) -> None:
        plan = lease.plan
        if plan is None:
            # What was promised is due: the queue has to be looked at.
            self.freed = True
            return
        phase = plan.phases[lease.at]
        if lease.at == 0:
            self.waiting.discard(lease)
            lease.hold.firm = True
            lease.expected = None
        sources: tuple[int, ...] = ()
        purpose = phase.purpose
        if purpose is RUN:
            if lease.state is SCHEDULED or lease.state is PREPARING:
                self.change(lease, READY)
            self.change(lease, ACTIVE, lease.late, "late" if lease.late else "")
            lease.saved = False
            lease.bound = None
            if lease.whole:
                self.picky.discard(lease.id)
        elif purpose is MIGRATE:
            self.change(lease, State.MIGRATING)
            sources = plan.sources
        elif purpose is RESUME:
            self.change(lease, State.RESUMING)
        elif purpose is SUSPEND:
            self.change(lease, State.SUSPENDING, plan.because, plan.code)
        lease.since = self.now
        self.out.append(
            OperationStarted(self.now, lease.id, purpose, phase.end, plan.hosts, sources)
        )
        self._next_entry(lease)

    def _end_phase(self, lease: Lease) -> None:
        plan = lease.plan
        assert plan is not None, "it has a plan"
        phase = plan.phases[lease.at]
        if plan.drops and run_on(self.planner, self.claim, lease, plan):
            self.again(lease)
            return
        self.ended(lease, phase.purpose)
        lease.since = None
        lease.at += 1
        if phase.purpose is MIGRATE:
            lease.bound = plan.hosts
            self.change(lease, State.SUSPENDED_SCHEDULED)
        elif phase.purpose is RESUME:
            self.change(lease, State.RESUMED_READY)
        if lease.at < len(plan.phases):
            self._next_entry(lease)
        elif plan.suspends:
            self._saved(lease, plan)
        elif plan.drops and lease.remaining > 0:
            self.start_over(lease, plan.because, plan.code)
        else:
            self.finish(lease, DONE, "its duration is over", "duration-over")

    def _saved(self, lease: Lease, plan: Plan) -> None:
        lease.saved = True
        lease.bound = plan.hosts
        self.picky.add(lease.id)
        self.change(lease, State.SUSPENDED_PENDING)
        self.drop_plan(lease)
        self.join(lease, self.now)
        self.enqueue(lease, f"waiting for {nodes(lease.demand.count)} to go on")

    # --- upkeep -----------------------------------------------------------------------

    def forget_past(self) -> None:
        """Drop what is over from what serves one at a time."""
        self.channel.forget(self.now)
        if self.preparation is not None:
            self.preparation.forget(self.now)

    def check(self) -> None:
        """Assert every invariant."""
        self.table.check()
        self.channel.check()
        if self.preparation is not None:
            self.preparation.check()
        self.waiting.check()
        for lease in self.leases.values():
            assert lease.state not in FINAL, lease.id
            assert lease.plan is not None or lease in self.waiting, f"lease {lease.id} is lost"

    # --- images -----------------------------------------------------------------------

    def expect_transfer(self, transfer: ImageTransfer) -> None:
        """Put the next thing of a transfer on the agenda."""
        if transfer.begun:
            self.agenda.add(transfer.end, END, transfer)
        else:
            self.agenda.add(transfer.start, START, transfer)

    def _begin_transfer(self, transfer: ImageTransfer) -> None:
        transfer.begun = True
        self.agenda.add(transfer.end, END, transfer)
        for lease_id in transfer.waiting:
            lease = self.leases[lease_id]
            if lease.state is SCHEDULED:
                self.change(lease, PREPARING, f"image {transfer.image.name} on its way")
        for lease_id, hosts in sorted(transfer.riders.items()):
            self._transfer_started(lease_id, transfer, hosts)

    def _end_transfer(self, transfer: ImageTransfer) -> None:
        assert self.preparation is not None, "images are managed"
        self.preparation.finish(transfer, self.now)
        for lease_id, hosts in sorted(transfer.riders.items()):
            self._transfer_ended(lease_id, transfer, hosts)
        for lease_id in transfer.waiting:
            lease = self.leases[lease_id]
            if lease.state is PREPARING and not self.preparation.pending(lease_id):
                nowhere = lease.plan is None and lease.expected is None
                waits = f"waiting for {nodes(lease.demand.count)}" if nowhere else ""
                self.change(lease, READY, waits)
        self._say_stored()

    def delay_transfer(self, transfer: ImageTransfer, end: int) -> None:
        """A transfer under way takes longer, and those behind it begin later."""
        assert self.preparation is not None, "images are managed"
        for other in self.preparation.delay(transfer, end):
            self.agenda.add(other.start, START, other)
        self.agenda.add(transfer.end, END, transfer)

    def begin_late(self, transfer: ImageTransfer, now: int) -> None:
        """A transfer that should have begun begins as soon as it can; those behind it follow."""
        assert self.preparation is not None, "images are managed"
        length = transfer.end - transfer.start
        start = max([now, *(t.end for t in self.preparation.transfers if t.begun)])
        for other in self.preparation.delay(transfer, start + length, start):
            self.agenda.add(other.start, START, other)
        self.agenda.add(start, START, transfer)

    def _transfer_started(self, lease_id: int, transfer: ImageTransfer, hosts: HostSet) -> None:
        receivers = tuple(hosts_in(hosts))
        self.out.append(
            OperationStarted(transfer.start, lease_id, Purpose.TRANSFER, transfer.end, receivers)
        )

    def _transfer_ended(self, lease_id: int, transfer: ImageTransfer, hosts: int) -> None:
        nothing = (0,) * len(self.table.capacities[0])
        use = tuple([(host, nothing) for host in hosts_in(hosts)])
        start = min(transfer.start, self.now)
        self.out.append(OperationEnded(lease_id, Purpose.TRANSFER, start, self.now, use))

    def _say_stored(self) -> None:
        assert self.preparation is not None, "images are managed"
        store = self.preparation.store
        for host in store.changes():
            self.out.append(ImageStored(self.now, host, store.used_mb(host)))
