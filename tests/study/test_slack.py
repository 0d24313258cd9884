"""The study of slack: its page is of its results, and those are what its program makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import slack

from haizea.core.model.lease import Kind

ROOT = Path(__file__).parents[2]
OUTCOMES = slack.read_outcomes(slack.RESULTS)


def test_the_page_is_of_the_results_beside_the_program() -> None:
    page = (ROOT / "docs/deadlines.md").read_text()
    assert slack.with_table(page, OUTCOMES) == page, "python studies/slack/slack.py"
    assert slack.picture(OUTCOMES) == (ROOT / "docs" / slack.PICTURE).read_bytes()


def test_every_day_was_played_with_every_slack() -> None:
    played = [(x.demand, x.day, x.slack_hours) for x in OUTCOMES]
    days = [(d, day, s) for d in slack.DEMANDS for day in slack.DAYS for s in slack.SLACKS_HOURS]
    assert played == days


@pytest.mark.parametrize("slack_hours", slack.SLACKS_HOURS)
def test_a_day_that_is_played_again_is_in_the_results(slack_hours: int) -> None:
    assert slack.play(0.9, 3, slack_hours) in OUTCOMES


def test_requests_differ_in_their_slack_alone() -> None:
    firm, loose = (slack.day_of(0.6, 1, hours).leases for hours in (0, 4))
    assert {lease.kind for lease in firm} == {Kind.AR}
    for ar, other in zip(firm, loose, strict=True):
        assert other.kind is Kind.DEADLINE
        assert (other.after, other.nodes) == (ar.start, ar.nodes)
        end = (ar.start or 0) + (ar.duration or 0)
        assert other.deadline == end + 4 * 3600
