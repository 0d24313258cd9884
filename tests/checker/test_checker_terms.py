"""The rule of changes finds nothing in correct results, and each single fault where it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.checker import UnreadableResults, check_file
from haizea.config.load import load
from haizea.runtime import Simulation

TRACE = Path(__file__).parents[2] / "traces" / "changes.yaml"
START = 1767225600


def run(directory: Path, trace: Path, scheduling: str = "") -> Path:
    """Return the results of a workload."""
    file, data = directory / "haizea.conf", directory / "run.results"
    file.write_text(
        f"[general]\nmode: simulated\n[scheduling]\n{scheduling}\n"
        "[simulation]\nclock: simulated\nresources: in-tracefile\n"
        "starttime: 2026-01-01 00:00:00\n"
        f"[tracefile]\ntracefile: {trace}\n[accounting]\ndatafile: {data}\n"
    )
    Simulation(load(file)).run()
    return data


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("changes"), TRACE)


@pytest.fixture
def results(right: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(right, tmp_path / "run.results"))


def changed(results: Path, *statements: str) -> list[tuple[str, int | None, int | None]]:
    with closing(sqlite3.connect(results)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    found = check_file(results).violations
    return [(v.rule.value, v.lease, None if v.time is None else v.time - START) for v in found]


def test_what_is_right_says_nothing(results: Path) -> None:
    assert changed(results) == []


def test_all_is_on_record(results: Path) -> None:
    with closing(sqlite3.connect(results)) as db:
        rows = db.execute("SELECT lease, time, status, duration, offer, reason_code FROM changes")
        told = [(lease, time - START, *rest) for lease, time, *rest in rows]
    late = START + 390 * 60
    assert (4, 1500, "asked", 3600, None, "") in told
    assert [row for row in told if row[:2] == (4, 1560)] == [
        (4, 1560, "refused", 3600, late, "no-time-by-deadline")
    ]
    assert [row[:4] for row in told if row[0] == 1] == [
        (1, 0, "asked", 3600),
        (1, 1800, "granted", 5400),
        (1, 2400, "refused", 5400),
    ]


@pytest.mark.parametrize(
    ("statements", "lease", "time"),
    [
        (["UPDATE changes SET duration = 86400 WHERE status = 'refused' AND lease = 1"], 1, 2400),
        (["UPDATE leases SET requested_start = requested_start + 60 WHERE lease = 2"], 2, 600),
        (["DELETE FROM changes WHERE status = 'asked' AND lease = 3"], 3, 1200),
        (["UPDATE changes SET status = 'asked' WHERE status = 'granted' AND lease = 5"], 5, 3000),
        ([f"UPDATE changes SET time = {START} WHERE status = 'granted' AND lease = 3"], 3, 0),
        (
            [
                "UPDATE changes SET deadline = NULL WHERE lease = 3 AND status = 'granted'",
                "UPDATE leases SET deadline = NULL, kind = 'best-effort' WHERE lease = 3",
            ],
            3,
            1200,
        ),
        (
            [
                f"UPDATE changes SET start = {START + 60} WHERE lease = 2 AND status = 'granted'",
                f"UPDATE leases SET requested_start = {START + 60} WHERE lease = 2",
            ],
            2,
            600,
        ),
        (["UPDATE changes SET nodes = 1 WHERE status = 'asked' AND lease = 1"], 1, 1800),
        ([f"UPDATE changes SET time = {START + 6000} WHERE lease = 1 AND time > {START}"], 1, 6000),
    ],
    ids=[
        "it is refused and made",
        "it is not what was granted",
        "nothing says what it was",
        "it is asked for twice",
        "it is changed before it is there",
        "it becomes another kind",
        "its start becomes past",
        "nodes are changed as it runs",
        "it is changed when it is over",
    ],
)
def test_changes_that_cannot_be_are_found(
    results: Path, statements: list[str], lease: int, time: int
) -> None:
    assert ("change", lease, time) in changed(results, *statements)


def test_an_ar_that_misses_its_start_before_it_is_changed_is_found(results: Path) -> None:
    # Granted half an hour after the start that it had.
    late = f"UPDATE changes SET time = {START + 9000} WHERE lease = 2 AND status = 'granted'"
    assert ("change", 2, 7200) in changed(results, late)


def test_one_that_runs_on_before_it_may_is_found(results: Path) -> None:
    late = f"UPDATE changes SET time = {START + 4200} WHERE lease = 1 AND status = 'granted'"
    refused = f"UPDATE changes SET time = {START + 4300} WHERE lease = 1 AND status = 'refused'"
    assert ("change", 1, 4200) in changed(results, late, refused)


def test_one_that_begins_before_its_new_window_is_found(results: Path) -> None:
    assert ("change", 3, 16200) in changed(
        results,
        f"UPDATE changes SET after = {START + 16800} WHERE lease = 3 AND status = 'granted'",
        f"UPDATE leases SET after = {START + 16800} WHERE lease = 3",
    )


@pytest.mark.parametrize("lease", [2, 4])
def test_a_promise_that_is_given_up_for_a_change_is_found(results: Path, lease: int) -> None:
    given_up = [
        f"DELETE FROM states WHERE lease = {lease} AND state IN ('Ready', 'Active', 'Done')",
        f"INSERT INTO states VALUES ({lease}, {START + 1800}, 'Cancelled', '', '', '', '')",
        f"UPDATE leases SET state = 'Cancelled', ended = {START + 1800} WHERE lease = {lease}",
        f"DELETE FROM reservation_sets WHERE lease = {lease}",
    ]
    assert ("change", lease, 1800) in changed(results, *given_up)


def test_what_its_owner_ends_then_is_nobodys_fault(results: Path) -> None:
    assert [
        found
        for found in changed(
            results,
            "DELETE FROM states WHERE lease = 2 AND state IN ('Ready', 'Active', 'Done')",
            f"INSERT INTO states VALUES (2, {START + 1800}, 'Cancelled', '', '', '', 'user')",
            f"UPDATE leases SET state = 'Cancelled', ended = {START + 1800} WHERE lease = 2",
            "DELETE FROM reservation_sets WHERE lease = 2",
        )
        if found[0] == "change"
    ] == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE changes SET status = 'wished'", "UPDATE changes SET time = 'noon' WHERE lease = 1"],
)
def test_senseless_rows_are_told(results: Path, statement: str) -> None:
    with pytest.raises(UnreadableResults, match="table changes"):
        changed(results, statement)


@st.composite
def changing_workloads(draw: st.DrawFn) -> str:
    """Draw a workload of three hosts in which most leases are changed, as YAML."""
    lines = ["site: {resource-types: [CPU, Memory],"]
    lines += ["  nodes: {count: 3, CPU: 100, Memory: 1024}}", "leases:"]
    for _ in range(draw(st.integers(2, 8))):
        arrival = draw(st.integers(0, 60))
        kind = draw(st.sampled_from(["ar", "best-effort", "deadline", "now"]))
        ahead, length = draw(st.integers(0, 60)), draw(st.integers(1, 60))
        lines.append(f"- arrival: {arrival}m")
        if kind == "ar":
            lines.append(f"  start: {arrival + ahead}m")
        elif kind == "deadline":
            lines.append(f"  deadline: {arrival + ahead + length}m")
        elif kind == "now":
            lines.append("  start: now")
        nodes = st.integers(1, 3).map(lambda n: f"nodes: {{count: {n}, CPU: 100, Memory: 1024}}")
        lines.append(f"  duration: {length}m")
        lines.append(f"  {draw(nodes)}")
        if draw(st.booleans()):
            lines.append(f"  real-duration: {max(1, length // 2)}m")
        changes = []
        for _ in range(draw(st.integers(0, 3))):
            at = arrival + draw(st.integers(1, 90))
            wanted = [f"duration: {draw(st.integers(1, 90))}m"]
            if kind == "ar" and draw(st.booleans()):
                wanted.append(f"start: {at + draw(st.integers(0, 60))}m")
            if kind == "deadline" and draw(st.booleans()):
                wanted.append(f"deadline: {at + draw(st.integers(0, 120))}m")
            if draw(st.booleans()):
                wanted.append(f"preemptible: {draw(st.sampled_from(['yes', 'no']))}")
            if draw(st.booleans()):
                wanted.append(draw(nodes))
            changes.append(f"    - {{at: {at}m, {', '.join(wanted)}}}")
        lines += ["  changes:", *changes] if changes else []
    return "\n".join(lines)


SCHEDULING = "policy-preemption: ar-preempts-everything\nsuspension: all\nbackfilling: aggressive"


@tries(25)
@given(workload=changing_workloads())
def test_whatever_is_changed_all_rules_hold(
    tmp_path_factory: pytest.TempPathFactory, workload: str
) -> None:
    directory = tmp_path_factory.mktemp("random")
    trace = directory / "trace.yaml"
    trace.write_text(workload)
    assert list(check_file(run(directory, trace, SCHEDULING)).violations) == []
