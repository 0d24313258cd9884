"""The window of a lease with a deadline, as forms say it."""

from __future__ import annotations

from datetime import UTC
from typing import NamedTuple

from haizea.api.problems import invalid
from haizea.core.model.lease import Kind
from haizea.times.moments import changing_words, parse_moment


class Window(NamedTuple):
    """Not before, and done by; ``said`` where that means another window each time it is asked."""

    after: int | None
    deadline: int | None
    said: str = ""


def parse_window(after: str | None, deadline: str | None, now: int) -> Window:
    """The window in words. Raises :class:`Refused` for what makes no sense."""
    texts = (after, deadline)
    found = [_moment(n, t, now) for n, t in zip(("after", "deadline"), texts, strict=True)]
    said = ["" if text is None else changing_words(text, UTC) for text in texts]
    fixed = [str(moment) for moment in found]
    words = [anew or same for anew, same in zip(said, fixed, strict=True)]
    return Window(found[0], found[1], " to ".join(words) if any(said) else "")


def _moment(field: str, text: str | None, now: int) -> int | None:
    if text is None:
        return None
    try:
        return parse_moment(text, now, UTC)
    except ValueError as wrong:
        raise invalid(field, str(wrong)) from None


def check_window(kind: Kind | None, start: str | None, duration: int | None) -> None:
    """See that a lease with a deadline has a duration, no start, and is of no other kind.

    Raises :class:`Refused`.
    """
    if start is not None:
        raise invalid("start", "it has a deadline: say after for when it may begin")
    if kind not in (None, Kind.DEADLINE):
        raise invalid("deadline", f"a lease of kind {kind} has none")
    if duration is None:
        raise invalid("duration", "a lease with a deadline needs a duration")
