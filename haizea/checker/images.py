"""Preparation: images come over one link, one transfer at a time, and before the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from haizea.checker import formulas
from haizea.checker.history import History
from haizea.checker.hosts import HostTimes
from haizea.checker.load import ResultsFile
from haizea.checker.others import Held, Others
from haizea.checker.records import FINAL, FOREVER, Records, ReservationSet, Row
from haizea.checker.scratch import Scratch, Spool
from haizea.checker.values import hosts as hosts_in
from haizea.checker.values import number, optional, text
from haizea.checker.violation import Rule, Violation

#: By image and host: when the first transfer of it there ended.
Arrivals = Mapping[tuple[str, int], int]

_TABLE = "reservation_sets"


def first_arrivals(file: ResultsFile) -> Arrivals:
    """Return when each image first came to each host. A transfer that failed does not count.

    Empty where each lease needs a transfer of its own.
    """
    records, first = file.records, dict[tuple[str, int], int]()
    if not records.options.images_managed or _own_transfers(records):
        return first
    query = (
        'SELECT l.image, l.image_mb, r.start, r."end", r.hosts'
        f" FROM {_TABLE} AS r JOIN leases AS l ON l.lease = r.lease WHERE r.purpose = 'transfer'"
    )
    for row in file.db.execute(query):
        image, image_mb = text(row[0], "leases"), optional(row[1], "leases") or 0
        start, end = number(row[2], _TABLE), number(row[3], _TABLE)
        if image and arrived(records, end - start, image_mb):
            for host in hosts_in(row[4], _TABLE):
                first[image, host] = min(first.get((image, host), FOREVER), end)
    return first


def _own_transfers(records: Records) -> bool:
    """Tell whether each lease has its image sent for itself."""
    return not (records.options.image_caches or records.options.redundant_avoided)


def arrived(records: Records, took: int, image_mb: int) -> bool:
    """Tell whether a transfer that took so long was over."""
    sure = not records.disturbed and not records.host_changes
    return sure or took >= formulas.image_seconds(records.options, image_mb)


class Transfers:
    """Fill it with :meth:`add`, then ask :meth:`check`."""

    def __init__(self, file: ResultsFile, hosts: HostTimes, others: Others, spare: Scratch) -> None:
        self._records = file.records
        self._hosts = hosts
        self._others = others
        self._held = Held(file)
        self._found = Spool(
            spare, "transfers", 'start, "end", lease, number, image', 'start, "end", lease'
        )

    def add(self, history: History) -> Iterator[Violation]:
        """Take in one lease; each of its transfers takes as long as its image is large."""
        if not self._records.options.images_managed:
            return
        own = [held for held in history.sets if held.purpose == "transfer"]
        # Where one of its hosts takes nothing new any more, it may send its image elsewhere.
        moved = {
            held.end
            for held in own
            if any(self._hosts.absent(host, held.end) for host in held.hosts)
        }
        yield from _twice(self._records, history, own)
        for held in own:
            self._found.add((held.start, held.end, held.lease, held.number, history.lease.image))
            if held.end not in moved:
                yield from _length(history, held)

    def check(self) -> Iterator[Violation]:
        """The link carries one transfer at a time."""
        records = self._records
        busy_until = -1
        last: tuple[Row, str] | None = None
        for rows, image in self._rows():
            for row in rows:
                overlaps = last is not None and row.start < busy_until
                apart = last is not None and overlaps and not self._together(last, (row, image))
                if last is not None and apart:
                    message = (
                        f"its image comes while the link is busy with that of lease {last[0].lease}"
                    )
                    host = row.host if row.host in records.hosts else None
                    yield Violation(Rule.PREPARATION, row.lease, host, row.start, message)
                if row.end > busy_until:
                    busy_until, last = row.end, (row, image)
                if records.options.multicast and not apart:
                    break  # It comes to all others with this one.

    def _rows(self) -> Iterator[tuple[Iterator[Row], str]]:
        """Each lease's transfers of an interval, by host, in order of start, end and lease."""
        for (start, end, lease), of_lease in groupby(self._found, key=lambda row: row[:3]):
            if start >= end:
                continue
            found = list(of_lease)
            numbers = ",".join([str(row_number) for *_, row_number, _ in found])
            on = sorted([host for hosts, _ in self._held.sets(numbers) for host in hosts])
            yield (Row(lease, "transfer", host, start, end, ()) for host in on), found[0][4]

    def _together(self, a: tuple[Row, str], b: tuple[Row, str]) -> bool:
        """Tell whether both may be of one transfer; who needs it no more leaves before its end."""
        records = self._records
        several = records.options.multicast or a[0].host == b[0].host
        if a[1] != b[1] or a[0].start != b[0].start or not several:
            return False
        if a[0].end == b[0].end or records.disturbed or records.host_changes:
            return True
        # Whoever is cancelled or has to go elsewhere leaves too.
        first = min(a[0], b[0], key=lambda row: row.end)
        lease, left = first.lease or 0, first.end
        others = self._others
        return others.was_given_up_at(left, lease) or others.rules_change(lease, left)


