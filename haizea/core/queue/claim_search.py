"""The search for a claim's start, which is not repeated for what cannot have changed."""

from __future__ import annotations

from typing import NamedTuple

from haizea.core.capacity.openings import Spans
from haizea.core.model.resources import FOREVER
from haizea.core.placement.mapper import Demand, Hosts
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.shadow import Claim


class _Sought(NamedTuple):
    """A lease as it is, and whether it may fill holes: that tells the room that it waits for.

    What it waits for changes with learned rates, too: only then are there ``learned_seconds``, the
    shortest time that is worth while.
    """

    lease_id: int
    demand: Demand
    bound: Hosts | None
    saved: bool
    remaining: int
    start_seconds: int
    fills_holes: bool
    learned_seconds: int | None


class _Found(NamedTuple):
    """A search from ``looked_from`` on, and the first moment at which there was room then.

    With the plan from then on that stands until something comes free for it, if its hosts stay
    free, and nothing else that is to come begins until ``alone_until``.
    """

    sought: _Sought
    looked_from: int
    moment: int
    plan: Plan | None = None
    alone_until: int = 0


class ClaimSearch:
    """Searches for the soonest start of the lease that is to get the claim.

    Free capacity over time changes by what is decided alone, not by time. So where the same
    lease was searched for before, moments before the first one with room are looked at again
    only if capacity was given back since that they could use.
    """

    __slots__ = ("_last", "_planner")

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._last: _Found | None = None

    def is_later(self, lease: Lease, start: int) -> bool:
        """Tell whether it is known that the lease starts later than at ``start``, at best."""
        if self._last is None or self._last.moment <= start:
            return False
        known = self._known(lease, start)
        return known is not None and known > start

    def claim(self, lease: Lease, start: int) -> Claim | None:
        """A claim of the lease on its soonest start from ``start`` on."""
        planner, starts = self._planner, self._planner.starts
        if not planner.table.has_future or not starts.follow_room(lease):
            self.forget()
            return planner.claim(lease, start)
        known, openings = self._known(lease, start), planner.table.openings
        if known is None:
            openings.listen()
            openings.forget(len(openings))
        last = None if known is None else self._last
        moment = start if known is None else known
        sought = self._sought(lease) if last is None else last.sought
        if starts.is_plain(lease, holes=True):
            claim = planner.claim(lease, moment)
            moment = FOREVER if claim is None else claim.start
            self._last = _Found(sought, start, moment)
            return claim
        plan = None if last is None else last.plan
        if plan is None or last is None or not self._stands(lease, plan, last.alone_until):
            moment = next(starts.possible(lease, moment), FOREVER)
            plan = planner.at(lease, moment) if moment < FOREVER else None
            self._last = _Found(sought, start, moment, *self._kept(lease, plan))
        if plan is None or plan.sources:
            return planner.claim(lease, start)
        return planner.claim_of(lease, plan)

    def forget(self) -> None:
        """No lease was searched for: what comes free now is of no interest."""
        if self._last is not None:
            self._last = None
            self._planner.table.openings.rest()

    def _kept(self, lease: Lease, plan: Plan | None) -> tuple[Plan | None, int]:
        """The plan if another one would be the same, and until when nothing else begins then."""
        planner, durations = self._planner, self._planner.durations
        if (
            plan is None
            or plan.sources
            or durations.shares_files
            or durations.rates
            or (plan.suspends and plan.hosts != lease.bound)
        ):
            return None, 0
        if not plan.suspends:
            return plan, 0
        most = min(plan.start + lease.remaining, FOREVER)
        later = planner.table.firm_starts(plan.end, most)
        return plan, later[0] if later else most

    def _stands(self, lease: Lease, plan: Plan, alone_until: int) -> bool:
        """Tell whether a plan would be made again, as nothing came free for it."""
        table, own = self._planner.table, lease.demand.spread(plan.hosts)
        if plan.suspends and table.firm_starts(plan.end - 1, alone_until) != [plan.end]:
            return False
        return not table.shut & own.hosts and table.fits_on(
            own.use, plan.start, plan.end, own.shape
        )

    def _sought(self, lease: Lease) -> _Sought:
        starts, rates = self._planner.starts, self._planner.durations.rates
        return _Sought(
            lease.id,
            lease.demand,
            lease.bound,
            lease.saved,
            lease.remaining,
            lease.start_seconds,
            starts.may_use_holes(lease),
            starts.least_seconds(lease) if rates else None,
        )

    def _known(self, lease: Lease, start: int) -> int | None:
        """Return a moment before which none from ``start`` on has room for the lease.

        What was given back is looked at for that, and is of no interest any more. ``None`` if the
        last search was for something else.
        """
        last, starts = self._last, self._planner.starts
        if last is None or last.sought.lease_id != lease.id or last.looked_from > start:
            return None
        if last.sought != self._sought(lease):
            return None
        openings, moment = self._planner.table.openings, max(start, last.moment)
        if not len(openings) and moment == last.moment:
            return moment
        plan = last.plan
        if len(openings):
            spans = Spans(openings.since(0), starts.where(lease))
            openings.forget(len(openings))
            if moment < spans.end:
                plan = None
            before = min(moment, spans.end)
            if start < before:
                moment = next(starts.possible(lease, start, before, spans), moment)
        if moment != last.moment:
            plan = None
        self._last = _Found(last.sought, start, moment, plan, last.alone_until)
        return moment
