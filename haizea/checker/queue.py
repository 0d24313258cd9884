"""Rule 4: the queue. Best-effort leases go in order; who overtakes delays no reservation.

A replay of all best-effort leases. Which reservations the waiting leases held is on no
record, but the first one's can be worked out: the soonest it fits beside those that run,
by the durations they asked for. So much is promised to it, and whoever overtakes must
leave it that. This holds while nothing else is promised to anybody: no AR ahead, no lease
suspended. At other times the promise is not known, and is not tested.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from haizea.checker.history import History, Stretch
from haizea.checker.records import BEST_EFFORT, FOREVER, Capacity, Lease, Records, copies
from haizea.checker.violation import Rule, Violation

#: After so many looks at hosts, promises are no longer worked out.
MOST_LOOKS = 15_000_000

_Key = tuple[int, int, int]


class _Event(NamedTuple):
    """What changes at a moment. Those of one moment are taken together."""

    time: int
    lease: int
    what: str
    stay: Stretch | None


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
_QUEUED = frozenset({"Pending", "Queued", "Scheduled", "Suspended-Pending", "Suspended-Queued"})


class Queue:
    """Fill it with :meth:`add`, then ask :meth:`check`."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._events: list[_Event] = []
        self._leases: dict[int, Lease] = {}
        self._replay: Replay | None = None

    @property
    def applies(self) -> bool:
        """Whether the order of the queue is known, and starts are not put off for images."""
        options = self._records.options
        return options.queue_order in ("submission", "shortest-first") and (
            not options.images_managed
        )

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
            events.append(_Event(history.admitted, lease.id, "unsettled", None))
        unsettled = lease.kind != BEST_EFFORT
        for span in history.spans:
            now = span.state in _UNSETTLED or (
                unsettled and lease.kind != BEST_EFFORT and span.state not in _SETTLED
            )
            if now != unsettled:
                what = "unsettled" if now else "settled"
                events.append(_Event(span.start, lease.id, what, None))
                unsettled = now
        for stay in history.stretches:
            if stay.active is not None and stay.active < stay.end and stay.use:
                events.append(_Event(stay.active, lease.id, "starts", stay))
                if stay.end < FOREVER:
                    events.append(_Event(stay.end, lease.id, "ends", stay))

    def _waits(self, history: History) -> None:
        """When the lease is in the queue; moments without duration are left out."""
        waits_from: int | None = None
        again = False
        for span in history.spans:
            if span.state in _QUEUED and waits_from is None:
                waits_from = span.start
            elif span.state not in _QUEUED and span.state != "New" and waits_from is not None:
                self._waited(history.lease.id, waits_from, span.start, again)
                if span.state == "Suspended-Scheduled":
                    # It goes on when it is back: this is when it was taken.
                    self._events.append(_Event(span.start, history.lease.id, "taken", None))
                waits_from, again = None, True
        if waits_from is not None:
            self._waited(history.lease.id, waits_from, FOREVER, again)

    def _waited(self, lease: int, start: int, end: int, again: bool) -> None:
        if start < end:
            # One that comes back counts from the next second: this pass may be over.
            what = "returns" if again else "waits"
            self._events.append(_Event(start, lease, what, None))
            if end < FOREVER:
                self._events.append(_Event(end, lease, "leaves", None))

    def check(self) -> Iterator[Violation]:
        """Everything that is wrong with the order of starts."""
        if not self.applies or self._records.disturbed:
            return
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
            return "rule 4: the order of starts is not tested (images, or another queue order)"
        if self._records.disturbed:
            return "rule 4: the order of starts is not tested (failures, or a real site)"
        if self._records.options.reservations not in (0, 1):
            return "rule 4: only one future reservation can be worked out; several are not tested"
        if self._replay is not None and self._replay.looks > MOST_LOOKS:
            return "rule 4: not all future reservations were tested (too many to work out)"
        return None


def _is_fresh(event: _Event) -> bool:
    return event.stay is not None and not event.stay.resumed


_SETTLED = frozenset({"Active", "Done", "Rejected", "Cancelled", "Failed"})


