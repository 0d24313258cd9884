"""Every example in docs/times.md means what the page says."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from haizea.times import parse_duration
from haizea.times.moments import format_moment, parse_moment

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "times.md").read_text(encoding="utf-8")
MADRID = ZoneInfo("Europe/Madrid")
NOW = int(datetime.fromisoformat("2026-11-25T13:00:00+01:00").timestamp())


def examples(heading: str) -> list[tuple[str, str]]:
    """Return what is written in the table below a heading, and what it is said to be."""
    part = PAGE.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", part, flags=re.MULTILINE)
    assert rows, f"there is a table below {heading!r}"
    return [(text, meant) for written, meant in rows for text in re.findall("`([^`]+)`", written)]


@pytest.mark.parametrize(("text", "seconds"), examples("Durations"))
def test_durations(text: str, seconds: str) -> None:
    assert parse_duration(text) == int(seconds)


@pytest.mark.parametrize(("text", "meant"), examples("Moments"))
def test_moments(text: str, meant: str) -> None:
    assert format_moment(parse_moment(text, NOW, MADRID), MADRID) == meant


@pytest.mark.parametrize(("text", "meant"), examples("Looking back"))
def test_moments_that_were(text: str, meant: str) -> None:
    assert format_moment(parse_moment(text, NOW, MADRID, back=True), MADRID) == meant


@pytest.mark.parametrize(("text", "told"), examples("What is refused"))
def test_what_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        _ = parse_duration(text) if "duration" in told else parse_moment(text, NOW, MADRID)
