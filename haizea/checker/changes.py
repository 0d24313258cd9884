"""Changes of leases: what is granted holds from then on, what is refused changes nothing.

Each change is on record with what the lease is to be from that moment on, so that a lease can be
held to what it was to be at each moment of its story; and a change never costs a promise.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

from haizea.checker.history import History
from haizea.checker.load import ResultsFile
from haizea.checker.load_places import has_table
from haizea.checker.records import AR, DEADLINE, FINAL, FOREVER, Records, Terms, TermsChange
from haizea.checker.values import UnreadableResults, number, optional, text
from haizea.checker.violation import Rule, Violation

_TABLE = "changes"
_MOST_ROWS = 10_000_000
_STATUSES = frozenset({"asked", "granted", "refused"})

#: Anything of a lease can change while it waits, or its plan has not begun.
_WAITS = frozenset({"Queued", "Scheduled", "Suspended-Queued", "Suspended-Scheduled"})


def read_changes(db: sqlite3.Connection) -> Iterator[tuple[int, TermsChange]]:
    """Read the changes in order of lease, as they were decided; earlier versions have none."""
    if not has_table(db, _TABLE):
        return
    columns = "lease, time, status, start, after, deadline, duration, preemptible, nodes"
    query = f"SELECT {columns} FROM {_TABLE} ORDER BY lease, rowid"
    for count, row in enumerate(db.execute(query)):
        if count >= _MOST_ROWS:
            raise UnreadableResults(f"table {_TABLE} has too many rows")
        status = text(row[2], _TABLE)
        if status not in _STATUSES:
            raise UnreadableResults(f"table {_TABLE}: there is no status {status[:40]!r}")
        start, after, deadline, duration = (optional(value, _TABLE) for value in row[3:7])
        preemptible, nodes = bool(number(row[7], _TABLE)), number(row[8], _TABLE)
        terms = Terms(start, after, deadline, duration, preemptible, nodes)
        yield number(row[0], _TABLE), TermsChange(number(row[1], _TABLE), status, terms)


def kept(records: Records, history: History) -> Iterator[Violation]:
    """Find changes that could not be, that did not hold, or that were refused and made anyway."""
    changes = history.changes
    if not changes:
        return
    if changes[0].status != "asked":
        yield _broken(
            history, changes[0].time, "it is changed, and its terms before are not recorded"
        )
        return
    for before, change in pairwise(changes):
        if change.time < before.time:
            yield _broken(
                history, change.time, "it is changed at an earlier time than the change before"
            )
        elif change.status == "asked":
            yield _broken(history, change.time, "it is asked for a second time")
        elif change.status == "refused" and change.terms != before.terms:
            message = "a change is refused then, and its terms change all the same"
            yield _broken(history, change.time, message)
        elif change.status == "granted":
            yield from _possible(history, before.terms, change)
    if history.lease.terms != changes[-1].terms:
        message = "its terms are not those of its last change"
        yield _broken(history, changes[-1].time, message)
    elif not records.disturbed and not history.failed:
        ends = [change.time for change in changes[1:]] + [FOREVER]
        for change, end in zip(changes, ends, strict=True):
            yield from _held(records, history, change, end)


def _possible(history: History, before: Terms, change: TermsChange) -> Iterator[Violation]:
    """Check that a lease could change so in the state in which it was."""
    time, after = change.time, change.terms
    # In one second it may come to another state before it changes, or afterwards.
    states = {
        span.state
        for span in history.spans
        if span.start <= time and (span.end is None or span.end >= time)
    }
    if states <= FINAL:
        yield _broken(history, time, "it is changed, though it is over or not known yet")
    elif after.start != before.start and after.start is not None and after.start < time:
        yield _broken(history, time, f"its start becomes {after.start}, which is past")
    elif (before.start is None) != (after.start is None) or (before.deadline is None) != (
        after.deadline is None
    ):
        yield _broken(history, time, "it becomes another kind of lease")
    elif not states & _WAITS:
        same = before._replace(preemptible=after.preemptible)
        if "Active" in states:
            same = same._replace(duration=after.duration, deadline=after.deadline)
        if after != same:
            message = f"more of it is changed than can be while it is {', '.join(sorted(states))}"
            yield _broken(history, time, message)


def _held(records: Records, history: History, change: TermsChange, end: int) -> Iterator[Violation]:
    """Check what happens to a lease between a change and the next one."""
    begun, terms, lease = change.time, change.terms, history.lease
    starts = [span.start for span in history.in_state("Active")]
    over = FOREVER if history.final is None else history.final.time
    due = terms.start
    is_due = lease.kind == AR and due is not None and due not in starts
    if is_due and due is not None and begun < due < min(end, over, records.ended):
        yield _broken(history, due, "it was to start then, by what it was at that time")
    for start in starts:
        if not begun < start < end:
            continue
        if lease.kind == AR and start != due:
            yield _broken(history, start, f"it starts then, and was to start at {due}")
        if terms.after is not None and start < terms.after:
            yield _broken(history, start, f"it starts then, and was not to before {terms.after}")
    if terms.duration is None:
        return
    for stay in history.stretches:
        if stay.active is None:
            continue
        until = min(stay.stopped, end, records.ended)
        if until > begun and stay.ran + until - stay.active > terms.duration:
            message = f"it runs for longer than the {terms.duration} s that it was to run then"
            yield _broken(history, until, message)


class Granted:
    """The moments at which changes were granted, and the promises that they may have cost."""

    def __init__(self, file: ResultsFile) -> None:
        self._sure = file.records.changed and not file.records.disturbed
        self._db = file.db

    def paid_for(self, history: History) -> Iterator[Violation]:
        """Find an accepted AR or deadline that was given up when another lease was changed.

        One that its owner or an operator ended does not count.
        """
        final = history.final
        if not self._sure or history.lease.kind not in (AR, DEADLINE) or final is None:
            return
        if final.state not in ("Cancelled", "Failed") or final.code == "user":
            return
        query = f"SELECT lease FROM {_TABLE} WHERE status = 'granted' AND time = ? AND lease <> ?"
        found = self._db.execute(f"{query} LIMIT 1", (final.time, history.lease.id)).fetchone()
        if found is not None:
            message = f"it is given up when a change of lease {found[0]} is granted"
            yield _broken(history, final.time, message)


def _broken(history: History, time: int, message: str) -> Violation:
    return Violation(Rule.CHANGE, history.lease.id, None, time, message)
