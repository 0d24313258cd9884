"""Rule 1: on no host does the sum of reservations exceed any resource, at any instant."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.records import Records, Row
from haizea.checker.violation import Rule, Violation


def capacity(records: Records) -> Iterator[Violation]:
    """What is overbooked, and what is on a host that is out of order. O(rows log rows)."""
    by_host: dict[int, list[Row]] = {}
    for rows in records.rows.values():
        for row in rows:
            if row.start < row.end:
                by_host.setdefault(row.host, []).append(row)
            elif row.end < row.start:
                yield Violation(
                    Rule.CAPACITY,
                    row.lease,
                    _known(records, row.host),
                    row.start,
                    f"its {row.purpose} reservation ends before it starts",
                )
    outages: dict[int, list[Row]] = {}
    for row in records.outages:
        outages.setdefault(row.host, []).append(row)
    for host in sorted(by_host):
        if host not in records.hosts:
            row = min(by_host[host], key=lambda r: r.start)
            message = f"it holds a host {host}, which the site does not have"
            yield Violation(Rule.CAPACITY, row.lease, None, row.start, message)
            continue
        rows = sorted(by_host[host], key=lambda r: (r.start, r.lease or 0))
        yield from _overbooked(records, host, rows)
        yield from _during_outage(host, rows, outages.get(host, []))


def _known(records: Records, host: int) -> int | None:
    return host if host in records.hosts else None


def _overbooked(records: Records, host: int, rows: list[Row]) -> Iterator[Violation]:
    """The start of each period in which the host is overbooked."""
    limit = records.hosts[host].capacity
    used = [0] * len(limit)
    ends = sorted(rows, key=lambda r: r.end)
    gone = 0
    over = False
    for row in rows:
        while ends[gone].end <= row.start:
            for i, amount in enumerate(ends[gone].capacity):
                used[i] -= amount
            gone += 1
            over = over and any(u > c for u, c in zip(used, limit, strict=True))
        for i, amount in enumerate(row.capacity):
            used[i] += amount
        if not over:
            for name, held, there in zip(records.types, used, limit, strict=True):
                if held > there:
                    over = True
                    message = f"with it {held} {name} of {there} are held"
                    yield Violation(Rule.CAPACITY, row.lease, host, row.start, message)
                    break


def _during_outage(host: int, rows: list[Row], outages: list[Row]) -> Iterator[Violation]:
    """What overlaps an outage of the host. Outages of one host are in order of start."""
    merged: list[tuple[int, int]] = []
    for outage in outages:
        if merged and outage.start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], outage.end))
        elif outage.start < outage.end:
            merged.append((outage.start, outage.end))
    first = 0
    for row in rows:
        while first < len(merged) and merged[first][1] <= row.start:
            first += 1
        if first < len(merged) and merged[first][0] < row.end:
            time = max(row.start, merged[first][0])
            message = f"its {row.purpose} reservation overlaps an outage of the host"
            yield Violation(Rule.CAPACITY, row.lease, host, time, message)
