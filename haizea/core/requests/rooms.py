"""Room for a lease at an exact time, each way to make it only where those before it fail."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Final

from haizea.core.capacity.slottable import SlotTable
from haizea.core.capacity.what_if import assuming
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.policy import PlacedLease, Policies
from haizea.core.model.resources import FOREVER
from haizea.core.placement.interrupting import interrupt
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.placement.preemption import Preemption, make_room
from haizea.core.placement.remapping import MOST_HOSTS, Effort, Elsewhere, Remapped, around
from haizea.core.placement.shadow import Claim
from haizea.core.placement.sketch import Retimed
from haizea.core.placement.vacating import vacate, vacate_in_window
from haizea.core.requests.promises import Promises
from haizea.core.schedule.schedule import Schedule

#: Each way takes one of so many parts of the effort; the last one, which is the most likely to
#: find room, has what is left.
_PARTS_BEFORE_THE_LAST: Final = 4


class Rooms:
    """Finds room in a schedule; nothing changes by that."""

    def __init__(self, schedule: Schedule, policies: Policies, promises: Promises) -> None:
        self._schedule = schedule
        self._policies = policies
        self._promises = promises

    def hosts(
        self,
        lease: Lease,
        start: int,
        end: int,
        planner: Planner,
        elsewhere: Elsewhere | None = None,
        spared: Container[int] = (),
        *,
        interrupts: bool = True,
    ) -> Preemption | None:
        """Hosts for an AR, each way only where those before it fail.

        Beside what is there, moving what has not begun, at the cost of a claim, by preemption; not
        of the leases to be ``spared``, by id. At last, if it ``interrupts``, by suspending leases
        with deadlines that go on in time.
        """
        claim, request = self._schedule.claim, lease.request
        elsewhere = elsewhere or self._promises.elsewhere()

        def beside(claim: Claim | None) -> Preemption | None:
            return self._beside(lease, start, end, claim, planner)

        def by_moving(*, last: bool) -> Preemption | None:
            parts = 1 if last else _PARTS_BEFORE_THE_LAST
            found = elsewhere(planner.table, lease, start, end, parts)
            return None if found is None else Preemption(found.hosts, [], found.moves)

        found = beside(claim)
        if found is not None:
            return found
        candidates = [x for x in self.preemptible(start, end) if x.id not in spared]
        about = [x for x in self._preemptible_about(start, end) if x.id not in spared]
        in_time = self._in_time(start, end) if interrupts else []
        policy = self._policies.preemption
        alone = not candidates and not about and not in_time
        yields = claim is not None and self.yields(claim, request)
        with self.guarded(claim, planner):
            found = by_moving(last=not yields and alone)
        if found is None and yields:
            claim = None
            found = beside(None) or by_moving(last=alone)
        if found is not None:
            return found
        with self.guarded(claim, planner):
            now = self._schedule.now
            # It says more surely whether there is room at all, at the cost of more who go.
            wide = vacate(planner, policy, lease, start, end, about, elsewhere, now)
            found = make_room(planner, policy, lease, start, end, candidates, elsewhere, now)
            found = found or wide
            if found is None and in_time:
                period = start, end
                found = interrupt(
                    planner, policy, lease, period, candidates, in_time, elsewhere, now
                )
        return found

    def in_window(
        self, lease: Lease, first: int, last: int, planner: Planner, effort: Effort
    ) -> tuple[int, Preemption] | None:
        """A start in the window, and hosts that preemptible leases and others leave by then."""
        now, until = self._schedule.now, min(last + lease.remaining, FOREVER)
        # Others may be at another time as soon as now.
        about = self._preemptible_about(now, until)
        claim, policy = self._schedule.claim, self._policies.preemption

        def sometime(table: SlotTable) -> Retimed | None:
            on_table = planner.on(table, planner.channel)
            plan = on_table.earliest_whole(lease, first, last + 1, None)
            if plan is not None:
                return Retimed(plan.start, Remapped(plan.hosts, []))
            return self._promises.sometime(on_table, lease, first, last, effort)

        if claim is not None and self.yields(claim, lease.request):
            claim = None
        with self.guarded(claim, planner):
            return vacate_in_window(planner, policy, lease, last, about, sometime, now)

    def _beside(
        self, lease: Lease, start: int, end: int, claim: Claim | None, planner: Planner
    ) -> Preemption | None:
        """Hosts that are free, and leave a claim its room."""
        known = self._promises.overview
        if known is not None and not known.may_have_room(
            planner.table, start, end, lease.demand.allowed
        ):
            return None
        preparation, image = self._schedule.preparation, lease.request.image
        prefer = 0
        if preparation is not None and image is not None:
            prefer = preparation.at_hand(image)
        hosts = planner.free_hosts(lease, start, end, claim, prefer)
        return None if hosts is None else Preemption(hosts, [], [])

    def yields(self, claim: Claim, request: LeaseRequest) -> bool:
        """Tell whether a waiting lease's claim makes room for this request."""
        holder = self._schedule.leases[claim.lease_id]
        view = PlacedLease(holder.request, holder.state, claim.start, 0)
        return holder.request.preemptible and bool(
            self._policies.preemption.victims(request, [view])
        )

    @contextmanager
    def guarded(self, claim: Claim | None, planner: Planner) -> Iterator[None]:
        """Keep hosts free for a claim that does not make room, while others are looked at."""
        plan = None
        if claim is not None:
            # What it waits for may be late, so that it is looked at before the queue is.
            start = max(claim.start, self._schedule.now)
            plan = planner.at(self._schedule.leases[claim.lease_id], start)
        if plan is None:
            yield
        else:
            with assuming(planner.table, plan.start, plan.end, plan.use):
                yield

    def preemptible(self, start: int, end: int) -> list[Lease]:
        """Leases that may be preempted and hold hosts in that time, by id."""
        schedule, some = self._schedule, self._schedule.book.preemptible
        if not some:
            return []
        holds = schedule.table.holds_between(start, end)
        return [schedule.leases[i] for i in sorted({h.owner for h in holds if h.owner in some})]

    def _preemptible_about(self, start: int, end: int) -> list[Lease]:
        """Such leases that hold hosts when somebody may move for who is there in that time.

        On sites where all that is about then may move.
        """
        table = self._schedule.table
        if not self._schedule.book.preemptible or len(table.capacities) > MOST_HOSTS:
            return []
        return self.preemptible(*around(table, self._promises, start, end))

    def may_make_room(self, until: int) -> bool:
        """Tell whether somebody may leave hosts until then for another, or go on later."""
        if self.preemptible(self._schedule.now, until):
            return True
        return any(True for _ in self._going())

    def _in_time(self, start: int, end: int) -> list[Lease]:
        """Leases of them that hold hosts in that time, or are to, by id."""
        going = {lease.id: lease for lease in self._going()}
        if not going:
            return []
        holds = self._schedule.table.holds_between(start, end)
        return [going[i] for i in sorted({h.owner for h in holds if h.owner in going})]

    def _going(self) -> Iterator[Lease]:
        schedule = self._schedule
        if not schedule.planner.suspends:
            return
        for lease in schedule.book.deadlines.values():
            if lease.since is None and not lease.saved:
                continue  # As most of them: it has not begun.
            if lease.rest is not None or (lease.started and schedule.planner.suspendable(lease)):
                yield lease
