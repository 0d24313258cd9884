"""Changes of leases: another start, end, size or standing, as a whole or not at all.

What waits is planned anew, what is promised gets hosts for what it is to be, what runs ends at
another time. All of that is found out first; a change that is refused changes nothing, and the
nearest that would do is told.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from haizea.core.capacity.what_if import freed, without
from haizea.core.model.hostrules import HostRules
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.members import (
    ACTIVE,
    BEST_EFFORT,
    DEADLINE,
    FIRM,
    QUEUED,
    RUN,
    SCHEDULED,
    SUSPENDED_QUEUED,
    SUSPENDED_SCHEDULED,
)
from haizea.core.model.policy import Policies
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER
from haizea.core.model.turn import ChangeTrial
from haizea.core.placement.interrupting import as_saved, going_on
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.preemption import Preemption, Rest
from haizea.core.placement.remapping import Elsewhere
from haizea.core.requests.admission import Admission
from haizea.core.requests.counteroffers import Offers
from haizea.core.requests.periods import run_end
from haizea.core.requests.promises import Promises
from haizea.core.requests.rooms import Rooms
from haizea.core.requests.taking import Granted, Refusal, no_time_by_deadline
from haizea.core.schedule.altering import Altering, remaining_as
from haizea.core.schedule.interruptions import Interruptions
from haizea.core.schedule.schedule import Schedule

#: The effort to find what would do instead is shared by so many tries, at least.
_PARTS = 4
#: For these reasons another time may do.
_OTHER_TIME = frozenset({"no-room", "no-time", "promised"})
#: For these, too, where it has not begun.
_NEAR = frozenset({"too-soon", "in-the-past"})
_WAITS = frozenset({QUEUED, SCHEDULED, SUSPENDED_QUEUED, SUSPENDED_SCHEDULED})


class Changes:
    """Grants changes of leases, or says why not."""

    def __init__(
        self, schedule: Schedule, policies: Policies, admission: Admission, offers: Offers
    ) -> None:
        self._schedule = schedule
        self._policies = policies
        self._admission = admission
        self._offers = offers
        self._promises = Promises(schedule)
        self._rooms = Rooms(schedule, policies, self._promises)
        self._altering = Altering(schedule)
        self._interruptions = Interruptions(schedule)

    def change(self, lease_id: int, asked: LeaseRequest, instead_of: LeaseRequest | None) -> None:
        """Let a lease be what is asked; where ``instead_of`` is given, only if it is that now."""
        book, lease = self._schedule.book, self._schedule.leases.get(lease_id)
        if lease is None:
            book.refuse_change(lease_id, because(Code.IS_OVER), None)
            return
        found = self._find(lease, asked, instead_of)
        if isinstance(found, Granted):
            found.carry_out()
            book.say_altered(lease)
        else:
            book.refuse_change(lease_id, found.reason, self._offer(lease, asked, found))

    def trial(
        self, lease_id: int, asked: LeaseRequest, instead_of: LeaseRequest | None
    ) -> ChangeTrial:
        """Find out what :meth:`change` would lead to; nothing changes."""
        lease = self._schedule.leases.get(lease_id)
        if lease is None:
            return ChangeTrial(because(Code.IS_OVER))
        found = self._find(lease, asked, instead_of)
        if isinstance(found, Granted):
            left = remaining_as(lease, asked)
            return ChangeTrial(start=found.start, end=found.end, remaining=left)
        return ChangeTrial(found.reason, self._offer(lease, asked, found))

    def _find(
        self, lease: Lease, asked: LeaseRequest, instead_of: LeaseRequest | None
    ) -> Granted | Refusal:
        """Find a way to let a lease be what is asked; nothing changes by that."""
        request, plan = lease.request, lease.plan
        if instead_of not in (None, request):
            return Refusal("busy", because(Code.CHANGED_MEANWHILE))
        leaves = plan is not None and bool(plan.suspends or plan.drops)
        stays = request.preemptible and not asked.preemptible
        if leaves and stays and plan is not None and lease not in self._schedule.waiting:
            # Its hosts are promised to somebody from then on.
            return Refusal("busy", because(Code.LEAVES_FIRST, moment=plan.end))
        if asked == replace(request, preemptible=asked.preemptible):
            return self._stand_otherwise(lease, asked)
        if lease.state is ACTIVE:
            return self._end_otherwise(lease, asked)
        if lease.started or lease.state not in _WAITS:
            return Refusal("busy", because(Code.IS_BUSY, text=lease.state.value))
        if request.image is not None and self._schedule.preparation is not None:
            return Refusal("busy", because(Code.IMAGE_IS_PLANNED, image=request.image.name))
        if lease.saved and request.kind is DEADLINE:
            return self._go_on_otherwise(lease, asked)
        if request.kind in FIRM:
            return self._admission.find_changed(lease, asked)
        if request.kind is BEST_EFFORT:
            return self._wait_otherwise(lease, asked)
        return Refusal("busy", because(Code.IS_BUSY, text=lease.state.value))

    def _stand_otherwise(self, lease: Lease, asked: LeaseRequest) -> Granted:
        if lease in self._schedule.waiting:
            return Granted(partial(self._altering.wait_as, lease, asked))
        carry_out = partial(self._altering.stand_as, lease, asked)
        run = None if lease.plan is None else lease.plan.phase(RUN)
        return Granted(carry_out) if run is None else Granted(carry_out, run.start, run.end)

    def _wait_otherwise(self, lease: Lease, asked: LeaseRequest) -> Granted | Refusal:
        if lease.saved and asked.nodes != lease.request.nodes:
            return Refusal("busy", because(Code.SAVED_AS_IT_IS))
        refusal = self._admission.refusal_of(asked, lease.demand.where)
        if refusal is not None:
            return refusal
        if remaining_as(lease, asked) <= 0:
            return Refusal("in-the-past", because(Code.HAS_RUN, seconds=lease.ran))
        return Granted(partial(self._altering.wait_as, lease, asked))

    def _go_on_otherwise(self, lease: Lease, asked: LeaseRequest) -> Granted | Refusal:
        """Let a lease with a deadline that is saved go on for longer, or be done by another."""
        plan = lease.plan
        if plan is None:
            return Refusal("busy", because(Code.IS_BUSY, text=lease.state.value))
        if asked.nodes != lease.request.nodes:
            return Refusal("busy", because(Code.SAVED_AS_IT_IS))
        refusal = self._admission.refusal_of(asked, lease.demand.where)
        if refusal is not None:
            return refusal
        saved = as_saved(lease, asked=asked)
        if saved.remaining <= self._schedule.planner.durations.shutdown_seconds(saved):
            return Refusal("in-the-past", because(Code.HAS_RUN, seconds=lease.ran))
        found = self._rest(lease, saved, self._schedule.now)
        if isinstance(found, Refusal):
            return found
        return Granted(partial(self._go_on_as, lease, asked, found), found.runs_from, found.end)

    def _rest(self, lease: Lease, saved: Lease, first: int) -> Plan | Refusal:
        """A plan by which a lease goes on once it is ``saved``, in the place of the one it has."""
        schedule, rest = self._schedule, lease.rest
        with ExitStack() as otherwise:
            if rest is not None and rest.hold is not None:
                otherwise.enter_context(without(schedule.table, rest.hold))
                otherwise.enter_context(freed(schedule.channel, rest.exclusive))
            found = going_on(schedule.planner, saved, first, schedule.claim)
        return no_time_by_deadline(saved, first) if found is None else found

    def _go_on_as(self, lease: Lease, asked: LeaseRequest, rest: Plan) -> None:
        rests = [Rest(lease, rest)]
        self._interruptions.lift(rests)
        self._altering.stand_as(lease, asked)
        self._interruptions.go_on(rests)

    # --- what runs ----------------------------------------------------------------------

    def _end_otherwise(self, lease: Lease, asked: LeaseRequest) -> Granted | Refusal:
        """Let a lease that runs end sooner or later."""
        same = replace(lease.request, duration=asked.duration, preemptible=asked.preemptible)
        if asked != replace(same, deadline=asked.deadline):
            return Refusal("busy", because(Code.ONLY_ITS_END))
        under_way, plan = lease.under_way, lease.plan
        if under_way is None or plan is None or under_way.purpose is not RUN:
            return Refusal("busy", because(Code.SHUTS_DOWN))
        end = min(under_way.start + remaining_as(lease, asked), FOREVER)
        shutdown_seconds = self._schedule.planner.durations.shutdown_seconds(lease)
        if end - shutdown_seconds <= self._schedule.now:
            return Refusal("in-the-past", because(Code.WOULD_END_BY, end=end))
        if asked.deadline is not None and end > asked.deadline:
            late = because(Code.ENDS_AFTER_DEADLINE, end=end, moment=asked.deadline)
            return Refusal("too-soon", late)
        if plan.suspends or plan.drops:
            if end <= under_way.end:
                return Refusal("busy", because(Code.LEAVES_FIRST, moment=plan.end))
            if lease.request.kind is DEADLINE:
                return self._rest_otherwise(lease, asked, plan, under_way.start)
            stands = partial(self._altering.stand_as, lease, asked)
            return Granted(stands, under_way.start, under_way.end)
        found = self._keep_hosts(lease, asked, end) if end > plan.end else None
        if isinstance(found, Refusal):
            return found
        return Granted(
            partial(self._end_as, lease, asked, found),
            under_way.start,
            run_end(end, shutdown_seconds),
        )

    def _rest_otherwise(
        self, lease: Lease, asked: LeaseRequest, plan: Plan, start: int
    ) -> Granted | Refusal:
        """Let a lease that is to be suspended go on for longer after that, or for less long."""
        found = self._rest(lease, as_saved(lease, plan.phases[-1].start, asked), plan.end)
        if isinstance(found, Refusal):
            return found
        return Granted(partial(self._go_on_as, lease, asked, found), start, found.end)

    def _end_as(self, lease: Lease, asked: LeaseRequest, found: Preemption | None) -> None:
        if found is not None:
            reason = because(Code.ANOTHER_KEEPS_HOSTS, lease=lease.id)
            self._interruptions.lift(found.rests)
            for clearing in found.clearings:
                self._schedule.clear(clearing, reason)
            self._promises.reroute(found.moves)
            self._schedule.holdings.move(found.moves, reason)
        self._altering.end_as(lease, asked)
        if found is not None:
            self._interruptions.go_on(found.rests)

    def _keep_hosts(self, lease: Lease, asked: LeaseRequest, end: int) -> Preemption | Refusal:
        """Find room for a lease that runs to keep its hosts until ``end``, as for an AR."""
        plan = lease.plan
        assert plan is not None, "it runs"
        said = self._policies.admission.refusal(asked)
        if said is not None:
            return Refusal("policy", because(Code.POLICY, text=said))
        found = self._behind(lease, asked, end)
        if found is None:
            reason = because(Code.HOSTS_PROMISED, start=plan.end, end=end)
            return Refusal("no-room", reason)
        return found

    def _behind(
        self, lease: Lease, asked: LeaseRequest, end: int, elsewhere: Elsewhere | None = None
    ) -> Preemption | None:
        plan = lease.plan
        assert plan is not None, "it runs"
        here = HostRules(allowed=tuple([1 << host for host in plan.hosts]))
        longer = Lease(asked, Demand(asked, here))
        return self._rooms.hosts(longer, plan.end, end, self._schedule.planner, elsewhere)

    # --- what would do ------------------------------------------------------------------

    def _offer(self, lease: Lease, asked: LeaseRequest, refusal: Refusal) -> int | None:
        """The nearest start or deadline, or the latest end of what runs, that would be granted."""
        if lease.plan is None or lease.rest is not None:
            return None
        runs = lease.state is ACTIVE
        if refusal.code not in _OTHER_TIME and (runs or refusal.code not in _NEAR):
            return None
        if runs:
            return self._latest_end(lease, asked)
        if asked.kind not in FIRM:
            return None
        with without(self._schedule.table, lease.hold):
            shared = self._admission.ways(_PARTS)
            return self._offers.nearest(asked, lambda: False, lease.prepare_seconds, shared)

    def _latest_end(self, lease: Lease, asked: LeaseRequest) -> int | None:
        """The latest end at which something else starts that would be granted, if there is any."""
        plan, table = lease.plan, self._schedule.table
        assert plan is not None, "it runs"
        last = FOREVER if asked.duration is None else plan.end + asked.duration
        ends = sorted(set(table.firm_starts(plan.end, last)))
        if not ends:
            return None
        ways = self._promises.sharing(_PARTS)
        with self._promises.overlooking(Demand(asked), [plan.end], ends[-1]):
            # Whoever may stay until some end may stay until each before it.
            granted = bisect_left(
                ends, True, key=lambda end: self._behind(lease, asked, end, next(ways)) is None
            )
        return ends[granted - 1] if granted else None
