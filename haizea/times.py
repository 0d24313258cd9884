"""Durations and moments as people write them, to whole seconds and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dateutil.parser import isoparse

_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,8}):(\d{1,2}):(\d{1,2})", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


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


def parse_time(text: str, *, local: bool = False) -> int:
    """The moment that an ISO 8601 date and time names, in seconds since the epoch.

    Without a zone it is UTC, or local time where ``local`` is set. Raises
    :class:`ValueError`, saying what would be right, where ``text`` names no moment.
    """
    try:
        moment = isoparse(text)
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
