"""Fitting the model of Lublin and Feitelson to a trace: what makes workloads like that one.

Sizes are fitted as the authors describe the parts of their distribution; run times, a mixture of
two gamma distributions of their logarithm, by expectation maximization with moments; arrivals and
the daily cycle by moments. The result is an ordinary :class:`LublinModel`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from haizea.core.model.lease import Kind
from haizea.workloads.errors import WorkloadError
from haizea.workloads.lublin import SLOT_SECONDS, SLOTS, DailyCycle, LublinModel
from haizea.workloads.model import Workload, WorkloadLease

#: Fewer jobs tell too little.
LEAST_JOBS = 100

#: As many steps bring the likelihood to where it does not move in three digits.
_STEPS = 60
_MOST_FITTED = 20_000

#: Where such a share of the jobs, and five at least, run as long as the longest one, or 1 % less,
#: the site ended them.
_SHARE_AT_LIMIT = 0.005


def fit(workload: Workload, nodes: int) -> LublinModel:
    """The model whose jobs are most like the best-effort leases of a workload.

    ``nodes`` is the size of the machine. Raises :class:`WorkloadError` for fewer than
    :data:`LEAST_JOBS` of them. Takes a second or two for 5,000 jobs.
    """
    jobs = [lease for lease in workload.leases if lease.kind is Kind.BEST_EFFORT]
    if len(jobs) < LEAST_JOBS:
        raise WorkloadError(
            workload.source or workload.name,
            message=f"has {len(jobs)} best-effort leases; {LEAST_JOBS} are needed to make more"
            " like them",
        )
    # Evenly over the trace, where it is longer than is needed.
    every = max(1, len(jobs) // _MOST_FITTED)
    model = _with_sizes(LublinModel.for_nodes(nodes), [job.node_count for job in jobs], nodes)
    model = _with_runtimes(model, jobs[::every])
    return _with_arrivals(model, [job.arrival_seconds for job in jobs])


def _with_sizes(model: LublinModel, sizes: Sequence[int], nodes: int) -> LublinModel:
    parallel = sorted(math.log2(size) for size in sizes if size > 1)
    serial = 1 - len(parallel) / len(sizes)
    powers = sum(size > 1 and size & (size - 1) == 0 for size in sizes) / len(sizes)
    high = math.log2(min(nodes, max(sizes)))
    if not parallel or high <= 0.5:
        return replace(model, serial_prob=1.0, u_low=0.0, u_med=0.0, u_high=max(high, 0.0))
    # A size of two stands for all from 2^0.5 on.
    low = min(max(parallel[0] - 0.5, 0.5), high)
    middle, share = _knee(parallel, low, high)
    return replace(
        model,
        serial_prob=serial,
        pow2_prob=powers,
        u_low=low,
        u_med=middle,
        u_high=high,
        u_prob=share,
    )


def _knee(logs: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """The knee of two straight lines that the distribution of sizes is nearest to."""
    count = len(logs)
    best = (math.inf, low, 1.0)
    for step in range(1, 20):
        middle = low + (high - low) * step / 20
        share = sum(value <= middle for value in logs) / count
        distance = 0.0
        for index in range(0, count, max(1, count // 500)):
            value = logs[index]
            if value <= middle:
                told = share * (value - low) / (middle - low)
            else:
                told = share + (1 - share) * (value - middle) / (high - middle)
            distance += (told - (index + 0.5) / count) ** 2
        best = min(best, (distance, middle, share))
    return best[1], best[2]


def _with_runtimes(model: LublinModel, jobs: Sequence[WorkloadLease]) -> LublinModel:
    logs = [math.log(max(2, _seconds(job))) for job in jobs]
    sizes = [job.node_count for job in jobs]
    ordered = sorted(logs)
    half = ordered[len(ordered) // 2]
    # To begin with, the shorter half is one distribution and the longer half the other.
    first = [1.0 if value <= half else 0.0 for value in logs]
    slope, base = 0.0, 0.5
    one = two = (1.0, 1.0)
    for _ in range(_STEPS):
        one = _gamma_of(logs, first)
        two = _gamma_of(logs, [1 - share for share in first])
        slope, base = _line(sizes, first)
        first = [
            _share(value, min(0.99, max(0.01, slope * size + base)), one, two)
            for value, size in zip(logs, sizes, strict=True)
        ]
    return replace(
        model,
        a1=one[0],
        b1=one[1],
        a2=two[0],
        b2=two[1],
        pa=slope,
        pb=base,
        most_ln_runtime=ordered[-1] + 1e-9,
        has_limit=ordered[-_least_at_limit(len(ordered))] > ordered[-1] - 0.01,
    )


def _least_at_limit(jobs: int) -> int:
    return max(5, math.ceil(_SHARE_AT_LIMIT * jobs))


def _seconds(job: WorkloadLease) -> int:
    return job.real_duration_seconds or job.duration or 1


def _gamma_of(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """Shape and scale of the gamma distribution with the mean and variance of weighted values."""
    total = math.fsum(weights) or 1e-9
    mean = math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total
    spread = math.fsum(w * (v - mean) ** 2 for v, w in zip(values, weights, strict=True)) / total
    mean, spread = max(mean, 1e-3), max(spread, 1e-3)
    return mean * mean / spread, spread / mean


def _line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Slope and height at 0 of the line of least squares."""
    count = len(xs)
    x_mean, y_mean = math.fsum(xs) / count, math.fsum(ys) / count
    square = math.fsum((x - x_mean) ** 2 for x in xs)
    if square == 0:
        return 0.0, y_mean
    both = math.fsum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    slope = both / square
    return slope, y_mean - slope * x_mean


def _share(value: float, prior: float, one: tuple[float, float], two: tuple[float, float]) -> float:
    """The probability that a value is of the first of two gamma distributions."""
    odds = _log_density(value, *two) - _log_density(value, *one)
    return prior / (prior + (1 - prior) * math.exp(min(odds, 500)))


def _log_density(value: float, shape: float, scale: float) -> float:
    return (
        (shape - 1) * math.log(value) - value / scale - shape * math.log(scale) - math.lgamma(shape)
    )


def _with_arrivals(model: LublinModel, arrivals: Sequence[int]) -> LublinModel:
    counts = [0] * SLOTS
    for seconds in arrivals:
        counts[seconds // SLOT_SECONDS % SLOTS] += 1
    # The day begins where least is going on, over three hours.
    first = min(range(SLOTS), key=lambda s: sum(counts[(s + i) % SLOTS] for i in range(-3, 3)))
    first = first or SLOTS
    slots = [float(first + i) for i in range(SLOTS)]
    weights = [float(counts[(first + i - 1) % SLOTS]) + 0.1 for i in range(SLOTS)]
    shape, scale = _gamma_of(slots, weights)
    model = replace(model, first_slot=first, a_num=shape, b_num=scale)
    cycle = DailyCycle(model)
    busy = [cycle.busy(seconds) for seconds in arrivals]
    gaps = [math.log(max(1.5, b - a)) for a, b in pairwise(busy)]
    shape, scale = _gamma_of(gaps, [1.0] * len(gaps))
    return replace(model, a_arr=shape, b_arr=scale, arar=1.0, most_ln_gap=max(gaps) + 1e-9)
