"""The search for a claim's start, which is not repeated for what cannot have changed."""

from __future__ import annotations

from dataclasses import dataclass

from haizea.core.capacity.openings import Spans
from haizea.core.model.resources import FOREVER
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.placement.shadow import Claim


@dataclass(frozen=True, slots=True)
class _Found:
    """A search for one lease from ``looked_from`` on: the first start there was then."""

    lease_id: int
    demand: Demand
    remaining: int
    looked_from: int
    start: int


class ClaimSearch:
    """Searches for the soonest start of the lease that is to get the claim.

    Free capacity over time changes by what is decided alone, not by time. So where the same
    lease was searched for before, moments before its start are looked at again only if
    capacity was given back since that they could use.
    """

    __slots__ = ("_last", "_planner")

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._last: _Found | None = None

    def claim(self, lease: Lease, start: int) -> Claim | None:
        """A claim of the lease on its soonest start from ``start`` on."""
        planner, openings = self._planner, self._planner.table.openings
        if not planner.table.has_future or not planner.is_plain(lease, holes=True):
            self.forget()
            return planner.claim(lease, start)
        last = self._last
        begins = openings.listen()
        claim = None
        if begins or last is None or not _is_same(last, lease, start):
            openings.forget(len(openings))
            claim = planner.claim(lease, start)
        else:
            allowed = lease.demand.allowed & ~planner.table.shut
            spans = Spans(openings.since(0), allowed)
            openings.forget(len(openings))
            before = min(last.start, spans.end)
            if start < before:
                claim = planner.claim(lease, start, before, spans)
            if claim is None and last.start < FOREVER:
                claim = planner.claim(lease, max(start, last.start))
        first = FOREVER if claim is None else claim.start
        self._last = _Found(lease.id, lease.demand, lease.remaining, start, first)
        return claim

    def forget(self) -> None:
        """No lease was searched for: what comes free now is of no interest."""
        if self._last is not None:
            self._last = None
            self._planner.table.openings.rest()


def _is_same(last: _Found, lease: Lease, start: int) -> bool:
    return (
        last.lease_id == lease.id
        and last.demand is lease.demand
        and last.remaining == lease.remaining
        and last.looked_from <= start
    )
