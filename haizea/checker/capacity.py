"""Rule 1: on no host does the sum of reservations exceed any resource, at any instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from operator import itemgetter

from haizea.checker.packed import Packing
from haizea.checker.records import Records, ReservationSet, Row
from haizea.checker.violation import Rule, Violation

_END = itemgetter(1)


def capacity(records: Records, sets: Iterable[ReservationSet]) -> Iterator[Violation]:
    """Find what is overbooked, and what is on a host that is out of order.

    ``sets`` are the reservations of leases in order of start, and of lease. What is held at
    the time is all that is in memory.
    """
    overbooked = _Overbooked(records)
    outages = {host: _merged(rows) for host, rows in _by_host(records.outages).items()}
    unknown: set[int] = set()
    for held in sets:
        if held.end < held.start:
            yield from _reversed(records, held)
        if held.end <= held.start:
            continue
        if not records.hosts.keys() >= set(held.hosts):
            for host in held.hosts:
                if host not in records.hosts and host not in unknown:
                    unknown.add(host)
                    message = f"it holds a host {host}, which the site does not have"
                    yield Violation(Rule.CAPACITY, held.lease, None, held.start, message)
            held = held._replace(hosts=[h for h in held.hosts if h in records.hosts])
        yield from overbooked.hold(held)
        if outages:
            yield from _during_outage(held, outages)


def _reversed(records: Records, held: ReservationSet) -> Iterator[Violation]:
    for host in held.hosts:
        known = host if host in records.hosts else None
        message = f"its {held.purpose} reservation ends before it starts"
        yield Violation(Rule.CAPACITY, held.lease, known, held.start, message)


class _Overbooked:
    """Tracks what is free on each host as reservations come and go."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._packing = packing = Packing(len(records.types))
        # With the guard's bits, which are all there as long as nothing is below 0.
        self._free = {
            h.id: packing.pack(h.capacity) + packing.guard for h in records.hosts.values()
        }
        self._ends: list[tuple[int, int, Sequence[int], int]] = []
        self._over: set[int] = set()

    def hold(self, held: ReservationSet) -> Iterator[Violation]:
        """Find where the reservation, which starts after those before it, makes a host too full."""
        free, guard = self._free, self._packing.guard
        while self._ends and self._ends[0][0] <= held.start:
            self._leave(*heappop(self._ends)[2:])
        amount = self._packing.pack(held.capacity)
        heappush(self._ends, (held.end, held.number, held.hosts, amount))
        full = False
        for host in held.hosts:
            left = free[host] = free[host] - amount
            if left & guard != guard:
                full = True
        if full:
            yield from self._too_full(held, amount)

    def _leave(self, hosts: Sequence[int], amount: int) -> None:
        free, guard = self._free, self._packing.guard
        for host in hosts:
            free[host] += amount
        if self._over:
            self._over -= {host for host in hosts if free[host] & guard == guard}

    def _too_full(self, held: ReservationSet, amount: int) -> Iterator[Violation]:
        """The start of each period in which a host is overbooked."""
        guard = self._packing.guard
        for host in held.hosts:  # once more, one by one: it may name a host twice
            self._free[host] += amount
        for host in held.hosts:
            self._free[host] -= amount
            if self._free[host] & guard == guard or host in self._over:
                continue
            self._over.add(host)
            left = self._packing.left(self._free[host])
            there = self._records.hosts[host].capacity
            name, most, lacking = next(
                (name, most, -rest)
                for name, most, rest in zip(self._records.types, there, left, strict=True)
                if rest < 0
            )
            message = f"with it {most + lacking} {name} of {most} are held"
            yield Violation(Rule.CAPACITY, held.lease, host, held.start, message)


def _by_host(rows: Iterable[Row]) -> dict[int, list[Row]]:
    by_host: dict[int, list[Row]] = {}
    for row in rows:
        by_host.setdefault(row.host, []).append(row)
    return by_host


def _merged(outages: Iterable[Row]) -> list[tuple[int, int]]:
    """Return when a host was out of order. Its outages are in order of start."""
    merged: list[tuple[int, int]] = []
    for outage in outages:
        if merged and outage.start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], outage.end))
        elif outage.start < outage.end:
            merged.append((outage.start, outage.end))
    return merged


def _during_outage(
    held: ReservationSet, outages: dict[int, list[tuple[int, int]]]
) -> Iterator[Violation]:
    """Find what overlaps an outage of its host."""
    for host in held.hosts:
        periods = outages.get(host, [])
        first = bisect_right(periods, held.start, key=_END)
        if first < len(periods) and periods[first][0] < held.end:
            time = max(held.start, periods[first][0])
            message = f"its {held.purpose} reservation overlaps an outage of the host"
            yield Violation(Rule.CAPACITY, held.lease, host, time, message)
