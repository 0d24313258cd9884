"""The results file, from decisions to tables."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from streams import NODE, SITE, T, best_effort, ended, path, reservation, suspended_for_an_ar

from haizea.accounting.errors import ResultsError
from haizea.accounting.probes import make_probes
from haizea.accounting.results import ResultsFile, Status
from haizea.core.model.events import (
    Decision,
    Expected,
    HostChanged,
    LeaseAccepted,
    OperationEnded,
    OperationStarted,
    Purpose,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lifecycle import State as S
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.turn import Turn

ALL_PROBES = ["ar", "best-effort", "immediate", "cpu-utilization", "disk-usage"]


def write(
    to: Path,
    stream: list[tuple[int, list[Decision]]],
    end: int,
    status: Status = "complete",
    probes: list[str] | None = None,
) -> Path:
    results = ResultsFile(
        to,
        SITE,
        [("scheduling", "backfilling", "aggressive")],
        {"size": "small"},
        "hand-made",
        "2.0",
        probes=make_probes(probes or []),
    )
    for now, decisions in stream:
        results.note(Turn(now, decisions))
    results.finish(status, end)
    return to


def query(file: Path, sql: str) -> list[Any]:
    db = sqlite3.connect(file)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "r.db", suspended_for_an_ar(), T + 200, probes=ALL_PROBES)


def figures(file: Path) -> dict[str, float]:
    return dict(query(file, "SELECT name, value FROM figures"))


def counter(file: Path, name: str) -> list[tuple[int, float]]:
    rows = query(file, f"SELECT time, value FROM counters WHERE counter = '{name}' ORDER BY rowid")
    return [(time - T, value) for time, value in rows]


def test_leases_tell_what_became_of_them(file: Path) -> None:
    columns = "kind, state, nodes, started, ended, waiting_time, suspensions, restarts, code"
    assert query(file, f"SELECT lease, {columns} FROM leases ORDER BY lease") == [
        (1, "best-effort", "Done", 2, T + 20, T + 190, 20, 1, 0, "duration-over"),
        (2, "ar", "Done", 4, T + 60, T + 110, 0, 0, 0, "duration-over"),
        (3, "best-effort", "Rejected", 9, None, T, None, 0, 0, "too-big"),
    ]
    # 190 s from submission to end, 100 s of them running.
    assert query(file, "SELECT slowdown FROM leases ORDER BY lease") == [(1.9,), (1.0,), (None,)]
    assert query(file, "SELECT label, owner, preemptible FROM leases WHERE lease = 1") == [
        ("job 1", "ada", 1)
    ]
    assert query(file, "SELECT image, image_mb, requested_start FROM leases WHERE lease = 2") == [
        ("debian", 700, T + 60)
    ]
    assert query(file, "SELECT * FROM node_sets WHERE lease = 2") == [(2, 0, 4, *NODE)]


def test_reservations_and_states_are_kept(file: Path) -> None:
    assert query(file, "SELECT * FROM reservations WHERE lease = 1 AND host = 0") == [
        (1, "run", 0, T + 20, T + 50, *NODE),
        (1, "suspend", 0, T + 50, T + 60, *NODE),
        (1, "resume", 0, T + 110, T + 120, *NODE),
        (1, "run", 0, T + 120, T + 190, *NODE),
    ]
    story = query(file, "SELECT time - 1000000, state, code FROM states WHERE lease = 1")
    assert story[:3] == [(0, "New", ""), (0, "Pending", ""), (0, "Queued", "")]
    assert (50, "Suspending", "preempted") in story
    assert story[-1] == (190, "Done", "duration-over")


def test_the_run_is_described(file: Path) -> None:
    assert dict(query(file, "SELECT * FROM run")) == {
        "schema_version": "1",
        "haizea_version": "2.0",
        "status": "complete",
        "started": str(T),
        "ended": str(T + 200),
        "resource_types": "CPU Memory",
        "workload": "hand-made",
    }
    assert query(file, "SELECT * FROM labels") == [("size", "small")]
    assert query(file, "SELECT * FROM configuration") == [
        ("scheduling", "backfilling", "aggressive")
    ]
    assert query(file, "SELECT * FROM hosts WHERE id = 3") == [(3, "host-4", 100, 1024)]


def test_standard_figures(file: Path) -> None:
    found = figures(file)
    assert found["accepted-best-effort"] == 1
    assert found["rejected-best-effort"] == 1
    assert found["completed-ar"] == 1
    assert found["unfinished-ar"] == 0
    assert found["waiting-time-mean"] == found["waiting-time-p95"] == 20
    assert found["slowdown-max"] == 1.9
    assert found["all-best-effort"] == 190
    assert found["suspensions"] == 1
    # Two hosts for 100 s and four for 50 s, of four hosts for 200 s.
    assert found["cpu-utilization-run"] == 0.5
    assert found["cpu-utilization-suspend"] == found["cpu-utilization-resume"] == 0.025
    assert found["cpu-utilization"] == 0.55


def test_counters_of_the_probes(file: Path) -> None:
    assert counter(file, "Accepted AR leases") == [(0, 0), (10, 1)]
    assert counter(file, "Completed AR leases") == [(0, 0), (110, 1)]
    assert counter(file, "Rejected best-effort leases") == [(0, 0), (0, 1)]
    assert counter(file, "Accepted immediate leases") == [(0, 0)]
    assert counter(file, "Queue size") == [(0, 0), (0, 1), (20, 0), (60, 1), (110, 0)]
    assert counter(file, "Best-effort waiting time") == [(190, 20)]
    assert counter(file, "Best-effort bounded slowdown") == [(190, 1.9)]
    used = [(0, 0), (20, 0.5), (60, 1), (110, 0.5), (190, 0)]
    assert counter(file, "CPU utilization") == used
    assert counter(file, "CPU utilization (suspend)") == [(0, 0), (50, 0.5), (60, 0)]
    assert counter(file, "Disk usage") == [(0, 0), (20, 700)]
    assert counter(file, "Disk usage (host-3)") == [(0, 0), (20, 700)]
    found = figures(file)
    # One lease waited from 0 to 20 and from 60 to 110, of 200 s.
    assert found["queue-size-mean"] == 70 / 200
    assert found["queue-size-max"] == 1
    assert found["cpu-utilization-max"] == 1
    assert found["disk-usage-host-max"] == 700


def test_the_counter_of_utilization_agrees_with_the_figure(file: Path) -> None:
    last = "SELECT time, weighted, value FROM counters WHERE counter = 'CPU utilization'"
    time, weighted, value = query(file, last)[-1]
    mean = (weighted * (time - T) + value * (T + 200 - time)) / 200
    assert mean == pytest.approx(figures(file)["cpu-utilization"])


def test_an_interrupted_run_keeps_what_is_under_way(tmp_path: Path) -> None:
    stream = [(now, found) for now, found in suspended_for_an_ar() if now <= T + 60]
    file = write(tmp_path / "r.db", stream, T + 75, "interrupted")
    assert query(file, "SELECT lease, state, started, ended, slowdown FROM leases") == [
        (1, "Suspended-Queued", T + 20, None, None),
        (2, "Active", T + 60, None, None),
        (3, "Rejected", None, T, None),
    ]
    under_way = query(file, "SELECT * FROM reservations WHERE lease = 2")
    assert under_way == [(2, "run", host, T + 60, T + 75, *NODE) for host in range(4)]
    assert figures(file)["unfinished-best-effort"] == 1
    assert figures(file)["cpu-utilization-run"] == (2 * 30 + 4 * 15) / (4 * 75)
    assert "waiting-time-mean" not in figures(file)
    assert ("status", "interrupted") in query(file, "SELECT key, value FROM run")


def test_a_waiting_lease_says_what_it_waits_for(tmp_path: Path) -> None:
    decisions: list[Decision] = [
        LeaseAccepted(T, best_effort(1, T)),
        *path(T, 1, S.NEW, S.PENDING, S.QUEUED),
        Expected(T, 1, None, because(Code.WAITS, nodes=2)),
    ]
    file = write(tmp_path / "r.db", [(T, decisions)], T + 5, "interrupted")
    assert query(file, "SELECT state, reason FROM leases") == [("Queued", "waiting for 2 nodes")]


def test_hosts_go_out_of_use_and_come_back_in_parts(tmp_path: Path) -> None:
    outage = Purpose.OUTAGE
    out: list[Decision] = [
        OperationStarted(T, 0, outage, T + 90, (0,)),
        OperationStarted(T, 0, outage, T + 90, (1, 2)),
    ]
    back = OperationEnded(0, outage, T, T + 10, tuple((host, NODE) for host in (0, 1)))
    file = write(tmp_path / "r.db", [(T, out), (T + 10, [back])], T + 20, "interrupted")
    assert query(file, 'SELECT host, start, "end" FROM reservations ORDER BY host') == [
        (0, T, T + 10),
        (1, T, T + 10),
        (2, T, T + 20),
    ]


def test_operations_cut_short_hold_what_they_held(tmp_path: Path) -> None:
    transfer, outage = Purpose.TRANSFER, Purpose.OUTAGE
    decisions: list[Decision] = [
        LeaseAccepted(T, reservation(1, T, T + 60)),
        *path(T, 1, S.NEW, S.PENDING, S.SCHEDULED, S.PREPARING),
        OperationStarted(T, 1, transfer, T + 30, (0,)),
        OperationStarted(T, 1, transfer, T + 30, (1,)),
        OperationStarted(T, 0, outage, T + 90, (3,)),
        LeaseAccepted(T, best_effort(2, T)),
        *path(T, 2, S.NEW, S.PENDING, S.QUEUED, S.SCHEDULED, S.READY, S.ACTIVE),
        OperationStarted(T, 2, Purpose.RUN, T + 100, (2, 2)),
    ]
    over = OperationEnded(1, transfer, T, T + 10, ((1, (0, 0)),))
    file = write(tmp_path / "r.db", [(T, decisions), (T + 10, [over])], T + 20, "failed")
    assert query(file, "SELECT * FROM reservations") == [
        (1, "transfer", 1, T, T + 10, 0, 0),
        (1, "transfer", 0, T, T + 20, 0, 0),
        (None, "outage", 3, T, T + 20, 100, 1024),
        (2, "run", 2, T, T + 20, 200, 1024),
    ]


def test_a_lease_that_starts_over_counts_from_its_last_start(tmp_path: Path) -> None:
    run = Purpose.RUN
    stream: list[tuple[int, list[Decision]]] = [
        (
            T,
            [
                LeaseAccepted(T, best_effort(1, T)),
                *path(T, 1, S.NEW, S.PENDING, S.QUEUED, S.SCHEDULED, S.READY, S.ACTIVE),
                OperationStarted(T, 1, run, T + 100, (0, 1)),
            ],
        ),
        (
            T + 40,
            [
                ended(1, run, T, T + 40, 0, 1),
                *path(
                    T + 40,
                    1,
                    S.ACTIVE,
                    S.QUEUED,
                    reason=because(Code.HOSTS_GO_TO, lease=2),
                    code="preempted",
                ),
            ],
        ),
        (
            T + 100,
            [
                *path(T + 100, 1, S.QUEUED, S.SCHEDULED, S.READY, S.ACTIVE),
                OperationStarted(T + 100, 1, run, T + 200, (0, 1)),
            ],
        ),
        (T + 104, [ended(1, run, T + 100, T + 104, 0, 1), *path(T + 104, 1, S.ACTIVE, S.DONE)]),
    ]
    file = write(tmp_path / "r.db", stream, T + 104)
    # It ran for 4 s in the end, which counts as 10.
    assert query(file, "SELECT started, waiting_time, slowdown, restarts FROM leases") == [
        (T + 100, 100, 10.4, 1)
    ]
    waiting = write(tmp_path / "w.db", stream[:2], T + 50, "interrupted")
    assert query(waiting, "SELECT state, started, restarts FROM leases") == [("Queued", None, 1)]


def test_hosts_that_change_are_kept(tmp_path: Path) -> None:
    new = Host(4, "late", (200, 2048))
    stream: list[tuple[int, list[Decision]]] = [
        (T, [HostChanged(T, SITE.hosts[1], "drained", because(Code.STATED, text="maintenance"))]),
        (T + 5, [HostChanged(T + 5, new, "up")]),
    ]
    file = write(tmp_path / "r.db", stream, T + 10, probes=ALL_PROBES)
    assert query(file, "SELECT * FROM hosts WHERE id = 4") == [(4, "late", 200, 2048)]
    assert query(file, "SELECT * FROM host_states") == [
        (1, T, "drained", "maintenance", "stated", '{"text": "maintenance"}'),
        (4, T + 5, "up", "", "", ""),
    ]


def test_rates_that_are_learned_are_kept(tmp_path: Path) -> None:
    stream: list[tuple[int, list[Decision]]] = [
        (T, [RatesChanged(T, 1, 10.5, None)]),
        (T + 5, [RatesChanged(T + 5, 1, None, 64.0), RatesChanged(T + 5, 0, 1.0, 2.0)]),
    ]
    file = write(tmp_path / "r.db", stream, T + 10, probes=ALL_PROBES)
    assert query(file, "SELECT * FROM host_rates") == [
        (1, T, 10.5, None),
        (1, T + 5, None, 64.0),
        (0, T + 5, 1.0, 2.0),
    ]


def test_the_same_decisions_give_the_same_bytes(tmp_path: Path) -> None:
    a = write(tmp_path / "a.db", suspended_for_an_ar(), T + 200, probes=ALL_PROBES)
    b = write(tmp_path / "b.db", suspended_for_an_ar(), T + 200, probes=ALL_PROBES)
    assert a.read_bytes() == b.read_bytes()


def many(count: int) -> list[tuple[int, list[Decision]]]:
    stream: list[tuple[int, list[Decision]]] = []
    for i in range(1, count + 1):
        start = T + 10 * i
        stream.append(
            (
                start,
                [
                    LeaseAccepted(start, best_effort(i, start)),
                    *path(start, i, S.NEW, S.PENDING, S.QUEUED, S.SCHEDULED, S.READY, S.ACTIVE),
                    OperationStarted(start, i, Purpose.RUN, start + 100, (0, 1)),
                ],
            )
        )
        stream.append(
            (
                start + 5,
                [
                    ended(i, Purpose.RUN, start, start + 5, 0, 1),
                    *path(start + 5, i, S.ACTIVE, S.DONE),
                ],
            )
        )
    return stream


def test_a_long_run_is_written_as_it_goes_on(tmp_path: Path) -> None:
    """More rows than the buffers hold, so that blocks and rests are both written."""
    count = 6007
    stream = many(count)
    file = write(tmp_path / "r.db", stream, T + 100_000, probes=["best-effort"])
    assert query(file, "SELECT COUNT(*), COUNT(DISTINCT lease) FROM leases") == [(count, count)]
    assert query(file, "SELECT COUNT(*) FROM states") == [(count * 7,)]
    assert query(file, "SELECT COUNT(*), SUM(end - start) FROM reservations") == [
        (2 * count, 10 * count)
    ]
    assert len(counter(file, "Completed best-effort leases")) == count + 1
    assert query(file, "PRAGMA integrity_check") == [("ok",)]


def test_an_empty_run_is_a_results_file(tmp_path: Path) -> None:
    file = write(tmp_path / "r.db", [], T, probes=ALL_PROBES)
    assert query(file, "SELECT COUNT(*) FROM leases") == [(0,)]
    assert figures(file)["run-seconds"] == 0


def test_the_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    to = tmp_path / "r.db"
    results = ResultsFile(to, SITE)
    for now, decisions in suspended_for_an_ar():
        results.note(Turn(now, decisions))
    assert not to.exists()
    results.finish("complete", T + 200)
    assert os.listdir(tmp_path) == ["r.db"]


def test_results_replace_older_ones_only_when_the_run_is_over(tmp_path: Path) -> None:
    to = write(tmp_path / "r.db", suspended_for_an_ar(), T + 200)
    before = to.read_bytes()
    results = ResultsFile(to, SITE)
    results.note(Turn(T, suspended_for_an_ar()[0][1]))
    assert to.read_bytes() == before
    results.discard()
    assert os.listdir(tmp_path) == ["r.db"]
    assert to.read_bytes() == before
    write(to, [], T)
    assert to.read_bytes() != before


def test_a_path_that_cannot_be_written_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"none/r\.db: results cannot be written there"):
        ResultsFile(tmp_path / "none" / "r.db", SITE)
    with pytest.raises(ResultsError, match="it is a folder or a device"):
        ResultsFile(tmp_path, SITE)
    with pytest.raises(ResultsError, match="it is a folder or a device"):
        ResultsFile("/dev/null", SITE)
    trace = tmp_path / "trace.lwf"
    trace.write_text("<lease-workload/>")
    with pytest.raises(ResultsError, match="not written over a file that is not"):
        ResultsFile(trace, SITE)
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match="Name a file in a folder that exists"):
        ResultsFile(tmp_path / "file" / "r.db", SITE)
    assert sorted(os.listdir(tmp_path)) == ["file", "trace.lwf"]


@pytest.mark.parametrize("types", [("CPU", "Start"), ("CPU", "cpu"), ("Host", "CPU")])
def test_a_resource_type_that_cannot_be_a_column(tmp_path: Path, types: tuple[str, str]) -> None:
    site = Site.uniform(ResourceTypes(types), 1, (1, 1))
    with pytest.raises(ResultsError, match="Rename the type"):
        ResultsFile(tmp_path / "r.db", site)
    assert os.listdir(tmp_path) == []


def test_names_of_types_and_labels_are_only_names(tmp_path: Path) -> None:
    types = ResourceTypes(("CPU", 'a "b"; DROP TABLE leases; --'))
    site = Site.uniform(types, 1, (100, 5))
    results = ResultsFile(tmp_path / "r.db", site, labels={"'": "'; --"})
    results.finish("complete", T)
    assert query(tmp_path / "r.db", "SELECT * FROM hosts") == [(0, "host-1", 100, 5)]
    assert query(tmp_path / "r.db", "SELECT * FROM labels") == [("'", "'; --")]


class Broken:
    """A probe that does not work."""

    counters = ()

    def begin(self, start: int, site: Site, leases: object) -> None:
        pass

    def note(self, now: int, decisions: object) -> None:
        raise KeyError("x")

    def figures(self, now: int) -> dict[str, float]:
        return {}


def test_a_probe_that_fails_is_named(tmp_path: Path) -> None:
    results = ResultsFile(tmp_path / "r.db", SITE, probes=[Broken()])
    change = StateChanged(T, 1, S.NEW, S.PENDING)
    with pytest.raises(ResultsError, match=f"the probe Broken failed at {T}: KeyError: 'x'"):
        results.note(Turn(T, [LeaseAccepted(T, best_effort(1, T)), change]))
    results.discard()
