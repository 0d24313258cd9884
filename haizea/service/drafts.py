"""Leases that people send as YAML or as a ``<lease>`` element."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from haizea.core.model.lease import Draft
from haizea.times.moments import START_FORMS, changing_words, parse_moment
from haizea.times.zones import SystemZone
from haizea.workloads import WorkloadError, values
from haizea.workloads.lwf import read_lwf
from haizea.workloads.source import Source
from haizea.workloads.yaml_leases import read_yaml


def parse_lease(content: bytes, media_type: str, now: int) -> Draft:
    """The one lease in ``content``, by its media type.

    An exact start is any form of :func:`parse_moment`, in local time where no zone is said,
    or a time after ``now`` as in workload files, ``00:30:00``. Raises :class:`ValueError`
    that says in words what is wrong.
    """
    said = ""

    def start(text: str) -> int:
        nonlocal said
        # With a sign it is a moment, like any other.
        if not text.lstrip().startswith("+"):
            with suppress(ValueError):
                seconds = values.start(text)
                said = f"+{seconds}"
                return seconds
        zone = SystemZone()
        moment = parse_moment(text, now, zone, forms=START_FORMS)
        said = changing_words(text, zone)
        return moment - now

    source = Source.of(content, "the lease")
    try:
        workload = read_lwf(source, start) if "xml" in media_type else read_yaml(source, start)
    except WorkloadError as error:
        raise ValueError(str(error)) from None
    if len(workload.leases) != 1:
        raise ValueError(f"expected one lease, got {len(workload.leases)}")
    (lease,) = workload.leases
    if lease.changes:
        raise ValueError("changes are for workloads: ask for the lease alone, and change it later")
    return replace(lease.later(now), said=said)
