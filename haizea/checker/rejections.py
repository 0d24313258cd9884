"""Rule 2 from the other side: who is rejected for want of room did not fit.

Told only where the records show it for certain: all that is held or promised is counted
for longer than it may have been, and if the lease fits beside that, it was wronged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from haizea.checker.formulas import shutdown_seconds
from haizea.checker.holders import Holder, Holders, Moment
from haizea.checker.records import AR, BEST_EFFORT, FOREVER, Capacity, Lease, Records, copies
from haizea.checker.violation import Rule, Violation


class Refusal(NamedTuple):
    """A lease that was rejected for want of room, and when."""

    time: int
    lease: Lease


def refused(records: Records, holders: Holders, refusals: Iterable[Refusal]) -> Iterator[Violation]:
    """Those that had room."""
    if records.disturbed or records.options.images_managed:
        return
    refusals = sorted(refusals, key=lambda r: (r.time, r.lease.id))
    for refusal, moment in zip(refusals, holders.at(r.time for r in refusals), strict=True):
        lease = refusal.lease
        start = refusal.time if lease.requested_start is None else lease.requested_start
        beside = _beside(records, refusal, moment, start)
        if beside is None or len(lease.node_sets) > 1 or start < refusal.time:
            continue
        node = lease.node_sets[0]
        end = start + lease.length
        if nodes_free(records, node.capacity, beside, start, end) >= node.count:
            rule = Rule.AR if lease.kind == AR else Rule.IMMEDIATE
            message = "it is rejected for want of room, but there is room"
            yield Violation(rule, lease.id, None, refusal.time, message)


def _beside(records: Records, refusal: Refusal, moment: Moment, start: int) -> list[Holder] | None:
    """Whom the lease has to fit beside; ``None`` if that cannot be told."""
    options, lease = records.options, refusal.lease
    preempting = lease.kind == AR and options.preemption == "ar-preempts-everything"
    if lease.kind == AR and not preempting and options.preemption != "no-preemption":
        return None
    waiting = moment.waiting_firm if preempting else moment.waiting
    if waiting and options.backfilling != "off":
        return None  # they may hold reservations that are on no record
    end = start + lease.length
    beside = [
        h
        for h in moment.holders
        if h.start < end and h.planned_end > start
        if not (preempting and _removable(records, h, refusal.time))
    ]
    return None if any(not h.use for h in beside) else beside


def _removable(records: Records, holder: Holder, time: int) -> bool:
    """Whether an AR can have the holder's hosts: it runs, or waits."""
    lease = holder.lease
    if lease.kind != BEST_EFFORT or not lease.preemptible or holder.active is None:
        return False
    left = holder.planned_end - holder.active
    shutdown = shutdown_seconds(records.options, lease.nodes, left) if left < FOREVER else 0
    return holder.active <= time < holder.planned_end - shutdown and time < holder.gone


def nodes_free(
    records: Records, node: Capacity, beside: Iterable[Holder], start: int, end: int
) -> int:
    """How many such nodes fit throughout ``[start, end)`` beside these holders."""
    on_host: dict[int, list[Holder]] = {}
    for holder in beside:
        for host in holder.use:
            on_host.setdefault(host, []).append(holder)
    total = 0
    for there in records.hosts.values():
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
