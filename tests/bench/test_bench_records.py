"""The yardstick for full records writes the rows that Haizea writes of the same jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bench import records, workloads
from bench.case import EASY
from haizea.config import load
from haizea.runtime import Simulation

#: Every row of these, in an order that both must have; of counters, those that the yardstick has.
_COUNTERS = (
    "Accepted best-effort leases",
    "Completed best-effort leases",
    "Queue size",
    "CPU utilization",
    "CPU utilization (run)",
    "Best-effort waiting time",
    "Best-effort bounded slowdown",
)
_ROWS = {
    "leases": "lease",
    "node_sets": "lease",
    "reservation_sets": "rowid",
    "states": "lease, rowid",
    "counters": "counter, rowid",
}


def rows_of(datafile: Path, table: str) -> list[tuple[object, ...]]:
    """The rows of a table, of the columns that the yardstick fills."""
    definition = next(d for d in records.TABLES if d.startswith(f"{table} "))
    columns = definition.partition("(")[2].strip(")").replace("INTEGER PRIMARY KEY", "")
    names = [f'"{name.strip()}"' for name in columns.split(",")]
    chosen = f"WHERE counter IN {_COUNTERS}" if table == "counters" else ""
    query = f"SELECT {', '.join(names)} FROM {table} {chosen} ORDER BY {_ROWS[table]}"
    with closing(sqlite3.connect(datafile)) as db:
        return db.execute(query).fetchall()


@pytest.mark.parametrize(("jobs", "load_factor"), [(1, 0.8), (400, 0.6), (400, 1.3)])
def test_the_rows_are_those_of_a_run(tmp_path: Path, jobs: int, load_factor: float) -> None:
    made = workloads.generated(tmp_path, jobs=jobs, hosts=32, load=load_factor, how=EASY)
    assert made.trace is not None
    config, haizea = load(made.config), tmp_path / "haizea.db"
    Simulation(replace(config, accounting=replace(config.accounting, datafile=haizea))).run()
    ours = tmp_path / "records.db"
    records.main(str(made.trace), "32", str(ours))
    for table in _ROWS:
        found: Iterable[tuple[object, ...]] = rows_of(ours, table)
        assert found == rows_of(haizea, table), table
