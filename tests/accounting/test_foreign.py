"""Runs as others' tools read them: evalys the jobs of Batsim, and our own reader SWF."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_installation import ROOT

from haizea.accounting.foreign import BATSIM_COLUMNS, intervals
from haizea.accounting.reader import Results
from haizea.cli.commands import cli
from haizea.config import loads
from haizea.runtime import Simulation
from haizea.workloads import read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def datafile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which leases are suspended, go on elsewhere, and are rejected."""
    path = tmp_path_factory.mktemp("foreign") / "run.results"
    text = f"""
[scheduling]
suspension: all
migration: yes
suspend-rate: 50
resume-rate: 50
backfilling: aggressive
[simulation]
resources: 8 CPU:100 Memory:1024
[tracefile]
tracefile: {ROOT}/traces/batch.swf
injectionfile: {ROOT}/traces/reservations.txt
[accounting]
datafile: {path}
attributes: profile=all
"""
    Simulation(loads(text)).run()
    return path


def convert(datafile: Path, what: str, to: Path) -> None:
    cli.main(["convert-data", "-t", what, "-o", str(to), str(datafile)], standalone_mode=False)


def test_the_run_has_what_is_hard_to_convert(datafile: Path) -> None:
    with Results(datafile) as results:
        assert results.figures()["suspensions"] > 0


EVALYS = """
import sys, warnings
warnings.simplefilter("ignore")
import matplotlib
matplotlib.use("Agg")
from evalys.jobset import JobSet
jobs = JobSet.from_csv(sys.argv[1])
jobs.plot(with_details=True)
matplotlib.pyplot.savefig(sys.argv[2])
used = jobs.utilisation
print(jobs.MaxProcs, jobs.mean_utilisation(), used.load.max())
"""


def test_the_real_evalys_draws_our_run(datafile: Path, tmp_path: Path) -> None:
    pytest.importorskip("evalys")
    jobs = tmp_path / "jobs.csv"
    convert(datafile, "batsim", jobs)
    picture = tmp_path / "evalys.png"
    done = subprocess.run(
        [sys.executable, "-c", EVALYS, str(jobs), str(picture)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    hosts, mean, most = done.stdout.split()
    assert picture.read_bytes().startswith(b"\x89PNG")
    with Results(datafile) as results:
        figures = results.figures()
        seconds = int(results.run["ended"]) - int(results.run["started"])
        [[last]] = results.rows("SELECT MAX(\"end\") FROM reservation_sets WHERE purpose = 'run'")
        [[first]] = results.rows("SELECT MIN(submitted) FROM leases WHERE started IS NOT NULL")
    assert int(hosts) == 8
    assert float(most) <= 8
    # Evalys has the mean from the first submission to the last end, in hosts.
    ours = 8 * figures["cpu-utilization-run"] * seconds / (last - first)
    assert float(mean) == pytest.approx(ours, rel=1e-3)


def test_batsims_columns_add_up(datafile: Path, tmp_path: Path) -> None:
    import csv

    convert(datafile, "batsim", tmp_path / "jobs.csv")
    with (tmp_path / "jobs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[: len(BATSIM_COLUMNS)] == BATSIM_COLUMNS
    assert any("#" in row["job_id"] for row in rows)
    assert len({row["job_id"] for row in rows}) == len(rows)
    for row in rows:
        submitted, start, end = (
            int(row[name]) for name in ("submission_time", "starting_time", "finish_time")
        )
        assert start == submitted + int(row["waiting_time"]) >= submitted
        assert end == start + int(row["execution_time"])
        assert int(row["turnaround_time"]) == end - submitted


def test_swf_has_our_waits_and_is_read_again(datafile: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.swf"
    convert(datafile, "swf", path)
    jobs = [line.split() for line in path.read_text().splitlines() if not line.startswith(";")]
    assert {len(job) for job in jobs} == {18}
    with Results(datafile) as results:
        started = "SELECT lease, started - submitted FROM leases WHERE started NOT NULL"
        waits = {int(lease): int(wait) for lease, wait in results.rows(started)}
        asked = results.rows("SELECT lease, duration FROM leases")
        durations = {int(lease): seconds for lease, seconds in asked}
    for job in jobs:
        assert int(job[2]) == waits.get(int(job[0]), -1)
        assert int(job[8]) == durations[int(job[0])]
    again = read(path)
    assert sum(lease.node_count for lease in again.leases) == sum(
        int(job[7]) for job in jobs if int(job[3]) >= 0
    )
    assert again.site is not None


def test_swf_is_of_one_run(datafile: Path) -> None:
    import click

    with pytest.raises(click.UsageError, match="one run"):
        cli.main(["convert-data", "-t", "swf", str(datafile), str(datafile)], standalone_mode=False)


@given(st.sets(st.integers(0, 40)))
def test_intervals_are_the_numbers(numbers: set[int]) -> None:
    found = set()
    for part in intervals(numbers).split():
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    assert found == numbers
