"""Hosts by when what is free on them changes next."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.running import Present
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import FOREVER


def by_next_change(
    hosts: HostSet, touched: HostSet, now: int, present: Present, timelines: Timelines
) -> Iterator[HostSet]:
    """``hosts`` split by when what is free on them changes next, latest first.

    ``touched`` are those where something starts later.
    """
    touched &= hosts
    idle = hosts & ~present.held[0] & ~touched
    if idle and idle == hosts:
        yield hosts
        return
    others: dict[int, HostSet] = {FOREVER: idle} if idle else {}
    for host in hosts_in(touched):
        change = timelines.next_change(host, now)
        others[change] = others.get(change, 0) | 1 << host
    changes = sorted(others)
    rest = hosts & ~touched & ~idle
    for end in present.latest_ends() if rest else ():
        while changes and changes[-1] > end:
            yield others[changes.pop()]
        found = present.ending_first(end) & rest
        rest ^= found
        if changes and changes[-1] == end:
            found |= others[changes.pop()]
        if found:
            yield found
        if not rest:
            break
    while changes:
        yield others[changes.pop()]
