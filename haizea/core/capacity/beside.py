"""Room beside what is to come, of hosts that this touches."""

from __future__ import annotations

from haizea.core.capacity.fit_index import Levels, SizeIndex, raise_level
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.upcoming import Reach
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import Capacity


def contested(hosts: HostSet, size: Capacity, future: Reach, whole: Capacity | None) -> HostSet:
    """Hosts that what is to come touches, and that may have room for a size beside it.

    All hosts have the capacity ``whole``; ``None`` where they differ.
    """
    if size == whole:
        return 0  # Who touches a host leaves less than all of it.
    touched, closed = future
    unsure = hosts & touched
    return unsure if 0 in size else unsure & ~closed


def room_beside(
    levels: Levels,
    touched: HostSet,
    unsure: HostSet,
    timelines: Timelines,
    index: SizeIndex,
    span: tuple[int, int],
    enough: int,
) -> Levels:
    """``levels`` without hosts that are touched, but for the copies that fit on those ``unsure``.

    Throughout the ``span``. Where ``enough`` copies, if that is not 0, do not fit, some that do may
    be missing. O(hosts that are unsure).
    """
    room = [hosts & ~touched for hosts in levels]
    if unsure:
        start, end = span
        least_free, copies = timelines.least_free, index.copies
        possible = sum([(hosts & (unsure | ~touched)).bit_count() for hosts in levels])
        for host in hosts_in(unsure):
            if possible < enough:
                break
            count = copies(least_free(host, start, end))
            if enough:
                possible += count - sum([hosts >> host & 1 for hosts in levels])
            if count:
                raise_level(room, 1 << host, 0, count)
    return room
