"""Maintenance in a workload, in a run's results, and by the checker's rules."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from haizea.checker import check_file
from haizea.config import load
from haizea.runtime import RunError, simulate

CONFIGURATION = """\
[general]
mode: simulated
[simulation]
clock: simulated
starttime: 2026-11-25 00:00:00
resources: in-tracefile
[scheduling]
suspension: all
backfilling: {backfilling}
policy-preemption: ar-preempts-everything
[tracefile]
tracefile: {trace}
[accounting]
datafile: {results}
"""
WORKLOAD = """\
site:
  resource-types: [CPU, Memory]
  nodes: {count: 4, CPU: 100, Memory: 1024}
maintenance:
  - {hosts: "host-[12]", start: 01:00:00, duration: 1h, reason: new disks}
  - {hosts: [Memory>=1024], start: 4h, end: 5h, arrival: 2h, leases: end}
leases:
  - {duration: 3h, nodes: {count: 2, CPU: 100, Memory: 1024}}
  - {duration: 3h, nodes: {count: 2, CPU: 100, Memory: 1024}}
  - {duration: 30m, start: 01:15:00, arrival: 60, nodes: {count: 2, CPU: 100, Memory: 1024}}
  - {duration: 2h, arrival: 10m, nodes: {count: 4, CPU: 100, Memory: 1024}}
"""


#: Two hosts, and a window in whose way somebody is: who waits, runs or is shut down then.
IN_THE_WAY = """\
site:
  resource-types: [CPU, Memory]
  nodes: {count: 2, CPU: 100, Memory: 1024}
maintenance:
"""
WAITS = """\
  - {hosts: "host-[12]", start: 1h, end: 2h}
leases:
  - {duration: 10m, nodes: {count: 2, CPU: 100, Memory: 1024}}
  - {duration: 1h, arrival: 1m, preemptible: no, nodes: {count: 2, CPU: 100, Memory: 1024}}
"""
RUNS = """\
  - {hosts: "host-[12]", start: 1h, end: 2h, arrival: 30m}
leases:
  - {duration: 3h, preemptible: yes, nodes: {count: 2, CPU: 100, Memory: 1024}}
"""
IS_SHUT_DOWN = """\
  - {hosts: "host-[12]", start: 01:00:00, end: 2h, arrival: 30m, leases: end}
leases:
  - {start: 10m, duration: 00:50:05, nodes: {count: 1, CPU: 100, Memory: 1024}}
  - {duration: 01:00:05, preemptible: no, nodes: {count: 1, CPU: 100, Memory: 1024}}
"""


def run(directory: Path, workload: str = WORKLOAD, backfilling: str = "aggressive") -> Path:
    trace, results = directory / "leases.yaml", directory / "run.results"
    trace.write_text(workload)
    configuration = directory / "run.conf"
    configuration.write_text(
        CONFIGURATION.format(trace=trace, results=results, backfilling=backfilling)
    )
    simulate(load(configuration))
    return results


@pytest.mark.parametrize("backfilling", ["off", "aggressive", "conservative"])
def test_outages_are_in_the_results_and_the_rules_hold(tmp_path: Path, backfilling: str) -> None:
    results = run(tmp_path, backfilling=backfilling)
    with closing(sqlite3.connect(results)) as db:
        start = int(db.execute("SELECT value FROM run WHERE key = 'started'").fetchone()[0])
        rows = db.execute(
            'SELECT start, "end", hosts FROM reservation_sets WHERE purpose = ? ORDER BY start',
            ("outage",),
        ).fetchall()
        statuses = db.execute("SELECT status FROM maintenance ORDER BY rowid").fetchall()
    hour = 3600
    assert rows[0] == (start + hour, start + 2 * hour, "[0,1]")
    assert rows[1] == (start + 4 * hour, start + 5 * hour, "[0,1,2,3]")
    assert [row[0] for row in statuses] == ["planned", "begun", "over"] * 2
    assert check_file(results).violations == ()


@pytest.mark.parametrize(
    ("workload", "options"),
    [
        pytest.param(WAITS, "suspension: none", id="waits"),
        pytest.param(RUNS, "suspension: all", id="suspended"),
        pytest.param(RUNS, "suspension: none", id="requeued"),
        pytest.param(IS_SHUT_DOWN, "shutdown-time: 30", id="shut down"),
    ],
)
def test_the_checker_lets_leases_keep_out_of_the_way_of_maintenance(
    tmp_path: Path, workload: str, options: str
) -> None:
    trace, results = tmp_path / "leases.yaml", tmp_path / "run.results"
    trace.write_text(IN_THE_WAY + workload)
    text = CONFIGURATION.format(trace=trace, results=results, backfilling="aggressive")
    for line in ("suspension: all", "policy-preemption: ar-preempts-everything"):
        text = text.replace(f"{line}\n", "")
    (tmp_path / "run.conf").write_text(text.replace("[tracefile]", f"{options}\n[tracefile]"))
    simulate(load(tmp_path / "run.conf"))
    assert check_file(results).violations == ()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM reservation_sets WHERE purpose = 'outage'", "not out of use"),
        ("UPDATE reservation_sets SET start = start - 3000 WHERE purpose = 'outage'", "outage"),
    ],
)
def test_the_checker_finds_hosts_that_are_not_empty(tmp_path: Path, damage: str, said: str) -> None:
    results = run(tmp_path)
    with closing(sqlite3.connect(results)) as db:
        db.execute(damage)
        db.commit()
    assert any(said in violation.message for violation in check_file(results).violations)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{hosts: host-9, start: 1h}", "'host-9' is not a host of this site"),
        ("{start: 1h}", "the field hosts is missing"),
        ("{hosts: host-1}", "the field start is missing"),
        ("{hosts: host-1, start: 2h, end: 1h}", "it ends before it starts"),
        ("{hosts: host-1, start: 1h, end: 2h, duration: 1h}", "one is all it takes"),
        ("{hosts: host-1, start: 1h, leases: go}", "'go' is neither refuse nor stay nor end"),
        ("{hosts: host-1, begin: 1h}", "there is no field 'begin'"),
    ],
)
def test_wrong_maintenance_is_told(tmp_path: Path, line: str, said: str) -> None:
    wrong = WORKLOAD.replace(
        "  - {hosts: [Memory>=1024]", f"  - {line}\n  - {{hosts: [Memory>=1024]"
    )
    with pytest.raises(RunError, match=said.replace("(", r"\(")):
        run(tmp_path, wrong)
