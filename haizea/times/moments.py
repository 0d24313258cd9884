"""Moments in every form that people write, and back, in their own time zone.

Nothing here looks at a clock: what is said (``tomorrow 9:00``), the present moment and the
zone give a moment, always the same. ``docs/times.md`` is the page about it, for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from haizea.core.model.lease import Kind
from haizea.times.durations import format_span, parse_duration, shown
from haizea.times.zones import moments_of, parse_zone, the_one

#: The last moment that can be told in every zone: the end of the year 9998.
MAX_MOMENT = 253370764799

FORMS = "now, +00:30, +2d, 14:00, 'tomorrow 9:00', 'monday 9:00', or '2026-11-25 14:00'"
BACK_FORMS = "-1h, yesterday, monday, 14:00, 'monday 9:00', or '2026-11-25 14:00'"
START_FORMS = f"best_effort, {FORMS}"
DATE_FORMS = "YYYY-MM-DD HH:MM:SS, with a zone such as +01:00 or Europe/Madrid if need be"

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONGEST_TEXT = 200
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAY = re.compile(
    r"(\d{4}-\d{2}-\d{2}|(?:today|tomorrow|yesterday|(?:(?:next|last) )?"
    rf"(?:{'|'.join(f'{name}|{name[:3]}' for name in _WEEKDAYS)}))(?= |$))"
    r"(?: at | |(?<=\d)t|$)(.*)",
    re.ASCII | re.IGNORECASE,
)
_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)? ?(?P<half>am|pm)?",
    re.ASCII,
)
#: What begins with a year is a date in one of the rarer forms of ISO 8601.
_COMPACT = re.compile(r"\d{4}", re.ASCII)
#: A time and, after it, a zone; the sign of an offset may follow the time at once.
_TIME_AND_ZONE = re.compile(r"([\d:]+(?: ?(?:am|pm)\b)?|noon\b)(.*)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Start:
    """Start of a lease: ``moment`` (seconds since the epoch) for an AR alone."""

    kind: Kind
    moment: int | None = None


# --- to text ------------------------------------------------------------------------------


def format_moment(moment: int, zone: tzinfo) -> str:
    """``2026-11-25 14:00:00 CET``; :func:`parse_moment` reads it back."""
    if not 0 <= moment <= MAX_MOMENT:
        return f"@{moment}"
    local = datetime.fromtimestamp(moment, UTC).astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {_zone_name(local)}"


def _zone_name(local: datetime) -> str:
    """A zone's own word for itself; its offset where that is no word, or does not tell enough."""
    name = local.tzname() or ""
    other = local.replace(fold=1 - local.fold)
    repeated = other.tzname() == name and other.utcoffset() != local.utcoffset()
    return name if re.fullmatch("[A-Z]{2,6}", name) and not repeated else local.isoformat()[19:]


def format_distance(moment: int, now: int) -> str:
    """Say how far a moment is from now, to two units: ``in 3h 20m``, ``2d 4h ago``, ``now``."""
    if moment == now:
        return "now"
    parts = format_span(abs(moment - now)).split()
    if "d" in parts[0] and len(parts) > 1 and "s" in parts[1]:
        parts = parts[:1]
    span = " ".join(parts[:2])
    return f"in {span}" if moment > now else f"{span} ago"


# --- from text ----------------------------------------------------------------------------


def parse_start(text: str, now: int, zone: tzinfo) -> Start:
    """Parse the start of a lease: ``best_effort``, ``now``, or any form of :func:`parse_moment`.

    Raises :class:`ValueError`, saying what would be right.
    """
    kind = parse_kind(text)
    if kind is not Kind.AR:
        return Start(kind)
    return Start(kind, parse_moment(text, now, zone, forms=START_FORMS))


def parse_kind(text: str) -> Kind:
    """The kind of lease that a start asks for: an AR by all words that name a moment."""
    word = " ".join(text.lower().replace("_", "-").split())
    if word in ("best-effort", "best effort"):
        return Kind.BEST_EFFORT
    return Kind.IMMEDIATE if word == "now" else Kind.AR


