"""Making workloads: batch jobs of the Lublin–Feitelson model, with ARs among them.

Everything is drawn from one seeded generator per matter (jobs, capacities, estimates,
ARs), so that, say, another AR share leaves the batch jobs as they were.

*Load* is the work asked for, relative to what the machine could do: the sum over all
leases of nodes × real duration, each node weighed by the largest share of a host that it
takes, over hosts × the time of the last arrival. A wanted load is reached by stretching
the time between jobs; the daily cycle stays a day long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

from haizea.core.model.lease import Kind, Nodes
from haizea.workloads.lublin import DailyCycle, LublinModel
from haizea.workloads.model import (
    DEFAULT_AMOUNTS,
    Workload,
    WorkloadLease,
    WorkloadSite,
    by_arrival,
)
from haizea.workloads.requested import RequestedTimes
from haizea.workloads.values import MAX_SECONDS


class Estimate(StrEnum):
    """The way in which the requested time of a batch job comes from its run time."""

    EXACT = "exact"  #: they are equal
    FACTOR = "factor"  #: run time × a fixed factor
    ROUND = "round"  #: run time × a factor from 1 to 5, then up to a time that people ask for


#: What people ask for: these, and whole days beyond (seconds).
ROUND_SECONDS = (300, 600, 900, 1800, *(h * 3600 for h in (1, 2, 3, 4, 6, 8, 12, 18, 24)))
DAY_SECONDS = 86400

#: AR sizes as shares of the machine, from more than … to ….
AR_SIZES: dict[str, tuple[float, float]] = {
    "small": (0.0, 1 / 6),
    "medium": (1 / 6, 1 / 3),
    "large": (1 / 3, 1 / 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArOptions:
    """Advance reservations: ``share`` (0 to below 1) of all the work asked for.

    Durations and lead times (from request to start) are uniform from half the mean to one
    and a half; sizes are uniform in ``least_nodes`` … ``most_nodes``.
    """

    share: float
    mean_seconds: int = 3600
    least_nodes: int = 1
    most_nodes: int = 1
    lead_seconds: int = 3600

    def __post_init__(self) -> None:
        assert 0 <= self.share < 1
        assert self.mean_seconds > 0
        assert self.lead_seconds >= 0
        assert 1 <= self.least_nodes <= self.most_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateOptions:
    """Options for what to make. ``load`` ``None`` leaves the arrivals as the model has them.

    ``node_capacities``: one of them is drawn for each lease, all equally likely.
    ``model`` is what jobs are drawn from; by default the one of the paper. ``requested`` is
    what jobs ask for, in place of ``estimate``.
    ``host_capacity`` is each host's; by default the largest of each type among
    ``node_capacities``.
    """

    jobs: int
    hosts: int
    seed: int = 1
    load: float | None = None
    estimate: Estimate = Estimate.EXACT
    estimate_factor: float = 2.0
    ars: ArOptions | None = None
    node_capacities: tuple[Mapping[str, int], ...] = field(
        default_factory=lambda: (DEFAULT_AMOUNTS,)
    )
    host_capacity: Mapping[str, int] | None = None
    model: LublinModel | None = None
    requested: RequestedTimes | None = None

    def __post_init__(self) -> None:
        assert self.jobs > 0
        assert self.hosts > 0
        assert self.load is None or self.load > 0
        assert self.estimate_factor >= 1
        assert self.node_capacities

    def lublin(self) -> LublinModel:
        """The model that jobs are drawn from."""
        return self.model or LublinModel.for_nodes(self.hosts)

    def host(self) -> dict[str, int]:
        """The capacity of every host."""
        if self.host_capacity is not None:
            return dict(self.host_capacity)
        names = dict.fromkeys(name for c in self.node_capacities for name in c)
        return {name: max(c.get(name, 0) for c in self.node_capacities) for name in names}


def ar_nodes(size: str, hosts: int) -> tuple[int, int]:
    """The least and the most nodes of an AR: of ``small``, ``medium``, ``large``, or ``4-16``.

    Raises :class:`ValueError` for anything else, and for more nodes than there are hosts.
    """
    if size in AR_SIZES:
        low, high = AR_SIZES[size]
        most = max(1, math.floor(high * hosts))
        return min(math.floor(low * hosts) + 1, most), most
    first, _, last = size.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        raise ValueError(f"invalid size {size!r}: write small, medium, large, 8 or 4-16")
    least, most = int(first), int(last or first)
    if not 1 <= least <= most <= hosts:
        raise ValueError(f"{size!r} is not within 1 to {hosts}, the number of hosts")
    return least, most


def load_of(workload: Workload) -> float:
    """The load of a workload with a site (see this module); 0 if it lasts no time."""
    assert workload.site is not None
    hosts = sum(group.count for group in workload.site.hosts)
    host = workload.site.hosts[0].amounts
    last = max((x.arrival_seconds for x in workload.leases), default=0)
    return sum(work_of(x, host) for x in workload.leases) / (hosts * last) if last else 0.0


def work_of(lease: WorkloadLease, host: Mapping[str, int]) -> float:
    """Host-seconds that the lease keeps busy, if it runs for its real duration."""
    seconds = lease.real_duration_seconds or lease.duration
    assert seconds is not None, "a lease without end has no amount of work"
    return seconds * sum(n.count * share_of_host(n.amounts, host) for n in lease.nodes)


def share_of_host(amounts: Mapping[str, int], host: Mapping[str, int]) -> float:
    """The largest share of any of the host's resources that is asked for."""
    return max((amount / host[name] for name, amount in amounts.items() if amount), default=0.0)


