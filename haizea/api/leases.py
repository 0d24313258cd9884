"""Routes about leases: ask for one, list, show, cancel; and the queue."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import ValidationError

from haizea.api.answers import DecisionOut, LeaseList, LeaseOut, LeaseStory, QueueOut
from haizea.api.calls import Closing
from haizea.api.forms import LeaseFilter, LeaseForm, QueueFilter, check_draft
from haizea.api.interface import (
    ANYBODY,
    CHANGING,
    AnyToken,
    ChangingToken,
    Here,
    Interface,
    described,
    whose,
)
from haizea.api.problems import Refused, invalid_form, later, not_found
from haizea.api.settings import MOST_ID, PRINTABLE
from haizea.api.values import terms_tag
from haizea.api.views import decision_out, lease_out, lease_shown, lease_story, queue_entry
from haizea.core.model.lease import Draft
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.reasons import Code, because
from haizea.service_types import Decided, KeyReused, LeaseQuery

router = APIRouter()
LeaseId = Annotated[int, Path(ge=1, le=MOST_ID, description="The lease's number.")]

_JSON, _YAML, _XML = "application/json", "application/yaml", "application/xml"
_BYTES = "application/octet-stream"
#: Media types that are taken, with other names that they go by.
_MEDIA = {
    _JSON: _JSON,
    _YAML: _YAML,
    "application/x-yaml": _YAML,
    "text/yaml": _YAML,
    _XML: _XML,
    "text/xml": _XML,
}
_YAML_EXAMPLE = (
    "start: best-effort\nduration: 01:30:00\nnodes: {count: 2, CPU: 100, Memory: 1024}\n"
)
_XML_EXAMPLE = (
    '<lease preemptible="true"><nodes><node-set numnodes="2"><res type="CPU" amount="100"/>'
    '<res type="Memory" amount="1024"/></node-set></nodes><start/>'
    '<duration time="01:30:00"/></lease>'
)
_BODY_OF_FORM: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/LeaseForm"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: _BODY_OF_FORM,
            _YAML: {"schema": {"type": "string", "examples": [_YAML_EXAMPLE]}},
            _XML: {"schema": {"type": "string", "examples": [_XML_EXAMPLE]}},
        },
    }
}


_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "It is taken: `outcome` is `accepted` or `queued`.",
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "Address of the lease."}
        },
    },
    200: {
        "model": DecisionOut,
        "description": "It was asked for before with this `Idempotency-Key`: that lease as it is"
        " now.",
    },
    409: {"model": DecisionOut, "description": "It is rejected: see `reason` and `offer`."},
}
Key = Annotated[
    str | None,
    Header(
        alias="idempotency-key",
        min_length=1,
        max_length=200,
        pattern=PRINTABLE,
        description="Any text of your own on one line, new for each lease. Sent again with the"
        " same text, the request is not taken twice, whatever became of the first answer.",
    ),
]


@router.post(
    "/leases",
    status_code=201,
    response_model=DecisionOut,
    **described(
        "Ask for a lease", "leases", CHANGING, 408, 413, 415, also=_BODY, responses=_ANSWERS
    ),
)
async def ask_for_lease(
    request: Request, here: Here, token: ChangingToken, idempotency_key: Key = None
) -> Response:
    """The answer is the decision. It is kept when the answer comes, and so is the lease.

    The lease belongs to the owner of the token. The body is JSON, a YAML document or a
    `<lease>` element, as in workload files: there a start `HH:MM:SS` counts from now, and a time
    without a zone is the service's local time. Words that mean another moment each time, as
    `+00:30` does, are the same request when they are sent again with the same key.

    A `503` with the code `no-decision-yet` leaves open whether the lease was taken: send the
    request again with the same `Idempotency-Key`.
    """
    given = request.headers.get("content-type", _JSON).split(";")[0].strip().lower()
    media = _MEDIA.get(given)
    if media is None:
        raise Refused(
            415, "media-type", f"{given[:100]!a} is not taken; send {_JSON}, {_YAML} or {_XML}"
        )
    draft = await _draft(here, await request.body(), media, token.owner)
    return await _decide(here, draft, idempotency_key)


@router.post(
    "/leases/trial",
    response_model=DecisionOut,
    **described(
        "Try out a request",
        "leases",
        CHANGING,
        408,
        413,
        also={"requestBody": {"required": True, "content": {_JSON: _BODY_OF_FORM}}},
        responses={200: {"model": DecisionOut, "description": "What would come of it, now."}},
    ),
)
async def try_lease(request: Request, here: Here, token: ChangingToken) -> Response:
    """The answer is what `POST /v1/leases` would answer now; nothing is asked for.

    The lease in it has the number 0. It is worked out beside the schedule, without the transfer
    of disk images, and may be another one a moment later. A `503` with the code `busy` says that
    there is no time for it at present.
    """
    draft = await _draft(here, await request.body(), _JSON, token.owner)
    decided = await here.ask(here.manager.try_out, draft)
    return await here.answer(partial(decision_out, decided, here.manager.site))


@router.post(
    "/leases/document",
    status_code=201,
    response_model=DecisionOut,
    **described(
        "Ask for a lease with a document",
        "leases",
        CHANGING,
        408,
        413,
        also=_DOCUMENT,
        responses=_ANSWERS,
    ),
)
async def ask_with_document(
    request: Request, here: Here, token: ChangingToken, idempotency_key: Key = None
) -> Response:
    """Do as `POST /v1/leases` does with a YAML document or a `<lease>` element of any media type.

    It is for clients that are generated from this description: they send one kind of body alone
    by each operation.
    """
    body = await request.body()
    first = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    draft = await _draft(here, body, _XML if first == b"<" else _YAML, token.owner)
    return await _decide(here, draft, idempotency_key)


async def _decide(here: Interface, draft: Draft, key: str | None) -> Response:
    future = here.manager.submit(draft, key)
    try:
        decided = await here.decided(future)
    except (TimeoutError, Closing):
        raise later(
            "no-decision-yet",
            "there is no decision yet, and the lease may have been taken: send this again with"
            " the same Idempotency-Key, or look for it in the list of leases",
            seconds=5,
        ) from None
    except KeyReused as reused:
        raise Refused(
            422,
            "key-reused",
            f"this Idempotency-Key was used for another request, that of lease"
            f" {reused.lease_id}; use a new one",
            "Idempotency-Key",
        ) from None
    response = await here.answer(
        partial(decision_out, decided, here.manager.site), _decision_status(decided)
    )
    response.headers["Location"] = f"/v1/leases/{decided.record.id}"
    return response


async def _draft(here: Interface, body: bytes, media: str, owner: str) -> Draft:
    """The lease that a body asks for, which is the token's ``owner``'s whatever it says."""
    if media == _YAML and len(body) > here.settings.most_yaml_bytes:
        # It takes some 10 microseconds a byte to read, in which others have half a processor.
        raise Refused(
            413,
            "too-large",
            f"the body is too large: {here.settings.most_yaml_bytes} bytes are the most in YAML;"
            f" put equal nodes together with count, or send {_JSON}",
        )
    site = here.manager.site

    def read() -> Draft:
        if media == _JSON:
            draft = LeaseForm.model_validate_json(body).draft(here.manager.now())
        else:
            draft = here.parse_lease(body, media)
        check_draft(draft, site)
        return replace(draft, owner=owner)

    try:
        return await (here.read_yaml if media == _YAML else here.ask)(read)
    except ValidationError as wrong:
        raise invalid_form(wrong.errors(include_url=False, include_context=False)) from None
    except ValueError as wrong:
        raise Refused(422, "invalid", str(wrong)[:1000]) from None


def _decision_status(decided: Decided) -> int:
    if decided.record.state is State.REJECTED:
        return 409
    return 200 if decided.repeated else 201


@router.get(
    "/leases",
    response_model=LeaseList,
    **described("List leases", "leases", ANYBODY),
)
async def list_leases(
    here: Here, wanted: Annotated[LeaseFilter, Query()], token: AnyToken
) -> Response:
    """A page of leases, by number. A user is shown own leases; `owner` finds nobody else's."""
    own = whose(token)
    if own is not None and wanted.owner not in (None, own):
        return await here.answer(lambda: LeaseList(leases=[], next=None))
    query = wanted.query(FINAL, own if own is not None else wanted.owner)
    return await here.answer(partial(_page, here, query))


