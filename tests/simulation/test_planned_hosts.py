"""Leases that get other hosts before they begin, through the whole program and its checker."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from played import play

from haizea.checker import check_file
from haizea.workloads.csv_leases import read_csv
from haizea.workloads.errors import WorkloadError
from haizea.workloads.lwf_writer import lwf_text
from haizea.workloads.reader import read
from haizea.workloads.source import Source
from haizea.workloads.yaml_leases import read_yaml

LEASE = (
    "  - {{id: {}, arrival: {}, start: 3600, duration: 3600,"
    " nodes: {{count: 1, CPU: {}, Memory: 512}}}}"
)
LEASES = ((1, 0, 100), (2, 60, 100), (3, 120, 200))
TRACE = "\n".join(["leases:", *(LEASE.format(*lease) for lease in LEASES)])


def run(folder: Path) -> Path:
    trace = folder / "repack.yaml"
    trace.write_text(TRACE, encoding="utf-8")
    played = play(
        folder,
        {
            "simulation": {"resources": "2 CPU:200 Memory:2048"},
            "tracefile": {"tracefile": str(trace)},
        },
    )
    assert played.states() == {"Done": 3}
    assert "lease 1 is to run on host-2: its hosts go to lease 3" in played.log
    assert [played.of(i, "run")[0].hosts for i in (1, 2, 3)] == [(2,), (2,), (1,)]
    return folder / "results"


FIXED = TRACE.replace("duration: 3600,", "duration: 3600, hosts: fixed,")
TABLE = """id,arrival,start,duration,cpu,memory,hosts
1,0,3600,3600,100,512,fixed
2,60,3600,3600,100,512,Fixed
3,120,3600,3600,200,512,
"""


@pytest.mark.parametrize("form", ["yaml", "csv", "lwf"])
def test_a_workload_may_ask_for_fixed_hosts(tmp_path: Path, form: str) -> None:
    text = tmp_path / f"repack.{form}"
    text.write_text(TABLE if form == "csv" else FIXED, encoding="utf-8")
    trace = text
    if form != "yaml":
        workload = read_csv(Source(text)) if form == "csv" else read_yaml(Source(text))
        trace = tmp_path / "converted.lwf"
        trace.write_text("".join(lwf_text(workload)), encoding="utf-8")
    site = {"resources": "2 CPU:200 Memory:2048"}
    played = play(tmp_path, {"simulation": site, "tracefile": {"tracefile": str(trace)}})
    assert played.states() == {"Done": 2, "Rejected": 1}
    with closing(sqlite3.connect(tmp_path / "results")) as db:
        rows = db.execute("SELECT fixed_hosts FROM leases ORDER BY lease").fetchall()
    assert rows[:2] == [(1,), (1,)]


def test_the_checker_tells_who_was_moved_though_its_hosts_were_fixed(tmp_path: Path) -> None:
    results = run(tmp_path)
    with closing(sqlite3.connect(results)) as db, db:
        db.execute("UPDATE leases SET fixed_hosts = 1")
    messages = [v.message for v in check_file(results).violations]
    assert messages == ["its hosts are planned anew, yet it asked for fixed ones"]
    with closing(sqlite3.connect(results)) as db, db:
        db.execute("ALTER TABLE leases DROP COLUMN fixed_hosts")
    assert check_file(results).violations == (), "earlier versions did not say so"


def test_hosts_that_are_neither_fixed_nor_any_are_told(tmp_path: Path) -> None:
    trace = tmp_path / "repack.yaml"
    wrong = TRACE.replace("duration: 3600,", "duration: 3600, hosts: host-1,")
    trace.write_text(wrong, encoding="utf-8")
    with pytest.raises(WorkloadError, match="'host-1' is neither fixed nor any"):
        read(trace)


def test_the_story_says_what_moved_and_for_whom(tmp_path: Path) -> None:
    with closing(sqlite3.connect(run(tmp_path))) as db:
        rows = db.execute("SELECT lease, hosts FROM planned_hosts").fetchall()
    assert rows == [(1, "[1]")]


def test_the_checker_tells_who_begins_elsewhere_than_was_planned_last(tmp_path: Path) -> None:
    results = run(tmp_path)
    with closing(sqlite3.connect(results)) as db, db:
        db.execute("UPDATE planned_hosts SET hosts = '[0]'")
    found = [(v.rule.value, v.lease) for v in check_file(results).violations]
    assert found == [("hosts", 1)]


def test_the_checker_tells_who_was_moved_while_it_ran(tmp_path: Path) -> None:
    results = run(tmp_path)
    with closing(sqlite3.connect(results)) as db, db:
        db.execute("UPDATE planned_hosts SET time = time + 4000")
    messages = [v.message for v in check_file(results).violations]
    assert messages == ["its hosts are planned anew while it is on them"]


def test_who_is_moved_and_asks_for_fewer_nodes_later_had_as_many_hosts(tmp_path: Path) -> None:
    """The checker took hosts that were planned for two nodes for those of the one that is left."""
    wide = "  - {{id: {}, arrival: {}, start: 3600, duration: 3600, nodes: {}{}}}"
    fewer = ", changes: [{at: 600, nodes: {count: 1, CPU: 100, Memory: 512}}]"
    rows = [(1, 0, 2, 100, fewer), (2, 60, 2, 100, fewer), (3, 120, 1, 400, "")]
    trace = tmp_path / "fewer.yaml"
    nodes = "{{count: {}, CPU: {}, Memory: 512}}"
    lines = [wide.format(i, at, nodes.format(*size), more) for i, at, *size, more in rows]
    trace.write_text("\n".join(["leases:", *lines]), encoding="utf-8")
    site = {"resources": "2 CPU:400 Memory:2048"}
    play(tmp_path, {"simulation": site, "tracefile": {"tracefile": str(trace)}})
    with closing(sqlite3.connect(tmp_path / "results")) as db:
        planned = db.execute("SELECT hosts FROM planned_hosts").fetchall()
        granted = db.execute("SELECT nodes FROM changes WHERE status = 'granted'").fetchall()
    assert len(json.loads(planned[0][0])) == 2
    assert granted == [(1,), (1,)]
    assert check_file(tmp_path / "results").violations == ()


def test_the_checker_tells_hosts_that_are_not_one_for_each_node(tmp_path: Path) -> None:
    results = run(tmp_path)
    with closing(sqlite3.connect(results)) as db, db:
        db.execute("UPDATE planned_hosts SET hosts = '[1, 1]'")
    messages = [v.message for v in check_file(results).violations]
    assert messages == ["it has 1 nodes, and hosts are planned for 2"]


def test_a_job_makes_room_for_a_lease_that_moves_for_another(tmp_path: Path) -> None:
    """The job leaves the first host for lease 3, at whose place the last one runs."""
    node = "nodes: {{count: 1, CPU: {}, Memory: {}}}"
    rows = (
        (0, "preemptible: yes", 7000, 400),
        (60, "start: 2000", 1000, 200),
        (120, "start: 2000", 3000, 200),
        (180, "start: 3000", 2000, 400),
        (240, "start: 2500", 2500, 200),
    )
    leases = [
        f"  - {{id: {i}, arrival: {at}, {when}, duration: {seconds}, {node.format(cpu, 4 * cpu)}}}"
        for i, (at, when, seconds, cpu) in enumerate(rows, start=1)
    ]
    trace = tmp_path / "vacating.yaml"
    trace.write_text("\n".join(["leases:", *leases]), encoding="utf-8")
    played = play(
        tmp_path,
        {
            "simulation": {"resources": "2 CPU:400 Memory:2048"},
            "scheduling": {"suspension": "all", "policy-preemption": "ar-preempts-everything"},
            "tracefile": {"tracefile": str(trace)},
        },
    )
    assert played.states() == {"Done": 5}
    first = [played.of(i, "run")[0] for i in range(1, 6)]
    assert first[0].end <= first[1].start, "it is saved by the time at which the second begins"
    assert first[0].hosts == first[1].hosts
    assert check_file(tmp_path / "results").violations == ()
