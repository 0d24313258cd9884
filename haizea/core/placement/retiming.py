"""Other times for leases that have a deadline and have not begun, so that there is room for more.

Where equal hosts are taken whole, numbers of them say everything: starts are found first, by what
all hosts together have (:mod:`haizea.core.placement.timing`), then hosts for them: on a fork of the
slot table, those that may be at another time are taken away, and put back at these starts, on hosts
that are free or that others leave (:mod:`haizea.core.placement.remapping`). On other small sites,
starts and hosts are found at once (:mod:`haizea.core.placement.seating`). On large ones, where no
starts lead to hosts, leases are put back one by one, each as soon as there is room for it; who
finds none in its window is put back before all others at the next try. It takes no longer than a
bound on the hosts looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import hosts_in
from haizea.core.model.members import RUN
from haizea.core.model.resources import FOREVER
from haizea.core.placement.canvas import Canvas, Planned, hosts_of
from haizea.core.placement.mapper import Hosts, takes_whole
from haizea.core.placement.plan import Lease, Phase, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.remapping import (
    MOST_HOSTS,
    Effort,
    Move,
    Remapped,
    all_taken_whole,
    around,
    remap,
)
from haizea.core.placement.seating import Guest, Seating
from haizea.core.placement.timing import Timing, Window

#: The owner of what is asked for, on a sketch.
_ASKED: Final = -5
#: So many leases are put back anew at most.
_MOST_LEASES: Final = 48
#: Hosts are looked for at the starts that were found so many times at most.
_MOST_TIMINGS: Final = 6
#: To find out whether a lease fits at some time takes so much less than to look at a host.
_FASTER: Final = 6
#: In so many orders at most.
_MOST_TRIES: Final = 60
#: So many moments are looked at for hosts that others leave, before the first with free ones.
_MOST_MOMENTS: Final = 8
#: At each, so many hosts at most.
_MOST_LOOKS: Final = 100
#: To take so many holds along on a fork takes as long as to look at a host.
_HOLDS_A_LOOK: Final = 16
#: To take in so many units takes as long as to look at a host.
_UNITS_A_LOOK: Final = 2
#: A host is looked at so many times as fast as on a canvas.
_SEATS_A_LOOK: Final = 24


class Windowed(Planned, Protocol):
    """The plans of leases whose hosts may change, and of some the time, too."""

    @property
    def now(self) -> int:
        """The present, which the slot table may not have come to yet."""

    def in_time(self) -> Iterable[Lease]:
        """The leases that may be at another time than planned."""


class Retimed(NamedTuple):
    """A start and hosts for a lease, and who else is to be where and when."""

    start: int
    room: Remapped


def retime(planner: Planner, planned: Windowed, asked: Window, effort: Effort) -> Retimed | None:
    """Find room for what is asked, on the planner's table, with others at other times.

    Those in its way alone are looked at first, then those that these may get in the way of, then
    all. ``None`` if none is found.
    """
    table, now = planner.table, planned.now
    end = min(asked.last + asked.seconds, FOREVER)
    in_time = [lease for lease in planned.in_time() if lease.last_start >= now]
    everyone = [lease for lease in in_time if _is_on(table, lease)]
    near = [x for x in everyone if x.hold.start < end and x.hold.end > asked.first]
    if effort.left <= 0 or (asked.first == asked.last and not near):
        return None
    until = max([x.request.deadline or FOREVER for x in near], default=end)
    wide = [x for x in everyone if x.hold.start < max(until, end) and x.last_start >= asked.first]
    groups = [(near, 8)] if len(near) < len(everyone) else []
    if len(everyone) > _MOST_LEASES and len(wide) < len(everyone):
        groups.append((wide, 2))
    groups.append((everyone, 1))
    tried = -1
    for group, parts in groups:
        if len(group) == tried or effort.left <= 0:
            continue
        tried = len(group)
        group = sorted(group, key=lambda x: (x.hold.start - x.last_start, x.id))[:_MOST_LEASES]
        windows = [
            Window(x, max(now, x.request.after or now), x.last_start, x.remaining) for x in group
        ]
        with effort.share(parts) as share:
            if _is_counted(table, asked, windows):
                found = _timed(planner, planned, asked, windows, share)
            elif len(table.capacities) <= MOST_HOSTS:
                found = _seated(table, planned, asked, windows, share)
            else:
                with share.share(2) as half:
                    found = _timed(planner, planned, asked, windows, half)
                if found is None:
                    found = _in_some_order(planner, planned, asked, windows, share)
        if found is not None:
            return found
    return None


def _is_counted(table: SlotTable, asked: Window, windows: Sequence[Window]) -> bool:
    """Tell whether hosts are equal and taken whole, so that numbers of them say everything."""
    last = max([window.last + window.seconds for window in (asked, *windows)])
    whole = takes_whole(asked.lease.demand, table.uniform_capacity)
    return whole and all_taken_whole(table, table.now, min(last, FOREVER))


def _timed(
    planner: Planner,
    planned: Windowed,
    asked: Window,
    windows: Sequence[Window],
    effort: Effort,
) -> Retimed | None:
    """Find starts by what all hosts together have, then hosts for them."""
    everyone, away = [_stand_in(asked), *windows], [window.lease for window in windows]
    bare = planner.table.fork()
    for lease in away:
        bare.withdraw(lease.hold)
    timing = Timing(bare, everyone)
    for _ in range(_MOST_TIMINGS):
        looks = max(0, effort.left * 7 // 8) * _FASTER
        starts, left = timing.starts(looks)
        effort.left -= (looks - left) // _FASTER
        if starts is None or effort.left <= 0:
            return None
        sketch = _Sketch(planner, planned, away, effort)
        order = sorted(range(len(everyone)), key=lambda i: (starts[i], i))
        stuck = next((i for i in order if not sketch.place_at(everyone[i], starts[i])), None)
        if stuck is None:
            return sketch.found()
        timing.put_first(stuck)
    return None


def _seated(
    table: SlotTable, planned: Planned, asked: Window, windows: Sequence[Window], effort: Effort
) -> Retimed | None:
    """Find starts and hosts at once, for all whose hosts may change about then."""
    everyone = (asked, *windows)
    first = min([x.first for x in everyone])
    last = min(max([x.last + x.seconds for x in everyone]), FOREVER)
    up = hosts_in(table.up)
    if not up:
        return None
    canvas = Canvas(table, planned, around(table, planned, first, last))
    for host in up:
        canvas.row(host)
    new = canvas.units(-1, asked.lease.demand, (), asked.first, asked.first + asked.seconds)
    guests = [Guest(asked.first, asked.last, asked.seconds, new)]
    window_of = {x.lease.id: x for x in windows}
    leases = list(canvas.movable())
    for lease, units in leases:
        hold, window = lease.hold, window_of.get(lease.id)
        since, until = (hold.start, hold.start) if window is None else (window.first, window.last)
        guests.append(Guest(since, until, hold.end - hold.start, units))
    effort.left -= sum([len(guest.units) for guest in guests]) // _UNITS_A_LOOK
    seating = Seating(canvas, up, guests)
    starts, left = seating.find(effort.left * _SEATS_A_LOOK)
    effort.left = left // _SEATS_A_LOOK
    if starts is None:
        return None
    moves: list[Move] = []
    for (lease, units), start in zip(leases, starts[1:], strict=True):
        assert lease.plan is not None, "it has a plan"
        hosts = hosts_of(units, len(lease.plan.hosts))
        hosts = lease.demand.keep(lease.plan.hosts, hosts)
        if (hosts, start) != (lease.plan.hosts, lease.hold.start):
            moves.append(Move(lease, hosts, start))
    return Retimed(starts[0], Remapped(hosts_of(new, asked.lease.demand.count), moves))


def _stand_in(asked: Window) -> Window:
    """Return what is asked for under a name of its own, for a sketch."""
    lease = Lease(replace(asked.lease.request, id=_ASKED), asked.lease.demand)
    lease.remaining = asked.seconds
    return asked._replace(lease=lease)


def _in_some_order(
    planner: Planner,
    planned: Windowed,
    asked: Window,
    windows: Sequence[Window],
    effort: Effort,
) -> Retimed | None:
    """Try orders in which all of them are put back."""
    order = [_stand_in(asked), *windows]
    order.sort(key=lambda w: (w.last, -w.seconds * w.lease.demand.count, w.lease.id))
    seen: set[tuple[int, ...]] = set()
    for attempt in range(_MOST_TRIES):
        if effort.left <= 0:
            return None
        sketch = _Sketch(planner, planned, [w.lease for w in windows], effort)
        stuck = next((i for i, window in enumerate(order) if not sketch.place(window)), None)
        if stuck is None:
            return sketch.found()
        order.insert(0, order.pop(stuck))
        ids = tuple([window.lease.id for window in order])
        if ids in seen:
            # They take turns in finding no room: start from another order, the same each time.
            order.sort(key=lambda window: _mixed(window.lease.id, attempt))
        seen.add(ids)
    return None


def _mixed(lease_id: int, attempt: int) -> int:
    """A number that has little to do with either, for an order like no other."""
    return (lease_id * 7919 + attempt * 104729) * 2654435761 >> 8 & 0xFFFFFF


def _is_on(table: SlotTable, lease: Lease) -> bool:
    """Tell whether a table has what a lease holds: on a fork, it may have been taken away."""
    assert lease.plan is not None, "it has a plan"
    return lease.hold in table.holds_on(lease.plan.hosts[0])


class _Sketch:
    """A fork of the slot table on which leases are at other times and on other hosts."""

    def __init__(
        self, planner: Planner, planned: Windowed, away: Sequence[Lease], effort: Effort
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
        asked = self._twins.pop(_ASKED)
        moves: list[Move] = []
        for lease_id, twin in sorted(self._twins.items()):
            lease = self._originals[lease_id]
            assert lease.plan is not None, "it has a plan"
            assert twin.plan is not None, "it has a plan here"
            if (lease.plan.hosts, lease.hold.start) != (twin.plan.hosts, twin.hold.start):
                moves.append(Move(lease, twin.plan.hosts, twin.hold.start))
        assert asked.plan is not None, "it was placed"
        return Retimed(asked.hold.start, Remapped(asked.plan.hosts, moves))
