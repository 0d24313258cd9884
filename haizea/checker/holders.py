"""Holders of hosts, real and promised, at given moments: one sweep over all leases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from heapq import heappop, heappush
from typing import NamedTuple

from haizea.checker.history import WAITING, History
from haizea.checker.load import ResultsFile
from haizea.checker.others import Held, numbers_of
from haizea.checker.records import AR, BEST_EFFORT, DEADLINE, FOREVER, Capacity, Records
from haizea.checker.scratch import Scratch, Spool


class Holder:
    """A lease that holds hosts, or is promised them, from then on until ``gone``.

    By what is ``known`` since that moment it has them for ``[start, planned_end)``. It runs from
    ``active`` on, if at all, and is ``stopped`` before it is gone. ``preemptible`` is set of
    best-effort leases that are.
    """

    def __init__(self, held: Held, known: int, row: tuple[int, ...], numbers: str) -> None:
        self.known = known
        self.lease, self.nodes = row[0], row[1]
        self.preemptible = bool(row[2])
        self.stopped, self.gone, self.start, self.planned_end = row[3:7]
        self.active: int | None = row[7]
        self._held = held
        self._numbers = numbers

    @property
    def placed(self) -> bool:
        """Tell whether the records tell which hosts it has."""
        return bool(self._numbers)

    @cached_property
    def use(self) -> Mapping[int, Capacity]:
        """Return what it has on each host; empty where the records do not tell."""
        return self._held.use(self._numbers)


class Moment(NamedTuple):
    """Holds at a moment; ``waiting`` counts best-effort leases that wait for hosts,
    ``firm`` those of them that are not preemptible, ``resuming`` those of them that were
    suspended and are given hosts for a later moment."""

    holders: list[Holder]
    waiting: int
    firm: int
    resuming: int


def may_have_moved(records: Records, admitted: int, start: int) -> bool:
    """Tell whether an AR may have been promised other hosts before those that it started on.

    It leaves hosts that take nothing new before it starts, if it can.
    """
    return any(
        change.status == "drained" and admitted <= change.time <= start
        for changes in records.host_changes.values()
        for change in changes
    )


class Holders:
    """All that hold hosts; filled with one history after another.

    Only where somebody is going to ask.
    """

    def __init__(self, file: ResultsFile, scratch: Scratch) -> None:
        records = file.records
        self._asked = records.contested and records.plans_hold
        self._held = Held(file)
        self._holders = Spool(
            scratch,
            "holders",
            "known, numbers, lease, nodes, preemptible, stopped, gone, start, planned_end, active",
            "known",
        )
        # A time, and what each count changes by.
        self._waiting = Spool(scratch, "waiting", "time, waiting, firm, resuming", "time")

    def add(self, history: History) -> None:
        """Take in one lease."""
        lease = history.lease
        if not self._asked or lease.state == "Rejected" or not history.story:
            return
        stays = history.stretches
        preemptible = lease.kind == BEST_EFFORT and lease.preemptible
        who = (lease.id, lease.nodes, preemptible)
        if lease.kind == AR:
            start = lease.requested_start or 0
            gone = FOREVER if history.final is None else history.final.time
            known = history.admitted
            told = stays and not may_have_moved(history.records, known, start)
            numbers = numbers_of(stays[0].sets) if told else ""
            end = start + lease.length
            if history.planned_hosts and numbers:
                # Which hosts it was promised before is not recorded.
                since = history.planned_hosts[-1].time
                self._holders.add((known, "", *who, since, since, start, end, start))
                known = since
            self._holders.add((known, numbers, *who, gone, gone, start, end, start))
            return
        if lease.kind == DEADLINE:
            # Until it begins, something is kept for it somewhere in its window.
            over = FOREVER if history.final is None else history.final.time
            begins = stays[0].start if stays else over
            since, end = lease.after or history.admitted, lease.deadline or FOREVER
            window = (begins, begins, since, end, since)
            self._holders.add((history.admitted, "", *who, *window))
        for stay in stays:
            times = (stay.stopped, stay.end, stay.start, stay.planned_end, stay.active)
            self._holders.add((stay.start, numbers_of(stay.sets), *who, *times))
        if lease.kind != BEST_EFFORT:
            return
        firm = 0 if lease.preemptible else 1
        for span in history.spans:
            if span.state in WAITING and span.end != span.start:
                resuming = 1 if span.state == "Suspended-Scheduled" else 0
                self._waiting.add((span.start, 1, firm, resuming))
                if span.end is not None:
                    self._waiting.add((span.end + 1, -1, -firm, -resuming))

    def at(self, moments: Iterable[int]) -> Iterator[Moment]:
        """Return what is held at each of ``moments``, which are in order."""
        holders, changes = iter(self._holders), iter(self._waiting)
        live: dict[int, Holder] = {}
        ends: list[tuple[int, int]] = []
        holder, change = next(holders, None), next(changes, None)
        count = waiting = firm = resuming = 0
        for time in moments:
            while holder is not None and holder[0] <= time:
                live[count] = Holder(self._held, holder[0], holder[2:], holder[1])
                heappush(ends, (live[count].gone, count))
                count += 1
                holder = next(holders, None)
                while ends and ends[0][0] < time:
                    del live[heappop(ends)[1]]
            while ends and ends[0][0] < time:
                del live[heappop(ends)[1]]
            while change is not None and change[0] <= time:
                waiting += change[1]
                firm += change[2]
                resuming += change[3]
                change = next(changes, None)
            yield Moment(list(live.values()), waiting, firm, resuming)
