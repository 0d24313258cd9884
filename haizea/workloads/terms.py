"""The terms of a lease in a file: a start, or a window to be done in."""

from __future__ import annotations

from haizea.core.model.lease import Kind


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
