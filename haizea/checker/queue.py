"""Rule 4: the queue. Best-effort leases go in order; who overtakes delays no reservation.

A replay of all best-effort leases. Which reservations the waiting leases held is on no
record, but the first one's can be worked out: the soonest it fits beside those that run,
by the durations they asked for. So much is promised to it, and whoever overtakes must
leave it that. This holds while nothing else is promised to anybody: no AR or maintenance ahead, no
lease suspended. At other times the promise is not known, and is not tested; nor is it where
things fail or are late.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from haizea.checker.history import History
from haizea.checker.hosts import HostTimes
from haizea.checker.load import ResultsFile
from haizea.checker.maintenance import announced
from haizea.checker.others import Held, numbers_of
from haizea.checker.records import BEST_EFFORT, FOREVER, Capacity, Lease, NodeSet, total_of
from haizea.checker.replay import Event, Job, Replay
from haizea.checker.scratch import Scratch, Spool
from haizea.checker.values import LARGEST_NUMBER
from haizea.checker.violation import Violation

#: States in which a lease has been taken from the queue's place but is promised hosts that
#: no record shows.
_UNSETTLED = frozenset(
    {
        "Suspending",
        "Suspended-Pending",
        "Suspended-Queued",
        "Suspended-Scheduled",
        "Migrating",
        "Resuming",
    }
)
_SETTLED = frozenset({"Active", "Done", "Rejected", "Cancelled", "Failed"})
_QUEUED = frozenset({"Pending", "Queued", "Scheduled", "Suspended-Pending", "Suspended-Queued"})

#: One that comes back counts from the next second: this pass may be over.
_WAITS = {False: "waits", True: "returns"}


class Queue:
    """Fill it with :meth:`add`, then ask :meth:`check`."""

    def __init__(self, file: ResultsFile, hosts: HostTimes, scratch: Scratch) -> None:
        self._records = records = file.records
        self._db = file.db
        self._hosts = hosts
        self._held = Held(file)
        self._jobs = _Jobs(scratch)
        columns = "time, lease, what, since, fresh, planned_end, numbers"
        self._events = Spool(scratch, "events", columns, "time, lease")
        options = records.options
        known = options.queue_order in ("submission", "seniority", "shortest-first")
        #: Whether the order of the queue is known, and starts are put off for it alone.
        #: Not where images are waited for, or hosts that will do.
        self.applies = (
            known and options.simulated and not options.images_managed and not records.placed
        )

    def add(self, history: History) -> None:
        """Take in one lease."""
        lease = history.lease
        if lease.state == "Rejected" or not history.story or not self.applies:
            return
        events = self._events
        granted = [change.time for change in history.changes if change.status == "granted"]
        if granted:
            # Until then it asked for something else. Its own number may be unsettled besides.
            events.add(Event(history.admitted, -lease.id, "unsettled"))
            events.add(Event(max(granted), -lease.id, "settled"))
        if lease.kind == BEST_EFFORT:
            self._jobs.add(lease, suspendable=self._records.options.suspendable(lease))
            self._waits(history)
        else:
            # Until it holds its hosts, they are promised to it.
            events.add(Event(history.admitted, lease.id, "unsettled"))
        unsettled = lease.kind != BEST_EFFORT
        for span in history.spans:
            # One that lost its hosts may be promised others, for later.
            promised = lease.kind != BEST_EFFORT and (unsettled or span.state == "Queued")
            now = span.state in _UNSETTLED or (promised and span.state not in _SETTLED)
            if now != unsettled:
                what = "unsettled" if now else "settled"
                events.add(Event(span.start, lease.id, what))
                unsettled = now
        for stay in history.stretches:
            if stay.active is not None and stay.active < stay.end and stay.use:
                since = history.place(stay.start)
                starts = Event(stay.active, lease.id, "starts", since)
                numbers = numbers_of(stay.sets)
                fresh, until = not stay.resumed, stay.planned_end
                events.add(starts._replace(fresh=fresh, planned_end=until, numbers=numbers))
                if stay.end < FOREVER:
                    events.add(Event(stay.end, lease.id, "ends"))

    def _waits(self, history: History) -> None:
        """Add the times when the lease is in the queue; moments without duration are left out."""
        lease = history.lease.id
        waits_from: int | None = None
        again = False
        for span in history.spans:
            if span.state in _QUEUED and waits_from is None:
                waits_from = span.start
            elif span.state not in _QUEUED and span.state != "New" and waits_from is not None:
                since = history.place(waits_from)
                self._waited(Event(waits_from, lease, _WAITS[again], since), span.start)
                if span.state == "Suspended-Scheduled":
                    # It goes on when it is back: this is when it was taken.
                    self._events.add(Event(span.start, lease, "taken", since))
                waits_from, again = None, True
        if waits_from is not None:
            since = history.place(waits_from)
            self._waited(Event(waits_from, lease, _WAITS[again], since), FOREVER)

    def _waited(self, begins: Event, end: int) -> None:
        if begins.time < end:
            self._events.add(begins)
            if end < FOREVER:
                self._events.add(Event(end, begins.lease, "leaves"))

    def check(self) -> Iterator[Violation]:
        """Everything that is wrong with the order of starts."""
        if not self.applies:
            return
        for time, host, opens in self._hosts.openings():
            self._events.add(Event(time, host, "opens" if opens else "shuts"))
        for time, window, ahead in announced(self._db):
            # Hosts are promised to it, as to a lease; no lease has a number like this.
            what = "unsettled" if ahead else "settled"
            self._events.add(Event(time, LARGEST_NUMBER + 1 + window, what))
        replay = Replay(self._records, self._jobs.find, self._held.sets)
        for time, events in groupby(map(Event._make, self._events), key=itemgetter(0)):
            yield from replay.moment(time, list(events))

    def describe(self) -> str | None:
        """Describe what cannot be tested, if anything."""
        if not self.applies:
            return (
                "rule 4: the order of starts is not tested (images, own order, a real site, or"
                " leases that may not run everywhere)"
            )
        if not self._records.plans_hold:
            return "rule 4: future reservations are not tested (failures, delays or changes)"
        if self._records.options.reservations not in (0, 1):
            return "rule 4: only one future reservation can be worked out; several are not tested"
        return None


class _Jobs:
    """The leases of the queue, kept until they are asked for."""

    def __init__(self, scratch: Scratch) -> None:
        columns = "lease INTEGER PRIMARY KEY, submitted, length, suspendable, nodes"
        self._found = Spool(scratch, "jobs", columns, "lease")

    def add(self, lease: Lease, *, suspendable: bool) -> None:
        nodes = _told(tuple([(s.count, s.capacity) for s in lease.node_sets]))
        self._found.add((lease.id, lease.submitted, lease.length, suspendable, nodes))

    def find(self, lease: int) -> Job | None:
        found = self._found.find(lease)
        if found is None:
            return None
        return Job._make((*found[:3], bool(found[3]), *_nodes(found[4])))


@lru_cache(1000)
def _told(node_sets: tuple[tuple[int, Capacity], ...]) -> str:
    return json.dumps(node_sets)


@lru_cache(1000)
def _nodes(told: str) -> tuple[tuple[NodeSet, ...], Capacity]:
    """Node sets, and what they ask for in all."""
    sets = tuple([NodeSet(count, tuple(capacity)) for count, capacity in json.loads(told)])
    return sets, total_of(sets)
