"""Rules 2, 3 and 10: ARs and immediate leases start when they should; what ends is gone."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import WAITING, History
from haizea.checker.images import arrived
from haizea.checker.others import Others
from haizea.checker.records import AR, FINAL, IMMEDIATE, Records, copies
from haizea.checker.violation import Rule, Violation


def advance_reservation(records: Records, history: History, others: Others) -> Iterator[Violation]:
    """Rule 2: an AR that is accepted runs from exactly its start, for its whole duration."""
    lease = history.lease
    if lease.kind != AR or lease.state == "Rejected" or not history.story or history.failed:
        return
    start = lease.requested_start
    assert start is not None, "the loader refuses an AR without a start"
    active = next(history.in_state("Active"), None)
    last = history.story[-1]
    if active is None:
        given_up = last.state in ("Cancelled", "Failed") and (
            last.time <= start
            or bool(history.phases.get("prepare"))
            or _kept_waiting(records, history, others, start, last.time)
        )
        cut_short = last.state not in FINAL and records.ended <= start
        if not given_up and not cut_short:
            yield _ar(history, start, "it was accepted and does not start then")
        return
    begins = _begins(history, active.start)
    if not records.options.prepares_at_start or begins < start:
        begins = active.start
    if begins != start and not _excused(records, history, others, start, active.start):
        yield _ar(history, active.start, f"it starts then instead of at {start}")
        return
    for change in history.story:
        if change.code == "failure" and change.state == "Queued":
            return  # it stopped, and starts again for what is left of its time
        if change.time >= start and change.state in ("Suspending", "Queued"):
            yield _ar(history, change.time, f"it has to leave its hosts ({change.state})")
            return
    yield from _whole_duration(records, history, start)


def _begins(history: History, active: int) -> int:
    """Return when a lease has its hosts that is active from then on: its VMs are started first."""
    return min((p.start for p in history.phases.get("prepare", ())), default=active)


def _excused(records: Records, history: History, others: Others, due: int, started: int) -> bool:
    """Tell whether a lease says that it starts late, and its records say why it had to.

    Its VMs took longer to start, nobody was there to start it, or one of its hosts was down, out of
    use or promised to another lease, or another was there, or its image under way, until it
    started; to other hosts, where it did not arrive.
    """
    change = next(c for c in history.story if c.state == "Active")
    if started < due or change.code != "late" or not records.disturbed:
        return False
    if records.was_away(due, started):
        return True
    if any(phase.end == started for phase in history.phases.get("prepare", ())):
        return True
    hosts = {row.host for row in history.rows if row.purpose == "run" and row.start == started}
    if any(c.time == started for host in hosts for c in records.host_changes.get(host or 0, ())):
        return True
    if any(row.end == started and row.host in hosts for row in records.outages):
        return True
    return others.was_given_up_at(started) or any(
        row.start < started
        and (row.purpose == "transfer" if row.lease == history.lease.id else row.host in hosts)
        for row in others.ended_at(started)
    )


def _kept_waiting(records: Records, history: History, others: Others, due: int, until: int) -> bool:
    """Tell whether the records say why a lease had not started when it was given up.

    Nobody was there to start it, its image was still on its way, or others were still on hosts
    without which there was no room, or were to come to hosts before its end. These might
    have gone to others, as far as the search for that goes.
    """
    if not records.disturbed:
        return False
    if records.was_away(due, until):
        return True
    if any(row.purpose == "transfer" and row.start < until <= row.end for row in history.rows):
        return True
    if others.are_to_come(until, due + history.lease.length, history.lease.id):
        return True
    free = {host.id: host.capacity for host in records.hosts.values()}
    for row in others.held_until(until):
        if row.lease != history.lease.id and row.host in free and row.purpose != "transfer":
            left = zip(free[row.host], row.capacity, strict=True)
            free[row.host] = tuple(there - held for there, held in left)
    room = [amounts for amounts in free.values() if min(amounts) >= 0]
    return any(
        sum(copies(nodes.capacity, amounts) for amounts in room) < nodes.count
        for nodes in history.lease.node_sets
    )


def _whole_duration(records: Records, history: History, start: int) -> Iterator[Violation]:
    last = history.story[-1]
    if history.lease.duration is None or last.state in ("Cancelled", "Failed"):
        return
    end = start + history.lease.duration
    if last.time == end and last.state in FINAL:
        return
    if last.state not in FINAL:
        if records.ended > end and not records.disturbed:
            yield _ar(history, end, f"its duration is over, yet it is still {last.state}")
    elif last.time < end and may_end_early(history, end - last.time):
        return
    elif last.time < end or not records.disturbed:
        yield _ar(history, last.time, f"it ends then instead of at {end}")


def may_end_early(history: History, seconds: int) -> bool:
    """Tell whether it is right that a lease was done so long before its duration was over."""
    last, duration = history.story[-1], history.lease.duration or 0
    if last.code == "shut-down":
        return seconds <= history.shutdown_seconds(duration).most
    return last.code == "early-end" or history.lost_its_host


def _ar(history: History, time: int, message: str) -> Violation:
    return Violation(Rule.AR, history.lease.id, None, time, message)


def immediate(records: Records, history: History, others: Others) -> Iterator[Violation]:
    """Rule 3: an immediate lease starts at once, or as soon as its image is there."""
    lease, options = history.lease, records.options
    if lease.kind != IMMEDIATE or not history.story or history.failed:
        return
    admitted = history.admitted
    active = next(history.in_state("Active"), None)
    if active is None:
        last = history.story[-1]
        waits = last.state in WAITING and not options.images_managed
        if waits and records.ended > admitted + _slack(records):
            message = f"it is neither started nor rejected, but {last.state}"
            yield Violation(Rule.IMMEDIATE, lease.id, None, admitted, message)
        return
    begins = _begins(history, active.start)
    late = begins > admitted + _slack(records)
    late = late and not _excused(records, history, others, admitted, active.start)
    if late and options.images_managed and lease.image:
        late = options.simulated_clock and not _image_came(records, history, others, active.start)
    if late:
        message = f"it starts then, though it was asked for at {admitted}"
        yield Violation(Rule.IMMEDIATE, lease.id, None, active.start, message)


def _image_came(records: Records, history: History, others: Others, time: int) -> bool:
    """Tell whether its image came to some host just then, whoever it was sent for."""
    for row in others.ended_at(time):
        if row.purpose == "transfer" and row.lease is not None:
            image, image_mb = others.image(row.lease)
            if image == history.lease.image and arrived(records, row.end - row.start, image_mb):
                return True
    return False


def _slack(records: Records) -> int:
    """Return how far the next schedulable moment can be: in a simulation, it is the present."""
    return 0 if records.options.simulated_clock else records.options.non_schedulable + 1


def nothing_left(records: Records, history: History) -> Iterator[Violation]:
    """Rule 10: from the second in which a lease ends, nothing of it is held."""
    final = history.final
    if final is None:
        return
    for held in history.sets:
        if held.end > final.time:
            message = f"its {held.purpose} reservation goes on, though it is {final.state}"
            for host in held.hosts:
                known = host if host in records.hosts else None
                yield Violation(Rule.EARLY_ENDS, history.lease.id, known, final.time, message)
