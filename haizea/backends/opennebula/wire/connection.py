"""HTTP to one server: connections that are kept, time limits, bounded answers."""

from __future__ import annotations

import functools
import http.client
import io
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from haizea.backends.opennebula.model.errors import BadAnswer, OpenNebulaError, Unreachable
from haizea.backends.opennebula.wire.answers import AnswerReader, Value
from haizea.backends.opennebula.wire.listening import listeners, peer_here

_STEP = 1 << 16
#: OpenNebula's server closes a connection that was quiet for 15 seconds.
_STALE_SECONDS = 10.0
_MOST_IDLE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """Limits of a connection.

    ``connect_seconds`` to connect, ``silence_seconds`` between two pieces of an answer,
    ``answer_seconds`` from request to the end of the answer, its head included;
    ``largest_answer_bytes``
    for one answer; ``certificates`` a file of the authorities to trust with https, the
    system's where it is ``None``.
    """

    connect_seconds: float = 10.0
    silence_seconds: float = 60.0
    answer_seconds: float = 180.0
    largest_answer_bytes: int = 256 << 20
    certificates: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """The number of tries of a call, and the wait before the second; it doubles each time."""

    attempts: int = 4
    backoff_seconds: float = 0.5


class _Overdue(Exception):
    """An answer takes longer than it may."""


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline, also what comes in drops."""

    def __init__(self, sock: socket.socket, deadline: float, silence_seconds: float) -> None:
        self._sock = sock
        # As long as it is open, closing the connection leaves the socket to it.
        self._file = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._silence_seconds = silence_seconds

    def readable(self) -> bool:
        """Return True: this is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come. Raises :class:`_Overdue`, and TimeoutError where nothing comes."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _Overdue
        self._sock.settimeout(min(left, self._silence_seconds))
        try:
            return self._file.readinto(buffer)
        except TimeoutError:
            if left < self._silence_seconds:
                raise _Overdue from None
            raise

    def close(self) -> None:
        """Let the socket go."""
        self._file.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer of which all is read before a deadline, its head too."""

    def __init__(
        self,
        sock: socket.socket,
        *given: Any,
        deadline: float,
        silence_seconds: float,
        **named: Any,
    ) -> None:
        super().__init__(sock, *given, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock, deadline, silence_seconds))


class Connections:
    """Sends requests to one address, from any number of threads.

    Each request has a connection of its own while it lasts; afterwards the connection may
    be kept for the next one. Raises :class:`OpenNebulaError` where the address makes no sense.
    """

    def __init__(self, url: str, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._host, self._port, self._path, secure = _address(url)
        self._tls = _tls_context(settings.certificates) if secure else None
        self._lock = threading.Lock()
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        self._closed = False
        #: Since when no request was answered, by the steady clock; ``None``: none is missing.
        self._asked_at: float | None = None
        self._cut_at: float | None = None
        #: Who answers, if that is known to be on this machine and no proxy that speaks TLS.
        self._peer: tuple[str, int] | None = None
        self.name = f"{'https' if secure else 'http'}://{self._host}:{self._port}{self._path}"

    def exchange(self, body: bytes, *, fresh: bool) -> tuple[Value, ...]:
        """Post ``body`` and decode what comes back; ``fresh`` on a connection of its own.

        A kept connection may be closed by the server just when it is used, and then the
        request is sent again on a new one: what must not be sent twice wants a fresh one.
        Raises :class:`Unreachable` where no complete answer arrives, with ``maybe_done``
        as soon as the request may have been read; :class:`BadAnswer` and :class:`Fault`
        as :class:`AnswerReader` does.
        """
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        try:
            values = self._sent(body, fresh)
        except Unreachable:
            raise
        except OpenNebulaError:
            self._asked_at = None
            raise
        self._asked_at = None
        return values

    def silent_seconds(self) -> float:
        """Return for how long answers have been waited for and none came. From any thread."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def cut_at(self) -> float | None:
        """Return when the server was last found to have cut a connection before its time.

        By the steady clock. From any thread.
        """
        return self._cut_at

    def listeners(self) -> frozenset[str]:
        """Return who listens at the address, where that is to be known: others after a restart."""
        peer = self._peer
        return frozenset() if peer is None else listeners(peer)

    def _sent(self, body: bytes, fresh: bool) -> tuple[Value, ...]:
        """Send it, and return the answer; see :meth:`exchange`."""
        try:
            kept = None if fresh else self._kept()
            if kept is not None:
                try:
                    return self._used(kept, body, True)
                except ConnectionError:
                    self._was_cut()
            return self._used(self._connected(), body, not fresh)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ConnectionError | http.client.IncompleteRead):
                self._was_cut()
            raise Unreachable(self._told(error), maybe_done=True) from None

    def close(self) -> None:
        """Close what is idle; what is in use is closed when its answer has come."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _used(
        self, connection: http.client.HTTPConnection, body: bytes, keep: bool
    ) -> tuple[Value, ...]:
        """The values of the answer; afterwards the connection is kept or closed."""
        again = False
        try:
            values, again = self._answered(connection, body)
            return values
        finally:
            self._give_back(connection, keep and again)

    def _answered(
        self, connection: http.client.HTTPConnection, body: bytes
    ) -> tuple[tuple[Value, ...], bool]:
        """The values, and whether the connection can be used again."""
        limits = self._settings
        connection.response_class = functools.partial(  # type: ignore[assignment]
            _TimedResponse,
            deadline=time.monotonic() + limits.answer_seconds,
            silence_seconds=limits.silence_seconds,
        )
        try:
            return self._exchanged(connection, body)
        except _Overdue:
            raise Unreachable(
                f"{self.name}: the answer takes longer than {limits.answer_seconds:g} s",
                maybe_done=True,
            ) from None

    def _exchanged(
        self, connection: http.client.HTTPConnection, body: bytes
    ) -> tuple[tuple[Value, ...], bool]:
        """See :meth:`_answered`; raises :class:`_Overdue`, too."""
        # The last answer may have left less.
        connection.sock.settimeout(self._settings.silence_seconds)
        connection.request("POST", self._path, body, {"Content-Type": "text/xml"})
        response = connection.getresponse()
        try:
            values = self._read(response)
            return values, not response.will_close
        finally:
            # Whoever is told of an error may keep it for a while, and the answer with it.
            response.close()

    def _read(self, response: http.client.HTTPResponse) -> tuple[Value, ...]:
        if response.status >= 500:
            raise Unreachable(
                f"{self.name} answers {response.status} {response.reason[:80]}", maybe_done=True
            )
        if response.status != 200:
            raise BadAnswer(
                f"{self.name} answers {response.status} {response.reason[:80]}:"
                " is this the XML-RPC address of OpenNebula?"
            )
        reader = AnswerReader(self._settings.largest_answer_bytes)
        left = response.length
        reader.expect(left or 0)
        while left != 0 and (piece := response.read1(_STEP if left is None else min(left, _STEP))):
            reader.feed(piece)
            left = None if left is None else left - len(piece)
        if left:
            raise http.client.IncompleteRead(b"", left)
        return reader.finish()

    def _kept(self) -> http.client.HTTPConnection | None:
        """One that was used lately and that the server did not close, if there is one."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            stale = time.monotonic() - since >= _STALE_SECONDS
            if not stale and not _was_closed(connection):
                return connection
            connection.close()
            # With TLS there may be something to read that is no answer.
            if not stale and self._tls is None:
                self._was_cut()

    def _was_cut(self) -> None:
        """The server ended a connection that it had not said it would, nor was quiet for long.

        One that is started anew has cut all of them.
        """
        self._cut_at = time.monotonic()
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        """A new one. Raises :class:`Unreachable`, with nothing sent."""
        if self._closed:
            raise Unreachable(f"{self.name}: the client was closed")
        limit = self._settings.connect_seconds
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=limit)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=limit, context=self._tls
            )
        try:
            connection.connect()
            connection.sock.settimeout(self._settings.silence_seconds)
            self._peer = peer_here(connection.sock) if self._tls is None else None
        except OSError as error:
            connection.close()
            gone = isinstance(error, ConnectionRefusedError)
            raise Unreachable(self._told(error), nobody_listens=gone) from None
        return connection

    def _give_back(self, connection: http.client.HTTPConnection, keep: bool) -> None:
        now = time.monotonic()
        with self._lock:
            keep = keep and not self._closed and len(self._idle) < _MOST_IDLE
            if keep:
                self._idle.append((connection, now))
            # The oldest are in front.
            old = [one for one in self._idle if now - one[1] > _STALE_SECONDS]
            del self._idle[: len(old)]
        for stale, _ in old:
            stale.close()
        if not keep:
            connection.close()

    def _told(self, error: Exception) -> str:
        match error:
            case ssl.SSLCertVerificationError():
                why = f"its certificate is not accepted ({error.verify_message})"
            case TimeoutError():
                why = "no answer in time"
            case ConnectionRefusedError():
                why = "connection refused; is oned running, and is this its port?"
            case http.client.RemoteDisconnected():
                why = "the connection was closed without an answer"
            case http.client.IncompleteRead():
                why = "the answer was cut off"
            case http.client.HTTPException():
                why = f"the answer is not HTTP ({type(error).__name__})"
            case OSError():
                why = error.strerror or type(error).__name__
            case _:
                why = type(error).__name__
        return f"{self.name}: {why}"


def _address(url: str) -> tuple[str, int, str, bool]:
    right = "write one such as http://localhost:2633/RPC2"
    try:
        parts = urlsplit(url)
        port = parts.port or 2633
    except ValueError:
        raise OpenNebulaError(f"the address of OpenNebula makes no sense: {right}") from None
    if parts.username is not None or parts.password is not None:
        raise OpenNebulaError(f"the address of OpenNebula has credentials in it: {right}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OpenNebulaError(f"{url!r} is not an address of OpenNebula: {right}")
    return parts.hostname, port, parts.path or "/RPC2", parts.scheme == "https"


def _tls_context(certificates: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:
        why = error.strerror or "it is not a file of certificates"
        raise OpenNebulaError(f"the file of authorities {certificates}: {why}") from None


def _was_closed(connection: http.client.HTTPConnection) -> bool:
    """Tell whether the server closed the connection, or sent what nobody asked for."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
