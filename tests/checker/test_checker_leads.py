"""VMs that are started before an AR, as the checker takes them from a results file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from results_builder import Lease, Results

from haizea.checker import UnreadableResults, check_file

TABLE = "CREATE TABLE preparation (lease INTEGER, time INTEGER, seconds INTEGER)"


def prepared(begin: int = 440, end: int = 500, hosts: tuple[int, ...] = (0, 1)) -> Results:
    """An AR of two nodes from 500 to 700, whose VMs are started from ``begin`` on."""
    results = Results()
    lease = results.reserved(9, 200, 500, 200, 0, 1)
    if begin < end:
        results.work(lease, "prepare", begin, end, *hosts)
    return results


def wrong(path: Path, results: Results, *told: tuple[object, object, object]) -> list[str]:
    results.write(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(TABLE)
        db.executemany("INSERT INTO preparation VALUES (?, ?, ?)", told)
    return [f"{v.rule.value}: {v.message}" for v in check_file(path).violations]


def test_what_was_planned_is_right(tmp_path: Path) -> None:
    assert wrong(tmp_path / "a", prepared(), (9, 200, 60)) == []
    assert wrong(tmp_path / "b", prepared(), (9, 200, 30), (9, 300, 60)) == []
    assert wrong(tmp_path / "c", prepared(500, 500)) == []


@pytest.mark.parametrize("told", [[], [(9, 200, 40)], [(9, 450, 60)], [(8, 200, 60)]])
def test_no_host_is_held_sooner_than_planned(
    tmp_path: Path, told: list[tuple[object, object, object]]
) -> None:
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
