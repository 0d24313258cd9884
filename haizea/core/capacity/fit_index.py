"""Index of hosts that have room for so many copies of a size, kept up to date.

A *size* is the capacity of one lease node. Workloads have few sizes and ask for them
again and again, so the answer is kept per size and changed only where a host changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from haizea.core.model.hosts import HostSet
from haizea.core.model.resources import Capacity, copies

#: Copies of one size on one host that are told apart; more count as this many.
MOST_COPIES: Final = 1024
#: Sizes kept up to date at once; the least recently asked for is forgotten first.
MOST_SIZES: Final = 64
_MOST_STEPS: Final = 65536

#: ``levels[m]`` is the set of hosts with room for at least ``m + 1`` copies.
Levels = list[HostSet]


class EqualNodes(Protocol):
    """A number of nodes of one size (``None``: they differ), on hosts that are allowed."""

    size: Capacity | None
    count: int
    allowed: HostSet


def level_count(levels: Levels, enough: int) -> int:
    """Return the number of copies that fit in all; stops counting once ``enough`` are found."""
    total = 0
    for hosts in levels:
        if not hosts:
            break
        total += hosts.bit_count()
        if total >= enough:
            break
    return total


def raise_level(levels: Levels, hosts: HostSet, old: int, new: int) -> None:
    """Note that ``hosts`` went from ``old`` to ``new`` copies."""
    if new > old:
        while len(levels) < new:
            levels.append(0)
        for m in range(old, new):
            levels[m] |= hosts
    else:
        for m in range(new, old):
            levels[m] &= ~hosts


class SizeIndex:
    """The levels of one size."""

    __slots__ = ("_copies", "levels", "size")

    def __init__(self, size: Capacity, free: Iterable[Capacity]) -> None:
        self.size = size
        self.levels: Levels = [0]
        self._copies: dict[Capacity, int] = {}
        for host, capacity in enumerate(free):
            raise_level(self.levels, 1 << host, 0, self.copies(capacity))

    def copies(self, free: Capacity) -> int:
        """Return the number of copies that fit into ``free``."""
        count = self._copies.get(free)
        if count is None:
            count = self._copies[free] = copies(self.size, free, MOST_COPIES)
        return count

    def fork(self) -> SizeIndex:
        """An independent copy."""
        twin = SizeIndex(self.size, ())
        twin.levels = self.levels.copy()
        twin._copies = self._copies
        return twin


class SizeIndexes:
    """The :class:`SizeIndex` of every size that is asked for."""

    __slots__ = ("_by_size", "_free", "_steps")

    def __init__(self, free: Iterable[Capacity]) -> None:
        self._free = free
        self._by_size: dict[Capacity, SizeIndex] = {}
        # For a change of what is free, the levels that it changes, from and to how many.
        self._steps: dict[tuple[Capacity, Capacity], list[tuple[Levels, int, int]]] = {}

    def of(self, size: Capacity) -> SizeIndex:
        """The index of ``size``; made in O(hosts) when it is asked for first."""
        index = self._by_size.get(size)
        if index is None:
            if len(self._by_size) >= MOST_SIZES:
                del self._by_size[next(iter(self._by_size))]
            index = self._by_size[size] = SizeIndex(size, self._free)
            self._steps.clear()
        elif len(self._by_size) > MOST_SIZES // 2:
            self._by_size[size] = self._by_size.pop(size)
        return index

    def change(self, hosts: HostSet, old: Capacity, new: Capacity) -> None:
        """``hosts`` all went from ``old`` free to ``new`` free. O(sizes that it matters to)."""
        steps = self._steps.get((old, new))
        if steps is None:
            steps = []
            for index in self._by_size.values():
                before, after = index.copies(old), index.copies(new)
                if before != after:
                    steps.append((index.levels, before, after))
            if len(self._steps) >= _MOST_STEPS:
                self._steps.clear()
            self._steps[old, new] = steps
        for levels, before, after in steps:
            raise_level(levels, hosts, before, after)

    def clear(self) -> None:
        """Forget all; they are made anew from what is free then."""
        self._by_size.clear()
        self._steps.clear()

    def fork(self, free: Iterable[Capacity]) -> SizeIndexes:
        """An independent copy over ``free``, a copy of the same amounts."""
        twin = SizeIndexes(free)
        twin._by_size = {size: index.fork() for size, index in self._by_size.items()}
        return twin

    def check(self) -> None:
        """Assert that every index says what a fresh one would."""
        for size, index in self._by_size.items():
            fresh = SizeIndex(size, self._free).levels
            longest = max(len(fresh), len(index.levels))
            pad = [0] * longest
            assert (index.levels + pad)[:longest] == (fresh + pad)[:longest], size
