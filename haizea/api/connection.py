"""One client's connection: uvicorn's, with an end for those who keep it and do nothing.

uvicorn bounds how long a connection rests after an answer, and the head of a request where it
comes in pieces. It does not bound a head that comes in one piece, how long a client may take to
send one, nor how long to take in an answer, nor how many are connected; this does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from haizea.api.crowd import Crowd
from haizea.api.problems import Refused
from haizea.api.settings import ApiSettings
from haizea.service_types import TokenInfo

_UNREADABLE = Refused(
    400,
    "not-http",
    "this is not a request in HTTP/1.1, or its head is too large; the connection ends",
)

#: Where a request's scope has, in its state, the connection that it came on.
CONNECTION = "haizea.connection"


class _Reader(h11.Connection):
    """Reads requests, and takes none that is too large or that says twice where it ends."""

    def __init__(self, most_head_bytes: int) -> None:
        super().__init__(h11.SERVER, most_head_bytes)
        self._most_head_bytes = most_head_bytes

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._check(event)
        return event

    def _check(self, request: h11.Request) -> None:
        """Raise :class:`h11.RemoteProtocolError` for a head that is not taken."""
        size = len(request.method) + len(request.target) + len(b"  HTTP/1.1\r\n\r\n")
        names = set()
        for name, value in request.headers:
            size += len(name) + len(value) + len(b": \r\n")
            names.add(name)
        if size > self._most_head_bytes:
            raise h11.RemoteProtocolError("the head is too large")
        if {b"content-length", b"transfer-encoding"} <= names:
            # A proxy may take the one for the end of the request, and we the other.
            raise h11.RemoteProtocolError("two headers say where the body ends")


class _Connection(H11Protocol):
    """A connection that is looked at every few seconds; each server has a class of its own."""

    settings: ApiSettings
    crowd: Crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "it is a stream's"
        super().connection_made(transport)
        self.conn = _Reader(self.settings.most_head_bytes)
        self.app_state = {**self.app_state, CONNECTION: self}
        self._idle_since = self._ready_since = self.loop.time()
        self._every_seconds = min(self.settings.request_seconds, self.settings.stalled_seconds) / 4
        self._look_again: asyncio.TimerHandle | None = None
        self._seen: Any = None
        self._writing_stopped = False
        self._look_again = self.loop.call_later(self._every_seconds, self._look)
        self.crowd.join(self)

    @property
    def address(self) -> str:
        """The address of the other side."""
        return self.client[0] if self.client is not None else ""

    @property
    def busy(self) -> bool:
        """True if a request is under way."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def end(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def shown(self, token: TokenInfo) -> None:
        """A good token was shown on it."""
        self.crowd.shown(self, token)

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.leave(self)
        if self._look_again is not None:
            self._look_again.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._writing_stopped = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._writing_stopped = False
        super().resume_writing()

    def send_400_response(self, message: str) -> None:
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_unreadable(self.conn))
            self.transport.close()
        else:
            self.transport.abort()  # an answer is under way: no place for another

    def _look(self) -> None:
        now = self.loop.time()
        # A request is under way, or came and was answered since the last look.
        if self.cycle is not self._seen or self.busy:
            self._idle_since = now
        self._seen = self.cycle
        if not (self._writing_stopped or self.transport.is_closing()):
            self._ready_since = now
        idle_too_long = now - self._idle_since > self.settings.request_seconds
        stalled = now - self._ready_since > self.settings.stalled_seconds
        if idle_too_long or stalled:
            self.transport.abort()
            return
        self._look_again = self.loop.call_later(self._every_seconds, self._look)


def protocol_for(settings: ApiSettings) -> type[H11Protocol]:
    """The protocol of a server's connections, which keep to these bounds."""
    return type("Connection", (_Connection,), {"settings": settings, "crowd": Crowd(settings)})


def _unreadable(connection: h11.Connection) -> bytes:
    """The answer to what is no request."""
    body = _UNREADABLE.body()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "connection": "close",
    }
    head = h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request")
    parts = (head, h11.Data(data=body), h11.EndOfMessage())
    return b"".join(connection.send(part) or b"" for part in parts)
