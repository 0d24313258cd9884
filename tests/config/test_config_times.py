"""Durations and moments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_zone import local_zone

from haizea.core.model.resources import FOREVER
from haizea.times import format_time, parse_duration, parse_time
from haizea.times.zones import SystemZone


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("300", 300),
        ("00:00:01", 1),
        ("1:00:00", 3600),
        ("36:00:00", 36 * 3600),
        ("01:00:00:00", 86400),
        ("10:01:02:03", 10 * 86400 + 3723),
        ("10:00", 36000),
        ("1h", 3600),
        (" 1", 1),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "00:60:00", "00:00:60", "1x", "1:2:3:4:5", "٣"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01 00:00:00", 0),
        ("2006-11-25 13:00:00", 1164459600),
        ("2006-11-25T13:00:00Z", 1164459600),
        ("2006-11-25 14:00:00+01:00", 1164459600),
        ("2006-11-25", 1164412800),
    ],
)
def test_moments(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


def test_a_moment_is_local_where_that_is_asked_for() -> None:
    with local_zone("Etc/GMT-3"):
        assert parse_time("2006-11-25 16:00:00", SystemZone()) == 1164459600
        assert parse_time("2006-11-25 13:00:00Z", SystemZone()) == 1164459600


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tomorrow", "is not a date and time"),
        ("2006-13-01", "2006-13-01 is not a day of the calendar"),
        ("1969-12-31 23:59:59", "is out of reach: times are from 1970"),
        ("2006-11-25 13:00:00.5", "whole second"),
        ("9999-12-31 23:59:59-14:00", "is out of reach"),
        ("0001-01-01 00:00:00+14:00", "is out of reach"),
    ],
)
def test_what_is_no_moment(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (253402300800, "10000-01-01 00:00:00+00:00"),
        (266025081600 + 31 * 86400, "10400-02-01 00:00:00+00:00"),
        (FOREVER, "never"),
    ],
)
def test_a_moment_after_the_year_9999_is_told(seconds: int, text: str) -> None:
    assert format_time(seconds) == text


@given(st.integers(0, 250_000_000_000))
def test_a_moment_is_read_back(seconds: int) -> None:
    assert parse_time(format_time(seconds)) == seconds
