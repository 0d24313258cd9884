"""Rule 2 from the other side: who is rejected for want of room, or time, did not fit.

Told only where the records show it for certain: all that is held or promised is counted
for longer than it may have been, and if the lease fits beside that, it was wronged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from haizea.checker.formulas import shutdown_seconds
from haizea.checker.holders import Holder, Holders, Moment
from haizea.checker.hosts import HostTimes
from haizea.checker.records import (
    AR,
    BEST_EFFORT,
    FOREVER,
    Capacity,
    Host,
    Lease,
    Records,
    copies,
)
from haizea.checker.violation import Rule, Violation


class Refusal(NamedTuple):
    """A lease that was rejected, when, and why: for want of room, or of time to make room."""

    time: int
    lease: Lease
    code: str


#: The codes of the rejections that are tested here.
CODES = frozenset({"no-room", "no-time"})

_EVERYTHING = "ar-preempts-everything"


def refused(
    records: Records, holders: Holders, hosts: HostTimes, refusals: Iterable[Refusal]
) -> Iterator[Violation]:
    """Those that had room, or whom nobody kept from it."""
    if records.disturbed or records.options.images_managed:
        return
    refusals = sorted(refusals, key=lambda r: (r.time, r.lease.id))
    for refusal, moment in zip(refusals, holders.at(r.time for r in refusals), strict=True):
        lease = refusal.lease
        start = refusal.time if lease.requested_start is None else lease.requested_start
        end = start + lease.length
        if len(lease.node_sets) > 1 or start < refusal.time or lease.id in records.host_rules:
            continue
        there = [h for h in moment.holders if h.start < end and h.planned_end > start]
        message = _unfounded(records, refusal, moment, there)
        beside = _beside(records, refusal, moment, there)
        if message is None and beside is not None:
            up = [h for h in records.hosts.values() if not hosts.absent(h.id, refusal.time)]
            node = lease.node_sets[0]
            if nodes_free(up, node.capacity, beside, start, end) >= node.count:
                message = "it is rejected for want of room, but there is room"
        if message is not None:
            rule = Rule.AR if lease.kind == AR else Rule.IMMEDIATE
            yield Violation(rule, lease.id, None, refusal.time, message)


def _unfounded(
    records: Records, refusal: Refusal, moment: Moment, there: list[Holder]
) -> str | None:
    """Rejected for want of time: somebody must be there who could not leave in time."""
    if refusal.code != "no-time" or refusal.lease.kind != AR:
        return None
    if records.options.preemption != _EVERYTHING:
        return None
    if moment.firm and records.options.backfilling != "off":
        return None  # who waits and is not preemptible may have been promised the room
    if any(_preemptible(h) and not _can_go(records, h, refusal.time) for h in there):
        return None
    return "it is rejected because others cannot leave in time, but nobody is held up"


def _beside(
    records: Records, refusal: Refusal, moment: Moment, there: list[Holder]
) -> list[Holder] | None:
    """Whom the lease has to fit beside; ``None`` if that cannot be told.

    Without room means: not even if all that may be preempted were gone. Without time: not
    even if all of these were gone that can be.
    """
    options, lease = records.options, refusal.lease
    preempting = lease.kind == AR and options.preemption == _EVERYTHING
    if lease.kind == AR and not preempting and options.preemption != "no-preemption":
        return None
    # Waiting leases may hold reservations that are on no record. One whole claim does not
    # count as something that holds room.
    on_hosts = options.reservations not in (0, 1)
    if preempting and refusal.code == "no-room":
        if moment.firm and on_hosts:
            return None
        beside = [h for h in there if not _preemptible(h)]
    elif preempting:
        if moment.firm and options.backfilling != "off":
            return None
        beside = [h for h in there if not (_preemptible(h) and _can_go(records, h, refusal.time))]
    else:
        claims = lease.kind != AR or refusal.code != "no-room"
        promised = moment.waiting and (on_hosts or (claims and options.backfilling != "off"))
        if promised or moment.resuming:
            return None
        beside = there
    return None if any(not h.use for h in beside) else beside


def _preemptible(holder: Holder) -> bool:
    return holder.lease.kind == BEST_EFFORT and holder.lease.preemptible


def _can_go(records: Records, holder: Holder, time: int) -> bool:
    """Whether its hosts can be had of it: it runs. It can be dropped, if nothing else."""
    if holder.active is None:
        return False
    left = holder.planned_end - holder.active
    shutdown = shutdown_seconds(records.options, holder.lease.nodes, left) if left < FOREVER else 0
    return holder.active <= time < min(holder.planned_end - shutdown, holder.stopped)


def nodes_free(
    hosts: Iterable[Host], node: Capacity, beside: Iterable[Holder], start: int, end: int
) -> int:
    """How many such nodes fit on the hosts throughout ``[start, end)`` beside the holders."""
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
    """How many such nodes fit on the host throughout ``[start, end)`` beside the holders."""
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
