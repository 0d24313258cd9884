"""The schedule as it stands, and the verbs that change leases and their plans.

Plans come from :mod:`haizea.core.placement.planner` and its neighbours; here they are applied,
changed and dropped. Everything that happens is told as a decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from haizea.core.capacity.fit_index import Levels
from haizea.core.images.shipments import ImageTransfer, Shipment
from haizea.core.images.transfers import Preparation
from haizea.core.model.events import HostsLimited, HostsPlanned, OperationStarted
from haizea.core.model.hostrules import Allowed, allowed_record
from haizea.core.model.hosts import Host, host_set
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.members import (
    ACTIVE,
    BEST_EFFORT,
    DEADLINE,
    FIRM,
    INTERRUPTED,
    PREPARING,
    QUEUED,
    RUN,
)
from haizea.core.model.policy import QueueOrderPolicy
from haizea.core.model.reasons import Code, Reason, because, waits_for
from haizea.core.placement.empty_site import EmptySite
from haizea.core.placement.mapper import Demand, Hosts, takes_whole
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.preemption import Clearing
from haizea.core.placement.shadow import Claim
from haizea.core.schedule.agenda import START, Agenda
from haizea.core.schedule.holdings import Holdings
from haizea.core.schedule.host_table import HostTable
from haizea.core.schedule.instant import Instant
from haizea.core.schedule.lease_table import Book
from haizea.core.schedule.shipping import Shipping
from haizea.core.schedule.window_table import WindowTable


class Schedule:
    """Slot table, leases, queue and agenda.

    Others read these, and change them by the verbs here and of ``book``, ``holdings``,
    ``host_table`` and ``shipping`` alone. What a change means to those that wait, to the
    records and to whoever is told follows in the verb; nobody else has to think of it.
    """

    def __init__(
        self,
        planner: Planner,
        preparation: Preparation | None,
        order: QueueOrderPolicy,
        hosts: Iterable[Host],
    ) -> None:
        self.planner = planner
        self.table = planner.table
        self.channel = planner.channel
        self.empty_site = EmptySite(planner.table)
        self.preparation = preparation
        self.claim: Claim | None = None
        self.agenda = Agenda()
        self.instant = instant = Instant(planner.table.now)
        self.book = Book(instant, order, planner.settings)
        self.leases, self.waiting = self.book.leases, self.book.waiting
        self.holdings = Holdings(planner, self.agenda, instant)
        self.host_table = HostTable(hosts, planner.table, planner.durations.rates, instant)
        closures = None if preparation is None else preparation.closures
        self.window_table = WindowTable(self.table, self.book, instant, closures)
        self.shipping: Shipping | None = None
        if preparation is not None:
            self.shipping = Shipping(preparation, self.book, self.agenda, instant, self.table)

    @property
    def now(self) -> int:
        """The present."""
        return self.instant.now

    def begin_instant(self, now: int) -> None:
        """Let it be ``now``; until :meth:`let_pass`, what was due before can still be changed."""
        self.instant.now = now

    def let_pass(self) -> None:
        """Let the slot table come to the present."""
        self.table.advance(self.instant.now)

    def overdue(self) -> Iterator[tuple[int, int, Lease | ImageTransfer]]:
        """Tell what was due before now and was not done: when, ``END`` or ``START``, of what."""
        self.instant.freed = True
        return self.agenda.due_before(self.instant.now)

    # --- leases -----------------------------------------------------------------------

    def enter(self, request: LeaseRequest, allowed: Allowed) -> Lease:
        """Enter a lease in the book, as one that was just asked for."""
        assert request.id not in self.leases, f"lease id {request.id} is taken"
        lease = Lease(request, Demand(request, allowed))
        lease.whole = takes_whole(lease.demand, self.table.uniform_capacity)
        if not lease.whole:
            self.book.picky.add(lease.id)
        lease.flexible = self.planner.suspendable(lease)
        self.book.join(lease, request.submitted)
        self.book.enter(lease)
        return lease

    def limit(self, lease: Lease, allowed: Allowed) -> None:
        """Other hosts will do for a lease from now on; its plan stays as it is."""
        waits = lease in self.waiting
        if waits:
            self.waiting.discard(lease)
        lease.demand = Demand(lease.request, allowed)
        if waits:
            self.waiting.add(lease)
        lease.whole = False
        self.book.picky.add(lease.id)
        instant = self.instant
        instant.freed = True
        instant.touched[lease.id] = lease
        self.say_limited(lease)

    def say_limited(self, lease: Lease) -> None:
        """Have everybody told which hosts will do for a lease now."""
        limits = allowed_record(lease.demand.where)
        self.instant.say(HostsLimited(self.instant.now, lease.id, limits))

    def say_whether_it_fits(self, lease: Lease) -> None:
        """Have everybody told of a lease that waits if the hosts there are would never do for it.

        It was accepted when there were more, and may wait for these; or there are again.
        """
        told = lease.why is not None and lease.why.reason
        if not self.empty_site.fits(lease.demand):
            reason = because(Code.SITE_TOO_SMALL, nodes=lease.demand.count)
            self.book.explain(lease, None, reason)
        elif told and told.code is Code.SITE_TOO_SMALL:
            self.book.explain(lease, None, waits_for(lease.demand.count))

    def make_claim(self, lease: Lease, claim: Claim) -> None:
        """Promise the first lease that waits its earliest start, as the only one."""
        self.claim = claim
        self.book.hold_claim(lease, claim.start)

    def drop_claim(self) -> Claim | None:
        """Return the claim there is, which nobody has to mind any more."""
        claim, self.claim = self.claim, None
        return claim

    # --- plans ------------------------------------------------------------------------

    def commit(
        self, lease: Lease, plan: Plan, shipment: Shipment | None = None, *, firm: bool = True
    ) -> None:
        """Apply a plan, and one for its images: its hosts are held, its first phase is to come."""
        self.holdings.take(lease, plan, firm=firm)
        self.book.hold_claim(lease, plan.starts)
        kind = lease.request.kind
        if kind in FIRM or (kind is not BEST_EFFORT and plan.start > self.instant.now):
            # Leases that wait did not reckon with it.
            self.instant.freed = True
        if shipment is not None:
            assert self.shipping is not None, "images are managed"
            self.shipping.ship(lease, shipment)

    def replace(self, lease: Lease, plan: Plan) -> None:
        """Apply a plan in the place of one that has not begun."""
        self.holdings.lift(lease)
        self._put(lease, plan)

    def bring_forward(self, lease: Lease, start: int, levels: Levels) -> None:
        """Let a lease that needs only room start sooner than its plan does, where there is room."""
        self.holdings.lift(lease)
        plan = self.planner.on_room(lease, start, levels)
        assert plan is not None, "hosts are found wherever there is room"
        self._put(lease, plan)

    def _put(self, lease: Lease, plan: Plan) -> None:
        """Apply a plan in the place of one that was lifted."""
        firm = lease.hold.firm
        if firm:
            # Leases that wait reckoned with it there.
            self.instant.freed = True
            if lease.hold.hosts != host_set(plan.hosts):
                reason = because(Code.STARTS_SOONER)
                self.instant.say(HostsPlanned(self.instant.now, lease.id, plan.hosts, reason))
        self.holdings.take(lease, plan, firm=firm)
        if plan.start > self.instant.now:
            self.book.expect(lease, plan.start, waits_for(lease.demand.count))

    def take_up(self, lease: Lease, plan: Plan, at: int, since: int | None) -> None:
        """Go on with a plan that an earlier scheduler made: phase ``at``, begun at ``since``."""
        self.holdings.take(lease, plan, firm=True)
        lease.at = at
        lease.since = since
        self.holdings.again(lease)

    def promise(self, lease: Lease, start: int) -> None:
        """A waiting lease is to start then, on hosts that are chosen when the time comes."""
        self.book.hold_claim(lease, start)
        lease.token += 1
        self.agenda.add(start, START, lease)

    def drop_plan(self, lease: Lease) -> None:
        """Give back what a plan holds; what is under way is over."""
        under_way = lease.under_way
        if under_way is not None:
            self.book.ended(lease, under_way.purpose)
        self.holdings.give_back(lease)

    def share_images(self, lease: Lease, other: Lease) -> None:
        """A lease that waits may start where another one that waits has the same image."""
        assert self.preparation is not None, "images are managed"
        self.preparation.store.share(lease.id, other.id)

    def needs_images(self, request: LeaseRequest) -> bool:
        """Tell whether a lease cannot simply start elsewhere or sooner: images go to its hosts."""
        return self.preparation is not None and request.image is not None

    def forget_images(self, lease: Lease) -> None:
        """The lease needs its images and their transfers no more."""
        if self.shipping is not None:
            self.shipping.forget(lease)

    def unbind(self, lease: Lease) -> None:
        """A lease that has not begun may go where its images are not; they are forgotten."""
        self.forget_images(lease)
        lease.bound = None
        self.instant.touched[lease.id] = lease
        if lease.plan is None:
            # Its images have to be sent again.
            self.instant.freed = True

    def finish(self, lease: Lease, state: State, reason: Reason, code: str) -> None:
        """The lease is over, in a final state; whatever it held is free."""
        assert state in FINAL, state
        if lease.plan is not None:
            self.drop_plan(lease)
        if lease.state is not ACTIVE and lease in self.waiting:
            self.waiting.discard(lease)
            self.instant.freed = True
        self.forget_images(lease)
        self.book.change(lease, state, reason, code)
        lease.token += 1
        self.book.leave(lease)
        if self.claim is not None and self.claim.lease_id == lease.id:
            # Other leases may be placed before the queue is looked at again.
            self.claim = None

    def stop(self, lease: Lease, reason: Reason) -> None:
        """A promised lease that runs, or is being prepared, loses its hosts, to get others."""
        self.drop_plan(lease)
        self.forget_images(lease)
        lease.start_over()
        self.book.note_late(lease, reason)
        self.book.change(lease, QUEUED, reason, "failure")

    def start_over(self, lease: Lease, reason: Reason, code: str) -> None:
        """A lease on its hosts loses them and its progress, and goes back to its place."""
        self.drop_plan(lease)
        self.forget_images(lease)
        lease.start_over()
        self.book.join(lease, lease.request.submitted)
        if lease.state is PREPARING:
            self.book.change(lease, QUEUED, reason, code)
        self.book.enqueue(lease, reason, code)

    def back_to_queue(self, lease: Lease, reason: Reason, code: str) -> None:
        """A lease whose plan has not begun gives it up and goes back to waiting."""
        self.drop_plan(lease)
        if lease in self.waiting:
            self.book.lose_claim(lease, reason, code)
            self.instant.arrived.append(lease)
        else:
            self.book.enqueue(lease, reason, code)

    def clear(self, clearing: Clearing, reason: Reason) -> None:
        """Let a lease make room, as was planned."""
        lease, suspend_at, drop_at = clearing
        if suspend_at is not None:
            self.holdings.leave_at(lease, suspend_at, reason, saved=True)
        elif drop_at is not None:
            self.holdings.leave_at(lease, drop_at, reason, saved=False)
        elif lease.started:
            self.start_over(lease, reason, "preempted")
        else:
            self.back_to_queue(lease, reason, "preempted")

    def follow(self, lease: Lease, hosts: Hosts) -> None:
        """The nodes of a lease run on these hosts now; there is room."""
        self.book.ended(lease, RUN)
        self.holdings.follow(lease, hosts)
        instant, under_way = self.instant, lease.under_way
        assert under_way is not None, "it runs"
        instant.say(OperationStarted(instant.now, lease.id, RUN, under_way.end, hosts))
        # It may be where no lease would have been put.
        self.book.picky.add(lease.id)
        instant.freed = True

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
