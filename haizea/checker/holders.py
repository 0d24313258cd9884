"""Who holds hosts, or is promised them, at given moments: one sweep over all leases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from haizea.checker.history import WAITING, History
from haizea.checker.records import AR, BEST_EFFORT, FOREVER, Capacity, Lease


class Holder(NamedTuple):
    """A lease that holds hosts, or is promised them, from ``known`` until ``gone``.

    By what is known then it has them for ``[start, planned_end)``. ``use`` is empty where
    the records do not tell which hosts. It runs from ``active`` on, if at all, and is
    ``stopped`` before it is gone.
    """

    lease: Lease
    known: int
    stopped: int
    gone: int
    start: int
    planned_end: int
    active: int | None
    use: Mapping[int, Capacity]


class Moment(NamedTuple):
    """What is held at a moment; ``waiting`` counts best-effort leases that wait for hosts,
    ``firm`` those of them that are not preemptible, ``resuming`` those of them that were
    suspended and are given hosts for a later moment."""

    holders: list[Holder]
    waiting: int
    firm: int
    resuming: int


def may_have_moved(history: History) -> bool:
    """Whether an AR may have been promised other hosts before those that it started on.

    It leaves hosts that take nothing new before it starts, if it can.
    """
    start = history.lease.requested_start or 0
    return any(
        change.status == "drained" and history.admitted <= change.time <= start
        for changes in history.records.host_changes.values()
        for change in changes
    )


class Holders:
    """All that hold hosts; filled with one history after another."""

    def __init__(self) -> None:
        self._holders: list[Holder] = []
        self._waiting: list[tuple[int, int, int, int]] = []  # time, and what each changes by

    def add(self, history: History) -> None:
        """Take in one lease."""
        lease = history.lease
        if lease.state == "Rejected" or not history.story:
            return
        stays = history.stretches
        if lease.kind == AR:
            start = lease.requested_start or 0
            gone = FOREVER if history.final is None else history.final.time
            use = stays[0].use if stays and not may_have_moved(history) else {}
            end = start + lease.length
            known = history.admitted
            self._holders.append(Holder(lease, known, gone, gone, start, end, start, use))
            return
        for stay in stays:
            start, end, active = stay.start, stay.planned_end, stay.active
            self._holders.append(
                Holder(lease, start, stay.stopped, stay.end, start, end, active, stay.use)
            )
        if lease.kind != BEST_EFFORT:
            return
        firm = 0 if lease.preemptible else 1
        for span in history.spans:
            if span.state in WAITING and span.end != span.start:
                resuming = 1 if span.state == "Suspended-Scheduled" else 0
                self._waiting.append((span.start, 1, firm, resuming))
                if span.end is not None:
                    self._waiting.append((span.end + 1, -1, -firm, -resuming))

    def at(self, moments: Iterable[int]) -> Iterator[Moment]:
        """What is held at each of ``moments``, which are in order."""
        holders = sorted(self._holders, key=lambda h: h.known)
        changes = sorted(self._waiting)
        live: dict[int, Holder] = {}
        ends: list[tuple[int, int]] = []
        next_holder = next_change = waiting = firm = resuming = 0
        for time in moments:
            while next_holder < len(holders) and holders[next_holder].known <= time:
                holder = holders[next_holder]
                live[next_holder] = holder
                heappush(ends, (holder.gone, next_holder))
                next_holder += 1
            while ends and ends[0][0] < time:
                del live[heappop(ends)[1]]
            while next_change < len(changes) and changes[next_change][0] <= time:
                waiting += changes[next_change][1]
                firm += changes[next_change][2]
                resuming += changes[next_change][3]
                next_change += 1
            yield Moment(list(live.values()), waiting, firm, resuming)
