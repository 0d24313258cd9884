"""Amounts that all hosts together have and hold, each in one number that says what cannot fit.

Beside amounts of each type of resource, nodes are counted by their size: on equal hosts a node
that takes more than half of one counts two halves, one that takes just half counts one, and no
host has more than two. On unequal hosts, nodes are counted in steps of each size that is asked
for: a host has so many whole steps, and its nodes together take no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Final

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.allocation import Apart
from haizea.core.model.resources import Capacity
from haizea.core.placement.canvas import pack, spare_bits
from haizea.core.placement.mapper import Demand

#: Nodes are counted in steps of so many sizes at most, the largest ones.
_MOST_STEPS: Final = 4


class Sums:
    """Sizes, capacities and holds of a table as numbers that can be added."""

    def __init__(self, table: SlotTable, sizes: Collection[Capacity]) -> None:
        self._shut = table.shut
        self._up = [c for host, c in enumerate(table.capacities) if not table.shut >> host & 1]
        self._uniform = table.uniform_capacity
        self._steps: list[int] = []
        if self._uniform is None:
            # Of one type alone: who takes much of the CPU may be beside who takes much memory.
            steps = sorted({size[0] for size in sizes if size[0]}, reverse=True)
            self._steps = steps[:_MOST_STEPS]
        self._none = (0,) * (1 if self._uniform is not None else len(self._steps))
        self._known: dict[Capacity, int] = {}
        types = len(table.capacities[0]) if table.capacities else 0
        #: The highest bit of each amount, which is lost where too much is taken.
        self.spare = spare_bits(types + len(self._none))

    def of(self, size: Capacity) -> int:
        """The amounts that a node of this size takes."""
        known = self._known.get(size)
        if known is None:
            known = self._known[size] = pack((*size, *self._counted(size)))
        return known

    def _counted(self, size: Capacity) -> tuple[int, ...]:
        if self._uniform is None:
            return tuple([size[0] // step for step in self._steps])
        least = 2 * size[0] - self._uniform[0]
        return (2 if least > 0 else 1 if least == 0 else 0,)

    def total(self) -> int:
        """The amounts of all hosts that take what is new."""
        if self._uniform is not None:
            return sum([pack((*capacity, 2)) for capacity in self._up])
        return sum([self.of(capacity) for capacity in self._up])

    def held(self, hold: Hold) -> int:
        """The amounts that are held of these hosts."""
        shut, same = self._shut, hold.same
        if same is not None:
            if not shut and hold.count == 1 and isinstance(hold.use, Apart):
                return self._known.get(same) or self.of(same)  # As most of them, and faster.
            count = (hold.hosts & ~shut).bit_count() if shut else hold.count
            # Several nodes on one host might be parted, and then count for less.
            single = isinstance(hold.use, Apart)
            return (self.of(same) if single else pack((*same, *self._none))) * count
        none = self._none
        return sum([pack((*amount, *none)) for host, amount in hold.use if not shut >> host & 1])


def enough_at_all(table: SlotTable, demand: Demand, start: int, end: int) -> bool:
    """Tell whether all hosts together have as much as is held and asked for, at every moment.

    What takes more than half of a host needs one for itself: such halves are counted, too.
    """
    sums = Sums(table, ())
    spare = sums.spare
    free = sums.total() + spare - sum([sums.of(size) for size in demand.capacities])
    if free & spare != spare:
        return False
    changes, held = defaultdict[int, int](int), sums.held
    for hold in table.holds_between(start, end):
        amount, begin, until = held(hold), hold.start, hold.end
        if begin > start:
            changes[begin] += amount
        else:
            free -= amount
        if until < end:
            changes[until] -= amount
    if free & spare != spare:
        return False
    for moment in sorted(changes):
        free -= changes[moment]
        if free & spare != spare:
            return False
    return True
