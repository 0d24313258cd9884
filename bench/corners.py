"""The shapes of work that are hard on a scheduler, each as an axis along which it grows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import shapes, workloads
from bench.case import CONSERVATIVE, EASY, FOUR_RESERVATIONS, NO_MIGRATION, Axis, Case
from bench.workloads import Prepared, Scheduling
from bench.yardsticks import IN_SUMS

#: The mean of ARs' durations, and how many of them are a fifth of the work beside 2,000 jobs.
RESERVATIONS = ((14_400, 541), (7200, 1081), (3600, 2161), (900, 8683))


def _axis(
    name: str,
    title: str,
    steps: tuple[int, ...],
    make: Callable[[int], Callable[[Path], Prepared]],
    yardstick: str | None = None,
) -> Axis:
    cases = [
        Case(name=f"{name}-{n}", title=f"{title}: {n:,}", make=make(n), yardstick=yardstick)
        for n in steps
    ]
    return Axis(name, title, tuple(zip(cases, steps, strict=True)))


def _at_a_time(
    name: str, title: str, steps: tuple[int, ...], hosts: int, types: int, how: Scheduling
) -> Axis:
    """All requests at once."""

    def make(n: int) -> Callable[[Path], Prepared]:
        return partial(shapes.at_a_time, jobs=n, depth=n, hosts=hosts, types=types, how=how)

    return _axis(name, title, steps, make, IN_SUMS)


def beside_jobs(name: str, title: str, how: Scheduling) -> Axis:
    """2,000 jobs and ARs that are the shorter the more there are; what grows is all leases."""
    cases = tuple(
        (
            Case(
                name=f"{name}-{count}",
                title=f"2,000 jobs and {count:,} ARs of {seconds // 60} min, 256 hosts, {title}",
                make=partial(
                    workloads.with_reservations,
                    jobs=2000,
                    hosts=256,
                    how=how,
                    mean_seconds=seconds,
                ),
            ),
            2000 + count,
        )
        for seconds, count in RESERVATIONS
    )
    return Axis(name, f"leases, ARs beside 2,000 jobs, {title}", cases)


def _small_reservations(
    name: str, title: str, jobs: int, steps: tuple[int, ...], how: Scheduling, *, at_once: bool
) -> Axis:
    cases = tuple(
        (
            Case(
                name=f"{name}-{ars}",
                title=f"{jobs:,} jobs and {ars:,} ARs of 15 min, 128 hosts, {title}",
                make=partial(
                    shapes.with_small_reservations,
                    jobs=jobs,
                    ars=ars,
                    hosts=128,
                    how=how,
                    at_once=at_once,
                ),
            ),
            jobs + ars,
        )
        for ars in steps
    )
    return Axis(name, f"leases, small ARs beside {jobs:,} jobs, {title}", cases)


CORNERS = (
    _at_a_time(
        "types-deep",
        "requests at once, 4 types of resources, 3 sizes of node, 64 hosts, conservative",
        (30, 60, 120, 240),
        64,
        4,
        CONSERVATIVE,
    ),
    _at_a_time(
        "types-deep-256",
        "requests at once, 4 types of resources, 3 sizes of node, 256 hosts, conservative",
        (62, 125, 250, 500),
        256,
        4,
        CONSERVATIVE,
    ),
    _axis(
        "types-bursts",
        "at a time of 2,000 jobs, 4 types of resources, 3 sizes of node, 256 hosts, conservative",
        (16, 31, 62, 125),
        lambda n: partial(
            shapes.at_a_time, jobs=2000, depth=n, hosts=256, types=4, how=CONSERVATIVE
        ),
        IN_SUMS,
    ),
    _axis(
        "vms-conservative",
        "requests of VMs of 20 sizes, 100 hosts, conservative",
        (125, 250, 500, 1000),
        lambda n: partial(workloads.virtual_machines, requests=n, hosts=100, how=CONSERVATIVE),
        IN_SUMS,
    ),
    _axis(
        "vms-easy",
        "requests of VMs of 20 sizes, 100 hosts, EASY",
        (1250, 2500, 5000, 10_000),
        lambda n: partial(workloads.virtual_machines, requests=n, hosts=100, how=EASY),
    ),
    _axis(
        "sizes-bursts",
        "at a time of 8,000 jobs, 3 sizes of node, 256 hosts, EASY",
        (125, 250, 500, 1000),
        lambda n: partial(shapes.at_a_time, jobs=8000, depth=n, hosts=256, types=2, how=EASY),
    ),
    _axis(
        "queue-intermediate",
        "at a time of 8,000 jobs, 256 hosts, 4 future reservations",
        (1000, 2000, 4000, 8000),
        lambda n: partial(workloads.bursts, jobs=8000, hosts=256, depth=n, how=FOUR_RESERVATIONS),
    ),
    beside_jobs("ars-no-migration", "suspension without migration", NO_MIGRATION),
    beside_jobs("ars-conservative", "conservative", CONSERVATIVE),
    beside_jobs("ars-no-suspension", "EASY without suspension", EASY),
    beside_jobs("ars-intermediate", "4 future reservations", FOUR_RESERVATIONS),
    _small_reservations(
        "ars-small",
        "suspension without migration",
        800,
        (1000, 2000, 4000, 8000),
        NO_MIGRATION,
        at_once=False,
    ),
    _small_reservations(
        "ars-ahead",
        "all booked at the beginning, EASY",
        200,
        (2000, 4000, 8000, 16_000),
        EASY,
        at_once=True,
    ),
    _axis(
        "ars-few",
        "jobs beside one small AR for each 75 of them, 128 hosts, conservative",
        (1500, 3000, 6000, 12_000),
        lambda n: partial(
            shapes.with_small_reservations, jobs=n, ars=n // 75, hosts=128, how=CONSERVATIVE
        ),
    ),
    _axis(
        "kth",
        "jobs of a year of KTH-SP2, one small AR for each 75 of them, 100 hosts, conservative",
        (3500, 7000, 14_000, 28_000),
        lambda n: partial(shapes.kth, jobs=n, how=CONSERVATIVE),
    ),
)