def _twice(records: Records, history: History, own: list[ReservationSet]) -> Iterator[Violation]:
    """Find hosts to which a lease's image comes while it comes there already.

    One that is given other hosts meanwhile, or whose image takes longer, leaves a transfer, and may
    join it again at once.
    """
    given = {plan.time for plan in history.planned_hosts}
    until: dict[int, int] = {}
    since: dict[int, int] = {}
    for held in own:
        for host in held.hosts if held.start < held.end else ():
            before = until.get(host, held.start)
            joined = since.get(host) == held.start and before != held.end
            left = joined and (records.disturbed or min(before, held.end) in given)
            if held.start < before and not left:
                known = host if host in records.hosts else None
                message = "its image comes there while it is on its way there already"
                yield Violation(Rule.PREPARATION, held.lease, known, held.start, message)
            until[host] = max(held.end, before)
            since[host] = held.start


def _length(history: History, held: ReservationSet) -> Iterator[Violation]:
    records = history.records
    took = held.end - held.start
    expected = formulas.image_seconds(records.options, history.lease.image_mb)
    if took == expected or records.disturbed:
        return  # it may be late, or fail
    last = history.story[-1] if history.story else None
    # Whoever is cancelled, or cut short by the end of the run, needs no image.
    if last is not None and took < expected:
        ended = last.time if last.state in ("Cancelled", "Failed") else FOREVER
        ended = records.ended if last.state not in FINAL else ended
        if held.end >= ended:
            return
    message = f"the transfer of its image takes {took} s instead of {expected} s"
    for host in held.hosts:
        known = host if host in records.hosts else None
        yield Violation(Rule.PREPARATION, held.lease, known, held.start, message)


def images_there(records: Records, history: History, came: Arrivals) -> Iterator[Violation]:
    """Wherever a lease starts, its image came before.

    Only where what is on a host is never dropped can more be told: an image that left a
    cache again is not noticed.
    """
    lease = history.lease
    if not records.options.images_managed or not lease.image:
        return
    if formulas.image_seconds(records.options, lease.image_mb) == 0:
        return
    resumed = {p.end for p in history.phases.get("resume", ())}
    own = _own_transfers(records)
    mine = [
        (host, held.end)
        for held in history.sets
        if own
        and held.purpose == "transfer"
        and arrived(records, held.end - held.start, lease.image_mb)
        for host in held.hosts
    ]
    for phase in history.phases.get("run", ()):
        if phase.start in resumed:
            continue
        for host in sorted(phase.use):
            if own:
                there = any(h == host and end <= phase.start for h, end in mine)
            else:
                there = came.get((lease.image, host), FOREVER) <= phase.start
            if not there:
                known = host if host in records.hosts else None
                message = f"it starts there without its image {lease.image!r}"
                yield Violation(Rule.PREPARATION, lease.id, known, phase.start, message)
