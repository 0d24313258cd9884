"""New requests: what becomes of a lease in the instant it is asked for.

An AR gets its hosts at once, or is rejected; so does an immediate lease, and one with a
deadline. A best-effort lease joins the queue. Every refusal has a reason that its owner can act on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from haizea.core.capacity.fit_index import level_count
from haizea.core.capacity.what_if import without
from haizea.core.images.co_planning import soonest
from haizea.core.images.shipments import Shipment
from haizea.core.model.hostrules import Allowed, HostRules
from haizea.core.model.hosts import EVERYWHERE, HostSet
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.members import AR, BEST_EFFORT, DEADLINE, REJECTED
from haizea.core.model.policy import PlacedLease, Policies
from haizea.core.model.reasons import Code, Reason, because, waits_for
from haizea.core.model.resources import FOREVER
from haizea.core.placement.mapper import Demand, Hosts
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.placement.preemption import Preemption
from haizea.core.placement.remapping import Elsewhere
from haizea.core.requests.deadlines import Deadlines, Found
from haizea.core.requests.periods import Period, has_time_left, lead_seconds, period_of, run_end
from haizea.core.requests.promises import Promises
from haizea.core.requests.rooms import Rooms
from haizea.core.requests.taking import Granted, Refusal, Taking
from haizea.core.schedule.altering import Altering, demand_as
from haizea.core.schedule.schedule import Schedule


class Admission:
    """Admits requests into a schedule."""

    def __init__(self, schedule: Schedule, policies: Policies) -> None:
        self._schedule = schedule
        self._policies = policies
        self._promises = Promises(schedule)
        self._rooms = Rooms(schedule, policies, self._promises)
        self._taking = Taking(schedule, self._promises)
        self.deadlines = Deadlines(schedule, self._promises, self._rooms, self._taking)
        self._altering = Altering(schedule)

    def submit(
        self, request: LeaseRequest, allowed: Allowed = EVERYWHERE, prepare_seconds: int = 0
    ) -> None:
        """Look at a new request, of VMs that take so long to start."""
        schedule, planner = self._schedule, self._schedule.planner
        lease = schedule.enter(request, allowed)
        schedule.book.accept(lease)
        if prepare_seconds:
            schedule.book.plan_preparation(lease, prepare_seconds)
        refusal = self._refusal(lease)
        if refusal is None:
            if request.kind is BEST_EFFORT:
                schedule.book.enqueue(lease, waits_for(lease.demand.count))
            elif request.kind is AR:
                refusal = self._reserve(lease, planner)
            elif request.kind is DEADLINE:
                refusal = self.deadlines.place(lease, planner)
            else:
                refusal = self._start_now(lease, planner)
        if refusal is not None:
            schedule.finish(lease, REJECTED, refusal.reason, refusal.code)

    def _refusal(self, lease: Lease) -> Refusal | None:
        """Return what can be said against a request without looking at the schedule."""
        request = lease.request
        said = self._policies.admission.refusal(request)
        if said is not None:
            return Refusal("policy", because(Code.POLICY, text=said))
        if request.start is not None and (refusal := self._too_soon(request.start)) is not None:
            return refusal
        for node_set in request.nodes:
            if not any(node_set.capacity):
                return Refusal("nothing", because(Code.ASKS_FOR_NOTHING))
        if not self._schedule.empty_site.fits(lease.demand):
            limited = lease.demand.rules is not None
            code = Code.TOO_LARGE_WHERE_ALLOWED if limited else Code.TOO_LARGE
            return Refusal("too-big", because(code, nodes=lease.demand.count))
        return None

    def _too_soon(self, start: int) -> Refusal | None:
        if start < self._schedule.now:
            return Refusal("in-the-past", because(Code.START_IS_PAST, start=start))
        least = self._schedule.planner.settings.non_schedulable_seconds
        if start < self._schedule.now + least:
            reason = because(Code.STARTS_TOO_SOON, start=start, seconds=least)
            return Refusal("too-soon", reason)
        return None

    def would_accept(
        self, request: LeaseRequest, prepare_seconds: int, elsewhere: Elsewhere | None = None
    ) -> bool:
        """Tell whether an AR would be accepted, if it were asked for now; nothing is changed.

        Any hosts are taken to do for it. Others go ``elsewhere`` for it, if that is given.
        """
        assert request.start is not None, "an AR has a start"
        lease = Lease(request, Demand(request))
        lease.plan_preparation(prepare_seconds, added=False)
        if self._refusal(lease) is not None:
            return False
        period = period_of(self._schedule, lease)
        planner = self._schedule.planner
        found, _, shipment = self._find_with_images(lease, period, planner, elsewhere)
        if found is None or isinstance(shipment, Refusal):
            return False
        self._promises.reroute(found.moves, back=True)
        return True

    def trying(
        self, request: LeaseRequest, starts: Sequence[int], last: int
    ) -> AbstractContextManager[None]:
        """Ask whether an AR would be accepted at some starts, to be over by ``last``, more quickly.

        Nothing changes meanwhile.
        """
        return self._promises.overlooking(Demand(request), starts, last)

    def refusal_of(self, request: LeaseRequest, allowed: Allowed) -> Refusal | None:
        """Return what can be said against a request without looking at the schedule."""
        return self._refusal(Lease(request, demand_as(request, allowed)))

    def find_changed(self, lease: Lease, asked: LeaseRequest) -> Granted | Refusal:
        """Find a way to give a promise that has not begun what is asked in its place.

        Nothing changes by that. No images are on their way for it. Fixed hosts stay, for as many
        nodes as before.
        """
        schedule, allowed = self._schedule, lease.demand.where
        as_many = asked.node_count == lease.request.node_count
        if asked.fixed_hosts and as_many and lease.plan is not None:
            allowed = HostRules(allowed=tuple([1 << host for host in lease.plan.hosts]))
        demand = demand_as(asked, allowed)
        changed = Lease(asked, demand)
        changed.plan_preparation(lease.prepare_seconds, added=lease.added_seconds > 0)
        refusal = self._refusal(changed)
        if refusal is not None:
            return refusal
        if asked.kind is DEADLINE:
            return self._find_window(lease, changed)
        period = period_of(schedule, changed)
        with self._without(lease):
            found, period = self._find(changed, period, schedule.planner)
            if found is None:
                return self._too_little(changed, period, schedule.planner)
        shutdown_seconds = schedule.planner.durations.shutdown_seconds(changed)
        return Granted(
            partial(self._place_changed, lease, asked, found, period),
            period.start,
            run_end(period.end, shutdown_seconds),
        )

    def _place_changed(
        self, lease: Lease, asked: LeaseRequest, found: Preemption, period: Period
    ) -> None:
        if lease.plan is not None:
            self._schedule.drop_plan(lease)
        self._altering.stand_as(lease, asked)
        self._promises.reroute(found.moves)
        self._take(lease, found, period, None)
        self._schedule.book.note_in_time(lease)

    def _without(self, lease: Lease) -> AbstractContextManager[None]:
        """Look at the slot table without what a lease holds, if it holds anything."""
        if lease.plan is None:
            return nullcontext()
        return without(self._schedule.table, lease.hold)

    def _find_window(self, lease: Lease, changed: Lease) -> Granted | Refusal:
        schedule = self._schedule
        with self._without(lease):
            found = self.deadlines.find(changed, schedule.planner)
        if isinstance(found, Refusal):
            return found
        shutdown_seconds = schedule.planner.durations.shutdown_seconds(changed)
        return Granted(
            partial(self._place_window, lease, changed.request, found),
            found.start,
            run_end(found.start + changed.remaining, shutdown_seconds),
        )

    def _place_window(self, lease: Lease, asked: LeaseRequest, found: Found) -> None:
        if lease.plan is not None:
            self._schedule.drop_plan(lease)
        self._altering.stand_as(lease, asked)
        self.deadlines.take(lease, found)
        self._schedule.book.note_in_time(lease)

    def place_again(
        self, lease: Lease, keep_off: HostSet = 0, elsewhere: Elsewhere | None = None
    ) -> Refusal | None:
        """Give a lease whose plan was dropped before it began hosts for the same time.

        Neither it nor who moves for it goes to hosts to ``keep_off``. Others go ``elsewhere`` for
        an AR, if that is given.
        """
        planner = self._schedule.planner.keeping_off(keep_off)
        if lease.request.kind is AR:
            return self._reserve(lease, planner, elsewhere)
        if lease.request.kind is DEADLINE:
            return self.deadlines.place(lease, planner)
        return self._start_now(lease, planner)

    def ways(self, count: int) -> Iterator[Elsewhere]:
        """Return ways to make room for so many leases, which together take no more than for one."""
        return self._promises.sharing(count)

    def place_rest(self, lease: Lease, keep_off: HostSet) -> Refusal | None:
        """Give a lease that cannot be done by its deadline what is left of its time."""
        return self.deadlines.place_rest(lease, self._schedule.planner.keeping_off(keep_off))

    # --- advance reservations ---------------------------------------------------------

    def _reserve(
        self, lease: Lease, planner: Planner, elsewhere: Elsewhere | None = None
    ) -> Refusal | None:
        """Give an AR its hosts; or say why not."""
        period = period_of(self._schedule, lease)
        if not has_time_left(self._schedule, lease, period.end):
            return Refusal("in-the-past", because(Code.END_IS_NEAR, end=period.end))
        self._schedule.book.cut(lease, period.length)
        found, period, shipment = self._find_with_images(lease, period, planner, elsewhere)
        if found is None:
            return self._too_little(lease, period, planner)
        if isinstance(shipment, Refusal):
            return shipment
        self._take(lease, found, period, shipment)
        return None

    def _find_with_images(
        self, lease: Lease, period: Period, planner: Planner, elsewhere: Elsewhere | None
    ) -> tuple[Preemption | None, Period, Shipment | Refusal | None]:
        """Hosts for an AR, its times there, and how its images come, or why they do not.

        If they come too late, it gets hosts that are open to images all the time before it.
        """
        found, times = self._find(lease, period, planner, elsewhere)
        if found is None:
            return None, times, None
        shipment = self._taking.with_images(lease, found, times.begin)
        keep_off = self._taking.closed_before(lease, times.begin)
        if isinstance(shipment, Refusal) and keep_off:
            other, then = self._find(lease, period, planner.keeping_off(keep_off), elsewhere)
            if other is not None:
                return other, then, self._taking.with_images(lease, other, then.begin)
        return found, times, shipment

    def _find(
        self, lease: Lease, period: Period, planner: Planner, elsewhere: Elsewhere | None = None
    ) -> tuple[Preemption | None, Period]:
        """Hosts for an AR, and its times there.

        One that is too near for its VMs to run by its start does not have others thrown off their
        hosts for that: it gets these at its start, if need be, and runs so much later.
        """
        found = self._rooms.hosts(lease, period.begin, period.end, planner, elsewhere)
        asked, now = lease.request.start, self._schedule.now
        assert asked is not None, "an AR has a start"
        if period.start == asked or asked <= now:
            return found, period
        if found is None or any(c.lease.started and c.suspend_at is None for c in found.clearings):
            late = period_of(self._schedule, lease, begin=asked)
            gently = self._rooms.hosts(lease, late.begin, late.end, planner, elsewhere)
            if gently is not None:
                return gently, late
        return found, period

    def place_better(self, lease: Lease, *, disturb: bool = True) -> bool:
        """Give a promise that has not begun hosts that are open, for its time; tell if it worked.

        Nothing changes if not, and nothing that runs has to leave unless it may be ``disturb``-ed.
        No images are on their way for it.
        """
        if lease.request.kind is DEADLINE:
            return self.deadlines.place_better(lease, disturb=disturb)
        schedule, period = self._schedule, period_of(self._schedule, lease)
        if not has_time_left(schedule, lease, period.end):
            return False
        with without(schedule.table, lease.hold):
            found, period = self._find(lease, period, schedule.planner)
        if found is None or not (disturb or found.disturbs_nobody):
            return False
        schedule.drop_plan(lease)
        self._promises.reroute(found.moves)
        self._take(lease, found, period, None)
        return True

    def begin_on(self, lease: Lease, hosts: Hosts, period: Period) -> None:
        """Give an AR that has not started these hosts, which are free then, in its plan's place."""
        self._schedule.drop_plan(lease)
        self._take(lease, Preemption(hosts, [], []), period, None)

    def _take(
        self, lease: Lease, found: Preemption, period: Period, shipment: Shipment | None
    ) -> None:
        book = self._schedule.book
        book.cut(lease, period.length)
        seconds = lead_seconds(self._schedule, lease)
        if seconds and period.start != lease.request.start:
            late = because(Code.VMS_RUN_LATER, seconds=seconds, moment=period.start)
            book.note_late(lease, lease.late or late)
        self._taking.take(lease, found, period.start, shipment, period.begin)

    def _too_little(self, lease: Lease, period: Period, planner: Planner) -> Refusal:
        """The reason for an AR that finds no room, even by preemption."""
        schedule, demand = self._schedule, lease.demand
        start, _, end = period
        count = demand.count
        if demand.size is None:
            limited = demand.rules is not None
            code = Code.TOO_LITTLE_ROOM_WHERE_ALLOWED if limited else Code.TOO_LITTLE_ROOM
            return Refusal("no-room", because(code, nodes=count, start=start, end=end))
        policy = self._policies.preemption
        by_id = {x.id: x for x in self._rooms.preemptible(start, end)}
        views = [
            PlacedLease(x.request, x.state, x.plan.start, x.hold.hosts)
            for x in by_id.values()
            if x.plan is not None
        ]
        victims = [by_id[v.request.id].hold for v in policy.victims(lease.request, views)]
        trial = planner.table.fork() if victims else planner.table
        for hold in victims:
            trial.withdraw(hold)
        most = level_count(trial.room(demand.size, start, end, demand.allowed), FOREVER)
        claim = schedule.claim
        enough = most >= count
        if enough and claim is not None and not self._rooms.yields(claim, lease.request):
            reason = because(
                Code.PROMISED_TO_ANOTHER,
                nodes=count,
                start=start,
                end=end,
                lease=claim.lease_id,
                moment=claim.start,
            )
            return Refusal("promised", reason)
        if enough:
            reason = because(Code.OTHERS_LEAVE_TOO_LATE, nodes=count, start=start, end=end)
            return Refusal("no-time", reason)
        reason = because(Code.TOO_FEW_FREE, nodes=count, free=most, start=start, end=end)
        return Refusal("no-room", reason)

    # --- immediate leases -------------------------------------------------------------

    def _start_now(self, lease: Lease, planner: Planner) -> Refusal | None:
        """Start an immediate lease, as soon as its images can be there; or say why not."""
        schedule, image = self._schedule, lease.request.image
        preparation, now = schedule.preparation, schedule.now
        plan, shipment = None, None
        if preparation is None or image is None:
            plan = planner.whole(lease, now, schedule.claim, 0)
        else:
            found = soonest(
                lease,
                preparation,
                now,
                now,
                lambda t, prefer, off: planner.keeping_off(off).whole(
                    lease, t, schedule.claim, prefer
                ),
            )
            if found is not None:
                plan, shipment = found
        if plan is None:
            return Refusal("no-room", self._no_room_now(lease, now, planner))
        schedule.commit(lease, plan, shipment)
        return None

    def _no_room_now(self, lease: Lease, start: int, planner: Planner) -> Reason:
        demand = lease.demand
        if demand.size is None:
            code = Code.TOO_LITTLE_ROOM_NOW
            if demand.rules is not None:
                code = Code.TOO_LITTLE_ROOM_WHERE_ALLOWED_NOW
            return because(code, nodes=demand.count)
        end = min(start + lease.remaining, FOREVER)
        room = planner.table.room(demand.size, start, end, demand.allowed)
        most = level_count(room, FOREVER)
        if most >= demand.count:
            return because(Code.WOULD_DELAY_ANOTHER, nodes=demand.count)
        return because(Code.TOO_FEW_FREE_NOW, nodes=demand.count, free=most)
