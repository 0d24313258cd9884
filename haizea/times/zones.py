"""Time zones: by name, by offset, the system's own; and which moment a local time is.

A local time that the change to or from summer time skips or repeats is refused, with what to
write instead.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches

_OFFSET = re.compile(r"([+-])(\d{2})(?::?(\d{2})(?::?(\d{2}))?)?", re.ASCII)


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


def local_zone_name() -> str:
    """The system's zone by name, as ``Europe/Madrid``; its present offset where it has no name."""
    told = os.environ.get("TZ", "").removeprefix(":")
    link = os.path.realpath(told if told.startswith("/") else "/etc/localtime")
    name = told if told and not told.startswith("/") else link.partition("/zoneinfo/")[2]
    try:
        _named_zone(name, name)
    except ValueError:
        return datetime.now().astimezone().isoformat()[-6:]
    return name


def _of_system(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None).astimezone()


def parse_zone(text: str, zone: tzinfo, words: str) -> tuple[tzinfo, str]:
    """The zone that is named, and the short name that tells a repeated hour's halves apart.

    ``zone`` is meant where ``text`` is empty, or may be a short name in it. Raises
    :class:`ValueError`; ``words`` are all that was written, for its message.
    """
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
            raise ValueError(f"{words!r}: {text} is not an offset from UTC: write it as +01:00")
        east = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return timezone(east if offset[1] == "+" else -east), ""
    if re.fullmatch("[A-Za-z]{2,6}", text):
        return zone, text.upper()
    return _named_zone(text, words), ""


def _named_zone(text: str, words: str) -> tzinfo:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        known = {name.lower(): name for name in available_timezones()}
    near = get_close_matches(text[:60].lower(), known, n=1, cutoff=0.8)
    right = "write UTC, +01:00 or Europe/Madrid"
    if near:
        right = f"is {known[near[0]]} meant?"
    elif not known:
        right = "this machine knows none by name (its package tzdata is missing): write +01:00"
    raise ValueError(f"{words!r}: {text!r} is not a time zone: {right}")


def moments_of(local: datetime, zone: tzinfo) -> list[int]:
    """The moments of a local time read with the offset before and after a change nearby.

    Raises :class:`OverflowError` where the zone does not reach so far.
    """
    try:
        return sorted({_seconds(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)})
    except ValueError as error:
        raise OverflowError("the zone does not reach so far") from error


def _seconds(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1) - offset) // timedelta(seconds=1)


def the_one(moments: list[int], local: datetime, zone: tzinfo, name: str, words: str) -> int:
    """The moment of ``moments`` that is meant; there are two near a change of the clocks.

    ``name`` is the zone's short name, if it was said. Raises :class:`ValueError` for a local
    time that clocks skip or repeat, saying in ``words``, all that was written, what is wrong.
    """
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
                " such as +01:00, or a name such as Europe/Madrid"
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
