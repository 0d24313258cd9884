"""Use of hosts by leases, read off the leases' records."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from haizea.api.manager import HostUse, Reserved
from haizea.core.model.events import OperationEnded, Purpose
from haizea.core.model.records import LeaseRecord, PlanRecord
from haizea.core.model.resources import Capacity, add
from haizea.service.board import Board

#: The order of reservations, wherever they are listed.
IN_ORDER = attrgetter("start", "lease_id", "end")
_START = attrgetter("start")
#: Of more changes than these, all is put in order anew.
_MOST_ONE_BY_ONE = 500

Use = tuple[tuple[int, Capacity], ...]


def planned(record: LeaseRecord) -> Iterator[Reserved]:
    """Yield what a lease holds and will hold by its plan, from what is under way on."""
    plan = record.plan
    if plan is None:
        return
    use = use_of(record, plan)
    for index, phase in enumerate(plan.phases[plan.at :]):
        under_way = index == 0 and plan.since is not None
        yield Reserved(
            lease_id=record.id,
            owner=record.request.owner,
            label=record.request.label,
            purpose=phase.purpose,
            start=plan.since if under_way and plan.since is not None else phase.start,
            end=phase.end,
            use=use,
            firm=plan.firm,
        )


class Plans:
    """Reservations by leases' plans, in order, kept as long as the leases' records are the same.

    Any thread may use it. After few changes it takes a tenth of a microsecond for each lease,
    and as much for each reservation that begins before the end of what is asked about.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By the identity of its record, which is kept and so remains its own.
        self._known: dict[int, tuple[LeaseRecord, tuple[Reserved, ...]]] = {}
        self._ordered: list[Reserved] = []

    def between(self, records: Sequence[LeaseRecord], start: int, end: int) -> list[Reserved]:
        """List what all these, those that are not over, hold in ``[start, end)``, in order."""
        with self._lock:
            self._follow(records)
            ordered = self._ordered
            upto = bisect_left(ordered, end, key=_START)
            return [entry for entry in ordered[:upto] if entry.end > start]

    def _follow(self, records: Sequence[LeaseRecord]) -> None:
        """Take out what records hold that are there no more, and put in what new ones hold."""
        known = self._known
        present = dict(zip(map(id, records), records, strict=True))
        gone, new = known.keys() - present.keys(), present.keys() - known.keys()
        old = [entry for key in gone for entry in known.pop(key)[1]]
        for key in new:
            known[key] = present[key], tuple(planned(present[key]))
        put = [entry for key in new for entry in known[key][1]]
        if len(old) + len(put) > _MOST_ONE_BY_ONE:
            self._ordered = [entry for _, entries in known.values() for entry in entries]
            self._ordered.sort(key=IN_ORDER)
            return
        for entry in old:
            del self._ordered[self._index(entry)]
        for entry in put:
            insort(self._ordered, entry, key=IN_ORDER)

    def _index(self, entry: Reserved) -> int:
        at = bisect_left(self._ordered, IN_ORDER(entry), key=IN_ORDER)
        while self._ordered[at] is not entry:
            at += 1
        return at


def enacted(operation: OperationEnded, owner: str, label: str) -> Reserved:
    """Return what a lease held for an operation that is over."""
    return Reserved(
        lease_id=operation.lease_id,
        owner=owner,
        label=label,
        purpose=operation.purpose,
        start=operation.start,
        end=operation.end,
        use=tuple(operation.use),
        firm=True,
    )


def use_of(record: LeaseRecord, plan: PlanRecord) -> Use:
    """Return what the nodes of a lease take of each host."""
    totals: dict[int, Capacity] = {}
    for host, capacity in zip(plan.hosts, record.request.node_capacities(), strict=True):
        totals[host] = add(totals[host], capacity) if host in totals else capacity
    return tuple(totals.items())


def hosts_now(board: Board) -> list[HostUse]:
    """All hosts with what is in use on them."""
    site = board.site
    others = [_by_others(board, host.id) for host in site.hosts]
    used = list(others)
    leases: list[list[tuple[int, str]]] = [[] for _ in site.hosts]
    for record in sorted(board.leases(), key=lambda record: record.id):
        plan = record.plan
        if plan is None or (plan.since is None and plan.at == 0):
            continue
        for index, amount in use_of(record, plan):
            used[index] = add(used[index], amount)
            leases[index].append((record.id, record.request.owner))
    found = []
    for host in site.hosts:
        status = board.status(host)
        found.append(
            HostUse(
                host=host,
                status=status.status,
                reason=status.reason,
                used=used[host.id],
                others=others[host.id],
                leases=tuple(leases[host.id]),
                rates=board.rates(host),
            )
        )
    return found


def _by_others(board: Board, host: int) -> Capacity:
    """Return what others than leases use of a host at present."""
    return board.others.get(host) or (0,) * len(board.site.types.names)


def over_time(
    board: Board, host: int, reserved: Iterable[Reserved], start: int, end: int
) -> list[tuple[int, Capacity]]:
    """List what is in use on one host from ``start`` to ``end``, as (moment, use from then on).

    What others than leases use counts from the last turn on; what they used before is not known.
    """
    nothing: Capacity = (0,) * len(board.site.types.names)
    changes: dict[int, Capacity] = {start: nothing}
    if board.now < end:
        changes[max(start, board.now)] = _by_others(board, host)
    for entry in reserved:
        if entry.purpose is Purpose.TRANSFER or entry.start >= end or entry.end <= start:
            continue
        for where, amount in entry.use:
            if where == host:
                begins = max(entry.start, start)
                changes[begins] = add(changes.get(begins, nothing), amount)
                if entry.end < end:
                    less = tuple(-part for part in amount)
                    changes[entry.end] = add(changes.get(entry.end, nothing), less)
    total, found = nothing, list[tuple[int, Capacity]]()
    for moment in sorted(changes):
        total = add(total, changes[moment])
        if not found or found[-1][1] != total:
            found.append((moment, total))
    return found
