"""The queue of a finished run once more, moment by moment, and what is wrong with it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from haizea.checker.history import Stretch
from haizea.checker.records import FOREVER, Capacity, Lease, Records, copies
from haizea.checker.violation import Rule, Violation

#: After so many looks at hosts, promises are no longer worked out.
MOST_LOOKS = 15_000_000

Key = tuple[int, int, int]


class Event(NamedTuple):
    """What changes at a moment. Those of one moment are taken together.

    ``lease`` is a host's id where a host ``opens`` or ``shuts``. ``since`` is since when the
    lease waits, or waited, where that matters.
    """

    time: int
    lease: int
    what: str
    since: int = 0
    stay: Stretch | None = None


def _is_fresh(event: Event) -> bool:
    return event.stay is not None and not event.stay.resumed


class Replay:
    """The queue and the hosts, moment by moment."""

    def __init__(self, records: Records, leases: Mapping[int, Lease]) -> None:
        self._records = records
        self._leases = leases
        self._free = {h.id: h.capacity for h in records.hosts.values()}
        self._spare = [sum(c[i] for c in self._free.values()) for i in range(len(records.types))]
        self._running: list[tuple[int, int]] = []  # planned end, lease: in order
        self._stays: dict[int, Stretch] = {}
        self._shut: set[int] = set()
        self._waiting: dict[int, int] = {}  # lease -> waits in the sense of the rule from then
        self._keys: dict[int, Key] = {}  # of those that wait
        self._queue: list[Key] = []
        self._unsettled: set[int] = set()
        self._head: int | None = None
        self._promise: int | None = None
        self._freed: dict[int, Capacity] = {}  # what _soonest found free then, where it changed
        self.looks = 0

    def moment(self, time: int, events: list[Event]) -> Iterator[Violation]:
        """What happens at one moment, and whether it may."""
        starts: list[Event] = []
        taken: list[Event] = []
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
                    self._keys[event.lease] = self._key(event)
                    heappush(self._queue, self._keys[event.lease])
                case "leaves":
                    if self._waiting.pop(event.lease, None) is not None:
                        left.add(event.lease)
                case "opens" | "shuts":
                    disturbed = True
                    self._turn(event.lease, opens=event.what == "opens")
                case "unsettled":
                    disturbed = True
                    self._unsettled.add(event.lease)
                case _:
                    self._unsettled.discard(event.lease)
        if disturbed:
            self._promise = None
        yield from self._started(time, starts, left)
        yield from self._out_of_order(time, [e for e in starts if _is_fresh(e)] + taken)

    def _key(self, event: Event) -> Key:
        """The place of a waiting lease in the queue."""
        lease = self._leases[event.lease]
        match self._records.options.queue_order:
            case "shortest-first":
                return (lease.length, event.since, lease.id)
            case "seniority":
                return (lease.submitted, lease.id, lease.id)
            case _:
                return (event.since, lease.id, lease.id)

    def _turn(self, host: int, *, opens: bool) -> None:
        """A host takes new leases, or does not."""
        if opens == (host not in self._shut) or host not in self._free:
            return
        sign = 1 if opens else -1
        for i, amount in enumerate(self._free[host]):
            self._spare[i] += sign * amount
        if opens:
            self._shut.remove(host)
        else:
            self._shut.add(host)

    def _started(self, time: int, starts: list[Event], left: set[int]) -> Iterator[Violation]:
        began = self._head in left and self._began(starts)
        promise = self._promise if began else None
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
            if ahead and head is not None and self._key(event) > self._keys[head]:
                overtakers.append(event)
            else:
                self._take(event)
                # A lease without a place in the queue takes what was promised.
                self._promise = self._promise if lease is not None else None
        if head is not None and eligible:
            yield from self._overtaken(time, head, overtakers)
        for event in overtakers:
            self._take(event)

    def _out_of_order(self, time: int, taken: list[Event]) -> Iterator[Violation]:
        """Without backfilling, who is taken while the first lease waits."""
        head = self._head
        off = self._records.options.backfilling == "off"
        if not off or head is None or self._waiting[head] > time:
            return
        for event in taken:
            if event.lease in self._leases and self._key(event) > self._keys[head]:
                message = f"it overtakes lease {head}, which waits"
                yield Violation(Rule.QUEUE, event.lease, None, time, message)

    def _began(self, starts: list[Event]) -> bool:
        return any(event.lease == self._head for event in starts)

    def _first(self) -> int | None:
        while self._queue:
            key = self._queue[0]
            if key[2] in self._waiting and self._keys[key[2]] == key:
                break
            heappop(self._queue)
        return self._queue[0][2] if self._queue else None

    def _overtaken(self, time: int, head: int, overtakers: list[Event]) -> Iterator[Violation]:
        options = self._records.options
        known = not self._unsettled and len(self._leases[head].node_sets) == 1
        # Of several reservations, a later lease's may keep the first lease waiting.
        known = known and options.reservations in (0, 1)
        if not known or self.looks > MOST_LOOKS:
            return
        if time >= self._records.ended and not self._records.carried_out:
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
        if not overtakers or options.reservations == 0 or self._records.disturbed:
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
        return {
            host: copies(node, free) for host, free in self._free.items() if host not in self._shut
        }

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
                if host not in rooms:
                    continue
                free = freed.get(host, self._free[host])
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
        self, time: int, head: int, promise: int, rooms: dict[int, int], overtakers: list[Event]
    ) -> Iterator[Violation]:
        """Who of those that overtake leaves the first lease too little room."""
        options = self._records.options
        nodes = self._leases[head].node_sets[0]
        room = sum(rooms.values())
        for event in sorted(overtakers, key=self._key):
            stay = event.stay
            if stay is None or stay.planned_end <= promise:
                continue
            if options.suspendable(self._leases[event.lease]):
                continue  # it may be going to be suspended in time
            for host, capacity in stay.use.items():
                if host not in rooms:
                    continue
                free = self._freed.get(host, self._free[host])
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

    def _take(self, event: Event) -> None:
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
                if host not in self._shut:
                    for i, amount in enumerate(capacity):
                        self._spare[i] += sign * amount
