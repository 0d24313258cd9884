"""Moments and durations as they stand in requests and answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from haizea.api.settings import AMOUNT_LIMIT
from haizea.core.model.resources import FOREVER
from haizea.times import parse_duration, parse_time

#: The first moment that can be asked for, and the first that cannot: the years 2000 to 2500.
EARLIEST = 946_684_800
LATEST = 16_725_225_600

_LONGEST_TEXT = 64
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WITH_UNITS = re.compile(r"(?:\d{1,12}[smhdw])+", re.ASCII)
_PART = re.compile(r"(\d+)([smhdw])", re.ASCII)
#: A zone whose plus sign became a space, as it does in the query of a URL.
_LOST_PLUS = re.compile(r"(T\S*) (\d\d:?\d\d)$", re.ASCII)


def read_moment(text: str) -> int:
    """The moment that ``text``, ISO 8601 with any zone, names; UTC where it names none.

    Raises :class:`ValueError` for anything else, and outside the years 2000 to 2500.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError("this is too long for a date and time")
    moment = parse_time(_LOST_PLUS.sub(r"\1+\2", text.strip()))
    if not EARLIEST <= moment < LATEST:
        raise ValueError("only moments in the years 2000 to 2500 are taken")
    return moment


def read_duration(given: object) -> int | None:
    """Seconds in a number, ``01:30:00``, ``90m`` or ``1d12h``; ``None`` for ``unlimited``.

    Raises :class:`ValueError` for anything else, for less than one second and for too many.
    """
    match given:
        case None | "unlimited":
            return None
        case bool() | float():
            raise ValueError("a duration is a whole number of seconds or a text")
        case int():
            seconds = given
        case str() if len(given) <= _LONGEST_TEXT:
            seconds = _duration_of(given.strip())
        case _:
            raise ValueError("write seconds, HH:MM:SS, 90m, 2d or unlimited")
    if seconds < 1:
        raise ValueError("a duration is at least one second")
    if seconds >= AMOUNT_LIMIT:
        raise ValueError("a duration this long has no end: write unlimited")
    return seconds


def _duration_of(text: str) -> int:
    if _WITH_UNITS.fullmatch(text):
        return sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(text))
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(
            f"{text!a} is not a duration: write seconds, HH:MM:SS, 90m, 2d or unlimited"
        ) from None


def written(moment: int) -> str:
    """The moment as ISO 8601 in UTC, ``2026-11-25T14:00:00Z``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def written_or_none(moment: int | None) -> str | None:
    """As :func:`written`; ``None`` for what is not known or never comes."""
    if moment is None or moment >= FOREVER:
        return None
    try:
        return written(moment)
    except (OverflowError, ValueError, OSError):
        # Later than any calendar: a duration near the limit of what can be asked for.
        return None
