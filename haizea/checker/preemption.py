"""Rule 6: who makes room may be asked to, in the way that costs least, and not in vain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from haizea.checker import formulas
from haizea.checker.history import History, Stretch
from haizea.checker.holders import Holder, Holders, may_have_moved
from haizea.checker.records import AR, FOREVER, Records
from haizea.checker.rejections import least_free
from haizea.checker.violation import Rule, Violation

_FOR = re.compile(r"\blease (\d{1,15})\b")


class Victim(NamedTuple):
    """A lease that ran and had to leave at ``time`` for the AR ``by``, asked for at ``asked``."""

    asked: int
    lease_id: int
    by: int
    time: int
    stay: Stretch


class Preemptions:
    """Checks leases one by one, and notes the victims of ARs for :meth:`needless`."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._victims: list[Victim] = []

    def check(self, history: History) -> Iterator[Violation]:
        """Whether the lease may be preempted, and is so in the right way and in time."""
        lease = history.lease
        for before, change in pairwise(history.story):
            if before.state != "Active" or change.state not in ("Suspending", "Queued"):
                continue
            if lease.kind == AR:
                return  # the rule of ARs tells
            if change.code == "failure":
                continue
            if change.state == "Queued" and change.code != "preempted":
                yield self._violation(history, change.time, "it is requeued, yet not preempted")
                return
            if not lease.preemptible:
                message = f"it has to leave ({change.state}), yet is not preemptible"
                yield self._violation(history, change.time, message)
                return
            if change.code == "preempted":
                if self._records.options.preemption == "no-preemption":
                    message = "it is preempted, which policy-preemption: no-preemption rules out"
                    yield self._violation(history, change.time, message)
                    return
                yield from self._preempted(history, change.time, change.state, change.reason)

    def _violation(self, history: History, time: int, message: str) -> Violation:
        return Violation(Rule.PREEMPTION, history.lease.id, None, time, message)

    def _preempted(
        self, history: History, time: int, state: str, reason: str
    ) -> Iterator[Violation]:
        records = self._records
        found = _FOR.search(reason)
        ar = records.leases.get(int(found[1])) if found else None
        stay = next(
            (s for s in history.stretches if s.active is not None and s.active <= time <= s.end),
            None,
        )
        if ar is None or ar.requested_start is None or stay is None:
            return
        gone = time if state == "Queued" else stay.end
        if gone > ar.requested_start and not records.disturbed:
            message = f"it leaves its hosts at {gone}, after lease {ar.id} needs them"
            yield self._violation(history, time, message)
            return
        of_ar = History(records, ar)
        asked = of_ar.admitted
        if state == "Queued" and not records.disturbed:
            since = time if may_have_moved(of_ar) else asked
            yield from self._dropped(history, stay, time, since, ar.requested_start)
        self._victims.append(Victim(asked, history.lease.id, ar.id, time, stay))

    def _dropped(
        self, history: History, stay: Stretch, time: int, asked: int, deadline: int
    ) -> Iterator[Violation]:
        """It starts over: only where it could not have been suspended in time."""
        records, lease = self._records, history.lease
        options = records.options
        allowed = options.suspendable(lease)
        # With one file system for all, others may have been in the way.
        if not allowed or options.global_exclusion or stay.active is None or not stay.use:
            return
        seconds = formulas.suspend_seconds(records, lease, stay.use, time).most
        resume = 0
        if stay.resumed:
            resume = formulas.resume_seconds(records, lease, stay.use, time).most
        least = max(formulas.threshold(options, seconds, resume), 1)
        latest = deadline - seconds
        left = stay.planned_end - stay.active
        shutdown = formulas.shutdown_seconds(options, lease.nodes, left)
        runs_then = latest < stay.planned_end - shutdown
        if asked <= latest and latest - stay.active >= least and runs_then:
            message = (
                f"it starts over, though it could have been suspended from {latest} on,"
                f" after {latest - stay.active} s"
            )
            yield self._violation(history, time, message)

    def needless(self, holders: Holders) -> Iterator[Violation]:
        """Victims that could have stayed."""
        if self._records.disturbed:
            return
        victims = sorted(self._victims, key=lambda v: (v.asked, v.lease_id))
        gone: dict[int, set[int]] = {}
        for victim in victims:
            gone.setdefault(victim.by, set()).add(victim.lease_id)
        for victim, moment in zip(victims, holders.at(v.asked for v in victims), strict=True):
            ar = next((h for h in moment.holders if h.lease.id == victim.by), None)
            if ar is None or not ar.use or not victim.stay.use:
                continue
            if not set(ar.use) & set(victim.stay.use):
                message = f"it is preempted for lease {victim.by}, but on none of its hosts"
                yield Violation(Rule.PREEMPTION, victim.lease_id, None, victim.time, message)
                continue
            beside = [h for h in moment.holders if h.lease.id not in gone[victim.by]]
            # Where waiting leases hold reservations on hosts, these may have been in the way.
            options = self._records.options
            promised = options.images_managed or options.reservations not in (0, 1)
            known = moment.waiting == 0 or (moment.firm == 0 and not promised)
            if known and self._could_stay(victim, ar, beside):
                message = f"it is preempted for lease {victim.by}, which had room beside it"
                yield Violation(Rule.PREEMPTION, victim.lease_id, None, victim.time, message)

    def _could_stay(self, victim: Victim, ar: Holder, holders: Iterable[Holder]) -> bool:
        """Whether it fits beside all that was held or promised when the AR was asked for."""
        start, end = ar.start, victim.stay.planned_end
        if start >= end or end >= FOREVER:
            return False
        others = [h for h in holders if h.start < end and h.planned_end > start]
        if any(not h.use for h in others):
            return False
        for host, wanted in victim.stay.use.items():
            there = self._records.hosts.get(host)
            beside = [h for h in others if host in h.use]
            if there is None or not least_free(wanted, there.capacity, host, beside, start, end):
                return False
        return True
