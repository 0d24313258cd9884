"""Promised leases that lost their hosts: none is given up while something can be done for it.

Nor does an AR wait on then.
"""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import History, Span
from haizea.checker.others import Others
from haizea.checker.records import AR, DEADLINE, Records
from haizea.checker.violation import Rule, Violation

#: After so many starts that failed, another one that does is the last.
_MOST_STOPS = 3
_WAITS = ("Scheduled", "Queued")


def hostless(records: Records, history: History, others: Others) -> Iterator[Violation]:
    """A lease without hosts waits until its time is over; an AR takes what comes free."""
    kind = history.lease.kind
    if kind not in (AR, DEADLINE) or not history.story or history.host_rules:
        return
    yield from _given_up(history)
    if kind == AR and records.options.simulated and not records.changed:
        for span in history.in_state("Queued"):
            yield from _took_what_came(records, history, others, span)


def _given_up(history: History) -> Iterator[Violation]:
    """Find one that failed before it was too late to begin, its VMs not having failed often."""
    lease, last = history.lease, history.story[-1]
    stops = sum(c.state == "Queued" and c.code == "failure" for c in history.story)
    if last.state != "Failed" or last.code != "failure" or stops >= _MOST_STOPS:
        return
    end = lease.deadline
    if end is not None:
        # One that was saved may lose that, and what was shut down has had its time.
        if len(history.story) < 2 or history.story[-2].state not in _WAITS:
            return
    else:
        assert lease.requested_start is not None, "the loader refuses an AR without a start"
        end = lease.requested_start + lease.length
    soonest = end - history.shutdown_seconds(lease.length).most
    if last.time < soonest:
        message = f"it is given up then, though hosts may come free for it until {soonest}"
        rule = Rule.AR if lease.kind == AR else Rule.DEADLINE
        yield Violation(rule, lease.id, None, last.time, message)


def _took_what_came(
    records: Records, history: History, others: Others, span: Span
) -> Iterator[Violation]:
    """One that waited past its start begins when something comes free, and not at any time."""
    start = history.lease.requested_start
    assert start is not None, "the loader refuses an AR without a start"
    if span.end is None or span.start == span.end or span.after is None:
        return
    begins = min((held.start for held in history.sets if held.start >= span.end), default=None)
    if begins is None or begins <= start or _something_came_free(records, others, begins):
        return
    message = f"it begins then, though nothing came free; it had waited since {span.start}"
    yield Violation(Rule.AR, history.lease.id, None, begins, message)


def _something_came_free(records: Records, others: Others, time: int) -> bool:
    """Tell whether a host, or what somebody held or was promised, came free at that moment."""
    return (
        records.was_away(time, time)
        or any(c.time == time for changes in records.host_changes.values() for c in changes)
        or any(row.end == time for row in records.outages)
        or any(others.ended_at(time))
        or others.was_given_up_at(time)
    )
