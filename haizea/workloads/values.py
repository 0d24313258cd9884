"""Single values as they stand in workload files: numbers, times, yes and no.

Every function takes text and returns the value, or raises :class:`ValueError` with a
message that says what is wrong and what would be right; readers add file and line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import lru_cache

from haizea.plugins import nearest
from haizea.times import parse_lease_duration, parse_time, shown
from haizea.times.durations import parse_exact

#: Bounds that no honest input reaches: 3,000 years, ten million nodes, a million hosts.
#: They keep arithmetic on times and the size of a schedule within reason.
MAX_SECONDS = 10**11
MAX_NODES = 10**7
MAX_HOSTS = 10**6
MAX_AMOUNT = 10**12
MAX_LEASES = 10**7
#: Characters of a label; a service takes as many.
MAX_LABEL = 200

_WHOLE = re.compile(r"[+-]?[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]|[0-9]{8}T")
_TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}")
_YES = frozenset({"true", "yes"})
_NO = frozenset({"false", "no"})
#: What cannot be shown, or turns round the order of what follows.
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@lru_cache(maxsize=4096)
def whole(text: str, least: int = 0, most: int = MAX_AMOUNT) -> int:
    """A whole number from ``least`` to ``most``."""
    stripped = text.strip()
    if not _WHOLE.fullmatch(stripped):
        raise ValueError(f"{shown(text)} is not a whole number")
    digits = stripped.lstrip("+-0")
    # Python makes no numbers of very many digits, and no bound has as many.
    value = int(digits[:19] or "0") * (-1 if stripped.startswith("-") else 1)
    told = str(value) if len(digits) < 20 else f"{value}... ({len(digits)} digits)"
    if value < least:
        raise ValueError(f"{told} is too small: {least} is the least")
    if value > most:
        raise ValueError(f"{told} is too large: {most} is the most")
    return value


@lru_cache(maxsize=4096)
def moment(text: str) -> int:
    """Seconds after the start of a workload, rounded down."""
    return math.floor(_offset(text))


@lru_cache(maxsize=4096)
def start(text: str) -> int:
    """Read the start of an AR as :func:`moment` does, even one in the past: ``-00:30:00``.

    Such an AR cannot be granted, but traces have them.
    """
    words = text.strip()
    return math.floor(-_offset(words[1:]) if words.startswith("-") else _offset(words))


def start_from(origin: int) -> Callable[[str], int]:
    """Return a :func:`start` that takes a date and time, too: UTC, unless it says its zone.

    ``origin`` is the moment of the workload's start, in seconds since the epoch.
    """

    def read(text: str) -> int:
        if _DATE.match(text.strip()):
            return parse_time(text) - origin
        return start(text)

    return read


@lru_cache(maxsize=4096)
def length(text: str) -> int:
    """Seconds that something lasts, rounded up."""
    return math.ceil(_bounded(parse_exact(text), text))


@lru_cache(maxsize=4096)
def duration(text: str) -> int | None:
    """Read a duration as :func:`length` does, at least one second; ``None`` for ``unlimited``."""
    return parse_lease_duration(text, MAX_SECONDS, round_up=True)


def _offset(text: str) -> Fraction:
    """Seconds after the start of a workload, any length of time, with a ``+`` if need be.

    ``9:00`` alone is refused: that may be a time of day.
    """
    words = text.strip()
    if _TIME_OF_DAY.fullmatch(words):
        raise ValueError(
            f"{shown(words)} is not clear: write {words}:00 or +{words} for hours and minutes after"
            " the start"
        )
    if _DATE.match(words):
        raise ValueError(
            f"{shown(words)} is a date, and the workload's start has none here: write how long"
            " after it, as in 1h30m or 36:00:00"
        )
    return _bounded(parse_exact(words.removeprefix("+")), words)


def _bounded(seconds: Fraction, text: str) -> Fraction:
    if seconds > MAX_SECONDS:
        raise ValueError(f"{shown(text)} is too long a time: {MAX_SECONDS} seconds are the most")
    return seconds


def clock(seconds: int) -> str:
    """``HH:MM:SS``, or ``DD:HH:MM:SS`` from one day on; :func:`start` reads it back."""
    if seconds < 0:
        return "-" + clock(-seconds)
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    return f"{days:02}:{h:02}:{m:02}:{s:02}" if days else f"{h:02}:{m:02}:{s:02}"


def boolean(text: str) -> bool:
    """``true`` or ``yes``, ``false`` or ``no``, in any case."""
    word = text.strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError(f"{shown(text)} is neither yes nor no; write true, false, yes or no")


def label(text: str) -> str:
    """A name for people, on one line."""
    told = " ".join(text.split())
    if len(told) > MAX_LABEL:
        raise ValueError(f"{len(told)} characters are too many: {MAX_LABEL} are the most")
    if _UNSHOWN.search(told):
        raise ValueError("there is a character in it that cannot be shown")
    return told


def capped(real_seconds: int, duration_seconds: int | None) -> int:
    """Return how long a lease really runs: at least one second, at most what it asks for."""
    least = max(real_seconds, 1)
    return least if duration_seconds is None else min(least, duration_seconds)


def amounts(text: str) -> dict[str, int]:
    """A capacity as in configuration files: ``CPU:100 Memory:1024``."""
    result: dict[str, int] = {}
    for word in text.split():
        name, colon, number = word.partition(":")
        if not name or not colon:
            raise ValueError(f"{shown(word)} is not TYPE:AMOUNT, as in CPU:100")
        result[name] = result.get(name, 0) + whole(number)
    if not result:
        raise ValueError("a capacity is missing; write it as in CPU:100 Memory:1024")
    return result


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """``there is no <what> 'x'``, with the nearest known name or, failing that, all of them."""
    names = sorted(known)
    near = nearest(name, names)
    if near:
        hint = f"did you mean {near!r}?"
    elif names:
        hint = "known here: " + ", ".join(names)
    else:
        hint = "none is taken here"
    return f"there is no {what} {shown(name)}; {hint}"
