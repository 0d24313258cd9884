"""The service as the HTTP interface sees it: inbox, board and store behind one door."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from haizea import __version__
from haizea.api.manager import (
    HostUse,
    QueuePart,
    QueuePlace,
    Reserved,
    ServiceStatus,
    Unavailable,
    Upkept,
    digest_of,
)
from haizea.core.model.events import OperationEnded
from haizea.core.model.hosts import HostSet, Site
from haizea.core.model.lease import Draft, LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.maintenance import Maintenance, MaintenanceRecord
from haizea.core.model.reasons import Reason
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import Capacity
from haizea.host_names import Meeting
from haizea.service import use
from haizea.service.board import Board
from haizea.service.expectations import Expectations
from haizea.service.figures import Figures
from haizea.service.inbox import NOT_KEPT, Cancellation, Inbox
from haizea.service.trials import Trials
from haizea.service.turns import Turns
from haizea.service.upkeep import Ending, Wish
from haizea.service_types import (
    Alteration,
    Altered,
    Decided,
    Event,
    LearnedTime,
    LeaseQuery,
    Metric,
    MetricKind,
    Outage,
    Role,
    Sample,
    Submission,
    TokenInfo,
)
from haizea.store import Store, StoreError

#: So many events are read for a lease's story, or operations for a time.
_MOST_EVENTS = 10_000
_SESSIONS = "sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts that do not change while the service runs.

    ``now`` reads its clock, ``problem`` says what is wrong with its backend, if anything, and
    ``learned`` how long operations take there. ``hosts_meeting`` finds hosts by a condition on
    their attributes.
    """

    started: int
    backend: str
    now: Callable[[], int]
    problem: Callable[[], str]
    learned: Callable[[], Sequence[LearnedTime]]
    hosts_meeting: Meeting


