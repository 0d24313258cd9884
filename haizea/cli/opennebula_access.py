"""Access of commands to an OpenNebula: its address and credentials, as its own tools find them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from haizea.cli.errors import WrongInput

if TYPE_CHECKING:
    from haizea.backends.opennebula.wire.client import Client
    from haizea.backends.opennebula.wire.session import Session

DEFAULT_ENDPOINT = "http://localhost:2633/RPC2"

_Command = TypeVar("_Command", bound=Callable[..., Any])

_ENDPOINT = click.option(
    "--endpoint",
    envvar="ONE_XMLRPC",
    default=DEFAULT_ENDPOINT,
    show_default=True,
    metavar="URL",
    help="Address of OpenNebula. Also: ONE_XMLRPC.",
)
_AUTH = click.option(
    "--one-auth",
    envvar="ONE_AUTH",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Your credentials for OpenNebula, user:password. Also: ONE_AUTH."
    "  [default: ~/.one/one_auth]",
)


def reaches_opennebula(command: _Command) -> _Command:
    """Add the options ``--endpoint`` and ``--one-auth``."""
    return _ENDPOINT(_AUTH(command))


def session_from(one_auth: Path | None) -> Session:
    """The credentials in that file, else where OpenNebula's tools look. Wrong input if none."""
    from haizea.backends.opennebula.model.errors import SessionError
    from haizea.backends.opennebula.wire.session import read_session

    environment = dict(os.environ)
    if one_auth is not None:
        environment["ONE_AUTH"] = str(one_auth.expanduser())
    try:
        return read_session(environment)
    except SessionError as error:
        raise WrongInput(str(error)) from None


@contextmanager
def client_of(endpoint: str, one_auth: Path | None) -> Iterator[Client]:
    """A client, for one command; what OpenNebula has against it is said in its words."""
    from haizea.backends.opennebula.model.errors import OpenNebulaError, RefusalKind, Refused
    from haizea.backends.opennebula.wire.client import Client
    from haizea.backends.opennebula.wire.connection import RetrySettings

    session = session_from(one_auth)
    retry = RetrySettings(attempts=2, backoff_seconds=0.2)
    try:
        with Client(endpoint, session, retry=retry) as client:
            yield client
    except Refused as refused:
        text = str(refused)
        if refused.kind is RefusalKind.AUTHENTICATION:
            text = (
                f"OpenNebula at {endpoint} does not know user {session.user!r} with this password:"
                " name another file with --one-auth or ONE_AUTH"
            )
        raise click.ClickException(text) from None
    except OpenNebulaError as error:
        raise click.ClickException(f"{endpoint}: {error}") from None
