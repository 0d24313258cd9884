"""Random schedules of one host that are right by construction, and one change to them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from results_builder import Results

from haizea.checker import check_file

#: Waits between submission and submission, durations, and whether it ends early.
JOBS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 90), st.booleans()), min_size=1, max_size=12
)


def first_come_first_served(jobs: list[tuple[int, int, bool]]) -> Results:
    """Each job has the whole host, as soon as it is submitted and the one before is over."""
    results = Results(hosts=1)
    submitted = free = 1000
    for number, (gap, duration, early) in enumerate(jobs, start=1):
        submitted += gap
        start = max(submitted, free)
        code = "early-end" if early else "duration-over"
        asked = duration + 5 if early else duration
        results.best_effort(number, submitted, start, duration, 0, code=code, asked=asked)
        free = start + duration
    return results


def rules_broken(results: Results) -> list[tuple[str, int | None]]:
    with tempfile.TemporaryDirectory() as directory:
        report = check_file(results.write(Path(directory) / "results"))
    return [(v.rule.value, v.lease) for v in report.violations]


@settings(max_examples=50, deadline=None)
@given(JOBS)
def test_right_schedules_break_no_rule(jobs: list[tuple[int, int, bool]]) -> None:
    assert rules_broken(first_come_first_served(jobs)) == []


@settings(max_examples=50, deadline=None)
@given(JOBS, st.data())
def test_an_interval_that_is_changed_is_found(
    jobs: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    results = first_come_first_served(jobs)
    at = data.draw(st.integers(0, len(results.rows) - 1))
    lease, purpose, host, start, end, *capacity = results.rows[at]
    moved = st.integers(-30, 30)
    new_start = start + data.draw(moved)
    new_end = end + data.draw(moved if new_start != start else moved.filter(bool))
    results.rows[at] = (lease, purpose, host, new_start, new_end, *capacity)  # type: ignore[assignment]
    assert lease in [number for _, number in rules_broken(results)]
