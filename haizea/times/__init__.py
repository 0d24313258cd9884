"""Durations and moments as people write them, to whole seconds and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction

_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,8}):(\d{1,2}):(\d{1,2})", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_PLAIN = re.compile(
    r"\d{4}-\d\d-\d\d[ T](?:[01]\d|2[0-3]):\d\d:\d\d(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)
_CLOCK_ONLY = re.compile(r"(\d{1,8}):(\d{2})", re.ASCII)
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([a-z]+) ?", re.ASCII)

#: What each word for a unit is in seconds, longest unit first.
_UNITS = {
    word: (seconds, plural)
    for seconds, plural, words in (
        (7 * 86400, "weeks", "w week weeks"),
        (86400, "days", "d day days"),
        (3600, "hours", "h hr hrs hour hours"),
        (60, "minutes", "m min mins minute minutes"),
        (1, "seconds", "s sec secs second seconds"),
    )
    for word in words.split()
}


def parse_duration(text: str) -> int:
    """Seconds in ``300``, ``HH:MM:SS`` or ``DD:HH:MM:SS``.

    Raises :class:`ValueError`, saying what would be right, for anything else.
    """
    if _SECONDS.fullmatch(text):
        return int(text)
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        raise ValueError(f"{text!r} is not a duration: write seconds, HH:MM:SS or DD:HH:MM:SS")
    days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    if minutes > 59 or seconds > 59:
        raise ValueError(f"{text!r} is not a duration: minutes and seconds go up to 59")
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_span(text: str) -> int:
    """Seconds in any form that people write: ``90m``, ``1h30m``, ``2 days``, ``1.5h``,
    ``01:30`` (hours and minutes), and those of :func:`parse_duration`.

    Raises :class:`ValueError`, saying what would be right, for anything else.
    """
    words = " ".join(text.lower().split())
    clock_only = _CLOCK_ONLY.fullmatch(words)
    if clock_only is not None:
        return parse_duration(f"{words}:00")
    if ":" in words or _SECONDS.fullmatch(words):
        return parse_duration(words)
    total = Fraction(0)
    at, shortest = 0, 8 * 86400
    while at < len(words):
        part = _PART.match(words, at)
        unit = _UNITS.get(part[2]) if part is not None else None
        if part is None or unit is None:
            raise ValueError(
                f"{text!r} is not a length of time: write 90m, 1h30m, 2d, HH:MM:SS or seconds"
            )
        seconds, plural = unit
        if seconds >= shortest:
            raise ValueError(f"{text!r} is not a length of time: {plural} come too late in it")
        total += Fraction(part[1]) * seconds
        at, shortest = part.end(), seconds
    if not words:
        raise ValueError("a length of time is missing: write 90m, 1h30m, 2d, HH:MM:SS or seconds")
    if total.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of seconds")
    return int(total)


def parse_time(text: str, *, local: bool = False) -> int:
    """The moment that an ISO 8601 date and time names, in seconds since the epoch.

    Without a zone it is UTC, or local time where ``local`` is set. Raises
    :class:`ValueError`, saying what would be right, where ``text`` names no moment.
    """
    try:
        moment = _moment(text)
        if moment.tzinfo is None:
            moment = moment.astimezone() if local else moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
        moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is not a date and time: write YYYY-MM-DD HH:MM:SS,"
            " with a zone such as +01:00 if need be"
        ) from None
    if seconds < 0:
        raise ValueError(f"{text!r} is before 1970, where time starts")
    if not seconds.is_integer():
        raise ValueError(f"{text!r} is not a whole second: leave out the fraction")
    return int(seconds)


def _moment(text: str) -> datetime:
    """A date and time in any form of ISO 8601. Raises :class:`ValueError`."""
    if _PLAIN.fullmatch(text):
        return datetime.fromisoformat(text)
    # Imported where it is used: hardly anybody writes another form, and it takes long.
    from dateutil.parser import isoparse

    return isoparse(text)


def format_time(seconds: int) -> str:
    """The moment as ISO 8601 in UTC, ``2006-11-25 13:00:00+00:00``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ")


_MOMENT = re.compile(r"@(\d+)\b")


def spell_times(text: str) -> str:
    """A reason of the scheduler's for people: each moment ``@seconds`` as date and time, UTC."""
    if "@" not in text:
        return text
    return _MOMENT.sub(lambda m: _spelled(int(m[1])), text)


def _spelled(seconds: int) -> str:
    try:
        return format_time(seconds).removesuffix("+00:00")
    except (OverflowError, ValueError, OSError):
        return "never"
