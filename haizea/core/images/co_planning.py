"""Plans that wait for nothing but their images, or for hosts and images both.

Which images are missing depends on the hosts, the hosts that are free on the start, and
the start on when the images arrive: so plan and shipment are made in turns.
"""

from __future__ import annotations

from collections.abc import Callable

from haizea.core.images.shipments import Shipment
from haizea.core.images.transfers import Preparation
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.lease import Kind
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan

#: Finds a plan from a moment on that prefers the first hosts and keeps off the second, if any.
PlanFrom = Callable[[int, HostSet, HostSet], Plan | None]

_TRIES = 8


def soonest(
    lease: Lease, preparation: Preparation, now: int, start: int, plan_from: PlanFrom
) -> tuple[Plan, Shipment] | None:
    """A plan from ``start`` on, and the shipment that has its images there in time.

    An immediate lease waits for its images alone, not for hosts that have them already or that
    are closed to images until later. Any other does where it starts sooner so.
    """
    closures = preparation.closures
    if not closures:
        return _soonest(lease, preparation, now, start, plan_from, 0)
    if lease.request.kind is Kind.IMMEDIATE:
        return _without_waiting(lease, preparation, now, start, plan_from)
    found = _soonest(lease, preparation, now, start, plan_from, 0)
    keep_off = closures.hosts(now, FOREVER if found is None else found[0].start)
    if keep_off:
        other = _soonest(lease, preparation, now, start, plan_from, keep_off)
        if found is None or (other is not None and other[0].start < found[0].start):
            return other
    return found


def _without_waiting(
    lease: Lease, preparation: Preparation, now: int, start: int, plan_from: PlanFrom
) -> tuple[Plan, Shipment] | None:
    """A plan and a shipment for hosts none of which is closed before the lease starts."""
    keep_off = 0
    while found := _soonest(lease, preparation, now, start, plan_from, keep_off):
        plan, _ = found
        closed = preparation.closures.hosts(now, plan.start) & host_set(plan.hosts)
        if not closed:
            break
        keep_off |= closed
    return found


def _soonest(
    lease: Lease,
    preparation: Preparation,
    now: int,
    start: int,
    plan_from: PlanFrom,
    keep_off: HostSet,
) -> tuple[Plan, Shipment] | None:
    image = lease.request.image
    assert image is not None, "it has an image"
    at_once = lease.request.kind is Kind.IMMEDIATE
    prefer = preparation.at_hand(image)
    best: tuple[Plan, Shipment] | None = None
    for _ in range(_TRIES):
        plan = plan_from(start, prefer, keep_off)
        if plan is None or (best is not None and plan.start >= best[0].start):
            return best
        shipment = preparation.soon(
            lease.id, image, lease.demand.spread(plan.hosts).hosts, now, plan.start
        )
        if shipment.arrival > plan.start:
            if best is not None or shipment.arrival >= FOREVER:
                return best
            start = shipment.arrival
            if at_once:
                prefer = lease.demand.spread(plan.hosts).hosts
            continue
        if at_once and shipment.arrival < plan.start:
            return None
        best = plan, shipment
        if plan.start <= max(start, shipment.arrival) and shipment.arrival >= start:
            return best
        # Its images are there sooner than it starts: so might it be.
        start = max(now, shipment.arrival)
    return best
