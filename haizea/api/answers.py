"""Models of all answers to clients, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.service_types import Role

_WHEN = Field(
    description="ISO 8601 in UTC.",
    examples=["2026-11-25T14:00:00Z"],
    json_schema_extra={"format": "date-time"},
)
When = Annotated[str, _WHEN]
Resources = Annotated[
    dict[str, int],
    Field(
        description="Amounts by resource type: `CPU` in percent of a core, `Memory` in MB.",
        examples=[{"CPU": 100, "Memory": 1024}],
    ),
]
ReasonCode = Annotated[
    str | None,
    Field(
        description="The reason in one word for programs; `null` without a reason.",
        examples=["too-few-free"],
    ),
]
ReasonParameters = Annotated[
    dict[str, Any],
    Field(
        description="The things that the reason is about, by name. `start`, `end` and `moment` are"
        " seconds since the epoch, `lease` is the id of another lease; `cause` and `refusal` are"
        " reasons themselves, with `code` and `parameters`.",
        examples=[{"nodes": 16, "free": 12, "start": 1795615200, "end": 1795618800}],
    ),
]

Outcome = Literal["accepted", "queued", "rejected"]


class Answer(BaseModel):
    """Base of all answers: every field is always there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class NodesOut(Answer):
    """A number of equal nodes."""

    count: int
    resources: Resources


class ImageOut(Answer):
    """A disk image."""

    name: str
    size_mb: int


class LeaseOut(Answer):
    """A lease."""

    id: int = Field(description="Its number, never given twice.", examples=[17])
    label: str
    owner: str = Field(description="The owner of the token that it was asked for with.")
    kind: Kind
    state: State
    reason: str = Field(
        description="Why it is in this state, in words; times are UTC.",
        examples=["16 nodes asked, at most 12 free between 2026-11-25 14:00:00 and 15:00:00"],
    )
    reason_code: ReasonCode
    reason_parameters: ReasonParameters
    code: str = Field(description="The kind of the change to this state in one word, or empty.")
    changed: When = Field(description="Since when it is in this state.")
    submitted: When
    start: When | None = Field(description="The start that an advance reservation was asked for.")
    after: When | None = Field(description="The moment before which it must not begin.")
    deadline: When | None = Field(description="The moment by which it is to be done.")
    duration: int | None = Field(description="Seconds that were asked for; `null` without end.")
    nodes: list[NodesOut]
    names: list[str] = Field(
        description="Names of its nodes elsewhere, by node number: the ids of its VMs in"
        " OpenNebula. Empty where they are nothing elsewhere."
    )
    preemptible: bool
    fixed_hosts: bool = Field(
        description="Tells whether it keeps the hosts that it was given first."
    )
    image: ImageOut | None
    planned_start: When | None = Field(
        description="The moment from which its nodes run, or run on, by the reservation it has now."
    )
    planned_end: When | None = Field(
        description="Until when they run by it; `null` if there is none, or none is known."
    )
    makes_room: When | None = Field(
        description="Its planned end, where it is not done by then: it makes room for others, and"
        " goes on or begins again later."
    )
    expected: When | None = Field(
        description="Expected start, or resumption, of a waiting lease, where it is known."
    )
    remaining: int | None = Field(description="Seconds left of its duration; `null` without end.")
    ran: int = Field(description="Seconds that it has run.")


class LeaseShown(LeaseOut):
    """A lease, with what came of it."""

    started: When | None = Field(description="First start of its nodes; `null` if they never ran.")
    ended: When | None = Field(description="Its end; `null` as long as it is not over.")


class StoryEntry(Answer):
    """A state that a lease came into, or what was told of it in that state: why it is late."""

    event: int = Field(description="The id of the event.")
    time: When
    state: State
    reason: str
    reason_code: ReasonCode
    reason_parameters: ReasonParameters
    code: str


class ReservationOut(Answer):
    """Hosts that a lease has, had or will have over some time, and what for."""

    when: Literal["past", "now", "planned"]
    purpose: Purpose
    start: When
    end: When | None = Field(description="`null` without end.")
    hosts: list[str] = Field(description="The hosts' names.", examples=[["host-1", "host-2"]])
    firm: bool = Field(description="`false`: this is provisional and may still move.")


class LeaseStory(LeaseShown):
    """A lease with its story."""

    hosts: list[str] = Field(
        description="The host of each node, by node number, in the reservation it has now."
    )
    reservations: list[ReservationOut]
    story: list[StoryEntry] = Field(description="The states it went through, the last 1000.")