def generate(options: GenerateOptions) -> Workload:
    """A workload of ``options.jobs`` batch jobs and the ARs among them; the same for a seed."""
    host = options.host()
    batch, busy_seconds = _batch_jobs(options)
    work = sum(work_of(lease, host) for lease in batch)
    # ARs are made for a time span of 1; the span is known only when their work is.
    ars = _reservations(options, work, host)
    work += sum(work_of(lease, host) for _, lease in ars)

    cycle = DailyCycle(options.lublin())
    stretch = 1.0
    if options.load is not None:
        span_seconds = work / (options.hosts * options.load)
        stretch = cycle.busy(span_seconds) / busy_seconds[-1]
    arrivals = [round(cycle.real(b * stretch)) for b in busy_seconds]
    leases = [replace(x, arrival_seconds=a) for a, x in zip(arrivals, batch, strict=True)]
    for position, lease in ars:
        arrival = round(position * arrivals[-1])
        assert lease.start is not None
        leases.append(replace(lease, arrival_seconds=arrival, start=arrival + lease.start))
    site = WorkloadSite(tuple(host), (Nodes(options.hosts, host),))
    return Workload(name="generated", leases=by_arrival(leases), site=site)


def _rng(options: GenerateOptions, matter: str) -> Random:
    # Seeding with a string does not depend on the hash seed.
    return Random(f"{options.seed} {matter}")


def _batch_jobs(options: GenerateOptions) -> tuple[list[WorkloadLease], list[float]]:
    """The jobs, with no arrivals yet, and the busy time at which each arrives."""
    model = options.lublin()
    jobs, estimates = _rng(options, "jobs"), _rng(options, "estimates")
    pick = _Capacities(options, "capacities")
    busy = 0.0
    sizes, runs, moments = [], [], []
    for _ in range(options.jobs):
        busy += model.gap_seconds(jobs)
        sizes.append(model.size(jobs))
        runs.append(model.runtime_seconds(sizes[-1], jobs))
        moments.append(busy)
    if options.requested is not None:
        requested = options.requested.drawn(runs, estimates)
    else:
        requested = [_requested(run, options, estimates) for run in runs]
    leases = [
        WorkloadLease(
            arrival_seconds=0,
            kind=Kind.BEST_EFFORT,
            start=None,
            nodes=pick.nodes(size),
            duration=asked,
            real_duration_seconds=run,
            preemptible=True,
        )
        for size, run, asked in zip(sizes, runs, requested, strict=True)
    ]
    return leases, moments


class _Capacities:
    """Draws a node capacity per lease; leases that ask for the same share it."""

    def __init__(self, options: GenerateOptions, matter: str) -> None:
        self._rng = _rng(options, matter)
        self._choices = [dict(c) for c in options.node_capacities]
        self._shared: dict[tuple[int, int], tuple[Nodes, ...]] = {}

    def nodes(self, count: int) -> tuple[Nodes, ...]:
        choice = math.floor(self._rng.random() * len(self._choices))
        key = (count, choice)
        if key not in self._shared:
            self._shared[key] = (Nodes(count, self._choices[choice]),)
        return self._shared[key]


def _requested(run: int, options: GenerateOptions, rng: Random) -> int:
    match options.estimate:
        case Estimate.EXACT:
            wanted: float = run
        case Estimate.FACTOR:
            wanted = run * options.estimate_factor
        case Estimate.ROUND:
            wanted = run * (1 + 4 * rng.random())
            usual = next((s for s in ROUND_SECONDS if s >= wanted), None)
            wanted = usual or math.ceil(wanted / DAY_SECONDS) * DAY_SECONDS
    return min(math.ceil(wanted), MAX_SECONDS)


def _reservations(
    options: GenerateOptions, batch_work: float, host: Mapping[str, int]
) -> list[tuple[float, WorkloadLease]]:
    """ARs, each with its place (0 to 1) in the time span; ``start`` is its lead time.

    They are drawn until their work is the wanted share of all; the last one is left out
    if that comes nearer to the share.
    """
    ars = options.ars
    if ars is None or ars.share == 0:
        return []
    wanted = batch_work * ars.share / (1 - ars.share)
    rng = _rng(options, "reservations")
    pick = _Capacities(options, "reservation capacities")
    made: list[tuple[float, WorkloadLease]] = []
    work = 0.0
    while work < wanted:
        position = rng.random()
        duration = max(1, round(ars.mean_seconds * (0.5 + rng.random())))
        lead = round(ars.lead_seconds * (0.5 + rng.random()))
        size = ars.least_nodes + math.floor(rng.random() * (ars.most_nodes - ars.least_nodes + 1))
        lease = WorkloadLease(
            arrival_seconds=0,
            kind=Kind.AR,
            start=lead,
            nodes=pick.nodes(size),
            duration=duration,
        )
        more = work_of(lease, host)
        if work + more - wanted > wanted - work:
            break
        work += more
        made.append((position, lease))
    return made
