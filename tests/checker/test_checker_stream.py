"""However long a run is, only what goes on at one time is in memory; and order is no matter."""

from __future__ import annotations

import gc
import random
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from results_builder import Lease, Results
from schedules import (
    backfilling,
    dropping,
    hole,
    moving,
    plain,
    preempting,
    refusing,
    shutting_down,
    with_images,
)

from haizea.checker import check_file


def busy(rounds: int) -> Results:
    """Rounds of everything that is noted of one lease and needed for another.

    In each one is suspended for an AR and resumes, one waits and one overtakes, and one is
    refused.
    """
    results = Results(hosts=2).option(
        suspension="all",
        policy_preemption="ar-preempts-everything",
        backfilling="aggressive",
        suspendresume_exclusion="global",
    )
    for number in range(rounds):
        begin, first = number * 10_000, number * 10
        results.suspended(first + 1, (begin, begin + 700), 0, suspend=begin + 468, code="preempted")
        suspended = results.leases[-1]
        suspended.story = [
            (*change[:2], change[2].replace("lease 9", f"lease {first + 2}"), change[3])
            for change in suspended.story
        ]
        results.reserved(first + 2, begin + 200, begin + 500, 200, 0)
        refused = results.lease(Lease(first + 3, "ar", begin + 210, 100, 2, begin + 550))
        refused.then(begin + 210, "Rejected", code="no-room")
        results.best_effort(first + 4, begin + 3000, begin + 3000, 1000, 0)
        results.best_effort(first + 5, begin + 3100, begin + 4000, 100, 0, 1)
        results.best_effort(first + 6, begin + 3200, begin + 3200, 800, 1)
    results.run["ended"] = str(rounds * 10_000)
    return results


def peak_bytes(file: Path) -> int:
    """The most memory that Python holds while the file is checked."""
    # Garbage does not count; the more objects earlier tests made, the more rarely it is looked for.
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(500, 1, 1)
    tracemalloc.start()
    try:
        assert check_file(file).violations == ()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def test_memory_does_not_grow_with_the_length_of_a_run(tmp_path: Path) -> None:
    short, long = busy(120).write(tmp_path / "short"), busy(600).write(tmp_path / "long")
    check_file(long)  # what is imported or remembered once counts for neither
    assert peak_bytes(long) < 2 * peak_bytes(short)


@pytest.mark.parametrize(
    "make",
    [
        backfilling,
        dropping,
        hole,
        moving,
        plain,
        preempting,
        refusing,
        shutting_down,
        with_images,
        lambda: busy(5),
    ],
)
def test_rows_may_be_in_any_order(make: Callable[[], Results], tmp_path: Path) -> None:
    """Read the changes of one lease in order, and those of others in any."""
    right, broken = make(), make()
    for results in (right, broken):
        random.Random(len(results.rows)).shuffle(results.rows)
        random.Random(len(results.leases)).shuffle(results.leases)
    assert check_file(right.write(tmp_path / "right")).violations == ()
    broken.hosts, whole = 1, make()
    whole.hosts = 1
    found = check_file(whole.write(tmp_path / "whole")).violations
    assert check_file(broken.write(tmp_path / "broken")).violations == found


@pytest.mark.parametrize("late", [1, 100, 199])
def test_one_fault_in_a_long_run_is_found_wherever_it_is(late: int, tmp_path: Path) -> None:
    results = busy(200)
    begin, first = late * 10_000, late * 10
    overtaking = next(lease for lease in results.leases if lease.id == first + 6)
    overtaking.preemptible, overtaking.duration = False, 801
    overtaking.story[-1] = (begin + 4000, "Done", "early-end", "early-end")
    (found,) = check_file(results.write(tmp_path / "r")).violations
    assert (found.rule.value, found.lease, found.time) == ("queue", first + 6, begin + 3200)
    assert found.message == f"it delays lease {first + 5}, which was to start at {begin + 4000}"


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    file = busy(20).write(tmp_path / "r")
    before = file.read_bytes()
    check_file(file)
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == before
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("DELETE FROM leases")  # it is not in use


def test_no_room_for_temporary_files_is_no_fault_of_the_file(tmp_path: Path) -> None:
    file = busy(800).write(tmp_path / "r")
    limited = (
        "import resource; from haizea.cli.main import main;"
        " resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); main()"
    )
    command = [sys.executable, "-c", limited, "check-schedule", str(file)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {file}: it cannot be checked: ")
    assert "set SQLITE_TMPDIR" in result.stderr
    assert result.stdout == ""
