"""Haizea's identity in OpenNebula: the session string, read as OpenNebula's own tools read it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from haizea.backends.opennebula.model.errors import SessionError

_LONGEST_FILE_BYTES = 65536


class Session:
    """A user and a password or login token, which shows the user alone.

    Raises :class:`SessionError` where ``text`` is not ``user:password``.
    """

    __slots__ = ("_secret", "user")

    def __init__(self, text: str) -> None:
        user, colon, secret = text.partition(":")
        if not (user and colon and secret):
            raise SessionError("credentials are not of the form user:password or user:token")
        self.user = user
        self._secret = secret

    def __repr__(self) -> str:
        return f"Session({self.user!r})"

    def __reduce__(self) -> str:
        raise TypeError("a session is not to be stored")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Session):
            return NotImplemented
        return (self.user, self._secret) == (other.user, other._secret)

    def __hash__(self) -> int:
        return hash((self.user, self._secret))

    def wire(self, *, hashed: bool = False) -> str:
        """The first parameter of each call; ``hashed`` as OpenNebula 1.4 wants it."""
        if not hashed:
            return f"{self.user}:{self._secret}"
        return f"{self.user}:{hashlib.sha1(self._secret.encode()).hexdigest()}"

    def hide(self, text: str) -> str:
        """``text`` without the password, in case that a server or proxy repeats it."""
        secrets = (self._secret, self.wire(hashed=True).removeprefix(f"{self.user}:"))
        for secret in secrets:
            text = text.replace(secret, "****")
        return text


def read_session(environment: Mapping[str, str] | None = None) -> Session:
    """The session in the file that ``ONE_AUTH`` names, else in ``~/.one/one_auth``.

    ``environment`` is the process's own by default. Raises :class:`SessionError`, saying
    which file was looked at and what to do.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("ONE_AUTH", "")
    home = environment.get("HOME") or str(Path.home())
    path = Path(named) if named else Path(home) / ".one" / "one_auth"
    hint = "write user:password into it, or set ONE_AUTH to the file that has it"
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE_BYTES + 1)
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise SessionError(f"no credentials for OpenNebula: {path}: {why}; {hint}") from None
    try:
        lines = content.decode().strip().splitlines()
    except UnicodeDecodeError:
        raise SessionError(f"no credentials for OpenNebula: {path} is not text; {hint}") from None
    if not lines or len(content) > _LONGEST_FILE_BYTES:
        what = "is empty" if not lines else "is too large"
        raise SessionError(f"no credentials for OpenNebula: {path} {what}; {hint}")
    try:
        return Session(lines[0].strip())
    except SessionError as error:
        raise SessionError(f"no credentials for OpenNebula: {path}: {error}; {hint}") from None