class Replay:
    """The queue and the hosts, moment by moment."""

    def __init__(self, records: Records, leases: Mapping[int, Lease]) -> None:
        self._records = records
        self._leases = leases
        self._free = {h.id: h.capacity for h in records.hosts.values()}
        self._spare = [sum(c[i] for c in self._free.values()) for i in range(len(records.types))]
        self._running: list[tuple[int, int]] = []  # planned end, lease: in order
        self._stays: dict[int, Stretch] = {}
        self._waiting: dict[int, int] = {}  # lease -> waits in the sense of the rule from then
        self._queue: list[_Key] = []
        self._unsettled: set[int] = set()
        self._head: int | None = None
        self._promise: int | None = None
        self._freed: dict[int, Capacity] = {}  # what _soonest found free then, where it changed
        self.looks = 0

    def moment(self, time: int, events: list[_Event]) -> Iterator[Violation]:
        """What happens at one moment, and whether it may."""
        starts: list[_Event] = []
        taken: list[_Event] = []
        disturbed = False
        left = set()
        for event in events:
            match event.what:
                case "ends":
                    self._give_back(event.lease)
                case "starts":
                    starts.append(event)
                case "taken":
                    taken.append(event)
                case "waits" | "returns":
                    again = event.what == "returns"
                    disturbed = disturbed or again
                    self._waiting[event.lease] = time + 1 if again else time
                    heappush(self._queue, self._key(event.lease))
                case "leaves":
                    if self._waiting.pop(event.lease, None) is not None:
                        left.add(event.lease)
                case "unsettled":
                    disturbed = True
                    self._unsettled.add(event.lease)
                case _:
                    self._unsettled.discard(event.lease)
        if disturbed:
            self._promise = None
        yield from self._started(time, starts, left)
        yield from self._out_of_order(time, [e for e in starts if _is_fresh(e)] + taken)

    def _key(self, lease_id: int) -> _Key:
        lease = self._leases[lease_id]
        if self._records.options.queue_order == "shortest-first":
            return (lease.length, lease.submitted, lease_id)
        return (lease.submitted, lease_id, lease_id)

    def _started(self, time: int, starts: list[_Event], left: set[int]) -> Iterator[Violation]:
        promise = self._promise if self._head in left and self._began(starts) else None
        if promise is not None and time > promise:
            message = f"it starts then, though it was sure to fit at {promise}"
            yield Violation(Rule.QUEUE, self._head, None, time, message)
        head = self._first()
        if head != self._head:
            self._head, self._promise = head, None
        eligible = head is not None and self._waiting[head] <= time
        overtakers = []
        for event in starts:
            lease = self._leases.get(event.lease)
            # One that goes on was given its hosts when it was taken, and not now.
            ahead = eligible and lease is not None and _is_fresh(event)
            if ahead and head is not None and self._key(event.lease) > self._key(head):
                overtakers.append(event)
            else:
                self._take(event)
                # A lease without a place in the queue takes what was promised.
                self._promise = self._promise if lease is not None else None
        if head is not None and eligible:
            yield from self._overtaken(time, head, overtakers)
        for event in overtakers:
            self._take(event)

    def _out_of_order(self, time: int, taken: list[_Event]) -> Iterator[Violation]:
        """Without backfilling, who is taken while the first lease waits."""
        head = self._head
        off = self._records.options.backfilling == "off"
        if not off or head is None or self._waiting[head] > time:
            return
        for event in taken:
            if event.lease in self._leases and self._key(event.lease) > self._key(head):
                message = f"it overtakes lease {head}, which waits"
                yield Violation(Rule.QUEUE, event.lease, None, time, message)

    def _began(self, starts: list[_Event]) -> bool:
        return any(event.lease == self._head for event in starts)

    def _first(self) -> int | None:
        while self._queue and self._queue[0][2] not in self._waiting:
            heappop(self._queue)
        return self._queue[0][2] if self._queue else None

    def _overtaken(self, time: int, head: int, overtakers: list[_Event]) -> Iterator[Violation]:
        options = self._records.options
        known = not self._unsettled and len(self._leases[head].node_sets) == 1
        # Of several reservations, a later lease's may keep the first lease waiting.
        known = known and options.reservations in (0, 1)
        if not known or time >= self._records.ended or self.looks > MOST_LOOKS:
            return
        if not overtakers and not self._may_fit(head):
            return
        rooms = self._rooms(head)
        needed = self._leases[head].node_sets[0].count
        if sum(rooms.values()) >= needed:
            told = bool(overtakers) and options.backfilling == "off"
            if options.simulated_clock and not told:
                message = "it waits, though there is room for it"
                yield Violation(Rule.QUEUE, head, None, time, message)
            return
        if not overtakers or options.reservations == 0:
            return
        promise = self._soonest(rooms, head)
        if promise is not None:
            yield from self._delaying(time, head, promise, rooms, overtakers)
            self._promise = min(promise, FOREVER if self._promise is None else self._promise)

    def _may_fit(self, head: int) -> bool:
        """Whether there is as much free as it needs, on all hosts together."""
        total = self._leases[head].total
        return all(t <= s for t, s in zip(total, self._spare, strict=True))

    def _rooms(self, head: int) -> dict[int, int]:
        """How many nodes of the first lease fit on each host now."""
        node = self._leases[head].node_sets[0].capacity
        self.looks += len(self._free)
        return {host: copies(node, free) for host, free in self._free.items()}

    def _soonest(self, rooms: dict[int, int], head: int) -> int | None:
        """When the first lease fits beside those that run; ``rooms`` becomes what is free then."""
        nodes = self._leases[head].node_sets[0]
        room = sum(rooms.values())
        freed: dict[int, Capacity] = {}
        for i, (end, lease_id) in enumerate(self._running):
            if end >= FOREVER:
                return None
            use = self._stays[lease_id].use
            self.looks += len(use)
            for host, capacity in use.items():
                free = freed.get(host, self._free.get(host))
                if free is None:
                    continue
                freed[host] = tuple([f + c for f, c in zip(free, capacity, strict=True)])
                now = copies(nodes.capacity, freed[host])
                room += now - rooms[host]
                rooms[host] = now
            together = i + 1 < len(self._running) and self._running[i + 1][0] == end
            if room >= nodes.count and not together:
                self._freed = freed
                return end
        return None

    def _delaying(
        self, time: int, head: int, promise: int, rooms: dict[int, int], overtakers: list[_Event]
    ) -> Iterator[Violation]:
        """Who of those that overtake leaves the first lease too little room."""
        options = self._records.options
        nodes = self._leases[head].node_sets[0]
        room = sum(rooms.values())
        for event in sorted(overtakers, key=lambda e: self._key(e.lease)):
            stay = event.stay
            if stay is None or stay.planned_end <= promise:
                continue
            if options.suspendable(self._leases[event.lease]):
                continue  # it may be going to be suspended in time
            for host, capacity in stay.use.items():
                free = self._freed.get(host, self._free.get(host))
                if free is None:
                    continue
                rest = tuple([f - c for f, c in zip(free, capacity, strict=True)])
                self._freed[host] = rest
                now = copies(nodes.capacity, rest)
                room += now - rooms[host]
                rooms[host] = now
            if room < nodes.count:
                if any(self._may_leave(lease) for end, lease in self._running if end > promise):
                    return  # who is going to be suspended by then leaves room
                message = f"it delays lease {head}, which was to start at {promise}"
                yield Violation(Rule.QUEUE, event.lease, None, time, message)
                return

    def _may_leave(self, lease_id: int) -> bool:
        lease = self._leases.get(lease_id)
        return lease is not None and self._records.options.suspendable(lease)

    def _take(self, event: _Event) -> None:
        stay = event.stay
        assert stay is not None, "who starts has a stay"
        self._stays[event.lease] = stay
        insort(self._running, (stay.planned_end, event.lease))
        self._change(stay, -1)

    def _give_back(self, lease_id: int) -> None:
        stay = self._stays.pop(lease_id, None)
        if stay is not None:
            del self._running[bisect_left(self._running, (stay.planned_end, lease_id))]
            self._change(stay, 1)

    def _change(self, stay: Stretch, sign: int) -> None:
        for host, capacity in stay.use.items():
            free = self._free.get(host)
            if free is not None:
                self._free[host] = tuple(
                    [f + sign * c for f, c in zip(free, capacity, strict=True)]
                )
                for i, amount in enumerate(capacity):
                    self._spare[i] += sign * amount
