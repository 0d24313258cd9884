"""Hosts of a site, and sets of hosts.

A set of hosts is an ``int`` used as a bit set: bit *i* stands for the host with index
*i*. ``&``, ``|``, ``& ~`` and ``int.bit_count()`` are its operations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from haizea.core.resources import Capacity, ResourceTypes

HostSet = int

#: All hosts, also those that the site does not have yet: every bit is set.
EVERYWHERE: HostSet = -1


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the site. ``id`` is its index, from 0; ``name`` is what people see."""

    id: int
    name: str
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class Site:
    """What can be leased: resource types and hosts, ``hosts[i].id == i``."""

    types: ResourceTypes
    hosts: tuple[Host, ...]

    @staticmethod
    def uniform(types: ResourceTypes, count: int, capacity: Capacity) -> Site:
        """A site of ``count`` equal hosts called ``host-1`` to ``host-<count>``."""
        return Site(types, tuple(Host(i, f"host-{i + 1}", capacity) for i in range(count)))


def host_set(ids: Iterable[int]) -> HostSet:
    """The set of the hosts with these indices."""
    result = 0
    for i in ids:
        result |= 1 << i
    return result


#: For each byte, the positions of its bits.
_POSITIONS = tuple([tuple([i for i in range(8) if byte >> i & 1]) for byte in range(256)])


def hosts_in(hosts: HostSet) -> list[int]:
    """The indices in ``hosts``, lowest first."""
    result: list[int] = []
    if hosts.bit_count() <= 8:
        while hosts:
            low = hosts & -hosts
            result.append(low.bit_length() - 1)
            hosts ^= low
        return result
    base = 0
    for byte in hosts.to_bytes((hosts.bit_length() + 7) // 8, "little"):
        if byte:
            result += [base + i for i in _POSITIONS[byte]]
        base += 8
    return result


def lowest(hosts: HostSet, count: int) -> HostSet:
    """The ``count`` lowest members of ``hosts`` (all of them if there are fewer)."""
    if count == 1:
        return hosts & -hosts
    rest = hosts
    for _ in range(count):
        rest &= rest - 1
        if not rest:
            return hosts
    return hosts ^ rest
