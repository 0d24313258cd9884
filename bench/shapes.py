"""Workloads of the shapes that are hard on a scheduler: deep queues, many sizes, many ARs.

All are generated, from fixed seeds: the same files on every machine.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from bench.workloads import Prepared, Scheduling, shared, sizes_of_node, write_lwf
from haizea.core.model.lease import Kind, Nodes
from haizea.workloads import read
from haizea.workloads.generate import Estimate, GenerateOptions, generate
from haizea.workloads.model import Workload, WorkloadLease, WorkloadSite, by_arrival

#: A year of KTH's SP2, of 100 hosts, as the Parallel Workloads Archive has it.
KTH_TRACE, KTH_HOSTS = "traces/KTH-SP2-1996-2.1-cln.swf", 100
#: One AR for so many jobs.
KTH_JOBS_AN_AR = 75
RESERVATION_SECONDS = 900
#: Who books ahead does so by this much.
LEAD_SECONDS = 3600


def at_a_time(
    folder: Path, jobs: int, depth: int, hosts: int, types: int, how: Scheduling
) -> Prepared:
    """Jobs of three sizes of node, ``depth`` of which arrive at a time, on hosts of four cores."""
    options = GenerateOptions(
        jobs=jobs,
        hosts=hosts,
        load=0.8,
        estimate=Estimate.ROUND,
        node_capacities=sizes_of_node(types),
    )
    workload = generate(options)
    leases = [
        replace(lease, arrival_seconds=workload.leases[i - i % depth].arrival_seconds)
        for i, lease in enumerate(workload.leases)
    ]
    return write_lwf(folder, replace(workload, leases=tuple(leases)), how)


def with_small_reservations(
    folder: Path, jobs: int, ars: int, hosts: int, how: Scheduling, *, at_once: bool = False
) -> Prepared:
    """Jobs and so many ARs of 1 to 4 nodes and a quarter of an hour, all over their time.

    Each is asked for an hour before it starts, or all of them ``at_once`` at the beginning.
    """
    options = GenerateOptions(jobs=jobs, hosts=hosts, load=0.5, estimate=Estimate.ROUND)
    workload = generate(options)
    span = max(workload.leases[-1].arrival_seconds, ars * RESERVATION_SECONDS * 4 // hosts)
    return write_lwf(folder, _with_reservations(workload, ars, span, at_once=at_once), how)


def kth(folder: Path, jobs: int, how: Scheduling) -> Prepared:
    """The first jobs of a year of KTH's SP2, and small ARs, one for each 75 of them.

    Raises :class:`SharedDataAbsent` where the trace is not there.
    """
    trace = read(shared(KTH_TRACE))
    leases = by_arrival(trace.leases)[:jobs]
    first, last = leases[0].arrival_seconds, leases[-1].arrival_seconds
    moved = tuple([replace(x, arrival_seconds=x.arrival_seconds - first) for x in leases])
    site = WorkloadSite(("CPU", "Memory"), (Nodes(KTH_HOSTS, {"CPU": 100, "Memory": 1024}),))
    workload = replace(trace, leases=moved, site=site)
    ars = jobs // KTH_JOBS_AN_AR
    return write_lwf(folder, _with_reservations(workload, ars, last - first), how)


def _with_reservations(
    workload: Workload, ars: int, span: int, *, at_once: bool = False
) -> Workload:
    """The workload and so many small ARs over its time."""
    chance = random.Random(1)
    reservations = []
    for _ in range(ars):
        start = LEAD_SECONDS + chance.randrange(span)
        reservations.append(
            WorkloadLease(
                arrival_seconds=0 if at_once else start - LEAD_SECONDS,
                kind=Kind.AR,
                start=start,
                nodes=(Nodes(chance.randint(1, 4), {"CPU": 100, "Memory": 1024}),),
                duration=RESERVATION_SECONDS,
            )
        )
    return replace(workload, leases=by_arrival([*workload.leases, *reservations]))
