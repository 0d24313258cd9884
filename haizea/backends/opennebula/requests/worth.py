"""Differences that are worth telling the schedule."""

from __future__ import annotations

#: What is planned changes by so many seconds at least, and by this part of them.
_WORTH_SECONDS, _WORTH = 2, 0.1


def is_news(seconds: int, before: int) -> bool:
    """Tell whether a time differs from what was planned ``before`` by as much as matters."""
    return abs(seconds - before) > max(_WORTH_SECONDS, _WORTH * before)
