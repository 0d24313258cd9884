"""Leases that people send as YAML or as a ``<lease>`` element."""

from __future__ import annotations

from haizea.api.manager import Draft
from haizea.times import parse_time
from haizea.workloads import WorkloadError, values
from haizea.workloads.lwf import read_lwf
from haizea.workloads.source import Source
from haizea.workloads.yaml_leases import read_yaml


def parse_lease(content: bytes, media_type: str, now: int) -> Draft:
    """The one lease in ``content``, by its media type.

    An exact start is a date and time, or a time after ``now`` as in ``00:30:00``. Raises
    :class:`ValueError` that says in words what is wrong.
    """
    counted_from: int | None = None

    def start(text: str) -> int:
        nonlocal counted_from
        try:
            seconds = values.start(values.clock_or_seconds(text))
        except ValueError:
            return parse_time(text.strip(), local=True) - now
        counted_from = now
        return seconds

    source = Source.of(content, "the lease")
    try:
        workload = read_lwf(source, start) if "xml" in media_type else read_yaml(source, start)
    except WorkloadError as error:
        raise ValueError(str(error)) from None
    if len(workload.leases) != 1:
        raise ValueError(f"one lease is expected, and these are {len(workload.leases)}")
    (lease,) = workload.leases
    return Draft(
        kind=lease.kind,
        nodes=tuple((nodes.count, nodes.amounts) for nodes in lease.nodes),
        duration=lease.duration_seconds,
        start=None if lease.start_seconds is None else now + lease.start_seconds,
        preemptible=lease.preemptible,
        image=lease.image,
        label=lease.label,
        counted_from=counted_from,
    )
