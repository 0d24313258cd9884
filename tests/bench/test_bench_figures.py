"""The bench reports figures of right runs alone, and reckons with them as it says."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench import page, page_missed, shapes, workloads
from bench.__main__ import RESULTS, main
from bench.case import EASY, Axis, Case
from bench.cases import AXES, TARGETS, Target, every_case
from bench.measure import ChildFailed, run
from bench.page_service import deep_queue, large_opennebula
from bench.report import Verdict, python_build, renewed, report
from bench.suite import Bench, Figures, Yardstick, exponent, exponent_over_states
from haizea.core.model.lease import Kind
from haizea.workloads import read

SMALL = Case(
    name="small",
    title="forty jobs",
    make=partial(workloads.generated, jobs=40, hosts=8, load=1.5, how=EASY),
    yardstick="easy",
    recording=True,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def bench(folder: Path) -> Bench:
    return Bench(folder, 1, lambda line: None)


@pytest.fixture(scope="module")
def measured(bench: Bench) -> Figures:
    return bench.measure(SMALL)


def test_a_right_run_has_figures(bench: Bench, measured: Figures) -> None:
    (figures,) = bench.check([SMALL], [measured])
    assert figures.refused == ""
    assert figures.checked == ("check-schedule", "yardstick's start times")
    assert figures.leases == 40
    assert figures.leases_per_second > 0
    assert figures.yardstick_ratio is not None
    assert figures.recording_share is not None
    assert figures.check_ratio is not None
    assert figures.check_ratio > 0
    assert figures.check_peak_mb is not None


@pytest.mark.parametrize(
    ("tampering", "says"),
    [
        ("UPDATE reservation_sets SET hosts = '[0]'", "check-schedule finds"),
        ("UPDATE leases SET started = started + 1 WHERE lease = 7", "1 of 40 leases start at"),
        ("UPDATE leases SET label = 'x' || label", "the leases are not the 40 jobs"),
    ],
)
def test_a_wrong_run_has_none(
    bench: Bench, measured: Figures, folder: Path, tampering: str, says: str
) -> None:
    datafile = folder / "small" / "results.db"
    whole = datafile.read_bytes()
    try:
        with closing(sqlite3.connect(datafile)) as db:
            db.execute(tampering)
            db.commit()
        (figures,) = bench.check([SMALL], [measured])
    finally:
        datafile.write_bytes(whole)
    assert says in figures.refused


def test_a_workload_without_its_data_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAIZEA_SHARED_DATA", str(tmp_path))
    case = Case(name="b", title="", make=partial(workloads.blue, trace="15days", how=EASY))
    assert "set HAIZEA_SHARED_DATA" in Bench(tmp_path, 1, print).measure(case).refused


def test_a_command_that_fails_or_hangs_is_told(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="exit status 3: no luck"):
        run(["sh", "-c", "echo no luck >&2; exit 3"], 60)
    with pytest.raises(ChildFailed, match="not done after 1 s"):
        run(["sleep", "60"], 1)


def _figures(name: str, cpu_seconds: float, leases: int = 1000) -> Figures:
    return Figures(name=name, title=name, leases=leases, hosts=9, runs_cpu_seconds=(cpu_seconds,))


def test_growth_is_the_slope_of_logarithms() -> None:
    cases = [Case(name=str(i), title="", make=workloads.one_lease) for i in range(3)]
    axis = Axis("a", "a", tuple(zip(cases, (10, 100, 1000), strict=True)))
    square = {str(i): _figures(str(i), 0.5 + 10 ** (2 * i)) for i in range(3)}
    assert exponent(axis, square, 0.5) == pytest.approx(2)
    assert exponent(axis, {"0": square["0"]}, 0.5) is None


def test_growth_over_states_is_told_where_more_happens_to_each_lease() -> None:
    cases = [Case(name=str(i), title="", make=workloads.one_lease) for i in range(3)]
    axis = Axis("a", "a", tuple(zip(cases, (10, 100, 1000), strict=True)))
    square = {
        str(i): replace(_figures(str(i), 0.5 + 10 ** (2 * i)), states=10 ** (2 * i))
        for i in range(3)
    }
    assert exponent(axis, square, 0.5) == pytest.approx(2)
    assert exponent_over_states(axis, square, 0.5) == pytest.approx(1)
    as_many = {name: replace(found, states=100) for name, found in square.items()}
    assert exponent_over_states(axis, as_many, 0.5) is None
    unknown = {name: replace(found, states=0) for name, found in square.items()}
    assert exponent_over_states(axis, unknown, 0.5) is None


@pytest.mark.parametrize(
    ("at_least", "measured", "met", "words"),
    [
        (True, 10.0, True, "met"),
        (True, 5.0, False, "missed by a factor of 2.00"),
        (False, 5.0, True, "met"),
        (False, 15.0, False, "missed by a factor of 1.50"),
        (False, None, False, "not measured"),
    ],
)
def test_a_target_is_met_or_missed(
    at_least: bool, measured: float | None, met: bool, words: str
) -> None:
    target = Target(subject="x", figure="cpu_seconds", limit=10, at_least=at_least)
    verdict = Verdict(target, measured)
    assert verdict.met is met
    assert verdict.words()["verdict"] == words


def _result() -> dict[str, Any]:
    counted = Yardstick(name="easy", simulation_seconds=0.1, process_seconds=0.2)
    fast = Figures(
        name="blue-60",
        title="two months",
        leases=10_000,
        hosts=144,
        runs_cpu_seconds=(2.0, 1.0, 0.5),
        compiled_runs_cpu_seconds=(0.5, 0.4, 0.8),
        recording_share=0.25,
        plain_recording_share=0.125,
        records_cpu_seconds=0.4,
        yardstick=counted,
        check_cpu_seconds=1.5,
        check_peak_mb=30,
    )
    wrong = Figures(name="vms-100", title="VMs", refused="check-schedule finds 3 violations")
    profile = {"rooms": {"core": 0.75}, "functions": {"core/x.py f": 0.5}}
    decision = {"median_ms": 3.0, "worst_ms": 30.0}
    return report([fast, wrong], decision, {"blue-60": profile}, quick=False)


def test_the_report_has_every_target() -> None:
    result = _result()
    found = {(t["subject"], t["figure"]): t for t in result["targets"]}
    assert len(found) == len(TARGETS)
    assert found["blue-60", "leases_per_second"]["value"] == 10_000
    assert found["blue-60", "leases_per_second"]["met"]
    assert found["blue-60", "yardstick_ratio"]["value"] == pytest.approx(10)
    assert found["blue-60", "yardstick_ratio"]["compiled"] == "5.0"
    assert found["decision", "decision_ms"]["verdict"] == "missed by a factor of 1.50"
    assert found["vms-1000", "leases_per_second"]["verdict"] == "not measured"


def test_the_page_shows_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "DOCS", tmp_path)
    page.write_page(_result())
    text = (tmp_path / "performance.md").read_text()
    row = "| `blue-60`: two months | 10,000 | 1.00 (0.50–2.00) | 10,000 | 35,842 | 20,000 |"
    assert f"{row} 10.0 (5.0) | 2.5 | 12% (25%) | 0 | 1.50 s, 1.5 ×, 30 MB |" in text
    assert f"({python_build()})" in text
    assert "| leases per CPU second | ≥ 10,000 | 10,000 | 35,842 | met | 20,000 |" in text
    assert "takes 3.6 times as long on this machine" in text
    assert "| `vms-100` | check-schedule finds 3 violations |" in text
    assert "missed by a factor of 1.50" in text
    for picture in ("performance", "performance-growth"):
        assert (tmp_path / "images" / f"{picture}.svg").read_text().startswith("<svg")


def test_the_page_lists_what_is_beyond_the_limits_for_all() -> None:
    counted = {"simulation_seconds": 0.0279, "process_seconds": 0.1}
    cases = [
        {"name": "start-up", "leases": 1, "cpu_seconds": 0.5},
        {"name": "blue-60", "leases": 10, "cpu_seconds": 9.0, "leases_per_second": 1500.0},
        {"name": "ars-8683", "leases": 10, "cpu_seconds": 9.0, "leases_per_second": 1000.0},
        {"name": "types-deep-240", "leases": 10, "cpu_seconds": 1.058},
    ]
    cases = [{**case, "yardstick": counted} for case in cases]
    axes = [
        {"name": "ars", "title": "more ARs", "exponent": 1.5},
        {"name": "types-deep", "title": "deeper", "exponent": 3.0},
        {"name": "trace-length", "title": "longer", "exponent": 1.2},
    ]
    lines = page_missed.missed(cases, axes, 1.0).splitlines()
    assert [line.split(" | ")[0] for line in lines[-3:]] == [
        "| `types-deep-240`",
        "| `ars-8683`",
        "| more ARs",
    ]
    assert lines[-3].endswith("| ≤ 3 | 20.0 | 6.67 |")
    assert lines[-2].endswith("| ≥ 1,500 | 1,000 | 1.50 |")
    assert "2 of 5 figures keep them" in "\n".join(lines)


def test_the_committed_page_is_of_the_committed_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures, docs = RESULTS / "full.json", page.DOCS
    if not figures.exists():
        pytest.skip("no figures are committed yet: run python -m bench")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    page.write_page(json.loads(figures.read_text(encoding="utf-8")))
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")]
    assert len(made) == 3
    for path in made:
        assert (tmp_path / path).read_text() == (docs / path).read_text(), "python -m bench --page"


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_an_axis_has_four_steps_or_more_and_names_of_its_own(axis: Axis) -> None:
    assert len({case.name for case, _ in axis.cases}) >= 4
    amounts = [amount for _, amount in axis.cases]
    assert amounts == sorted(set(amounts))
    assert all(every_case()[case.name] is case for case, _ in axis.cases)


@pytest.mark.parametrize("at_once", [False, True])
def test_reservations_beside_jobs_are_as_many_as_asked_for(at_once: bool, tmp_path: Path) -> None:
    prepared = shapes.with_small_reservations(
        tmp_path, jobs=20, ars=30, hosts=8, how=EASY, at_once=at_once
    )
    leases = read(tmp_path / "trace.lwf").leases
    assert prepared.leases == len(leases) == 50
    ars = [lease for lease in leases if lease.kind is Kind.AR]
    assert len(ars) == 30
    assert {lease.arrival_seconds == 0 for lease in ars} == {at_once}


def test_requests_of_three_sizes_arrive_so_many_at_a_time(tmp_path: Path) -> None:
    shapes.at_a_time(tmp_path, jobs=20, depth=5, hosts=8, types=4, how=EASY)
    leases = read(tmp_path / "trace.lwf").leases
    times = [lease.arrival_seconds for lease in leases]
    assert [times.count(time) for time in sorted(set(times))] == [5, 5, 5, 5]
    assert {len(nodes.amounts) for lease in leases for nodes in lease.nodes} == {4}


def test_wrong_use_is_told() -> None:
    done = CliRunner().invoke(main, ["--only", "nothing"])
    assert done.exit_code == 2
    assert "'nothing' is no case or axis; see --list" in done.output


def test_the_list_names_cases_and_axes() -> None:
    done = CliRunner().invoke(main, ["--list"])
    assert done.exit_code == 0
    assert "generated-200k" in done.output
    assert "queue-depth" in done.output


def test_rows_are_renewed_among_others(measured: Figures) -> None:
    first, other = replace(measured, name="blue-60"), replace(measured, name="blue-30")
    gone = replace(measured, name="of-long-ago")
    before = report([gone, first, other], None, {}, quick=False)
    read_back = json.loads(json.dumps(before))
    slower = replace(first, runs_cpu_seconds=(9.0,))
    added = replace(measured, name="blue-15")
    assert renewed(read_back, [added, slower]) == [slower, added, other]


def test_renewing_takes_names() -> None:
    result = CliRunner().invoke(main, ["--renew"])
    assert result.exit_code == 2
    assert "--renew is for the rows that --only names" in result.output


def test_kth_is_cut_to_its_first_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIZEA_SHARED_DATA", str(tmp_path))
    with pytest.raises(workloads.SharedDataAbsent):
        shapes.kth(tmp_path, 150, EASY)
    trace = tmp_path / shapes.KTH_TRACE
    trace.parent.mkdir()
    lines = [f"{i} {100 + 60 * i} -1 50 4 -1 -1 4 60 -1 1 1 1 1 1 -1 -1 -1" for i in range(1, 301)]
    trace.write_text("\n".join(lines) + "\n", encoding="ascii")
    prepared = shapes.kth(tmp_path, 150, EASY)
    leases = read(tmp_path / "trace.lwf").leases
    assert prepared.hosts == 100
    assert prepared.leases == len(leases) == 152
    assert [lease.kind for lease in leases].count(Kind.AR) == 2
    assert leases[0].arrival_seconds == 0


def test_parts_on_services_are_written_of_their_figures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    assert large_opennebula(figures) == deep_queue(figures) == ""
    run_of = {"decided_seconds": 2.0, "event_seconds": 0.004, "slowest_event_seconds": 0.3}
    sizes = [{"hosts": 500, "vms": 5000, "runs": [{**run_of, "peak_mb": 99.0}] * 3}]
    figures.write_text(json.dumps({"sizes": sizes, "exponent": 1.1, "load_average": 1.0}))
    assert "| 5,000 | 500 | 2.00 (2.00–2.00) | 4.0 (4.0–4.0) | 300 | 99 |" in large_opennebula(
        figures
    )
    deep = {
        "hosts": 100,
        "waiting": 10_000,
        "sizes": 20,
        "submissions_ms": [9.0, 10.0, 30.0],
        "hard": [{"name": "AR, all hosts", "outcome": "rejected", "runs_ms": [7, 8, 9]}],
        "many": [{"count": 12, "runs_ms": [80, 90, 100], "runs_wall_ms": [81, 91, 101]}],
        "load_average": 1.0,
    }
    figures.write_text(json.dumps(deep))
    told = deep_queue(figures)
    assert "One more lease that waits takes 10.0 ms, and 30.0 ms at most of 3" in told
    assert "| AR, all hosts | rejected | 8 (7–9) |" in told
    assert "| 12 | 90 (80–100) | 91 (81–101) |" in told
