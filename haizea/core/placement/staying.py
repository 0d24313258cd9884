"""Leases that are to leave their hosts for others, when their last moment comes; and that go on."""

from __future__ import annotations

from haizea.core.capacity.what_if import without
from haizea.core.model.members import RESUME, RUN
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.shadow import Claim


def can_run_on(planner: Planner, claim: Claim | None, lease: Lease, plan: Plan) -> bool:
    """Tell whether a lease that is to leave its hosts now can keep them, as nobody needs them.

    Whoever they were for may be gone, or elsewhere. What one did that is to be dropped would be
    lost; one with a deadline that is to be suspended would be done later. Others that are
    suspended have had their turn.
    """
    if lease.since is None or plan.hold is None:
        return False
    if plan.drops:
        return lease.at == len(plan.phases) - 1 and _has_room(planner, claim, lease, plan)
    if not plan.suspends or lease.request.deadline is None:
        return False
    rest = plan.rest
    with without(planner.table, plan.hold):
        if rest is None or rest.hold is None:
            return _has_room(planner, claim, lease, plan)
        with without(planner.table, rest.hold):
            return _has_room(planner, claim, lease, plan)


def _has_room(planner: Planner, claim: Claim | None, lease: Lease, plan: Plan) -> bool:
    table = planner.table
    assert lease.since is not None, "it runs"
    end = min(lease.since + lease.remaining, FOREVER)
    if end <= table.now or not table.fits_on(plan.use, table.now, end):
        return False
    if lease.request.deadline is not None and end > lease.request.deadline:
        return False
    return claim is None or claim.allows(table, plan.use, table.now, end)


def can_go_on(planner: Planner, lease: Lease, rest: Plan) -> bool:
    """Tell whether a lease that was just saved can go on as was planned before.

    The plan ends when what is left of the lease does. Nothing is held for it.
    """
    hosts, end = rest.sources or rest.hosts, rest.end
    if hosts != lease.bound or rest.start < planner.table.now:
        return False
    resume, at = rest.phase(RESUME), next(i for i, x in enumerate(rest.phases) if x.purpose is RUN)
    if resume is None or resume.end != rest.phases[at].start:
        return False
    del rest.phases[at:]
    planner.finish(lease, rest, resume.end)
    return rest.end <= end and planner.table.fits_on(rest.use, rest.start, rest.end)
