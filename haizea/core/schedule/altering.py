"""Verbs that change what leases ask for: as they wait, as they are promised, as they run."""

from __future__ import annotations

from haizea.core.model.hostrules import Allowed, HostRules
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.mapper import Demand, takes_whole
from haizea.core.placement.plan import Lease
from haizea.core.schedule.schedule import Schedule


class Altering:
    """Verbs of a schedule: a lease is what another request asks for from now on."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def stand_as(self, lease: Lease, request: LeaseRequest) -> None:
        """A lease that does not wait in the queue is what this asks for; its plan stays."""
        schedule = self._schedule
        lease.remaining = remaining_as(lease, request)
        if request.nodes != lease.request.nodes:
            before = lease.demand.where
            lease.demand = demand_as(request, before)
            if lease.demand.where != before:
                schedule.say_limited(lease)
            lease.whole = takes_whole(lease.demand, schedule.table.uniform_capacity)
            if not lease.whole:
                schedule.book.picky.add(lease.id)
        lease.request = request
        schedule.book.note_standing(lease)
        lease.flexible = schedule.planner.suspendable(lease)
        schedule.instant.touched[lease.id] = lease
        schedule.instant.freed = True

    def wait_as(self, lease: Lease, request: LeaseRequest) -> None:
        """A lease that waits is what this asks for, at its place; it is planned anew."""
        schedule = self._schedule
        if schedule.claim is not None and schedule.claim.lease_id == lease.id:
            schedule.claim = None
        if lease.plan is not None:
            schedule.drop_plan(lease)
        schedule.waiting.discard(lease)
        self.stand_as(lease, request)
        if request.nodes == lease.request.nodes:
            # What was found out about the lease does not hold for it any more.
            lease.demand = Demand(request, lease.demand.where)
        schedule.book.join(lease, lease.queued_since)
        schedule.waiting.add(lease)
        schedule.book.lose_claim(lease, because(Code.WAS_CHANGED))
        schedule.say_whether_it_fits(lease)
        schedule.instant.arrived.append(lease)

    def end_as(self, lease: Lease, request: LeaseRequest) -> None:
        """A lease that runs ends when this says; there is room."""
        self.stand_as(lease, request)
        self._schedule.holdings.stretch(lease)


def demand_as(request: LeaseRequest, allowed: Allowed) -> Demand:
    """The needs of a request where these hosts will do; rules by node hold for as many alone."""
    if isinstance(allowed, HostRules) and len(allowed.allowed) != request.node_count:
        allowed = allowed.anywhere
    return Demand(request, allowed)


def remaining_as(lease: Lease, request: LeaseRequest) -> int:
    """The seconds that are left of a lease, with those that it runs now, if it is as asked."""
    before, after = lease.request.duration, request.duration
    if after is None:
        return FOREVER
    if before is None:
        return after - lease.ran + (0 if lease.started else lease.added_seconds)
    return lease.remaining + after - before
