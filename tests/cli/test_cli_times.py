"""Times as people write them: every form, wrong ones, and clocks that are put forward and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from local_zone import local_zone

from haizea.core.model.lease import Kind
from haizea.times import parse_duration
from haizea.times.durations import format_span
from haizea.times.moments import (
    MAX_MOMENT,
    format_distance,
    format_moment,
    parse_moment,
    parse_start,
)
from haizea.times.zones import SystemZone

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/Berlin",
        "Europe/London",
        "America/New_York",
        "America/Havana",
        "America/Sao_Paulo",
        "Africa/Monrovia",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    )
]
zones = st.sampled_from(ZONES)
#: Up to 2100: beyond, zones have no changes that are known.
moments = st.integers(3 * 86400, 4102444800)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


#: A Wednesday afternoon.
NOW = at("2026-11-25T13:00:00+01:00")


def outcome(text: str, zone: SystemZone | ZoneInfo, now: int = NOW) -> int | str:
    """The moment, or what is told."""
    try:
        return parse_moment(text, now, zone)
    except ValueError as refused:
        return str(refused)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", "2026-11-25 13:00:00"),
        ("+00:30", "2026-11-25 13:30:00"),
        ("+1:00:00", "2026-11-25 14:00:00"),
        ("+01:00:00:00", "2026-11-26 13:00:00"),
        ("+3600", "2026-11-25 14:00:00"),
        ("+2d", "2026-11-27 13:00:00"),
        ("+ 1h30m", "2026-11-25 14:30:00"),
        ("in 30m", "2026-11-25 13:30:00"),
        ("In 2 hours", "2026-11-25 15:00:00"),
        ("2026-11-25 14:00", "2026-11-25 14:00:00"),
        ("2026-11-25 at 14:00", "2026-11-25 14:00:00"),
        ("  2026-11-25   14:00:30 ", "2026-11-25 14:00:30"),
        ("2026-11-25T14:00", "2026-11-25 14:00:00"),
        ("2026-11-25t14:00:00", "2026-11-25 14:00:00"),
        ("2026-11-25 14:00:00+02:00", "2026-11-25 13:00:00"),
        ("2026-11-25 14:00Z", "2026-11-25 15:00:00"),
        ("2026-11-25 14:00 UTC", "2026-11-25 15:00:00"),
        ("2026-11-25 14:00 -0500", "2026-11-25 20:00:00"),
        ("2026-11-25 14:00 America/New_York", "2026-11-25 20:00:00"),
        ("2026-11-25 14:00 CET", "2026-11-25 14:00:00"),
        ("2026-07-25 14:00 cest", "2026-07-25 14:00:00"),
        ("2026-11-25T14:00:00Z", "2026-11-25 15:00:00"),
        ("20261125T140000", "2026-11-25 14:00:00"),
        ("2026-11-26", "2026-11-26 00:00:00"),
        ("14:00", "2026-11-25 14:00:00"),
        ("13:00", "2026-11-25 13:00:00"),
        ("12:59", "2026-11-26 12:59:00"),
        ("9:00", "2026-11-26 09:00:00"),
        ("2pm", "2026-11-25 14:00:00"),
        ("2:30 PM", "2026-11-25 14:30:00"),
        ("12am", "2026-11-26 00:00:00"),
        ("12pm", "2026-11-26 12:00:00"),
        ("14:00 UTC", "2026-11-25 15:00:00"),
        # In Tokyo it is 21:00 already.
        ("20:00 Asia/Tokyo", "2026-11-26 12:00:00"),
        ("today 14:00", "2026-11-25 14:00:00"),
        ("today 9:00", "2026-11-25 09:00:00"),
        ("tomorrow 9:00", "2026-11-26 09:00:00"),
        ("tomorrow at 9am", "2026-11-26 09:00:00"),
        ("monday 9:00", "2026-11-30 09:00:00"),
        ("Mon 9:00", "2026-11-30 09:00:00"),
        ("wednesday 14:00", "2026-11-25 14:00:00"),
        ("wed 9:00", "2026-12-02 09:00:00"),
    ],
)
def test_forms_of_a_moment(text: str, meant: str) -> None:
    found = parse_moment(text, NOW, BERLIN)
    assert format_moment(found, BERLIN)[:19] == meant


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a time is missing: write now, +00:30"),
        ("soon", "'soon' is not a time that is known here: write now, +00:30"),
        ("31.12.2027 10:00", "'31.12.2027 10:00' is not a time that is known here: write now"),
        ("12/31/2027 10:00", "'12/31/2027 10:00' is not a time that is known here: write now"),
        ("1e9", "'1e9' is not a time that is known here: write now"),
        ("+soon", "'soon' is not a duration: write 90m"),
        ("+", "is not a duration: it is empty; write 90m"),
        ("+99999999999999d", "is not a duration"),
        ("+999999999999", "is out of reach: times are from 1970 to 9998"),
        ("tomorrow", "'tomorrow': at what time? Write 'tomorrow 9:00'"),
        ("monday", "at what time? Write 'monday 9:00'"),
        ("25:00", "a day ends at 23:59:59"),
        ("2026-11-25 24:00", "a day ends at 23:59:59"),
        ("14:60", "is not a time"),
        ("14", "is not a time"),
        ("13pm", "hours before am and pm are 1 to 12"),
        ("2026-02-30 14:00", "2026-02-30 is not a day of the calendar"),
        ("1969-12-31 14:00", "is out of reach"),
        ("9999-12-31 23:59 -23:00", "is out of reach"),
        ("2026-11-25 14:00 CEST", "CEST is not the zone here at that time; write UTC, or an"),
        ("2026-11-25 14:00 Europe/Nowhere", "is not a time zone: write UTC, +01:00 or Europe/"),
        ("2026-11-25 14:00 ../../etc/passwd", "is not a time zone"),
        ("2026-11-25 14:00 +25:00", "is not an offset from UTC"),
        ("2026-11-25 14:00:00.5", "is not a whole second: leave out the fraction"),
        ("20261125T140000.5", "is not a whole second: leave out the fraction"),
        # Clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.
        (
            "2026-03-29 02:30",
            "there is no 02:30 on 2026-03-29, clocks are put forward then; write"
            " '2026-03-29 01:30:00+01:00' or '2026-03-29 03:30:00+02:00'",
        ),
        (
            "2026-10-25 02:30",
            "there are two 02:30 on 2026-10-25, clocks are put back then; write"
            " '2026-10-25 02:30:00+02:00' or '2026-10-25 02:30:00+01:00'",
        ),
    ],
)
def test_what_is_no_moment(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_moment(text, NOW, BERLIN)


def test_what_is_offered_near_a_change_of_the_clocks_is_taken() -> None:
    first = parse_moment("2026-10-25 02:30:00+02:00", NOW, BERLIN)
    assert parse_moment("2026-10-25 02:30 CEST", NOW, BERLIN) == first
    assert parse_moment("2026-10-25 02:30 CET", NOW, BERLIN) == first + 3600
    assert parse_moment("2026-03-29 03:30:00+02:00", NOW, BERLIN) == at("2026-03-29T01:30:00Z")


def test_a_time_that_is_past_today_is_no_less_clear_for_a_change_of_the_clocks() -> None:
    evening = at("2026-10-25T20:00:00+01:00")
    assert parse_moment("2:30", evening, BERLIN) == at("2026-10-26T02:30:00+01:00")
    with pytest.raises(ValueError, match="there are two 02:30"):
        parse_moment("2:30", at("2026-10-25T02:40:00+02:00"), BERLIN)


@given(moments, moments, zones)
@example(at("2026-10-25T02:30:00+01:00"), NOW, BERLIN)
@example(at("2026-10-25T02:30:00+02:00"), NOW, BERLIN)
def test_what_is_shown_can_be_said(moment: int, now: int, zone: ZoneInfo) -> None:
    assert parse_moment(format_moment(moment, zone), now, zone) == moment


@given(moments, st.times(), zones)
def test_a_clock_time_is_the_next_such_time(now: int, clock: clock_time, zone: ZoneInfo) -> None:
    text = f"{clock:%H:%M:%S}"
    found = outcome(text, zone, now)
    if isinstance(found, str):
        assert "clocks are put" in found
        return
    local = datetime.fromtimestamp(found, UTC).astimezone(zone)
    assert f"{local:%H:%M:%S}" == text
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    assert found >= now
    assert local.date() in (today, today + timedelta(1))


@given(moments, st.integers(0, 6), st.times(), zones)
def test_a_weekday_is_the_next_such_day(
    now: int, weekday: int, clock: clock_time, zone: ZoneInfo
) -> None:
    name = date(2024, 1, 1 + weekday).strftime("%A")
    found = outcome(f"{name} {clock:%H:%M:%S}", zone, now)
    if isinstance(found, str):
        assert "clocks are put" in found
        return
    assert datetime.fromtimestamp(found, UTC).astimezone(zone).weekday() == weekday
    assert now <= found <= now + 8 * 86400


@given(moments, st.integers(0, 10**9), zones)
def test_a_span_is_from_now(now: int, seconds: int, zone: ZoneInfo) -> None:
    assert parse_moment(f"+{seconds}", now, zone) == now + seconds
    assert parse_moment(f"in {format_span(seconds)}", now, zone) == now + seconds


@given(
    st.text(max_size=40) | st.text("0123456789:-+TZ apm/today", max_size=25),
    st.integers(0, MAX_MOMENT),
    zones,
)
def test_other_text_is_refused_in_words(text: str, now: int, zone: ZoneInfo) -> None:
    found = outcome(text, zone, now)
    if isinstance(found, str):
        assert len(found) > len(text)
    else:
        assert 0 <= found <= MAX_MOMENT


@pytest.mark.parametrize("text", ["best_effort", "best-effort", "Best Effort", "BEST_EFFORT"])
def test_best_effort(text: str) -> None:
    assert parse_start(text, NOW, BERLIN).kind is Kind.BEST_EFFORT


def test_starts_are_of_three_kinds() -> None:
    assert parse_start("now", NOW, BERLIN).kind is Kind.IMMEDIATE
    found = parse_start("+00:30", NOW, BERLIN)
    assert (found.kind, found.moment) == (Kind.AR, NOW + 1800)


# --- durations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("01:30:00", 5400),
        ("1:30", 5400),
        ("2d", 172800),
        ("3600", 3600),
        ("1.5h", 5400),
        ("2 days 3 hours", 183600),
        ("1 week", 604800),
        ("1:00:00:00", 86400),
        ("30S", 30),
    ],
)
def test_forms_of_a_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "x", "1x", "m", "-5m", "30m1h", "1h 1h", "0.0001s", "1:2", "1h:30", "1e3", "٣m"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"length of time|duration|whole number of seconds"):
        parse_duration(text)


@given(st.integers(0, 10**11))
def test_spans_are_read_back(seconds: int) -> None:
    assert parse_duration(format_span(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (12000, "in 3h 20m"), (-3661, "1h 1m ago"), (86405, "in 1d"), (59, "in 59s")],
)
def test_distances(seconds: int, text: str) -> None:
    assert format_distance(NOW + seconds, NOW) == text


# --- the system's own zone ----------------------------------------------------------------


@pytest.fixture(params=["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
def zone_of_system(request: pytest.FixtureRequest) -> Iterator[str]:
    with local_zone(request.param):
        yield request.param


def moments_of_2026(zone: ZoneInfo) -> Iterator[int]:
    """Yield two or three moments of each day, and one each half hour where clocks change."""
    start = at("2026-01-01T00:00:00Z")
    yield from range(start, start + 365 * 86400, 36007)
    days = [datetime(2026, 1, 1, tzinfo=zone) + timedelta(days=n) for n in range(365)]
    for day, after in pairwise(days):
        if day.utcoffset() != after.utcoffset():
            begin = int(day.timestamp()) - 86400
            yield from range(begin, begin + 3 * 86400, 1799)


def test_local_time_is_that_of_the_system(zone_of_system: str) -> None:
    zone, own = ZoneInfo(zone_of_system), SystemZone()
    for moment in moments_of_2026(zone):
        assert format_moment(moment, own) == format_moment(moment, zone)
        assert parse_moment(format_moment(moment, own), NOW, own) == moment
    for text in ("2026-03-29 02:30", "2026-10-25 02:30", "2026-11-01 01:30", "2026-10-04 02:15"):
        assert outcome(text, own) == outcome(text, zone)


@pytest.mark.parametrize("text", ["9999-12-31 23:59:59", "9999-12-31T23:59:59", "0001-01-01 0:00"])
def test_the_ends_of_the_calendar_are_out_of_reach(text: str) -> None:
    with pytest.raises(ValueError, match="is out of reach: times are from 1970 to 9998"):
        parse_moment(text, NOW, SystemZone())
