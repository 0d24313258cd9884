"""The words of a ``HAIZEA`` attribute: start, duration, preemptible, group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches

from dateutil.parser import isoparse

from haizea.core.model.lease import Kind
from haizea.times import parse_duration

_BEST_EFFORT = frozenset(["best_effort", "best-effort"])
_TRUE = frozenset(["yes", "true"])
_FALSE = frozenset(["no", "false"])
_NAMES = ("START", "DURATION", "PREEMPTIBLE", "GROUP", "GROUP_SIZE")
_START_FORMS = "best_effort, now, YYYY-MM-DD HH:MM:SS, or +HH:MM:SS from submission"
#: ISO 8601 has shorter forms too, of which ``3600`` is a year.
_DATE_AND_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}|\d{8}T\d{4}).*", re.ASCII)
_GROUP_SIZE = re.compile(r"[0-9]{1,5}", re.ASCII)
_LONGEST_GROUP = 128
_LONGEST_WORD = 200
#: A hundred years; what is meant to last longer is meant to have no end.
_LONGEST_SECONDS = 100 * 366 * 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Start:
    """When a lease is to start: of an AR at ``moment`` or ``after`` seconds from submission."""

    kind: Kind
    moment: int | None = None
    after: int | None = None

    def at(self, submitted: int) -> int | None:
        """The start of an AR in seconds since the epoch, ``None`` for the other kinds."""
        return self.moment if self.after is None else submitted + self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a ``HAIZEA`` attribute says, understood. ``duration`` in seconds, ``None`` without end.

    ``group_size`` is how many VMs the group has, ``None`` where it does not say.
    """

    start: Start
    duration: int | None
    preemptible: bool
    group: str = ""
    group_size: int | None = None


def unquoted(text: str) -> str:
    """What a user wrote, without quotes of either kind around it.

    OpenNebula takes apostrophes for part of a value, and what it shows has them for quotes.
    """
    words = text.strip()
    if len(words) > 1 and words[0] == words[-1] and words[0] in "'\"":
        return words[1:-1]
    return words


def parse_words(words: Mapping[str, str], *, default: Start, zone: tzinfo | None) -> Words:
    """A ``HAIZEA`` attribute. What it leaves out: ``default`` start, without end, not preemptible.

    ``zone`` is that of the frontend, ``None`` for this machine's. Raises
    :class:`ValueError`, saying what is wrong and what would be right.
    """
    for name in words:
        if name not in _NAMES:
            raise ValueError(_unknown(name))
    group, group_size = _group(words)
    return Words(
        start=parse_start(words["START"], zone=zone) if _said(words, "START") else default,
        duration=parse_lease_duration(words["DURATION"]) if _said(words, "DURATION") else None,
        preemptible=_boolean(words["PREEMPTIBLE"]) if _said(words, "PREEMPTIBLE") else False,
        group=group,
        group_size=group_size,
    )


def parse_start(text: str, *, zone: tzinfo | None = None) -> Start:
    """Any form of ``start``; errors and ``zone`` as in :func:`parse_words`."""
    words = text.strip()
    if len(words) > _LONGEST_WORD:
        raise ValueError(f"HAIZEA start is too long: write {_START_FORMS}")
    if words.lower() in _BEST_EFFORT:
        return Start(Kind.BEST_EFFORT)
    if words.lower() == "now":
        return Start(Kind.IMMEDIATE)
    if words.startswith("+"):
        return Start(Kind.AR, after=_after(words))
    return Start(Kind.AR, moment=_moment(words, zone))


def parse_lease_duration(text: str) -> int | None:
    """``unlimited`` (``None``) or seconds; errors as in :func:`parse_words`."""
    words = text.strip()
    right = "write unlimited, [DD:]HH:MM:SS or seconds"
    if words.lower() == "unlimited":
        return None
    try:
        seconds = parse_duration(words)
    except ValueError:
        raise ValueError(f"HAIZEA duration {_shown(words)} is none: {right}") from None
    if seconds == 0:
        raise ValueError(f"HAIZEA duration {_shown(words)} is no time at all: {right}")
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f"HAIZEA duration {_shown(words)} is over a hundred years: {right}")
    return seconds


def _after(words: str) -> int:
    try:
        seconds = parse_duration(words[1:].strip())
    except ValueError:
        seconds = _LONGEST_SECONDS + 1
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f"HAIZEA start {_shown(words)} is none: write {_START_FORMS}")
    return seconds


def _moment(words: str, zone: tzinfo | None) -> int:
    try:
        if not _DATE_AND_TIME.fullmatch(words):
            raise ValueError
        moment = isoparse(words)
        if moment.microsecond:
            raise _NoSuchMoment("leave out the fraction of a second")
        if moment.tzinfo is None:
            moment = _on_the_clock(moment, zone)
        return (moment - _EPOCH) // timedelta(seconds=1)
    except _NoSuchMoment as error:
        raise ValueError(f"HAIZEA start {_shown(words)}: {error}") from None
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"HAIZEA start {_shown(words)} is none: write {_START_FORMS}") from None


class _NoSuchMoment(Exception):
    """A time of day that clocks skip, or that is not a whole second."""


def _on_the_clock(moment: datetime, zone: tzinfo | None) -> datetime:
    """A time that the frontend's clock shows; the first, of one that it shows twice."""
    there = moment.astimezone() if zone is None else moment.replace(tzinfo=zone)
    universal = there.astimezone(UTC)
    if universal.astimezone(zone).replace(tzinfo=None) != moment:
        raise _NoSuchMoment(
            "clocks are put forward then, and skip it; write another time, or one with a zone"
            " such as +01:00"
        )
    return universal


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"HAIZEA preemptible {_shown(text)} is neither yes nor no")


def _group(words: Mapping[str, str]) -> tuple[str, int | None]:
    group = words.get("GROUP", "").strip()
    if len(group) > _LONGEST_GROUP:
        raise ValueError(f"HAIZEA group {_shown(group)} is longer than {_LONGEST_GROUP} characters")
    if not _said(words, "GROUP_SIZE"):
        return group, None
    size = words["GROUP_SIZE"].strip()
    if not group:
        raise ValueError("HAIZEA group_size is without a group: add group, or leave it out")
    if not _GROUP_SIZE.fullmatch(size) or int(size) == 0:
        raise ValueError(f"HAIZEA group_size {_shown(size)} is none: write how many VMs it has")
    return group, int(size)


def _said(words: Mapping[str, str], name: str) -> bool:
    return bool(words.get(name, "").strip())


def _unknown(name: str) -> str:
    names = [known.lower() for known in _NAMES]
    near = get_close_matches(name[:40].lower(), names, n=1)
    hint = f"is {near[0]} meant?" if near else f"write {', '.join(names)}"
    return f"HAIZEA has no attribute {_shown(name.lower())}: {hint}"


def _shown(text: str) -> str:
    """What a user wrote, short and on one line."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
