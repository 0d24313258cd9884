"""Rule 6: who makes room may be asked to, in the way that costs least, and not in vain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from haizea.checker import formulas
from haizea.checker.history import History, Stretch
from haizea.checker.holders import Holder, Holders, Moment, may_have_moved
from haizea.checker.load import ResultsFile
from haizea.checker.others import Held, Others, numbers_of
from haizea.checker.records import AR, DEADLINE, FOREVER, Capacity, Change
from haizea.checker.rejections import least_free
from haizea.checker.scratch import Scratch, Spool
from haizea.checker.values import lease_of
from haizea.checker.violation import Rule, Violation


class Victim(NamedTuple):
    """A lease that ran and had to leave at ``time`` for the AR ``by``, asked for at ``asked``.

    It would have had its hosts until ``planned_end``; ``numbers`` are the rows of what it held.
    """

    asked: int
    lease_id: int
    by: int
    time: int
    planned_end: int
    numbers: str


class Preemptions:
    """Checks leases one by one, and notes the victims of ARs for :meth:`needless`."""

    def __init__(self, file: ResultsFile, others: Others, scratch: Scratch) -> None:
        self._records = file.records
        self._others = others
        self._held = Held(file)
        self._victims = Spool(
            scratch, "victims", "asked, lease, by, time, planned_end, numbers", "asked, lease"
        )

    def check(self, history: History) -> Iterator[Violation]:
        """Check that the lease may be preempted, and is so in the right way and in time."""
        lease = history.lease
        for before, change in pairwise(history.story):
            if before.state != "Active" or change.state not in ("Suspending", "Queued"):
                continue
            if lease.kind == AR or (lease.kind == DEADLINE and change.state == "Queued"):
                return  # the rules of ARs and deadlines tell
            if change.code == "failure":
                continue
            requeued = change.code if change.state == "Queued" else ""
            if requeued == "hole" and self._records.was_away(before.time, change.time):
                continue  # Its VMs began when it was to leave its hosts already.
            if change.state == "Queued" and change.code != "preempted":
                yield self._violation(history, change.time, "it is requeued, yet not preempted")
                return
            if not history.was_preemptible(change.time):
                message = f"it has to leave ({change.state}), yet is not preemptible"
                yield self._violation(history, change.time, message)
                return
            if change.code == "preempted":
                # For maintenance a lease leaves under any policy: its reason names no lease.
                gains = not change.parameters or lease_of(change.parameters) is not None
                if gains and self._records.options.preemption == "no-preemption":
                    message = "it is preempted, which policy-preemption: no-preemption rules out"
                    yield self._violation(history, change.time, message)
                    return
                yield from self._preempted(history, change)

    def _violation(self, history: History, time: int, message: str) -> Violation:
        return Violation(Rule.PREEMPTION, history.lease.id, None, time, message)

    def _preempted(self, history: History, change: Change) -> Iterator[Violation]:
        records, time, state = self._records, change.time, change.state
        gainer = lease_of(change.parameters)
        # Results of earlier versions do not tell.
        ar = None if gainer is None else self._others.asked(gainer)
        stay = next(
            (s for s in history.stretches if s.active is not None and s.active <= time <= s.end),
            None,
        )
        if ar is None or stay is None:
            return
        gone = time if state == "Queued" else stay.end
        if gone > ar.requested_start and not records.disturbed:
            message = f"it leaves its hosts at {gone}, after lease {ar.lease} needs them"
            yield self._violation(history, time, message)
            return
        if state == "Queued" and not records.disturbed:
            moved = may_have_moved(records, ar.admitted, ar.requested_start)
            since = time if moved else ar.admitted
            yield from self._dropped(history, stay, time, since, ar.requested_start)
        victim = (history.lease.id, ar.lease, time, stay.planned_end, numbers_of(stay.sets))
        self._victims.add(Victim(ar.admitted, *victim))

    def _dropped(
        self, history: History, stay: Stretch, time: int, asked: int, deadline: int
    ) -> Iterator[Violation]:
        """Check that a lease starts over only where it could not have been suspended in time."""
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
        shutdown = history.shutdown_seconds(left).most
        runs_then = latest < stay.planned_end - shutdown
        if asked <= latest and latest - stay.active >= least and runs_then:
            message = (
                f"it starts over, though it could have been suspended from {latest} on,"
                f" after {latest - stay.active} s"
            )
            yield self._violation(history, time, message)

    def needless(self, holders: Holders) -> Iterator[Violation]:
        """Victims that could have stayed."""
        if not self._records.plans_hold:
            return
        asked = groupby(map(Victim._make, self._victims), key=itemgetter(0))
        moments = holders.at(row[0] for row in self._victims)
        for _, victims in asked:
            together = list(victims)
            gone: dict[int, set[int]] = {}
            for victim in together:
                gone.setdefault(victim.by, set()).add(victim.lease_id)
            for victim in together:
                message = self._needless(victim, next(moments), gone[victim.by])
                if message is not None:
                    yield Violation(Rule.PREEMPTION, victim.lease_id, None, victim.time, message)

    def _needless(self, victim: Victim, moment: Moment, gone: set[int]) -> str | None:
        """Why the victim could have stayed, though not those ``gone`` for the same AR."""
        ar = next((h for h in moment.holders if h.lease == victim.by), None)
        if ar is None or not ar.placed or not victim.numbers:
            return None
        use = self._held.use(victim.numbers)
        # Those who got other hosts for the AR may be the ones who take the victim's.
        new = [h for h in moment.holders if h.known == victim.asked]
        moved = [h for h in new if h.use.keys() & use.keys()]
        if not moved and all(h.placed for h in new):
            return f"it is preempted for lease {victim.by}, but on none of its hosts"
        # Where waiting leases hold reservations on hosts, these may have been in the way.
        options = self._records.options
        promised = options.images_managed or options.reservations not in (0, 1)
        known = moment.waiting == 0 or (moment.firm == 0 and not promised)
        beside = [h for h in moment.holders if h.lease not in gone]
        start = min([ar.start, *[h.start for h in moved]])
        if known and self._could_stay(victim, use, start, beside):
            return f"it is preempted for lease {victim.by}, which had room beside it"
        return None

    def _could_stay(
        self, victim: Victim, use: Mapping[int, Capacity], start: int, holders: Iterable[Holder]
    ) -> bool:
        """Tell whether it fits beside all that was held or promised when the AR was asked for.

        From ``start`` on, when the first of those that take its hosts begins.
        """
        end = victim.planned_end
        if start >= end or end >= FOREVER:
            return False
        others = [h for h in holders if h.start < end and h.planned_end > start]
        if any(not h.placed for h in others):
            return False
        for host, wanted in use.items():
            there = self._records.hosts.get(host)
            beside = [h for h in others if host in h.use]
            if there is None or not least_free(wanted, there.capacity, host, beside, start, end):
                return False
        return True
