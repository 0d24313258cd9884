"""The terms of a lease in a file: a start, or a window to be done in; hosts that it keeps."""

from __future__ import annotations

from haizea.core.model.lease import Kind
from haizea.times import shown

#: The hosts of a lease that keeps those that it is given first, and of any other.
FIXED, ANY = "fixed", "any"


def windowed(
    kind: Kind, after_seconds: int | None, deadline_seconds: int | None, duration: int | None
) -> Kind:
    """The kind of a lease that asks to begin so and to be done in such a window.

    ``kind`` is what its start says. Raises ``ValueError`` for terms that do not go together.
    """
    if deadline_seconds is None:
        if after_seconds is not None:
            raise ValueError("after: this is for leases with a deadline: give one, or leave it out")
        return kind
    if kind is not Kind.BEST_EFFORT:
        raise ValueError("deadline: it has a start, too: write after for when it may begin")
    if duration is None:
        raise ValueError("deadline: a lease without end is never done: give it a duration")
    return Kind.DEADLINE


def parse_fixed(text: str) -> bool:
    """Tell whether a lease keeps the hosts that it is given first: ``fixed``, or ``any``.

    Raises ``ValueError``.
    """
    word = text.strip().lower()
    if word not in (FIXED, ANY):
        raise ValueError(f"{shown(text)} is neither {FIXED} nor {ANY}")
    return word == FIXED
