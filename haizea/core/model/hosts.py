"""Hosts of a site, and sets of hosts.

A set of hosts is an ``int`` used as a bit set: bit *i* stands for the host with index
*i*. ``&``, ``|``, ``& ~`` and ``int.bit_count()`` are its operations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from haizea.core.model.resources import Capacity, ResourceTypes

HostSet = int

#: All hosts, also those that the site does not have yet: every bit is set.
EVERYWHERE: Final[HostSet] = -1


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the site. ``id`` is its index, from 0; ``name`` is what people see."""

    id: int
    name: str
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class Site:
    """A site to lease from: resource types and hosts, ``hosts[i].id == i``."""

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


#: ``_MEMBERS[i][byte]`` are the indices that a byte stands for at place *i* of a set, once
#: somebody has asked for them.
_MEMBERS: Final[list[list[list[int] | None]]] = []

#: With fewer members per byte than one in so many it is quicker to take out one at a time.
_SPARSE: Final = 10


def hosts_in(hosts: HostSet) -> list[int]:
    """The indices in ``hosts``, lowest first."""
    result: list[int] = []
    count, length = hosts.bit_count(), (hosts.bit_length() + 7) // 8
    if count <= 3 or count * _SPARSE <= length:
        while hosts:
            low = hosts & -hosts
            result.append(low.bit_length() - 1)
            hosts ^= low
        return result
    while len(_MEMBERS) < length:
        _MEMBERS.append([None] * 256)
    for place, byte in enumerate(hosts.to_bytes(length, "little")):
        if byte:
            members = _MEMBERS[place][byte]
            if members is None:
                members = [8 * place + i for i in range(8) if byte >> i & 1]
                _MEMBERS[place][byte] = members
            result += members
    return result


def lowest(hosts: HostSet, count: int) -> HostSet:
    """The ``count`` lowest members of ``hosts`` (all of them if there are fewer)."""
    if count == 1:
        return hosts & -hosts
    most = hosts.bit_count()
    if most <= count:
        return hosts
    if count <= 0:
        return 0
    # Below bit ``low`` are ``least`` members, too few; below ``high`` there are too many.
    low, least, high = 0, 0, hosts.bit_length()
    in_proportion = True
    while True:
        step = (high - low) // 2
        if in_proportion:
            step = (high - low) * (count - least) // (most - least)
        middle = low + (step or 1)
        found = hosts & ((1 << middle) - 1)
        members = found.bit_count()
        if members == count:
            return found
        if members < count:
            low, least = middle, members
        else:
            high, most = middle, members
        in_proportion = not in_proportion
