"""Identity of who asks: the bearer of a token, a browser's session or, where that is taken, a
user by password."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from haizea.api.calls import Calls
from haizea.api.manager import Manager
from haizea.api.sessions import Sessions
from haizea.service_types import TokenInfo

#: Finds out who has this name and password, ``None`` for nobody. It may take its time, and
#: raise :class:`haizea.api.manager.Unavailable`.
CheckPassword = Callable[[str, str], TokenInfo | None]

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]{1,256}) *", re.IGNORECASE)
_BASIC = re.compile(rb"basic +([A-Za-z0-9+/]{1,1024}={0,2}) *", re.IGNORECASE)
_PASSWORD_THREADS = 4

_COOKIE = re.compile(rb"[A-Za-z0-9_-]{1,64}")

#: No token begins so.
BY_PASSWORD = "basic "
BY_SESSION = "session "


class Identities:
    """Tells who shows which credentials.

    Passwords are looked up by threads of their own: who has a token does not wait for those
    whose passwords another server has to check.
    """

    def __init__(
        self,
        manager: Manager,
        look_up: Calls,
        sessions: Sessions,
        check_password: CheckPassword | None,
    ) -> None:
        self._manager = manager
        self._sessions = sessions
        self._look_up = look_up
        self._check_password = check_password
        self._passwords = Calls("passwords", _PASSWORD_THREADS)

    def close(self) -> None:
        """Look up nothing more."""
        self._look_up.close()
        self._passwords.close()

    @property
    def take_passwords(self) -> bool:
        """True if users may show names and passwords."""
        return self._check_password is not None

    def shown(self, scope: Mapping[str, Any]) -> str | None:
        """The credentials in a request's head, ``None`` if there are none that are taken."""
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        if not shown:
            return _session_of(scope)
        if len(shown) != 1:
            return None
        bearer = _BEARER.fullmatch(shown[0])
        if bearer is not None:
            return bearer[1].decode("ascii")
        basic = _BASIC.fullmatch(shown[0])
        if basic is None or self._check_password is None:
            return None
        return BY_PASSWORD + basic[1].decode("ascii")

    async def identify(self, shown: str) -> TokenInfo | None:
        """Return the token for these credentials, ``None`` if they belong to nobody.

        Raises :class:`haizea.api.manager.Unavailable` where that cannot be found out now.
        """
        if shown.startswith(BY_SESSION):
            return await self._look_up(self._sessions.find, shown.removeprefix(BY_SESSION))
        if not shown.startswith(BY_PASSWORD):
            return await self._look_up(self._manager.identify, shown)
        try:
            text = base64.b64decode(shown.removeprefix(BY_PASSWORD), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        user, colon, password = text.partition(":")
        if not (user and colon and password) or self._check_password is None:
            return None
        return await self._passwords(self._check_password, user, password)


def cookie_name(scope: Mapping[str, Any]) -> str:
    """Return what the cookie of a session is called here: browsers share them between ports."""
    server = scope.get("server") or ("", 0)
    return f"haizea-session-{server[1]}"


def _session_of(scope: Mapping[str, Any]) -> str | None:
    """The credentials in the session's cookie, ``None`` if there is none or there are several."""
    name = cookie_name(scope).encode()
    pairs = (
        part.strip().partition(b"=")
        for header, value in scope["headers"]
        if header == b"cookie"
        for part in value.split(b";")
    )
    found: list[bytes] = [value for key, _, value in pairs if key == name]
    if len(found) != 1 or not _COOKIE.fullmatch(found[0]):
        return None
    return BY_SESSION + found[0].decode("ascii")