def changing_words(text: str, zone: tzinfo) -> str:
    """``text`` itself where it means another moment each time it is said, as ``+00:30`` does.

    Empty for what always means the same; ``text`` is known to be a start.
    """
    try:
        # Two moments that differ in time of day, day and weekday.
        first, other = (parse_moment(text, now, zone) for now in (0, 10 * 86400 + 3600))
    except ValueError:
        first, other = 0, 1
    return "" if first == other else " ".join(text.lower().split())


def parse_moment(
    text: str, now: int, zone: tzinfo, *, back: bool = False, forms: str = FORMS
) -> int:
    """The moment that a person means by ``text`` at the moment ``now`` in ``zone``.

    Taken are ``now``; a span from now, ``+00:30``, ``+2d``, ``in 90m``; a time, ``14:00``,
    ``2pm`` or ``noon``, today or, where that is past, tomorrow; a time with a day before it:
    ``today``, ``tomorrow``, a weekday (the next such day on which the time is not past), ``next
    monday`` (the first one after today) or a date; and ISO 8601. After a time there may be a
    zone: ``Z``, ``UTC``, ``+01:00``, ``Europe/Madrid``, or the short name that the zone itself
    has at that time.

    ``back`` is for whom looks at what was: times and weekdays are the last such ones, and
    ``-1h``, ``1h ago``, ``yesterday`` and days without a time, which begin at 0:00, are taken.

    Raises :class:`ValueError`, saying what would be right, such as ``forms``.
    """
    words = " ".join(text.split())
    forms = BACK_FORMS if back else forms
    if not words:
        raise ValueError(f"a time is missing: write {forms}")
    if len(words) > _LONGEST_TEXT:
        raise ValueError(f"{shown(words)} is too long for a time: write {forms}")
    try:
        moment = _relative(words, now, back=back)
        if moment is None:
            moment = _absolute(words, now, zone, back=back)
    except OverflowError:
        moment = -1
    if moment is None and _is_span(words):
        raise ValueError(f"{shown(words)} is a length of time: write +{words} for so long from now")
    if moment is None:
        raise ValueError(f"{shown(words)} is not a time that is known here: write {forms}")
    return _within_reach(moment, words)


def parse_time(text: str, zone: tzinfo = UTC) -> int:
    """The moment that a date and time names, in seconds since the epoch.

    Without a zone of its own it is one of ``zone``. Errors as in :func:`parse_moment`.
    """
    words = " ".join(text.split())
    moment = None
    try:
        if _COMPACT.match(words) and len(words) <= _LONGEST_TEXT:
            moment = _absolute(words, 0, zone, back=False)
    except OverflowError:
        moment = -1
    if moment is None:
        raise ValueError(f"{shown(words)} is not a date and time: write {DATE_FORMS}")
    return _within_reach(moment, words)


def _within_reach(moment: int, words: str) -> int:
    if not 0 <= moment <= MAX_MOMENT:
        raise ValueError(f"{shown(words)} is out of reach: times are from 1970 to 9998")
    return moment


def _relative(words: str, now: int, *, back: bool) -> int | None:
    lower = words.lower()
    if lower == "now":
        return now
    if lower.startswith("+"):
        return now + parse_duration(words[1:])
    if lower.startswith("in "):
        return now + parse_duration(words[3:])
    ago = words[1:] if lower.startswith("-") else words[:-4] if lower.endswith(" ago") else ""
    if ago:
        seconds = parse_duration(ago)
        if not back:
            raise ValueError(f"{shown(words)} is past: write +{ago} for so long from now")
        return now - seconds
    return now - parse_duration(words) if back and _is_span(words) else None


def _is_span(words: str) -> bool:
    """Tell whether it is a length of time, and not a time of day or a number."""
    try:
        parse_duration(words)
    except ValueError:
        return False
    return not re.fullmatch("[0-9:]+", words)


