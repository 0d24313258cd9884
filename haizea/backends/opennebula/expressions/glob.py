"""Texts with wildcards: ``*``, ``?``, ``[a-z]``, ``[!a-z]``, and a backslash before what is meant
as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class _Segment:
    """The part of a pattern between two stars. It matches texts of one length only."""

    characters: int
    pattern: re.Pattern[str]


@lru_cache(maxsize=1000)
def glob(pattern: str) -> Callable[[str], bool]:
    """Return a test of whether a text matches the pattern as a whole; case counts.

    It takes time in proportion to text times pattern at worst, whatever they are: the
    leftmost place for each segment is as good as any other, so none is tried twice.
    """
    if not set(pattern) & set("*?[\\"):
        return pattern.__eq__
    first, *rest = [_segment(tokens) for tokens in _segments(pattern)]
    if not rest:
        return lambda text: first.pattern.fullmatch(text) is not None
    *middle, last = rest

    def matches(text: str) -> bool:
        end = len(text) - last.characters
        if first.characters > end or not first.pattern.match(text):
            return False
        position = first.characters
        for segment in middle:
            found = segment.pattern.search(text, position, end)
            if found is None:
                return False
            position = found.end()
        return last.pattern.fullmatch(text, end) is not None

    return matches


def _segment(tokens: list[str]) -> _Segment:
    return _Segment(len(tokens), re.compile("".join(tokens), re.DOTALL))


def _segments(pattern: str) -> Iterator[list[str]]:
    """For every segment, a regular expression for each of its characters."""
    segment: list[str] = []
    position = 0
    while position < len(pattern):
        token, position = _token(pattern, position)
        if token:
            segment.append(token)
        else:
            yield segment
            segment = []
    yield segment


def _token(pattern: str, position: int) -> tuple[str, int]:
    """The regular expression for what stands there ("" for a star), and what is next."""
    character, after = pattern[position], position + 1
    match character:
        case "*":
            return "", after
        case "?":
            return ".", after
        case "\\" if after < len(pattern):
            return re.escape(pattern[after]), after + 1
        case "[":
            # A bracket that closes nothing stands for itself, the first one in a set too.
            start = after + pattern.startswith(("!", "^"), after)
            end = pattern.find("]", start + 1)
            if end > 0:
                return _set(pattern[start:end], negated=start > after), end + 1
        case _:
            pass
    return re.escape(character), after


def _set(members: str, *, negated: bool) -> str:
    """The regular expression for one of these characters."""
    parts: list[str] = []
    position = 0
    while position < len(members):
        low = members[position]
        if members[position + 1 : position + 2] == "-" and position + 2 < len(members):
            high = members[position + 2]
            position += 3
        else:
            high = low
            position += 1
        if low <= high:
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
    if not parts:
        return "." if negated else r"(?!.)."
    return f"[{'^' if negated else ''}{''.join(parts)}]"
