"""Scaling the load of a workload: more or less work on the same machine.

Three ways, none of which leaves everything as it is:

* *arrival* divides the time between jobs by the factor. Jobs stay as they are; the daily cycle
  becomes shorter or longer than a day.
* *size* multiplies each job's nodes, up to the largest job of the workload. The daily cycle
  stays; small jobs, which cannot have half a node, are rounded by chance so that the sum is right.
* *repetition* has each job that many times. Sizes, run times and the daily cycle stay; the
  copies arrive within an hour after the first, for the same moment would be no arrival that
  ever was.

Sources: dividing the time between arrivals is what most studies do; E. Frachtenberg and
D. G. Feitelson, "Pitfalls in Parallel Job Scheduling Evaluation", Job Scheduling Strategies for
Parallel Processing, 2005, and D. G. Feitelson, "Workload Modeling for Computer Systems
Performance Evaluation", Cambridge University Press, 2015, discuss such changes. Enlarging and
duplicating jobs is due to C. Ernemann, B. Song, R. Yahyapour, "Scaling of Workload Traces",
Job Scheduling Strategies for Parallel Processing, 2003, who fit traces to machines of another
size so; that copies come later than their originals, and sizes are rounded by chance, is ours.
Not here: N. Zakay, D. G. Feitelson, "Workload Resampling for Performance Evaluation of Parallel
Job Schedulers", Concurrency and Computation 26(12), 2014, which adds and leaves out whole users.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum
from random import Random

from haizea.core.model.lease import Nodes
from haizea.workloads.model import Workload, WorkloadLease, by_arrival

#: Copies arrive within this time after the job that they repeat.
_COPIES_WITHIN_SECONDS = 3600


class ScaleBy(StrEnum):
    """The way in which a load is changed."""

    ARRIVAL = "arrival"
    SIZE = "size"
    REPETITION = "repetition"


def scaled(workload: Workload, factor: float, by: ScaleBy, seed: int = 1) -> Workload:
    """The workload with its load multiplied by ``factor``, which is positive.

    The same for a seed; where nothing is left to chance, for every seed. Takes time in
    proportion to the leases of the result.
    """
    assert factor > 0
    rng = Random(f"{seed} scaling")
    match by:
        case ScaleBy.ARRIVAL:
            leases = [_sooner(lease, factor) for lease in workload.leases]
        case ScaleBy.SIZE:
            most = max((lease.node_count for lease in workload.leases), default=1)
            leases = [_wider(lease, factor, most, rng) for lease in workload.leases]
        case ScaleBy.REPETITION:
            leases = [copy for lease in workload.leases for copy in _repeated(lease, factor, rng)]
    return replace(workload, leases=by_arrival(leases))


def _sooner(lease: WorkloadLease, factor: float) -> WorkloadLease:
    """The lease at another time; an AR has the same time from its request to its start."""
    return _moved(lease, round(lease.arrival_seconds / factor) - lease.arrival_seconds)


def _moved(lease: WorkloadLease, by_seconds: int) -> WorkloadLease:
    return replace(
        lease.later(by_seconds),
        arrival_seconds=lease.arrival_seconds + by_seconds,
        changes=tuple(change.moved(by_seconds) for change in lease.changes),
    )


def _wider(lease: WorkloadLease, factor: float, most: int, rng: Random) -> WorkloadLease:
    wanted = min(lease.node_count * factor, most)
    count = max(1, math.floor(wanted + rng.random()))
    if len(lease.nodes) == 1:
        return replace(lease, nodes=(Nodes(count, lease.nodes[0].amounts),))
    share = count / lease.node_count
    groups = (Nodes(max(1, round(n.count * share)), n.amounts) for n in lease.nodes)
    return replace(lease, nodes=tuple(groups))


def _repeated(lease: WorkloadLease, factor: float, rng: Random) -> list[WorkloadLease]:
    count = math.floor(factor + rng.random())
    later = [_moved(lease, round(rng.random() * _COPIES_WITHIN_SECONDS)) for _ in range(count - 1)]
    # Two leases cannot have one number.
    return [lease, *(replace(copy, id=None) for copy in later)] if count else []
