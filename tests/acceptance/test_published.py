"""The figures of a published study come out: Sotomayor, Keahey, Foster, HPDC 2008, table 1.

A month of real batch jobs and three loads of advance reservations beside them, without
suspension and with suspension and migration. ``docs/published-results.md`` has the
figures, and is compared with what these runs give.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from blue import Results, blue, simulate
from published_page import see_table
from working_order import made_once

pytestmark = pytest.mark.slow

#: The table's head on the page; its rows are compared, or written with ``--regenerate``.
HEAD = """\
| suspension | load of ARs | last end: published | ours | mean wait (ks): published | ours |
| --- | --- | --- | --- | --- | --- |
"""

LOADS = ("10", "20", "30")

SUSPENSION = {
    "none": {"suspension": "none"},
    "all": {"suspension": "all", "migration": "yes"},
}


SUSPENSION_SAID = {"none": "none", "all": "all, and migration"}


@dataclass(frozen=True, slots=True)
class Figures:
    """End of the last best-effort lease (s), and the mean wait of best-effort leases (s)."""

    last_end: int
    mean_wait: float


@dataclass(frozen=True, slots=True)
class Published:
    """Growth of the last end (percent) and mean wait (thousands of seconds)."""

    growth: float
    growth_tolerance: float
    wait: float


WAIT_TOLERANCE = 0.15

TABLE = {
    ("none", "10"): Published(3.91, 1.5, 16.91),
    ("none", "20"): Published(8.66, 1.5, 23.91),
    ("none", "30"): Published(23.93, 4.0, 68.95),
    ("all", "10"): Published(-0.76, 1.0, 6.18),
    ("all", "20"): Published(0.10, 1.0, 8.14),
    ("all", "30"): Published(4.14, 1.0, 14.84),
}

#: For suspension and load: growth of the last end (percent), mean wait (thousands of s).
Measured = dict[tuple[str, str], tuple[float, float]]

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})

#: Waits that are better than the tolerance allows; the page says why.
SHORTER_WAIT = {("all", "10")}


def figures(
    directory: Path, suspension: str, load: str | None, more: Mapping[str, str] = NOTHING_MORE
) -> Figures:
    """The figures of one run; ``more`` are further options for the scheduler."""
    sections = {
        "scheduling": {
            "backfilling": "aggressive",
            "policy-preemption": "ar-preempts-everything",
            "suspend-rate": "50",
            "resume-rate": "50",
            "scheduling-threshold-factor": "1",
            **SUSPENSION[suspension],
            **more,
        },
        "simulation": {"stop-when": "besteffort-done", "imagetransfer-bandwidth": "100"},
        "tracefile": {"tracefile": blue("30days.swf")},
    }
    if load is not None:
        file = blue(f"injected-30days/work_{load}-dur_3h-size_2medium.lwf")
        sections["tracefile"]["injectionfile"] = file
    return figures_of(simulate(directory, sections))


def figures_of(results: Results) -> Figures:
    """The figures of a finished run."""
    best_effort = results.of_kind("best-effort")
    by_start = sorted(best_effort, key=lambda row: row.has_started)
    # The site is empty at first, and nobody waits: the study leaves out the first 5 %.
    counted = by_start[len(by_start) // 20 :]
    waits = [row.has_started - row.submitted for row in counted]
    return Figures(max(row.has_ended for row in best_effort), sum(waits) / len(waits))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Return what our runs give."""
    base = base_end(tmp_path_factory)
    place = made_once(tmp_path_factory, "published", lambda place: measure(place, base))
    rows = json.loads((place / "measured.json").read_text())
    return {(suspension, load): (growth, wait) for suspension, load, growth, wait in rows}


def base_end(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return when the last lease ends without ARs: growth is counted from there."""

    def measure_base(place: Path) -> None:
        (place / "last-end").write_text(str(figures(place, "none", None).last_end))

    return int(
        (made_once(tmp_path_factory, "published-base", measure_base) / "last-end").read_text()
    )


def measure(place: Path, base: int) -> None:
    """Make all runs, and write what they give beside a base without ARs."""
    rows = []
    for suspension, load in TABLE:
        run = figures(folder(place, f"{suspension}-{load}"), suspension, load)
        growth = 100 * (run.last_end - base) / base
        rows.append((suspension, load, growth, run.mean_wait / 1000))
    (place / "measured.json").write_text(json.dumps(rows))


def folder(place: Path, name: str) -> Path:
    """A new folder in ``place``."""
    made = place / name
    made.mkdir()
    return made


def test_the_last_best_effort_lease_ends_when_it_was_published(measured: Measured) -> None:
    for case, published in TABLE.items():
        growth, _ = measured[case]
        assert abs(growth - published.growth) <= published.growth_tolerance, (case, growth)


def test_waits_are_as_published(measured: Measured) -> None:
    for case, published in TABLE.items():
        _, wait = measured[case]
        assert wait <= (1 + WAIT_TOLERANCE) * published.wait, (case, wait)
        if case not in SHORTER_WAIT:
            assert wait >= (1 - WAIT_TOLERANCE) * published.wait, (case, wait)


def test_suspension_wins_in_every_pair(measured: Measured) -> None:
    for load in LOADS:
        without, with_it = measured["none", load], measured["all", load]
        assert with_it[0] < without[0]
        assert with_it[1] < without[1]


def test_the_order_of_suspended_leases_explains_the_shorter_wait(
    measured: Measured, tmp_path: Path
) -> None:
    for case in SHORTER_WAIT:
        suspended_first = figures(tmp_path, *case, {"policy-queue-order": "seniority"})
        assert measured[case][1] < TABLE[case].wait < suspended_first.mean_wait / 1000


def test_the_page_has_these_figures(measured: Measured, request: pytest.FixtureRequest) -> None:
    regenerate = bool(request.config.getoption("--regenerate"))
    see_table(HEAD, rows(measured), regenerate=regenerate)


def rows(measured: Measured) -> Iterator[str]:
    """The rows of the page's table."""
    for (suspension, load), published in TABLE.items():
        growth, wait = measured[suspension, load]
        cells = (
            SUSPENSION_SAID[suspension],
            f"{load} %",
            f"{published.growth:+.2f} %",
            f"{growth:+.2f} %",
            f"{published.wait:.2f}",
            f"{wait:.2f}",
        )
        yield f"| {' | '.join(cells)} |\n".replace("-", "−")
