"""Resource types of a site, and amounts of them.

A *capacity* is a tuple of ``int``, one amount per resource type, in the site's fixed
order. ``CPU`` is percent summed over cores (100 = one core), ``Memory`` is MB.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Capacity = tuple[int, ...]

#: Later than any moment that is scheduled: the end of what has no end.
FOREVER: Final = 1 << 60


class UnknownResourceType(ValueError):
    """A capacity names a resource type that the site does not have."""


@dataclass(frozen=True, slots=True)
class ResourceTypes:
    """The names of a site's resource types, in the order that capacities use."""

    names: tuple[str, ...] = ("CPU", "Memory")

    def capacity(self, amounts: Mapping[str, int]) -> Capacity:
        """The capacity with these amounts; types that are not named get none.

        Raises :class:`UnknownResourceType` for a name that the site lacks.
        """
        for name in amounts:
            if name not in self.names:
                known = ", ".join(self.names)
                raise UnknownResourceType(
                    f"the site has no resource type {name!r} (it has {known})"
                )
        return tuple(amounts.get(name, 0) for name in self.names)

    def zero(self) -> Capacity:
        """A capacity of nothing."""
        return (0,) * len(self.names)

    def amount(self, name: str, capacity: Capacity) -> int:
        """Return the amount of the type ``name`` in ``capacity``; 0 if the site lacks the type."""
        return capacity[self.names.index(name)] if name in self.names else 0

    def describe(self, capacity: Capacity) -> str:
        """For people and configuration files: ``CPU:100 Memory:1024``."""
        return " ".join(f"{n}:{a}" for n, a in zip(self.names, capacity, strict=True))


def add(a: Capacity, b: Capacity) -> Capacity:
    """``a + b``, type by type."""
    return tuple(map(operator.add, a, b))


def subtract(a: Capacity, b: Capacity) -> Capacity:
    """``a - b``, type by type; amounts may become negative."""
    return tuple(map(operator.sub, a, b))


def scale(a: Capacity, factor: int) -> Capacity:
    """``a * factor``, type by type."""
    return tuple([x * factor for x in a])


def fits(wanted: Capacity, free: Capacity) -> bool:
    """Tell whether ``free`` has room for ``wanted``."""
    return all(map(operator.le, wanted, free))


def fills(amount: Capacity, capacity: Capacity) -> bool:
    """Tell whether ``amount`` leaves nothing of some resource type."""
    return any(map(operator.eq, capacity, amount))


def common(capacities: Sequence[Capacity]) -> Capacity | None:
    """The capacity that all of these are; ``None`` where they differ, or there are none."""
    return capacities[0] if capacities and len(set(capacities)) == 1 else None


def copies(wanted: Capacity, free: Capacity, most: int) -> int:
    """Return how many times ``wanted`` fits into ``free``, at most ``most``."""
    count = most
    for w, f in zip(wanted, free, strict=True):
        if f < 0:
            return 0
        if w > 0 and f // w < count:
            count = f // w
    return count
