"""The report: one page that opens without network, whose numbers are those of the CSV files."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser
from studies_at_work import done, write
from working_order import made_once

import haizea.study
from haizea.accounting.reader import Results
from haizea.study.charts import view_of
from haizea.study.page import MOST_ROWS
from haizea.study.single import FIGURES
from haizea.study.statistics import Distribution, interval, t_quantile
from haizea.study.style import COLOURS, rendered

pytestmark = pytest.mark.slow

STUDY = """\
name: Two <policies>
fixed: {hosts: 4, jobs: 12, suspend-rate: 50, resume-rate: 50}
profiles:
  none: {suspension: none}
  all: {suspension: all}
factors: {ar-share: [0.1, 0.3]}
repetitions: 2
baseline: {profile: none}
keep-results: yes
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a study with a report, to be read."""
    return made_once(tmp_path_factory, "study-with-report", make_report) / "small.study"


def make_report(directory: Path) -> None:
    """Run the study and write its report."""
    study = write(directory, STUDY)
    assert done(directory, "run", study, "-j", "2")[0] == 0
    status, out, err = done(directory, "report", study)
    assert status == 0, err
    assert re.match(r"\d+ figures: .*/report\.html, and in .*/figures$", out)


def figures(kept: Path) -> dict[str, list[list[str]]]:
    """The rows of every CSV file, the head first, by figure."""
    return {
        path.stem: list(csv.reader(io.StringIO(path.read_text())))
        for path in sorted((kept / "report/figures").glob("*.csv"))
    }


def test_every_figure_is_there_in_each_form(kept: Path) -> None:
    names = set(figures(kept))
    assert {
        "waiting-time-mean-by-ar-share",
        "waiting-time-mean-against-baseline",
        "ar-accepted-share-by-ar-share",
        "distribution-of-waiting-time",
        "distribution-of-slowdown",
        "utilization-over-time",
        "queue-over-time",
        "gantt",
    } <= names
    for name in names:
        folder = kept / "report/figures"
        assert (folder / f"{name}.svg").read_text().startswith("<?xml")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_numbers_are_those_of_the_table_of_runs(kept: Path) -> None:
    runs = haizea.study.load(kept).runs
    head, *rows = figures(kept)["waiting-time-mean-by-ar-share"]
    assert head == ["profile", "ar-share", "mean", "low", "high", "runs"]
    assert len(rows) == 4
    for profile, share, mean, low, high, count in rows:
        same = (runs["profile"] == profile) & (runs["ar-share"] == float(share))
        values = runs[same]["waiting-time-mean"]
        assert float(mean) == pytest.approx(values.mean())
        half = 12.7062 * values.std() / 2**0.5
        assert (float(low), float(high)) == pytest.approx(
            (values.mean() - half, values.mean() + half)
        )
        assert int(count) == 2


def test_each_run_is_compared_with_the_baseline_of_the_same_seed(kept: Path) -> None:
    runs = haizea.study.load(kept).runs.set_index(["profile", "ar-share", "seed"])
    waits = runs["waiting-time-mean"]
    for profile, share, mean, *_ in figures(kept)["waiting-time-mean-against-baseline"][1:]:
        assert profile == "all"
        changes = [
            100 * (waits["all", float(share), seed] / waits["none", float(share), seed] - 1)
            for seed in (1, 2)
        ]
        assert float(mean) == pytest.approx(sum(changes) / 2)


def test_the_same_results_give_the_same_report(kept: Path, tmp_path: Path) -> None:
    assert done(kept.parent, "report", "small.yaml", "-o", tmp_path / "again")[0] == 0
    for path in (kept / "report").rglob("*.*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(kept / "report")
            assert again.read_bytes() == path.read_bytes(), path.name


def outside(url: str) -> list[str]:
    """The address, if it is not in the page itself."""
    return [] if url.startswith(("file:", "data:")) else [url]


@pytest.fixture(scope="module")
def shown(kept: Path, chromium: Browser) -> Iterator[tuple[Any, list[str]]]:
    """The report in a browser that has no network, and what went wrong in it."""
    with chromium.new_context(offline=True) as context:
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.on("request", lambda asked: wrong.extend(outside(asked.url)))
        page.goto((kept / "report/report.html").as_uri())
        yield page, wrong


def test_a_browser_shows_every_figure_and_nothing_goes_wrong(
    kept: Path, shown: tuple[Any, list[str]]
) -> None:
    page, wrong = shown
    assert page.title() == "Two <policies>"
    images = page.locator("figure img")
    assert images.count() == len(figures(kept))
    for index in range(images.count()):
        image = images.nth(index)
        assert image.evaluate("i => i.decode().then(() => i.naturalWidth > 300)")
        assert len(image.get_attribute("alt")) > 40
    assert not wrong


def test_the_page_has_the_numbers_of_the_csv(kept: Path, shown: tuple[Any, list[str]]) -> None:
    page, _ = shown
    for name, rows in figures(kept).items():
        told = page.locator(f"#{name} table.numbers tr").evaluate_all(
            "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
        )
        assert told == rows[: MOST_ROWS + 1], name


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
@pytest.mark.parametrize("kind", FIGURES)
def test_a_figure_of_a_single_run(kept: Path, kind: str, form: str) -> None:
    [file, *_] = sorted(kept.rglob("*.results"))
    with Results(file) as results:
        chart = FIGURES[kind](results)
        content = rendered(chart, form)
        assert content == rendered(chart, form)
    start = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[form]
    assert content.startswith(start)
    assert len(chart.alt) > 20
    assert not chart.data.empty


def test_utilization_over_time_is_that_of_the_run(kept: Path) -> None:
    [file, *_] = sorted(kept.rglob("*.results"))
    with Results(file) as results:
        data = FIGURES["utilization"](results).data
        mean = results.figures()["cpu-utilization"]
    seconds = data["seconds"].diff().shift(-1).fillna(0)
    assert (data["value"] * seconds).sum() / seconds.sum() == pytest.approx(mean)


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ("{by: nothing}", "report: by: 'nothing' is not a factor: profile, ar-share, seed"),
        ("{figures: [x]}", "report: figures: there is no figure 'x' in the table of runs"),
    ],
)
def test_a_figure_that_there_is_not_is_told(
    kept: Path, tmp_path: Path, report: str, told: str
) -> None:
    shutil.copytree(kept, tmp_path / "small.study")
    study = write(tmp_path, STUDY + f"report: {report}\n")
    status, out, _ = done(tmp_path, "run", study)
    assert (status, "0 of them made now" in out) == (0, True), out
    status, _, err = done(tmp_path, "report", study)
    assert (status, told in err) == (2, True), err


def test_the_view_is_along_a_number_with_a_line_for_each_profile(kept: Path) -> None:
    view = view_of(haizea.study.load(kept))
    assert (view.by, view.lines) == ("ar-share", "profile")


def test_a_report_without_results_is_told(tmp_path: Path) -> None:
    status, _, err = done(tmp_path, "report", write(tmp_path))
    assert status == 2
    assert "there are no results of a study" in err


# --- numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("freedom", [1, 2, 5, 10, 30, 31, 60, 500])
def test_quantiles_of_t_are_where_the_density_says(freedom: int) -> None:
    x = np.linspace(0, t_quantile(freedom), 200_001)
    density = (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    # All of it, with x = tan(angle), which has no end.
    angle = np.linspace(0, np.pi / 2, 200_001)[:-1]
    whole = (1 + np.tan(angle) ** 2 / freedom) ** (-(freedom + 1) / 2) / np.cos(angle) ** 2
    share = 0.5 + 0.5 * np.trapezoid(density, x) / np.trapezoid(whole, angle)
    assert share == pytest.approx(0.975, abs=2e-5)


def test_one_value_has_no_interval() -> None:
    assert interval([3.0]).low == interval([3.0]).high == 3.0


def test_a_distribution_is_exact_to_its_bins() -> None:
    values = np.random.default_rng(1).lognormal(5, 2, 10_000)
    found = Distribution(1.0)
    found.add(list(values))
    for upper, share in found.shares():
        assert share == pytest.approx(np.mean(values <= upper), abs=1e-9)


def test_every_colour_is_one_of_its_own_and_is_seen_on_white() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return float(0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2)

    assert len(set(COLOURS)) == len(COLOURS)
    assert all(lightness(colour) < 0.6 for colour in COLOURS)