class DecisionOut(Answer):
    """Outcome of a request."""

    outcome: Outcome = Field(
        description="`accepted`: it has its hosts and times. `queued`: it waits for hosts."
        " `rejected`: see `reason` and `code` of the lease."
    )
    lease: LeaseOut
    hosts: list[str] = Field(description="The host of each node, if it has any yet.")
    place: int | None = Field(description="Its place in the queue, from 1.")
    expected: When | None = Field(description="Its expected start, where it is known.")
    offer: When | None = Field(
        description="The nearest start at which a rejected advance reservation would fit, or the"
        " nearest deadline that would do for a lease that has one."
    )
    offer_until: When | None = Field(
        description="Until when that start can be asked for, a minute from now at least: later it"
        " is too near."
    )
    repeated: bool = Field(
        description="This was asked for before with the same `Idempotency-Key`; nothing was made."
    )


class LeaseList(Answer):
    """A page of leases."""

    leases: list[LeaseShown]
    next: int | None = Field(description="Pass it as `after` for the next page; `null`: the end.")


class QueueEntry(Answer):
    """A waiting lease."""

    place: int = Field(description="Its place among all, from 1.")
    lease: LeaseOut
    expected: When | None
    exact: bool = Field(description="This start is reserved for it.")


class QueueOut(Answer):
    """A page of the queue. A user is shown own leases, with their places among all."""

    length: int = Field(description="Number of leases that wait, in all.")
    queue: list[QueueEntry]
    next: int | None = Field(description="Pass it as `after` for the next page; `null`: the end.")


class PlaceOut(Answer):
    """Resources that are taken of a host."""

    host: str
    resources: Resources


class ScheduleEntry(Answer):
    """A reservation."""

    lease: int
    owner: str
    label: str
    purpose: Purpose
    start: When
    end: When | None = Field(description="`null` without end.")
    firm: bool
    places: list[PlaceOut]


class ScheduleOut(Answer):
    """Reservations between two moments, by start. A user is shown those of own leases."""

    since: When
    until: When
    complete: bool = Field(
        description="`false`: there are more. Ask for a shorter time, or for more entries."
    )
    reservations: list[ScheduleEntry]


class StatusOut(Answer):
    """State of the service."""

    version: str
    started: When
    now: When
    last_turn: When | None = Field(description="The moment of the last decision.")
    leases: dict[str, int] = Field(description="Leases that are not over, by state.")
    queue_length: int
    backend: str
    store: str = Field(description="Operators are told where it is, others what it is.")
    healthy: bool
    problem: str = Field(description="Why it is not healthy; empty if it is.")
    role: Role = Field(description="Rights of the token that this was asked with.")
    owner: str = Field(description="Owner of the leases that are asked for with this token.")


class Health(Answer):
    """Health of the service."""

    status: Literal["up", "not up"]


class TokenOut(Answer):
    """A token, without its secret."""

    id: int
    name: str
    role: Role
    owner: str
    created: When
    expires: When | None
    last_used: When | None = Field(description="Roughly when it was last shown.")
    revoked: bool


class TokenMade(TokenOut):
    """A new token. Its secret is told here and never again."""

    secret: str = Field(description="The secret that goes into `Authorization: Bearer`.")


class TokenList(Answer):
    """All tokens."""

    tokens: list[TokenOut]


class SessionOut(Answer):
    """The bearer of a session or a token."""

    name: str = Field(description="The token's name, or which user of OpenNebula it is.")
    role: Role
    owner: str = Field(description="Owner of the leases that are asked for.")
    expires: When | None = Field(description="End of the session, or of the token.")
    csrf: str | None = Field(
        description="Goes into the header `X-CSRF-Token` of each request that changes something;"
        " `null` where a token was shown, with which no request needs it."
    )
    zone: str = Field(
        description="The service's local time zone, by name or as an offset.",
        examples=["Europe/Madrid"],
    )


class EventOut(Answer):
    """Something that was decided; what is of no concern to its kind is `null`."""

    id: int
    time: When
    kind: Literal[
        "accepted",
        "state",
        "hosts",
        "expected",
        "planned-hosts",
        "operation-started",
        "operation-ended",
        "host",
        "rates",
        "maintenance",
        "changed",
        "change-refused",
        "image",
        "preparation",
        "shutdown",
    ]
    text: str = Field(description="The event in words.")
    lease: int | None = None
    owner: str | None = None
    state: State | None = None
    old_state: State | None = None
    reason: str | None = None
    reason_code: ReasonCode = None
    reason_parameters: ReasonParameters | None = None
    code: str | None = None
    start: When | None = None
    end: When | None = None
    purpose: Purpose | None = None
    hosts: list[str] | None = None
    status: str | None = None
