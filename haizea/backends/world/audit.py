"""Incidents in the history of a world: what must never have been.

It looks at where VMs really ran and at nothing else, so it finds also what was not noticed
when it was asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from haizea.backends.world.rows import HostState, Incident, Stretch
from haizea.backends.world.vm import IncidentKind
from haizea.core.model.resources import FOREVER, Capacity, add, fits, subtract


def audit(
    history: Sequence[Stretch], hosts: Sequence[HostState], outages: Sequence[tuple[Any, ...]]
) -> list[Incident]:
    """VMs that ran twice at once, hosts over capacity and VMs on dead hosts.

    ``outages`` are host, start and end (``None``: it lasts). O(n log n).
    """
    real = [s for s in history if s.end is None or s.end > s.start]
    by_host: dict[int, list[Stretch]] = defaultdict(list)
    by_vm: dict[tuple[int, int], list[Stretch]] = defaultdict(list)
    for stretch in real:
        by_host[stretch.host].append(stretch)
        by_vm[stretch.lease, stretch.node].append(stretch)
    found: list[Incident] = []
    for stretches in by_vm.values():
        found += _twice(stretches)
    for host in hosts:
        found += _crowded(host, by_host[host.id])
    for host_id, start, end in outages:
        found += _undead(by_host[host_id], start, FOREVER if end is None else end)
    return sorted(found, key=lambda incident: incident.moment)


def _until(stretch: Stretch) -> int:
    return FOREVER if stretch.end is None else stretch.end


def _twice(stretches: Sequence[Stretch]) -> Iterator[Incident]:
    end = -1
    for s in sorted(stretches, key=lambda s: s.start):
        if s.start < end:
            why = f"it ran until {end} already"
            yield Incident(s.start, IncidentKind.RAN_TWICE, s.lease, s.node, s.host, why)
        end = max(end, _until(s))


def _crowded(host: HostState, stretches: Sequence[Stretch]) -> Iterator[Incident]:
    """Find moments with too much on a host; what ends then leaves its room to what starts."""
    changes = sorted(
        [(_until(s), 0, i) for i, s in enumerate(stretches)]
        + [(s.start, 1, i) for i, s in enumerate(stretches)]
    )
    used: Capacity = (0,) * len(host.capacity)
    for moment, starts, index in changes:
        stretch = stretches[index]
        used = (add if starts else subtract)(used, stretch.capacity)
        if starts and not fits(used, host.capacity):
            why = f"{used} on {host.name}, which has {host.capacity}"
            lease, node = stretch.lease, stretch.node
            yield Incident(moment, IncidentKind.OVER_CAPACITY, lease, node, host.id, why)


def _undead(stretches: Sequence[Stretch], start: int, end: int) -> Iterator[Incident]:
    for s in stretches:
        if max(s.start, start) < min(_until(s), end):
            why = f"the host was down from {start} on"
            yield Incident(
                max(s.start, start), IncidentKind.DEAD_HOST, s.lease, s.node, s.host, why
            )
