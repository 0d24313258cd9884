"""Preparation: images come over one link, one transfer at a time, and before the start."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from haizea.checker import formulas
from haizea.checker.history import History
from haizea.checker.hosts import HostTimes
from haizea.checker.records import FINAL, FOREVER, Records, Row
from haizea.checker.violation import Rule, Violation

#: By image and host: when transfers of it there ended, in order.
Arrivals = dict[tuple[str, int], list[int]]


def arrivals(records: Records) -> Arrivals:
    """When each image came to each host. A transfer that failed does not count."""
    result: Arrivals = {}
    for lease_id, rows in records.rows.items():
        lease = records.leases.get(lease_id)
        if lease is None or not lease.image:
            continue
        for row in rows:
            if row.purpose == "transfer" and _arrived(records, row, lease.image_mb):
                result.setdefault((lease.image, row.host), []).append(row.end)
    for ends in result.values():
        ends.sort()
    return result


def _arrived(records: Records, row: Row, image_mb: int) -> bool:
    took = row.end - row.start
    sure = not records.disturbed and not records.host_changes
    return sure or took >= formulas.image_seconds(records.options, image_mb)


def transfers(records: Records, hosts: HostTimes) -> Iterator[Violation]:
    """The link carries one transfer at a time; each takes as long as its image is large."""
    found: list[tuple[Row, str]] = []
    for lease_id, rows in records.rows.items():
        lease = records.leases.get(lease_id)
        if lease is None:
            continue
        own = [row for row in rows if row.purpose == "transfer"]
        # Where one of its hosts takes nothing new any more, it may send its image elsewhere.
        moved = {row.end for row in own if hosts.absent(row.host, row.end)}
        for row in own:
            found.append((row, lease.image))
            if row.end not in moved:
                yield from _length(records, row, lease.image_mb)
    found.sort(key=lambda item: (item[0].start, item[0].end, item[0].lease, item[0].host))
    busy_until = -1
    last: tuple[Row, str] | None = None
    for row, image in found:
        if row.start >= row.end:
            continue
        overlaps = last is not None and row.start < busy_until
        if last is not None and overlaps and not _together(records, last, (row, image)):
            message = f"its image comes while the link is busy with that of lease {last[0].lease}"
            host = row.host if row.host in records.hosts else None
            yield Violation(Rule.PREPARATION, row.lease, host, row.start, message)
        if row.end > busy_until:
            busy_until, last = row.end, (row, image)


def _together(records: Records, a: tuple[Row, str], b: tuple[Row, str]) -> bool:
    """Whether both may be of one transfer. Who needs it no more leaves before its end."""
    whole = a[0].end == b[0].end or records.disturbed or bool(records.host_changes)
    # Whoever has to go elsewhere leaves too.
    first = min(a[0], b[0], key=lambda row: row.end)
    whole |= any(rules.time == first.end for rules in records.host_rules.get(first.lease or 0, ()))
    several = records.options.multicast or a[0].host == b[0].host
    return a[1] == b[1] and a[0].start == b[0].start and several and whole


def _length(records: Records, row: Row, image_mb: int) -> Iterator[Violation]:
    took, expected = row.end - row.start, formulas.image_seconds(records.options, image_mb)
    if took == expected or records.disturbed:
        return  # it may be late, or fail
    lease_id = row.lease or 0
    story = records.stories.get(lease_id)
    last = story[-1] if story else None
    # Whoever is cancelled, or cut short by the end of the run, needs no image.
    if last is not None and took < expected:
        ended = last.time if last.state in ("Cancelled", "Failed") else FOREVER
        ended = records.ended if last.state not in FINAL else ended
        if row.end >= ended:
            return
    message = f"the transfer of its image takes {took} s instead of {expected} s"
    host = row.host if row.host in records.hosts else None
    yield Violation(Rule.PREPARATION, row.lease, host, row.start, message)


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
    own = not (records.options.image_caches or records.options.redundant_avoided)
    mine = [
        (r.host, r.end)
        for r in history.rows
        if own and r.purpose == "transfer" and _arrived(records, r, lease.image_mb)
    ]
    for phase in history.phases.get("run", ()):
        if phase.start in resumed:
            continue
        for host in sorted(phase.use):
            if own:
                there = any(h == host and end <= phase.start for h, end in mine)
            else:
                ends = came.get((lease.image, host), [])
                there = bisect_left(ends, phase.start + 1) > 0
            if not there:
                known = host if host in records.hosts else None
                message = f"it starts there without its image {lease.image!r}"
                yield Violation(Rule.PREPARATION, lease.id, known, phase.start, message)
