"""The page of what is promised shows what was measured, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.promises import Outcome, table

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "promises.md"


@pytest.mark.parametrize("name", ["promises.jsonl", "promises-deadlines.jsonl"])
def test_the_page_shows_the_table_of_the_figures_that_are_kept(name: str) -> None:
    lines = (RESULTS / name).read_text(encoding="utf-8").splitlines()
    shown = "\n".join(table([Outcome(**json.loads(line)) for line in lines]))
    assert shown in PAGE.read_text(encoding="utf-8")


def test_the_last_row_is_the_sum_of_the_others() -> None:
    one = Outcome(name="a", seeds="1", asked=10, accepted=6, rejected=4, avoidable=1)
    one.work, one.exact_work, one.slowest_ms = 99, 100, 7.0
    other = Outcome(name="b", seeds="1", asked=5, accepted=5, work=100, exact_work=100)
    *_, last = table([one, other])
    assert last == "| together |  | 15 | 11 | 0 | 4 | 1 (25.0 %) | 0 | 99.5 % | 7 ms |"


def test_what_the_judge_was_not_asked_is_left_open() -> None:
    asked = Outcome(name="a", seeds="1", asked=10, accepted=6, rejected=4, work=99)
    first = list(table([asked]))[2]
    assert first == "| a | 1 | 10 | 6 | – | 4 | 0 (0.0 %) | 0 | – | 0 ms |"
