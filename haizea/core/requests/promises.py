"""Promises that have not begun: a start and room that stay, hosts that are a plan.

The hosts of such a lease are one assignment that is known to work. It may be replaced by
another at any time, as a whole, until something begins on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from haizea.core.capacity.slottable import SlotTable
from haizea.core.images.rerouting import can_reroute, needs_as_many, reroute
from haizea.core.model.members import PREPARE, RUN, SHUTDOWN
from haizea.core.placement.mapper import Demand
from haizea.core.placement.overview import Overview
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.placement.remapping import (
    Effort,
    Elsewhere,
    Move,
    Remapped,
    overlook,
    remap,
)
from haizea.core.placement.retiming import retime
from haizea.core.placement.sketch import Retimed
from haizea.core.placement.timing import Window
from haizea.core.schedule.schedule import Schedule

#: Where others in the way may be at other times, too, other hosts alone are looked for with one
#: of so many parts of the effort.
_PARTS_BESIDE_TIMES: Final = 3


class Promises:
    """Finds room by other hosts for what was promised, and has it keep them."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        #: What was read of the slot table, while several questions are asked about it.
        self.overview: Overview | None = None
        #: The effort of a decision is shared by so many, which are decided at once.
        self._shared_by = 1

    def movable(self, owner: int) -> Lease | None:
        """The lease that holds something, if its hosts are a plan and may be others."""
        lease = self._schedule.leases.get(owner)
        if lease is None or lease.plan is None or lease.started or lease.bound is not None:
            return None
        plan = lease.plan
        if lease.request.fixed_hosts or not self._images_may_follow(lease):
            return None
        if any(phase.purpose not in (PREPARE, RUN, SHUTDOWN) for phase in plan.phases):
            return None
        return lease

    def _images_may_follow(self, lease: Lease) -> bool:
        preparation = self._schedule.preparation
        if preparation is None or lease.request.image is None:
            return True
        if needs_as_many(preparation) and lease.hold.count < lease.demand.count:
            return False
        if not can_reroute(preparation, lease.id, lease.hold.hosts):
            return False
        closures, since = preparation.closures, lease.hold.start
        return not closures or not any(
            closures.bar(transfer, since) for transfer in preparation.carrying(lease.id)
        )

    def keeps_apart(self, lease: Lease) -> bool:
        """Tell whether each of its nodes must have a host of its own, wherever they go."""
        preparation = self._schedule.preparation
        return (
            preparation is not None
            and lease.request.image is not None
            and needs_as_many(preparation)
        )

    @property
    def now(self) -> int:
        """The present."""
        return self._schedule.now

    def in_time(self) -> Iterator[Lease]:
        """The leases with a deadline that have not begun, and may begin at other times."""
        schedule = self._schedule
        for lease in schedule.book.deadlines.values():
            if self.movable(lease.id) is not None and not schedule.needs_images(lease.request):
                yield lease

    def elsewhere(self, effort: Effort | None = None) -> Elsewhere:
        """A way to make room for one decision, by other hosts or times for what has not begun.

        It may be tried again and again, on the schedule's table and forks of it; all tries
        together look at no more hosts than the settings allow, or than ``effort`` does. Who is to
        try more often asks for a part.
        """
        planner, left = self._schedule.planner, effort or self.effort()

        def make_room(
            table: SlotTable, asked: Lease, start: int, end: int, parts: int
        ) -> Remapped | None:
            timed = any(x.hold.start < end and x.hold.end > start for x in self.in_time())
            with left.share(parts) as share:
                with share.share(_PARTS_BESIDE_TIMES if timed else 1) as first:
                    found = remap(table, self, asked.demand, start, end, first, self.overview)
                if found is None and timed:
                    on_table = planner.on(table, planner.channel)
                    window = Window(asked, start, start, end - start)
                    retimed = retime(on_table, self, window, share)
                    found = None if retimed is None else retimed.room
            return found

        return make_room

    @contextmanager
    def overlooking(self, demand: Demand, starts: Sequence[int], last: int) -> Iterator[None]:
        """Read the slot table once for questions about a demand, from some starts on to ``last``.

        It stays as it is meanwhile. Where room is kept for a claim, it does not.
        """
        schedule = self._schedule
        if starts and schedule.claim is None:
            self.overview = overlook(schedule.table, self, demand, starts, last)
        try:
            yield
        finally:
            self.overview = None

    def sharing(self, parts: int) -> Iterator[Elsewhere]:
        """Ways to make room for questions that together take half the effort of one decision.

        The first ones take so many equal ``parts`` of that at most. After these nobody goes
        elsewhere any more: to begin with little takes longer than that, and finds nothing.
        """
        share = max(1, self.effort().left // 2 // parts)
        for _ in range(parts):
            yield self.elsewhere(Effort(share))
        while True:
            yield self.elsewhere(Effort(0))

    @contextmanager
    def shared_by(self, count: int) -> Iterator[None]:
        """Have so many decisions together take the effort of one."""
        self._shared_by = max(1, count)
        try:
            yield
        finally:
            self._shared_by = 1

    def effort(self) -> Effort:
        """The effort that one decision may take."""
        return Effort(self._schedule.planner.settings.remapping_effort // self._shared_by)

    def sometime(
        self, planner: Planner, lease: Lease, first: int, last: int, effort: Effort
    ) -> Retimed | None:
        """Room from some moment in ``[first, last]`` on, if others get other hosts or times."""
        return retime(planner, self, Window(lease, first, last, lease.remaining), effort)

    def reroute(self, moves: Sequence[Move], *, back: bool = False) -> None:
        """Have planned transfers of images follow moves that are to be carried out.

        Or, where nothing comes of these, have them go ``back`` to where they went.
        """
        preparation = self._schedule.preparation
        if preparation is None:
            return
        for lease, hosts, _ in moves:
            plan = lease.plan
            assert plan is not None, "it has a plan"
            before, after = (hosts, plan.hosts) if back else (plan.hosts, hosts)
            reroute(preparation, lease.id, before, after)
