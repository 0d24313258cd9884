"""VMs that are started before their lease runs: no sooner than planned, and only where it is."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import History
from haizea.checker.records import AR, Records
from haizea.checker.violation import Rule, Violation


def prepared(records: Records, history: History) -> Iterator[Violation]:
    """An AR's hosts are held for its VMs' start as long before its own as was planned.

    What has no start of its own is prepared only if that was planned.
    """
    lease = history.lease
    phases = [p for p in history.phases.get("prepare", ()) if p.start < p.end]
    if lease.kind != AR or lease.requested_start is None:
        for phase in phases:
            if not any(time <= phase.start and s for time, s in history.preparation):
                message = "its VMs are started before it runs, and no time was planned for that"
                yield Violation(Rule.PREPARATION, lease.id, None, phase.start, message)
        return
    start = lease.requested_start
    for phase in phases:
        most = max((s for time, s in history.preparation if time <= phase.start), default=0)
        if phase.start < start - most:
            message = (
                f"its VMs are started from then on, {start - phase.start} s before its start;"
                f" planned are {most} s"
            )
            yield Violation(Rule.PREPARATION, lease.id, None, phase.start, message)
    active = next(history.in_state("Active"), None)
    in_time = active is not None and active.start == start
    if not in_time or records.options.prepares_at_start or _was_upset(records, history, start):
        return
    planned = min((s for time, s in history.preparation if time <= start), default=0)
    if planned and start not in {phase.end for phase in phases}:
        message = f"it runs then, and its hosts were not held in the {planned} s before"
        yield Violation(Rule.PREPARATION, lease.id, None, start, message)


def _was_upset(records: Records, history: History, start: int) -> bool:
    """Tell whether something went wrong before the start, or nobody was at work then."""
    failed = any(c.code == "failure" and c.time <= start for c in history.story)
    return failed or any(since <= start for since, _ in records.absences)
