"""Nodes of several sizes on hosts, each on the first that has room."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from haizea.core.model.resources import Capacity, fits, subtract


def first_fit(
    sizes: Sequence[tuple[Capacity, Sequence[int]]],
    order: Sequence[int],
    free: dict[int, Capacity],
) -> tuple[int, ...] | None:
    """A host for each node, largest node first, each on the first host with room left.

    ``sizes`` are the nodes as :func:`largest_first` has them. ``free``, by host and nowhere
    negative, becomes what is left. O(sizes × hosts + nodes).
    """
    if not _enough_in_all(sizes, [free[host] for host in order]):
        return None
    chosen = [-1] * sum([len(nodes) for _, nodes in sizes])
    for wanted, nodes in sizes:
        placed, count = 0, len(nodes)
        # Where one does not fit, no equal one does: the next goes on from there.
        for host in order:
            left = free[host]
            while placed < count and fits(wanted, left):
                left = subtract(left, wanted)
                chosen[nodes[placed]] = host
                placed += 1
            free[host] = left
            if placed == count:
                break
        else:
            return None
    return tuple(chosen)


def largest_first(capacities: Sequence[Capacity]) -> list[tuple[Capacity, list[int]]]:
    """Nodes by what they need, most first, those that need as much in their order."""
    by_size: dict[Capacity, list[int]] = {}
    for node, capacity in enumerate(capacities):
        by_size.setdefault(capacity, []).append(node)
    return sorted(by_size.items(), key=lambda entry: _bulk(entry[0]), reverse=True)


def _enough_in_all(
    sizes: Sequence[tuple[Capacity, Sequence[int]]], free: Sequence[Capacity]
) -> bool:
    """Tell whether all hosts together have enough: most searches in vain end here."""
    copies = [[len(nodes) * amount for amount in wanted] for wanted, nodes in sizes]
    needed = [sum(amounts) for amounts in zip(*copies, strict=True)]
    there = [sum(amounts) for amounts in zip(*free, strict=True)]
    return bool(free) and all(map(operator.le, needed, there))


def _bulk(capacity: Capacity) -> tuple[int, Capacity]:
    return sum(capacity), capacity
