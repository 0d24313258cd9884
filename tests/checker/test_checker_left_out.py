"""States, transfers and outages that are left out of a file, or in it twice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from results_builder import Results
from schedules import found, of, plain, preempting, with_images

from haizea.checker import check_file


@pytest.mark.parametrize(
    ("number", "state"), [(1, "New"), (1, "Queued"), (2, "Queued"), (4, "Pending")]
)
def test_a_state(number: int, state: str, tmp_path: Path) -> None:
    results = plain()
    lease = of(results, number)
    lease.story = [change for change in lease.story if change[1] != state]
    assert {(rule, who) for rule, who, *_ in found(results, tmp_path)} == {("life-cycle", number)}


def test_the_queue_after_a_suspension(tmp_path: Path) -> None:
    results = preempting()
    lease = of(results, 1)
    lease.story = [change for change in lease.story if change[1] != "Suspended-Queued"]
    assert ("life-cycle", 1, None, 700) in found(results, tmp_path)


def test_that_it_was_prepared(tmp_path: Path) -> None:
    results = with_images()
    lease = of(results, 2)
    lease.story = [change for change in lease.story if change[1] != "Preparing"]
    assert found(results, tmp_path) == [("life-cycle", 2, None, 108)]


def test_a_transfer_is_there_twice(tmp_path: Path) -> None:
    results = with_images()
    results.rows.append(next(row for row in results.rows if row[1] == "transfer"))
    assert found(results, tmp_path) == [("preparation", 1, 0, 100)]


@pytest.mark.parametrize(("planned", "faults"), [(0, 0), (-1, 1)])
def test_one_leaves_a_transfer_and_joins_it_again(
    planned: int, faults: int, tmp_path: Path
) -> None:
    results = with_images()
    first = next(row for row in results.rows if row[1] == "transfer")
    lease, _, _, start, end, *_ = first
    results.rows.append((*first[:4], end + 30, *first[5:]))
    path = results.write(tmp_path / "results.db")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE planned_hosts (lease INTEGER, time INTEGER, hosts TEXT)")
        db.execute("INSERT INTO planned_hosts VALUES (?, ?, '[0]')", (lease, end + planned))
    told = [v for v in check_file(path).violations if "on its way there already" in v.message]
    assert [(v.lease, v.time) for v in told] == [(lease, start)] * faults


@pytest.mark.parametrize(("closed", "faults"), [(200, 0), (199, 1)])
def test_a_host_is_drained_in_the_second_of_a_start(
    closed: int, faults: int, tmp_path: Path
) -> None:
    results = Results(hosts=1)
    results.best_effort(1, 200, 200, 100, 0)
    results.host_states = [(0, closed, "drained")]
    assert len(found(results, tmp_path)) == faults


def out_of_use(path: Path, *outages: tuple[int, int, int], announced: bool = True) -> list[str]:
    """Tell what is wrong with two hosts that leases leave by and by from 100 to 500."""
    results = Results(hosts=2)
    results.reserved(1, 10, 50, 200, 0)
    results.rows += [(None, "outage", *outage, 100, 1024) for outage in outages]
    results.write(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "CREATE TABLE maintenance (time INTEGER, window INTEGER, status TEXT, hosts TEXT,"
            ' start INTEGER, "end" INTEGER, leases TEXT, reason TEXT)'
        )
        told = [(100, "planned"), (100, "begun"), (500, "over")] if announced else []
        db.executemany(
            "INSERT INTO maintenance VALUES (?, 1, ?, '[0, 1]', 100, 500, 'stay', '')", told
        )
    return [f"{v.host}: {v.message}" for v in check_file(path).violations]


def test_an_outage_or_what_it_was_for(tmp_path: Path) -> None:
    first, second = (0, 250, 500), (1, 100, 500)
    assert out_of_use(tmp_path / "right", first, second) == []
    missing = "it is in maintenance, and not out of use"
    assert out_of_use(tmp_path / "a", first) == [f"1: {missing}"]
    assert out_of_use(tmp_path / "b", second) == [f"0: {missing}"]
    needless = [f"{host}: it is out of use, and in no maintenance" for host in (1, 0)]
    assert out_of_use(tmp_path / "c", first, second, announced=False) == needless