class ServiceManager:
    """Implements :class:`haizea.api.manager.Manager`; any thread may call it."""

    def __init__(
        self,
        about: About,
        store: Store,
        board: Board,
        inbox: Inbox,
        turns: Turns,
        expectations: Expectations,
        figures: Figures,
        trials: Trials,
    ) -> None:
        self._about = about
        self._store = store
        self._board = board
        self._inbox = inbox
        self._turns = turns
        self._expectations = expectations
        self._figures = figures
        self._trials = trials
        self._plans = use.Plans()
        self._guessing = ThreadPoolExecutor(1, thread_name_prefix="guesses")

    def close(self) -> None:
        """Answer what is being guessed at, and make no more guesses."""
        self._guessing.shutdown()

    @property
    def site(self) -> Site:
        """The site as it is now."""
        return self._board.site

    def now(self) -> int:
        """Return the present time by the service's clock."""
        return self._about.now()

    # --- requests ---------------------------------------------------------------------

    def submit(self, draft: Draft, key: str | None) -> Future[Decided]:
        """Ask for a lease."""
        self._refuse_if_nothing_is_kept()
        digest = None if key is None else digest_of(draft)
        request = Submission(draft=draft, key=key, digest=digest)
        answer: Future[Decided] = Future()
        request.answer.add_done_callback(lambda decided: self._pass_on(decided, answer))
        self._inbox.put(request)
        return answer

    def _pass_on(self, decided: Future[Decided], answer: Future[Decided]) -> None:
        """Answer; where it is open when the lease starts, another thread makes a guess first."""
        error = decided.exception()
        if error is not None:
            answer.set_exception(error)
            return
        found = decided.result()
        settled = found.place is None or found.expected is not None
        if settled or (found.place or 0) > self._expectations.reach:
            answer.set_result(found)
            return
        try:
            self._guessing.submit(self._guess, found, answer)
        except RuntimeError:  # the service ends
            answer.set_result(found)

    def _guess(self, found: Decided, answer: Future[Decided]) -> None:
        expected = self._expectations.all().get(found.record.id)
        answer.set_result(replace(found, expected=expected))

    def try_out(self, draft: Draft) -> Decided:
        """Find out what a request would lead to."""
        return self._trials.try_out(draft)

    def cancel(self, lease_id: int, reason: Reason) -> Future[LeaseRecord | None]:
        """End a lease."""
        self._refuse_if_nothing_is_kept()
        record = self._board.lease(lease_id)
        request = Cancellation(lease_id=lease_id, reason=reason)
        if record is not None:
            asked = record.request
            request = replace(request, owner=asked.owner, weight=asked.node_count)
        self._inbox.put(request)
        return request.answer

    def change(
        self, request: LeaseRequest, instead_of: LeaseRequest, owner: str, *, preview: bool
    ) -> Future[Altered]:
        """Have a lease be what is asked, or find out what that would lead to."""
        self._refuse_if_nothing_is_kept()
        asked = Alteration(request=request, instead_of=instead_of, owner=owner, preview=preview)
        self._inbox.put(asked)
        return asked.answer

    def maintain(
        self, window: Maintenance, owner: str, *, preview: bool, instead_of: Maintenance | None
    ) -> Future[Upkept]:
        """Ask for a maintenance window, or find out what it would mean."""
        self._refuse_if_nothing_is_kept()
        wish = Wish(window=window, owner=owner, preview=preview, instead_of=instead_of)
        self._inbox.put(wish)
        return wish.answer

    def end_maintenance(self, window_id: int, owner: str) -> Future[Maintenance | None]:
        """Give the hosts of a window back."""
        self._refuse_if_nothing_is_kept()
        ending = Ending(window_id=window_id, owner=owner)
        self._inbox.put(ending)
        return ending.answer

    def _refuse_if_nothing_is_kept(self) -> None:
        """Raise :class:`Unavailable` where a request would wait for nothing."""
        if self._figures.store_problem:
            raise Unavailable(NOT_KEPT)

    # --- questions --------------------------------------------------------------------

    def lease(self, lease_id: int) -> LeaseRecord | None:
        """A lease, over or not."""
        with _answers():
            return self._board.lease(lease_id) or self._store.lease(lease_id)

    def leases(self, query: LeaseQuery) -> list[LeaseRecord]:
        """The leases that the query names."""
        with _answers():
            return self._store.leases(query, self._board.lease)

    def first_runs(self, lease_ids: Sequence[int]) -> Mapping[int, int]:
        """Return when each of these leases first ran, if it did."""
        with _answers():
            return self._store.first_runs(lease_ids)

    def story(self, lease_id: int) -> list[Event]:
        """All that was decided about a lease."""
        return self.events(0, _MOST_EVENTS, lease_id, None)

    def queue(self, after: int, limit: int, owner: str | None) -> QueuePart:
        """Some of the waiting leases, in order."""
        expected, waiting = self._expectations.all(), self._board.queue()
        seen = (
            (place, record)
            for place, record in enumerate(waiting[after:], after + 1)
            if owner in (None, record.request.owner)
        )
        places = []
        for place, record in islice(seen, limit):
            exact = record.expected is not None
            start = record.expected if exact else expected.get(record.id)
            places.append(QueuePlace(place=place, record=record, expected=start, exact=exact))
        return QueuePart(length=len(waiting), places=places)

    def hosts(self) -> list[HostUse]:
        """All hosts and what is on them."""
        return use.hosts_now(self._board)

    def learned(self) -> Sequence[LearnedTime]:
        """Return how long operations of the backend take, as far as was learned."""
        return self._about.learned()

    def hosts_meeting(self, condition: str) -> HostSet:
        """Find hosts by a condition on their attributes."""
        return self._about.hosts_meeting(condition)

    def maintenance(self) -> Sequence[MaintenanceRecord]:
        """Maintenance windows that are not over."""
        return self._board.maintenance

    def outages(self, start: int, end: int) -> Sequence[Outage]:
        """List when hosts were, are or will be out of use."""
        return self._board.outages.between(start, end, self._board.maintenance)

    def host_use(self, host_id: int, start: int, end: int) -> list[tuple[int, Capacity]]:
        """Return what is in use on a host over time."""
        reserved = self._reserved(start, end, None)
        return use.over_time(self._board, host_id, reserved, start, end)

    def schedule(self, start: int, end: int, limit: int, owner: str | None) -> list[Reserved]:
        """List what is reserved between two moments."""
        return self._reserved(start, end, owner, max(limit, _MOST_EVENTS))[:limit]

    def _reserved(
        self, start: int, end: int, owner: str | None, most: int = _MOST_EVENTS
    ) -> list[Reserved]:
        """List what was and will be reserved, in order."""
        with _answers():
            past = self._store.operations(start, end, most, owner)
            labels = self._store.labels({e.lease_id for e in past if e.lease_id is not None})
        found = []
        for event in past:
            operation = event.decision
            if isinstance(operation, OperationEnded) and operation.lease_id in labels:
                found.append(use.enacted(operation, event.owner or "", labels[operation.lease_id]))
        ahead = self._plans.between(self._board.leases(), start, end)
        if owner is not None:
            ahead = [entry for entry in ahead if entry.owner == owner]
        return sorted(found + ahead, key=use.IN_ORDER) if found else ahead

    def status(self) -> ServiceStatus:
        """Return the state of the service."""
        states = Counter(record.state for record in self._board.leases())
        problem = self._store_problem or self._about.problem()
        return ServiceStatus(
            version=__version__,
            started=self._about.started,
            now=self.now(),
            last_turn=self._board.last_turn,
            leases=dict(states),
            queue_length=self._board.waiting,
            backend=self._about.backend,
            store=self._store.shown,
            store_kind=self._store.kind,
            healthy=not problem,
            problem=problem,
        )

    def healthy(self) -> bool:
        """Tell whether what is decided can be kept."""
        return not self._store_problem

    @property
    def _store_problem(self) -> str:
        silent = f"the store {self._store.shown} does not answer" if self._store.silent else ""
        return self._figures.store_problem or silent

    def metrics(self) -> list[Metric]:
        """Figures about the service."""
        states = Counter(record.state for record in self._board.leases())
        by_state = [
            Sample(value=states.get(state, 0), labels={"state": state.value})
            for state in State
            if state not in FINAL
        ]
        gauges = [
            _gauge("haizea_leases", "Leases that are not over, by state.", by_state),
            _gauge("haizea_queue_length", "Leases that wait.", [Sample(value=self._board.waiting)]),
            _gauge(
                "haizea_healthy",
                "1 if what is decided can be kept.",
                [Sample(value=int(self.healthy()))],
            ),
            _gauge(
                "haizea_backend_answers",
                "1 if the backend answers.",
                [Sample(value=int(not self._about.problem()))],
            ),
        ]
        return [*gauges, *self._figures.metrics()]

    # --- events -----------------------------------------------------------------------

    def events(
        self, after: int, limit: int, lease_id: int | None, owner: str | None
    ) -> list[Event]:
        """Events after the one with this id."""
        with _answers():
            return self._store.events(after, limit, lease_id, owner)

    def last_event_id(self) -> int:
        """The id of the last event."""
        return self._board.last_event

    def watch(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have ``notify`` called after each turn."""
        return self._turns.watch(notify)

    # --- tokens -----------------------------------------------------------------------

    def identify(self, secret: str) -> TokenInfo | None:
        """The token with this secret."""
        with _answers():
            return self._store.tokens.check(secret)

    def token(self, token_id: int) -> TokenInfo | None:
        """The token with this id, if it is good."""
        with _answers():
            return self._store.tokens.find(token_id)

    def kept_sessions(self) -> str | None:
        """Return what is known of browsers' sessions."""
        with _answers():
            return self._store.setting(_SESSIONS)

    def keep_sessions(self, text: str) -> None:
        """Keep what is to be known of browsers' sessions."""
        with _answers():
            self._store.set_setting(_SESSIONS, text)

    def tokens(self) -> list[TokenInfo]:
        """All tokens."""
        with _answers():
            return self._store.tokens.list()

    def make_token(
        self, name: str, role: Role, owner: str, expires: int | None
    ) -> tuple[TokenInfo, str]:
        """Make a token."""
        with _answers():
            return self._store.tokens.create(name, role, owner, expires)

    def revoke_token(self, which: str) -> TokenInfo | None:
        """Revoke a token, by name or id."""
        with _answers():
            found = self._store.tokens.revoke(which)
            if found is None and which.isascii() and which.isdigit() and len(which) < 16:
                found = self._store.tokens.revoke(int(which))
        return found


@contextmanager
def _answers() -> Iterator[None]:
    """Tell what the store cannot answer in the interface's own words."""
    try:
        yield
    except StoreError as error:
        logging.getLogger("haizea").debug("a question was not answered: %s", error)
        raise Unavailable(NOT_KEPT) from error


def _gauge(name: str, text: str, samples: list[Sample]) -> Metric:
    return Metric(name=name, kind=MetricKind.GAUGE, help=text, samples=samples)
