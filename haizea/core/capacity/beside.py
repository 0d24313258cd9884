"""Room beside what is to come, of hosts that this touches."""

from __future__ import annotations

from collections.abc import Callable

from haizea.core.capacity.fit_index import Levels, raise_level
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import Capacity


def contested(
    hosts: HostSet, size: Capacity, future: tuple[HostSet, HostSet], whole: Capacity | None
) -> HostSet:
    """Hosts that what is to come touches, and that may have room for a size beside it.

    ``future`` are the hosts that it touches, and those of which it leaves nothing of some resource
    type. All hosts have the capacity ``whole``; ``None`` where they differ.
    """
    if size == whole:
        return 0  # Who touches a host leaves less than all of it.
    touched, closed = future
    unsure = hosts & touched
    return unsure if 0 in size else unsure & ~closed


def less_touched(
    levels: Levels, touched: HostSet, unsure: HostSet, copies: Callable[[int], int], enough: int
) -> Levels:
    """``levels`` without hosts that are touched, but for the copies that fit on those ``unsure``.

    Where ``enough`` copies, if that is not 0, do not fit, some that do may be missing. O(hosts that
    are unsure).
    """
    room = [hosts & ~touched for hosts in levels]
    if unsure:
        possible = sum([(hosts & (unsure | ~touched)).bit_count() for hosts in levels])
        for host in hosts_in(unsure):
            if possible < enough:
                break
            count = copies(host)
            if enough:
                possible += count - sum([hosts >> host & 1 for hosts in levels])
            if count:
                raise_level(room, 1 << host, 0, count)
    return room
