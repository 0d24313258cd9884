"""Location of the service, and the token to ask it with."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORT = 42493
DEFAULT_SERVER = f"http://127.0.0.1:{DEFAULT_PORT}"
TOKEN_FILE = Path("~/.haizea/token")

_MOST_TOKEN_BYTES = 4096
_TOKEN = re.compile(r"[!-~]{1,1000}")
_VISIBLE = re.compile(r"[!-~]{1,2000}")
_WITH_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]+)?")


class WrongAccess(ValueError):
    """A server or a token is given in a form that cannot be used; in words."""


@dataclass(frozen=True, slots=True)
class Server:
    """Location of the service; ``base`` is the path before ``/v1``, without a slash at its end."""

    scheme: str
    host: str
    port: int
    base: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.base}"

    @property
    def is_local(self) -> bool:
        """True if what is sent there stays on this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_secure(self) -> bool:
        """True if nobody on the way reads what is sent there."""
        return self.is_local or self.scheme == "https"


def parse_server(text: str) -> Server:
    """The server in ``host``, ``host:port`` or a URL.

    The port is 42493 where none is named. Without a scheme it is ``http`` on this machine
    and ``https`` to another one. Raises :class:`WrongAccess`.
    """
    stripped = text.strip()
    if not _VISIBLE.fullmatch(stripped):
        raise WrongAccess(_not_a_server(text))
    if _WITH_SCHEME.match(stripped):
        url = stripped
    else:
        bare = f"[{stripped}]" if stripped.count(":") > 1 and "[" not in stripped else stripped
        url = f"//{bare}"
    try:
        parts = urlsplit(url)
        # Names are looked up in this form: no part of one is empty or longer than 63 characters.
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise WrongAccess(_not_a_server(text)) from None
    try:
        port = parts.port
    except ValueError:
        raise WrongAccess(f"{text!r}: a port is a number from 1 to 65535") from None
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) or port == 0:
        raise WrongAccess(_not_a_server(text))
    if parts.scheme not in ("", "http", "https") or _has_more(parts):
        raise WrongAccess(_not_a_server(text))
    server = Server("http", host, port or DEFAULT_PORT, parts.path.rstrip("/"))
    scheme = parts.scheme or ("http" if server.is_local else "https")
    return Server(scheme, server.host, server.port, server.base)


def _has_more(parts: SplitResult) -> bool:
    return bool(parts.query or parts.fragment or parts.username or parts.password)


def _not_a_server(text: str) -> str:
    # It may be a URL with a password in it: what stands before @ is not repeated.
    shown = text.rpartition("@")[2]
    return (
        f"{shown!r} is not a server: write HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The token, or OpenNebula's credentials, to ask with, and where they are from.

    Without a ``secret``, ``source`` says where one was looked for. ``warning`` says what
    is wrong with how it is kept. ``scheme`` says what it is for HTTP; a name and a password
    are in base64. ``otherwise`` is what to ask with where the service does not know it.
    """

    secret: str | None
    source: str
    warning: str = ""
    scheme: str = "Bearer"
    otherwise: Token | None = None

    def __repr__(self) -> str:
        return f"Token(source={self.source!r})"

    @property
    def is_password(self) -> bool:
        """True if it is a user's name and password."""
        return self.scheme == "Basic"

    @property
    def authorization(self) -> str | None:
        """Content of the header ``Authorization``, if any."""
        return None if self.secret is None else f"{self.scheme} {self.secret}"


def find_token(
    token_file: Path | None, environment: Mapping[str, str], one_auth: Path | None = None
) -> Token:
    """The token in ``token_file`` or the credentials in ``one_auth``, if either is given.

    Otherwise what is in ``HAIZEA_TOKEN``, in its usual file, or in the file that ``ONE_AUTH``
    names; these also where the service does not know the token of the usual file, which may
    be that of another service. Raises :class:`WrongAccess` where a file that is named, or
    holds something, is of no use.
    """
    if token_file is not None and one_auth is not None:
        raise WrongAccess("--token-file and --one-auth do not go together")
    if token_file is not None:
        return _read(token_file.expanduser(), str(token_file))
    if one_auth is not None:
        return _credentials(one_auth.expanduser(), str(one_auth))
    from_environment = environment.get("HAIZEA_TOKEN", "").strip()
    if from_environment:
        return Token(
            secret=_checked(from_environment, "HAIZEA_TOKEN"),
            source="the environment variable HAIZEA_TOKEN",
        )
    usual = TOKEN_FILE.expanduser()
    named = environment.get("ONE_AUTH", "")
    if usual.exists():
        otherwise = None
        if named:
            with suppress(WrongAccess):
                otherwise = _credentials(Path(named), named)
        return replace(_read(usual, str(TOKEN_FILE)), otherwise=otherwise)
    if named:
        return _credentials(Path(named), named)
    return Token(
        secret=None,
        source=f"--token-file (not given), HAIZEA_TOKEN (not set) and {TOKEN_FILE} (not there)",
    )


def _credentials(path: Path, name: str) -> Token:
    """OpenNebula's ``user:password`` or ``user:token``, the first line of a file."""
    content, warning = _content(path, name, "these credentials", "--one-auth")
    lines = content.decode(errors="replace").strip().splitlines()
    user, _, password = lines[0].strip().partition(":") if lines else ("", "", "")
    if not (user and password):
        raise WrongAccess(f"{name}: not valid credentials of OpenNebula: write user:password")
    secret = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    return Token(secret=secret, source=name, warning=warning, scheme="Basic")


def _read(path: Path, name: str) -> Token:
    content, warning = _content(path, name, "this token", "--token-file")
    text = content.decode("ascii", errors="replace").strip()
    return Token(secret=_checked(text, name), source=name, warning=warning)


def _content(path: Path, name: str, what: str, option: str) -> tuple[bytes, str]:
    """Return what is in a file, cut where no secret is so long, and what is wrong with its mode."""
    try:
        # It is opened without waiting: a pipe that nobody writes to would be waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise WrongAccess(f"{name}: not a regular file; {what} is read from a line of one")
            content = file.read(_MOST_TOKEN_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WrongAccess(
            f"{name}: the {what.split()[1]} cannot be read: {reason}; name another with {option}"
        ) from None
    mode = stat.S_IMODE(status.st_mode)
    warning = ""
    if mode & 0o077:
        warning = f"{name}: others may read {what} (mode {mode:04o}): chmod 600 {name}"
    return content[:_MOST_TOKEN_BYTES], warning


def _checked(text: str, where: str) -> str:
    """``text``, which can stand in a header. It is never repeated in a message."""
    if not _TOKEN.fullmatch(text):
        raise WrongAccess(f"{where}: not a valid token: a token is one word, such as hz_...")
    return text
