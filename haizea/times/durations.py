"""Lengths of time as people write them, and back: one grammar, wherever Haizea takes one.

``docs/times.md`` is the page about it, for people.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

#: What would be right, at the end of every message about a length of time.
FORMS = "write 90m, 1h30m, 2d, PT1H, HH:MM:SS or seconds"
UNLIMITED = "unlimited"
_NOT_WHOLE = "{} is not a whole number of seconds: leave out the fraction"

_NUMBER = r"\d{1,13}(?:\.\d{0,6})?"
_SECONDS = re.compile(_NUMBER, re.ASCII)
#: More digits than any number has here.
_TOO_LONG = re.compile(r"(?<![.\d])\d{14}", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,7}):)?(\d{1,9}):(\d{1,2}):(\d{1,2}(?:\.\d{0,6})?)", re.ASCII)
_HOURS_AND_MINUTES = re.compile(r"(\d{1,8}):(\d{2})", re.ASCII)
_PART = re.compile(rf"({_NUMBER}) ?([a-z]+) ?", re.ASCII)
_ISO = re.compile(
    "p"
    + "".join(rf"(?:({_NUMBER}){unit})?" for unit in "wd")
    + "(?:t"
    + "".join(rf"(?:({_NUMBER}){unit})?" for unit in "hms")
    + ")?",
    re.ASCII,
)
_ISO_SECONDS = (7 * 86400, 86400, 3600, 60, 1)

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


def shown(text: str) -> str:
    """``text`` in quotes, cut short if it is long, safe to print on one line."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def parse_duration(text: str) -> int:
    """Whole seconds in ``90m``, ``1h30m``, ``2 days``, ``1.5h``, ``PT1H``, ``HH:MM:SS``,
    ``DD:HH:MM:SS``, ``01:30`` (hours and minutes) or ``3600``.

    Raises :class:`ValueError`, saying what is wrong and what would be right.
    """
    seconds = parse_exact(text)
    if seconds.denominator != 1:
        raise ValueError(_NOT_WHOLE.format(shown(text)))
    return int(seconds)


def parse_exact(text: str) -> Fraction:
    """Parse as :func:`parse_duration` does, with fractions of a second."""
    words = " ".join(text.lower().split())
    try:
        return _seconds(words)
    except ValueError as wrong:
        raise ValueError(f"{shown(text)} is not a duration: {wrong}{FORMS}") from None


def parse_lease_duration(text: str, longest_seconds: int, *, round_up: bool = False) -> int | None:
    """The seconds that a lease is to last, at least one; ``None`` for ``unlimited``.

    Errors as in :func:`parse_duration`, unless a fraction of a second is to be rounded up.
    """
    if text.strip().lower() == UNLIMITED:
        return None
    try:
        exact = parse_exact(text)
    except ValueError as wrong:
        raise ValueError(f"{wrong}, or {UNLIMITED}") from None
    if exact.denominator != 1 and not round_up:
        raise ValueError(_NOT_WHOLE.format(shown(text)))
    if exact == 0:
        raise ValueError(f"{shown(text)} is too short: one second is the least")
    if exact > longest_seconds:
        raise ValueError(
            f"{shown(text)} is too long: {format_span(longest_seconds)} is the most; write"
            f" {UNLIMITED} for a lease without end"
        )
    return math.ceil(exact)


def _seconds(words: str) -> Fraction:
    """The seconds in words in lower case. What is wrong is said in an unfinished sentence."""
    if not words:
        raise ValueError("it is empty; ")
    if _SECONDS.fullmatch(words):
        return Fraction(words)
    if words.startswith("-") and len(words) > 1:
        raise ValueError("it is negative; ")
    if _TOO_LONG.search(words):
        raise ValueError("it is too long; ")
    if ":" in words:
        return _of_clock(words)
    if words.startswith("p"):
        return _of_iso(words)
    return _of_parts(words)


def _of_clock(words: str) -> Fraction:
    short = _HOURS_AND_MINUTES.fullmatch(words)
    clock = _CLOCK.fullmatch(f"{words}:00" if short else words)
    if clock is None:
        raise ValueError("")
    days, hours, minutes = (int(part or 0) for part in clock.groups()[:3])
    seconds = Fraction(clock[4])
    if minutes > 59 or seconds >= 60:
        raise ValueError("minutes and seconds go up to 59; ")
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _of_iso(words: str) -> Fraction:
    found = _ISO.fullmatch(words.replace(",", "."))
    if found is None or not any(found.groups()) or words.endswith("t"):
        if re.fullmatch(r"p[\d.,]+[ym].*", words, re.ASCII):
            raise ValueError("years and months are not always as long, so count days, as in P30D; ")
        raise ValueError("an ISO 8601 duration is written as in P1DT2H30M; ")
    parts = zip(found.groups(), _ISO_SECONDS, strict=True)
    return sum((Fraction(count) * seconds for count, seconds in parts if count), Fraction(0))


def _of_parts(words: str) -> Fraction:
    total = Fraction(0)
    at, shortest = 0, 8 * 86400
    while at < len(words):
        part = _PART.match(words, at)
        if part is None:
            raise ValueError("")
        if part[2] not in _UNITS:
            raise ValueError(f"{shown(part[2])} is not a unit of time; ")
        seconds, plural = _UNITS[part[2]]
        if seconds >= shortest:
            raise ValueError(f"{plural} come too late in it; ")
        total += Fraction(part[1]) * seconds
        at, shortest = part.end(), seconds
    return total


def format_span(seconds: int | None) -> str:
    """``1h 30m``, ``2d``, ``unlimited`` for ``None``; :func:`parse_duration` reads it."""
    if seconds is None:
        return UNLIMITED
    if seconds <= 0:
        return "0s"
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    parts = ((days, "d"), (h, "h"), (m, "m"), (s, "s"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count)
