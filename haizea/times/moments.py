"""Moments in every form that people write, and back, in their own time zone.

Nothing here looks at a clock: what is said (``tomorrow 9:00``), the present moment and the
zone give a moment, always the same. A local time that the change to or from summer time
skips or repeats is refused with what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from haizea.core.model.lease import Kind
from haizea.times import parse_span

#: The last moment that can be told in every zone: the end of the year 9998.
MAX_MOMENT = 253370764799

FORMS = "now, +00:30, +2d, 14:00, 'tomorrow 9:00', 'monday 9:00', or '2026-11-25 14:00'"

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)? ?(?P<half>am|pm)?",
    re.ASCII,
)
#: What begins with a year is a date in one of the rarer forms of ISO 8601.
_COMPACT = re.compile(r"\d{4}", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2})(?::?(\d{2})(?::?(\d{2}))?)?", re.ASCII)
#: A time and, after it, a zone; the sign of an offset may follow the time at once.
_TIME_AND_ZONE = re.compile(r"([\d:]+(?: ?(?:am|pm)\b)?)(.*)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Start:
    """When a lease is to start: ``moment`` (seconds since the epoch) for an AR alone."""

    kind: Kind
    moment: int | None = None


class SystemZone(tzinfo):
    """Local time, as the system has it (``TZ``, or else its own setting)."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else _of_system(moment).utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Not known: what is needed of a zone is its offset."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else _of_system(moment).tzname()

    def fromutc(self, moment: datetime) -> datetime:
        # A naive datetime knows which of two equal local times it is; an aware one does not.
        local = datetime.fromtimestamp(moment.replace(tzinfo=UTC).timestamp())
        return local.replace(tzinfo=self)

    def __repr__(self) -> str:
        return "SystemZone()"


def _of_system(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None).astimezone()


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


def format_span(seconds: int | None) -> str:
    """``1h 30m``, ``2d``, ``unlimited`` for ``None``; :func:`haizea.times.parse_span` reads it."""
    if seconds is None:
        return "unlimited"
    if seconds <= 0:
        return "0s"
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    parts = ((days, "d"), (h, "h"), (m, "m"), (s, "s"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count)


def format_distance(moment: int, now: int) -> str:
    """How far a moment is from now, to two units: ``in 3h 20m``, ``2d 4h ago``, ``now``."""
    if moment == now:
        return "now"
    parts = format_span(abs(moment - now)).split()
    if "d" in parts[0] and len(parts) > 1 and "s" in parts[1]:
        parts = parts[:1]
    span = " ".join(parts[:2])
    return f"in {span}" if moment > now else f"{span} ago"


# --- from text ----------------------------------------------------------------------------


def parse_start(text: str, now: int, zone: tzinfo) -> Start:
    """When a lease is to start: ``best_effort``, ``now``, or any form of :func:`parse_moment`.

    Raises :class:`ValueError`, saying what would be right.
    """
    word = " ".join(text.lower().replace("_", "-").split())
    if word in ("best-effort", "best effort"):
        return Start(Kind.BEST_EFFORT)
    if word == "now":
        return Start(Kind.IMMEDIATE)
    return Start(Kind.AR, parse_moment(text, now, zone))


def changing_words(text: str, zone: tzinfo) -> str:
    """``text`` itself where it means another moment each time it is said, as ``+00:30`` does.

    Empty for what always means the same; ``text`` is known to be a start.
    """
    words = " ".join(text.lower().split())
    try:
        # Two moments that differ in time of day, day and weekday.
        first, other = (parse_moment(words, now, zone) for now in (0, 10 * 86400 + 3600))
    except ValueError:
        return words
    return "" if first == other else words


def parse_moment(text: str, now: int, zone: tzinfo) -> int:
    """The moment that a person means by ``text`` at the moment ``now`` in ``zone``.

    Taken are ``now``; a span from now, ``+00:30``, ``+2d``, ``in 90m``; a time, ``14:00`` or
    ``2pm``, today or, where that is past, tomorrow; a time with a day before it, ``today``,
    ``tomorrow``, a weekday (the next such day on which the time is not past) or a date; and
    ISO 8601. After a time there may be a zone: ``Z``, ``UTC``, ``+01:00``, ``Europe/Madrid``,
    or the short name that the zone itself has at that time.

    Raises :class:`ValueError`, saying what would be right.
    """
    words = " ".join(text.split())
    if not words:
        raise ValueError(f"a time is missing: write {FORMS}")
    try:
        moment = _relative(words, now)
        if moment is None:
            moment = _absolute(words, now, zone)
    except OverflowError:
        moment = -1
    if not 0 <= moment <= MAX_MOMENT:
        raise ValueError(f"{text!r} is out of reach: times are from 1970 to 9998")
    return moment


def _relative(words: str, now: int) -> int | None:
    if words.lower() == "now":
        return now
    if words.startswith("+"):
        return now + parse_span(words[1:])
    if words.lower().startswith("in "):
        return now + parse_span(words[3:])
    return None


def _absolute(words: str, now: int, zone: tzinfo) -> int:
    day, rest = _split_day(words)
    match = None if day is None and _COMPACT.match(words) else _TIME_AND_ZONE.fullmatch(rest)
    if not rest and day is not None and _DATE.fullmatch(day):
        match = _TIME_AND_ZONE.fullmatch("00:00")
    if match is None:
        if day is not None and not rest:
            raise ValueError(f"{words!r}: at what time? Write '{day} 9:00'")
        return _iso(words, zone)
    if day is None and match[2] and match[1].isdecimal():
        # A number and something else, 31.12.2027 or 1e9: nobody meant a time of day.
        raise ValueError(_unknown(words))
    at = _time(match[1], words)
    zone, name = _zone(match[2].strip(), zone, words)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    for candidate, may_be_past in _days(day, today, words):
        moments = _moments(datetime.combine(candidate, at), zone)
        if may_be_past or max(moments) >= now:
            return _the_one(moments, datetime.combine(candidate, at), zone, name, words)
    raise ValueError(f"{words!r} is past")


def _split_day(words: str) -> tuple[str | None, str]:
    """The day that ``words`` begin with, if they do, and what follows it."""
    first, _, rest = words.partition(" ")
    if first[10:11] in ("T", "t") and _DATE.fullmatch(first[:10]):
        return first[:10], f"{first[11:]} {rest}".strip()
    word = first.lower()
    if _DATE.fullmatch(word) or word in ("today", "tomorrow") or _weekday(word) is not None:
        rest = rest.strip()
        return word, rest[3:] if rest.lower().startswith("at ") else rest
    return None, words


def _weekday(word: str) -> int | None:
    for number, name in enumerate(_WEEKDAYS):
        if word in (name, name[:3]):
            return number
    return None


def _days(day: str | None, today: date, words: str) -> Iterator[tuple[date, bool]]:
    """The days that may be meant, in order, and whether it may be one whose time is past."""
    try:
        if day is None:
            yield today, False
            yield today + timedelta(1), False
        elif day == "today":
            yield today, True
        elif day == "tomorrow":
            yield today + timedelta(1), True
        elif (weekday := _weekday(day)) is not None:
            ahead = (weekday - today.weekday()) % 7
            yield today + timedelta(ahead), False
            yield today + timedelta(ahead + 7), False
        else:
            yield date.fromisoformat(day), True
    except ValueError:
        raise ValueError(f"{words!r}: {day} is not a day of the calendar") from None


def _time(text: str, words: str) -> time:
    match = _TIME.fullmatch(text.lower())
    if match is None or (match["minute"] is None and match["half"] is None):
        raise ValueError(f"{words!r}: {text!r} is not a time of day: write 14:00 or 14:00:30")
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"{words!r}: hours before am and pm are 1 to 12")
        hour = hour % 12 + (12 if match["half"] == "pm" else 0)
    try:
        return time(hour, int(match["minute"] or 0), int(match["second"] or 0))
    except ValueError:
        raise ValueError(f"{words!r}: {text!r} is not a time: a day ends at 23:59:59") from None


