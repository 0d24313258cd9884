"""The life cycle against the table that users are told of, pair by pair."""

from __future__ import annotations

from itertools import product

import pytest

from haizea.core.model.lifecycle import (
    FINAL,
    TRANSITIONS,
    ImpossibleTransition,
    State,
    check_transition,
)

#: What may follow each state, by the names that users see.
TABLE = {
    "New": "Pending",
    "Pending": "Rejected Queued Scheduled",
    "Queued": "Scheduled",
    "Scheduled": "Preparing Ready Queued",
    "Preparing": "Ready Queued",
    "Ready": "Active Queued",
    "Active": "Suspending Queued Done",
    "Suspending": "Suspended-Pending",
    "Suspended-Pending": "Suspended-Queued Suspended-Scheduled",
    "Suspended-Queued": "Suspended-Scheduled",
    "Suspended-Scheduled": "Migrating Resuming Suspended-Queued",
    "Migrating": "Suspended-Scheduled",
    "Resuming": "Resumed-Ready",
    "Resumed-Ready": "Active",
    "Done": "",
    "Rejected": "",
    "Cancelled": "",
    "Failed": "",
}


def allowed(old: str, new: str) -> bool:
    if old in {"Done", "Rejected", "Cancelled", "Failed"}:
        return False
    return new in {"Cancelled", "Failed"} or new in TABLE[old].split()


def test_every_state_is_in_the_table() -> None:
    assert {state.value for state in State} == set(TABLE)


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_each_pair_of_states(old: State, new: State) -> None:
    assert (new in TRANSITIONS[old]) == allowed(old.value, new.value)
    if allowed(old.value, new.value):
        check_transition(7, old, new)
    else:
        with pytest.raises(ImpossibleTransition, match=f"lease 7 cannot go from {old} to {new}"):
            check_transition(7, old, new)


def test_final_states_are_those_that_nothing_follows() -> None:
    assert {state for state in State if not TRANSITIONS[state]} == FINAL


def test_what_is_impossible_tells_the_story() -> None:
    with pytest.raises(ImpossibleTransition, match=r"it is final.*its story: New → Done"):
        check_transition(3, State.DONE, State.ACTIVE, "New → Done")


def test_every_state_can_be_reached_and_left() -> None:
    reached = {State.NEW}
    while True:
        further = reached.union(*(TRANSITIONS[state] for state in reached))
        if further == reached:
            break
        reached = further
    assert reached == set(State)
