"""Forms that clients send, as the OpenAPI description shows them, and their bounds."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from haizea.api.problems import invalid
from haizea.api.settings import (
    AMOUNT_LIMIT,
    MOST_ENTRIES,
    MOST_ID,
    MOST_NODE_SETS,
    MOST_NODES,
    PRINTABLE,
)
from haizea.api.values import check_reach, read_duration, read_moment
from haizea.api.windows import check_window, parse_window
from haizea.core.model.hosts import Site
from haizea.core.model.lease import DiskImage, Draft, Kind, Nodes
from haizea.core.model.lifecycle import State
from haizea.service_types import LeaseQuery, Role
from haizea.times.moments import changing_words, parse_start

TOKEN_NAME = r"^[A-Za-z_@][A-Za-z0-9_.@+-]*$"

Label = Annotated[str, Field(max_length=200, pattern=PRINTABLE)]
Owner = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_.@+-]+$")]
Id = Annotated[int, Field(ge=1, le=MOST_ID)]
Limit = Annotated[int, Field(ge=1, le=MOST_ENTRIES, description="The most entries to answer with.")]


def _moment(given: object) -> object:
    if not isinstance(given, str):
        raise ValueError("write a date and time, as in 2026-11-25T14:00:00Z")
    return read_moment(given)


Moment = Annotated[
    int,
    BeforeValidator(_moment),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-25T14:00:00+01:00"]}
    ),
]
Start = Annotated[
    str,
    Field(max_length=64),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "maxLength": 64},
            ],
        }
    ),
]
#: ``None`` is a lease without end.
Duration = Annotated[
    int | None,
    BeforeValidator(read_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "exclusiveMaximum": AMOUNT_LIMIT},
                {"type": "string", "maxLength": 64},
                {"type": "null"},
            ],
        }
    ),
]


class NodesForm(BaseModel):
    """A number of equal nodes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = Field(1, ge=1, le=MOST_NODES, description="Number of nodes.", examples=[2])
    resources: dict[
        Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)],
        Annotated[int, Field(ge=0, lt=AMOUNT_LIMIT)],
    ] = Field(
        description="Amounts that each of the nodes asks for, by the site's resource types:"
        " `CPU` in percent of a core, `Memory` in MB. A type that is left out is not asked for.",
        min_length=1,
        max_length=32,
        examples=[{"CPU": 100, "Memory": 1024}],
    )


