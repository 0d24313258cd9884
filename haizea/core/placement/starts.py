"""Moments at which a lease may start at best: where it may run, and for how long at least."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.core.capacity.openings import Spans
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import HostSet
from haizea.core.model.resources import FOREVER
from haizea.core.model.settings import Migration, Settings, Suspension
from haizea.core.placement.durations import Durations
from haizea.core.placement.plan import Lease


class Starts:
    """Tells which moments are worth a plan on one slot table."""

    __slots__ = (
        "_durations",
        "_settings",
        "_suspends_wide",
        "_table",
        "needs_only_room",
        "suspends",
    )

    def __init__(
        self, settings: Settings, table: SlotTable, durations: Durations, *, needs_only_room: bool
    ) -> None:
        self._settings = settings
        self._table = table
        self._durations = durations
        #: Whether nodes get hosts wherever there are enough.
        self.needs_only_room = needs_only_room
        #: Whether any lease is suspended.
        self.suspends = settings.suspension is not Suspension.NONE
        self._suspends_wide = settings.suspension is Suspension.ALL

    def suspendable(self, lease: Lease) -> bool:
        """Tell whether the lease may be suspended at all."""
        if not self.suspends or not lease.request.preemptible:
            return False
        return self._suspends_wide or lease.demand.count == 1

    def movable(self, lease: Lease) -> bool:
        """Tell whether the lease may run elsewhere than where it is bound, if it is."""
        return lease.bound is None or (lease.saved and self._settings.migration is not Migration.NO)

    def is_plain(self, lease: Lease, *, holes: bool) -> bool:
        """Tell whether room for all of its nodes at once is all that the lease waits for.

        So that it can start wherever there is room for it, and nowhere else. ``holes`` says
        that there may be some that a lease could fill until it is suspended.
        """
        return (
            self.needs_only_room
            and lease.bound is None
            and not lease.saved
            and lease.demand.size is not None
            and not (holes and self.suspendable(lease))
        )

    def may_use_holes(self, lease: Lease) -> bool:
        """Tell whether the lease may run until something that is to come, and go on later."""
        return self._table.has_future and self.suspendable(lease)

    def least_seconds(self, lease: Lease) -> int:
        """The shortest time on hosts that is worth while: for all that remains, or in a hole."""
        least = lease.remaining
        return min(least, self.least_stay(lease)) if self.may_use_holes(lease) else least

    def least_stay(self, lease: Lease) -> int:
        """The shortest stay in a hole that is worth while, in seconds; on the best hosts there are.

        That is where each node has a host of its own.
        """
        hosts, elsewhere = lease.bound, self.movable(lease)
        if hosts is None or (elsewhere and not lease.demand.spread(hosts).apart):
            hosts = self._durations.apart(lease.demand.count)
        return self._durations.least_stay_seconds(lease, hosts, elsewhere=elsewhere)

    def follow_room(self, lease: Lease) -> bool:
        """Tell whether the lease waits for room for the shortest time, in the first place.

        Then, where nothing comes free, no moment is :meth:`possible` before the first that was.
        """
        if self.movable(lease):
            return self.needs_only_room and lease.demand.size is not None
        # As rates are learned, all that remains may take less time.
        return self.needs_only_room and not self._durations.rates

    def where(self, lease: Lease) -> HostSet:
        """The hosts that the lease may run on at present."""
        if lease.bound is not None and not self.movable(lease):
            return lease.demand.spread(lease.bound).hosts
        return lease.demand.allowed & ~self._table.shut

    def possible(
        self, lease: Lease, start: int, before: int = FOREVER, spans: Spans | None = None
    ) -> Iterator[int]:
        """Moments that are worth a closer look, in order; every start possible is among them.

        Where starts :meth:`follow_room`, those may be left out from which the shortest time
        overlaps none of some ``spans``.
        """
        least, table, bound = self.least_seconds(lease), self._table, lease.bound
        movable = self.movable(lease)
        if movable and lease.demand.size is not None:
            for moment, _ in table.moments(lease.demand, least, start, before, spans):
                yield moment
        elif bound is not None and least == lease.remaining:
            length = self._durations.resume_seconds(lease, bound) + lease.remaining
            found = table.earliest_on(lease.demand.use(bound), length, start, before)
            if found is not None:
                yield found
        elif bound is not None and not movable:
            yield from table.moments_on(lease.demand.use(bound), least, start, before)
        else:
            yield from table.candidate_starts(start, before)
