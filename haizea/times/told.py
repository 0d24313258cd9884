"""Moments in UTC, as text: for the log, messages and results."""

from __future__ import annotations

from datetime import UTC, datetime

from haizea.core.model.resources import FOREVER

#: Dates repeat after 400 years, of so many seconds.
_CYCLE_YEARS = 400
_CYCLE_SECONDS = 146097 * 86400


def format_time(seconds: int) -> str:
    """The moment as ISO 8601 in UTC, ``2006-11-25 13:00:00+00:00``; see :func:`format_utc`."""
    return f"{format_utc(seconds)}+00:00" if seconds < FOREVER else "never"


def format_utc(seconds: int) -> str:
    """The moment in UTC, ``2006-11-25 13:00:00``, also after the year 9999 (``11513-01-01 …``).

    ``never`` for what never comes.
    """
    if seconds >= FOREVER:
        return "never"
    cycles, rest = divmod(seconds, _CYCLE_SECONDS)
    found = datetime.fromtimestamp(rest, UTC)
    return f"{found.year + cycles * _CYCLE_YEARS:04}{found:-%m-%d %H:%M:%S}"