class ImageForm(BaseModel):
    """A disk image."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)] = Field(
        description="Its name.", examples=["debian-12"]
    )
    size_mb: int = Field(ge=0, lt=AMOUNT_LIMIT, description="Its size in MB.", examples=[4096])

    def image(self) -> DiskImage:
        """The image."""
        return DiskImage(self.name, self.size_mb)


class LeaseForm(BaseModel):
    """Request for a lease: nodes, for so long, at some time."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "kind": "ar",
                    "start": "2026-11-25T14:00:00+01:00",
                    "duration": "01:30:00",
                    "nodes": [{"count": 2, "resources": {"CPU": 100, "Memory": 1024}}],
                    "label": "course, third evening",
                },
                {
                    "kind": "best-effort",
                    "duration": 5400,
                    "nodes": [{"count": 16, "resources": {"CPU": 100, "Memory": 512}}],
                },
            ]
        },
    )

    kind: Literal["ar", "best-effort", "immediate", "deadline"] | None = Field(
        None,
        description="`ar` starts exactly at `start`; `best-effort` waits until there is room;"
        " `immediate` starts now or not at all; `deadline` is done by `deadline`. Left out: what"
        " `start` or `deadline` says, or `best-effort` without either.",
    )
    start: Start | None = Field(
        None,
        description="Start of an `ar`: ISO 8601 with any zone, `+00:30`, `+2d`, `14:00`,"
        " `tomorrow 9:00`, `monday 9:00`; UTC where there is no zone; in the years 2000 to 2500."
        " `now` is a lease of the kind `immediate`, `best-effort` one of that kind; so is one"
        " without a start.",
        examples=["2026-11-25T14:00:00+01:00"],
    )
    deadline: Start | None = Field(
        None,
        description="Instead of a start: the moment by which it is to be done, in any form of"
        " `start`. It runs at some time before, whole and in one piece.",
        examples=["2026-11-26T08:00:00+01:00"],
    )
    after: Start | None = Field(
        None, description="With a `deadline`: the moment before which it does not begin."
    )
    duration: Duration = Field(
        description="Its duration: whole seconds or a text, `HH:MM:SS`, `90m`, `2d`."
        " `null` or `unlimited` for a lease without end.",
        examples=["01:30:00"],
    )
    nodes: list[NodesForm] = Field(
        description=f"Sets of equal nodes, together at most {MOST_NODES}.",
        min_length=1,
        max_length=MOST_NODE_SETS,
    )
    preemptible: bool | None = Field(
        None,
        description="Permits suspending it to make room for another lease. Left out:"
        " a best-effort lease may, others may not.",
    )
    hosts: Literal["any", "fixed"] = Field(
        "any",
        description="Permits giving a lease that has not begun other hosts, so that there"
        " is room for others: with `fixed` it keeps those that it was given first.",
    )
    image: ImageForm | None = Field(None, description="The disk image that all nodes boot from.")
    label: Label = Field("", description="A name for people; it need not be unique.")

    def draft(self, now: int) -> Draft:
        """The request, made ``now``. Raises :class:`Refused` for a start that makes no sense."""
        kind, start, said = self._start(now)
        window = parse_window(self.after, self.deadline, now)
        return Draft(
            kind=kind,
            nodes=tuple(Nodes(nodes.count, nodes.resources) for nodes in self.nodes),
            duration=self.duration,
            start=start,
            after=window.after,
            deadline=window.deadline,
            preemptible=kind is Kind.BEST_EFFORT if self.preemptible is None else self.preemptible,
            fixed_hosts=self.hosts == "fixed",
            image=None if self.image is None else self.image.image(),
            label=self.label,
            said=said or window.said,
        )

    def _start(self, now: int) -> tuple[Kind, int | None, str]:
        """Kind, start, and the start's words where they mean another moment each time."""
        wanted = None if self.kind is None else Kind(self.kind)
        if self.deadline is not None:
            check_window(wanted, self.start, self.duration)
            return Kind.DEADLINE, None, ""
        if self.after is not None or wanted is Kind.DEADLINE:
            raise invalid("deadline", "a lease that has no start but a window needs a deadline")
        if self.start is None:
            if wanted is Kind.AR:
                raise invalid("start", "an advance reservation needs a start")
            return wanted or Kind.BEST_EFFORT, None, ""
        try:
            found = parse_start(self.start, now, UTC)
        except ValueError as wrong:
            raise invalid("start", str(wrong)) from None
        if wanted not in (None, found.kind):
            raise invalid("start", f"{self.start!a} is one of kind {found.kind}, not {wanted}")
        return found.kind, found.moment, changing_words(self.start, UTC)


def check_draft(draft: Draft, site: Site) -> None:
    """Raise :class:`Refused` for what no form says or the site does not have."""

    if len(draft.nodes) > MOST_NODE_SETS:
        raise invalid(
            "nodes",
            f"{len(draft.nodes)} sets of nodes are too many: {MOST_NODE_SETS} are the most. Put"
            " equal nodes together with count, or ask for several leases",
        )
    if (total := draft.node_count) > MOST_NODES:
        raise invalid(
            "nodes",
            f"{total} nodes are too many: {MOST_NODES} are the most. Ask for several leases",
        )
    for nodes in draft.nodes:
        for name, amount in nodes.amounts.items():
            if name not in site.types.names:
                known = ", ".join(site.types.names)
                raise invalid("nodes", f"the site has no resource type {name!a}; it has {known}")
            if not 0 <= amount < AMOUNT_LIMIT:
                raise invalid("nodes", f"{amount} of {name} is too much")
        if not any(nodes.amounts.values()):
            raise invalid("nodes", "a node asks for something: more than 0 of one resource type")
    if draft.duration is not None and not 0 < draft.duration < AMOUNT_LIMIT:
        raise invalid("duration", "this is too long; write unlimited for a lease without end")
    for name, moment in (
        ("start", draft.start),
        ("after", draft.after),
        ("deadline", draft.deadline),
    ):
        if moment is not None:
            try:
                check_reach(moment)
            except ValueError as wrong:
                raise invalid(name, str(wrong)) from None
    if draft.image is not None and draft.image.size_mb >= AMOUNT_LIMIT:
        raise invalid("image", "the image is too large")
    for field, text in (("label", draft.label), ("image", draft.image and draft.image.name)):
        if text and not re.fullmatch(PRINTABLE, text):
            raise invalid(field, "there is a character in it that cannot be shown on one line")


