"""The route that changes a lease: another start, end, size or standing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from haizea.api.answers import Answer, LeaseOut, ReasonCode, ReasonParameters, When
from haizea.api.calls import Closing
from haizea.api.forms import Duration, NodesForm, Start
from haizea.api.interface import CHANGING, ChangingToken, Here, described
from haizea.api.leases import LeaseId
from haizea.api.problems import Refused, later
from haizea.api.settings import AMOUNT_LIMIT, MOST_NODE_SETS
from haizea.api.values import check_reach, terms_tag, written_or_none
from haizea.api.views import lease_out, reason_fields
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, Nodes, node_sets
from haizea.core.model.reasons import Code
from haizea.core.model.resources import UnknownResourceType
from haizea.service_types import Altered
from haizea.times.moments import parse_moment, parse_start

router = APIRouter()


class LeaseChange(BaseModel):
    """Terms that a lease is to have; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    start: Start | None = Field(None, description="Another start of an `ar` that has not begun.")
    after: Start | None = Field(
        None, description="Another moment before which a lease with a deadline must not begin."
    )
    deadline: Start | None = Field(None, description="Another deadline of a lease that has one.")
    duration: Duration = Field(
        None, description="Its duration in all; `null` or `unlimited`: without end."
    )
    extend: Duration = Field(None, description="By how much it is to run for longer.")
    shorten: Duration = Field(None, description="By how much it is to run for less.")
    nodes: list[NodesForm] | None = Field(
        None,
        min_length=1,
        max_length=MOST_NODE_SETS,
        description="Other nodes, of a lease that does not run.",
    )
    preemptible: bool | None = None


class ChangeOut(Answer):
    """The outcome of a change."""

    granted: bool
    lease: LeaseOut
    reason: str = Field(description="Why it stays as it is; empty if it does not.")
    reason_code: ReasonCode
    reason_parameters: ReasonParameters
    offer: When | None = Field(
        description="The nearest start or deadline, or the latest end of what runs, that would do."
    )
    offer_until: When | None = Field(
        description="Until when a start that is proposed can be asked for."
    )


Match = Annotated[
    str | None,
    Header(
        alias="if-match",
        max_length=100,
        description="The `ETag` of the lease as you saw it: where it is another since, nothing"
        " changes (`412`).",
    ),
]
Preview = Annotated[
    bool, Query(description="Change nothing: answer `200` with what it would lead to.")
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "It is granted, or this is what it would lead to, with `preview`.",
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "Of its new terms."}},
    },
    409: {"model": ChangeOut, "description": "It is refused: see `reason` and `offer`."},
}


@router.patch(
    "/leases/{lease_id}",
    response_model=ChangeOut,
    **described("Change a lease", "leases", CHANGING, 404, 408, 409, 412, 413, responses=_ANSWERS),
)
async def change_lease(
    here: Here,
    lease_id: LeaseId,
    wanted: LeaseChange,
    token: ChangingToken,
    match: Match = None,
    preview: Preview = False,
) -> Response:
    """Give a lease another start, end, size or standing: as a whole, or nothing changes.

    Of a lease that runs, the end alone and whether it is preemptible. With `preview` nothing
    changes in any case: the answer is what this would lead to now, with the lease as it would be,
    or as it is where the change would be refused. When a lease that waits would run, is not in it.
    """
    record = await here.ask(here.lease_for, lease_id, token)
    before = record.request
    if match not in (None, "*", terms_tag(before)):
        raise Refused(412, "changed", f"lease {lease_id} was changed: look at it again")
    asked = _asked(before, wanted, here.manager.site, here.manager.now())
    if asked == before:
        found = Altered(record=record)
    else:
        future = here.manager.change(asked, before, token.owner, preview=preview)
        try:
            found = await here.decided(future)
        except (TimeoutError, Closing):
            raise later(
                "no-decision-yet", "there is no decision yet: look at the lease", 5
            ) from None
    after = found.record or record
    if found.reason is not None and found.reason.code is Code.CHANGED_MEANWHILE:
        raise Refused(412, "changed", f"lease {lease_id} was changed meanwhile: look at it again")
    types = here.manager.site.types
    response = await here.answer(
        lambda: ChangeOut(
            granted=found.reason is None,
            lease=lease_out(after, types),
            offer=written_or_none(found.offer),
            offer_until=written_or_none(found.offer_until),
            **reason_fields(found.reason),
        ),
        200 if preview or found.reason is None else 409,
    )
    response.headers["ETag"] = terms_tag(before if preview else after.request)
    return response


def _asked(before: LeaseRequest, wanted: LeaseChange, site: Site, now: int) -> LeaseRequest:
    """The whole request that a lease is to be. Raises :class:`Refused` for what makes no sense."""
    asked = replace(before, duration=_duration(before, wanted))
    if wanted.preemptible is not None:
        asked = replace(asked, preemptible=wanted.preemptible)
    if wanted.start is not None:
        asked = replace(asked, start=_start(before, wanted.start, now))
    if wanted.after is not None:
        asked = replace(asked, after=_window(before, wanted.after, now, "after"))
    if wanted.deadline is not None:
        asked = replace(asked, deadline=_window(before, wanted.deadline, now, "deadline"))
    if wanted.nodes is not None:
        try:
            asked_for = [Nodes(n.count, n.resources) for n in wanted.nodes]
            nodes = node_sets(asked_for, site.types)
        except UnknownResourceType as wrong:
            raise Refused(422, "invalid", str(wrong), "nodes") from None
        if before.names:
            raise Refused(422, "invalid", "its nodes are VMs: change these where they are", "nodes")
        asked = replace(asked, nodes=nodes)
    return asked


def _duration(before: LeaseRequest, wanted: LeaseChange) -> int | None:
    """The duration that a lease is to have in all."""
    said = {"duration", "extend", "shorten"} & wanted.model_fields_set
    if len(said) > 1:
        raise Refused(422, "invalid", f"say one of {' and '.join(sorted(said))}", "duration")
    duration = wanted.duration if "duration" in said else before.duration
    if wanted.extend is not None:
        duration = _longer(duration, wanted.extend)
    if wanted.shorten is not None:
        duration = _longer(duration, -wanted.shorten)
    if duration is None and before.deadline is not None:
        raise Refused(422, "invalid", "a lease with a deadline needs a duration", "duration")
    if duration is not None and duration >= AMOUNT_LIMIT:
        raise Refused(422, "invalid", f"{duration} s in all are too long", "duration")
    return duration


def _longer(duration: int | None, by_seconds: int) -> int:
    """A duration that is longer by so much, or shorter."""
    if duration is None:
        raise Refused(422, "invalid", "it has no end: say a duration", "extend")
    if duration + by_seconds < 1:
        raise Refused(422, "invalid", f"it lasts {duration} s in all: cancel it instead", "shorten")
    return duration + by_seconds


def _start(before: LeaseRequest, text: str, now: int) -> int:
    if before.kind is not Kind.AR:
        raise Refused(422, "invalid", "only an advance reservation has a start", "start")
    try:
        moment = parse_start(text, now, UTC).moment
        if moment is None:
            raise ValueError("an advance reservation has an exact start")
        return check_reach(moment)
    except ValueError as wrong:
        raise Refused(422, "invalid", str(wrong), "start") from None


def _window(before: LeaseRequest, text: str, now: int, field: str) -> int:
    if before.deadline is None:
        raise Refused(422, "invalid", "only a lease with a deadline has a window", field)
    try:
        return check_reach(parse_moment(text, now, UTC))
    except ValueError as wrong:
        raise Refused(422, "invalid", str(wrong), field) from None
