"""Fitting: what is made after a trace has its sizes, run times, arrivals and load."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import pytest
from shared_data import shared

from haizea.cli.commands import cli
from haizea.workloads import WorkloadError, read
from haizea.workloads.fit import fit
from haizea.workloads.generate import GenerateOptions, generate
from haizea.workloads.lublin import LublinModel
from haizea.workloads.model import Workload

KNOWN = replace(LublinModel.for_nodes(128), serial_prob=0.5, pow2_prob=0.4)


def sizes(workload: Workload) -> list[float]:
    """The number of nodes of every lease."""
    return [float(lease.node_count) for lease in workload.leases]


def times(workload: Workload) -> list[float]:
    """Return how long every lease runs."""
    return [float(x.real_duration_seconds or x.duration_seconds or 0) for x in workload.leases]


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest distance between two distributions (Kolmogorov and Smirnov)."""
    first, second = sorted(one), sorted(other)
    return max(
        abs(bisect_right(first, x) / len(first) - bisect_right(second, x) / len(second))
        for x in {*first, *second}
    )


def test_a_model_is_found_again_from_its_own_jobs() -> None:
    trace = generate(GenerateOptions(jobs=4000, hosts=128, model=KNOWN))
    again = generate(GenerateOptions(jobs=4000, hosts=128, model=fit(trace, 128), seed=2))
    assert distance(sizes(trace), sizes(again)) < 0.08
    assert distance(times(trace), times(again)) < 0.06
    assert abs(fit(trace, 128).serial_prob - 0.5) < 0.03


def test_a_month_like_blue_horizons(tmp_path: Path) -> None:
    trace = shared("blue/30days.swf")
    to = tmp_path / "like.swf"
    command = ["generate-workload", "--like", str(trace), "--hosts", "144", str(to)]
    cli.main(command, standalone_mode=False)
    real, made = read(trace), read(to)
    assert len(made.leases) == len(real.leases)
    assert distance(sizes(real), sizes(made)) < 0.2
    assert distance(times(real), times(made)) < 0.12
    lengths = [w.leases[-1].arrival_seconds for w in (real, made)]
    work = [math.fsum(a * b for a, b in zip(sizes(w), times(w), strict=True)) for w in (real, made)]
    assert work[1] / lengths[1] == pytest.approx(work[0] / lengths[0], rel=0.02)


def test_too_few_jobs_are_told() -> None:
    trace = generate(GenerateOptions(jobs=99, hosts=16))
    with pytest.raises(WorkloadError, match="99 best-effort leases; 100 are needed"):
        fit(trace, 16)


def test_jobs_of_one_size_are_fitted_too() -> None:
    model = replace(KNOWN, serial_prob=1.0)
    trace = generate(GenerateOptions(jobs=200, hosts=1, model=model))
    assert set(sizes(generate(GenerateOptions(jobs=50, hosts=1, model=fit(trace, 1))))) == {1.0}


def test_without_a_trace_jobs_and_hosts_are_needed() -> None:
    with pytest.raises(click.UsageError, match="--jobs and --hosts are missing"):
        cli.main(["generate-workload", "--jobs", "5"], standalone_mode=False)
