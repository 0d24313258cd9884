"""Moments and durations as they stand in requests and answers."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache

from haizea.api.settings import AMOUNT_LIMIT
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.resources import FOREVER
from haizea.times import parse_lease_duration, parse_time

#: The first moment that can be asked for, and the first that cannot: the years 2000 to 2500.
_EARLIEST = 946_684_800
_LATEST = 16_725_225_600

_LONGEST_TEXT = 64
#: A zone whose plus sign became a space, as it does in the query of a URL.
_LOST_PLUS = re.compile(r"(T\S*) (\d\d:?\d\d)$", re.ASCII)


def read_moment(text: str) -> int:
    """The moment that ``text``, a date and time with any zone, names; UTC where it names none.

    Raises :class:`ValueError` for anything else, and outside the years 2000 to 2500.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError("this is too long for a date and time")
    return check_reach(parse_time(_LOST_PLUS.sub(r"\1+\2", text.strip())))


def check_reach(moment: int) -> int:
    """The moment itself. Raises :class:`ValueError` outside the years 2000 to 2500."""
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError("only moments in the years 2000 to 2500 are taken")
    return moment


def read_duration(given: object) -> int | None:
    """Seconds in a number or any text that is a duration; ``None`` for ``unlimited``.

    Raises :class:`ValueError` for anything else, for less than one second and for too many.
    """
    if isinstance(given, bool | float) or not isinstance(given, int | str | None):
        raise ValueError("a duration is a whole number of seconds or a text such as 90m")
    return None if given is None else parse_lease_duration(str(given), AMOUNT_LIMIT - 1)


@lru_cache(maxsize=1 << 14)
def written(moment: int) -> str:
    """The moment as ISO 8601 in UTC, ``2026-11-25T14:00:00Z``; long lists repeat their moments."""
    return datetime.fromtimestamp(moment, UTC).isoformat().removesuffix("+00:00") + "Z"


def written_or_none(moment: int | None) -> str | None:
    """Write a moment as :func:`written` does; ``None`` for what is not known or never comes."""
    if moment is None or moment >= FOREVER:
        return None
    try:
        return written(moment)
    except (OverflowError, ValueError, OSError):
        # After the year 9999, which programs cannot read: a duration near the limit.
        return None


def terms_tag(request: LeaseRequest) -> str:
    """Tell the terms of a lease, which changes are about, from others: an ``ETag``."""
    terms: tuple[object, ...] = (
        *(request.start, request.duration, request.nodes, request.preemptible),
        *(() if request.deadline is None else (request.after, request.deadline)),
    )
    return f'"{hashlib.sha256(repr(terms).encode()).hexdigest()[:24]}"'
