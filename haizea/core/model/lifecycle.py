"""The life cycle of a lease: one table, and nothing else changes a state.

=====================  ==========================================================
state                  meaning
=====================  ==========================================================
New                    asked for, not yet looked at
Pending                being looked at
Queued                 waits for hosts; nothing of it is reserved
Scheduled              holds a reservation that has not started
Preparing              its disk images are being transferred, or its VMs started
Ready                  images are in place or VMs run; its start is due
Active                 runs on all its nodes (shutting down is the end of it)
Suspending             its memory is being saved
Suspended-Pending      just saved; being looked at
Suspended-Queued       saved; waits for hosts
Suspended-Scheduled    saved; holds a reservation to go on
Migrating              its saved memory moves to other hosts
Resuming               its memory is being restored
Resumed-Ready          restored; goes on at once
Done, Rejected,        final
Cancelled, Failed
=====================  ==========================================================
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """A lease's state; the value is the name that users see."""

    NEW = "New"
    PENDING = "Pending"
    REJECTED = "Rejected"
    QUEUED = "Queued"
    SCHEDULED = "Scheduled"
    PREPARING = "Preparing"
    READY = "Ready"
    ACTIVE = "Active"
    SUSPENDING = "Suspending"
    SUSPENDED_PENDING = "Suspended-Pending"
    SUSPENDED_QUEUED = "Suspended-Queued"
    SUSPENDED_SCHEDULED = "Suspended-Scheduled"
    MIGRATING = "Migrating"
    RESUMING = "Resuming"
    RESUMED_READY = "Resumed-Ready"
    DONE = "Done"
    CANCELLED = "Cancelled"
    FAILED = "Failed"


FINAL = frozenset({State.DONE, State.REJECTED, State.CANCELLED, State.FAILED})

_FORWARD: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.PENDING}),
    State.PENDING: frozenset({State.REJECTED, State.QUEUED, State.SCHEDULED}),
    State.QUEUED: frozenset({State.SCHEDULED}),
    State.SCHEDULED: frozenset({State.PREPARING, State.READY, State.QUEUED}),
    State.PREPARING: frozenset({State.READY, State.QUEUED}),
    State.READY: frozenset({State.ACTIVE, State.QUEUED}),
    State.ACTIVE: frozenset({State.SUSPENDING, State.QUEUED, State.DONE}),
    State.SUSPENDING: frozenset({State.SUSPENDED_PENDING}),
    State.SUSPENDED_PENDING: frozenset({State.SUSPENDED_QUEUED, State.SUSPENDED_SCHEDULED}),
    State.SUSPENDED_QUEUED: frozenset({State.SUSPENDED_SCHEDULED}),
    State.SUSPENDED_SCHEDULED: frozenset({State.MIGRATING, State.RESUMING, State.SUSPENDED_QUEUED}),
    State.MIGRATING: frozenset({State.SUSPENDED_SCHEDULED}),
    State.RESUMING: frozenset({State.RESUMED_READY}),
    State.RESUMED_READY: frozenset({State.ACTIVE}),
}

#: What may follow each state. From any state that is not final a lease may be cancelled or fail.
TRANSITIONS: dict[State, frozenset[State]] = {
    state: frozenset() if state in FINAL else _FORWARD[state] | {State.CANCELLED, State.FAILED}
    for state in State
}


class ImpossibleTransition(AssertionError):
    """A state change outside the table: a programming error, told with the lease's story."""


def check_transition(lease_id: int, old: State, new: State, story: str = "") -> None:
    """Raise :class:`ImpossibleTransition` unless the table has ``old`` → ``new``."""
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(sorted(TRANSITIONS[old])) or "nothing: it is final"
        raise ImpossibleTransition(
            f"lease {lease_id} cannot go from {old} to {new} (possible: {allowed})"
            + (f"; its story: {story}" if story else "")
        )
