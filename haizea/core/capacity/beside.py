"""Room beside what is to come, of hosts that this touches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from haizea.core.capacity.fit_index import Levels, SizeIndex, level_count, raise_level
from haizea.core.capacity.hold import Hold
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.upcoming import Reach
from haizea.core.model.hosts import HostSet, host_set, hosts_in
from haizea.core.model.resources import FOREVER, Capacity, subtract

#: Of more hosts than this, those that one hold alone is on are looked at together.
_MANY: Final = 256


def contested(hosts: HostSet, size: Capacity, future: Reach, whole: Capacity | None) -> HostSet:
    """Hosts that what is to come touches, and that may have room for a size beside it.

    All hosts have the capacity ``whole``; ``None`` where they differ.
    """
    return hosts & future[0] & ~blocked(future, size, whole)


def blocked(future: Reach, size: Capacity, whole: Capacity | None) -> HostSet:
    """Hosts on which there is no room for a size beside what is to come."""
    if size == whole:
        return future[0]  # Who touches a host leaves less than all of it.
    return 0 if 0 in size else future[1]


def may_fit(levels: Levels, blocked: HostSet, enough: int) -> bool:
    """Tell whether ``enough`` copies may fit on hosts that are not ``blocked``."""
    possible, keep = 0, ~blocked
    for hosts in levels:
        possible += (hosts & keep).bit_count()
        if possible >= enough:
            return True
    return False


def room_beside(
    levels: Levels,
    future: Reach,
    timelines: Timelines,
    whole: Capacity | None,
    index: SizeIndex,
    span: tuple[int, int],
    holds: Iterable[Hold],
    enough: int,
    without: tuple[Hold, HostSet] | None = None,
) -> Levels:
    """``levels`` without hosts that the future touches, but for the copies that fit beside it.

    Throughout the ``span``, in which there are these ``holds``. All hosts have the capacity
    ``whole``; ``None`` where they differ. Where ``enough`` copies, if that is
    not 0, do not fit, some that do may be missing. A hold may be left ``without``, which is not
    among the ``holds``, but is among what touches and closes; with those of its hosts that others
    do not block. O(hosts that are contested).
    """
    touched, unsure = future[0], contested(levels[0], index.size, future, whole)
    own = 0 if without is None else levels[0] & without[1]
    if index.size == whole:
        touched &= ~own
    else:
        unsure |= own
    room = [hosts & ~touched for hosts in levels]
    if unsure:
        start, end = span
        least_free, copies = timelines.least_free, index.copies
        if unsure.bit_count() > _MANY:
            for free, hosts in _of_one_hold(holds, unsure, timelines, whole):
                unsure ^= hosts
                if count := copies(free):
                    raise_level(room, hosts, 0, count)
        possible = level_count(room, FOREVER)
        possible += sum([(hosts & unsure).bit_count() for hosts in levels])
        found: list[tuple[int, int]] = []
        for host in hosts_in(unsure):
            if possible < enough:
                return room
            if without is not None and own >> host & 1:
                count = copies(timelines.least_free_without(without[0], host, start, end))
            else:
                count = copies(least_free(host, start, end))
            if enough:
                possible += count - _copies_on(host, levels)
            found.append((host, count))
        for host, count in found:
            raise_level(room, 1 << host, 0, count)
    return room


def _copies_on(host: int, levels: Levels) -> int:
    """Return how many copies fit on a host. O(log levels)."""
    return bisect_left(levels, True, key=lambda hosts: not hosts >> host & 1)


def _of_one_hold(
    holds: Iterable[Hold], hosts: HostSet, timelines: Timelines, whole: Capacity | None
) -> Iterator[tuple[Capacity, HostSet]]:
    """Hosts that one hold alone is on, by what it leaves of them.

    None where there are more holds than hosts: it is quicker then to look at each host.
    """
    once, several = 0, 0
    by_amount: dict[Capacity, HostSet] = {}
    left = hosts.bit_count()
    for hold in holds:
        if hold.start >= hold.end:
            continue
        here, amount = hold.hosts & hosts, hold.same
        several |= here & once if amount is not None else here
        once |= here
        if amount is not None:
            by_amount[amount] = by_amount.get(amount, 0) | here
        left -= 1
        if not left:
            return
    for amount, held in by_amount.items():
        alone = held & ~several
        if whole is not None:
            yield subtract(whole, amount), alone
            continue
        alike: dict[Capacity, list[int]] = {}
        for host in hosts_in(alone):
            alike.setdefault(timelines.capacities[host], []).append(host)
        for capacity, found in alike.items():
            yield subtract(capacity, amount), host_set(found)