def _iso(words: str, zone: tzinfo) -> int:
    """Other forms of ISO 8601, such as ``20261125T140000Z``."""
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        raise ValueError(_unknown(words)) from None
    if moment.microsecond:
        raise ValueError(f"{words!r} is not a whole second: leave out the fraction")
    own = moment.tzinfo or zone
    local = moment.replace(tzinfo=None)
    return _the_one(_moments(local, own), local, own, "", words)


def _unknown(words: str) -> str:
    return f"{words!r} is not a time that is known here: write {FORMS}"


def _zone(text: str, zone: tzinfo, words: str) -> tuple[tzinfo, str]:
    """The zone that is named, and the short name that tells a repeated hour's halves apart."""
    if not text:
        return zone, ""
    if re.match("[.,][0-9]", text):
        raise ValueError(f"{words!r} is not a whole second: leave out the fraction")
    if text in ("Z", "z") or text.upper() in ("UTC", "GMT"):
        return UTC, ""
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        hours, minutes, seconds = (int(part or 0) for part in offset.groups()[1:])
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError(f"{words!r}: {text} is not an offset from UTC, as in +01:00")
        east = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return timezone(east if offset[1] == "+" else -east), ""
    if re.fullmatch("[A-Za-z]{2,6}", text):
        return zone, text.upper()
    return _named_zone(text, words), ""


def _named_zone(text: str, words: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise ValueError(
            f"{words!r}: {text!r} is not a time zone: write UTC, +01:00 or Europe/Madrid"
        ) from None


def _moments(local: datetime, zone: tzinfo) -> list[int]:
    """The moments of a local time read with the offset before and after a change nearby."""
    try:
        return sorted({_seconds(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)})
    except ValueError as error:
        raise OverflowError("the zone does not reach so far") from error


def _seconds(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1) - offset) // timedelta(seconds=1)


def _the_one(moments: list[int], local: datetime, zone: tzinfo, name: str, words: str) -> int:
    """The moment of ``moments`` that is meant; there are two near a change of the clocks."""
    real = [m for m in moments if _is_shown_as(m, local, zone)]
    if not real:
        raise ValueError(
            f"{words!r}: there is no {local:%H:%M} on {local:%Y-%m-%d}, clocks are put forward"
            f" then; write {_choices(moments, zone)}"
        )
    if name:
        real = [m for m in real if _named(m, zone) == name]
        if not real:
            raise ValueError(
                f"{words!r}: {name} is not the zone here at that time; write UTC, or an offset"
                " such as +01:00"
            )
    if len(real) > 1:
        raise ValueError(
            f"{words!r}: there are two {local:%H:%M} on {local:%Y-%m-%d}, clocks are put back"
            f" then; write {_choices(real, zone)}"
        )
    return real[0]


def _is_shown_as(moment: int, local: datetime, zone: tzinfo) -> bool:
    return _local(moment, zone).replace(tzinfo=None, fold=0) == local.replace(fold=0)


def _named(moment: int, zone: tzinfo) -> str:
    return (_local(moment, zone).tzname() or "").upper()


def _local(moment: int, zone: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).astimezone(zone)


def _choices(moments: list[int], zone: tzinfo) -> str:
    return " or ".join(f"'{_local(m, zone).isoformat(sep=' ')}'" for m in moments)
