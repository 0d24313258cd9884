"""All rules, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from haizea.checker import operations
from haizea.checker.ahead import SentAhead
from haizea.checker.capacity import capacity
from haizea.checker.changes import Granted, kept
from haizea.checker.deadlines import deadline
from haizea.checker.exclusion import Exclusion
from haizea.checker.gang import gang
from haizea.checker.history import History
from haizea.checker.holders import Holders
from haizea.checker.hostless import hostless
from haizea.checker.hosts import HostTimes
from haizea.checker.images import Transfers, first_arrivals, images_there
from haizea.checker.leads import prepared
from haizea.checker.lifecycle import life_cycle
from haizea.checker.load import ResultsFile, opened
from haizea.checker.maintenance import maintenance
from haizea.checker.noloss import SiteSize, may_wait_for_ever, no_loss
from haizea.checker.others import Others
from haizea.checker.places import places
from haizea.checker.plans import planned
from haizea.checker.preemption import Preemptions
from haizea.checker.queue import Queue
from haizea.checker.records import Records
from haizea.checker.rejections import Refusals, refused
from haizea.checker.scratch import Scratch
from haizea.checker.starts import advance_reservation, immediate, nothing_left
from haizea.checker.stream import Stranger, leases, reservations_in_time
from haizea.checker.violation import Rule, Violation


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of the checker in one file. ``notes`` tell what it could not test."""

    records: Records
    violations: tuple[Violation, ...]
    notes: tuple[str, ...]


def check_file(path: Path) -> Report:
    """Test the results file ``path`` against every rule.

    Its leases are read one after another, and once more in order of time what of them
    concerns others, as it was noted on disk. O(n log n) in the number of rows; in memory
    there are only what goes on at one time, and what is wrong. Violations come in order of
    time.

    Raises :class:`~haizea.checker.values.UnreadableResults` and
    :class:`~haizea.checker.values.DiskFailed`.
    """
    with opened(path) as file, Scratch() as scratch:
        check = _Check(file, scratch)
        found = [*check.by_lease(), *check.by_time()]
        found.sort(key=_order)
        return Report(file.records, tuple(found), tuple(check.notes()))


def _order(violation: Violation) -> tuple[int, int, int, str, str]:
    return (
        -1 if violation.time is None else violation.time,
        -1 if violation.lease is None else violation.lease,
        -1 if violation.host is None else violation.host,
        violation.rule,
        violation.message,
    )


class _Check:
    """The rules, and what they note of each lease for those that look at all of them."""

    def __init__(self, file: ResultsFile, scratch: Scratch) -> None:
        self._file = file
        self._records = records = file.records
        self._others = Others(file)
        self._hosts = HostTimes(records)
        self._site = SiteSize(records)
        self._came = first_arrivals(file)
        self._queue = Queue(file, self._hosts, scratch)
        self._holders = Holders(file, scratch)
        self._preemptions = Preemptions(file, self._others, scratch)
        self._refusals = Refusals(scratch, len(records.types))
        self._exclusion = Exclusion(records, scratch)
        self._transfers = Transfers(file, self._hosts, self._others, scratch)
        self._ahead = SentAhead(records, scratch)
        self._changes = Granted(file)

    def by_lease(self) -> Iterator[Violation]:
        """Find what can be told from one lease at a time."""
        may_wait = may_wait_for_ever(self._records, self._hosts)
        for told in leases(self._file):
            yield from self._hosts.held_while_down(told.sets)
            if isinstance(told, Stranger):
                self._exclusion.add(None, told.sets)
                yield from _strange(told)
            else:
                self._exclusion.add(told.lease, told.sets)
                yield from self._lease(told, may_wait=may_wait)

    def _lease(self, history: History, *, may_wait: bool) -> Iterator[Violation]:
        records, others = self._records, self._others
        yield from self._transfers.add(history)
        yield from life_cycle(records, history)
        yield from no_loss(records, history, may_wait=may_wait)
        yield from self._site.too_big(history)
        yield from advance_reservation(records, history, others)
        yield from hostless(records, history, others)
        yield from immediate(records, history, others)
        yield from deadline(records, history)
        yield from kept(records, history)
        yield from self._changes.paid_for(history)
        yield from nothing_left(records, history)
        if history.story and history.story[-1].state == "Rejected":
            self._refusals.add(history)
            return
        yield from self._hosts.started_while_closed(history)
        yield from places(records, history)
        yield from planned(records, history)
        yield from prepared(records, history)
        yield from gang(history)
        yield from operations.operations(records, history)
        yield from operations.worth_while(records, history)
        yield from operations.migration(records, history)
        yield from images_there(records, history, self._came)
        yield from self._preemptions.check(history)
        self._ahead.add(history)
        self._holders.add(history)
        self._queue.add(history)

    def by_time(self) -> Iterator[Violation]:
        """Find what needs all leases, in order of time; ask it after :meth:`by_lease`."""
        yield from capacity(self._records, reservations_in_time(self._file))
        yield from maintenance(self._records, self._file.db, self._others)
        yield from self._exclusion.check()
        yield from self._transfers.check()
        yield from self._ahead.check()
        yield from self._preemptions.needless(self._holders)
        yield from refused(self._records, self._holders, self._hosts, self._refusals)
        yield from self._queue.check()

    def notes(self) -> Iterator[str]:
        """Tell what cannot be tested."""
        note = self._queue.describe()
        if note is not None:
            yield note
        if self._records.disturbed:
            yield (
                "failures or a real site: that operations take longer than planned is not reported"
            )


def _strange(told: Stranger) -> Iterator[Violation]:
    """Reservations and stories of a lease that the file does not know."""
    if told.sets:
        message = "there are reservations of it, but no lease of that number"
        yield Violation(Rule.NO_LOSS, told.lease, None, told.sets[0].start, message)
    if told.story:
        message = "there is a story of it, but no lease of that number"
        yield Violation(Rule.NO_LOSS, told.lease, None, told.story[0].time, message)
