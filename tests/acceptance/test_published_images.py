"""The published study with disk images: multicast to the hosts, without caches and with.

One of its loads: ARs of 20 % of the site, of 3 hours, of medium width. A lower bound stands
beside it: the same leases where images are in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from blue import Results, blue, simulate
from published_page import see_table
from test_published import Figures, base_end, figures_of, folder
from working_order import made_once

pytestmark = [pytest.mark.slow, pytest.mark.long]

HEAD = """\
| images | last end: published | ours | distance to the bound | mean wait (ks): published | ours |
| --- | --- | --- | --- | --- | --- |
"""

#: So much more time virtual machines are taken to cost every lease.
OVERHEAD = {
    "add-overhead": "all",
    "runtime-slowdown-overhead": "5",
    "bootshutdown-overhead": "60",
}

CACHES = {"diskimage-reuse": "image-caches", "diskimage-cache-size": "20480"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A way of getting images to hosts, and what was published, where it is known.

    ``growth`` is that of the last end, percent; ``wait_ks`` the mean wait.
    """

    said: str
    transfer: dict[str, str] | None = None
    images: str = ""
    growth: float | None = None
    wait_ks: float | None = None


CONFIGURATIONS = {
    "in place": Configuration("in place: the bound"),
    "multicast": Configuration("multicast", {}, "37_skewed.images", 3.95, 34.6),
    "skewed": Configuration("multicast, caches, skewed", CACHES, "37_skewed.images", 2.5, 22.9),
    "uniform": Configuration("multicast, caches, uniform", CACHES, "37_uniform.images"),
}

POINTS = 2.0
WAIT_TOLERANCE = 0.20

#: Growth of the last end (percent) and mean wait (ks), by configuration.
Measured = dict[str, tuple[float, float]]


def run(place: Path, chosen: Configuration) -> Figures:
    """The figures of one run."""
    sections = {
        "general": {},
        "scheduling": {
            "backfilling": "aggressive",
            "policy-preemption": "ar-preempts-everything",
            "suspension": "all",
            "migration": "yes",
            "suspend-rate": "50",
            "resume-rate": "50",
            "scheduling-threshold-factor": "1",
        },
        "simulation": {"stop-when": "besteffort-done", "imagetransfer-bandwidth": "100"},
        "tracefile": {
            "tracefile": blue("30days.swf"),
            "injectionfile": blue("injected-30days/work_20-dur_3h-size_2medium.lwf"),
            **OVERHEAD,
        },
    }
    if chosen.transfer is not None:
        sections["general"] = {"lease-preparation": "imagetransfer"}
        sections["tracefile"]["imagefile"] = blue(chosen.images)
        sections["deploy-imagetransfer"] = {
            "transfer-mechanism": "multicast",
            "avoid-redundant-transfers": "yes",
            **chosen.transfer,
        }
    results = simulate(place, sections)
    see_starts(results)
    return figures_of(results)


def see_starts(results: Results) -> None:
    """See that every reservation that was accepted started when it was to, images or not."""
    accepted = [row for row in results.of_kind("ar") if row.state != "Rejected"]
    # The last job's end is the run's, and some are to come.
    end = max(row.has_ended for row in results.of_kind("best-effort"))
    due = [row for row in accepted if row.requested_start is not None and row.requested_start < end]
    assert len(due) > 100
    assert [row for row in due if row.started != row.requested_start] == []


def measure(place: Path, base: int) -> None:
    """Make all runs, and write what they give beside a base without ARs."""
    found = {}
    for name, chosen in CONFIGURATIONS.items():
        figures = run(folder(place, name), chosen)
        found[name] = (100 * (figures.last_end - base) / base, figures.mean_wait / 1000)
    (place / "measured.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Return what our runs give."""
    base = base_end(tmp_path_factory)
    place = made_once(tmp_path_factory, "published-images", lambda place: measure(place, base))
    found: Measured = json.loads((place / "measured.json").read_text())
    return found


def test_the_last_lease_ends_within_two_points_of_what_was_published(measured: Measured) -> None:
    for name, chosen in CONFIGURATIONS.items():
        if chosen.growth is not None:
            assert abs(measured[name][0] - chosen.growth) <= POINTS, (name, measured[name])


def test_no_wait_is_longer_than_published(measured: Measured) -> None:
    for name, chosen in CONFIGURATIONS.items():
        if chosen.wait_ks is not None:
            assert measured[name][1] <= (1 + WAIT_TOLERANCE) * chosen.wait_ks, measured[name]


def test_images_cost_less_than_a_point_beside_the_bound(measured: Measured) -> None:
    bound, _ = measured["in place"]
    for name in ("multicast", "skewed", "uniform"):
        assert 0 < measured[name][0] - bound < 1, (name, measured[name])


def test_the_page_has_these_figures(measured: Measured, request: pytest.FixtureRequest) -> None:
    regenerate = bool(request.config.getoption("--regenerate"))
    see_table(HEAD, rows(measured), regenerate=regenerate)


def rows(measured: Measured) -> Iterator[str]:
    """The rows of the page's table."""
    bound, _ = measured["in place"]
    for name, chosen in CONFIGURATIONS.items():
        growth, wait_ks = measured[name]
        cells = (
            chosen.said,
            "" if chosen.growth is None else f"{chosen.growth:+.2f} %",
            f"{growth:+.2f} %",
            f"{growth - bound:.2f} points",
            "" if chosen.wait_ks is None else f"{chosen.wait_ks:.1f}",
            f"{wait_ks:.1f}",
        )
        yield f"| {' | '.join(cells)} |\n".replace("-", "−")
