"""Asks the service over HTTP, and says in words what keeps it from answering."""

from __future__ import annotations

import http.client
import json
import math
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from haizea import __version__
from haizea.cli.access import Server, Token
from haizea.cli.errors import WRONG_USE

#: An answer that is larger is not one of Haizea's.
MOST_ANSWER_BYTES = 64 << 20
#: Seconds until the service is tried again after it went away, one after another.
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
#: The longest that a service may have itself waited for before it is tried again.
_MOST_RETRY_SECONDS = 30.0

#: What stands after the question mark; what is ``None`` is left out, a sequence is repeated.
Query = Mapping[str, str | int | Sequence[str] | None]

#: The code where the service has not decided for so long that it answers that.
_NO_DECISION_YET = "no-decision-yet"


class ServiceProblem(click.ClickException):
    """The service does not do what was asked; in words. Exit status 1."""

    exit_code = 1
    #: The same in one word for programs, and the part of the request that is wrong, if it is one.
    code = "no-answer"
    field: str | None = None


class NotReached(ServiceProblem):
    """There is no answer. ``sent`` says whether the request may have arrived all the same."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Refusal(ServiceProblem):
    """The service answers that it will not: its HTTP status, and its word for why.

    ``sent`` says whether the request may be taken all the same: no decision was there in time.
    """

    def __init__(
        self, message: str, status: int, code: str, retry_after: float | None, field: str | None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.field = field
        self.sent = code == _NO_DECISION_YET


class WrongRequest(Refusal):
    """The service answers that what was asked makes no sense. Exit status 2."""

    exit_code = WRONG_USE


def error_of(wrong: click.ClickException) -> dict[str, str | None]:
    """Return what went wrong, for programs, in the shape in which the service answers errors.

    ``code`` is the service's, ``no-answer`` where it did not answer as expected, and
    ``wrong-use`` for what is wrong in the command itself.
    """
    told = next((e for e in (wrong, wrong.__cause__) if isinstance(e, ServiceProblem)), None)
    return {
        "code": "wrong-use" if told is None else told.code,
        "message": wrong.format_message(),
        "field": None if told is None else told.field,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Content that is sent with a request."""

    content: bytes
    media_type: str = "application/json"

    @staticmethod
    def of(value: object) -> Body:
        """``value`` as JSON."""
        return Body(content=json.dumps(value).encode())


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with the JSON object that it brings, if any, as ``body``.

    ``tag`` is its ``ETag``, where it has one.
    """

    status: int
    body: Any
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Asks one service, with one token. A connection is made for each request.

    ``timeout_seconds`` is how long it may take to connect, and from then on each time
    nothing is heard. Whatever keeps the answer from coming is a :class:`ServiceProblem`.
    """

    server: Server
    token: Token
    ca_file: Path | None = None
    timeout_seconds: float = 40.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def get(self, path: str, query: Query | None = None) -> Any:
        """Return what is at ``path``."""
        return self.ask("GET", path, query=query).body

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """One request. Beside success, the statuses in ``accept`` are answers.

        Where the service says that this owner asks too often, it is asked again a little later.
        """
        for pause in (*RETRY_SECONDS, None):
            with (
                closing(self.connect()) as connection,
                closing(self.send(connection, method, path, query, body, headers)) as response,
            ):
                content = self._read(response)
            if response.status in accept or 200 <= response.status < 300:
                found = self._json(response, content)
                return Answer(response.status, found, response.getheader("ETag"))
            refusal = self.refusal(response, content)
            if response.status != 429 or pause is None:
                raise refusal
            self.sleep(max(pause, _retry_after(response) or 0.0))
        raise AssertionError("the last try answers or raises")

    def ask_until_answered(
        self,
        method: str,
        path: str,
        *,
        body: Body,
        headers: Mapping[str, str],
        accept: tuple[int, ...] = (),
        waits: Callable[[str], None] = lambda reason: None,
    ) -> Answer:
        """Do :meth:`ask`, for what is safe to say again: a few times, if an answer gets lost.

        Where the service cannot be reached from the start, it is not waited for. ``waits``
        is told why there is a pause before the next try.
        """
        may_have_arrived = False
        for pause in (*RETRY_SECONDS, None):
            try:
                return self.ask(method, path, body=body, headers=headers, accept=accept)
            except NotReached as lost:
                may_have_arrived = may_have_arrived or lost.sent
                if pause is None or not may_have_arrived:
                    raise NotReached(lost.message, sent=may_have_arrived) from None
                waits(lost.message)
                self.sleep(pause)
            except Refusal as refusal:
                may_have_arrived = refusal.sent = may_have_arrived or refusal.sent
                if pause is None or refusal.status != 503:
                    raise
                waits(refusal.message)
                self.sleep(max(pause, refusal.retry_after or 0.0))
        raise AssertionError("the last try answers or raises")

    # --- one request, in parts ------------------------------------------------------------

    def connect(self, timeout_seconds: float | None = None) -> http.client.HTTPConnection:
        """A connection to the service."""
        timeout = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        host, port = self.server.host, self.server.port
        connection: http.client.HTTPConnection
        if self.server.scheme == "https":
            context = self._context()
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NotReached(self._unreached(error), sent=False) from None
        return connection

    def send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Query | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request, and wait for the head of its answer. ``path`` is as in a URL.

        Where the token is not known there, the request is sent once more with what the token
        names to be used otherwise; a password goes nowhere without encryption.
        """
        response = self._send(self.token, connection, method, path, query, body, headers)
        otherwise = self.token.otherwise
        if response.status != 401 or otherwise is None or not self._may_send(otherwise):
            return response
        with closing(response):
            self._read(response)
        return self._send(otherwise, connection, method, path, query, body, headers)

    def _may_send(self, token: Token) -> bool:
        return self.server.is_secure or not token.is_password

    def _send(
        self,
        token: Token,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Query | None,
        body: Body | None,
        headers: Mapping[str, str] | None,
    ) -> http.client.HTTPResponse:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self.server.base + path + (f"?{urlencode(given, doseq=True)}" if given else "")
        sent = {"Accept": "application/json", "User-Agent": f"haizea/{__version__}"}
        if token.authorization is not None:
            sent["Authorization"] = token.authorization
        if body is not None:
            sent["Content-Type"] = body.media_type
        sent.update(headers or {})
        try:
            connection.request(method, target, None if body is None else body.content, sent)
            return connection.getresponse()
        except (http.client.HTTPException, OSError) as error:
            raise NotReached(self._unanswered(error), sent=True) from None

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            content = response.read(MOST_ANSWER_BYTES + 1)
        except (http.client.HTTPException, OSError) as error:
            raise NotReached(self._unanswered(error), sent=True) from None
        if len(content) > MOST_ANSWER_BYTES:
            raise ServiceProblem(self._foreign("its answer is too large"))
        told = response.getheader("Content-Length") or ""
        if told.isdecimal() and len(content) < int(told):
            broken = http.client.IncompleteRead(content)
            raise NotReached(self._unanswered(broken), sent=True)
        return content

    def _json(self, response: http.client.HTTPResponse, content: bytes) -> Any:
        if not content:
            return None
        if not (response.getheader("Content-Type") or "").startswith("application/json"):
            raise ServiceProblem(self._foreign("its answer is not JSON"))
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            raise ServiceProblem(self._foreign("its answer is not JSON")) from None
        if not isinstance(body, dict):
            raise ServiceProblem(self._foreign("its answer is JSON of another kind"))
        return body

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            reason = error.strerror or "there is no certificate in it"
            raise ServiceProblem(
                f"{self.ca_file}: the certificates cannot be read: {reason.lower()}"
            ) from None

    # --- in words -------------------------------------------------------------------------

    def refusal(self, response: http.client.HTTPResponse, content: bytes) -> ServiceProblem:
        """Explain what a refusal means, and what to do about it."""
        try:
            told = json.loads(content)["error"]
            code, message, field = str(told["code"]), str(told["message"]), told.get("field")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return ServiceProblem(self._foreign(f"it answers with HTTP status {response.status}"))
        if response.status == 401:
            message = self._unknown_token()
        elif response.status == 403:
            message += f" (the token is from {self.token.source}; another: --token-file FILE)"
        kind = WrongRequest if code in ("invalid", "media-type") else Refusal
        return kind(message, response.status, code, _retry_after(response), field)

    def _unknown_token(self) -> str:
        if self.token.secret is None:
            return (
                f"the service at {self.server} needs a token, and there is none: looked for in"
                f" {self.token.source}. The service keeps its first one, which is an operator's,"
                " as 'token' in its state directory; with that, 'haizea token make' makes others."
            )
        if self.token.is_password:
            return (
                f"the service at {self.server} does not take the credentials in"
                f" {self.token.source}: OpenNebula does not know them, or the service is not that"
                " of an OpenNebula. Name another file with --one-auth, or a token's with"
                " --token-file."
            )
        also = ""
        if self.token.otherwise is not None and self._may_send(self.token.otherwise):
            also = f", nor the credentials in {self.token.otherwise.source}"
        return (
            f"the service at {self.server} does not take the token from"
            f" {self.token.source}{also}: it is"
            " of another service, expired or revoked. Name another file with --token-file, or ask"
            " an operator for a token ('haizea token make')."
        )

    def _unreached(self, error: OSError) -> str:
        where = "Say where it is with --server or HAIZEA_SERVER."
        match error:
            case ConnectionRefusedError():
                return (
                    f"no service runs at {self.server}: the connection was refused."
                    f" Start it with 'haizea -c FILE'. {where}"
                )
            case TimeoutError():
                return (
                    f"the service at {self.server} cannot be reached: no answer in"
                    f" {self.timeout_seconds:g} s. A firewall may be in the way. {where}"
                )
            case socket.gaierror():
                return f"there is no host called {self.server.host!r}. {where}"
            case ssl.SSLCertVerificationError():
                return (
                    f"the certificate of {self.server} is not trusted: {error.verify_message}."
                    " Name the authority's certificate with --ca-file or HAIZEA_CA_FILE."
                )
            case ssl.SSLError():
                return (
                    f"what answers at {self.server} does not speak TLS as Haizea does"
                    f" ({error.reason or error}). If it is a service without TLS, write"
                    f" --server http://{self.server.host}:{self.server.port}"
                )
            case _:
                reason = (error.strerror or str(error)).lower()
                return f"the service at {self.server} cannot be reached: {reason}. {where}"

    def _unanswered(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return (
                    f"the service at {self.server} took the request, but did not answer in"
                    f" {self.timeout_seconds:g} s. 'haizea status' shows how it is."
                )
            case http.client.RemoteDisconnected() | ConnectionError():
                return (
                    f"the connection to {self.server} was closed before an answer came: the"
                    " service may be ending, or it speaks TLS (then write https://)."
                )
            case http.client.IncompleteRead():
                return f"the connection to {self.server} broke off in the middle of an answer."
            case _:
                return self._foreign("its answer is not HTTP")

    def _foreign(self, what: str) -> str:
        return (
            f"what answers at {self.server} is not a Haizea service: {what}."
            " Say where the service is with --server or HAIZEA_SERVER."
        )


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    try:
        seconds = float(response.getheader("Retry-After") or "")
    except ValueError:
        return None
    return min(seconds, _MOST_RETRY_SECONDS) if math.isfinite(seconds) and seconds >= 0 else None