def _absolute(words: str, now: int, zone: tzinfo, *, back: bool) -> int | None:
    found = _DAY.fullmatch(words)
    day, rest = (found[1].lower(), found[2]) if found else (None, words)
    if day is None and _COMPACT.match(words):
        return _iso(words, zone)
    if day is not None and not back and day.startswith(("yesterday", "last")):
        raise ValueError(f"{words!r} is past: write {FORMS}")
    if day is not None and not rest:
        if not back and not _DATE.fullmatch(day):
            raise ValueError(f"{words!r}: at what time? Write '{day} 9:00'")
        rest = "00:00"
    match = _TIME_AND_ZONE.fullmatch(rest)
    # A number and something else, 31.12.2027 or 1e9: nobody meant a time of day.
    if match is None or (day is None and match[2] and match[1].isdecimal()):
        return None
    at = _time(match[1], words)
    zone, name = parse_zone(match[2].strip(), zone, words)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    for candidate, is_meant in _days(day, today, words, back=back):
        local = datetime.combine(candidate, at)
        moments = moments_of(local, zone)
        if is_meant or (min(moments) <= now if back else max(moments) >= now):
            return the_one(moments, local, zone, name, words)
    raise ValueError(f"{words!r} is past")


def _days(day: str | None, today: date, words: str, *, back: bool) -> Iterator[tuple[date, bool]]:
    """The days that may be meant, in order, and whether it is the one, whatever the time."""
    step = -1 if back else 1
    try:
        if day is None:
            yield today, False
            yield today + timedelta(step), False
        elif day in ("yesterday", "today", "tomorrow"):
            yield today + timedelta(("yesterday", "today", "tomorrow").index(day) - 1), True
        elif _DATE.fullmatch(day):
            yield date.fromisoformat(day), True
        else:
            which, _, name = day.rpartition(" ")
            weekday = next(n for n, full in enumerate(_WEEKDAYS) if full.startswith(name))
            ahead = (weekday - today.weekday()) % 7
            match which:
                case "next":
                    yield today + timedelta(ahead or 7), True
                case "last":
                    yield today + timedelta(ahead - 7), True
                case _:
                    nearest = ahead - 7 if back and ahead else ahead
                    yield today + timedelta(nearest), False
                    yield today + timedelta(nearest + 7 * step), False
    except ValueError:
        raise ValueError(f"{words!r}: {day} is not a day of the calendar") from None


def _time(text: str, words: str) -> time:
    match = _TIME.fullmatch("12:00" if text.lower() == "noon" else text.lower())
    if match is None or (match["minute"] is None and match["half"] is None):
        raise ValueError(f"{words!r}: {text!r} is not a time of day: write 14:00 or 14:00:30")
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"{words!r}: hours before am and pm are 1 to 12: write 14:00 or 2pm")
        hour = hour % 12 + (12 if match["half"] == "pm" else 0)
    try:
        return time(hour, int(match["minute"] or 0), int(match["second"] or 0))
    except ValueError:
        raise ValueError(f"{words!r}: {text!r} is not a time: a day ends at 23:59:59") from None


#: A date alone, or a year, is no moment.
_HAS_TIME = re.compile(r"\dT\d", re.IGNORECASE)


def _iso(words: str, zone: tzinfo) -> int | None:
    """The moment in one of the other forms of ISO 8601, such as ``20261125T140000Z``."""
    # Here, since few texts come this far and loading it takes as long as a hundred moments.
    from dateutil.parser import isoparse

    if not _HAS_TIME.search(words):
        return None
    try:
        moment = isoparse(words)
    except ValueError:
        return None
    if moment.microsecond:
        raise ValueError(f"{words!r} is not a whole second: leave out the fraction")
    own = moment.tzinfo or zone
    local = moment.replace(tzinfo=None)
    return the_one(moments_of(local, own), local, own, "", words)
