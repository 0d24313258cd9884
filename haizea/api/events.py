"""The stream of events: server-sent events that can be taken up where they broke off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from haizea.api.forms import EventsFilter
from haizea.api.interface import (
    ANYBODY,
    AnyToken,
    Here,
    Interface,
    described,
    secret_of,
    whose,
)
from haizea.api.manager import Unavailable
from haizea.api.problems import Refused
from haizea.api.settings import MOST_ID
from haizea.service_types import TokenInfo

router = APIRouter()
MEDIA_TYPE = "text/event-stream"
_ENTRY = {
    "type": "object",
    "description": "One entry of the stream.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/EventOut"},
        },
    },
}
#: So many events are read at once; no more are ever in memory for a stream.
_PAGE = 100


@router.get(
    "/events",
    response_class=StreamingResponse,
    **described(
        "Follow what happens",
        "events",
        ANYBODY,
        404,
        409,
        responses={
            200: {
                "description": "The stream. Each `data` is an event as the schema EventOut says.",
                "content": {MEDIA_TYPE: {"schema": _ENTRY}},
            },
        },
    ),
)
async def follow_events(
    request: Request,
    here: Here,
    wanted: Annotated[EventsFilter, Query()],
    token: AnyToken,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{0,15}$",
            description="The last `id` that was seen, or nothing if there is none; `after` goes"
            " first.",
        ),
    ] = None,
) -> StreamingResponse:
    """Server-sent events: each has an `id`, its kind as `event`, and JSON as `data`.

    A user is told of own leases. Go on after a break with the header `Last-Event-ID`; no
    event is left out or told twice. An `id` to go on from comes at the beginning, and with a
    comment every 15 s when nothing happens. The stream ends when the service ends, and at once
    when the token is revoked or expires.
    """
    last = here.manager.last_event_id()
    after = wanted.after
    if after is None:
        after = min(int(last_event_id), MOST_ID) if last_event_id else last
    if after > last:
        raise Refused(
            409, "unknown-event", f"there is no event {after}; the last one is {last}", "after"
        )
    if wanted.lease is not None:
        await here.ask(here.lease_for, wanted.lease, token)
    stream = _Stream(here, secret_of(request), token, after, wanted.lease)
    return _Streaming(stream, wanted.follow)


class _Streaming(StreamingResponse):
    """The answer with a stream, which counts among those that are open while it is sent."""

    def __init__(self, stream: _Stream, follow: bool) -> None:
        super().__init__(stream.texts(follow), media_type=MEDIA_TYPE)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._stream.counted():
            await super().__call__(scope, receive, send)


class _Stream:
    """One client's stream. It holds one page of events at most, and is never waited for."""

    def __init__(
        self, here: Interface, secret: str, token: TokenInfo, after: int, lease: int | None
    ) -> None:
        self._here = here
        self._secret = secret
        self._token = token
        self._after = after
        self._lease = lease
        self._owner = whose(token)
        self._checked = time.monotonic()
        self._revocations = here.bells.revocations

    def counted(self) -> AbstractContextManager[None]:
        """Meanwhile it is open. Raises :class:`Refused` if too many are."""
        return self._here.shares.stream(self._token)

    async def texts(self, follow: bool) -> AsyncGenerator[str, None]:
        """The stream's text, in pieces."""
        here = self._here
        try:
            with here.bells.bell() as bell:
                # The id to go on from is known before there is any event.
                yield f"retry: 3000\nid: {self._after}\n\n"
                async with aclosing(self._pages(bell, follow)) as pages:
                    async for text in pages:
                        yield text
        except Unavailable:
            # Whoever follows comes again with the last id, and finds nothing missing.
            yield ": the service cannot read events at present\n\n"

    async def _pages(self, bell: asyncio.Event, follow: bool) -> AsyncGenerator[str, None]:
        here = self._here
        while not here.closing.is_set() and await self._allowed():
            bell.clear()
            page = await self._page()
            if page:
                yield page
                continue
            if not follow:
                return
            if not await self._rung(bell):
                yield f": nothing new\nid: {self._after}\n\n"
            else:
                await asyncio.sleep(here.settings.stream_pause_seconds)

    async def _page(self) -> str:
        """The next events as text; empty when there are none yet."""
        lines, self._after = await self._here.feed.after(
            self._after, _PAGE, self._lease, self._owner
        )
        return "".join([line.text for line in lines])

    async def _rung(self, bell: asyncio.Event) -> bool:
        """Wait for the next turn, or the end; false when it is time for a sign of life."""
        try:
            async with asyncio.timeout(self._patience_seconds()):
                await bell.wait()
        except TimeoutError:
            return False
        return True

    def _patience_seconds(self) -> float:
        """Seconds to wait for news: until the next sign of life, or the end of the token."""
        heartbeat, expires = self._here.settings.heartbeat_seconds, self._token.expires
        return heartbeat if expires is None else min(heartbeat, max(0.0, expires - time.time()))

    async def _allowed(self) -> bool:
        """Tell whether the token is still good; looked up now and then, and if one was revoked."""
        here, expires = self._here, self._token.expires
        if expires is not None and expires <= time.time():
            return False
        recent = time.monotonic() - self._checked < here.settings.heartbeat_seconds
        if recent and self._revocations == here.bells.revocations:
            return True
        self._checked, self._revocations = time.monotonic(), here.bells.revocations
        return await here.identities.identify(self._secret) is not None