class LeaseFilter(BaseModel):
    """Choice of leases, and of a part of the list."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field(
        [], max_length=len(State), description="Only leases in this state; may be repeated."
    )
    owner: Label | None = Field(None, description="Only leases of this owner.")
    kind: Kind | None = Field(None, description="Only leases of this kind.")
    label: Label | None = Field(None, description="Only leases with exactly this label.")
    since: Moment | None = Field(None, description="Only leases submitted then or later.")
    until: Moment | None = Field(None, description="Only leases submitted before.")
    all: bool = Field(
        False,
        description="Finished leases too. Asking for a final `state` finds them without it.",
    )
    order: Literal["oldest", "newest"] = Field("oldest", description="Order, by id.")
    limit: Limit = 100
    after: Id | None = Field(
        None, description="The `next` of the page before: go on with the leases after that one."
    )

    def query(self, finished: frozenset[State], owner: str | None) -> LeaseQuery:
        """The question to the manager, for one entry more than a page has."""
        states = frozenset(self.state) or None
        return LeaseQuery(
            states=states,
            owner=owner,
            kind=self.kind,
            label=self.label,
            submitted_from=self.since,
            submitted_until=self.until,
            finished=self.all or bool(states and states & finished),
            newest_first=self.order == "newest",
            limit=self.limit + 1,
            after=self.after,
        )


class QueueFilter(BaseModel):
    """Choice of a part of the queue."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = 100
    after: int = Field(0, ge=0, le=MOST_ID, description="Go on after this place.")


class Period(BaseModel):
    """From when to when; without, the day that begins now."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description="The first moment; now if it is left out.")
    until: Moment | None = Field(
        None, description="The first moment after; one day after `since` if it is left out."
    )

    def bounds(self, now: int, most_seconds: int) -> tuple[int, int]:
        """First moment and the first one after. Raises :class:`Refused` where that is too long."""
        start = now if self.since is None else self.since
        end = start + 86_400 if self.until is None else self.until
        if end <= start:
            raise invalid("until", "it is not after since")
        if end - start > most_seconds:
            days = most_seconds // 86_400
            raise invalid("until", f"at most {days} days can be asked about at once")
        return start, end


class ScheduleFilter(Period):
    """Choice of a part of the schedule."""

    limit: Limit = 100


class EventsFilter(BaseModel):
    """Choice of events."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(
        None,
        ge=0,
        le=MOST_ID,
        description="Begin after the event with this id, `0` with the oldest that is kept. Left"
        " out: after the id in the header `Last-Event-ID`, or with what happens from now on.",
    )
    lease: Id | None = Field(None, description="Only events of this lease.")
    follow: bool = Field(
        True, description="`false`: end when all that has happened is told, rather than go on."
    )


class TokenForm(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=TOKEN_NAME)] = Field(
        description="Its name, in lists and to revoke it.", examples=["anna-laptop"]
    )
    role: Annotated[Role, Field(strict=False)] = Field(
        description="`user`: asks for leases, sees and cancels those of `owner`. `operator`: may do"
        " all, and make tokens. `reader`: sees all leases and figures, changes nothing."
    )
    owner: Owner | None = Field(
        None,
        min_length=1,
        description="Owner of the leases that are asked for with it; the name, if left out.",
        examples=["anna"],
    )
    expires: Moment | None = Field(
        None, description="From when on it is good for nothing; `null` if it has no such end."
    )


def schema_of(
    model: type[BaseModel], mode: Literal["validation", "serialization"]
) -> dict[str, Any]:
    """The JSON schema of what is sent or answered, to be put into the OpenAPI description."""
    return model.model_json_schema(ref_template="#/components/schemas/{model}", mode=mode)
