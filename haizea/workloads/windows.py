"""Maintenance windows of a workload, and how they become windows of a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from haizea.core.model.hosts import Site
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.host_names import hosts_called
from haizea.workloads.errors import WorkloadError

if TYPE_CHECKING:
    from haizea.workloads.model import Workload


@dataclass(frozen=True, slots=True)
class WorkloadWindow:
    """Maintenance in a workload; moments are seconds after its start.

    ``arrival_seconds`` is when it is asked for, ``hosts`` are names, patterns or sizes, and
    ``end_seconds`` is ``None`` without end.
    """

    arrival_seconds: int
    hosts: tuple[str, ...]
    start_seconds: int
    end_seconds: int | None
    reason: str = ""
    leases: Leaving = Leaving.REFUSE


def bind_windows(workload: Workload, site: Site, start: int) -> list[tuple[int, Maintenance]]:
    """Return when each window is asked for, and the window, in order of time.

    ``start`` is the absolute time of the workload's start. Raises :class:`WorkloadError` where a
    window names no host of the site.
    """
    found = []
    for number, window in enumerate(workload.maintenance, 1):
        try:
            hosts = hosts_called(site, window.hosts)
        except ValueError as wrong:
            source = workload.source or workload.name
            raise WorkloadError(source, None, f"maintenance {number}", str(wrong)) from None
        end = window.end_seconds
        asked = Maintenance(
            id=number,
            hosts=hosts,
            start=start + window.start_seconds,
            end=None if end is None else start + end,
            reason=window.reason,
            leases=window.leases,
        )
        found.append((start + window.arrival_seconds, asked))
    return sorted(found, key=lambda entry: (entry[0], entry[1].id))
