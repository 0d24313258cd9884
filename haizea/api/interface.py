"""Parts that all routes share: the manager, bounds, threads, and who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from pydantic import BaseModel, TypeAdapter

from haizea.api.bells import Bells
from haizea.api.calls import Calls, T, settled
from haizea.api.feed import Feed
from haizea.api.guard import SECRET, TOKEN
from haizea.api.identities import Identities
from haizea.api.manager import Manager, Unavailable
from haizea.api.metrics import Meters
from haizea.api.problems import ErrorBody, Refused, not_found
from haizea.api.sessions import Attempts, Sessions
from haizea.api.settings import ApiSettings, ParseLease
from haizea.api.shares import Shares
from haizea.api.telling import Telling
from haizea.api.timelines import Timelines
from haizea.core.model.records import LeaseRecord
from haizea.service_types import Role, TokenInfo

#: The roles that may do something: ask; change leases; see figures about everything; do all.
ANYBODY = (Role.USER, Role.OPERATOR, Role.READER)
CHANGING = (Role.USER, Role.OPERATOR)
WATCHING = (Role.OPERATOR, Role.READER)
OPERATING = (Role.OPERATOR,)
_PREPARE_SECONDS = 5
_ANSWER = TypeAdapter[Any](Any)
_WHO = {Role.USER: "a user", Role.OPERATOR: "an operator", Role.READER: "a reader"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One HTTP interface. ``closing`` is set when the service begins to end."""

    manager: Manager
    settings: ApiSettings
    parse_lease: ParseLease
    ask: Calls
    read_yaml: Calls
    stream: Calls
    feed: Feed
    timelines: Timelines
    telling: Telling
    identities: Identities
    sessions: Sessions
    shares: Shares
    meters: Meters = field(default_factory=Meters)
    bells: Bells = field(default_factory=Bells)
    attempts: Attempts = field(default_factory=Attempts)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(
        self, make: Callable[[], BaseModel | Mapping[str, Any]], status: int = 200
    ) -> Response:
        """Answer with what ``make`` makes, a model or its fields, as JSON.

        Neither is done in the event loop's thread.
        """
        body = await self.ask(lambda: _ANSWER.dump_json(make()))
        return Response(body, status_code=status, media_type="application/json")

    async def decided(self, future: Future[T]) -> T:
        """Wait for a decision, as :func:`settled` does, but not for a store that is away."""
        return await settled(
            future,
            self.settings.decision_seconds,
            self.closing,
            lambda: not self.manager.healthy(),
        )

    async def prepare_timelines(self) -> None:
        """After turns, have what is new be written for the timeline before somebody looks.

        For many thousand leases that takes longer than whoever opens a page should wait.
        """
        with self.bells.bell() as bell:
            while not self.closing.is_set():
                bell.clear()
                with suppress(Unavailable):
                    await self.stream(self.timelines.prepare, self.manager)
                await bell.wait()
                await asyncio.sleep(_PREPARE_SECONDS)

    def lease_for(self, lease_id: int, token: TokenInfo) -> LeaseRecord:
        """A lease that the token's bearer may see.

        Raises :class:`Refused` for one that there is not, and just so for another's.
        """
        record = self.manager.lease(lease_id)
        owner = whose(token)
        if record is None or owner not in (None, record.request.owner):
            raise not_found(f"lease {lease_id}")
        return record


def whose(token: TokenInfo) -> str | None:
    """The owner whose leases the token's bearer may see; ``None`` for everybody's."""
    return token.owner if token.role is Role.USER else None


def interface_of(request: Request) -> Interface:
    """The interface that a request came to."""
    return cast(Interface, request.app.state.interface)


def secret_of(request: Request) -> str:
    """The secret that came with a request."""
    return cast(str, request.scope[SECRET])


def bearer(*roles: Role) -> Any:
    """A dependency: the token of a request, refused with 403 if its role is none of these."""

    async def allowed(request: Request) -> TokenInfo:
        token = cast(TokenInfo, request.scope[TOKEN])
        if token.role not in roles:
            wanted = " or ".join(_WHO[role] for role in roles)
            raise Refused(
                403, "forbidden", f"this is for {wanted}; the token is that of {_WHO[token.role]}"
            )
        return token

    return Depends(allowed)


AnyToken = Annotated[TokenInfo, bearer(*ANYBODY)]
ChangingToken = Annotated[TokenInfo, bearer(*CHANGING)]
WatchingToken = Annotated[TokenInfo, bearer(*WATCHING)]
OperatorToken = Annotated[TokenInfo, bearer(*OPERATING)]
Here = Annotated[Interface, Depends(interface_of)]


_MEANINGS = {
    401: "No good token. The answer is the same whatever is wrong with it.",
    403: "The token's role does not allow this.",
    404: "There is no such thing, or it belongs to somebody else.",
    408: "The body did not come in time.",
    409: "This cannot be done as things are.",
    412: "It was changed by somebody else: nothing of this has changed.",
    413: "The body is too large.",
    415: "The body has a media type that is not taken.",
    422: "Something in the request is wrong; the message says what.",
    429: "More than one owner's share. Try again after `Retry-After` seconds.",
    503: "Not now. Try again after `Retry-After` seconds.",
}


def described(
    summary: str,
    tag: str,
    roles: tuple[Role, ...],
    *statuses: int,
    responses: Mapping[int | str, Mapping[str, Any]] = MappingProxyType({}),
    also: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what a route says of itself in the OpenAPI description.

    ``statuses`` are those of errors that it may answer with, beside those that all routes
    have in common; ``responses`` its other answers, where they need words; ``also`` is put
    into the description as it is.
    """
    errors = {
        status: {"model": ErrorBody, "description": _MEANINGS[status]}
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }
    return {
        "summary": summary,
        "tags": [tag],
        "responses": {**errors, **responses},
        "openapi_extra": {"x-roles": [role.value for role in roles], **also},
    }
