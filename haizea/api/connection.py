"""One client's connection: uvicorn's, with an end for those who keep it and do nothing.

uvicorn bounds the head of a request and how long a connection rests after an answer. It does not
bound how long a client may take to send a head, nor how long to take in an answer, nor how many
are connected; this does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from haizea.api.problems import Refused
from haizea.api.settings import ApiSettings

_UNREADABLE = Refused(
    400, "not-http", "this is no request in HTTP/1.1, or its head is too large; the connection ends"
)


def protocol_for(settings: ApiSettings) -> type[H11Protocol]:
    """The protocol of connections that keep to these bounds."""

    class Connection(H11Protocol):
        """A connection that is looked at every few seconds."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport), "it is a stream's"
            super().connection_made(transport)
            self._idle_since = self._ready_since = self.loop.time()
            self._every_seconds = min(settings.request_seconds, settings.stalled_seconds) / 4
            self._look_again: asyncio.TimerHandle | None = None
            self._seen: Any = None
            if len(self.connections) > settings.most_connections:
                transport.abort()
                return
            self._writing_stopped = False
            self._look_again = self.loop.call_later(self._every_seconds, self._look)

        def connection_lost(self, exc: Exception | None) -> None:
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
            cycle: Any = self.cycle
            # A request is under way, or came and was answered since the last look.
            if cycle is not self._seen or (cycle is not None and not cycle.response_complete):
                self._idle_since = now
            self._seen = cycle
            if not (self._writing_stopped or self.transport.is_closing()):
                self._ready_since = now
            idle_too_long = now - self._idle_since > settings.request_seconds
            stalled = now - self._ready_since > settings.stalled_seconds
            if idle_too_long or stalled:
                self.transport.abort()
                return
            self._look_again = self.loop.call_later(self._every_seconds, self._look)

    return Connection


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
