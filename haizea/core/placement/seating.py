"""Starts and hosts at once, for leases in their windows on a small site.

What each host has left over time is a step function. Leases are put in one by one, each as soon
as its nodes all find room, nearly always on the fullest hosts that have some. Who finds none goes
before one of those that were put in last in its way, and all from there on are put in anew. The
same is done with time reversed, by turns: where one is stuck for long, the other often is not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from haizea.core.placement.canvas import Canvas, Unit, pack, spare_bits
from haizea.core.placement.left_over_time import soonest, summed, take, turned

#: Of the generator that draws: the same numbers each time.
_FACTOR: Final = 48271
_MODULUS: Final = (1 << 31) - 1
#: The searches from the beginning and from the end take turns, so many in all.
TURNS: Final = 8
#: Who is stuck goes before one of so many that were put in last, of those in its way.
_LAST: Final = 7
#: One of so many hosts that have room is taken as if it were full, whatever it has left: else some
#: assignments come of no order at all.
_SELDOM: Final = 20
#: So many moments are tried for a lease of several nodes.
_MOST_MOMENTS: Final = 12


class Guest(NamedTuple):
    """Nodes that run together for ``seconds``, from ``first`` to ``last`` at the latest."""

    first: int
    last: int
    seconds: int
    units: Sequence[Unit]


#: From each of some moments on, in order: what is left on a host, with bits to spare.
_Left = tuple[list[int], list[int]]


class Seating:
    """Finds starts and hosts for guests, known by their places, beside what stays on a canvas."""

    def __init__(self, canvas: Canvas, hosts: list[int], guests: Sequence[Guest]) -> None:
        self._guests = guests
        spare = spare_bits(len(canvas.table.capacities[hosts[0]]))
        first = min([guest.first for guest in guests])
        end = max([guest.last + guest.seconds for guest in guests])
        left = {}
        for host in hosts:
            stays = [u for u in canvas.overlapping(host, first, end) if not u.nodes]
            whole = pack(canvas.table.capacities[host]) + spare
            left[host] = _left_beside(stays, whole, first, end)
        back = {host: turned(*both) for host, both in left.items()}
        later = [x._replace(first=-x.last - x.seconds, last=-x.first - x.seconds) for x in guests]
        self._sooner = _Search(left, guests, spare)
        self._later = _Search(back, later, spare)

    def find(self, looks: int) -> tuple[list[int] | None, int]:
        """Find a start for each guest, and put its units on hosts; return what is left of looks.

        A look is one at a host for a node. ``None`` if no starts are found.
        """
        share = looks // TURNS
        for turn in range(TURNS):
            search = self._later if turn % 2 else self._sooner
            left = search.go_on(share, evenly=turn % 4 < 2)
            looks -= share - left
            if search.seated:
                starts = list(search.starts)
                if turn % 2:
                    starts = [-x - y.seconds for x, y in zip(starts, self._guests, strict=True)]
                for guest, hosts in zip(self._guests, search.hosts, strict=True):
                    for unit, host in zip(guest.units, hosts, strict=True):
                        unit.host = host
                return starts, looks
            if left > 0:
                # One of them fits nowhere, even alone.
                break
        return None, looks


def _left_beside(stays: Sequence[Unit], whole: int, first: int, end: int) -> _Left:
    changes = {first: whole, end: 0}
    for unit in stays:
        begin = max(unit.start, first)
        changes[begin] = changes.get(begin, 0) - unit.packed
        if unit.end <= end:
            changes[unit.end] = changes.get(unit.end, 0) + unit.packed
    times, free = summed(changes)
    free[-1] = 0
    return times, free


class _Search:
    """Puts guests in one by one, each as soon as it fits, in one order after another."""

    def __init__(self, left: dict[int, _Left], guests: Sequence[Guest], spare: int) -> None:
        self._guests = guests
        self._spare = spare
        self._parts = [sorted(range(len(g.units)), key=lambda i: -g.units[i].bulk) for g in guests]
        self._order = sorted(range(len(guests)), key=self._hardest)
        self.starts = [0] * len(guests)
        self.hosts = [[-1] * len(guest.units) for guest in guests]
        self.seated = False
        #: What is left on each host before each place of the order, as far as that still holds.
        self._until = [left]
        self._drawn = 1
        self._looks = 0
        self._evenly = True

    def _hardest(self, place: int) -> tuple[int, int, int]:
        guest = self._guests[place]
        return guest.last, -guest.seconds * sum([unit.bulk for unit in guest.units]), place

    def go_on(self, looks: int, *, evenly: bool) -> int:
        """Put all in; return how many of so many looks are left.

        The fullest host is the one that has least left on an average of moments, or at the worst.
        """
        order, until, self._evenly = self._order, self._until, evenly
        self._looks = looks
        while self._looks > 0:
            stuck = -1
            for at in range(len(until) - 1, len(order)):
                left = until[at].copy()
                if not self._put_in(left, order[at]):
                    stuck = at
                    break
                until.append(left)
            if stuck < 0:
                self.seated = True
                break
            if stuck == 0:
                break
            place = self._before(stuck)
            order.insert(place, order.pop(stuck))
            del until[place + 1 :]
        return max(0, self._looks)

    def _before(self, stuck: int) -> int:
        """Draw one of those that have the time of the one that is stuck: it goes before that."""
        order, starts = self._order, self.starts
        first, last, seconds, _ = self._guests[order[stuck]]
        there = [
            at
            for at in range(stuck)
            if starts[order[at]] < last + seconds
            and starts[order[at]] + self._guests[order[at]].seconds > first
        ][-_LAST:]
        return there[self._draw(len(there))] if there else self._draw(stuck)

    def _put_in(self, left: dict[int, _Left], place: int) -> bool:
        """Put a guest in as soon as there is room for all of it; tell if there is."""
        guest = self._guests[place]
        if len(guest.units) == 1:
            unit = guest.units[0]
            best = self._soonest(left, guest, unit)
            if best is None:
                return False
            start, host = best
            _take(left, host, start, start + guest.seconds, unit.packed)
            self.starts[place] = start
            self.hosts[place][0] = host
            return True
        for start in self._moments(left, guest, self._parts[place]):
            if self._put_at(left, place, start):
                self.starts[place] = start
                return True
        return False

    def _soonest(self, left: dict[int, _Left], guest: Guest, unit: Unit) -> tuple[int, int] | None:
        """Return the first start of a single node, and the fullest host that has room then."""
        best: tuple[int, int, int] | None = None
        last, allowed, packed = guest.last, unit.allowed, unit.packed
        for host, (times, free) in left.items():
            if not allowed >> host & 1:
                continue
            self._looks -= 1
            start = soonest(times, free, packed, self._spare, guest.first, last, guest.seconds)
            if start is None:
                continue
            last = start
            found = start, self._fullness(times, free, start, start + guest.seconds), host
            if best is None or found < best:
                best = found
        return None if best is None else (best[0], best[2])

    def _moments(self, left: dict[int, _Left], guest: Guest, parts: list[int]) -> list[int]:
        """Return starts from which there may be room for all nodes, in order."""
        if guest.first == guest.last:
            return [guest.first]
        # The largest node has the fewest.
        unit = guest.units[parts[0]]
        found = set[int]()
        for host, (times, free) in left.items():
            if unit.allowed >> host & 1:
                self._looks -= 1
                found.update(
                    _openings(
                        times,
                        free,
                        unit.packed,
                        self._spare,
                        guest.first,
                        guest.last,
                        guest.seconds,
                    )
                )
        return sorted(found)[:_MOST_MOMENTS]

    def _put_at(self, left: dict[int, _Left], place: int, start: int) -> bool:
        """Put all nodes of a guest in at a moment, on the fullest hosts; tell if they fit."""
        guest, chosen = self._guests[place], self.hosts[place]
        end, spare = start + guest.seconds, self._spare
        trial = left.copy()
        there: dict[int, int] = {}
        for part in self._parts[place]:
            unit = guest.units[part]
            best: tuple[int, int] | None = None
            for host, (times, free) in trial.items():
                if not unit.allowed >> host & 1 or unit.foes & there.get(host, 0):
                    continue
                self._looks -= 1
                if _fits(times, free, unit.packed, spare, start, end):
                    found = self._fullness(times, free, start, end), host
                    if best is None or found < best:
                        best = found
            if best is None:
                return False
            host = chosen[part] = best[1]
            there[host] = there.get(host, 0) | 1 << unit.place
            _take(trial, host, start, end, unit.packed)
        left.update(trial)
        return True

    def _fullness(self, times: list[int], free: list[int], start: int, end: int) -> int:
        """Return how much a host has left then; less is fuller, and seldom it is drawn."""
        if not self._draw(_SELDOM):
            return 0
        there = free[bisect_right(times, start) - 1 : bisect_left(times, end)]
        return sum(there) // len(there) if self._evenly else min(there)

    def _draw(self, count: int) -> int:
        """Return a number below ``count``; the same ones in each search."""
        self._drawn = self._drawn * _FACTOR % _MODULUS
        return self._drawn % count


def _fits(times: list[int], free: list[int], need: int, spare: int, start: int, end: int) -> bool:
    i = bisect_right(times, start) - 1
    while times[i] < end:
        if free[i] - need & spare != spare:
            return False
        i += 1
    return True


def _openings(
    times: list[int], free: list[int], need: int, spare: int, first: int, last: int, seconds: int
) -> list[int]:
    """Return the moments in ``[first, last]`` from which there comes to be enough for so long."""
    found = []
    moment = soonest(times, free, need, spare, first, last, seconds)
    while moment is not None:
        found.append(moment)
        i = bisect_right(times, moment)
        # From the next change on there may be more room, or anew.
        if i >= len(times) or times[i] > last:
            break
        moment = soonest(times, free, need, spare, times[i], last, seconds)
    return found


def _take(left: dict[int, _Left], host: int, start: int, end: int, need: int) -> None:
    times, free = left[host][0].copy(), left[host][1].copy()
    take(times, free, start, end, need)
    left[host] = times, free
