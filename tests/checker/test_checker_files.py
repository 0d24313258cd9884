"""Files that are not results files, and what the command says."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from results_builder import Results

from haizea.checker import UnreadableResults, check_file
from haizea.cli.commands import cli


def right() -> Results:
    results = Results()
    results.best_effort(1, 100, 100, 50, 0, 1)
    results.reserved(2, 100, 1000, 50, 1)
    return results


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check-schedule", *arguments])


def test_a_right_file_is_said_to_be_clean(tmp_path: Path) -> None:
    file = right().write(tmp_path / "my results?.db")
    before = file.read_bytes()
    result = run(str(file))
    assert (result.exit_code, result.output) == (0, f"{file}: 2 leases, no violation\n")
    assert file.read_bytes() == before


def test_a_violation_names_rule_lease_host_and_time(tmp_path: Path) -> None:
    results = right()
    results.rows[0] = (1, "run", 0, 100, 150, 101, 1024)
    file = results.write(tmp_path / "r")
    result = run(str(file))
    assert result.exit_code == 1
    assert "capacity, lease 1, host host-1, 1970-01-01 00:01:40 (100):" in result.output
    assert result.output.endswith("2 leases, 2 violations\n")


def test_json_for_programs(tmp_path: Path) -> None:
    results = right()
    results.rows[0] = (1, "run", 0, 100, 150, 101, 1024)
    result = run(str(results.write(tmp_path / "r")), "--output", "json")
    assert result.exit_code == 1
    said = json.loads(result.output)
    first = next(v for v in said["violations"] if v["rule"] == "capacity")
    assert (first["lease"], first["host"], first["time"]) == (1, "host-1", 100)
    assert said["leases"] == 2


def test_notes_say_what_is_not_tested(tmp_path: Path) -> None:
    results = right().option(policy_queue_order="some.package.Order")
    assert any("order" in note for note in check_file(results.write(tmp_path / "r")).notes)


def test_a_broken_promise_is_not_told_of_a_disturbed_run(tmp_path: Path) -> None:
    results = right()
    results.rows.append((None, "outage", 0, 5000, 6000, 100, 1024))
    report = check_file(results.write(tmp_path / "r"))
    assert report.violations == ()
    assert any("failures" in note for note in report.notes)


@pytest.mark.parametrize("content", [None, b"", b"no database at all", b"SQLite format 3\0xx"])
def test_what_is_no_database_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "r"
    if content is not None:
        file.write_bytes(content)
    result = run(str(file))
    assert result.exit_code == 2
    assert str(file) in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TABLE states", "no table states"),
        ("DROP TABLE hosts; CREATE VIEW hosts AS SELECT 1 AS id", "no table hosts"),
        ("UPDATE run SET value = '99' WHERE key = 'schema_version'", "schema_version"),
        ("DELETE FROM run WHERE key = 'resource_types'", "resource_types"),
        ("UPDATE run SET value = 'CPU GPU' WHERE key = 'resource_types'", "'GPU'"),
        ("UPDATE reservation_sets SET start = 'soon'", "'soon'"),
        ('UPDATE reservation_sets SET "end" = NULL', "None"),
        ("UPDATE reservation_sets SET start = -1", "-1"),
        ("UPDATE reservation_sets SET start = 1.5", "1.5"),
        ("UPDATE reservation_sets SET CPU = 9223372036854775807", "9223372036854775807"),
        ("UPDATE reservation_sets SET hosts = '[1'", "'[1'"),
        ("UPDATE reservation_sets SET hosts = '{}'", "'{}'"),
        ("UPDATE reservation_sets SET hosts = '[1.5]'", "1.5"),
        ("UPDATE states SET state = x'00'", "text"),
        ("UPDATE leases SET kind = 'odd'", "'odd'"),
        ("UPDATE leases SET nodes = 3 WHERE lease = 2", "lease 2"),
        ("UPDATE leases SET requested_start = NULL", "requested_start"),
        ("DELETE FROM node_sets", "node_sets"),
        ("INSERT INTO configuration VALUES ('scheduling', 'suspend-rate', 'fast')", "suspend-rate"),
        ("INSERT INTO configuration VALUES ('scheduling', 'resume-rate', '0')", "resume-rate"),
        ("INSERT INTO configuration VALUES ('scheduling', 'shutdown-time', '1:2')", "shutdown"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(change: str, told: str, tmp_path: Path) -> None:
    file = right().write(tmp_path / "r")
    with closing(sqlite3.connect(file)) as db:
        db.executescript(change)
    with pytest.raises(UnreadableResults, match=r"table|results file") as caught:
        check_file(file)
    assert told in str(caught.value)
    assert run(str(file)).exit_code == 2


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("DELETE FROM leases WHERE lease = 2", "no-loss"),
        ("DELETE FROM states WHERE lease = 2", "life-cycle"),
        ("DELETE FROM reservation_sets WHERE lease = 2", "life-cycle"),
        ("DELETE FROM hosts WHERE id = 1", "capacity"),
        ("UPDATE leases SET state = 'Failed' WHERE lease = 2", "life-cycle"),
        ("UPDATE leases SET ended = 1 WHERE lease = 2", "life-cycle"),
        ("UPDATE states SET state = 'Gone' WHERE lease = 2 AND state = 'Done'", "life-cycle"),
    ],
)
def test_records_that_do_not_agree_are_violations(change: str, rule: str, tmp_path: Path) -> None:
    file = right().write(tmp_path / "r")
    with closing(sqlite3.connect(file)) as db:
        db.executescript(change)
    assert rule in {v.rule.value for v in check_file(file).violations}


VALUES = st.one_of(
    st.none(),
    st.integers(-5, 2000),
    st.sampled_from(["", "Active", "run", "Queued", "preempted", "[]", "[7]", "[0,0]"]),
)
CELLS = [
    ("reservation_sets", column)
    for column in ("lease", "purpose", "hosts", "start", '"end"', "CPU")
]
CELLS += [("states", column) for column in ("lease", "time", "state", "reason", "code")]
CELLS += [("states", "reason_parameters")]
CELLS += [("leases", c) for c in ("kind", "state", "submitted", "requested_start", "duration")]
CELLS += [("node_sets", "count"), ("hosts", "CPU"), ("leases", "ended"), ("leases", "preemptible")]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(CELLS), st.integers(1, 12), VALUES), max_size=4),
    st.sampled_from(["all", "none"]),
    st.sampled_from(["off", "aggressive"]),
)
def test_whatever_is_in_the_records_there_is_an_answer(
    changes: list[tuple[tuple[str, str], int, object]], suspension: str, backfilling: str
) -> None:
    results = right().option(suspension=suspension, backfilling=backfilling)
    results.option(policy_preemption="ar-preempts-everything")
    results.suspended(3, (2000, 3000), 0, suspend=2500, code="preempted")
    results.reserved(9, 2100, 2532, 400, 0)
    with tempfile.TemporaryDirectory() as directory:
        file = results.write(Path(directory) / "r")
        with closing(sqlite3.connect(file)) as db, db:
            for (table, column), number, value in changes:
                with suppress(sqlite3.IntegrityError):
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, number))
        with suppress(UnreadableResults):
            report = check_file(file)
            assert report.records.leases
        result = run(str(file), "--output", "json")
        assert result.exit_code in (0, 1, 2)
