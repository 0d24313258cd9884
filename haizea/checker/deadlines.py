"""The rule of deadlines: a lease that is accepted with one runs, all of it, within its window."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import History
from haizea.checker.records import DEADLINE, FINAL, Records
from haizea.checker.starts import may_end_early
from haizea.checker.violation import Rule, Violation


def deadline(records: Records, history: History) -> Iterator[Violation]:
    """Find leases that begin before their window, are done after it, or do not run for all of it.

    Where operations fail or take longer than planned, only that one never begins too soon.
    """
    lease = history.lease
    if lease.kind != DEADLINE or lease.state == "Rejected" or not history.story:
        return
    for active in history.in_state("Active"):
        if lease.after is not None and active.start < lease.after:
            yield _broken(history, active.start, f"it starts before {lease.after}")
    if records.disturbed or history.failed:
        return
    yield from _in_time(records, history)


def _in_time(records: Records, history: History) -> Iterator[Violation]:
    """Find leases that do not run in time, or that are suspended and may not go on in time."""
    lease, last = history.lease, history.story[-1]
    assert lease.deadline is not None, "the loader refuses one without"
    assert lease.duration is not None, "the loader refuses one without"
    left, begun = lease.duration, False
    for span in history.spans:
        if span.state == "Queued" or (span.state == "Suspended-Queued" and begun):
            message = f"it has to leave its hosts, and is planned for no other time ({span.state})"
            yield _broken(history, span.start, message)
            return
        if span.state in ("Active", "Resuming") and span.start + left > lease.deadline:
            late = "goes on" if begun else "starts"
            message = f"it {late} too late to be done by {lease.deadline}"
            yield _broken(history, span.start, message)
            return
        if span.state == "Active":
            begun = True
            left -= (records.ended if span.end is None else span.end) - span.start
    if last.state not in FINAL:
        if left < 0:
            message = f"its duration is over, yet it is still {last.state}"
            yield _broken(history, records.ended + left, message)
        elif records.ended + left > lease.deadline:
            does = "go on" if begun else "start"
            message = f"it was accepted and does not {does} in time"
            yield _broken(history, lease.deadline, message)
    elif not begun:
        if last.state != "Cancelled" and records.ended > lease.deadline - lease.duration:
            yield _broken(history, lease.deadline, "it was accepted and does not start in time")
    elif last.state == "Done" and left and not may_end_early(history, left):
        message = f"it ends then instead of at {last.time + left}"
        yield _broken(history, last.time, message)


def _broken(history: History, time: int, message: str) -> Violation:
    return Violation(Rule.DEADLINE, history.lease.id, None, time, message)
