"""Rule 4: the queue. Best-effort leases go in order; who overtakes delays no reservation.

A replay of all best-effort leases. Which reservations the waiting leases held is on no
record, but the first one's can be worked out: the soonest it fits beside those that run,
by the durations they asked for. So much is promised to it, and whoever overtakes must
leave it that. This holds while nothing else is promised to anybody: no AR ahead, no lease
suspended. At other times the promise is not known, and is not tested; nor is it where
things fail or are late.
"""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import History
from haizea.checker.hosts import HostTimes
from haizea.checker.records import BEST_EFFORT, FOREVER, Lease, Records
from haizea.checker.replay import MOST_LOOKS, Event, Replay
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

    def __init__(self, records: Records, hosts: HostTimes) -> None:
        self._records = records
        self._hosts = hosts
        self._events: list[Event] = []
        self._leases: dict[int, Lease] = {}
        self._replay: Replay | None = None

    @property
    def applies(self) -> bool:
        """Whether the order of the queue is known, and starts are put off for it alone.

        Not where images are waited for, or hosts that will do.
        """
        options = self._records.options
        known = options.queue_order in ("submission", "seniority", "shortest-first")
        anywhere = not self._records.host_rules
        return known and options.simulated and not options.images_managed and anywhere

    def add(self, history: History) -> None:
        """Take in one lease."""
        lease = history.lease
        if lease.state == "Rejected" or not history.story or not self.applies:
            return
        events = self._events
        if lease.kind == BEST_EFFORT:
            self._leases[lease.id] = lease
            self._waits(history)
        else:
            # Until it holds its hosts, they are promised to it.
            events.append(Event(history.admitted, lease.id, "unsettled"))
        unsettled = lease.kind != BEST_EFFORT
        for span in history.spans:
            now = span.state in _UNSETTLED or (
                unsettled and lease.kind != BEST_EFFORT and span.state not in _SETTLED
            )
            if now != unsettled:
                what = "unsettled" if now else "settled"
                events.append(Event(span.start, lease.id, what))
                unsettled = now
        for stay in history.stretches:
            if stay.active is not None and stay.active < stay.end and stay.use:
                since = history.place(stay.start)
                events.append(Event(stay.active, lease.id, "starts", since, stay))
                if stay.end < FOREVER:
                    events.append(Event(stay.end, lease.id, "ends"))

    def _waits(self, history: History) -> None:
        """When the lease is in the queue; moments without duration are left out."""
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
                    self._events.append(Event(span.start, lease, "taken", since))
                waits_from, again = None, True
        if waits_from is not None:
            since = history.place(waits_from)
            self._waited(Event(waits_from, lease, _WAITS[again], since), FOREVER)

    def _waited(self, begins: Event, end: int) -> None:
        if begins.time < end:
            self._events.append(begins)
            if end < FOREVER:
                self._events.append(Event(end, begins.lease, "leaves"))

    def check(self) -> Iterator[Violation]:
        """Everything that is wrong with the order of starts."""
        if not self.applies:
            return
        for time, host, opens in self._hosts.openings():
            self._events.append(Event(time, host, "opens" if opens else "shuts"))
        replay = self._replay = Replay(self._records, self._leases)
        events = sorted(self._events, key=lambda e: (e.time, e.lease))
        first = 0
        while first < len(events):
            last = first
            while last < len(events) and events[last].time == events[first].time:
                last += 1
            yield from replay.moment(events[first].time, events[first:last])
            first = last

    def describe(self) -> str | None:
        """What could not be tested, if anything; ask it after :meth:`check`."""
        if not self.applies:
            return (
                "rule 4: the order of starts is not tested (images, own order, a real site, or"
                " leases that may not run everywhere)"
            )
        if self._records.disturbed:
            return "rule 4: future reservations are not tested (failures or delays)"
        if self._records.options.reservations not in (0, 1):
            return "rule 4: only one future reservation can be worked out; several are not tested"
        if self._replay is not None and self._replay.looks > MOST_LOOKS:
            return "rule 4: not all future reservations were tested (too many to work out)"
        return None
