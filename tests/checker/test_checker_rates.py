"""Rates that were learned of hosts, as the checker takes them from a results file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from results_builder import Results
from schedules import preempting

from haizea.checker import UnreadableResults, check_file

TABLE = "CREATE TABLE host_rates (host INTEGER, time INTEGER, suspend_mb_s REAL, resume_mb_s REAL)"

#: Host, time, MB/s of suspensions and of resumptions.
Learned = tuple[object, object, object, object]


def written(path: Path, results: Results, *learned: Learned, table: str = TABLE) -> Path:
    results.write(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(table)
        if learned:
            db.executemany("INSERT INTO host_rates VALUES (?, ?, ?, ?)", learned)
    return path


def wrong(path: Path) -> list[str]:
    return [f"{v.lease}: {v.message}" for v in check_file(path).violations]


#: It saves and restores 1024 MB in 32 s each, from 468 and from 700 on.
RIGHT = preempting


def test_without_any_nothing_changes(tmp_path: Path) -> None:
    assert wrong(written(tmp_path / "r", RIGHT())) == []


def test_what_was_known_is_what_it_takes(tmp_path: Path) -> None:
    results = RIGHT().option(suspend_rate="64", resume_rate="64")
    assert len(wrong(written(tmp_path / "a", results))) == 2
    assert wrong(written(tmp_path / "b", results, (0, 50, 32.0, 32.0))) == []


@pytest.mark.parametrize(
    ("learned", "told"),
    [
        ((0, 50, 64.0, None), ["1: its suspend takes 32 s instead of 16 s"]),
        ((0, 50, None, 16.0), ["1: its resume takes 32 s instead of 64 s"]),
        # A plan that was made before stays: both are explained.
        ((0, 150, 64.0, 16.0), []),
        # Of other hosts, or too late.
        ((1, 50, 64.0, 16.0), []),
        ((0, 701, 64.0, 16.0), []),
    ],
)
def test_what_takes_longer_or_less_is_told(
    tmp_path: Path, learned: Learned, told: list[str]
) -> None:
    assert wrong(written(tmp_path / "r", RIGHT(), learned)) == told


def test_of_what_was_learned_before_the_last_counts(tmp_path: Path) -> None:
    before = [(0, 10, 64.0, 64.0), (0, 20, None, None)]
    assert wrong(written(tmp_path / "r", RIGHT(), *before)) == []


@pytest.mark.parametrize(
    "learned",
    [
        (0, 50, 0.0, None),
        (0, 50, -1.0, None),
        (0, 50, "fast", None),
        (0, 50, float("inf"), None),
        (0, -5, 32.0, None),
        ("x", 5, 32.0, None),
        (0, None, 32.0, None),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, learned: Learned) -> None:
    with pytest.raises(UnreadableResults, match="host_rates"):
        check_file(written(tmp_path / "r", RIGHT(), learned))


def test_a_view_is_not_read(tmp_path: Path) -> None:
    view = "CREATE VIEW host_rates AS SELECT 0 AS host, 1 AS time, 1.0 AS suspend_mb_s,"
    view += " 1.0 AS resume_mb_s"
    with pytest.raises(UnreadableResults, match="host_rates"):
        check_file(written(tmp_path / "r", RIGHT(), table=view))
