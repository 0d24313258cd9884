"""Leases that are to be dropped for others, when their last moment comes."""

from __future__ import annotations

from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.shadow import Claim


def can_run_on(planner: Planner, claim: Claim | None, lease: Lease, plan: Plan) -> bool:
    """Tell whether a lease that is to be dropped now can keep its hosts, as nobody needs them.

    Whoever they were for may be gone, or elsewhere. What it did would be lost.
    """
    if lease.at < len(plan.phases) - 1 or lease.since is None or plan.hold is None:
        return False
    table = planner.table
    end = min(lease.since + lease.remaining, FOREVER)
    if end <= table.now or not table.fits_on(plan.use, table.now, end):
        return False
    return claim is None or claim.allows(table, plan.use, table.now, end)
