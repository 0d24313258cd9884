"""All rules, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from haizea.checker import operations
from haizea.checker.capacity import capacity
from haizea.checker.gang import gang
from haizea.checker.history import History
from haizea.checker.holders import Holders
from haizea.checker.hosts import HostTimes
from haizea.checker.images import arrivals, images_there, transfers
from haizea.checker.lifecycle import life_cycle
from haizea.checker.load import load
from haizea.checker.noloss import SiteSize, may_wait_for_ever, no_loss
from haizea.checker.places import places
from haizea.checker.preemption import Preemptions
from haizea.checker.queue import Queue
from haizea.checker.records import Records
from haizea.checker.rejections import CODES, Refusal, refused
from haizea.checker.starts import advance_reservation, immediate, nothing_left
from haizea.checker.violation import Rule, Violation


@dataclass(frozen=True, slots=True)
class Report:
    """What the checker found in one file. ``notes`` tell what it could not test."""

    records: Records
    violations: tuple[Violation, ...]
    notes: tuple[str, ...]


def check_file(path: Path) -> Report:
    """Test the results file ``path`` against every rule.

    Raises :class:`~haizea.checker.load.UnreadableResults`.
    """
    return check_records(load(path))


def check_records(records: Records) -> Report:
    """Test the records against every rule. O(n log n) in the number of rows.

    Violations come in order of time.
    """
    found: list[Violation] = []
    hosts = HostTimes(records)
    queue = Queue(records, hosts)
    found.extend(_strangers(records))
    found.extend(capacity(records))
    found.extend(hosts.held_while_down())
    found.extend(operations.exclusive(records, records.rows.values()))
    if records.options.images_managed:
        found.extend(transfers(records, hosts))
    found.extend(_by_lease(records, hosts, queue))
    found.extend(queue.check())
    found.sort(key=_order)
    note = queue.describe()
    notes = [] if note is None else [note]
    if records.disturbed:
        notes.append(
            "failures or a real site: that operations take longer than planned is not reported"
        )
    return Report(records, tuple(found), tuple(notes))


def _order(violation: Violation) -> tuple[int, int, int, str, str]:
    return (
        -1 if violation.time is None else violation.time,
        -1 if violation.lease is None else violation.lease,
        -1 if violation.host is None else violation.host,
        violation.rule,
        violation.message,
    )


def _by_lease(records: Records, hosts: HostTimes, queue: Queue) -> Iterator[Violation]:
    """What can be told from one lease at a time, and what needs them all in order of time."""
    site = SiteSize(records)
    preemptions = Preemptions(records)
    holders = Holders()
    may_wait = may_wait_for_ever(records, hosts)
    refusals = []
    came = arrivals(records) if records.options.images_managed else {}
    transfer_ends: dict[str, set[int]] = {}
    for (image, _), ends in came.items():
        transfer_ends.setdefault(image, set()).update(ends)
    for lease in records.leases.values():
        history = History(records, lease)
        yield from life_cycle(records, history)
        yield from no_loss(records, history, may_wait=may_wait)
        yield from site.too_big(records, history)
        yield from advance_reservation(records, history)
        yield from immediate(records, history, transfer_ends)
        yield from nothing_left(records, history)
        last = history.story[-1] if history.story else None
        if last is not None and last.state == "Rejected":
            if last.code in CODES:
                refusals.append(Refusal(last.time, lease, last.code))
            continue
        yield from hosts.started_while_closed(history)
        yield from places(records, history)
        yield from gang(records, history)
        yield from operations.operations(records, history)
        yield from operations.worth_while(records, history)
        yield from operations.migration(records, history)
        yield from images_there(records, history, came)
        yield from preemptions.check(history)
        holders.add(history)
        queue.add(history)
    yield from preemptions.needless(holders)
    yield from refused(records, holders, hosts, refusals)


def _strangers(records: Records) -> Iterator[Violation]:
    """Reservations and stories of leases that the file does not know."""
    for lease_id, rows in records.rows.items():
        if lease_id not in records.leases:
            message = "there are reservations of it, but no lease of that number"
            yield Violation(Rule.NO_LOSS, lease_id, None, rows[0].start, message)
    for lease_id, story in records.stories.items():
        if lease_id not in records.leases:
            message = "there is a story of it, but no lease of that number"
            yield Violation(Rule.NO_LOSS, lease_id, None, story[0].time, message)
