"""Rule 2 from the other side: who is rejected for want of room, or time, did not fit.

Told only where the records show it for certain: all that is held or promised is counted
for longer than it may have been, and if the lease fits beside that, it was wronged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from haizea.checker.formulas import shutdown_seconds
from haizea.checker.history import History
from haizea.checker.holders import Holder, Holders, Moment
from haizea.checker.hosts import HostTimes
from haizea.checker.records import AR, DEADLINE, FOREVER, Capacity, Host, Records, copies
from haizea.checker.scratch import Scratch, Spool
from haizea.checker.violation import Rule, Violation


class Refusal(NamedTuple):
    """A lease that was rejected, when, and why: for want of room, or of time to make room.

    It asked for ``nodes`` nodes, all of ``node``, for ``[start, end)``.
    """

    time: int
    lease: int
    kind: str
    code: str
    start: int
    end: int
    nodes: int
    node: Capacity


class Refusals:
    """The leases that were rejected, added in any order; read in that of time."""

    def __init__(self, scratch: Scratch, types: int) -> None:
        columns = "time, lease, kind, code, start, until, nodes"
        columns += "".join([f", amount_{i}" for i in range(types)])
        self._found = Spool(scratch, "refusals", columns, "time, lease")

    def add(self, history: History) -> None:
        """Take in one lease, if it was rejected for a reason that is tested here."""
        lease, last = history.lease, history.story[-1]
        start = last.time if lease.requested_start is None else lease.requested_start
        if last.code not in CODES or start < last.time or lease.kind == DEADLINE:
            return
        if len(lease.node_sets) > 1 or history.host_rules:
            return
        asked = lease.node_sets[0]
        end = start + lease.length
        self._found.add(
            (last.time, lease.id, lease.kind, last.code, start, end, asked.count, *asked.capacity)
        )

    def __iter__(self) -> Iterator[Refusal]:
        for row in self._found:
            yield Refusal._make((*row[:7], row[7:]))


#: The codes of the rejections that are tested here.
CODES = frozenset({"no-room", "no-time"})

_EVERYTHING = "ar-preempts-everything"


def refused(
    records: Records, holders: Holders, hosts: HostTimes, refusals: Refusals
) -> Iterator[Violation]:
    """Find rejected leases that had room, or that nobody kept from it."""
    if not records.plans_hold or records.options.images_managed:
        return
    for refusal, moment in zip(refusals, holders.at(r.time for r in refusals), strict=True):
        start, end = refusal.start, refusal.end
        there = [h for h in moment.holders if h.start < end and h.planned_end > start]
        message = _unfounded(records, refusal, moment, there)
        beside = _beside(records, refusal, moment, there)
        if message is None and beside is not None:
            up = [h for h in records.hosts.values() if not hosts.absent(h.id, refusal.time)]
            if nodes_free(up, refusal.node, beside, start, end) >= refusal.nodes:
                message = "it is rejected for want of room, but there is room"
        if message is not None:
            rule = Rule.AR if refusal.kind == AR else Rule.IMMEDIATE
            yield Violation(rule, refusal.lease, None, refusal.time, message)


def _unfounded(
    records: Records, refusal: Refusal, moment: Moment, there: list[Holder]
) -> str | None:
    """Rejected for want of time: somebody must be there who could not leave in time."""
    if refusal.code != "no-time" or refusal.kind != AR:
        return None
    if records.options.preemption != _EVERYTHING:
        return None
    if moment.firm and records.options.backfilling != "off":
        return None  # who waits and is not preemptible may have been promised the room
    if any(h.preemptible and not _can_go(records, h, refusal.time) for h in there):
        return None
    return "it is rejected because others cannot leave in time, but nobody is held up"


def _beside(
    records: Records, refusal: Refusal, moment: Moment, there: list[Holder]
) -> list[Holder] | None:
    """Return the holders that the lease has to fit beside; ``None`` if that cannot be told.

    Without room means: not even if all that may be preempted were gone. Without time: not
    even if all of these were gone that can be.
    """
    options, kind = records.options, refusal.kind
    preempting = kind == AR and options.preemption == _EVERYTHING
    if kind == AR and not preempting and options.preemption != "no-preemption":
        return None
    # Waiting leases may hold reservations that are on no record. One whole claim does not
    # count as something that holds room.
    on_hosts = options.reservations not in (0, 1)
    if preempting and refusal.code == "no-room":
        if moment.firm and on_hosts:
            return None
        beside = [h for h in there if not h.preemptible]
    elif preempting:
        if moment.firm and options.backfilling != "off":
            return None
        beside = [h for h in there if not (h.preemptible and _can_go(records, h, refusal.time))]
    else:
        claims = kind != AR or refusal.code != "no-room"
        promised = moment.waiting and (on_hosts or (claims and options.backfilling != "off"))
        if promised or moment.resuming:
            return None
        beside = there
    return None if any(not h.placed for h in beside) else beside


def _can_go(records: Records, holder: Holder, time: int) -> bool:
    """Tell whether its hosts can be taken from it: it runs. It can be dropped, if nothing else."""
    if holder.active is None:
        return False
    left = holder.planned_end - holder.active
    shutdown = shutdown_seconds(records.options, holder.nodes, left) if left < FOREVER else 0
    return holder.active <= time < min(holder.planned_end - shutdown, holder.stopped)


def nodes_free(
    hosts: Iterable[Host], node: Capacity, beside: Iterable[Holder], start: int, end: int
) -> int:
    """Return how many such nodes fit the hosts throughout ``[start, end)`` beside the holders."""
    on_host: dict[int, list[Holder]] = {}
    for holder in beside:
        for host in holder.use:
            on_host.setdefault(host, []).append(holder)
    total = 0
    for there in hosts:
        others = on_host.get(there.id, ())
        total += least_free(node, there.capacity, there.id, others, start, end)
    return total


def least_free(
    node: Capacity, capacity: Capacity, host: int, holders: Iterable[Holder], start: int, end: int
) -> int:
    """Return how many such nodes fit on the host throughout ``[start, end)`` beside the holders."""
    steps: list[tuple[int, int, Capacity]] = []
    for holder in holders:
        if holder.start < end and holder.planned_end > start:
            steps.append((max(holder.start, start), 1, holder.use[host]))
            steps.append((holder.planned_end, -1, holder.use[host]))
    steps.sort(key=lambda step: step[:2])
    used = [0] * len(capacity)
    least = copies(node, capacity)
    for time, sign, amounts in steps:
        if time >= end:
            break
        for i, amount in enumerate(amounts):
            used[i] += sign * amount
        if sign > 0:
            free = tuple([c - u for c, u in zip(capacity, used, strict=True)])
            least = min(least, copies(node, free))
    return least
