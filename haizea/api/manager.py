"""Requests that the HTTP interface makes of a lease manager, and the answers that it gets.

The interface knows the manager by the protocol :class:`Manager` alone. Its methods are
called from several threads at once. Those that read may take as long as a question to a
database takes; :meth:`Manager.submit`, :meth:`Manager.cancel`, :meth:`Manager.now`,
:meth:`Manager.healthy`, :meth:`Manager.last_event_id` and :meth:`Manager.watch` return at once.

All moments are seconds since the epoch, UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from haizea.core.model.events import Purpose
from haizea.core.model.hosts import Host, HostSet, Site
from haizea.core.model.lease import Draft, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.maintenance import Impact, Maintenance, MaintenanceRecord
from haizea.core.model.reasons import Reason
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import Capacity
from haizea.core.placement.durations import Rates
from haizea.service_types import (
    Altered,
    Decided,
    Event,
    LearnedTime,
    LeaseQuery,
    Metric,
    Outage,
    Role,
    TokenInfo,
)


class Busy(Exception):
    """Too many requests wait for a decision already. Nothing was taken; ask again later."""


class Unavailable(Exception):
    """The question cannot be answered at present, the store being away; in words."""


def digest_of(draft: Draft) -> str:
    """Digest that tells an owner's request from others, not when or in which form it is sent."""
    asked = (
        draft.kind,
        [(nodes.count, sorted(nodes.amounts.items())) for nodes in draft.nodes],
        draft.duration,
        draft.said or draft.start,
        draft.preemptible,
        draft.image and (draft.image.name, draft.image.size_mb),
        draft.label,
        *(["fixed hosts"] if draft.fixed_hosts else []),
        *([] if draft.deadline is None or draft.said else [draft.after, draft.deadline]),
    )
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkept:
    """A maintenance window as it was asked for, and what it means; or why it cannot be."""

    window: Maintenance
    impact: Impact


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """A waiting lease: its ``place``, from 1, and when it is expected to start, if known.

    ``exact`` says that this start is reserved for it, not merely a guess.
    """

    place: int
    record: LeaseRecord
    expected: int | None
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePart:
    """Some of those who wait, in the order of their places; ``length`` is how many wait in all."""

    length: int
    places: Sequence[QueuePlace]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUse:
    """A host now: ``up``, ``down`` or ``drained`` and why, what is in use, who is on it.

    ``others`` is the part of what is ``used`` that no lease holds: VMs that are nobody's lease,
    and what the host has less than it had. ``leases`` are the id and the owner of each lease
    that holds capacity there now, ``rates`` what was learned of how fast it suspends and resumes.
    """

    host: Host
    status: str
    reason: Reason | None
    used: Capacity
    others: Capacity
    leases: tuple[tuple[int, str], ...]
    rates: Rates = field(default_factory=Rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """Capacity that a lease holds, held or will hold over ``[start, end)``.

    ``use`` has, per host, its index and the capacity taken there by all the lease's nodes
    on it. ``end`` is ``FOREVER`` without end; ``firm`` is false for what may still move.
    """

    lease_id: int
    owner: str
    label: str
    purpose: Purpose
    start: int
    end: int
    use: tuple[tuple[int, Capacity], ...]
    firm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """State of the service. ``last_turn`` is when the scheduler last decided something.

    ``leases`` counts those that are not over, by state. ``backend`` and ``store`` say in a
    few words what they are, without passwords, and ``store_kind`` what the store is without
    where; ``problem`` why it is not ``healthy``, empty if it is.
    """

    version: str
    started: int
    now: int
    last_turn: int | None
    leases: Mapping[State, int]
    queue_length: int
    backend: str
    store: str
    store_kind: str
    healthy: bool
    problem: str = ""


class Manager(Protocol):
    """The lease manager that the interface is for.

    Whatever asks a question raises :class:`Unavailable` where there is no answer now.
    """

    @property
    def site(self) -> Site:
        """Resource types and hosts; hosts may be added as time goes by."""

    def now(self) -> int:
        """Return the present time."""

    # --- requests ---------------------------------------------------------------------

    def submit(self, draft: Draft, key: str | None) -> Future[Decided]:
        """Ask for a lease; the answer comes when it is decided and kept.

        Its moments count from the epoch, its resource types are the site's, and its owner
        is whoever asks. ``key`` is the owner's idempotency key: the second request with it is
        not taken, but answered with the lease of the first. Raises :class:`Busy`; the future may
        hold :class:`Unavailable`, or :class:`haizea.service_types.KeyReused` where the first
        request with the key was another one.
        """

    def try_out(self, draft: Draft) -> Decided:
        """Find out what a request would lead to now, and leave everything as it is.

        It takes a while; the lease in the answer has the id 0. Raises :class:`Busy` where there
        is no time for that at present.
        """

    def cancel(self, lease_id: int, reason: Reason) -> Future[LeaseRecord | None]:
        """End a lease; the answer is the lease afterwards, ``None`` if there is none.

        One that is over stays as it is. Raises :class:`Busy`.
        """

    def change(
        self, request: LeaseRequest, instead_of: LeaseRequest, owner: str, *, preview: bool
    ) -> Future[Altered]:
        """Have a lease be what ``request`` asks for, if it still is ``instead_of``.

        Or (``preview``) find out what that would lead to, and leave everything as it is. Raises
        :class:`Busy`.
        """

    def maintain(
        self, window: Maintenance, owner: str, *, preview: bool, instead_of: Maintenance | None
    ) -> Future[Upkept]:
        """Ask for a maintenance window, or (``preview``) find out what it would mean.

        One with the id 0 is new, else it takes the place of the one with its id: only where that
        still is ``instead_of``, if that is given.
        """

    def end_maintenance(self, window_id: int, owner: str) -> Future[Maintenance | None]:
        """Give the hosts of a window back now; the answer is ``None`` where there is none."""

    # --- questions --------------------------------------------------------------------

    def lease(self, lease_id: int) -> LeaseRecord | None:
        """A lease, over or not."""

    def leases(self, query: LeaseQuery) -> list[LeaseRecord]:
        """The leases that ``query`` names."""

    def first_runs(self, lease_ids: Sequence[int]) -> Mapping[int, int]:
        """Return when each of these, a page of leases, first ran; without those that never did."""

    def story(self, lease_id: int) -> list[Event]:
        """All that was decided about a lease, in order."""

    def queue(self, after: int, limit: int, owner: str | None) -> QueuePart:
        """The first ``limit`` leases that wait in places later than ``after``.

        Of one owner's leases, or of all.
        """

    def hosts(self) -> list[HostUse]:
        """All hosts, by index."""

    def learned(self) -> Sequence[LearnedTime]:
        """Return how long operations of the backend take, as far as was learned."""

    def hosts_meeting(self, condition: str) -> HostSet:
        """Find hosts by a condition on their attributes, as the backend has them.

        Raises :class:`ValueError` for a text that is not a condition.
        """

    def maintenance(self) -> Sequence[MaintenanceRecord]:
        """Maintenance windows that are not over, by id."""

    def outages(self, start: int, end: int) -> Sequence[Outage]:
        """List when hosts were, are or will be out of use in ``[start, end)``, by start."""

    def host_use(self, host_id: int, start: int, end: int) -> list[tuple[int, Capacity]]:
        """Return what is in use on a host from ``start`` to ``end``, past or planned.

        Each entry holds from its moment to the next one's, or ``end``; the first moment is
        ``start``. ``host_id`` is the index of a host of the site.
        """

    def schedule(self, start: int, end: int, limit: int, owner: str | None) -> list[Reserved]:
        """List what is reserved at some time in ``[start, end)``, past and planned, by start.

        At most ``limit`` entries, the first ones; of one owner's leases, or of all.
        """

    def status(self) -> ServiceStatus:
        """Return the state of the service, even where the store is away."""

    def healthy(self) -> bool:
        """Tell whether the service schedules and keeps what it decides."""

    def metrics(self) -> list[Metric]:
        """Figures about the service."""

    # --- events -----------------------------------------------------------------------

    def events(
        self, after: int, limit: int, lease_id: int | None, owner: str | None
    ) -> list[Event]:
        """The first ``limit`` events with ids above ``after``, by id.

        Those of one lease, of one owner's leases, or all.
        """

    def last_event_id(self) -> int:
        """The id of the last event that was kept; 0 if there is none."""

    def watch(self, notify: Callable[[], None]) -> Callable[[], None]:
        """Have ``notify`` called, from any thread, after each turn; call the answer to end that."""

    # --- tokens -----------------------------------------------------------------------

    def identify(self, secret: str) -> TokenInfo | None:
        """The token with this secret; ``None`` if there is none, or it is revoked or expired."""

    def token(self, token_id: int) -> TokenInfo | None:
        """The token with this id; ``None`` if there is none, or it is revoked or expired."""

    def kept_sessions(self) -> str | None:
        """Return the text that :meth:`keep_sessions` was given last, ``None`` if there is none."""

    def keep_sessions(self, text: str) -> None:
        """Keep what is to be known of browsers' sessions after a restart."""

    def tokens(self) -> list[TokenInfo]:
        """All tokens, by id."""

    def make_token(
        self, name: str, role: Role, owner: str, expires: int | None
    ) -> tuple[TokenInfo, str]:
        """Make a token; its secret is told this once.

        Raises :class:`haizea.service_types.TokenNameTaken`.
        """

    def revoke_token(self, which: str) -> TokenInfo | None:
        """Revoke the token with this name or, in digits, this id; ``None`` if there is none.

        Of several with the name, it is the one that is not revoked.
        """
