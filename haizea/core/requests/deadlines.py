"""Leases with a deadline: room somewhere in their window, and sooner where there is some.

One that is accepted holds hosts, as an AR does, at a time that lets it be done by its
deadline. Until it begins, that time is a plan: it begins sooner where hosts stay idle, and
later where that makes room for another that could not be promised otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from heapq import heappop, heappush
from typing import NamedTuple

from haizea.core.capacity.what_if import freed, without
from haizea.core.images.co_planning import soonest
from haizea.core.images.shipments import Shipment
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.placement.interrupting import going_on
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.preemption import Preemption
from haizea.core.placement.remapping import Effort
from haizea.core.placement.shadow import Claim
from haizea.core.requests.promises import Promises
from haizea.core.requests.rooms import Rooms
from haizea.core.requests.taking import Refusal, Taking, no_time_by_deadline
from haizea.core.schedule.due import do_what_is_due
from haizea.core.schedule.interruptions import Interruptions
from haizea.core.schedule.schedule import Schedule

#: Where others may be preempted, each way before takes one of so many parts of the effort.
_PARTS_BEFORE_THE_LAST = 4
#: Preempting others is tried for so many starts.
_MOST_STARTS = 6
#: So many deadlines are tried in search of the nearest that would do, by halving.
_MOST_OFFERS = 7


class Found(NamedTuple):
    """Room for a lease from ``start`` on; its images come by ``shipment``.

    What is saved of one that goes on is resumed by ``plan``.
    """

    start: int
    room: Preemption
    shipment: Shipment | None = None
    plan: Plan | None = None


class Deadlines:
    """Finds times for leases with a deadline."""

    def __init__(
        self, schedule: Schedule, promises: Promises, rooms: Rooms, taking: Taking
    ) -> None:
        self._schedule = schedule
        self._promises = promises
        self._rooms = rooms
        self._taking = taking
        #: When leases that are planned later may begin, soonest first.
        self.afters: list[tuple[int, int]] = []

    # --- admission ----------------------------------------------------------------------

    def shared_by(self, count: int) -> AbstractContextManager[None]:
        """Have the search for so many leases together take as long as for one."""
        return self._promises.shared_by(count)

    def place(self, lease: Lease, planner: Planner) -> Refusal | None:
        """Give a lease room in its window; or say why not."""
        found = self.find(lease, planner)
        if isinstance(found, Refusal):
            return found
        self.take(lease, found)
        return None

    def place_rest(self, lease: Lease, planner: Planner) -> Refusal | None:
        """Give a lease that cannot be done in time what is left until its deadline."""
        schedule, whole, deadline = self._schedule, lease.remaining, lease.request.deadline
        assert deadline is not None, "it has a deadline"
        left = deadline - max(schedule.now, lease.request.after or 0)
        if left <= schedule.planner.durations.shutdown_seconds(lease):
            return Refusal("in-the-past", because(Code.END_IS_NEAR, end=deadline))
        schedule.book.cut(lease, min(left, whole))
        refusal = self.place(lease, planner)
        if refusal is not None:
            schedule.book.cut(lease, whole)
        return refusal

    def place_better(self, lease: Lease, *, disturb: bool = True) -> bool:
        """Give a lease that has not begun hosts that are open; whether there are any.

        Nothing that runs has to leave for it unless it may be ``disturb``-ed.
        """
        schedule = self._schedule
        with without(schedule.table, lease.hold):
            found = self.find(lease, schedule.planner)
        if isinstance(found, Refusal) or not (disturb or found.room.disturbs_nobody):
            return False
        schedule.drop_plan(lease)
        self.take(lease, found)
        return True

    def take(self, lease: Lease, found: Found) -> None:
        """Give a lease the room that was found for it."""
        if found.plan is not None:
            Interruptions(self._schedule).resume(lease, found.plan)
            return
        now, after = self._schedule.now, lease.request.after
        if after is not None and after > now:
            heappush(self.afters, (after, lease.id))
        self._promises.reroute(found.room.moves)
        self._taking.take(lease, found.room, found.start, found.shipment)

    def find(self, lease: Lease, planner: Planner, first: int = 0) -> Found | Refusal:
        """Find room for a lease in its window, not before ``first``; or say why it is refused.

        Each way only where those before it fail: beside what is there, with others on other
        hosts or at other times, at the cost of a claim, by preemption.
        """
        request, last = lease.request, lease.last_start
        assert request.deadline is not None, "it has a deadline"
        first = max(first, self._schedule.now, request.after or 0)
        if first > last:
            reason = because(
                Code.DEADLINE_TOO_NEAR, seconds=lease.remaining, start=first, end=request.deadline
            )
            return Refusal("too-soon", reason)
        if lease.saved:
            plan = going_on(planner, lease, first, self._schedule.claim)
            if plan is None:
                return no_time_by_deadline(lease, first)
            return Found(plan.start, Preemption(plan.hosts, [], []), None, plan)
        if self._schedule.needs_images(request):
            return self._with_images(lease, first, last, planner)
        found = self._with_others(lease, first, last, planner)
        return no_time_by_deadline(lease, first) if found is None else found

    def _with_others(self, lease: Lease, first: int, last: int, planner: Planner) -> Found | None:
        """Room by each way that takes no images; those together take one effort."""
        effort, claim = self._promises.effort(), self._schedule.claim
        until = min(last + lease.remaining, FOREVER)
        yields = claim is not None and self._rooms.yields(claim, lease.request)
        alone = not self._rooms.may_make_room(until)
        with effort.share(1 if alone and not yields else _PARTS_BEFORE_THE_LAST) as share:
            found = self._promised(lease, first, last, planner, claim, share)
        if found is None and yields:
            with effort.share(1 if alone else _PARTS_BEFORE_THE_LAST) as share:
                found = self._promised(lease, first, last, planner, None, share)
        if found is None and not alone:
            found = self._preempting(lease, first, last, planner, effort)
        return found

    def _promised(
        self,
        lease: Lease,
        first: int,
        last: int,
        planner: Planner,
        claim: Claim | None,
        effort: Effort,
    ) -> Found | None:
        """Room beside what is there, or with others on other hosts or at other times."""
        plan = planner.earliest_whole(lease, first, last + 1, claim)
        if plan is not None:
            return Found(plan.start, Preemption(plan.hosts, [], []))
        with self._rooms.guarded(claim, planner):
            found = self._promises.sometime(planner, lease, first, last, effort)
        if found is None:
            return None
        return Found(found.start, Preemption(found.room.hosts, [], found.room.moves))

    def _preempting(
        self, lease: Lease, first: int, last: int, planner: Planner, effort: Effort
    ) -> Found | None:
        """Room that others make, as late as possible: who is preempted then loses least.

        Only where that is in vain, whenever somebody may also leave for those who move for it.
        """
        with effort.share(2) as half:
            wide = self._rooms.in_window(lease, first, last, planner, half)
        elsewhere = self._promises.elsewhere(effort)
        for start in self._late_starts(lease, first, last, planner):
            end = min(start + lease.remaining, FOREVER)
            room = self._rooms.hosts(lease, start, end, planner, elsewhere)
            if room is not None:
                return Found(start, room)
        return None if wide is None else Found(*wide)

    def _late_starts(self, lease: Lease, first: int, last: int, planner: Planner) -> Iterator[int]:
        """Starts in the window that are worth a try, the last first."""
        starts = {last, first}
        for moment in planner.table.candidate_starts(first):
            if moment > last:
                break
            starts.add(moment)
        firm = planner.table.firm_starts(first, min(last + lease.remaining, FOREVER))
        starts.update(m - lease.remaining for m in firm if m - lease.remaining >= first)
        yield from sorted(starts, reverse=True)[: _MOST_STARTS - 1]
        if len(starts) >= _MOST_STARTS:
            yield first

    def _with_images(
        self, lease: Lease, first: int, last: int, planner: Planner
    ) -> Found | Refusal:
        """Room as soon as its images can be there; else at the last moment, as for an AR."""
        schedule, claim = self._schedule, self._schedule.claim
        preparation = schedule.preparation
        assert preparation is not None, "images are managed"
        found = soonest(
            lease,
            preparation,
            schedule.now,
            first,
            lambda t, prefer, off: planner.keeping_off(off).earliest_whole(
                lease, max(t, first), last + 1, claim, prefer
            ),
        )
        if found is not None:
            plan, shipment = found
            return Found(plan.start, Preemption(plan.hosts, [], []), shipment)
        end = min(last + lease.remaining, FOREVER)
        refusal = no_time_by_deadline(lease, first)
        for keep_off in sorted({0, self._taking.closed_before(lease, last)}):
            room = self._rooms.hosts(lease, last, end, planner.keeping_off(keep_off))
            if room is None:
                break
            by_then = self._taking.with_images(lease, room, last)
            if not isinstance(by_then, Refusal):
                self._promises.reroute(room.moves, back=True)
                return Found(last, room, by_then)
            refusal = by_then
        return refusal

    # --- what would do ------------------------------------------------------------------

    def nearest(
        self,
        request: LeaseRequest,
        enough: Callable[[], bool],
        prepare_seconds: int = 0,
    ) -> int | None:
        """Return the nearest deadline by which a lease could be done; ``None`` if none is found.

        It can still be asked for as long as the settings say, and its VMs take up to
        ``prepare_seconds`` s to start. ``enough`` is asked again and again
        whether to stop looking: what was found until then is answered.
        """
        schedule = self._schedule
        notice_seconds = schedule.planner.settings.notice_seconds
        first = max(schedule.now + notice_seconds, request.after or 0)
        endless = replace(request, deadline=FOREVER)
        lease = self._draft(endless, prepare_seconds)
        plan = schedule.planner.earliest_whole(lease, first, FOREVER, schedule.claim)
        if plan is None or plan.end >= FOREVER or request.image is not None:
            return None
        ends = [
            moment + lease.remaining
            for moment in schedule.table.candidate_starts(first)
            if moment < plan.start and moment + lease.remaining > (request.deadline or 0)
        ]
        best, low, high = plan.end, 0, len(ends)
        for _ in range(_MOST_OFFERS):
            if low >= high or enough():
                break
            middle = (low + high) // 2
            nearer = replace(request, deadline=ends[middle])
            if self._would_do(self._draft(nearer, prepare_seconds), first):
                best, high = ends[middle], middle
            else:
                low = middle + 1
        return best

    def _draft(self, request: LeaseRequest, prepare_seconds: int) -> Lease:
        lease = Lease(request, Demand(request))
        counts = self._schedule.planner.settings.counts_preparation
        lease.plan_preparation(prepare_seconds, added=not counts)
        return lease

    def _would_do(self, lease: Lease, first: int) -> bool:
        return not isinstance(self.find(lease, self._schedule.planner, first), Refusal)

    # --- sooner than planned ------------------------------------------------------------

    def next_time(self) -> int | None:
        """The next moment from which a lease that is planned later may begin."""
        afters = self.afters
        while afters and not self._waits(afters[0][1]):
            heappop(afters)
        return afters[0][0] if afters else None

    def come_due(self) -> bool:
        """Tell whether a lease that is planned later may begin from this moment on."""
        due = False
        while self.afters and (moment := self.next_time()) is not None:
            if moment > self._schedule.now:
                break
            heappop(self.afters)
            due = True
        return due

    def remember(self) -> None:
        """Go on with the leases of an earlier scheduler."""
        for lease in self._schedule.book.deadlines.values():
            after = lease.request.after
            if after is not None and after > self._schedule.now:
                heappush(self.afters, (after, lease.id))

    def _waits(self, lease_id: int) -> bool:
        lease = self._schedule.book.deadlines.get(lease_id)
        return lease is not None and not lease.started

    def start_sooner(self) -> None:
        """Start leases before their time, on hosts that nobody was promised or waits for.

        Who has the least time to spare comes first. Where nobody may overtake, they do not either.
        """
        schedule = self._schedule
        if not schedule.book.deadlines:
            return
        now = schedule.now
        if schedule.planner.settings.reservations == 0 and len(schedule.waiting):
            return
        planned = [x for x in self._promises.in_time() if x.hold.start > now]
        saved = [x for x in schedule.book.deadlines.values() if x.saved and x.rest is not None]
        for lease in sorted(saved, key=lambda lease: (lease.last_start, lease.id)):
            self._go_on(lease)
        refused: dict[Capacity | None, list[tuple[int, int]]] = {}
        for lease in sorted(planned, key=lambda lease: (lease.last_start, lease.id)):
            if lease.request.after is not None and lease.request.after > now:
                continue
            count, length, known = lease.demand.count, lease.remaining, lease.demand.size
            if any(c <= count and n <= length for c, n in refused.get(known, ())):
                continue
            if not self._start(lease) and known is not None and not lease.demand.rules:
                refused.setdefault(known, []).append((count, length))

    def _go_on(self, lease: Lease) -> None:
        """Resume a lease now, if it runs sooner by that."""
        schedule, old = self._schedule, lease.rest
        if old is None or old.start <= schedule.now:
            return
        with without(schedule.table, lease.hold), freed(schedule.channel, old.exclusive):
            plan = schedule.planner.whole(lease, schedule.now, schedule.claim, 0)
        if plan is not None and plan.runs_from < old.runs_from:
            self._take_up(lease, plan)

    def _start(self, lease: Lease) -> bool:
        """Start a lease now, if there is room; whether it was."""
        schedule = self._schedule
        with without(schedule.table, lease.hold):
            plan = schedule.planner.whole(lease, schedule.now, schedule.claim, 0)
        if plan is None:
            return False
        self._take_up(lease, plan)
        return True

    def _take_up(self, lease: Lease, plan: Plan) -> None:
        schedule = self._schedule
        schedule.replace(lease, plan)
        do_what_is_due(schedule)
        if schedule.claim is not None:
            schedule.claim.taken(schedule.table, plan.end)
