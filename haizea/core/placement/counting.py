"""Proofs that units cannot be packed, whoever goes where: found by counting at single moments.

What has begun stays on its host and leaves a part of it. Of the nodes that take ``s`` or more
of a resource type, no more fit into such parts than go into each by themselves, and they cannot
fill more of each part than sums of their sizes come to. Both are necessary, so a search may be
spared where one of them fails; that both hold does not say that there is room.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from haizea.core.model.resources import Capacity
from haizea.core.placement.canvas import Canvas, Unit, crowded

#: Parts of hosts are filled in steps of all sizes' common divisor; with more steps it takes long.
_MOST_STEPS = 1024
#: With more, the first are looked at.
_MOST_MOMENTS = 500


def cannot_be_packed(
    canvas: Canvas, hosts: list[int], asked: list[Unit], start: int, end: int
) -> bool:
    """Tell whether at some moment of ``[start, end)`` not all units can be on the hosts.

    O(moments × (units at one + hosts × sizes)), of at most so many moments.
    """
    present = [unit for host in hosts for unit in canvas.overlapping(host, start, end)] + asked
    whole = [canvas.table.capacities[host] for host in hosts]
    place = {host: i for i, host in enumerate(hosts)}
    fillings = [_Filling() for _ in whole[0]] if whole else []
    present.sort(key=lambda unit: -unit.start)
    there: list[Unit] = []
    for moment in crowded(present, start)[:_MOST_MOMENTS]:
        while present and present[-1].start <= moment:
            there.append(present.pop())
        there = [unit for unit in there if unit.end > moment]
        fixed = [unit for unit in there if not unit.nodes]
        sizes = [unit.size for unit in there if unit.nodes]
        for kind, filling in enumerate(fillings):
            free = [capacity[kind] for capacity in whole]
            for unit in fixed:
                free[place[unit.host]] -= unit.size[kind]
            if not filling.may_hold(free, _amounts(sizes, kind)):
                return True
    return False


def _amounts(sizes: Iterable[Capacity], kind: int) -> list[int]:
    return sorted([size[kind] for size in sizes if size[kind]], reverse=True)


class _Filling:
    """Compares what is asked for of one resource type with parts of hosts."""

    def __init__(self) -> None:
        self._fullest: dict[tuple[int, tuple[int, ...]], int] = {}

    def may_hold(self, free: list[int], amounts: list[int]) -> bool:
        """Tell whether the parts may hold these amounts, largest first, by counting."""
        distinct: list[int] = []
        count = total = 0
        for i, amount in enumerate(amounts):
            if not distinct or amount != distinct[-1]:
                distinct.append(amount)
            count += 1
            total += amount
            if i + 1 < len(amounts) and amounts[i + 1] == amount:
                continue
            if count > sum([part // amount for part in free if part > 0]):
                return False
            sizes = tuple(distinct)
            if total > sum([self._filled(part, sizes) for part in free if part > 0]):
                return False
        return True

    def _filled(self, part: int, sizes: tuple[int, ...]) -> int:
        """Return the most of a part that sums of the sizes come to."""
        key = part, sizes
        most = self._fullest.get(key)
        if most is None:
            most = self._fullest[key] = _fullest(part, sizes)
        return most


def _fullest(part: int, sizes: tuple[int, ...]) -> int:
    step = gcd(*sizes)
    steps = part // step
    if steps > _MOST_STEPS:
        return part if part >= sizes[-1] else 0
    within = (1 << steps + 1) - 1
    reached, before = 1, 0
    while reached != before:
        before = reached
        for size in sizes:
            reached |= reached << size // step & within
    return (reached.bit_length() - 1) * step
