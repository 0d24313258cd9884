"""Cases that are measured: workloads, the axes along which cost grows, and the targets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bench import workloads
from bench.case import CONSERVATIVE, EASY, LEASE_MANAGER, Axis, Case
from bench.corners import CORNERS, beside_jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure of a case (or an axis) and the limit that it should keep.

    ``figure`` is a name of :data:`bench.report.FIGURES`.
    """

    subject: str
    figure: str
    limit: float
    at_least: bool


def _generated(jobs: int, quick: bool) -> Case:
    return Case(
        name=f"generated-{jobs // 1000}k",
        title=f"generated: {jobs:,} jobs, 1,024 hosts, load 0.8, EASY",
        make=partial(workloads.generated, jobs=jobs, hosts=1024, load=0.8, how=EASY),
        yardstick="easy",
        recording=True,
        quick=quick,
    )


def _virtual_machines(hosts: int, quick: bool = False) -> Case:
    return Case(
        name=f"vms-{hosts}",
        title=f"10,000 requests of VMs of 20 sizes, {hosts:,} mixed hosts, load 0.8, EASY",
        make=partial(workloads.virtual_machines, requests=10_000, hosts=hosts, how=EASY),
        quick=quick,
        recording=hosts == 1000,
    )


def _burst(depth: int) -> Case:
    return Case(
        name=f"queue-{depth}",
        title=f"8,000 jobs, {depth:,} at a time, 256 hosts, EASY",
        make=partial(workloads.bursts, jobs=8000, hosts=256, depth=depth, how=EASY),
        yardstick="easy",
    )


def _hosts(hosts: int) -> Case:
    return Case(
        name=f"hosts-{hosts}",
        title=f"10,000 jobs of up to 128 nodes, {hosts:,} hosts, load 0.8, EASY",
        make=partial(workloads.on_more_hosts, jobs=10_000, hosts=hosts, how=EASY),
        yardstick="easy",
    )


def _types(count: int) -> Case:
    return Case(
        name=f"types-{count}",
        title=f"5,000 jobs, {count} types of resources, 256 hosts, load 0.8, EASY",
        make=partial(workloads.resource_types, jobs=5000, hosts=256, types=count, how=EASY),
    )


BLUE_60 = Case(
    name="blue-60",
    title="60-day-like Blue Horizon (the 30 days twice): 10,216 jobs, 144 hosts, EASY",
    make=partial(workloads.blue_two_months, how=EASY),
    yardstick="easy",
    recording=True,
    quick=True,
)
BLUE_CONSERVATIVE = Case(
    name="blue-30-conservative",
    title="30 days of Blue Horizon, conservative",
    make=partial(workloads.blue, trace="30days", how=CONSERVATIVE),
    yardstick="conservative",
    quick=True,
)
BLUE_ARS = Case(
    name="blue-30-ars",
    title="30 days of Blue Horizon with ARs injected (10 % of the work, 3 h, medium), EASY,"
    " suspension, migration",
    make=partial(
        workloads.blue_with_reservations,
        injected="work_10-dur_3h-size_2medium",
        how=LEASE_MANAGER,
    ),
    recording=True,
    quick=True,
)
START_UP = Case(
    name="start-up", title="a single lease: starting up", make=workloads.one_lease, quick=True
)

GENERATED = tuple(_generated(n, n == 10_000) for n in (10_000, 20_000, 50_000, 200_000))
VMS = tuple(_virtual_machines(n, n == 1000) for n in (100, 300, 1000, 10_000))

WORKLOADS = (
    START_UP,
    BLUE_60,
    Case(
        name="blue-15",
        title="15 days of Blue Horizon, EASY",
        make=partial(workloads.blue, trace="15days", how=EASY),
        yardstick="easy",
        quick=True,
    ),
    Case(
        name="blue-30",
        title="30 days of Blue Horizon, EASY",
        make=partial(workloads.blue, trace="30days", how=EASY),
        yardstick="easy",
    ),
    BLUE_CONSERVATIVE,
    BLUE_ARS,
    *GENERATED,
    *VMS,
    Case(
        name="ars-fifth",
        title="generated: 5,000 jobs and 2,874 ARs (a fifth of the work), 256 hosts, EASY,"
        " suspension, migration",
        make=partial(workloads.with_reservations, jobs=5000, hosts=256, how=LEASE_MANAGER),
    ),
    Case(
        name="images",
        title="generated: 5,000 jobs, 144 hosts, image transfers and caches, EASY",
        make=partial(workloads.with_images, jobs=5000, hosts=144, how=EASY),
    ),
)

AXES = (
    Axis(
        "trace-length",
        "jobs in the trace",
        tuple(zip(GENERATED, (10_000, 20_000, 50_000, 200_000), strict=True)),
    ),
    Axis(
        "queue-depth",
        "jobs that arrive at a time",
        tuple((_burst(d), d) for d in (125, 500, 1000, 8000)),
    ),
    Axis("hosts", "hosts", tuple((_hosts(h), h) for h in (128, 512, 1024, 8192))),
    Axis(
        "vm-hosts",
        "mixed hosts, VMs of 20 sizes",
        tuple(zip(VMS, (100, 300, 1000, 10_000), strict=True)),
    ),
    beside_jobs("ars", "EASY, suspension, migration", LEASE_MANAGER),
    Axis("resource-types", "types of resources", tuple((_types(t), t) for t in (2, 4, 8, 16))),
    *CORNERS,
)

TARGETS = (
    Target(subject="blue-60", figure="leases_per_second", limit=10_000, at_least=True),
    Target(subject="blue-60", figure="yardstick_ratio", limit=10, at_least=False),
    Target(subject="blue-60", figure="records_ratio", limit=2, at_least=False),
    Target(subject="generated-200k", figure="leases_per_second", limit=10_000, at_least=True),
    Target(subject="trace-length", figure="exponent", limit=1.1, at_least=False),
    Target(subject="generated-200k", figure="peak_mb", limit=1000, at_least=False),
    Target(subject="blue-30-conservative", figure="leases_per_second", limit=2500, at_least=True),
    Target(subject="blue-30-ars", figure="leases_per_second", limit=3000, at_least=True),
    Target(subject="vms-1000", figure="leases_per_second", limit=1500, at_least=True),
    Target(subject="decision", figure="decision_ms", limit=20, at_least=False),
    Target(subject="start-up", figure="cpu_seconds", limit=0.5, at_least=False),
    *(
        Target(subject=subject, figure=figure, limit=0.2, at_least=False)
        for subject in ("blue-60", "generated-200k")
        for figure in ("plain_recording_share", "recording_share")
    ),
    *(
        Target(subject=subject, figure="check_ratio", limit=2, at_least=False)
        for subject in ("blue-60", "generated-10k", "generated-200k")
    ),
    Target(subject="generated-200k", figure="check_peak_mb", limit=500, at_least=False),
)


def every_case() -> dict[str, Case]:
    """All cases by name, those of the axes included."""
    cases = {case.name: case for case in WORKLOADS}
    for axis in AXES:
        cases.update((case.name, case) for case, _ in axis.cases)
    return cases
