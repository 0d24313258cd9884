"""Rules 7 to 9 and the time that operations take: suspending, resuming, migrating,
shutting down, and the running time that makes a start worth while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from haizea.checker import formulas
from haizea.checker.formulas import Range
from haizea.checker.history import History, Phase, Stretch
from haizea.checker.records import Capacity, Records
from haizea.checker.violation import Rule, Violation


def operations(records: Records, history: History) -> Iterator[Violation]:
    """Check how long each suspension, resumption and shutdown of a lease took."""
    lease = history.lease
    for purpose, seconds in (
        ("suspend", formulas.suspend_seconds),
        ("resume", formulas.resume_seconds),
    ):
        for phase in history.of_its_size(purpose):
            # Rows that differ say nothing on the phase; the rule of gangs tells of them.
            if not phase.odd and phase.use.keys() <= records.hosts.keys():
                yield from _took(history, phase, seconds(records, lease, phase.use, phase.start))
    final = history.final
    if final is not None and final.state == "Done" and final.code != "early-end":
        yield from _shutdown(history)


def _took(history: History, phase: Phase, expected: Range) -> Iterator[Violation]:
    took = phase.end - phase.start
    if expected.least <= took <= expected.most:
        return
    # A failure or the end of the run may cut it short; with failures about, it may be late.
    records = history.records
    if took > expected.most and records.disturbed:
        return
    if took < expected.least and _cut_short(history, phase.end):
        return
    yield Violation(
        Rule.OPERATIONS,
        history.lease.id,
        None,
        phase.start,
        f"its {phase.purpose} takes {took} s instead of {expected} s",
    )


def _cut_short(history: History, time: int) -> bool:
    final = history.final
    if final is None:
        return time >= history.records.ended
    return final.state in ("Cancelled", "Failed") and final.time <= time


def _shutdown(history: History) -> Iterator[Violation]:
    """The end of the lease's time on its hosts is for shutting down."""
    active = [s for s in history.in_state("Active") if s.end is not None]
    if not active or history.lease.duration is None:
        return
    start, end = active[-1].start, active[-1].end
    assert end is not None, "it is done"
    records = history.records
    took = sum(
        p.end - p.start for p in history.phases.get("shutdown", ()) if start <= p.start < end
    )
    expected = history.shutdown_seconds(end - start)
    final = history.final
    if expected.least <= took <= expected.most:
        return
    if records.was_away(end - expected.most, end) or history.lost_its_host:
        return  # It began when somebody was back, or was cut short.
    sooner = final is not None and final.code == "shut-down" and took < expected.least
    if not sooner and not (records.disturbed and took > expected.most):
        message = f"its shutdown takes {took} s instead of {expected} s"
        yield Violation(Rule.OPERATIONS, history.lease.id, None, end, message)


def worth_while(records: Records, history: History) -> Iterator[Violation]:
    """Rules 7 and 8: who is suspended may be, and has run for the threshold."""
    lease, options = history.lease, records.options
    story = history.story
    for span in history.in_state("Suspending"):
        if not lease.preemptible:
            return  # the rule of preemption tells
        if not options.suspendable(lease):
            message = f"it is suspended, which suspension: {options.suspension} does not allow"
            yield Violation(Rule.HOLES, lease.id, None, span.start, message)
            return
    if records.disturbed:
        return
    codes = {c.time: c.code for c in story if c.state == "Suspending"}
    for stay in history.stretches:
        ended_running = _suspended_at(history, stay)
        if ended_running is None or stay.active is None or not stay.use:
            continue
        code = codes.get(ended_running, "")
        ran = ended_running - stay.active
        suspend = formulas.suspend_seconds(records, lease, stay.use, ended_running).least
        if code == "hole":
            resume = 0
            if stay.resumed:
                again = formulas.resume_seconds(records, lease, stay.use, ended_running)
                resume = again.least
        elif code == "preempted":
            # What it ran before counts: it would all be lost.
            ran, resume = ran + stay.ran, 0
        else:
            continue
        least = formulas.threshold(options, suspend, resume)
        if ran < least:
            message = f"it is suspended after {ran} s; starting is worth while for {least} s"
            yield Violation(Rule.THRESHOLD, lease.id, None, ended_running, message)


def _suspended_at(history: History, stay: Stretch) -> int | None:
    """Return when the stay's running ended in a suspension."""
    for span in history.in_state("Suspending"):
        if stay.start <= span.start <= stay.end and (stay.active or 0) <= span.start:
            return span.start
    return None


def migration(records: Records, history: History) -> Iterator[Violation]:
    """Rule 9: a lease resumes where it was suspended, or after its images have moved.

    One that runs is moved on a real site only, by others.
    """
    for run, later in pairwise(history.phases.get("run", ())):
        host = _new_host(run.use, later.use)
        if host is not None and records.options.simulated and history.goes_on(later.start):
            known = host if host in records.hosts else None
            message = "it runs on there, where it did not run before"
            yield Violation(Rule.MIGRATION, history.lease.id, known, later.start, message)
    suspends = history.phases.get("suspend", ())
    resumes = history.phases.get("resume", ())
    if not suspends or not resumes:
        return
    moves = history.phases.get("migrate", ())
    for resume in resumes:
        before = [p for p in suspends if p.end <= resume.start]
        if not before:
            continue
        between = [m for m in moves if before[-1].end <= m.start and m.end <= resume.start]
        yield from _moved(records, history, before[-1], between, resume)


def _moved(
    records: Records, history: History, suspend: Phase, moves: list[Phase], resume: Phase
) -> Iterator[Violation]:
    lease = history.lease

    def violation(host: int | None, time: int, message: str) -> Violation:
        return Violation(Rule.MIGRATION, lease.id, host, time, message)

    if records.options.migration == "no":
        host = _new_host(suspend.use, resume.use)
        if host is not None:
            known = host if host in records.hosts else None
            yield violation(known, resume.start, "it resumes where it was not suspended")
        return
    expected = formulas.migration_seconds(records, lease, suspend.use, resume.use)
    took = sum(m.end - m.start for m in moves)
    if len(moves) > 1:  # it moved more than once: each move within the bounds of any
        most = expected.most * len(moves)
        expected = Range(0, most)
    late = took > expected.most and not records.disturbed
    if took < expected.least or late:
        time = moves[0].start if moves else resume.start
        yield violation(None, time, f"its migration takes {took} s instead of {expected} s")


def _new_host(before: Mapping[int, Capacity], after: Mapping[int, Capacity]) -> int | None:
    return next((h for h in sorted(after) if after[h] != before.get(h)), None)
