"""VMs that are started before an AR, as the checker takes them from a results file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from results_builder import Lease, Results

from haizea.checker import UnreadableResults, check_file

#: A lease, when it was told, and how many seconds its VMs take.
Told = tuple[object, object, object]


def prepared(begin: int = 440, end: int = 500, hosts: tuple[int, ...] = (0, 1)) -> Results:
    """An AR of two nodes from 500 to 700, whose VMs are started from ``begin`` on."""
    results = Results()
    lease = results.reserved(9, 200, 500, 200, 0, 1)
    if begin < end:
        results.work(lease, "prepare", begin, end, *hosts)
    return results


def wrong(path: Path, results: Results, *told: Told) -> list[str]:
    return _found(path, results, "preparation", told)


def _found(path: Path, results: Results, table: str, told: Sequence[Told]) -> list[str]:
    """Tell what is wrong with results to which a table of planned times is added."""
    results.write(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"CREATE TABLE {table} (lease INTEGER, time INTEGER, seconds INTEGER)")
        db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", told)
    return [f"{v.rule.value}: {v.message}" for v in check_file(path).violations]


def test_what_was_planned_is_right(tmp_path: Path) -> None:
    assert wrong(tmp_path / "a", prepared(), (9, 200, 60)) == []
    assert wrong(tmp_path / "b", prepared(), (9, 200, 30), (9, 300, 60)) == []
    assert wrong(tmp_path / "c", prepared(500, 500)) == []


@pytest.mark.parametrize("told", [[], [(9, 200, 40)], [(9, 450, 60)], [(8, 200, 60)]])
def test_no_host_is_held_sooner_than_planned(tmp_path: Path, told: list[Told]) -> None:
    (found,) = wrong(tmp_path / "r", prepared(), *told)
    assert "60 s before its start" in found


def test_hosts_are_held_before_the_start(tmp_path: Path) -> None:
    (found,) = wrong(tmp_path / "a", prepared(500, 500), (9, 200, 60))
    assert "were not held" in found
    (found,) = wrong(tmp_path / "b", prepared(440, 470), (9, 200, 60))
    assert "were not held" in found


def test_all_its_hosts_are_held(tmp_path: Path) -> None:
    assert any("gang" in one for one in wrong(tmp_path / "a", prepared(hosts=(0,)), (9, 1, 60)))
    assert any("gang" in one for one in wrong(tmp_path / "b", prepared(hosts=(0, 2)), (9, 1, 60)))


def test_it_is_held_beside_others(tmp_path: Path) -> None:
    results = prepared()
    results.best_effort(1, 100, 300, 160, 0)
    assert any("capacity" in one for one in wrong(tmp_path / "a", results, (9, 200, 60)))


def test_other_leases_are_prepared_only_where_that_was_planned(tmp_path: Path) -> None:
    results = Results()
    lease: Lease = results.best_effort(1, 100, 300, 160, 0)
    results.work(lease, "prepare", 200, 300, 0)
    found = wrong(tmp_path / "a", results)
    assert any("no time was planned" in one for one in found)
    found = wrong(tmp_path / "b", results, (1, 100, 100))
    assert not any("was planned" in one for one in found)


def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableResults, match="preparation"):
        wrong(tmp_path / "a", prepared(), (9, 200, "long"))


def deployed_at_its_start(begin: int, end: int) -> Results:
    """An AR of two nodes from 500 to 700, active once its VMs run."""
    results = Results()
    results.options["opennebula", "ready-by"] = "deploy"
    lease = results.lease(Lease(9, "ar", 200, 200, 2, start=500))
    lease.then(200, "Scheduled").then(begin, "Preparing")
    lease.then(end, "Ready", "Active").then(700, "Done")
    results.work(lease, "prepare", begin, end, 0, 1)
    results.work(lease, "run", end, 700, 0, 1)
    return results


def test_one_that_is_deployed_at_its_start_is_active_later(tmp_path: Path) -> None:
    told = (9, 200, 60)
    assert wrong(tmp_path / "a", deployed_at_its_start(500, 560), told) == []
    assert wrong(tmp_path / "b", deployed_at_its_start(500, 500), told) == []
    (found,) = wrong(tmp_path / "c", deployed_at_its_start(520, 560), told)
    assert "instead of at 500" in found
    late = deployed_at_its_start(500, 560)
    late.options["opennebula", "ready-by"] = "start"
    (found,) = wrong(tmp_path / "d", late, told)
    assert "instead of at 500" in found


@pytest.mark.parametrize(
    ("first", "second", "is_right"), [(60, 140, True), (60, 200, False), (30, 170, True)]
)
@pytest.mark.parametrize("over", [False, True])
def test_a_duration_that_counts_from_deployment_has_its_preparation_in_it(
    tmp_path: Path, first: int, second: int, is_right: bool, over: bool
) -> None:
    """Count from the second beginning if it made room before it ran, and began again: ``over``."""
    results = Results()
    results.options["opennebula", "duration-from"] = "deployment"
    lease = results.lease(Lease(9, "best-effort", 100, 200))
    lease.then(100, "Queued")
    begin = 100
    if over:
        lease.then(100, "Scheduled", "Preparing").then(150, "Queued", code="preempted")
        results.work(lease, "prepare", 100, 150, 0)
        begin = 150
    lease.then(begin, "Scheduled", "Preparing").then(begin + first, "Ready", "Active")
    lease.then(begin + first + second, "Done")
    results.work(lease, "prepare", begin, begin + first, 0)
    results.work(lease, "run", begin + first, begin + first + second, 0)
    found = wrong(tmp_path / "r", results, (9, 100, 60))
    assert (found == []) is is_right, found
    assert is_right or any("it is done after running for 260 s" in one for one in found)


# --- shutting down ------------------------------------------------------------------------


def shut_down(
    path: Path, took: int, *told: tuple[int, int, int], lasts: int = 200, code: str = ""
) -> list[str]:
    """Tell what is wrong with a lease of 200 s that is shut down so long, 10 s being configured."""
    results = Results().option(shutdown_time="10")
    code = code or "duration-over"
    lease = results.best_effort(1, 300, 300, lasts - took, 0, asked=200)
    lease.story[-1] = (300 + lasts, "Done", code, code)
    results.work(lease, "shutdown", 300 + lasts - took, 300 + lasts, 0)
    return _found(path, results, "shutdown", told)


def test_shutting_down_takes_what_was_planned(tmp_path: Path) -> None:
    assert shut_down(tmp_path / "a", 10) == []
    assert shut_down(tmp_path / "b", 40, (1, 300, 40)) == []
    assert shut_down(tmp_path / "c", 10, (1, 300, 40)) == []
    assert shut_down(tmp_path / "d", 5, (1, 300, 40), lasts=165, code="shut-down") == []
    (found,) = shut_down(tmp_path / "e", 40)
    assert "its shutdown takes 40 s instead of 10 s" in found
    (found,) = shut_down(tmp_path / "f", 60, (1, 300, 40), (2, 300, 60))
    assert "its shutdown takes 60 s instead of 10 to 40 s" in found


def test_no_more_than_half_of_a_lease_is_for_shutting_down(tmp_path: Path) -> None:
    assert shut_down(tmp_path / "a", 100, (1, 300, 500)) == []
    (found,) = shut_down(tmp_path / "b", 101, (1, 300, 500))
    assert "its shutdown takes 101 s instead of 10 to 100 s" in found
