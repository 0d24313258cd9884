"""Single values as they stand in workload files: numbers, times, yes and no.

Every function takes text and returns the value, or raises :class:`ValueError` with a
message that says what is wrong and what would be right; readers add file and line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache

#: Bounds that no honest input reaches: 3,000 years, ten million nodes, a million hosts.
#: They keep arithmetic on times and the size of a schedule within reason.
MAX_SECONDS = 10**11
MAX_NODES = 10**7
MAX_HOSTS = 10**6
MAX_AMOUNT = 10**12
MAX_LEASES = 10**7

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_CLOCK = re.compile(r"(?:([0-9]{1,7}):)?([0-9]{1,9}):([0-5]?[0-9]):([0-5]?[0-9])(\.[0-9]*)?")
_YES = frozenset({"true", "yes"})
_NO = frozenset({"false", "no"})


def shown(text: str) -> str:
    """``text`` in quotes, cut short if it is long, safe to print on one line."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


@lru_cache(maxsize=4096)
def whole(text: str, least: int = 0, most: int = MAX_AMOUNT) -> int:
    """A whole number from ``least`` to ``most``."""
    stripped = text.strip()
    if not _WHOLE.fullmatch(stripped):
        raise ValueError(f"{shown(text)} is not a whole number")
    value = int(stripped)
    if value < least:
        raise ValueError(f"{value} is too small: {least} is the least")
    if value > most:
        raise ValueError(f"{value} is too large: {most} is the most")
    return value


def _clock_seconds(text: str) -> tuple[int, bool]:
    """Whole seconds of ``[DD:]HH:MM:SS[.ff]``, and whether a fraction is left over."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{shown(text)} is not a time; write [DD:]HH:MM:SS, as in 01:30:00")
    days, hours, minutes, seconds, fraction = match.groups()
    total = (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + int(seconds)
    if total > MAX_SECONDS:
        raise ValueError(f"{shown(text)} is too long a time: {MAX_SECONDS} seconds are the most")
    return total, bool(fraction and fraction.strip(".0"))


@lru_cache(maxsize=4096)
def moment(text: str) -> int:
    """Seconds of ``[DD:]HH:MM:SS[.ff]`` after the start of a workload, rounded down."""
    return _clock_seconds(text)[0]


def start(text: str) -> int:
    """As :func:`moment`, for the start of an AR, which may be in the past: ``-00:30:00``.

    Such an AR cannot be granted, but traces have them.
    """
    stripped = text.strip()
    if not stripped.startswith("-"):
        return moment(stripped)
    total, more = _clock_seconds(stripped[1:])
    return -(total + more)


@lru_cache(maxsize=4096)
def length(text: str) -> int:
    """Seconds that ``[DD:]HH:MM:SS[.ff]`` lasts, rounded up."""
    total, more = _clock_seconds(text)
    return total + more


def duration(text: str) -> int | None:
    """As :func:`length`, at least one second; ``None`` for ``unlimited``."""
    if text.strip() == "unlimited":
        return None
    seconds = length(text)
    if seconds == 0:
        raise ValueError("a duration of 0 seconds is too short: 00:00:01 is the least")
    return seconds


def clock_or_seconds(text: str) -> str:
    """``text`` as ``HH:MM:SS``, where a plain number of seconds is taken as well."""
    stripped = text.strip()
    if stripped.isdecimal() and stripped.isascii():
        return clock(whole(stripped, 0, MAX_SECONDS))
    return text


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


def capped(real_seconds: int, duration_seconds: int | None) -> int:
    """How long a lease really runs: at least one second, at most what it asks for."""
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
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    elif names:
        hint = "known here: " + ", ".join(names)
    else:
        hint = "none is taken here"
    return f"there is no {what} {shown(name)}; {hint}"
