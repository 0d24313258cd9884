"""The study of HPDC 2008: its generated month, its comparison, and the page of its results."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import compare
import image_lists
import month
import page
import pandas as pd
import pytest
from shared_data import shared
from studies_at_work import done, tables
from summary import BASE, of_run, read_summary

from haizea.study.expansion import read_runs
from haizea.workloads import read
from haizea.workloads.fit import fit
from haizea.workloads.requested import RequestedTimes

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "studies/hpdc2008"

#: A small part of the study: few jobs, two loads of reservations, all six configurations.
FEW_JOBS = 125


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with its generated month."""
    to = tmp_path_factory.mktemp("generated")
    month.write(to, month.SEED)
    return to


# --- the generated month ------------------------------------------------------------------


def test_the_constants_of_the_month_are_those_of_the_log() -> None:
    trace = read(shared("blue/30days.swf"))
    assert astuple(month.statistics(trace)) == pytest.approx(astuple(month.LOG), rel=1e-3)
    assert astuple(fit(trace, month.HOSTS)) == pytest.approx(astuple(month.MODEL), rel=1e-4)
    counts = RequestedTimes.of(trace.leases)
    known = dict(zip(counts.seconds, counts.counts, strict=True))
    assert [known[s] for s in month.REQUESTED.seconds] == list(month.REQUESTED.counts)
    assert sum(month.REQUESTED.counts) > 0.97 * len(trace.leases)


def test_the_generated_month_is_like_the_log(generated: Path) -> None:
    found = month.statistics(read(generated / "traces/30days.swf"))
    for field in fields(month.Statistics):
        log, made = getattr(month.LOG, field.name), getattr(found, field.name)
        assert made == pytest.approx(log, rel=0.2), field.name


def test_the_generated_study_has_all_runs(generated: Path) -> None:
    _, runs = read_runs(generated / "study.yaml")
    assert len({run.digest for run in runs}) == 433


@pytest.mark.parametrize(
    ("percent", "length", "size"), [("05", "4h", "3large"), ("30", "1h", "1small")]
)
def test_reservations_are_as_their_name_says(
    generated: Path, percent: str, length: str, size: str
) -> None:
    name = f"traces/injected-30days/work_{percent}-dur_{length}-size_{size}.lwf"
    leases = read(generated / name).leases
    least, most = month.SIZES[size]
    hours = month.HOURS[length]
    assert {lease.kind.value for lease in leases} == {"ar"}
    assert all(least <= lease.node_count <= most for lease in leases)
    assert all(abs((x.duration or 0) - hours * 3600) <= 1800 for x in leases)
    work = sum(lease.node_count * (lease.duration or 0) for lease in leases)
    assert work / (month.HOSTS * month.SECONDS) == pytest.approx(int(percent) / 100, rel=0.1)
    assert all((x.start or 0) - x.arrival_seconds <= 86400 for x in leases)


# --- the comparison -----------------------------------------------------------------------


def some_runs(**changed: dict[str, Any]) -> pd.DataFrame:
    """Runs whose shape is right, but for what is changed of a configuration."""
    ends = {"no suspension": 9, "suspension": 1, "images in place": 2, "caches skewed": 3}
    ends |= {"caches uniform": 4, "multicast": 5}
    rows = []
    for profile, end in ends.items():
        for percent in (0, 10, 20) if profile == "no suspension" else (10, 20):
            row = {
                "profile": profile,
                "length": "3h",
                "size": "2medium",
                "percent": percent,
                "last_end_seconds": 1000 + percent * end,
                "mean_wait_seconds": 10.0,
                "short_jobs": 10,
                "short_wait_seconds": 10,
                "long_jobs": 10,
                "long_wait_seconds": 200 if profile == "no suspension" else 20,
                "ars": 200,
                "ars_rejected": 2,
                "ars_rejected_needlessly": 0,
            }
            rows.append(row | (changed.get(profile.replace(" ", "_"), {}) if percent else {}))
    return compare.growth(pd.DataFrame(rows))


def verdicts(runs: pd.DataFrame) -> list[bool | None]:
    """The verdict on each claim, in order."""
    return [holds for _, holds, _ in compare.gates(runs)]


def test_a_right_shape_holds() -> None:
    assert verdicts(some_runs()) == [True] * 13


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({"suspension": {"last_end_seconds": 1180}}, {0, 5}),
        ({"multicast": {"last_end_seconds": 1180}}, {4}),
        ({"caches_uniform": {"last_end_seconds": 1050}}, {7}),
        ({"caches_skewed": {"last_end_seconds": 1010}}, {6}),
        ({"no_suspension": {"long_wait_seconds": 90}}, {9}),
        ({"suspension": {"long_wait_seconds": 60}}, {10}),
        ({"multicast": {"ars_rejected": 3}}, {11}),
        ({"multicast": {"ars_rejected_needlessly": 3}}, {12}),
    ],
)
def test_a_wrong_shape_is_found(changed: dict[str, Any], fails: set[int]) -> None:
    found = verdicts(some_runs(**changed))
    assert {index for index, holds in enumerate(found) if not holds} == fails


def test_what_is_not_known_yet_is_open() -> None:
    runs = some_runs()
    found = verdicts(runs[runs["profile"] == "no suspension"])
    assert found[:9] == [None] * 9
    assert (found[9], found[10]) == (True, None)


