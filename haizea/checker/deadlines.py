"""The rule of deadlines: a lease that is accepted with one runs once, whole, within its window."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import History
from haizea.checker.records import DEADLINE, FINAL, Records
from haizea.checker.starts import may_end_early
from haizea.checker.violation import Rule, Violation


def deadline(records: Records, history: History) -> Iterator[Violation]:
    """Find leases that begin before their window, are done after it, or do not run whole.

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
    lease, last = history.lease, history.story[-1]
    assert lease.deadline is not None, "the loader refuses one without"
    assert lease.duration is not None, "the loader refuses one without"
    for change in history.story:
        if change.state in ("Suspending", "Queued"):
            yield _broken(history, change.time, f"it has to leave its hosts ({change.state})")
            return
    active = next(history.in_state("Active"), None)
    if active is None:
        if last.state != "Cancelled" and records.ended > lease.deadline - lease.duration:
            yield _broken(history, lease.deadline, "it was accepted and does not start in time")
        return
    end = active.start + lease.duration
    if end > lease.deadline:
        yield _broken(history, active.start, f"it starts too late to be done by {lease.deadline}")
    elif last.state not in FINAL:
        if records.ended > end:
            yield _broken(history, end, f"its duration is over, yet it is still {last.state}")
    elif last.state == "Done" and last.time != end and not may_end_early(history, end - last.time):
        yield _broken(history, last.time, f"it ends then instead of at {end}")


def _broken(history: History, time: int, message: str) -> Violation:
    return Violation(Rule.DEADLINE, history.lease.id, None, time, message)
