"""The event streams of all traces, decision by decision.

``python -m pytest tests/golden --regenerate`` writes them anew; what then differs from
the files in version control is what a change of the program does to schedules.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from cases import CASES, EXAMPLES, ROOT, Case
from played import play, text
from shared_data import shared

HERE = Path(__file__).resolve().parent
LINES_SHOWN = 60


def golden(case: Case, directory: Path) -> str:
    """Return what the golden file of a case is to have: how it was run, and its log."""
    how = "".join(f"# {line}\n" for line in text(case.sections(find=False)).splitlines())
    return f"{how}\n{play(directory, case.sections(), case.loglevel).log}"


@pytest.mark.parametrize("name", CASES)
def test_the_event_stream_is_the_golden_one(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = HERE / f"{name}.txt"
    now = golden(CASES[name], tmp_path)
    if request.config.getoption("--regenerate"):
        path.write_text(now, encoding="utf-8")
        return
    expected = path.read_text(encoding="utf-8")
    if now != expected:
        different = difflib.unified_diff(
            expected.splitlines(), now.splitlines(), path.name, "this run", lineterm="", n=1
        )
        shown = list(different)
        rest = f"\n… {len(shown)} lines in all" if len(shown) > LINES_SHOWN else ""
        pytest.fail("\n".join(shown[:LINES_SHOWN]) + rest, pytrace=False)


def test_every_trace_has_a_golden_event_stream() -> None:
    used = {file for case in CASES.values() for file in case.files.values()}
    there = {f"traces/{path.name}" for path in (ROOT / "traces").iterdir()}
    assert there <= used


def test_every_shared_example_has_a_golden_event_stream() -> None:
    used = {file for case in EXAMPLES.values() for file in case.files.values()}
    there = {f"examples/{path.name}" for path in shared("examples").iterdir()}
    assert there <= used


def test_there_is_no_golden_event_stream_without_a_case() -> None:
    assert {path.stem for path in HERE.glob("*.txt")} == set(CASES)
