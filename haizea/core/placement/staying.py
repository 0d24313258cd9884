"""Leases that are to be dropped for others, when their last moment comes."""

from __future__ import annotations

from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.shadow import Claim


def run_on(planner: Planner, claim: Claim | None, lease: Lease, plan: Plan) -> bool:
    """Let a lease that was to be dropped now keep its hosts, if nobody needs them after all.

    Whoever they were for may be gone, or elsewhere. What it did would be lost.
    """
    if lease.at < len(plan.phases) - 1 or lease.since is None or plan.hold is None:
        return False
    table = planner.table
    end = min(lease.since + lease.remaining, FOREVER)
    if end <= table.now or not table.fits_on(plan.use, table.now, end):
        return False
    if claim is not None and not claim.allows(table, plan.use, table.now, end):
        return False
    plan.phases.pop()
    planner.finish(lease, plan, lease.since)
    plan.because = plan.code = ""
    table.release(plan.hold)
    plan.hold = table.reserve(table.now, plan.end, plan.use, lease.id)
    return True
