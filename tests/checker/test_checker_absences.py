"""What a service did when it came back is no fault; the same without an absence is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from results_builder import Results
from schedules import found


def resumed_unseen(absences: str) -> Results:
    """A lease of 1000 s whose resumption was over at 532, which was seen 20 s later."""
    results = Results()
    results.run["absences"] = absences
    results.option(suspension="all")
    results.options["simulation", "clock"] = "real"
    lease = results.suspended(1, (0, 500), 0, suspend=100, code="hole")
    seen = {532: 552}
    lease.story = [(seen.get(t, t), state, why, code) for t, state, why, code in lease.story]
    results.rows = [
        (i, purpose, host, seen.get(start, start), seen.get(end, end), cpu, memory)
        for i, purpose, host, start, end, cpu, memory in results.rows
    ]
    return results


@pytest.mark.parametrize(
    ("absences", "faults"),
    [("510-552", 0), ("200-210 532-552", 0), ("", 1), ("540-552", 1), ("100-300", 1)],
)
def test_resumed_while_nobody_looked(absences: str, faults: int, tmp_path: Path) -> None:
    rules = [rule for rule, *_ in found(resumed_unseen(absences), tmp_path)]
    assert rules.count("life-cycle") == faults
