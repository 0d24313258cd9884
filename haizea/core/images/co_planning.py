"""Plans that wait for nothing but their images, or for hosts and images both.

Which images are missing depends on the hosts, the hosts that are free on the start, and
the start on when the images arrive: so plan and shipment are made in turns.
"""

from __future__ import annotations

from collections.abc import Callable

from haizea.core.images.transfers import Preparation, Shipment
from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import Kind
from haizea.core.placement.plan import Lease, Plan

#: A plan from a moment on that prefers some hosts; ``None`` if there is none.
PlanFrom = Callable[[int, HostSet], Plan | None]

_TRIES = 8


def soonest(
    lease: Lease, preparation: Preparation, now: int, start: int, plan_from: PlanFrom
) -> tuple[Plan, Shipment] | None:
    """A plan from ``start`` on, and the shipment that has its images there in time.

    An immediate lease waits for its images alone, not for hosts that have them already.
    """
    image = lease.request.image
    assert image is not None, "it has an image"
    at_once = lease.request.kind is Kind.IMMEDIATE
    prefer = preparation.at_hand(image)
    best: tuple[Plan, Shipment] | None = None
    for _ in range(_TRIES):
        plan = plan_from(start, prefer)
        if plan is None or (best is not None and plan.start >= best[0].start):
            return best
        shipment = preparation.soon(
            lease.id, image, lease.demand.spread(plan.hosts).hosts, now, plan.start
        )
        if shipment.arrival > plan.start:
            if best is not None:
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