def ar(lease: int, start: int, nodes: int = 100, asked: int = 0, **more: Any) -> dict[str, Any]:
    """A reservation of a thousand seconds."""
    told = {"lease": lease, "submitted": asked, "requested_start": start, "duration": 1000}
    return {**told, "kind": "ar", "state": "Done", "nodes": nodes, "code": "", **more}


@pytest.mark.parametrize(
    ("rejected", "needlessly"),
    [
        (ar(3, 500, 45, code="no-room"), False),
        (ar(3, 500, 44, code="no-room"), True),
        (ar(3, 1999, 45, code="no-room"), False),
        (ar(3, 3000, 144, code="no-room"), True),
        (ar(1, 500, 45, code="no-room"), True),
        (ar(3, 500, 1, asked=600, code="in-the-past"), False),
        (ar(3, 5000, 1, asked=4960, code="image-late"), False),
        (ar(3, 5000, 1, asked=4950, code="image-late"), True),
    ],
)
def test_a_rejection_that_nobody_could_avoid_is_told_from_others(
    rejected: dict[str, Any], needlessly: bool
) -> None:
    others = [ar(2, 0, 40), ar(2, 1000, 100), ar(2, 0, 60)]
    leases = pd.DataFrame([*others, {**rejected, "state": "Rejected"}]).assign(started=0)
    told = dict(of_run(1, leases))
    assert (told["ars"], told["ars_rejected"]) == (4, 1)
    assert told["ars_rejected_needlessly"] == needlessly


# --- more lists of images ----------------------------------------------------------------


def test_lists_of_images_are_compared_by_their_means() -> None:
    log = some_runs().drop(columns="growth")
    base = read_summary(STUDY / "results/log.csv")
    base = base[base["percent"] == BASE].assign(last_end_seconds=1000)
    more = log[log["percent"] == 20].assign(list=2)
    # With this list multicast ends as much sooner as it ends later with the first one.
    ends = {"caches uniform": 1100, "multicast": 1060}
    more = more[more["profile"].isin(ends)]
    more = more.assign(last_end_seconds=more["profile"].map(ends))
    found = image_lists.both(pd.concat([base, log]), more)
    assert list(found.index.get_level_values("list")) == [1, 2]
    assert "".join(image_lists.table(found)).splitlines()[2:] == [
        "| 1 | 1 | 8.00 | 10.00 | 1 |",
        "| 2 | 1 | 10.00 | 6.00 | 0 |",
        "| all | 2 | 9.00 | 8.00 | 1 |",
    ]


def test_all_workloads_are_run_with_each_further_list(generated: Path) -> None:
    traces = generated / "traces"
    image_lists.draw(traces)
    texts = {(traces / f"37_uniform-{seed}.images").read_text() for seed in image_lists.SEEDS}
    assert len(texts) == len(image_lists.SEEDS)
    study = shutil.copy(STUDY / "image_lists.yaml", generated)
    _, runs = read_runs(Path(study))
    assert len({run.digest for run in runs}) == 144


# --- the page --------------------------------------------------------------------------


def test_the_page_is_of_the_results_beside_it(tmp_path: Path) -> None:
    page.write_page(tmp_path)
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")]
    assert len(made) == 3
    for path in made:
        kept = (ROOT / "docs" / path).read_bytes()
        assert (tmp_path / path).read_bytes() == kept, "python studies/hpdc2008/page.py"


# --- the study itself ---------------------------------------------------------------------


@pytest.mark.slow
def test_a_part_of_the_study_is_the_same_on_dask_and_can_be_compared(
    generated: Path, tmp_path: Path
) -> None:
    trace = generated / "traces/30days.swf"
    lines = trace.read_text().splitlines(keepends=True)
    jobs = [line for line in lines if not line.startswith(";")]
    text = (generated / "study.yaml").read_text()
    for name, values in (("length", "[3h]"), ("size", "[2medium]"), ("percent", '["10", "30"]')):
        [line] = [x for x in text.splitlines() if x.startswith(f"  {name}: [")]
        text = text.replace(line, f"  {name}: {values}")
    (tmp_path / "traces").mkdir()
    for path in (generated / "traces").iterdir():
        (tmp_path / "traces" / path.name).symlink_to(path)
    (tmp_path / "traces/30days.swf").unlink()
    (tmp_path / "traces/30days.swf").write_text("".join(jobs[:FEW_JOBS]))
    (tmp_path / "study.yaml").write_text(text)
    status, out, err = done(tmp_path, "run", "study.yaml", "-j", "2")
    assert status == 0, err
    assert out.startswith("13 of 13 runs are finished, 13 of them made now")
    status, _, err = done(tmp_path, "run", "study.yaml", "-d", "dask", "--dask", "local", "-j", "2")
    assert status == 0, err
    assert tables(tmp_path / "study.study") == tables(tmp_path / "dask")
    command = [sys.executable, str(STUDY / "compare.py"), str(tmp_path / "dask")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("12 of 432 runs beside reservations are finished.")
    kept = tmp_path / "dask/comparison"
    assert {path.name for path in kept.iterdir()} >= {"runs.csv", "comparison.md", "figure2.svg"}
    again = [sys.executable, str(STUDY / "compare.py"), str(kept / "runs.csv"), str(tmp_path / "c")]
    subprocess.run(again, capture_output=True, check=True)
    for name in ("comparison.md", "figure2.svg", "table1.csv", "runs.csv"):
        assert (tmp_path / "c" / name).read_bytes() == (kept / name).read_bytes(), name
