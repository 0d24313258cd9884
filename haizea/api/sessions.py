"""Sessions of browsers: a cookie in the place of a token, for some hours.

A browser shows a token or a password once and gets a cookie that no script can read. What is
kept of a session is a digest of the cookie and whose it is, so that sessions outlive a restart
and nobody who reads what is kept can use one. A request that changes something shows the
session's second secret as well, which another site's page cannot know.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from haizea.api.manager import Manager, Unavailable
from haizea.service_types import Role, TokenInfo

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session: ``token`` is that of who signed in, ``id`` 0 for one who did by password.

    ``digest`` is of the cookie's secret; ``expires`` is in seconds since the epoch.
    """

    digest: str
    token: TokenInfo
    expires: int


class Sessions:
    """All sessions of a service; any thread may use it.

    ``seconds`` is how long one is good, ``most`` how many there are, ``most_own`` how many
    one owner has: the oldest go first.
    """

    def __init__(
        self,
        manager: Manager,
        seconds: int,
        most: int = 1000,
        most_own: int = 20,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._manager = manager
        self._seconds = seconds
        self._most = most
        self._most_own = most_own
        self._now = now
        self._lock = threading.Lock()
        #: By digest, the oldest first; ``None`` until they were read.
        self._sessions: dict[str, Session] | None = None

    def begin(self, token: TokenInfo) -> tuple[str, Session]:
        """A new session of who has shown this token: the cookie's secret, and the session.

        Raises :class:`haizea.api.manager.Unavailable` where it cannot be kept.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        expires = int(self._now()) + self._seconds
        if token.expires is not None:
            expires = min(expires, token.expires)
        session = Session(digest=_digest(secret), token=token, expires=expires)
        with self._lock:
            known = self._known()
            self._make_room(known, token.owner)
            known[session.digest] = session
            try:
                self._keep(known)
            except Unavailable:
                del known[session.digest]
                raise
        return secret, session

    def find(self, secret: str) -> TokenInfo | None:
        """The token of the session with this secret, ``None`` if it is not good any more.

        Its ``expires`` is the session's. Raises :class:`haizea.api.manager.Unavailable` where
        that cannot be found out now.
        """
        with self._lock:
            session = self._known().get(_digest(secret))
        if session is None or session.expires <= self._now():
            return None
        token = session.token
        if token.id:
            found = self._manager.token(token.id)
            if found is None:
                return None
            token = found
        return replace(token, expires=session.expires)

    def end(self, secret: str) -> None:
        """End the session with this secret, if there is one."""
        with self._lock:
            known = self._known()
            if known.pop(_digest(secret), None) is not None:
                self._keep(known)

    def _make_room(self, known: dict[str, Session], owner: str) -> None:
        for digest in [d for d, session in known.items() if session.expires <= self._now()]:
            del known[digest]
        own = [digest for digest, session in known.items() if session.token.owner == owner]
        for digest in own[: max(0, len(own) - self._most_own + 1)]:
            del known[digest]
        for digest in list(known)[: max(0, len(known) - self._most + 1)]:
            del known[digest]

    def _known(self) -> dict[str, Session]:
        if self._sessions is None:
            self._sessions = _read(self._manager.kept_sessions())
        return self._sessions

    def _keep(self, known: dict[str, Session]) -> None:
        rows = [
            [s.digest, s.token.id, s.token.name, s.token.role, s.token.owner, s.expires]
            for s in known.values()
        ]
        self._manager.keep_sessions(json.dumps(rows))


def csrf_of(secret: str) -> str:
    """The second secret of a session, which its page shows and its cookie does not have."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def _read(kept: str | None) -> dict[str, Session]:
    sessions = (
        Session(
            digest=digest,
            token=TokenInfo(id=number, name=name, role=Role(role), owner=owner, created=0),
            expires=expires,
        )
        for digest, number, name, role, owner, expires in json.loads(kept or "[]")
    )
    return {session.digest: session for session in sessions}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class Attempts:
    """Wrong attempts to sign in, by the address that they come from.

    After ``most`` of them in ``per_seconds``, nothing more from there is looked at for a while.
    At most ``most_addresses`` are remembered.
    """

    def __init__(
        self,
        most: int = 10,
        per_seconds: float = 60.0,
        most_addresses: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._per_seconds = per_seconds
        self._most_addresses = most_addresses
        self._clock = clock
        self._wrong: dict[str, list[float]] = {}

    def wait_seconds(self, address: str) -> float:
        """Seconds until something from this address is looked at; 0 if it is now."""
        wrong = self._recent(address)
        return wrong[-self._most] + self._per_seconds - self._clock() if self._full(wrong) else 0.0

    def note_wrong(self, address: str) -> None:
        """Take notice of a wrong attempt."""
        wrong = [*self._recent(address), self._clock()]
        self._wrong.pop(address, None)
        self._wrong[address] = wrong[-self._most :]
        if len(self._wrong) > self._most_addresses:
            del self._wrong[next(iter(self._wrong))]

    def _full(self, wrong: list[float]) -> bool:
        return len(wrong) >= self._most

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - self._per_seconds
        return [moment for moment in self._wrong.get(address, ()) if moment > since]
