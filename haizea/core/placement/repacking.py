"""A search among the units of a small site that takes each host in with one subtraction.

What a host has left over time is one number: a field of bits for each moment at which something
begins, and for each type of resource. What a unit takes is such a number too. Each field has a
bit to spare, which is lost where an amount is too much. So hosts are looked at many times as
fast as on a canvas.

A unit goes to the fullest host that has room for it; if none has, to the one which others leave
most easily, and these look for room next. How often a unit was refused makes it the harder to
displace. After each time that somebody had to leave, some units that are drawn change places
with others where both fit, so that the search does not run in circles.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import gcd
from typing import Final

from haizea.core.model.resources import Capacity
from haizea.core.placement.canvas import Canvas, Unit, crowded

#: More moments times types of resources make numbers that take long to look at.
_MOST_FIELDS: Final = 4096
#: So many more bits of them take as long as one more look.
_BITS_A_LOOK: Final = 3072
#: To take in a unit takes as long as so many looks.
_UNIT_TAKES: Final = 28
#: To go through so many units takes as long as a look.
_UNITS_A_LOOK: Final = 5
#: So many units are drawn after each time that others had to leave.
_DRAWN: Final = 6
#: They, and to put out whoever is in the way, take as long as so many looks.
_DRAWS_TAKE: Final = 16
#: Of the generator that draws: the same numbers each time.
_FACTOR: Final = 48271
_MODULUS: Final = (1 << 31) - 1
#: Hosts that are left as easily as others are told apart by numbers below this one.
_TIES: Final = 1 << 16
#: Hosts are looked at so many times as fast as on a canvas.
FASTER: Final = 100


def distinct_kinds(
    capacities: Iterable[Capacity], sizes: Iterable[Capacity]
) -> list[tuple[int, int]]:
    """Return the types of resources that need fields of their own, each with its step.

    Amounts are in steps that divide all of them, so that fields are narrow. A type that is
    as full as another one at any time, as memory that goes with cores, needs no fields.
    """
    kinds = dict[tuple[int, ...], tuple[int, int]]()
    for kind, amounts in enumerate(zip(*{*capacities, *sizes}, strict=True)):
        step = max(1, gcd(*amounts))
        kinds.setdefault(tuple([amount // step for amount in amounts]), (kind, step))
    return list(kinds.values())


class _Fields:
    """Amounts over time in one number: a field for each moment and type of resource."""

    def __init__(
        self, moments: list[int], capacities: Sequence[Capacity], sizes: Iterable[Capacity]
    ) -> None:
        self._moments = moments
        kinds = distinct_kinds(capacities, sizes)
        totals = [max([c[kind] // step for c in capacities]) for kind, step in kinds]
        largest = max(totals)
        #: The largest host has about as much of each type, so that sums of them mean something.
        self._kinds = [
            (kind, step, largest // max(1, total))
            for (kind, step), total in zip(kinds, totals, strict=True)
        ]
        self.count = len(moments) * len(self._kinds)
        # Sums of all fields are less than what one of them holds.
        self._bits = largest.bit_length() + 1 + self.count.bit_length()
        self.bits = self.count * self._bits
        self.most = (1 << self._bits) - 1
        self.spare = self._repeated(1 << self._bits - 1, 0, self.count)
        #: As much as possible in each field, without bits to spare.
        self.none_spare = self._repeated(self.most >> 1, 0, self.count)

    def everywhere(self, size: Capacity) -> int:
        """The size at all moments."""
        return self._over(size, 0, len(self._moments))

    def of(self, unit: Unit) -> int:
        """The size of a unit, as long as it is there."""
        return self._over(unit.size, *self._places(unit))

    def span(self, unit: Unit) -> int:
        """The fields of a unit as long as it is there, without bits to spare."""
        since, until = self._places(unit)
        found = 0
        for place in range(len(self._kinds)):
            first = place * len(self._moments)
            found += self._repeated(self.most >> 1, first + since, first + until)
        return found

    def _places(self, unit: Unit) -> tuple[int, int]:
        return bisect_left(self._moments, unit.start), bisect_left(self._moments, unit.end)

    def _over(self, size: Capacity, since: int, until: int) -> int:
        found = 0
        for place, (kind, step, scale) in enumerate(self._kinds):
            first = place * len(self._moments)
            found += self._repeated(size[kind] // step * scale, first + since, first + until)
        return found

    def _repeated(self, amount: int, since: int, until: int) -> int:
        """The amount in each of the fields from one on and before another."""
        ones: int = ((1 << (until - since) * self._bits) - 1) // self.most
        found: int = amount * ones << since * self._bits
        return found


class Repacking:
    """Units on hosts, with all that begins and ends about then beside them.

    Units are known by their place in order of start; those that are on a host stay there until
    others need it. On the canvas they are on none until all have a host. Building it and
    searching take no more than so many looks at hosts, of which some are ``left``.
    """

    def __init__(self, canvas: Canvas, hosts: list[int], units: list[Unit], looks: int) -> None:
        self._canvas = canvas
        self._up = hosts
        self.units = units = sorted(units, key=lambda unit: unit.start)
        self._starts = [unit.start for unit in units]
        self._planned = [unit.host for unit in units]
        for unit in units:
            if unit.host >= 0:
                canvas.take(unit)
        first, last = self._starts[0], max([unit.end for unit in units])
        staying = [(host, u) for host in hosts for u in canvas.overlapping(host, first, last)]
        staying_units = [unit for _, unit in staying]
        moments = crowded([*units, *staying_units], first)
        capacities = [canvas.table.capacities[host] for host in hosts]
        self._fields = _Fields(moments, capacities, {u.size for u in [*units, *staying_units]})
        self._look = 1 + self._fields.bits // _BITS_A_LOOK
        self.left = looks - _UNIT_TAKES * self._look * (len(units) + len(staying))
        if self.left > 0 and self._fields.count <= _MOST_FIELDS:
            self._take_in(capacities, staying)
        else:
            self.left = 0

    def _take_in(self, capacities: list[Capacity], staying: list[tuple[int, Unit]]) -> None:
        fields, units = self._fields, self.units
        #: What each host has left beside what stays, with bits to spare.
        self._most_free = [0] * len(self._canvas.table.capacities)
        for host, capacity in zip(self._up, capacities, strict=True):
            self._most_free[host] = fields.everywhere(capacity) + fields.spare
        for host, unit in staying:
            self._most_free[host] -= fields.of(unit)
        self._sizes = [fields.of(unit) for unit in units]
        self._spans = [fields.span(unit) for unit in units]
        self._works = [unit.bulk * (unit.end - unit.start) for unit in units]
        #: How much harder it is to displace a unit that was refused once more.
        self._harder = len(units)
        by_work = sorted(range(len(units)), key=self._works.__getitem__)
        #: In which order units come by that alone; small numbers are compared faster than works.
        self._easiness = [0] * len(units)
        for rank, place in enumerate(by_work):
            self._easiness[place] = -rank
        self._foes = _foes_among(units)
        #: Hosts with room for each unit beside what stays, and who is there when it is, as far
        #: as somebody asked.
        self._hosts: list[list[int] | None] = [None] * len(units)
        self._about: list[list[int] | None] = [None] * len(units)
        self._as_planned()

    def _as_planned(self) -> None:
        """Put all units where they are planned to be."""
        #: What each host has left, with bits to spare; the set of units there.
        self._free = list(self._most_free)
        self._there = [0] * len(self._free)
        self._refused = [1] * len(self.units)
        #: Who is the hardest to displace, and the largest of these, comes first.
        self._hardness = list(self._easiness)
        self._host = [-1] * len(self.units)
        for place, host in enumerate(self._planned):
            if host >= 0:
                self._put(place, host)

    def _hosts_for(self, place: int) -> list[int]:
        """Return the hosts that have room for a unit beside what stays."""
        hosts = self._hosts[place]
        if hosts is None:
            allowed, size = self.units[place].allowed, self._sizes[place]
            spare, free = self._fields.spare, self._most_free
            hosts = [h for h in self._up if allowed >> h & 1 and free[h] - size & spare == spare]
            self._hosts[place] = hosts
            self.left -= len(self._up) * self._look
        return hosts

    def _who_meets(self, place: int) -> list[int]:
        """Return the units that are there at some moment when this one is."""
        about = self._about[place]
        if about is None:
            unit, units = self.units[place], self.units
            before_end = bisect_left(self._starts, unit.end)
            start = unit.start
            about = [o for o in range(before_end) if units[o].end > start and o != place]
            self._about[place] = about
            self.left -= before_end // _UNITS_A_LOOK
        return about

    def _put(self, place: int, host: int) -> None:
        self._free[host] -= self._sizes[place]
        self._there[host] |= 1 << place
        self._host[place] = host

    def _take(self, place: int) -> None:
        host = self._host[place]
        self._free[host] += self._sizes[place]
        self._there[host] &= ~(1 << place)
        self._host[place] = -1

    def place(self, parts: int) -> bool:
        """Find a host for every unit, within one of so many parts of the looks that are left.

        Each number of parts has other units drawn. If it was found, the units are on these hosts
        then, on the canvas, too.
        """
        least = self.left - self.left // parts
        if self.left <= 0:
            return False
        self._as_planned()
        self._drawn = parts
        homeless = [place for place, host in enumerate(self._host) if host < 0]
        homeless.sort(key=self._ease)
        while homeless:
            place = homeless.pop()
            host = self._fullest(place)
            if host is not None:
                self._put(place, host)
            elif self.left <= least or not self._make_room(place, homeless):
                return False
        for unit, host in zip(self.units, self._host, strict=True):
            self._canvas.put(unit, host)
        return True

    def _make_room(self, place: int, homeless: list[int]) -> bool:
        """Have others leave a host for a unit, for now; tell whether that is possible."""
        self._refused[place] += 1
        self._hardness[place] -= self._harder
        found = self._cheapest(place)
        if found is None:
            return False
        host, leaving = found
        for other in leaving:
            self._take(other)
        self._put(place, host)
        homeless += sorted(leaving, key=self._ease) if len(leaving) > 1 else leaving
        self.left -= _DRAWS_TAKE * self._look
        self._change_places()
        return True

    def _ease(self, place: int) -> tuple[int, int, int]:
        """Return how easy it is to put a unit somewhere: less is harder, and comes last."""
        return -len(self._hosts_for(place)), self.units[place].bulk, self._works[place]

    def _fullest(self, place: int) -> int | None:
        """Return the host with room for a unit that has the least left beside it."""
        size, span, foes = self._sizes[place], self._spans[place], self._foes[place]
        spare, most, free, there = self._fields.spare, self._fields.most, self._free, self._there
        hosts = self._hosts_for(place)
        self.left -= len(hosts) * self._look
        roomy = [host for host in hosts if free[host] - size & spare == spare]
        if foes:
            roomy = [host for host in roomy if not there[host] & foes]
        if len(roomy) < 2:
            return roomy[0] if roomy else None
        # The sum of all fields that are left beside it.
        wasted = [(free[host] - size & span) % most for host in roomy]
        return roomy[wasted.index(min(wasted))]

    def _cheapest(self, place: int) -> tuple[int, list[int]] | None:
        """Return the host that units leave most easily, so that this one fits, and which ones."""
        refused, sizes, host_of = self._refused, self._sizes, self._host
        size, spare, foes = sizes[place], self._fields.spare, self._foes[place]
        hosts, about, most_free = self._hosts_for(place), self._who_meets(place), self._most_free
        self.left -= (len(hosts) + len(about) // 2) * self._look
        # Who is there at another time takes nothing away as long as this one is there. Where it
        # may not be nobody can stay; the last place is of those that are on no host.
        left = [self._fields.none_spare] * (len(most_free) + 1)
        for host in hosts:
            left[host] = most_free[host] - size
        costs = [0] * len(left)
        gone: dict[int, list[int]] = {}
        # Who is the hardest to displace, and the largest, is asked first whether it can stay.
        # In place: the list is kept, and nearly in order the next time, which sorts faster.
        about.sort(key=self._hardness.__getitem__)
        for other in about:
            host = host_of[other]
            beside = left[host] - sizes[other]
            if beside & spare == spare and not foes >> other & 1:
                left[host] = beside
            else:
                costs[host] += refused[other]
                if host in gone:
                    gone[host].append(other)
                else:
                    gone[host] = [other]
        cheapest, chosen, drawn = -1, -1, self._drawn
        for host in hosts:
            drawn = drawn * _FACTOR % _MODULUS
            cost = costs[host] * _TIES + drawn % _TIES
            if chosen < 0 or cost < cheapest:
                cheapest, chosen = cost, host
        self._drawn = drawn
        return None if chosen < 0 else (chosen, gone.get(chosen, []))

    def _change_places(self) -> None:
        """Move units that are drawn to hosts that are drawn, or have them change with others."""
        spare, sizes, free, host_of = self._fields.spare, self._sizes, self._free, self._host
        hosts_for, meets, foes, there = self._hosts, self._about, self._foes, self._there
        count, drawn = len(sizes), self._drawn
        for _ in range(_DRAWN):
            drawn = drawn * _FACTOR % _MODULUS
            place = drawn % count
            here, hosts = host_of[place], hosts_for[place] or self._hosts_for(place)
            # One on a host that is over-full can have no host with room for it.
            if here < 0 or not hosts:
                continue
            # What is left of the number says which host.
            host = hosts[drawn // count % len(hosts)]
            if host == here:
                continue
            if free[host] - sizes[place] & spare == spare:
                if not foes[place] or not there[host] & foes[place]:
                    # As taken and put again, without the calls: this is done most often of all.
                    free[here] += sizes[place]
                    free[host] -= sizes[place]
                    there[here] ^= 1 << place
                    there[host] ^= 1 << place
                    host_of[place] = host
            elif about := meets[place] or self._who_meets(place):
                drawn = drawn * _FACTOR % _MODULUS
                other = about[drawn % len(about)]
                away = host_of[other]
                if away >= 0 and away != here:
                    more = sizes[place] - sizes[other]
                    if free[away] - more & spare == spare and free[here] + more & spare == spare:
                        self._exchange(place, other)
        self._drawn = drawn

    def _exchange(self, one: int, other: int) -> None:
        """Let two units have each other's hosts, where there is room, if they may."""
        here, there = self._host[one], self._host[other]
        if here not in self._hosts_for(other) or there not in self._hosts_for(one):
            return
        self._take(one)
        self._take(other)
        if self._there[there] & self._foes[one] or self._there[here] & self._foes[other]:
            here, there = there, here
        self._put(one, there)
        self._put(other, here)


def _foes_among(units: list[Unit]) -> list[int]:
    """Return the set of units that must not be where each is."""
    of_lease: dict[int, list[tuple[int, Unit]]] = {}
    for place, unit in enumerate(units):
        if unit.foes:
            of_lease.setdefault(unit.lease_id, []).append((place, unit))
    return [
        sum(
            [1 << place for place, o in of_lease.get(unit.lease_id, ()) if unit.foes >> o.place & 1]
        )
        for unit in units
    ]
