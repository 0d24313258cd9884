"""Units of a large site that give way to each other, with all hosts glanced at each time.

A unit goes to the fullest host that has room for it. Where none has, those hosts on which it has
room at most moments are looked at closely, and it takes the place of those that leave one of these
most easily; they look for room in turn. What each host has left over time is one number
(:mod:`haizea.core.placement.overview`), of a time about what is asked for; what reaches beyond that
stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.placement.canvas import Canvas, Unit, work
from haizea.core.placement.overview import Overview

#: So many hosts are looked at closely.
_CLOSELY: Final = 6
#: Of hosts with room, so many are compared.
_MOST_ROOMY: Final = 16
#: To glance at so many hosts takes as long as a close look.
_GLANCES_A_LOOK: Final = 24


class GivingWay:
    """Finds hosts for units of a canvas, moving others out of the way.

    It is given up after so many ``looks`` at hosts, of which some are ``left``. The canvas does not
    say which units are on a host, but units say on which they are.
    """

    def __init__(self, canvas: Canvas, overview: Overview, looks: int) -> None:
        self._canvas = canvas
        self._overview = overview
        self._free = overview.free.copy()
        #: Units that came to a host on which they were not planned.
        self._arrived: dict[int, list[Unit]] = {}
        #: What units take over time.
        self._sizes: dict[Unit, int] = {}
        self._hosts: dict[HostSet, list[int]] = {}
        self.left = looks

    def place(self, homeless: list[Unit]) -> bool:
        """Place the units, from the last on; whether it was possible."""
        while homeless and self.left > 0:
            unit = homeless.pop()
            self._sizes[unit] = self._overview.of(unit)
            hosts, left = self._glance(unit)
            host, leaving = self._fullest(unit, hosts, left), list[Unit]()
            if host < 0:
                host, leaving = self._cheapest(unit, self._nearly_roomy(unit, hosts, left))
                if host < 0:
                    return False
                unit.refused += 1
            for other in leaving:
                self._leave(other)
            self._come(unit, host)
            homeless += sorted(leaving, key=work)
        return not homeless

    def _come(self, unit: Unit, host: int) -> None:
        self._free[host] -= self._sizes[unit]
        self._arrived.setdefault(host, []).append(unit)
        unit.host = host

    def _leave(self, unit: Unit) -> None:
        self._free[unit.host] += self._sizes[unit]
        if unit in (arrived := self._arrived.get(unit.host, [])):
            arrived.remove(unit)
        unit.host = -1

    def _glance(self, unit: Unit) -> tuple[list[int], list[int]]:
        """The hosts that the unit may have, and the bits to spare of each that are left beside it.

        All of them are where there is room, and else those of the moments at which there is.
        """
        hosts = self._hosts.get(unit.allowed)
        if hosts is None:
            hosts = self._hosts[unit.allowed] = hosts_in(unit.allowed & self._overview.up)
        self.left -= 1 + len(hosts) // _GLANCES_A_LOOK
        size, free, spare = self._sizes[unit], self._free, self._overview.spare
        return hosts, [free[host] - size & spare for host in hosts]

    def _fullest(self, unit: Unit, hosts: list[int], left: list[int]) -> int:
        """The host with room for the unit of which the least is left beside it; -1 if none has."""
        spare = self._overview.spare
        if spare not in left:
            return -1  # As most often, and told faster.
        roomy = [host for host, beside in zip(hosts, left, strict=True) if beside == spare]
        if unit.foes:
            roomy = [host for host in roomy if not self._foes(host, unit)]
        if len(roomy) < 2:
            return roomy[0] if roomy else -1
        del roomy[_MOST_ROOMY:]
        size, free = self._sizes[unit], self._free
        span, left_over = self._overview.span(unit), self._overview.left_over
        wasted = [left_over(free[host] - size & span) for host in roomy]
        return roomy[wasted.index(min(wasted))]

    def _cheapest(self, unit: Unit, nearly_roomy: Iterator[int]) -> tuple[int, list[Unit]]:
        """The host that units leave most easily, so that this one fits, and which; -1 if none."""
        found: list[tuple[int, int, int, list[Unit]]] = []
        for host in nearly_roomy:
            self.left -= 1
            leaving = self._leaving(host, unit)
            if leaving is not None:
                cost = sum([o.refused for o in leaving]), sum([work(o) for o in leaving])
                found.append((*cost, host, leaving))
                if len(found) == _CLOSELY or self.left <= 0:
                    break
        return min(found)[2:] if found else (-1, [])

    def _nearly_roomy(self, unit: Unit, hosts: list[int], left: list[int]) -> Iterator[int]:
        """Hosts on which others may make room, those with room at most moments first."""
        size, spare, most_free = self._sizes[unit], self._overview.spare, self._overview.most_free
        self.left -= 1 + len(hosts) // _GLANCES_A_LOOK
        bits = len(self._free).bit_length()
        # Numbers are sorted faster than pairs of them.
        moments = [
            beside.bit_count() << bits | host for host, beside in zip(hosts, left, strict=True)
        ]
        moments.sort(reverse=True)
        for both in moments:
            host = both & (1 << bits) - 1
            if most_free[host] - size & spare == spare:
                yield host

    def _leaving(self, host: int, unit: Unit) -> list[Unit] | None:
        """Return who must leave a host, so that the unit fits; ``None`` if that is not enough."""
        leaving = self._foes(host, unit)
        sizes, spare = self._sizes, self._overview.spare
        left = self._free[host] - sizes[unit]
        candidates: list[tuple[int, int, int, int, Unit]] = []
        for other in self._there(host, unit.start, unit.end):
            size = sizes.get(other)
            if size is None:
                size = sizes[other] = self._overview.of(other)
            left += size
            candidates.append((-other.refused, -work(other), other.lease_id, other.place, other))
        if left & spare != spare:
            return None
        # Who is the hardest to displace, and the largest, is asked first whether it can stay.
        candidates.sort()
        for *_, other in candidates:
            beside = left - sizes[other]
            if other in leaving:
                continue
            if beside & spare == spare:
                left = beside
            else:
                leaving.append(other)
        return leaving

    def _there(self, host: int, start: int, end: int) -> list[Unit]:
        """The units on a host at some time in ``[start, end)`` that may move."""
        units_of, there = self._canvas.units_of, list[Unit]()
        for hold in self._overview.movable[host]:
            if hold.start < end and hold.end > start:
                there += [u for u in units_of(hold.owner) or () if u.host == host]
        for unit in self._arrived.get(host, ()):
            if unit.start < end and unit.end > start and unit not in there:
                there.append(unit)
        return there

    def _foes(self, host: int, unit: Unit) -> list[Unit]:
        """Return the units there that need another host than this one."""
        if not unit.foes:
            return []
        there = self._there(host, unit.start, unit.end)
        return [o for o in there if o.lease_id == unit.lease_id and unit.foes >> o.place & 1]
