"""Reservations of waiting leases on particular hosts.

Used where mere numbers of hosts do not say all: hosts or nodes differ, an AR lies ahead,
images must be sent before a start. Every waiting lease that holds a reservation has its
plan in the slot table, provisionally; whenever something comes free it may move earlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from haizea.core.capacity.openings import Spans
from haizea.core.capacity.what_if import freed, without
from haizea.core.images.co_planning import soonest
from haizea.core.images.shipments import Shipment
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.reasons import Code, because
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.queue.fit_cache import Glance
from haizea.core.queue.refusals import Refusals
from haizea.core.schedule.due import do_what_is_due
from haizea.core.schedule.schedule import Schedule

_NO_SPANS: Final = (1, 0, 0), Spans((), 0)


class Reserving:
    """Keeps the reservations of waiting leases; ``limit`` is how many hold one, ``None`` all."""

    def __init__(self, schedule: Schedule, limit: int | None) -> None:
        self._schedule = schedule
        self._planner: Planner = schedule.planner
        self._limit = limit
        #: Of what was given back, so much was known when each lease was last looked at, and
        #: what it needed then.
        self._seen: dict[int, tuple[int, Demand]] = {}
        self._refusals = Refusals()
        self._told = 0
        self._holes = False
        #: The last answer of :meth:`_since` in this look, and to what.
        self._spans: tuple[tuple[int, int, HostSet], Spans] = _NO_SPANS

    def rest(self) -> None:
        """Forget what leases were looked at for: others plan them now."""
        self._schedule.table.openings.rest()
        self._schedule.table.forget_totals()
        self._seen.clear()

    def take_over(self, starts: dict[int, int]) -> None:
        """Give waiting leases hosts for the times that they were promised, soonest first."""
        self.rest()
        for lease, plan in self._promised(starts):
            self._schedule.commit(lease, plan, firm=False)

    @contextmanager
    def supposing(self, starts: Mapping[int, int]) -> Iterator[None]:
        """Look at the schedule as :meth:`take_over` would leave it; nothing changes."""
        with ExitStack() as supposed:
            for lease, plan in self._promised(starts):
                supposed.enter_context(self._schedule.holdings.supposing(lease, plan))
            yield

    def _promised(self, starts: Mapping[int, int]) -> Iterator[tuple[Lease, Plan]]:
        """Plans for the times that waiting leases were promised; each reckons with those before."""
        leases = self._schedule.leases
        for lease_id, start in sorted(starts.items(), key=lambda entry: (entry[1], entry[0])):
            lease = leases.get(lease_id)
            if lease is None or lease.plan is not None:
                continue
            plan = self._planner.promised(lease, max(start, self._schedule.now))
            if plan is not None:
                yield lease, plan

    def look(self, arrived: list[Lease] | None) -> None:
        """Move reservations earlier, make those that are missing, start what can start.

        Only ``arrived`` are looked at where they are given: nothing came free.
        """
        schedule, limit = self._schedule, self._limit
        if arrived is None or limit == 0:
            candidates = list(schedule.waiting)
            held = 0
        else:
            candidates = sorted(arrived, key=lambda lease: lease.key)
            held = sum(_holds_one(lease) for lease in schedule.waiting)
        floor, glance = schedule.now, Glance(schedule.table)
        known = self._listen()
        for lease in candidates:
            plain = self._planner.starts.is_plain(lease, holes=self._holes)
            if lease.plan is not None:
                if arrived is None:
                    self._move_earlier(lease, plain)
                    held += limit is not None and _holds_one(lease)
            elif self._place(lease, floor, limit is None or held < limit, glance):
                held += _holds_one(lease)
            elif limit == 0 and schedule.empty_site.fits(lease.demand):
                break
            if limit == 0 and lease.plan is not None:
                floor = max(floor, lease.plan.start)
            self._looked_at(lease, plain)
        if arrived is None:
            self._forget(known)

    # --- what came free since a lease was looked at -------------------------------------

    def _listen(self) -> int:
        """Take notice of what is given back from now on; how much that is already."""
        table = self._schedule.table
        if table.openings.listen():
            self._seen.clear()
        self._holes = table.has_firm_future
        self._refusals = Refusals()
        self._spans = _NO_SPANS
        self._told = len(table.openings)
        return self._told

    def _looked_at(self, lease: Lease, plain: bool) -> None:
        """The lease has the best plan that there is at this moment."""
        if self._limit != 0:
            self._seen[lease.id] = (len(self._schedule.table.openings), lease.demand)
            plan = lease.plan
            if plan is not None and plain:
                self._hear()
                self._refusals.add(lease.demand, lease.remaining, plan.start)

    def _forget(self, known: int) -> None:
        """All were looked at since the first ``known`` were given back."""
        self._schedule.table.openings.forget(known)
        self._seen = {
            lease.id: (seen[0] - known, seen[1])
            for lease in self._schedule.waiting
            if lease.plan is not None and (seen := self._seen.get(lease.id)) is not None
        }

    def _is_followed(self, lease: Lease, plain: bool) -> bool:
        """Tell whether only what came free since it was looked at can bring the lease forward."""
        seen = self._seen.get(lease.id)
        return (
            seen is not None
            and seen[1] is lease.demand
            and self._schedule.preparation is None
            and plain
        )

    def _since(self, lease: Lease) -> Spans:
        """Return when capacity came free since the lease was looked at, where it may run."""
        table, (before, spans) = self._schedule.table, self._spans
        openings, known = table.openings, self._seen[lease.id][0]
        key = (known, len(openings), lease.demand.allowed & ~table.shut)
        if key == before:
            return spans
        if key[2] != before[2] or not before[0] <= known <= before[1]:
            spans = Spans(openings.since(known), key[2])
        else:
            for opening in openings.between(before[0], known):
                spans.drop(opening)
            for opening in openings.since(before[1]):
                spans.add(opening)
        self._spans = key, spans
        return spans

    def _hear(self) -> None:
        """Rule out no more what reaches into capacity that came free meanwhile."""
        openings = self._schedule.table.openings
        told = len(openings)
        if self._told < told:
            for opened, _, _ in openings.since(self._told):
                self._refusals.opened(opened)
            self._told = told

    def _enough_in_all(self, lease: Lease, earliest: int, start: int) -> int:
        """The first moment from which hosts have enough together, up to the ``start`` it has.

        Only the hold of the lease itself is left out of account, by what comes before it.
        """
        table, size = self._schedule.table, lease.demand.size
        assert size is not None, "what is plain has equal nodes"
        found = table.totals().first(
            size, lease.demand.count, lease.remaining, table.now, earliest, start
        )
        return start if found is None else found

    # --- plans --------------------------------------------------------------------------

    def _place(self, lease: Lease, start: int, may_wait: bool, glance: Glance) -> bool:
        """Give a lease its plan, from ``start`` on; whether there is one."""
        found = None
        if (
            may_wait
            or start > self._schedule.now
            or glance.may_fit(lease.demand.size, lease.demand.count)
        ):
            found = self._soonest(lease, start, may_wait)
        if found is None:
            if lease.expected is not None:
                self._schedule.book.lose_claim(lease, because(Code.RESERVATIONS_ARE_TAKEN))
            return False
        self._take(lease, *found)
        glance.forget()
        return True

    def _take(self, lease: Lease, plan: Plan, shipment: Shipment | None) -> None:
        schedule = self._schedule
        schedule.commit(lease, plan, shipment, firm=plan.start == schedule.now)
        if plan.start == schedule.now:
            do_what_is_due(schedule)

    def _soonest(
        self, lease: Lease, start: int, may_wait: bool
    ) -> tuple[Plan, Shipment | None] | None:
        """The soonest plan; without ``may_wait``, one that waits for nothing but its images."""
        preparation = self._schedule.preparation
        image = lease.request.image
        self._release_shut(lease)
        if preparation is not None and preparation.pending(lease.id):
            start = max(start, preparation.arrival(lease.id))
        if preparation is None or image is None or lease.saved or lease.bound is not None:
            plan = self._plan(lease, start, may_wait, 0)
            return None if plan is None else (plan, None)
        now = self._schedule.now
        return soonest(
            lease,
            preparation,
            now,
            start,
            lambda t, prefer, off: self._plan(lease, t, may_wait, prefer, off),
        )

    def _release_shut(self, lease: Lease) -> None:
        """Let a lease whose images are where it cannot start any more go elsewhere."""
        if lease.bound is None or lease.saved:
            return
        if self._schedule.table.shut & host_set(lease.bound) or not lease.demand.permits(
            lease.bound
        ):
            self._schedule.unbind(lease)

    def _plan(
        self, lease: Lease, start: int, may_wait: bool, prefer: HostSet, keep_off: HostSet = 0
    ) -> Plan | None:
        planner = self._planner.keeping_off(keep_off)
        if not may_wait:
            return planner.at(lease, start, prefer=prefer)
        return planner.earliest(lease, start, prefer=prefer)

    def _move_earlier(self, lease: Lease, plain: bool) -> None:
        """Move a reservation that has not begun to an earlier start, if there is one."""
        schedule, plan = self._schedule, lease.plan
        assert plan is not None, "it has a reservation"
        before = plan.start
        if before <= schedule.now or lease.started:
            return
        ready = earliest = schedule.now
        if schedule.preparation is not None and schedule.preparation.pending(lease.id):
            ready = earliest = schedule.preparation.arrival(lease.id)
        if earliest >= before:
            return
        if self._is_followed(lease, plain):
            self._follow(lease, earliest, before)
            return
        with without(schedule.table, lease.hold), freed(schedule.channel, plan.exclusive):
            better = self._planner.earliest(lease, earliest, before, ready=ready)
        if better is None or better.runs_from >= plan.runs_from:
            return
        schedule.replace(lease, better)
        if better.start == schedule.now:
            do_what_is_due(schedule)

    def _follow(self, lease: Lease, earliest: int, start: int) -> None:
        """Move a reservation to the first moment from which there is room where some came free.

        That is before the ``start`` that the lease has. Its own hold stays where it is until there
        is such a moment, because most find nothing.
        """
        table, spans = self._schedule.table, self._since(lease)
        before, own = min(start, spans.end), start - lease.remaining + 1
        # Until then its own hold is not in the way, as it was not for those who found no room.
        if earliest < min(own, before):
            self._hear()
            bound = self._refusals.bound(lease.demand, lease.remaining)
            earliest = max(earliest, min(own, bound))
        if earliest < before:
            earliest = self._enough_in_all(lease, earliest, start)
        if earliest >= before:
            return
        moments = table.moments(lease.demand, lease.remaining, earliest, before, spans, lease.hold)
        found = next(moments, None)
        if found is not None:
            moment, levels = found
            self._schedule.bring_forward(lease, moment, levels)
            if moment == table.now:
                do_what_is_due(self._schedule)


def _holds_one(lease: Lease) -> bool:
    """Tell whether a waiting lease's reservation waits for hosts, so that it counts."""
    return lease.plan is not None and lease.plan.waits and not lease.started
