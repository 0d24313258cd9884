"""Checks before every route: who asks, how much, and for how long.

A request is looked at in this order: does it show a good token, is there room for it and is it
within its owner's share, does its body come in time and within bounds. Only then does a route
see it, so that whoever has no token learns nothing, not even which routes there are.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from haizea.api.calls import ASKING
from haizea.api.connection import CONNECTION
from haizea.api.identities import BY_SESSION, Identities
from haizea.api.manager import Unavailable
from haizea.api.metrics import Meters
from haizea.api.problems import Refused, later, unauthorized
from haizea.api.sessions import csrf_of
from haizea.api.settings import ApiSettings
from haizea.api.shares import Shares
from haizea.service_types import Role, TokenInfo

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Where the token of a request and its secret are kept in its scope.
TOKEN = "haizea.token"
SECRET = "haizea.secret"

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_logger = logging.getLogger("haizea.api")


class Guard:
    """Middleware around all routes. Those for which ``is_open`` says so, by method and path, need
    no token."""

    def __init__(
        self,
        app: App,
        settings: ApiSettings,
        identities: Identities,
        meters: Meters,
        shares: Shares,
        is_open: Callable[[str, str], bool],
    ) -> None:
        self._app = app
        self._settings = settings
        self._identities = identities
        self._meters = meters
        self._shares = shares
        self._unknown = 0
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        began = time.monotonic()
        self._meters.under_way += 1
        try:
            await self._pass_on(scope, receive, answer)
        except Refused as refused:
            await answer.refuse(refused)
        except Exception:
            _logger.exception("a request failed: %s %a", scope["method"], scope["path"])
            await answer.refuse(
                Refused(500, "internal", "this failed; the service's log says more")
            )
        finally:
            self._meters.under_way -= 1
            self._meters.answered(scope["method"], answer.status)
            _log(scope, answer.status, time.monotonic() - began)

    async def _pass_on(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if self._is_open(scope["method"], scope["path"]):
            await self._take(scope, receive, answer)
            return
        token = await self._identify(scope)
        with self._shares.request(token):
            # What is asked in threads on its behalf counts as this owner's.
            asking = ASKING.set(token.owner if token.role is not Role.OPERATOR else "")
            try:
                await self._take(scope, receive, answer)
            finally:
                ASKING.reset(asking)

    async def _take(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if scope["method"] == "POST":
            receive = await self._whole_body(scope, receive)
        elif scope["method"] == "HEAD":
            # As GET, of which the connection sends the head alone.
            await self._app({**scope, "method": "GET"}, answer.begun, answer)
            await answer.finish()
            return
        await self._app(scope, receive, answer)

    async def _identify(self, scope: Scope) -> TokenInfo:
        """Return the token that the request is from, which its scope has from then on."""
        secret = self._identities.shown(scope)
        if secret is None:
            raise unauthorized()
        if self._unknown >= self._settings.most_unknown_requests:
            raise later("busy", "too many requests come at once; try again in a moment")
        self._unknown += 1
        try:
            token = await self._identities.identify(secret)
        except Unavailable:
            # Nobody can be told who has a token from who has none, so nothing is said.
            words = (
                "the service cannot tell who asks at present: where it keeps tokens, or the"
                " OpenNebula that knows the credentials, does not answer"
            )
            raise later("unavailable", words) from None
        finally:
            self._unknown -= 1
        if token is None:
            raise unauthorized()
        if secret.startswith(BY_SESSION):
            _check_own_page(scope, secret)
        scope[TOKEN], scope[SECRET] = token, secret
        connection = scope.get("state", {}).get(CONNECTION)
        if connection is not None:
            connection.shown(token)
        return token

    async def _whole_body(self, scope: Scope, receive: Receive) -> Receive:
        """Take in the whole body; the answer gives it out again."""
        most, seconds = self._settings.most_body_bytes, self._settings.body_seconds
        too_large = Refused(
            413, "too-large", f"the body is too large: {most} bytes are the most", headers=_CLOSE
        )
        if _announced(scope) > most:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        # The client is gone; there is nobody to answer.
                        raise Refused(400, "incomplete", "the body is not complete")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise Refused(
                408, "too-slow", f"the body did not come within {seconds:g} s", headers=_CLOSE
            ) from None
        return _given_out(bytes(body), receive)


_CLOSE = {"Connection": "close"}


def _check_own_page(scope: Scope, shown: str) -> None:
    """Raise :class:`Refused` for a change that a page of ours did not send.

    A browser sends cookies along with requests of which the user knows nothing.
    """
    if scope["method"] in {"GET", "HEAD"}:
        return
    wanted = csrf_of(shown.removeprefix(BY_SESSION)).encode()
    told = [value for name, value in scope["headers"] if name == b"x-csrf-token"]
    if len(told) != 1 or not hmac.compare_digest(told[0], wanted):
        raise Refused(
            403, "csrf", "this changes something: send the session's csrf as X-CSRF-Token"
        )


class _Answer:
    """Sends an answer, with the headers that all have, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = asyncio.Event()
        self._complete = False
        self.status = 0

    async def begun(self) -> Message:
        """Say that the client is gone once the head of the answer is sent: it wants no more."""
        await self._begun.wait()
        return {"type": "http.disconnect"}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            given = {name.lower() for name, _ in headers}
            headers += [pair for pair in (*_HEADERS, _POLICY) if pair[0] not in given]
            message = {**message, "headers": headers}
        else:
            self._complete = not message.get("more_body", False)
        await self._send(message)
        self._begun.set()

    async def finish(self) -> None:
        """End an answer of which no more is wanted, a stream's."""
        if not self._complete:
            await self({"type": "http.response.body", "body": b""})

    async def refuse(self, refused: Refused) -> None:
        """Answer with an error, unless an answer has begun."""
        if self.status:
            return
        body = refused.body()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in refused.headers.items()),
        ]
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _announced(scope: Scope) -> int:
    """The length that the client says the body has; 0 if it says nothing of use."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _given_out(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that has the body first and then what the connection has."""
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return rest.pop() if rest else await receive()

    return give


def _log(scope: Scope, status: int, seconds: float) -> None:
    # Neither headers nor the query: somebody may have put a secret there.
    if not _logger.isEnabledFor(logging.DEBUG):
        return
    token: TokenInfo | None = scope.get(TOKEN)
    _logger.debug(
        "%s %a: %d in %.0f ms (token %s)",
        scope["method"],
        scope["path"][:200],
        status,
        seconds * 1000,
        token.name if token is not None else "none",
    )