def _page(here: Interface, query: LeaseQuery) -> dict[str, Any]:
    """The fields of a :class:`LeaseList`: to make a model of each takes a third of the time."""
    found = here.manager.leases(query)
    page = found[: query.limit - 1]
    types = here.manager.site.types
    started = here.manager.first_runs([record.id for record in page])
    leases = [lease_shown(record, started.get(record.id), types) for record in page]
    return {"leases": leases, "next": page[-1].id if len(found) > len(page) else None}


@router.get(
    "/leases/{lease_id}",
    response_model=LeaseStory,
    **described("Show a lease", "leases", ANYBODY, 404),
)
async def show_lease(here: Here, lease_id: LeaseId, token: AnyToken) -> Response:
    """A lease with its story: its states with time and reason, its reservations, its hosts.

    `ETag` is of its terms: who changes it can say by `If-Match` which ones were seen.
    """
    record = await here.ask(here.lease_for, lease_id, token)

    def show() -> LeaseStory:
        manager = here.manager
        started = manager.first_runs([lease_id]).get(lease_id)
        return lease_story(record, started, manager.story(lease_id), manager.site)

    response = await here.answer(show)
    response.headers["ETag"] = terms_tag(record.request)
    return response


@router.delete(
    "/leases/{lease_id}",
    response_model=LeaseOut,
    **described("Cancel a lease", "leases", CHANGING, 404, 409),
)
async def cancel_lease(here: Here, lease_id: LeaseId, token: ChangingToken) -> Response:
    """Ends the lease now, whether it waits or runs. Cancelling it again changes nothing."""
    record = await here.ask(here.lease_for, lease_id, token)
    if not record.over:
        if token.owner == record.request.owner:
            reason = because(Code.CANCELLED_BY_OWNER)
        else:
            reason = because(Code.CANCELLED_BY_OPERATOR, owner=token.owner)
        future = here.manager.cancel(lease_id, reason)
        try:
            after = await here.decided(future)
        except (TimeoutError, Closing):
            raise later(
                "no-decision-yet", "it is not cancelled yet, but may be soon: send this again", 5
            ) from None
        if after is None:
            raise not_found(f"lease {lease_id}")
        record = after
    if record.state is not State.CANCELLED:
        raise Refused(409, "over", f"lease {lease_id} is over already: {record.state}")
    return await here.answer(partial(lease_out, record, here.manager.site.types))


@router.get(
    "/queue",
    response_model=QueueOut,
    **described("Show the queue", "leases", ANYBODY),
)
async def show_queue(
    here: Here, wanted: Annotated[QueueFilter, Query()], token: AnyToken
) -> Response:
    """Waiting leases with their places and expected starts. A user is shown own leases."""
    own = whose(token)

    def show() -> dict[str, Any]:
        part = here.manager.queue(wanted.after, wanted.limit + 1, own)
        page = part.places[: wanted.limit]
        return {
            "length": part.length,
            "queue": [queue_entry(place, here.manager.site.types) for place in page],
            "next": page[-1].place if len(part.places) > len(page) else None,
        }

    return await here.answer(show)
