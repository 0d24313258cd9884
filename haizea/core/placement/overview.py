"""Capacity that each host has left over a time, in one number for each host.

A number has a field of bits for each moment at which something begins and each type of resource;
what a unit takes is such a number, too. The highest bit of each field is to spare: it is lost where
an amount is too much, so that a host is looked at with one subtraction.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.allocation import Apart
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import Capacity
from haizea.core.placement.canvas import Canvas, Unit
from haizea.core.placement.repacking import distinct_kinds

#: Longer numbers take long to look at.
_MOST_BITS: Final = 1 << 16


class Overview:
    """Capacity that the hosts of a canvas have left in its window, as things are planned.

    O(holds in it, and hosts × moments).
    """

    def __init__(
        self,
        canvas: Canvas,
        holds: Sequence[Hold],
        starts: Iterable[int],
        asked: Collection[Capacity],
    ) -> None:
        """Read the holds in its window; what is asked for is of these sizes, from these starts."""
        self.table = table = canvas.table
        self.window = first, _ = canvas.window
        self._asked = asked
        #: So many holds are read.
        self.read = len(holds)
        #: Hosts that take what is new.
        self.up: HostSet = table.up
        up = [table.capacities[host] for host in hosts_in(self.up)]
        sizes = {*asked, *up, *_sizes(canvas, holds)}
        begins = {hold.start for hold in holds}
        self._moments = sorted({*starts, *[start if start > first else first for start in begins]})
        self._kinds = distinct_kinds(up, sizes)
        largest = max([capacity[kind] // step for capacity in up for kind, step in self._kinds])
        self._most = largest
        self._bits = largest.bit_length() + 1
        count = len(self._moments) * len(self._kinds)
        #: Whether numbers are short enough to be looked at often.
        self.is_handy = self._bits * count <= _MOST_BITS
        if not self.is_handy:
            return
        ones = ((1 << self._bits * count) - 1) // ((1 << self._bits) - 1)
        #: The highest bit of each field.
        self.spare: int = ones << self._bits - 1
        #: A one in each field of one kind.
        self._ones: int = ones >> self._bits * (count - len(self._moments))
        each = self._bits * len(self._moments)
        kind_firsts = sum([1 << each * i for i in range(len(self._kinds))])
        self._every_kind = ((1 << self._bits - 1) - 1) * kind_firsts
        self._bit_masks = [ones << b for b in range(self._bits - 2, max(-1, self._bits - 6), -1)]
        self._first_fields = {amounts: self._at_first(amounts) for amounts in sizes}
        #: What each host has left, with bits to spare; and beside what cannot move.
        self.free = [0] * len(table.capacities)
        self.most_free = self.free.copy()
        #: Holds on each host that may move.
        self.movable: list[list[Hold]] = [[] for _ in table.capacities]
        self._read(table, holds)

    def _at_first(self, size: Capacity) -> int:
        """The size at the first moment."""
        each = self._bits * len(self._moments)
        amounts = [size[kind] // step << each * i for i, (kind, step) in enumerate(self._kinds)]
        return sum(amounts)

    def _read(self, table: SlotTable, holds: Sequence[Hold]) -> None:
        """Note what holds leave of each host.

        The sum of fields from one place to another is a difference of two powers, divided by one
        less than what a field holds: of all holds of a host together, that is divided once.
        """
        moments, bits, (first, last) = self._moments, self._bits, self.window
        begins = {moment: bits * place for place, moment in enumerate(moments)}
        ends = {end: bits * bisect_left(moments, end) for end in {hold.end for hold in holds}}
        sizes, now, movable = self._first_fields, table.now, self.movable
        taken, fixed = [0] * len(table.capacities), [0] * len(table.capacities)
        for hold in holds:
            start, end, same = hold.start, hold.end, hold.same
            begin, until = begins[start] if start > first else 0, ends[end]
            stays = start <= now or start < first or end > last
            if same is not None and hold.count == 1:
                # As most of them, and faster than what follows.
                number, host = sizes[same], hold.hosts.bit_length() - 1
                number = (number << until) - (number << begin)
                taken[host] += number
                if stays:
                    fixed[host] += number
                else:
                    movable[host].append(hold)
                continue
            for host, amount in _amounts(hold):
                number = (sizes[amount] << until) - (sizes[amount] << begin)
                taken[host] += number
                if stays:
                    fixed[host] += number
                else:
                    movable[host].append(hold)
        field = (1 << bits) - 1
        for host in hosts_in(self.up):
            whole = sizes[table.capacities[host]] * self._ones + self.spare
            self.free[host] = whole - taken[host] // field
            self.most_free[host] = whole - fixed[host] // field

    def knows(self, table: SlotTable, start: int, end: int) -> bool:
        """Tell whether it is of this table, throughout ``[start, end)``, from just then on."""
        within = self.window[0] <= start and end <= self.window[1]
        if table is not self.table or not within:
            return False
        place = bisect_left(self._moments, start)
        return place < len(self._moments) and self._moments[place] == start

    def may_have_room(self, table: SlotTable, start: int, end: int, allowed: HostSet) -> bool:
        """Tell whether all that is asked for fits on some hosts, size by size, throughout.

        It may where that time is not known.
        """
        if not self.knows(table, start, end):
            return True
        hosts = hosts_in(self.up & allowed)
        return all(
            self._has_room(size, count, start, end, hosts)
            for size, count in Counter(self._asked).items()
        )

    def _has_room(
        self, size: Capacity, count: int, start: int, end: int, hosts: Sequence[int]
    ) -> bool:
        """Tell whether so many of a size fit on these hosts throughout, if nobody moves."""
        one, free, spare, copies = self._over(size, start, end), self.free, self.spare, 1
        # As many of them as no host has room for would spill into other fields.
        while count > 0 and all(copies * size[k] // step <= self._most for k, step in self._kinds):
            amount = copies * one
            roomy = sum([free[host] - amount & spare == spare for host in hosts])
            if not roomy:
                break
            count -= roomy
            copies += 1
        return count <= 0

    def of(self, unit: Unit) -> int:
        """The size of a unit, as long as it is there."""
        return self._over(unit.size, unit.start, unit.end)

    def _over(self, size: Capacity, start: int, end: int) -> int:
        begin, until = bisect_left(self._moments, start), bisect_left(self._moments, end)
        ones = self._ones >> self._bits * (len(self._moments) - until + begin)
        return self._first_fields[size] * ones << self._bits * begin

    def span(self, unit: Unit) -> int:
        """The bits of its fields that say most, for as long as a unit is there."""
        begin, end = bisect_left(self._moments, unit.start), bisect_left(self._moments, unit.end)
        ones = self._every_kind * (self._ones >> self._bits * (len(self._moments) - end + begin))
        return ones << self._bits * begin

    def left_over(self, left: int) -> int:
        """About how much is left, all fields together."""
        found = 0
        for bit in self._bit_masks:
            found = 2 * found + (left & bit).bit_count()
        return found


def _sizes(canvas: Canvas, holds: Iterable[Hold]) -> set[Capacity]:
    """The amounts that these take of hosts, and their units do."""
    sizes = {hold.same for hold in holds if hold.same is not None}
    for hold in holds:
        if not isinstance(hold.use, Apart):
            # Several of its nodes may be on one host.
            sizes.update([amount for _, amount in hold.use])
            sizes.update([unit.size for unit in canvas.units_of(hold.owner) or ()])
    return sizes


def _amounts(hold: Hold) -> Sequence[tuple[int, Capacity]]:
    """The hosts of a hold, and what it takes of each."""
    if hold.same is None:
        return hold.use
    return [(host, hold.same) for host in hosts_in(hold.hosts)]
