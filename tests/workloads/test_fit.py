"""Fitting: what is made after a trace has its sizes, run times, arrivals and load."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import click
import pytest
from shared_data import shared

from haizea.cli.commands import cli
from haizea.workloads import WorkloadError, read
from haizea.workloads.fit import fit
from haizea.workloads.generate import GenerateOptions, generate
from haizea.workloads.lublin import LublinModel
from haizea.workloads.model import Workload
from haizea.workloads.requested import RequestedTimes

KNOWN = replace(LublinModel.for_nodes(128), serial_prob=0.5, pow2_prob=0.4)


def sizes(workload: Workload) -> list[float]:
    """The number of nodes of every lease."""
    return [float(lease.node_count) for lease in workload.leases]


def times(workload: Workload) -> list[float]:
    """Return how long every lease runs."""
    return [float(x.real_duration_seconds or x.duration or 0) for x in workload.leases]


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


def test_requested_times_are_those_of_the_trace_and_long_enough(tmp_path: Path) -> None:
    trace = shared("blue/30days.swf")
    to = tmp_path / "like.swf"
    cli.main(["generate-workload", "--like", str(trace), str(to)], standalone_mode=False)
    real, made = read(trace), read(to)

    def requested(workload: Workload) -> list[float]:
        return [float(x.duration or 0) for x in workload.leases]

    assert distance(requested(real), requested(made)) < 0.03
    assert all(a <= b for a, b in zip(times(made), requested(made), strict=True))


def test_a_job_that_no_requested_time_is_left_for_asks_for_what_it_runs() -> None:
    known = RequestedTimes(seconds=(60, 600), counts=(1, 1))
    found = known.drawn([700, 500, 30, 20, 10], Random(1))
    assert found[0] == 700
    assert all(a >= b for a, b in zip(found, [700, 500, 30, 20, 10], strict=True))
    assert set(found[1:]) <= {60, 600, 500}
    assert RequestedTimes.of([]).drawn([5], Random(1)) == [5]


def test_an_estimate_that_is_asked_for_goes_before_that_of_the_trace(tmp_path: Path) -> None:
    trace, to = Path(__file__).parents[2] / "traces/batch.swf", tmp_path / "like.swf"
    command = ["generate-workload", "--like", str(trace), "--estimate", "exact", str(to)]
    cli.main(command, standalone_mode=False)
    assert all(x.duration == x.real_duration_seconds for x in read(to).leases)


def test_a_limit_of_run_times_is_found_and_kept() -> None:
    trace = generate(GenerateOptions(jobs=2000, hosts=64))
    assert not fit(trace, 64).has_limit
    model = replace(LublinModel.for_nodes(64), most_ln_runtime=math.log(36000.5), has_limit=True)
    trace = generate(GenerateOptions(jobs=2000, hosts=64, model=model))
    again = generate(GenerateOptions(jobs=2000, hosts=64, seed=2, model=fit(trace, 64)))
    at_limit = [sum(run >= 35990 for run in times(w)) / 2000 for w in (trace, again)]
    assert at_limit[1] == pytest.approx(at_limit[0], rel=0.5)
    assert at_limit[0] > 0.01
