"""The queue: which waiting leases start, and which may overtake.

Waiting leases are looked at in the order of the queue. With ``off`` the first that cannot
start stops all others. With ``aggressive`` it gets a claim on its earliest start, and
others may start beside it. With ``intermediate`` and ``conservative``, and wherever
images must be sent ahead, waiting leases hold reservations on hosts; whenever something
comes free, each may move to an earlier start.

A look at the whole queue is needed only after something came free. Until then a lease
that could not start cannot start now either, so only new ones are looked at.
"""

from __future__ import annotations

from haizea.core.claim import Claim
from haizea.core.hosts import HostSet, host_set
from haizea.core.placement import Planner
from haizea.core.plan import Lease, Plan
from haizea.core.preparation import Shipment
from haizea.core.resources import FOREVER, Capacity
from haizea.core.schedule import Schedule
from haizea.core.sizes import level_count

#: Hosts for which images are at hand change with the start, and the start with the images
#: that are missing: so often it is tried again with the moment found.
_TRIES = 8


class Queue:
    """Makes the plans of waiting leases. ``reservations``: how many may hold one, ``None`` all."""

    def __init__(self, schedule: Schedule, reservations: int | None) -> None:
        self._schedule = schedule
        self._planner: Planner = schedule.planner
        self._reservations = reservations
        self._pinned = schedule.preparation is not None or reservations not in (0, 1)

    def look(self) -> None:
        """Start what can start now, and renew what waiting leases have reserved."""
        schedule = self._schedule
        full, arrived = schedule.freed, schedule.arrived
        if not full and not arrived:
            return
        schedule.freed, schedule.arrived = False, []
        if self._pinned:
            self._reserve_ahead(full)
        elif full or not self._only_new(arrived):
            self._start_or_claim()

    # --- one claim, or none: hosts are chosen when a lease starts -----------------------

    def _only_new(self, arrived: list[Lease]) -> bool:
        """Look at new leases alone, if that is enough; whether it was."""
        schedule, claim = self._schedule, self._schedule.claim
        if claim is None:
            return False
        holder = schedule.leases[claim.lease_id]
        if any(lease.key < holder.key for lease in arrived):
            return False
        for lease in sorted(arrived, key=_key):
            self._start(lease, claim)
        return True

    def _start_or_claim(self) -> None:
        schedule = self._schedule
        old = schedule.claim
        claim: Claim | None = None
        schedule.claim = None
        full_sizes: dict[Capacity, int] = {}
        for _, lease in schedule.waiting.copy():
            if claim is not None and self._hopeless(lease, full_sizes):
                continue
            if self._start(lease, claim):
                full_sizes.clear()
            elif claim is None:
                if not self._reservations:
                    break
                claim = schedule.claim = self._planner.claim(lease, schedule.now)
                if claim is None:
                    schedule.expect(lease, None, "nothing that is in its way has an end")
                    break
                schedule.hold_claim(lease, claim.start)
        if old is not None and (claim is None or claim.lease_id != old.lease_id):
            loser = schedule.leases.get(old.lease_id)
            if loser is not None and loser.plan is None:
                schedule.lose_claim(loser, "a lease before it in the queue comes first")

    def _start(self, lease: Lease, claim: Claim | None) -> bool:
        schedule = self._schedule
        plan = self._planner.at(lease, schedule.now, claim)
        if plan is None:
            return False
        schedule.commit(lease, plan)
        schedule.do_what_is_due()
        if claim is not None:
            claim.taken(schedule.table, plan.end)
        return True

    def _hopeless(self, lease: Lease, free: dict[Capacity, int]) -> bool:
        """Whether too few hosts are free at this moment; ``free`` remembers how many are."""
        size = lease.demand.size
        if size is None:
            return False
        count = free.get(size)
        if count is None:
            now = self._schedule.now
            count = level_count(self._schedule.table.room(size, now, now + 1), FOREVER)
            free[size] = count
        return lease.demand.count > count

    # --- reservations on hosts ----------------------------------------------------------

    def _reserve_ahead(self, full: bool) -> None:
        schedule = self._schedule
        limit = self._reservations
        held, floor = 0, schedule.now
        for _, lease in schedule.waiting.copy():
            if lease.plan is not None:
                if full:
                    self._move_earlier(lease)
            else:
                found = self._soonest(lease, floor, limit is None or held < limit)
                if found is not None:
                    self._take(lease, *found)
                elif limit == 0:
                    break
                elif lease.expected is not None:
                    schedule.lose_claim(lease, "leases before it hold the reservations")
            if lease.plan is not None:
                held += lease.plan.waits and not lease.started
                if limit == 0:
                    floor = max(floor, lease.plan.start)

    def _take(self, lease: Lease, plan: Plan, shipment: Shipment | None) -> None:
        schedule = self._schedule
        schedule.commit(lease, plan, firm=plan.start == schedule.now)
        if shipment is not None:
            schedule.ship(lease, shipment)
            lease.bound = plan.hosts
        if plan.start == schedule.now:
            schedule.do_what_is_due()

    def _soonest(
        self, lease: Lease, start: int, may_wait: bool
    ) -> tuple[Plan, Shipment | None] | None:
        """The soonest plan; without ``may_wait``, one that waits for nothing but its images."""
        preparation = self._schedule.preparation
        image = lease.request.image
        if preparation is not None and preparation.pending(lease.id):
            start = max(start, preparation.arrival(lease.id))
        if preparation is None or image is None or lease.saved or lease.bound is not None:
            plan = self._plan(lease, start, may_wait, 0)
            return None if plan is None else (plan, None)
        prefer = preparation.at_hand(image)
        for _ in range(_TRIES):
            plan = self._plan(lease, start, may_wait, prefer)
            if plan is None:
                return None
            hosts = host_set(plan.hosts)
            shipment = preparation.soon(lease.id, image, hosts, self._schedule.now, plan.start)
            if shipment.arrival <= plan.start:
                return plan, shipment
            start = shipment.arrival
        return None

    def _plan(self, lease: Lease, start: int, may_wait: bool, prefer: HostSet) -> Plan | None:
        if not may_wait:
            return self._planner.at(lease, start, prefer=prefer)
        plan = self._planner.earliest(lease, start, prefer=prefer)
        if plan is not None:
            plan.waits = plan.start > start
        return plan

    def _move_earlier(self, lease: Lease) -> None:
        """Move a reservation that has not begun to an earlier start, if there is one."""
        schedule, plan = self._schedule, lease.plan
        assert plan is not None, "it has a reservation"
        if plan.start <= schedule.now or lease.started:
            return
        earliest = schedule.now
        if schedule.preparation is not None and schedule.preparation.pending(lease.id):
            earliest = schedule.preparation.arrival(lease.id)
        if earliest >= plan.start:
            return
        table = schedule.table
        table.withdraw(lease.hold)
        for interval in plan.exclusive:
            schedule.channel.release(*interval)
        better = self._planner.earliest(lease, earliest, before=plan.start)
        if better is None:
            table.restore(lease.hold)
            for interval in plan.exclusive:
                schedule.channel.reserve(*interval)
            return
        better.waits = better.start > earliest
        schedule.replace(lease, better)
        if better.start == schedule.now:
            schedule.do_what_is_due()


def _key(lease: Lease) -> tuple[object, int]:
    return lease.key
