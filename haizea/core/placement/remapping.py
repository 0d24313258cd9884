"""Other hosts for what has not begun, so that there is room for one lease more.

What was promised keeps its time and its room, not its hosts. Where equal nodes take hosts
whole, hosts swap what is planned on them from some moment on
(:mod:`haizea.core.placement.swapping`): that finds room wherever there is. Else units are put
on the fullest hosts that have room; one that finds none takes the place of those that are most
easily put elsewhere, and these look for room in turn. How often a unit was refused makes it the
harder to displace, so that the search does not run in circles. It takes no longer than a bound
on the hosts looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import HostSet, hosts_in, lowest
from haizea.core.model.resources import Capacity, fits
from haizea.core.placement.canvas import Canvas, Planned, Unit, hosts_of, work
from haizea.core.placement.counting import cannot_be_packed
from haizea.core.placement.giving_way import GivingWay
from haizea.core.placement.mapper import Demand, Hosts, takes_whole
from haizea.core.placement.overview import Overview
from haizea.core.placement.places import all_taken_whole, places_of, seated_in_order
from haizea.core.placement.plan import Lease
from haizea.core.placement.repacking import FASTER, Repacking
from haizea.core.placement.sums import enough_at_all
from haizea.core.placement.swapping import Swapping

#: On larger sites, so many hosts are looked at for each unit.
MOST_HOSTS = 64
#: On sites that are larger than that, but no larger than this, all hosts are glanced at. What is
#: found so is mostly found soon: with one of so many parts of the effort.
_MOST_OVERSEEN = 512
_GIVING_WAY_PARTS = 4
#: More holds take long to read.
_MOST_HOLDS = 4096
#: To read so many holds takes as long as a look.
_HOLDS_A_LOOK = 8
#: So many looks for each host go to a search that moves little first: from an eighth to half.
_FIRST_LOOKS = 25
#: A search that is lucky ends soon, so several share the effort: as many as this, if each may
#: take so many looks at hosts for each unit.
_REPACKINGS = 3
_LOOKS_EACH = 550
#: For two hosts to exchange what is on them takes as long as so many looks.
_LOOKS_AN_EXCHANGE = 16
#: What is about then meets what is asked for, or meets what does, and so on, so many times;
#: no further where so many leases are found.
_RINGS = 8
_MOST_ABOUT = 300
#: To find these, a unit has so many others glanced at; so many glances take as long as a look.
_MOST_GLANCES = 1024
_GLANCES_A_LOOK = 4


class Effort:
    """The number of hosts that may still be looked at before a search is given up."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    @contextmanager
    def share(self, parts: int) -> Iterator[Effort]:
        """Lend one of so many parts; what is left of it is given back."""
        lent = Effort(self.left // parts)
        before = lent.left
        yield lent
        self.left -= before - max(0, lent.left)


class Move(NamedTuple):
    """A lease that has not begun, and the hosts that it is to have, from which moment on."""

    lease: Lease
    hosts: Hosts
    start: int


def sketch_moves(trial: SlotTable, moves: Sequence[Move]) -> None:
    """Let leases have their new hosts on a copy of the slot table."""
    for lease, _, _ in moves:
        trial.withdraw(lease.hold)
    for lease, hosts, start in moves:
        end = start + lease.hold.end - lease.hold.start
        trial.reserve(start, end, lease.demand.use(hosts), lease.id)


class Remapped(NamedTuple):
    """Hosts for a lease, and which others have to go elsewhere for it."""

    hosts: Hosts
    moves: list[Move]


#: Hosts for a lease throughout a time, on a table, if others get other hosts, or another time. It
#: takes one of so many parts of the effort that is left, at most: for what is tried after it, too.
Elsewhere = Callable[[SlotTable, Lease, int, int, int], Remapped | None]


def remap(
    table: SlotTable,
    planned: Planned,
    demand: Demand,
    start: int,
    end: int,
    effort: Effort,
    overview: Overview | None = None,
) -> Remapped | None:
    """Hosts throughout ``[start, end)`` that others leave; ``None`` if none are found.

    An ``overview`` that knows that time spares reading the table, which has not changed since.
    """
    if effort.left <= 0 or not enough_at_all(table, demand, start, end):
        return None
    if demand.size is not None and takes_whole(demand, table.uniform_capacity):
        # Where all hosts are taken whole it always ends well.
        ends_well = all_taken_whole(table, start, end)
        if ends_well or not _is_overseen(len(table.capacities)):
            canvas = Canvas(table, planned)
            most = None if ends_well else effort.left // _LOOKS_AN_EXCHANGE
            swapping = Swapping(canvas, demand.size, start, end, most)
            hosts = swapping.hosts(demand.count, demand.allowed)
            if hosts is not None:
                return Remapped(hosts, _moves(canvas))
            if swapping.left is not None and len(table.capacities) > MOST_HOSTS:
                effort.left = swapping.left * _LOOKS_AN_EXCHANGE
    if overview is not None and overview.knows(table, start, end):
        return _by_giving_way(overview, planned, demand, (start, end), effort)
    return _by_search(table, planned, demand, start, end, effort)


def _by_search(
    table: SlotTable, planned: Planned, demand: Demand, start: int, end: int, effort: Effort
) -> Remapped | None:
    """Hosts found by putting units out of each other's way.

    First with few moves; on small sites, also among all that is about then.
    """
    up = hosts_in(table.up)
    overview = overlook(table, planned, demand, [start], end)
    if overview is not None:
        effort.left -= overview.read // _HOLDS_A_LOOK
        return _by_giving_way(overview, planned, demand, (start, end), effort)
    if len(up) > MOST_HOSTS:
        canvas = Canvas(table, planned)
        asked = canvas.units(-1, demand, (), start, end)
        # Looks take longer there.
        with effort.share(2) as share:
            found = _Search(canvas, share).place(list(reversed(asked)))
        return Remapped(hosts_of(asked, demand.count), _moves(canvas)) if found else None
    window = around(table, planned, start, end)
    canvas = Canvas(table, planned, window)
    asked = canvas.units(-1, demand, (), start, end)
    if cannot_be_packed(canvas, up, asked, start, end):
        return None
    parts = max(2, min(8, effort.left // (_FIRST_LOOKS * len(up)))) if up else 1
    with effort.share(parts) as share:
        found = _Search(canvas, share).place(list(reversed(asked)))
    if not found:
        canvas.as_planned()
        for unit in asked:
            if unit.host >= 0:
                canvas.take(unit)
        alike = places_of(table, [demand], *window) is not None
        found = _repacked(canvas, up, asked, effort, alike=alike)
    return Remapped(hosts_of(asked, demand.count), _moves(canvas)) if found else None


def _is_overseen(hosts: int) -> bool:
    """Tell whether so many hosts are more than are repacked, and few enough to glance at all."""
    return MOST_HOSTS < hosts <= _MOST_OVERSEEN


def overlook(
    table: SlotTable, planned: Planned, demand: Demand, starts: Sequence[int], last: int
) -> Overview | None:
    """Capacity that hosts have left about the time from the first of some starts to ``last``.

    As long as anybody is there who is so at that time, or else for three times that time. ``None``
    where hosts are too many for that, or few enough to do without, or it takes too long to read.
    """
    if not _is_overseen(table.up.bit_count()):
        return None
    start = min(starts)
    near = table.holds_between(start, last)
    window = (
        max(table.now, min([start, *[hold.start for hold in near]])),
        max([last, *[hold.end for hold in near]]),
    )
    holds = table.holds_between(*window)
    if len(holds) > _MOST_HOLDS:
        window = max(window[0], 2 * start - last), min(window[1], 2 * last - start)
        holds = table.holds_between(*window)
        if len(holds) > _MOST_HOLDS:
            return None
    overview = Overview(Canvas(table, planned, window), holds, starts, demand.capacities)
    return overview if overview.is_handy else None


def _by_giving_way(
    overview: Overview, planned: Planned, demand: Demand, period: tuple[int, int], effort: Effort
) -> Remapped | None:
    """Hosts found with all of them glanced at each time."""
    canvas = Canvas(overview.table, planned, overview.window)
    asked = canvas.units(-1, demand, (), *period)
    with effort.share(_GIVING_WAY_PARTS) as share:
        way = GivingWay(canvas, overview, share.left)
        found = way.place(list(reversed(asked)))
        share.left = way.left
    return Remapped(hosts_of(asked, demand.count), _moves(canvas)) if found else None


def around(table: SlotTable, planned: Planned, start: int, end: int) -> tuple[int, int]:
    """Return from when to when it is about then: what may move meets others, and so on."""
    first, last = start, end
    for _ in range(_RINGS):
        near = [h for h in table.holds_between(first, last) if planned.movable(h.owner) is not None]
        if len(near) > _MOST_ABOUT:
            break
        first = min([first, *[hold.start for hold in near]])
        last = max([last, *[hold.end for hold in near]])
    return first, last


def _may_move(canvas: Canvas, hosts: list[int]) -> list[Unit]:
    there = {unit for host in hosts for unit in canvas.row(host) if unit.nodes}
    return sorted(there, key=lambda unit: (unit.start, unit.lease_id, unit.place))


def _repacked(
    canvas: Canvas, hosts: list[int], asked: list[Unit], effort: Effort, *, alike: bool
) -> bool:
    """Put all units that may move somewhere, where they may be ``alike``; tell if they are."""
    there = {unit for host in hosts for unit in canvas.row(host) if unit.nodes}
    units = sorted(there, key=lambda unit: (unit.start, unit.lease_id, unit.place))
    units += asked
    if alike:
        effort.left -= len(units) * len(hosts) // FASTER
        if seated_in_order(canvas, hosts, units):
            return True
    repacking = Repacking(canvas, hosts, units, effort.left * FASTER)
    tries = max(1, min(_REPACKINGS, repacking.left // (_LOOKS_EACH * len(repacking.units))))
    placed = any(repacking.place(parts) for parts in range(tries, 0, -1))
    effort.left = max(0, repacking.left) // FASTER
    return placed


def _moves(canvas: Canvas) -> list[Move]:
    return [Move(lease, hosts, lease.hold.start) for lease, hosts in canvas.moved()]


class _Search:
    """Puts units on hosts, moving others out of the way."""

    def __init__(self, canvas: Canvas, effort: Effort) -> None:
        self._canvas = canvas
        self._effort = effort
        #: Hosts that may have room, for a size over a time; on large sites they take long to find.
        self._promising: dict[tuple[Capacity, int, int], HostSet] = {}
        table = canvas.table
        self._up = table.up

    def place(self, homeless: list[Unit]) -> bool:
        """Place the units, from the last on; whether it was possible."""
        canvas = self._canvas
        while homeless:
            unit = homeless.pop()
            found = self._best(unit)
            if found is None:
                return False
            host, evicted = found
            for other in evicted:
                canvas.take(other)
            canvas.put(unit, host)
            if evicted:
                unit.refused += 1
                homeless += sorted(evicted, key=work)
            if self._effort.left <= 0:
                return not homeless
        return True

    def _best(self, unit: Unit) -> tuple[int, list[Unit]] | None:
        """The fullest host with room for the unit; else one, and who must leave it."""
        canvas = self._canvas
        best: tuple[int, int] | None = None
        full: list[tuple[int, list[Unit], list[Unit]]] = []
        for host in self._hosts(unit):
            self._effort.left -= 1
            there = canvas.overlapping(host, unit.start, unit.end)
            foes: list[Unit] = []
            if unit.foes:
                foes = [
                    o for o in there if o.lease_id == unit.lease_id and unit.foes >> o.place & 1
                ]
            if not foes and canvas.has_room(host, unit, there):
                score = canvas.wasted(host, unit, there), host
                if best is None or score < best:
                    best = score
            else:
                full.append((host, there, foes))
        return (best[1], []) if best is not None else self._cheapest(unit, full)

    def _cheapest(
        self, unit: Unit, full: list[tuple[int, list[Unit], list[Unit]]]
    ) -> tuple[int, list[Unit]] | None:
        """The host that units leave most easily, so that this one fits, and which ones."""
        cheapest: tuple[int, int, int] | None = None
        chosen, evicted = -1, list[Unit]()
        for host, there, foes in full:
            self._effort.left -= 1
            leaving = self._leaving(host, unit, there, foes)
            if leaving is None:
                continue
            cost = sum([o.refused for o in leaving]), sum([work(o) for o in leaving]), host
            if cheapest is None or cost < cheapest:
                cheapest, chosen, evicted = cost, host, leaving
        return None if cheapest is None else (chosen, evicted)

    def _leaving(
        self, host: int, unit: Unit, there: list[Unit], foes: list[Unit]
    ) -> list[Unit] | None:
        """Return who must leave a host, so that the unit fits; ``None`` if that is not enough."""
        if not all(foe.nodes for foe in foes):
            return None
        has_room = self._canvas.has_room
        stay = [o for o in there if not o.nodes]
        if not has_room(host, unit, stay):
            return None
        leaving = list(foes)
        candidates = [o for o in there if o.nodes and o not in foes]
        # Who is the hardest to displace, and the largest, is asked first whether it can stay.
        candidates.sort(key=lambda o: (-o.refused, -work(o), o.lease_id, o.place))
        for other in candidates:
            stay.append(other)
            if not has_room(host, unit, stay):
                stay.pop()
                leaving.append(other)
        return leaving

    def _hosts(self, unit: Unit) -> list[int]:
        """The hosts that are worth a look: all, or some on large sites."""
        hosts = unit.allowed & self._up
        if hosts.bit_count() <= MOST_HOSTS:
            return hosts_in(hosts)
        asked = unit.size, unit.start, unit.end
        some = self._promising.get(asked)
        if some is None:
            some = self._promising[asked] = self._glance(unit, hosts)
        known = hosts & self._canvas.loaded & ~some
        return hosts_in(some & hosts | lowest(known, MOST_HOSTS - some.bit_count()))

    def _glance(self, unit: Unit, hosts: HostSet) -> HostSet:
        """Some of many hosts that have room for a unit throughout, and some that do at first."""
        table, size, start, end = self._canvas.table, unit.size, unit.start, unit.end
        some = MOST_HOSTS // 4
        free, unsure = table.glance(size, start, end)
        free = lowest(free & hosts, some)
        at_first, unsure_at_first = table.glance(size, start, start + 1)
        at_first = lowest(at_first & hosts & ~free, some)
        glances = 0
        for host in hosts_in(lowest(unsure & hosts, _MOST_GLANCES)):
            if free.bit_count() >= some:
                break
            glances += 1
            if fits(size, table.least_free(host, start, end)):
                free |= 1 << host
            elif unsure_at_first >> host & 1 and at_first.bit_count() < some:
                at_first |= fits(size, table.least_free(host, start, start + 1)) << host
        self._effort.left -= glances // _GLANCES_A_LOOK
        return free | at_first
