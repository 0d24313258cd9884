"""A fork of the slot table, on which leases are put at other times and on other hosts for a try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from haizea.core.model.members import RUN
from haizea.core.model.resources import FOREVER
from haizea.core.placement.canvas import Planned
from haizea.core.placement.mapper import Hosts
from haizea.core.placement.plan import Lease, Phase, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.remapping import Effort, Move, Remapped, remap
from haizea.core.placement.timing import Window

#: The owner of what is asked for.
ASKED: Final = -5
#: So many moments are looked at for hosts that others leave, before the first with free ones.
_MOST_MOMENTS: Final = 8
#: At each, so many hosts at most.
_MOST_LOOKS: Final = 100
#: To take so many holds along on a fork takes as long as to look at a host.
_HOLDS_A_LOOK: Final = 16


class Retimed(NamedTuple):
    """A start and hosts for a lease, and who else is to be where and when."""

    start: int
    room: Remapped


class Sketch:
    """A fork of the slot table on which leases are at other times and on other hosts."""

    def __init__(
        self, planner: Planner, planned: Planned, away: Sequence[Lease], effort: Effort
    ) -> None:
        self._trial = trial = planner.table.fork()
        self._planner = planner.on(trial, planner.channel)
        self._planned = planned
        self._effort = effort
        #: Leases as they are here, by id, and those that they stand for.
        self._twins: dict[int, Lease] = {}
        self._originals: dict[int, Lease] = {}
        holds = sum(1 for _ in trial.holds_between(trial.now, FOREVER))
        effort.left -= 1 + (holds + len(trial.capacities)) // _HOLDS_A_LOOK
        for lease in away:
            trial.withdraw(lease.hold)

    # --- the leases as they are here, for remapping ---------------------------------------

    def movable(self, owner: int) -> Lease | None:
        """The lease that holds something here, if it may be given other hosts."""
        return self._twins.get(owner) or self._planned.movable(owner)

    def keeps_apart(self, lease: Lease) -> bool:
        """Tell whether each of its nodes needs a host of its own."""
        return self._planned.keeps_apart(lease)

    # --- placing --------------------------------------------------------------------------

    def place(self, window: Window) -> bool:
        """Put a lease where and when there is room for it in its window; whether there is."""
        lease, first, last, _ = window
        if first > last:
            return False
        direct = self._planner.earliest_whole(lease, first, last + 1, None)
        self._effort.left -= 1
        before = last + 1 if direct is None else direct.start
        for moment in self._moments(first, before):
            if self._place_elsewhere(lease, moment):
                return True
        if direct is None:
            return False
        self._put(lease, direct.hosts, direct.start)
        return True

    def place_at(self, window: Window, start: int) -> bool:
        """Put a lease there at this moment, if hosts are free or others leave them."""
        self._effort.left -= 1
        direct = self._planner.earliest_whole(window.lease, start, start + 1, None)
        if direct is None:
            return self._place_elsewhere(window.lease, start)
        self._put(window.lease, direct.hosts, direct.start)
        return True

    def _moments(self, first: int, before: int) -> list[int]:
        """Some starts that are worth a try, in order."""
        moments = []
        for moment in self._trial.candidate_starts(first):
            if moment >= before:
                break
            moments.append(moment)
        if len(moments) > _MOST_MOMENTS:
            moments = moments[: _MOST_MOMENTS // 2] + moments[-(_MOST_MOMENTS // 2) :]
        return moments

    def _place_elsewhere(self, lease: Lease, start: int) -> bool:
        """Put a lease where others leave it room from ``start`` on, if they can."""
        end = min(start + lease.remaining, FOREVER)
        share = Effort(min(self._effort.left, _MOST_LOOKS))
        before = share.left
        found = remap(self._trial, self, lease.demand, start, end, share)
        self._effort.left -= before - share.left
        if found is None:
            return False
        for moved, _, _ in found.moves:
            self._trial.withdraw(moved.hold)
        for moved, hosts, at in found.moves:
            self._put(moved, hosts, at)
        self._put(lease, found.hosts, start)
        return True

    def _put(self, lease: Lease, hosts: Hosts, start: int) -> None:
        end = min(start + lease.remaining, FOREVER)
        twin = Lease(lease.request, lease.demand)
        twin.remaining = lease.remaining
        twin.plan = Plan(hosts, lease.demand.use(hosts), [Phase(RUN, start, end)])
        shape = lease.demand.spread(hosts).shape
        twin.plan.hold = self._trial.reserve(start, end, twin.plan.use, lease.id, shape=shape)
        self._originals.setdefault(lease.id, lease)
        self._twins[lease.id] = twin

    # --- what came of it ------------------------------------------------------------------

    def found(self) -> Retimed:
        """Return where and when what was asked for is, and who else is not as it was."""
        asked = self._twins.pop(ASKED)
        moves: list[Move] = []
        for lease_id, twin in sorted(self._twins.items()):
            lease = self._originals[lease_id]
            assert lease.plan is not None, "it has a plan"
            assert twin.plan is not None, "it has a plan here"
            if (lease.plan.hosts, lease.hold.start) != (twin.plan.hosts, twin.hold.start):
                moves.append(Move(lease, twin.plan.hosts, twin.hold.start))
        assert asked.plan is not None, "it was placed"
        return Retimed(asked.hold.start, Remapped(asked.plan.hosts, moves))
