"""Requests on their way from many threads to the one that schedules."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from haizea.api.manager import Busy, Unavailable
from haizea.core.model.events import (
    Input,
    LeaseCancelled,
    LeaseChanged,
    LeaseSubmitted,
    MaintenanceEnded,
)
from haizea.core.model.lease import node_sets
from haizea.core.model.reasons import Reason
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import ResourceTypes
from haizea.service.upkeep import Ending, UpkeepDesk, Wish
from haizea.service_types import Alteration, KeyReused, Submission
from haizea.store import RequestKey, StoreError

_logger = logging.getLogger("haizea")

#: What clients are told where the store does not work; where it is, is the operators' business.
NOT_KEPT = "what is kept cannot be read or written now; 'haizea status' tells operators why"

#: So many requests may wait to be taken; more are turned away.
MOST_WAITING = 20_000

#: So many requests are taken in one turn, and so many nodes, so that a turn stays short; one
#: request is taken however many nodes it is for.
MOST_AT_ONCE = 200
MOST_NODES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Somebody ends a lease and waits until it is over.

    ``owner`` is whose it is, ``weight`` how many nodes it has, where that is known.
    """

    lease_id: int
    reason: Reason
    owner: str = ""
    weight: int = 1
    answer: Future[LeaseRecord | None] = field(default_factory=Future)


#: Whatever somebody asks for and waits for.
Errand = Submission | Cancellation | Alteration | Wish | Ending
#: Takes what a backend asks for itself: leases, and changes of leases.
HandIn = Callable[[Submission | Alteration], None]


