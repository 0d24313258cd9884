"""The rule of deadlines finds nothing in correct results, and each single fault where it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from haizea.checker import check_file
from haizea.config.load import load
from haizea.runtime import Simulation

TRACE = Path(__file__).parents[2] / "traces" / "deadlines.yaml"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    file = tmp_path / "haizea.conf"
    data = tmp_path / "run.results"
    file.write_text(
        "[general]\nmode: simulated\n[simulation]\nclock: simulated\nresources: in-tracefile\n"
        "starttime: 2026-01-01 00:00:00\n"
        f"[tracefile]\ntracefile: {TRACE}\n[accounting]\ndatafile: {data}\n"
    )
    Simulation(load(file)).run()
    return data


def changed(results: Path, statement: str) -> list[tuple[str, int | None]]:
    with closing(sqlite3.connect(results)) as db:
        db.execute(statement)
        db.commit()
    return [(v.rule.value, v.lease) for v in check_file(results).violations]


def test_what_is_right_says_nothing(results: Path) -> None:
    assert list(check_file(results).violations) == []


@pytest.mark.parametrize(
    ("statement", "lease"),
    [
        ("UPDATE leases SET after = after + 100000 WHERE lease = 3", 3),
        ("UPDATE leases SET deadline = deadline - 16000 WHERE lease = 2", 2),
    ],
    ids=["it begins before it may", "it is done too late"],
)
def test_what_is_outside_its_window_is_found(results: Path, statement: str, lease: int) -> None:
    assert ("deadline", lease) in changed(results, statement)


def test_one_that_is_cut_short_is_found(results: Path) -> None:
    shorter = "UPDATE states SET time = time - 60 WHERE lease = 2 AND state = 'Done'"
    assert ("deadline", 2) in changed(results, shorter)


def test_one_that_never_starts_is_found(results: Path) -> None:
    never = "DELETE FROM states WHERE lease = 2 AND state IN ('Ready', 'Active', 'Done')"
    assert ("deadline", 2) in changed(results, never)


# --- one that is suspended for another, and goes on in time --------------------------------

INTERRUPTED = """\
site: {resource-types: [CPU, Memory], nodes: {count: 1, CPU: 100, Memory: 1024}}
leases:
- {id: 1, duration: 4h, deadline: 8h, preemptible: yes, nodes: {count: 1, CPU: 100, Memory: 1024}}
- {id: 2, arrival: 30m, start: 2h, duration: 1h, nodes: {count: 1, CPU: 100, Memory: 1024}}
"""


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    file, data, trace = (tmp_path / name for name in ("haizea.conf", "run.results", "trace.yaml"))
    trace.write_text(INTERRUPTED)
    file.write_text(
        "[general]\nmode: simulated\n[simulation]\nclock: simulated\nresources: in-tracefile\n"
        "starttime: 2026-01-01 00:00:00\n[scheduling]\nsuspension: all\n"
        "policy-preemption: ar-preempts-everything\n"
        f"[tracefile]\ntracefile: {trace}\n[accounting]\ndatafile: {data}\n"
    )
    Simulation(load(file)).run()
    return data


def test_one_that_makes_room_and_is_in_time_is_right(interrupted: Path) -> None:
    assert list(check_file(interrupted).violations) == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE leases SET preemptible = 0 WHERE lease = 1", ("preemption", 1)),
        (
            "UPDATE configuration SET value = 'no-preemption' WHERE option = 'policy-preemption'",
            ("preemption", 1),
        ),
        ("UPDATE configuration SET value = 'none' WHERE option = 'suspension'", ("holes", 1)),
        (
            "UPDATE leases SET deadline = (SELECT max(time) FROM states) - 1 WHERE lease = 1",
            ("deadline", 1),
        ),
        (
            "UPDATE states SET state = 'Suspended-Queued' WHERE state = 'Suspended-Scheduled'",
            ("deadline", 1),
        ),
        (
            "UPDATE states SET time = time - 60 WHERE lease = 1 AND state = 'Done'",
            ("deadline", 1),
        ),
    ],
    ids=["not preemptible", "no preemption", "no suspension", "late", "no time", "short"],
)
def test_one_that_should_not_have_made_room_is_found(
    interrupted: Path, statement: str, found: tuple[str, int]
) -> None:
    assert found in changed(interrupted, statement)
