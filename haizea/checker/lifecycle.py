"""The story of a lease: one state follows another as the life cycle has it, reservations
are held in the states that they are for, and progress is kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from haizea.checker.history import PURPOSES, History, Phase, Span
from haizea.checker.records import AR, BEST_EFFORT, DEADLINE, FINAL, Records
from haizea.checker.violation import Rule, Violation

#: The life cycle, told a second time. Besides, what is not final may be cancelled or fail.
_NEXT = {
    "New": {"Pending"},
    "Pending": {"Rejected", "Queued", "Scheduled"},
    "Queued": {"Scheduled"},
    "Scheduled": {"Preparing", "Ready", "Queued"},
    "Preparing": {"Ready", "Queued"},
    "Ready": {"Active", "Queued"},
    "Active": {"Suspending", "Queued", "Done"},
    "Suspending": {"Suspended-Pending"},
    "Suspended-Pending": {"Suspended-Queued", "Suspended-Scheduled"},
    "Suspended-Queued": {"Suspended-Scheduled"},
    "Suspended-Scheduled": {"Migrating", "Resuming", "Suspended-Queued"},
    "Migrating": {"Suspended-Scheduled"},
    "Resuming": {"Resumed-Ready"},
    "Resumed-Ready": {"Active"},
    "Done": set(),
    "Rejected": set(),
    "Cancelled": set(),
    "Failed": set(),
}

#: What is not promised when it is asked for stands in the queue after these.
_QUEUED_AFTER = frozenset({"Pending", "Suspended-Pending"})


def life_cycle(records: Records, history: History) -> Iterator[Violation]:
    """The order of states and their times; what is held in each."""
    lease, story = history.lease, history.story
    if not story:
        yield _broken(history, lease.submitted, "it has no story")
        return
    first = story[0]
    if first.state != "New":
        yield _broken(history, first.time, f"its story begins with {first.state}")
    for before, after in pairwise(story):
        allowed = _NEXT.get(before.state, set())
        if lease.kind == BEST_EFFORT and before.state in _QUEUED_AFTER:
            allowed = allowed - {"Scheduled", "Suspended-Scheduled"}
        ends = before.state not in FINAL and after.state in ("Cancelled", "Failed")
        if after.state not in allowed and not ends:
            message = f"it goes from {before.state} to {after.state}"
            yield _broken(history, after.time, message)
            return
        if after.time < before.time:
            yield _broken(history, after.time, f"{after.state} comes before {before.state}")
            return
    if lease.state != story[-1].state:
        message = f"its state is {lease.state}, but its story ends with {story[-1].state}"
        yield _broken(history, story[-1].time, message)
    elif lease.state == "Done" and lease.ended != story[-1].time:
        yield _broken(history, story[-1].time, f"by its data it ended at {lease.ended}")
    yield from _resumed_at_once(records, history)
    yield from _told_of_preparing(history)
    final = history.final
    # What is not in step, or not over, is told by the rules of gangs and early ends.
    odd = any(phase.odd for phases in history.phases.values() for phase in phases)
    if not odd and (final is None or all(held.end <= final.time for held in history.sets)):
        yield from _held(records, history)
        yield from _progress(records, history)


def _broken(history: History, time: int, message: str) -> Violation:
    return Violation(Rule.LIFE_CYCLE, history.lease.id, None, time, message)


def _resumed_at_once(records: Records, history: History) -> Iterator[Violation]:
    if records.disturbed:
        return
    for span in history.in_state("Resumed-Ready"):
        if span.end is not None and span.end > span.start:
            yield _broken(history, span.start, "it is resumed, yet does not go on at once")


def _told_of_preparing(history: History) -> Iterator[Violation]:
    """Find leases that were promised hosts and did not say so while their images came.

    What stands in the queue may have its image sent ahead, while it has no hosts yet.
    """
    if history.lease.kind == BEST_EFFORT:
        return
    for span in history.in_state("Scheduled"):
        if span.after is None or span.after.state != "Ready":
            continue
        for held in history.sets:
            came = held.purpose == "transfer" and held.start < held.end
            if came and span.start <= held.start and held.end <= span.after.time:
                yield _broken(history, held.start, "its image comes, yet it is not Preparing")


def _held(records: Records, history: History) -> Iterator[Violation]:
    """Reservations fill the spans of the states they are for, and are nowhere else."""
    work = {
        state: sorted(
            (p for purpose in purposes for p in history.phases.get(purpose, ())),
            key=lambda p: (p.start, p.end),
        )
        for state, purposes in PURPOSES.items()
    }
    for state, phases in work.items():
        if phases or any(history.in_state(state)):
            yield from _filled(records, history, list(history.in_state(state)), phases)


def _filled(
    records: Records, history: History, spans: list[Span], phases: list[Phase]
) -> Iterator[Violation]:
    todo = [phase for phase in phases if phase.start < phase.end]
    next_phase = 0
    for span in spans:
        end = records.ended if span.end is None else span.end
        covered = span.start
        while next_phase < len(todo) and todo[next_phase].start < end:
            phase = todo[next_phase]
            if phase.start != covered or phase.end > end:
                break
            covered = phase.end
            next_phase += 1
        # What is under way when a run is cut short need not be on record.
        if covered < end and span.end is not None:
            message = f"it is {span.state} until {end}, with no reservation from {covered} on"
            yield _broken(history, covered, message)
            return
    if next_phase < len(todo):
        phase = todo[next_phase]
        message = (
            f"its {phase.purpose} reservation from {phase.start} to {phase.end}"
            " is not part of its story"
        )
        yield _broken(history, phase.start, message)


def _progress(records: Records, history: History) -> Iterator[Violation]:
    """In all its stretches since it last started over, a lease runs for its duration.

    What was started or resumed while nobody looked ran at once, and its story has it later.
    """
    lease = history.lease
    if lease.kind in (AR, DEADLINE) or lease.state != "Done" or lease.duration is None:
        return
    ran = unseen = 0
    for span in history.spans:
        if span.end is None or span.after is None:
            break
        if span.state in ("Resuming", "Preparing"):
            unseen += _away(records, span.start, span.end)
        if span.state == "Preparing" and records.options.preparation_counts:
            ran += _prepared(history, span)
            if span.after.state == "Queued":
                ran = 0
        elif span.state == "Active":
            ran += span.end - span.start
            if span.after.state == "Queued":
                ran = unseen = 0
    done = history.story[-1]
    late = ran > lease.duration and not (records.disturbed and done.code != "early-end")
    least = lease.duration
    if done.code == "shut-down":
        least -= history.shutdown_seconds(least).most
    short = ran + unseen < least and done.code != "early-end"
    # One that lost its host was being shut down.
    if (late or short) and not history.lost_its_host:
        message = f"it is done after running for {ran} s of the {lease.duration} s it asked for"
        yield _broken(history, done.time, message)


def _prepared(history: History, span: Span) -> int:
    """For how much of a time its VMs were being started."""
    phases = history.phases.get("prepare", ())
    return sum(p.end - p.start for p in phases if span.end and span.start <= p.start < span.end)


def _away(records: Records, start: int, end: int) -> int:
    """For how much of a time nobody was there to look."""
    times = ((max(start, since), min(end, until)) for since, until in records.absences)
    return sum(until - since for since, until in times if since < until)
