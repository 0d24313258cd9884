"""Users of OpenNebula, known to the HTTP interface by their OpenNebula credentials."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from haizea.api.manager import Unavailable
from haizea.backends.opennebula.model.errors import (
    OpenNebulaError,
    RefusalKind,
    Refused,
    SessionError,
)
from haizea.backends.opennebula.model.pools import User
from haizea.backends.opennebula.wire.session import Session
from haizea.service_types import Role, TokenInfo

_logger = logging.getLogger("haizea.api")

_ONEADMIN_GROUP = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on how much checking passwords may burden OpenNebula, and on whoever guesses.

    What was right is believed for ``good_seconds``, of at most ``most_remembered`` users.
    In ``per_seconds`` at most ``failures`` wrong passwords of one name are looked at, and
    ``questions`` are asked in all.
    """

    good_seconds: float = 60.0
    most_remembered: int = 1000
    per_seconds: float = 60.0
    failures: int = 10
    questions: int = 300


class Passwords:
    """Finds out whose a name and a password, or a login token, are: OpenNebula is asked.

    ``ask`` answers the user of a session, as :meth:`Client.user` does. Passwords are not
    kept: what is remembered is a digest that is of no use to anybody else. Any thread may
    call it.
    """

    def __init__(
        self,
        ask: Callable[[Session], User],
        limits: Limits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._limits = limits or Limits()
        self._now = now
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._good: OrderedDict[bytes, tuple[TokenInfo, float]] = OrderedDict()
        self._asked: deque[float] = deque()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def __call__(self, user: str, password: str) -> TokenInfo | None:
        """Return who it is, ``None`` for wrong credentials.

        Raises :class:`haizea.api.manager.Unavailable` where OpenNebula does not answer, or
        too much was tried.
        """
        try:
            session = Session(f"{user}:{password}")
        except SessionError:
            return None
        digest = hmac.digest(self._key, f"{user}\0{password}".encode(), hashlib.sha256)
        with self._lock:
            now = self._now()
            known = self._good.get(digest)
            if known is not None and now < known[1]:
                return known[0]
            self._good.pop(digest, None)
            self._count(user, now)
        found = self._found(session)
        with self._lock:
            if found is None:
                self._note_wrong(user)
            else:
                self._good[digest] = (found, self._now() + self._limits.good_seconds)
                if len(self._good) > self._limits.most_remembered:
                    self._good.popitem(last=False)
        return found

    def _count(self, user: str, now: float) -> None:
        """Take notice of a question. Raises :class:`Unavailable` if there were too many."""
        wrong = self._wrong.get(user, deque())
        for moments in (self._asked, wrong):
            while moments and moments[0] <= now - self._limits.per_seconds:
                moments.popleft()
        if len(wrong) >= self._limits.failures:
            raise Unavailable("too many wrong passwords for this user: try again in a minute")
        if len(self._asked) >= self._limits.questions:
            raise Unavailable("too many passwords are being looked up: try again in a minute")
        self._asked.append(now)

    def _note_wrong(self, user: str) -> None:
        self._wrong.setdefault(user, deque()).append(self._now())
        self._wrong.move_to_end(user)
        if len(self._wrong) > self._limits.most_remembered:
            self._wrong.popitem(last=False)

    def _found(self, session: Session) -> TokenInfo | None:
        try:
            user = self._ask(session)
        except Refused as refused:
            if refused.kind in (RefusalKind.AUTHENTICATION, RefusalKind.AUTHORIZATION):
                return None
            _logger.warning("OpenNebula does not say who %r is: %s", session.user, refused)
            raise Unavailable("OpenNebula does not say who this is") from None
        except OpenNebulaError as error:
            _logger.warning("OpenNebula cannot be asked who %r is: %s", session.user, error)
            raise Unavailable("OpenNebula does not answer") from None
        return _identity(user) if user.enabled else None


def _identity(user: User) -> TokenInfo:
    """Return what a user of OpenNebula may do: administrators there are operators here."""
    administers = user.name == "oneadmin" or _ONEADMIN_GROUP in (user.gid, *user.group_ids)
    return TokenInfo(
        id=0,
        name=f"OpenNebula user {user.name}",
        role=Role.OPERATOR if administers else Role.USER,
        owner=user.name,
        created=0,
    )
