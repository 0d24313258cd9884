"""Writing the Standard Workload Format, for workloads that it can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from haizea.core.model.lease import Kind
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import Workload, WorkloadLease


def swf_text(workload: Workload, notes: Sequence[str] = ()) -> Iterator[str]:
    """The workload as SWF, in pieces; each of ``notes`` becomes a ``Note`` of the header.

    One lease node is one processor; jobs are numbered by their labels where these are
    all different numbers, else from 1. SWF knows neither reservations nor capacities nor
    images: :class:`WorkloadError` says which lease it cannot hold.
    """
    yield "; Version: 2.2\n"
    for note in (workload.description, *notes):
        if note:
            yield f"; Note: {' '.join(note.split())}\n"
    yield f"; MaxJobs: {len(workload.leases)}\n"
    yield f"; MaxRecords: {len(workload.leases)}\n"
    if workload.epoch is not None:
        yield f"; UnixStartTime: {workload.epoch}\n"
    if workload.site is not None:
        hosts = sum(group.count for group in workload.site.hosts)
        yield f"; MaxNodes: {hosts}\n; MaxProcs: {hosts}\n"
    common = workload.leases[0].nodes[0].amounts if workload.leases else {}
    for number, lease in zip(_numbers(workload), workload.leases, strict=True):
        reason = _obstacle(lease)
        if not reason and lease.nodes[0].amounts != common:
            reason = "its nodes are of another size than those of the first lease"
        if reason:
            raise WorkloadError(
                workload.source or workload.name,
                None,
                f"lease {number}",
                f"SWF cannot hold it: {reason}; write LWF instead",
            )
        yield _job(number, lease)


def _numbers(workload: Workload) -> Sequence[int]:
    labels = [lease.label for lease in workload.leases]
    numbers = [int(x) for x in labels if x.isascii() and x.isdecimal() and len(x) < 18]
    if len(set(numbers)) == len(labels):
        return numbers
    return range(1, len(labels) + 1)


def _obstacle(lease: WorkloadLease) -> str:
    """Why SWF cannot hold the lease; empty if it can."""
    if lease.kind is not Kind.BEST_EFFORT:
        return f"it is {lease.kind}, not best-effort"
    if not lease.preemptible:
        return "it is not preemptible"
    if lease.duration is None:
        return "it has no end"
    if lease.image is not None:
        return "it has a disk image"
    if len({tuple(sorted(n.amounts.items())) for n in lease.nodes}) > 1:
        return "its nodes are of several sizes"
    return ""


def _job(number: int, lease: WorkloadLease) -> str:
    run = lease.real_duration_seconds
    if run is None:
        run = lease.duration
    count = lease.node_count
    user = lease.owner if lease.owner.isascii() and lease.owner.isdecimal() else "-1"
    return (
        f"{number} {lease.arrival_seconds} -1 {run} {count} -1 -1 {count}"
        f" {lease.duration} -1 1 {user} -1 -1 -1 -1 -1 -1\n"
    )