class _Lines:
    """Requests in a line for each owner; they are taken in turns, one of each owner's.

    So whoever sends a thousand at once is served as before, and nobody else waits for them.
    The loop's thread alone changes it.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[Errand]] = {}
        #: How many wait, which other threads may read.
        self.count = 0

    def put(self, request: Errand) -> None:
        """Let a request wait behind the others of its owner."""
        self.count += 1
        self._lines.setdefault(request.owner, deque()).append(request)

    def take(self) -> Iterator[Errand]:
        """The requests of a turn. Whose was taken last, has the last turn the next time."""
        nodes = 0
        for _ in range(MOST_AT_ONCE):
            if not self._lines:
                return
            owner, line = next(iter(self._lines.items()))
            nodes += line[0].weight
            if nodes > MOST_NODES_AT_ONCE and nodes > line[0].weight:
                return
            request = line.popleft()
            self.count -= 1
            del self._lines[owner]
            if line:
                self._lines[owner] = line
            yield request

    def take_all(self) -> Iterator[Errand]:
        """All requests, in no order that matters."""
        for line in self._lines.values():
            yield from line
        self._lines, self.count = {}, 0


@dataclass(slots=True)
class Taken:
    """Requests that the present turn took: who is to be answered about which lease.

    ``began`` is when, by the clock that cannot be set.
    """

    began: float = field(default_factory=time.monotonic)
    submitted: dict[int, Submission] = field(default_factory=dict)
    repeated: list[tuple[Submission, int]] = field(default_factory=list)
    cancelled: list[Cancellation] = field(default_factory=list)
    altered: list[Alteration] = field(default_factory=list)
    #: Changes of which it is only asked what they would lead to, once the turn is over.
    foreseen: list[Alteration] = field(default_factory=list)
    #: By owner and key, those of the new requests that have a key.
    by_key: dict[tuple[str, str], RequestKey] = field(default_factory=dict)

    def add(self, lease_id: int, request: Submission) -> None:
        """A request became this lease."""
        self.submitted[lease_id] = request
        if request.key is not None:
            key = RequestKey(request.owner, request.key, lease_id, request.digest)
            self.by_key[request.owner, request.key] = key


class Inbox:
    """Arrivals for the loop.

    ``known`` finds the lease of an owner's idempotency key, and raises :class:`KeyReused`
    where that one's request had another digest. ``wake`` is called when there is something to
    take; ``answer_repeated`` answers a request that repeats an earlier one, with that one's lease.
    ``upkeep`` takes what concerns maintenance.
    """

    def __init__(
        self,
        types: ResourceTypes,
        next_lease_id: int,
        known: Callable[[str, str, str | None], int | None],
        wake: Callable[[], None],
        answer_repeated: Callable[[Submission, int], None],
        upkeep: UpkeepDesk,
    ) -> None:
        self._types = types
        self._next = next_lease_id
        self._known = known
        self._wake = wake
        #: What came since the last turn, from any thread; and in lines, what waits for longer.
        self._waiting: deque[Errand] = deque()
        self._lines = _Lines()
        self._first: list[Input] = []
        self._closed = ""
        self._answer_repeated = answer_repeated
        self.taken = Taken()
        self.upkeep = upkeep

    # --- any thread -------------------------------------------------------------------

    def put(self, request: Errand) -> None:
        """Let a request wait for the next turn. Raises :class:`Busy`."""
        if self._closed:
            request.answer.set_exception(Unavailable(self._closed))
            return
        if len(self._waiting) + self._lines.count >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} requests wait already")
        self._waiting.append(request)
        self._wake()
        if self._closed:
            # It was closed meanwhile, and whoever did so may not have seen this one.
            self.close(self._closed)

    def close(self, why: str) -> None:
        """Take nothing more; what waits is answered that there is no answer."""
        self._closed = why
        with suppress(IndexError):
            while True:
                _refuse(self._waiting.popleft(), why)
        for request in self._lines.take_all():
            _refuse(request, why)
        for submission in (*self.taken.submitted.values(), *(s for s, _ in self.taken.repeated)):
            _refuse(submission, why)
        changes = (*self.taken.altered, *self.taken.foreseen)
        for errand in (*self.taken.cancelled, *changes, *self.upkeep.taken):
            _refuse(errand, why)

    # --- the loop's thread ------------------------------------------------------------

    def begin_with(self, inputs: Iterable[Input]) -> None:
        """Have these told first."""
        self._first.extend(inputs)

    def next_arrival(self) -> int | None:
        """Long ago, if something waits."""
        return 0 if self._waiting or self._lines.count or self._first else None

    def take(self, now: int) -> list[Input]:
        """Take what waits, as inputs."""
        inputs, self._first = self._first, []
        self.taken = Taken()
        self.upkeep.taken = []
        for _ in range(len(self._waiting)):
            self._lines.put(self._waiting.popleft())
        for request in self._lines.take():
            match request:
                case Submission():
                    if self._repeats(request):
                        continue
                    lease_id, self._next = self._next, self._next + 1
                    self.taken.add(lease_id, request)
                    draft = request.draft
                    asked = draft.bind(lease_id, now, node_sets(draft.nodes, self._types))
                    inputs.append(LeaseSubmitted(asked, request.allowed, request.prepare_seconds))
                case Cancellation(lease_id=lease_id, reason=reason):
                    self.taken.cancelled.append(request)
                    inputs.append(LeaseCancelled(lease_id, reason))
                case Alteration(preview=True):
                    self.taken.foreseen.append(request)
                case Alteration(request=asked, instead_of=before):
                    self.taken.altered.append(request)
                    inputs.append(LeaseChanged(asked.id, asked, before))
                case Wish():
                    inputs += self.upkeep.take(request)
                case Ending(window_id=window_id):
                    self.upkeep.taken.append(request)
                    inputs.append(MaintenanceEnded(window_id))
        return inputs

    def _repeats(self, request: Submission) -> bool:
        """Tell whether there was an earlier request with the same key.

        It is answered with that one's lease, at once unless that one is of this turn.
        """
        if request.key is None:
            return False
        mine = self.taken.by_key.get((request.owner, request.key))
        try:
            if mine is not None:
                mine.check(request.digest)
                self.taken.repeated.append((request, mine.lease))
                return True
            found = self._known(request.owner, request.key, request.digest)
        except KeyReused as error:
            request.answer.set_exception(error)
            return True
        except StoreError as error:
            # Whether it repeats another is not known: it is not taken.
            _logger.debug("a request was not taken: %s", error)
            request.answer.set_exception(Unavailable(NOT_KEPT))
            return True
        if found is None:
            return False
        self._answer_repeated(request, found)
        return True


def _refuse(request: Errand, why: str) -> None:
    # Two may be closing at once.
    with suppress(InvalidStateError):
        request.answer.set_exception(Unavailable(why))
