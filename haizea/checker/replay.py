"""The queue of a finished run once more, moment by moment, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from haizea.checker.alike import AlikeHosts, NodeSize
from haizea.checker.records import FOREVER, Capacity, NodeSet, Records
from haizea.checker.violation import Rule, Violation

Key = tuple[int, int, int]

#: Hosts, and what is held on each of them, packed.
Use = Sequence[tuple[Sequence[int], int]]


class Event(NamedTuple):
    """A change at some moment. Those of one moment are taken together.

    ``lease`` is a host's id where a host ``opens`` or ``shuts``. ``since`` is since when the
    lease waits, or waited, where that matters. One that starts does so afresh or is resumed,
    is planned to end, and has hosts: ``numbers`` are the rows that say which.
    """

    time: int
    lease: int
    what: str
    since: int = 0
    fresh: bool = False
    planned_end: int = 0
    numbers: str = ""


class Job(NamedTuple):
    """A best-effort lease, as far as its place in the queue and its nodes go."""

    id: int
    submitted: int
    length: int
    suspendable: bool
    node_sets: Sequence[NodeSet]
    total: Capacity


class Replay:
    """The queue and the hosts, moment by moment.

    ``job`` finds a best-effort lease by its number, ``use`` what rows say of hosts.
    """

    def __init__(
        self,
        records: Records,
        job: Callable[[int], Job | None],
        use: Callable[[str], Iterator[tuple[list[int], Capacity]]],
    ) -> None:
        self._records = records
        self._job = job
        self._use = use
        self._hosts = AlikeHosts(records.hosts, len(records.types))
        self._stays: dict[int, tuple[int, int, Use]] = {}  # lease -> planned end, number, use
        self._stay = 0
        self._jobs: dict[int, Job] = {}  # of those that wait or run
        self._waiting: dict[int, int] = {}  # lease -> waits in the sense of the rule from then
        self._keys: dict[int, Key] = {}  # of those that wait
        self._queue: list[Key] = []
        self._unsettled: set[int] = set()
        self._head: int | None = None
        self._promise: int | None = None

    def moment(self, time: int, events: list[Event]) -> Iterator[Violation]:
        """Replay what happens at one moment, and find what may not."""
        starts: list[Event] = []
        taken: list[Event] = []
        disturbed = False
        left = set()
        for event in events:
            self._remember(event)
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
                    self._line_up(self._keys[event.lease])
                case "leaves":
                    if self._waiting.pop(event.lease, None) is not None:
                        left.add(event.lease)
                case "opens" | "shuts":
                    disturbed = True
                    self._hosts.turn(event.lease, opens=event.what == "opens")
                case "unsettled":
                    disturbed = True
                    self._unsettled.add(event.lease)
                case _:
                    self._unsettled.discard(event.lease)
        if disturbed:
            self._promise = None
        yield from self._started(time, starts, left)
        yield from self._out_of_order(time, [e for e in starts if e.fresh] + taken)
        for lease in {event.lease for event in events}:
            if lease not in self._stays and lease not in self._waiting:
                self._jobs.pop(lease, None)
                self._keys.pop(lease, None)

    def _key(self, event: Event) -> Key:
        """The place of a waiting lease in the queue."""
        lease = self._jobs[event.lease]
        match self._records.options.queue_order:
            case "shortest-first":
                return (lease.length, event.since, lease.id)
            case "seniority":
                return (lease.submitted, lease.id, lease.id)
            case _:
                return (event.since, lease.id, lease.id)

    def _remember(self, event: Event) -> None:
        """Remember a lease that waits, or runs, if it is one of the queue."""
        if event.what in ("waits", "returns", "taken", "starts") and event.lease not in self._jobs:
            job = self._job(event.lease)
            if job is not None:
                self._jobs[event.lease] = job

    def _line_up(self, key: Key) -> None:
        heappush(self._queue, key)
        if len(self._queue) > 2 * len(self._waiting) + 100:
            # Most have gone, behind one that waits for long.
            self._queue = [k for k in self._queue if self._waits(k)]
            heapify(self._queue)

    def _waits(self, key: Key) -> bool:
        return key[2] in self._waiting and self._keys[key[2]] == key

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
            lease = self._jobs.get(event.lease)
            # One that goes on was given its hosts when it was taken, and not now.
            ahead = eligible and lease is not None and event.fresh
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
        if self._records.changed and self._records.options.queue_order == "shortest-first":
            return  # they may have been shorter
        for event in taken:
            if event.lease in self._jobs and self._key(event) > self._keys[head]:
                message = f"it overtakes lease {head}, which waits"
                yield Violation(Rule.QUEUE, event.lease, None, time, message)

    def _began(self, starts: list[Event]) -> bool:
        return any(event.lease == self._head for event in starts)

    def _first(self) -> int | None:
        while self._queue:
            if self._waits(self._queue[0]):
                break
            heappop(self._queue)
        return self._queue[0][2] if self._queue else None

    def _overtaken(self, time: int, head: int, overtakers: list[Event]) -> Iterator[Violation]:
        options = self._records.options
        known = not self._unsettled and len(self._jobs[head].node_sets) == 1
        # Of several reservations, a later lease's may keep the first lease waiting.
        known = known and options.reservations in (0, 1)
        if not known:
            return
        if time >= self._records.ended and not self._records.carried_out:
            return
        if not overtakers and not self._hosts.may_fit(self._jobs[head].total):
            return
        asked = self._jobs[head].node_sets[0]
        needed, size = asked.count, self._hosts.node_size(asked.capacity)
        if size.room >= needed:
            told = bool(overtakers) and options.backfilling == "off"
            if options.simulated_clock and not told:
                message = "it waits, though there is room for it"
                yield Violation(Rule.QUEUE, head, None, time, message)
            return
        if not overtakers or options.reservations == 0 or not self._records.plans_hold:
            return
        soonest = size.soonest(needed)
        if soonest is not None:
            promise, room = soonest
            yield from self._delaying(time, head, promise, room - needed, size, overtakers)
            self._promise = min(promise, FOREVER if self._promise is None else self._promise)

    def _delaying(
        self,
        time: int,
        head: int,
        promise: int,
        to_spare: int,
        size: NodeSize,
        overtakers: list[Event],
    ) -> Iterator[Violation]:
        """Find who of those that overtake leaves the first lease too little room."""
        then: dict[int, int] = {}
        for event in sorted(overtakers, key=self._key):
            if event.planned_end <= promise or self._may_leave(event.lease):
                continue  # it may be going to be suspended in time
            for hosts, capacity in self._used(event):
                for host in hosts:
                    free = then[host] if host in then else self._hosts.free_at(host, promise)
                    if free is not None:
                        then[host] = free - capacity
                        to_spare += size.fits(then[host]) - size.fits(free)
            if to_spare < 0:
                running = [lease for lease, (end, *_) in self._stays.items() if end > promise]
                if any(map(self._may_leave, running)):
                    return  # who is going to be suspended by then leaves room
                message = f"it delays lease {head}, which was to start at {promise}"
                yield Violation(Rule.QUEUE, event.lease, None, time, message)
                return

    def _may_leave(self, lease_id: int) -> bool:
        job = self._jobs.get(lease_id)
        return job is not None and job.suspendable

    def _used(self, event: Event) -> Use:
        pack = self._hosts.packing.pack
        return [(hosts, pack(capacity)) for hosts, capacity in self._use(event.numbers)]

    def _take(self, event: Event) -> None:
        use = self._used(event)
        self._stay += 1
        self._stays[event.lease] = (event.planned_end, self._stay, use)
        for hosts, capacity in use:
            self._hosts.take(hosts, (event.planned_end, self._stay, capacity))

    def _give_back(self, lease_id: int) -> None:
        end, stay, use = self._stays.pop(lease_id, (0, 0, ()))
        for hosts, capacity in use:
            self._hosts.give_back(hosts, (end, stay, capacity))
