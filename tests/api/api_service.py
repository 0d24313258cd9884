"""A small lease manager for tests of the HTTP interface: a real scheduler in a real thread.

It is for what cannot be had of the service at will: bounds that are soon reached, decisions
that do not come, a store that is away. It keeps everything in memory and its hosts obey at
once.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import httpx

from haizea.api.app import description, make_app
from haizea.api.manager import (
    Busy,
    HostUse,
    QueuePart,
    QueuePlace,
    Reserved,
    ServiceStatus,
    Unavailable,
    Upkept,
    digest_of,
)
from haizea.api.server import Server
from haizea.api.settings import ApiSettings
from haizea.core.model.events import (
    Decision,
    HostDrained,
    HostRestored,
    Input,
    LeaseAccepted,
    LeaseCancelled,
    LeaseChanged,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceEnded,
    OperationEnded,
    OperationStarted,
    Purpose,
)
from haizea.core.model.hosts import HostSet, Site
from haizea.core.model.lease import Draft, Kind, LeaseRequest, node_sets
from haizea.core.model.lifecycle import State
from haizea.core.model.maintenance import Maintenance, MaintenanceRecord
from haizea.core.model.reasons import Reason
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import Capacity, ResourceTypes, add
from haizea.core.model.settings import Backfilling, Settings
from haizea.core.scheduler import Scheduler
from haizea.host_names import no_attributes
from haizea.policies.registry import make_policies
from haizea.service import drafts
from haizea.service.alterations import foreseen
from haizea.service.outages import Outages
from haizea.service_types import (
    Altered,
    Decided,
    Event,
    KeyReused,
    LearnedTime,
    LeaseQuery,
    Metric,
    MetricKind,
    Outage,
    Role,
    Sample,
    TokenInfo,
    TokenNameTaken,
)

Taken = (
    tuple[LeaseSubmitted, "Future[Decided]"] | tuple[LeaseCancelled, "Future[LeaseRecord | None]"]
)


#: Who has a token, and of which kind.
PEOPLE = {"anna": Role.USER, "bert": Role.USER, "olga": Role.OPERATOR, "rita": Role.READER}


@cache
def described() -> dict[str, Any]:
    """The description of the interface, to be read: making it takes a third of a second."""
    return description()


class SmallManager:
    """Schedules in a thread of its own, between :meth:`start` and :meth:`stop`."""

    def __init__(self, hosts: int = 8, most_waiting: int = 1000) -> None:
        self.site = Site.uniform(ResourceTypes(), hosts, (400, 8192))
        self.started = self.now()
        self.paused = threading.Event()
        self.away = False
        self._scheduler = Scheduler(
            self.site,
            Settings(backfilling=Backfilling.AGGRESSIVE),
            make_policies(),
            self.started,
        )
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._inbox: list[Taken] = []
        self._inputs: list[Input] = []
        self._records: dict[int, LeaseRecord] = {}
        self._events: list[Event] = []
        self._keys: dict[tuple[str, str], tuple[int, str]] = {}
        self._queue: list[int] = []
        self._watchers: list[Callable[[], None]] = []
        self._tokens: dict[str, TokenInfo] = {}
        self._sessions: str | None = None
        self._next = 1
        self.windows: dict[int, MaintenanceRecord] = {}
        self._thread = threading.Thread(target=self._run, name="scheduler")

    def now(self) -> int:
        return int(time.time())

    def change(
        self, request: LeaseRequest, instead_of: LeaseRequest, owner: str, *, preview: bool
    ) -> Future[Altered]:
        answer: Future[Altered] = Future()
        if preview:
            with self._lock:
                trial = self._scheduler.trial(request.id, request, instead_of)
                found = foreseen(request, trial, self._records.get(request.id), ahead_seconds=0)
            answer.set_result(found)
            return answer
        self.tell(LeaseChanged(request.id, request, instead_of))
        with self._lock:
            answer.set_result(Altered(record=self._records.get(request.id)))
        return answer

    # --- maintenance, which is only counted -------------------------------------------

    def maintain(
        self, window: Maintenance, owner: str, *, preview: bool, instead_of: Maintenance | None
    ) -> Future[Upkept]:
        answer: Future[Upkept] = Future()
        with self._lock:
            impact = self._scheduler.impact(window)
        if not impact.refusal and not preview:
            window = replace(window, id=window.id or len(self.windows) + 1)
            self.windows[window.id] = MaintenanceRecord(window=window)
            self.tell(MaintenanceAsked(window, instead_of))
        answer.set_result(Upkept(window=window, impact=impact))
        return answer

    def end_maintenance(self, window_id: int, owner: str) -> Future[Maintenance | None]:
        answer: Future[Maintenance | None] = Future()
        record = self.windows.pop(window_id, None)
        self.tell(MaintenanceEnded(window_id))
        answer.set_result(None if record is None else record.window)
        return answer

    def maintenance(self) -> list[MaintenanceRecord]:
        return [record for _, record in sorted(self.windows.items())]

    # --- its thread -------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def tell(self, happened: Input) -> None:
        with self._lock:
            self._inputs.append(happened)
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(0.05)
            self._wake.clear()
            if not self.paused.is_set():
                self._turn()

    def _turn(self) -> None:
        with self._lock:
            taken, self._inbox = self._inbox, []
            inputs, self._inputs = self._inputs, []
            due = self._scheduler.next_wakeup()
            now = self.now()
            if not taken and not inputs and (due is None or due > now):
                return
            inputs += [asked for asked, _ in taken]
            turn = self._scheduler.handle(now, inputs)
            for record in turn.records:
                self._records[record.id] = record
            self._queue = list(turn.queue)
            for decision in turn.decisions:
                self._events.append(self._event(now, decision))
            answers = [(answer, self._answer(asked)) for asked, answer in taken]
            watchers = list(self._watchers)
        for answer, result in answers:
            answer.set_result(result)  # type: ignore[arg-type]
        for notify in watchers:
            notify()

    def _event(self, now: int, decision: Decision) -> Event:
        lease_id = getattr(decision, "lease_id", None)
        if isinstance(decision, LeaseAccepted):
            lease_id = decision.request.id
        owner = None if lease_id is None else self._records[lease_id].request.owner
        number = len(self._events) + 1
        return Event(id=number, time=now, lease_id=lease_id, owner=owner, decision=decision)

    def _answer(self, asked: LeaseSubmitted | LeaseCancelled) -> Decided | LeaseRecord | None:
        if isinstance(asked, LeaseCancelled):
            return self._records.get(asked.lease_id)
        return self._decided(self._records[asked.request.id])

    def _decided(self, record: LeaseRecord) -> Decided:
        place = self._queue.index(record.id) + 1 if record.id in self._queue else None
        rejected_ar = record.state is State.REJECTED and record.request.kind is Kind.AR
        offer = self._scheduler.offer(record.request) if rejected_ar else None
        return Decided(record=record, place=place, expected=record.expected, offer=offer)

    # --- requests ---------------------------------------------------------------------

    def submit(self, draft: Draft, key: str | None) -> Future[Decided]:
        answer: Future[Decided] = Future()
        with self._lock:
            if len(self._inbox) >= self._most_waiting:
                raise Busy
            known = self._keys.get((draft.owner, key)) if key is not None else None
            if known is not None:
                if known[1] != digest_of(draft):
                    answer.set_exception(KeyReused(known[0]))
                else:
                    decided = self._decided(self._records[known[0]])
                    answer.set_result(replace(decided, repeated=True))
                return answer
            nodes = node_sets(draft.nodes, self.site.types)
            request = draft.bind(self._next, self.now(), nodes)
            self._next += 1
            if key is not None:
                self._keys[draft.owner, key] = request.id, digest_of(draft)
            self._inbox.append((LeaseSubmitted(request), answer))
        self._wake.set()
        return answer

    def try_out(self, draft: Draft) -> Decided:
        raise Busy

    def cancel(self, lease_id: int, reason: Reason) -> Future[LeaseRecord | None]:
        answer: Future[LeaseRecord | None] = Future()
        with self._lock:
            self._inbox.append((LeaseCancelled(lease_id, reason), answer))
        self._wake.set()
        return answer

    # --- questions --------------------------------------------------------------------

    @contextmanager
    def _asked(self) -> Iterator[None]:
        if self.away:
            raise Unavailable("the store is away")
        with self._lock:
            yield

    def lease(self, lease_id: int) -> LeaseRecord | None:
        with self._asked():
            return self._records.get(lease_id)

    def leases(self, query: LeaseQuery) -> list[LeaseRecord]:
        with self._asked():
            found = sorted(
                self._records.values(), key=lambda r: -r.id if query.newest_first else r.id
            )
        return [record for record in found if _wanted(record, query)][: query.limit]

    def first_runs(self, lease_ids: Sequence[int]) -> dict[int, int]:
        with self._asked():
            found = [e.decision for e in self._events if isinstance(e.decision, OperationStarted)]
        runs = (d for d in reversed(found) if d.purpose is Purpose.RUN and d.lease_id in lease_ids)
        return {run.lease_id: run.time for run in runs}

    def story(self, lease_id: int) -> list[Event]:
        return self.events(0, 10_000, lease_id, None)

    def queue(self, after: int, limit: int, owner: str | None) -> QueuePart:
        with self._asked():
            records = [self._records[lease_id] for lease_id in self._queue]
        places = [
            QueuePlace(place=i, record=r, expected=r.expected, exact=r.expected is not None)
            for i, r in enumerate(records, 1)
            if i > after and owner in (None, r.request.owner)
        ]
        return QueuePart(length=len(records), places=places[:limit])

    def hosts_meeting(self, condition: str) -> HostSet:
        return no_attributes(condition)

    def learned(self) -> Sequence[LearnedTime]:
        return ()

    def hosts(self) -> list[HostUse]:
        now = self.now()
        reserved = self.schedule(now, now + 1, 1_000_000, None)
        statuses = {record.host: record for record in self._scheduler.site_record().hosts}
        found = []
        for host in self.site.hosts:
            on = [r for r in reserved if any(i == host.id for i, _ in r.use)]
            known = statuses.get(host.id)
            found.append(
                HostUse(
                    host=host,
                    status="up" if known is None else known.status,
                    reason=None if known is None else known.reason,
                    used=_used(on, host.id, now),
                    others=(0,) * len(self.site.types.names),
                    leases=tuple((r.lease_id, r.owner) for r in on),
                )
            )
        return found

    def outages(self, start: int, end: int) -> list[Outage]:
        history = Outages()
        history.update(event.decision for event in self._events)
        return history.between(start, end, self.maintenance())

    def host_use(self, host_id: int, start: int, end: int) -> list[tuple[int, Capacity]]:
        reserved = self.schedule(start, end, 1_000_000, None)
        moments = {start} | {t for r in reserved for t in (r.start, r.end) if start < t < end}
        return [(moment, _used(reserved, host_id, moment)) for moment in sorted(moments)]

    def schedule(self, start: int, end: int, limit: int, owner: str | None) -> list[Reserved]:
        with self._asked():
            found = [*self._past(), *self._planned()]
        overlapping = [
            r for r in found if r.start < end and r.end > start and owner in (None, r.owner)
        ]
        return sorted(overlapping, key=lambda r: (r.start, r.lease_id))[:limit]

    def _past(self) -> Iterator[Reserved]:
        for event in self._events:
            if isinstance(event.decision, OperationEnded):
                d = event.decision
                yield _reserved(self._records[d.lease_id], d.purpose, d.start, d.end, d.use)

    def _planned(self) -> Iterator[Reserved]:
        for record in self._records.values():
            plan = record.plan
            if plan is None:
                continue
            use: dict[int, Capacity] = {}
            for host, amount in zip(plan.hosts, record.request.node_capacities(), strict=True):
                use[host] = add(use.get(host, (0, 0)), amount)
            for phase in plan.phases[plan.at :]:
                yield _reserved(record, phase.purpose, phase.start, phase.end, tuple(use.items()))

    def status(self) -> ServiceStatus:
        with self._lock:
            states = Counter(r.state for r in self._records.values() if not r.over)
        return ServiceStatus(
            version="2",
            started=self.started,
            now=self.now(),
            last_turn=self._events[-1].time if self._events else None,
            leases=states,
            queue_length=len(self._queue),
            backend="obedient",
            store="memory of this process",
            store_kind="memory",
            healthy=not self.away,
            problem="the store is away" if self.away else "",
        )

    def healthy(self) -> bool:
        return not self.away

    def metrics(self) -> list[Metric]:
        return [
            Metric(
                name="haizea_queue_length",
                kind=MetricKind.GAUGE,
                help="Leases that wait.",
                samples=[Sample(value=len(self._queue))],
            ),
            Metric(
                name="haizea_odd",
                kind=MetricKind.HISTOGRAM,
                help="Every \\ form\nof a number.",
                samples=[
                    Sample(value=0.5, labels={"le": 'a"b\\c\nd'}, suffix="_bucket"),
                    Sample(value=float("inf"), suffix="_sum"),
                ],
            ),
        ]

    # --- events -----------------------------------------------------------------------

    def events(
        self, after: int, limit: int, lease_id: int | None, owner: str | None
    ) -> list[Event]:
        with self._asked():
            later = self._events[after:]
        wanted = [e for e in later if lease_id in (None, e.lease_id) and owner in (None, e.owner)]
        return wanted[:limit]

    def last_event_id(self) -> int:
        return len(self._events)

    def watch(self, notify: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(notify)
        return lambda: self._watchers.remove(notify)

    # --- tokens -----------------------------------------------------------------------

    def identify(self, secret: str) -> TokenInfo | None:
        with self._asked():
            found = self._tokens.get(secret)
        if found is None or found.revoked:
            return None
        return None if found.expires is not None and found.expires <= self.now() else found

    def tokens(self) -> list[TokenInfo]:
        with self._asked():
            return sorted(self._tokens.values(), key=lambda token: token.id)

    def make_token(
        self, name: str, role: Role, owner: str, expires: int | None
    ) -> tuple[TokenInfo, str]:
        with self._asked():
            if any(t.name == name and not t.revoked for t in self._tokens.values()):
                raise TokenNameTaken
            secret = "hz_" + secrets.token_urlsafe(32)
            token = TokenInfo(
                id=len(self._tokens) + 1,
                name=name,
                role=role,
                owner=owner,
                created=self.now(),
                expires=expires,
            )
            self._tokens[secret] = token
        return token, secret

    def token(self, token_id: int) -> TokenInfo | None:
        with self._asked():
            good = (t for t in self._tokens.values() if t.id == token_id and not t.revoked)
            return next(good, None)

    def kept_sessions(self) -> str | None:
        with self._asked():
            return self._sessions

    def keep_sessions(self, text: str) -> None:
        with self._asked():
            self._sessions = text

    def revoke_token(self, which: str) -> TokenInfo | None:
        with self._asked():
            for secret, token in self._tokens.items():
                if (token.name == which and not token.revoked) or str(token.id) == which:
                    self._tokens[secret] = replace(token, revoked=True)
                    return self._tokens[secret]
        return None

    # --- hosts ------------------------------------------------------------------------

    def drain(self, host_id: int) -> None:
        self.tell(HostDrained(host_id))

    def restore(self, host_id: int) -> None:
        self.tell(HostRestored(host_id))


def _wanted(record: LeaseRecord, query: LeaseQuery) -> bool:
    request = record.request
    after = query.after
    return (
        (query.states is None or record.state in query.states)
        and query.owner in (None, request.owner)
        and query.kind in (None, request.kind)
        and query.label in (None, request.label)
        and (query.submitted_from is None or request.submitted >= query.submitted_from)
        and (query.submitted_until is None or request.submitted < query.submitted_until)
        and (query.finished or not record.over)
        and (after is None or (record.id < after if query.newest_first else record.id > after))
    )


def _reserved(record: LeaseRecord, purpose, start, end, use) -> Reserved:  # type: ignore[no-untyped-def]
    return Reserved(
        lease_id=record.id,
        owner=record.request.owner,
        label=record.request.label,
        purpose=purpose,
        start=start,
        end=end,
        use=use,
        firm=True,
    )


def _used(reserved: list[Reserved], host: int, moment: int) -> Capacity:
    total: Capacity = (0, 0)
    for entry in reserved:
        if entry.start <= moment < entry.end:
            for where, amount in entry.use:
                total = add(total, amount) if where == host else total
    return total


def parse_lease(content: bytes, media_type: str) -> Draft:
    """One lease in YAML or XML, as the service reads it, its times counted from now."""
    return drafts.parse_lease(content, media_type, int(time.time()))


class Service:
    """A manager behind a real server, with a token for each of several people."""

    def __init__(
        self, settings: ApiSettings | None = None, hosts: int = 8, most_waiting: int = 1000
    ) -> None:
        self.manager = SmallManager(hosts, most_waiting)
        self.app = make_app(self.manager, settings, parse_lease)
        self.server = Server(self.app, "127.0.0.1", 0)
        self.secrets: dict[str, str] = {}
        for name, role in PEOPLE.items():
            self.secrets[name] = self.manager.make_token(name, role, name, None)[1]

    def __enter__(self) -> Service:
        self.manager.start()
        self.server.start()
        return self

    def __exit__(self, *unused: object) -> None:
        ended = self.server.stop()
        self.manager.stop()
        assert ended, "the server did not end"

    @property
    def url(self) -> str:
        return self.server.url

    def client(self, name: str | None, secret: str | None = None) -> httpx.Client:
        """A client with somebody's token, another secret, or none."""
        return client_of(self.url, secret if name is None else self.secrets[name])


def client_of(url: str, secret: str | None) -> httpx.Client:
    """A client that shows a secret, or none."""
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False)


def wanted(count: int = 1, **fields: object) -> dict[str, object]:
    """A request in JSON for so many whole hosts for ten minutes, or as the fields say."""
    nodes = [{"count": count, "resources": {"CPU": 400, "Memory": 8192}}]
    return {"nodes": nodes, "duration": 600, **fields}
