"""Other times for leases that have a deadline and have not begun, so that there is room for more.

Where equal hosts are taken whole, numbers of them say everything, and where all nodes have one
size, numbers of places (:mod:`haizea.core.placement.places`): starts are found first, by what all
hosts together have (:mod:`haizea.core.placement.timing`), then hosts for them: on a fork of the
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
from typing import Final, Protocol

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import hosts_in
from haizea.core.model.resources import FOREVER
from haizea.core.placement.canvas import Canvas, Planned, hosts_of
from haizea.core.placement.mapper import takes_whole
from haizea.core.placement.places import Places, all_taken_whole, places_of
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.placement.remapping import (
    MOST_HOSTS,
    Effort,
    Move,
    Remapped,
    around,
    remap,
)
from haizea.core.placement.seating import Guest, Seating
from haizea.core.placement.sketch import ASKED, Retimed, Sketch
from haizea.core.placement.timing import Timing, Window

#: So many leases are put back anew at most.
_MOST_LEASES: Final = 48
#: Hosts are looked for at the starts that were found so many times at most.
_MOST_TIMINGS: Final = 6
#: To find out whether a lease fits at some time takes so much less than to look at a host.
_FASTER: Final = 6
#: In so many orders at most.
_MOST_TRIES: Final = 60
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
    if effort.left <= 0:
        return None
    if asked.first == asked.last and not near:
        room = remap(table, planned, asked.lease.demand, asked.first, end, effort)
        return room and Retimed(asked.first, room)
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
            found = _with_all(planner, planned, asked, windows, share)
        if found is not None:
            return found
    return None


def _with_all(
    planner: Planner, planned: Windowed, asked: Window, windows: Sequence[Window], effort: Effort
) -> Retimed | None:
    """Find room for what is asked where all in these windows may be at another time."""
    table, everyone = planner.table, [asked, *windows]
    if _is_counted(table, everyone):
        return _timed(planner, planned, everyone, effort)
    places = _places(table, planned, everyone)
    if len(table.capacities) > MOST_HOSTS:
        if places is not None:
            return _timed(planner, planned, everyone, effort, places)
        with effort.share(2) as half:
            found = _timed(planner, planned, everyone, half)
        return found or _in_some_order(planner, planned, everyone, effort)
    if places is not None:
        at_starts = _at_starts(table, everyone, places, effort)
        if at_starts is None:
            return None
        found = _seated(table, planned, everyone, at_starts, effort)
        if found is not None:
            return found
    return _seated(table, planned, everyone, everyone, effort)


def _is_counted(table: SlotTable, everyone: Sequence[Window]) -> bool:
    """Tell whether hosts are equal and taken whole, so that numbers of them say everything."""
    last = max([window.last + window.seconds for window in everyone])
    whole = takes_whole(everyone[0].lease.demand, table.uniform_capacity)
    return whole and all_taken_whole(table, table.now, min(last, FOREVER))


def _places(table: SlotTable, planned: Planned, everyone: Sequence[Window]) -> Places | None:
    """Return places for their nodes, where numbers of these say everything."""
    if any(planned.keeps_apart(window.lease) for window in everyone):
        return None
    last = max([window.last + window.seconds for window in everyone])
    demands = [window.lease.demand for window in everyone]
    return places_of(table, demands, table.now, min(last, FOREVER))


def _timed(
    planner: Planner,
    planned: Windowed,
    everyone: Sequence[Window],
    effort: Effort,
    places: Places | None = None,
) -> Retimed | None:
    """Find starts by what all hosts together have, then hosts for them one by one."""
    everyone = [_stand_in(everyone[0]), *everyone[1:]]
    away = [window.lease for window in everyone[1:]]
    timing = Timing(_without(planner.table, away), everyone, places)
    for _ in range(_MOST_TIMINGS):
        starts = _starts(timing, effort)
        if starts is None:
            return None
        sketch = Sketch(planner, planned, away, effort)
        order = sorted(range(len(everyone)), key=lambda i: (starts[i], i))
        stuck = next((i for i in order if not sketch.place_at(everyone[i], starts[i])), None)
        if stuck is None:
            return sketch.found()
        timing.put_first(stuck)
    return None


def _without(table: SlotTable, leases: Sequence[Lease]) -> SlotTable:
    """Return a copy of the slot table that has none of these."""
    bare = table.fork()
    for lease in leases:
        bare.withdraw(lease.hold)
    return bare


def _starts(timing: Timing, effort: Effort) -> list[int] | None:
    """Find a start for each window, with most of the effort that is left."""
    looks = max(0, effort.left * 7 // 8) * _FASTER
    starts, left = timing.starts(looks)
    effort.left -= (looks - left) // _FASTER
    return None if effort.left <= 0 else starts


def _at_starts(
    table: SlotTable, everyone: Sequence[Window], places: Places, effort: Effort
) -> list[Window] | None:
    """Return the windows, each with one start that is found by numbers of places."""
    bare = _without(table, [window.lease for window in everyone[1:]])
    starts = _starts(Timing(bare, everyone, places), effort)
    if starts is None:
        return None
    return [x._replace(first=at, last=at) for x, at in zip(everyone, starts, strict=True)]


def _seated(
    table: SlotTable,
    planned: Planned,
    everyone: Sequence[Window],
    narrowed: Sequence[Window],
    effort: Effort,
) -> Retimed | None:
    """Find starts and hosts at once, for all whose hosts may change about then.

    Each starts in its window as ``narrowed``. Where all have one start there, they are seated in
    the order of these first, which finds places for all where numbers of them say everything.
    """
    first = min([x.first for x in everyone])
    last = min(max([x.last + x.seconds for x in everyone]), FOREVER)
    up = hosts_in(table.up)
    if not up:
        return None
    canvas = Canvas(table, planned, around(table, planned, first, last))
    for host in up:
        canvas.row(host)
    asked, *windows = narrowed
    demand = asked.lease.demand
    new = canvas.units(-1, demand, (), asked.first, asked.first + asked.seconds)
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
    return Retimed(starts[0], Remapped(hosts_of(new, demand.count), moves))


def _stand_in(asked: Window) -> Window:
    """Return what is asked for under a name of its own, for a sketch."""
    lease = Lease(replace(asked.lease.request, id=ASKED), asked.lease.demand)
    lease.remaining = asked.seconds
    return asked._replace(lease=lease)


def _in_some_order(
    planner: Planner,
    planned: Windowed,
    everyone: Sequence[Window],
    effort: Effort,
) -> Retimed | None:
    """Try orders in which all of them are put back."""
    order, away = [_stand_in(everyone[0]), *everyone[1:]], [x.lease for x in everyone[1:]]
    order.sort(key=lambda w: (w.last, -w.seconds * w.lease.demand.count, w.lease.id))
    seen: set[tuple[int, ...]] = set()
    for attempt in range(_MOST_TRIES):
        if effort.left <= 0:
            return None
        sketch = Sketch(planner, planned, away, effort)
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
