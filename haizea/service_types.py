"""Data that a service keeps and is asked about: decisions as events, leases, tokens, figures.

The store keeps it, the HTTP interface shows it, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum

from haizea.core.model.events import Decision
from haizea.core.model.hostrules import Allowed
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.lease import Draft, Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Reason
from haizea.core.model.records import LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Outcome of a request in the turn that took it.

    ``place`` in the queue (from 1) and the ``expected`` start are those of a lease that
    waits. ``offer`` is the nearest start at which a rejected AR would fit, or the nearest deadline
    that would do, and ``offer_until`` the last moment at which that start can be asked for.
    ``repeated`` says that the owner asked for this before, with the same idempotency key;
    ``record`` is then that lease as it is now.
    """

    record: LeaseRecord
    place: int | None = None
    expected: int | None = None
    offer: int | None = None
    offer_until: int | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Somebody asks for a lease and waits for the decision.

    ``digest`` tells what is asked for with ``key`` from other requests; ``None`` where a key
    alone does. ``allowed`` are the hosts that will do, ``prepare_seconds`` how long its VMs
    take to start.
    """

    draft: Draft
    key: str | None
    digest: str | None = None
    allowed: Allowed = EVERYWHERE
    prepare_seconds: int = 0
    answer: Future[Decided] = field(default_factory=Future)

    @property
    def owner(self) -> str:
        """The owner that the lease is to have."""
        return self.draft.owner

    @property
    def weight(self) -> int:
        """Number of nodes that the request is for."""
        return self.draft.node_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Altered:
    """The outcome of a change: the lease afterwards, or as it was and ``reason`` says why.

    Of a preview, the lease as it would be, with no more of its plan than when it would run.
    ``offer`` is the nearest start, or the latest end of what runs, that would do, and
    ``offer_until`` the last moment at which that start can be asked for.
    """

    record: LeaseRecord | None
    reason: Reason | None = None
    offer: int | None = None
    offer_until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """Somebody wants a lease to be what ``request`` asks for, in the place of ``instead_of``.

    Or (``preview``) to know what would come of it.
    """

    request: LeaseRequest
    instead_of: LeaseRequest
    owner: str
    preview: bool = False
    weight: int = 1
    answer: Future[Altered] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQuery:
    """Selection of leases; what is ``None`` does not matter.

    ``submitted_from`` is included, ``submitted_until`` is not. Without ``finished``, only
    leases that are not over. They come by id, ``newest_first`` or not; ``after`` is the
    last id of the page before.
    """

    states: frozenset[State] | None = None
    owner: str | None = None
    kind: Kind | None = None
    label: str | None = None
    submitted_from: int | None = None
    submitted_until: int | None = None
    finished: bool = False
    newest_first: bool = False
    limit: int = 100
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A decision that was kept. Ids grow and are never used twice.

    ``lease_id`` and ``owner`` are ``None`` for what is about a host.
    """

    id: int
    time: int
    lease_id: int | None
    owner: str | None
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Hosts that are out of use over ``[start, end)``; ``end`` is ``None`` without end.

    ``status`` is ``down``, ``drained`` or ``maintenance``; ``window_id`` says which window it is,
    ``hosts`` are indices in order.
    """

    status: str
    hosts: tuple[int, ...]
    start: int
    end: int | None = None
    reason: Reason | None = None
    window_id: int | None = None


class Role(StrEnum):
    """The rights of a token; the value is the name that users see."""

    USER = "user"
    OPERATOR = "operator"
    READER = "reader"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """A token, without its secret. ``owner`` is whom leases asked for with it belong to.

    ``expires`` is ``None`` for one that is good until revoked; ``last_used`` is kept
    by the hour.
    """

    id: int
    name: str
    role: Role
    owner: str
    created: int
    expires: int | None = None
    last_used: int | None = None
    revoked: bool = False


class TokenNameTaken(Exception):
    """There is a token of this name that is not revoked."""


class KeyReused(Exception):
    """An idempotency key was used before, for another request: that of the lease ``lease_id``."""

    def __init__(self, lease_id: int) -> None:
        super().__init__(f"the key was used for another request, that of lease {lease_id}")
        self.lease_id = lease_id


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedTime:
    """The time that an operation takes, as was learned from so many ``times``.

    ``operation`` is ``copy from``, ``boot of``, ``boot on`` or ``end of``, and ``of`` is what it
    is done with: a store of images, a template, a host. Where it has a size, the seconds are for
    ``size_mb``. No more than ``planned_seconds`` are expected.
    """

    operation: str
    of: str
    times: int
    size_mb: int
    usual_seconds: int
    planned_seconds: int


class MetricKind(StrEnum):
    """Kind of a metric, in the words of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number of a metric; ``suffix`` is ``_bucket``, ``_sum`` or ``_count`` where it has parts.

    Labels are in the order in which they are to be written.
    """

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure about the service: its full name, such as ``haizea_queue_length``."""

    name: str
    kind: MetricKind
    help: str
    samples: Sequence[Sample]
