"""Start times equal those of an independent simulator, job by job.

The shared reference has them for three traces of Blue Horizon and three ways to backfill.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from blue import simulate
from shared_data import shared

TRACES = ("1000requests", "15days", "30days")

#: What the reference calls it, and what Haizea does.
BACKFILLING = {"fcfs": "off", "easy": "aggressive", "conservative": "conservative"}


class Starts(NamedTuple):
    """Start of each job, by its number, and the moment at which it was submitted."""

    ours: dict[int, int]
    theirs: dict[int, int]
    submitted: dict[int, int]

    def mean_wait(self, starts: dict[int, int]) -> float:
        return sum(starts[job] - self.submitted[job] for job in starts) / len(starts)

    def different(self) -> dict[int, tuple[int, int]]:
        """The jobs that start at another time: ours, theirs."""
        return {
            job: (self.ours[job], theirs)
            for job, theirs in self.theirs.items()
            if self.ours[job] != theirs
        }


def starts(directory: Path, trace: str, reference: str) -> Starts:
    expected = shared(f"reference/{trace}.{reference}.csv")
    sections = {
        "scheduling": {"backfilling": BACKFILLING[reference], "suspension": "none"},
        "tracefile": {"tracefile": str(shared(f"reference/{trace}.normalised.swf"))},
    }
    with expected.open(newline="") as lines:
        theirs = {int(row["job"]): int(row["start"]) for row in csv.DictReader(lines)}
    leases = simulate(directory, sections).leases
    found = Starts(
        {int(row.label): row.has_started for row in leases},
        theirs,
        {int(row.label): row.submitted for row in leases},
    )
    assert found.ours.keys() == found.theirs.keys()
    return found


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("reference", ["fcfs", "easy"])
def test_every_job_starts_when_the_reference_says(
    trace: str, reference: str, tmp_path: Path
) -> None:
    found = starts(tmp_path, trace, reference)
    assert found.different() == {}


@pytest.mark.parametrize("trace", TRACES)
def test_the_mean_wait_with_conservative_backfilling(
    trace: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = starts(tmp_path, trace, "conservative")
    record_property("jobs", len(found.theirs))
    record_property("jobs with another start", len(found.different()))
    ours, theirs = found.mean_wait(found.ours), found.mean_wait(found.theirs)
    assert abs(ours - theirs) <= 0.02 * theirs, (ours, theirs)
