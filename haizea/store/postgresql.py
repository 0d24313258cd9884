"""Connections to a PostgreSQL server that do not wait for ever.

A server that is gone is noticed by the kernel. One that is there and does nothing (stopped, or
its disk hangs) is not, and behind a Unix socket it never would be. So the server is told how
long a statement may take, and where it does not even see to that, the connection is given up
here.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.errors import ConnectionTimeout

_CONNECT_SECONDS = 5
_LOCK_SECONDS = 5

#: How long a statement may take by the server's own clock, and how long the server may say
#: nothing. The first is shorter: a server that works has ended a statement before it is
#: given again.
_STATEMENT_SECONDS = 10
_SILENCE_SECONDS = 15

#: So long a change of the tables may take.
_UPGRADE_SECONDS = 3600

_OPTIONS = (
    f"-c lock_timeout={_LOCK_SECONDS * 1000} -c statement_timeout={_STATEMENT_SECONDS * 1000}"
    " -c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)
_PARAMETERS: dict[str, str | int] = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "haizea",
}

T = TypeVar("T")


class ServerSilent(psycopg.OperationalError):
    """The server has not answered in time. The connection is closed."""


#: What an engine's errors are caused by where a server is there and does not answer.
SILENCES: tuple[type[Exception], ...] = (ServerSilent, ConnectionTimeout)


class Connection(psycopg.Connection[Any]):
    """A connection that is given up when the server says nothing for ``silence_seconds``."""

    silence_seconds: float = _SILENCE_SECONDS

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Carry on what the driver does until it is done. Raises :class:`ServerSilent`."""
        try:
            return super().wait(_impatient(gen, self.silence_seconds), *args, **kwargs)
        except ServerSilent:
            # What the server does with what it was sent is open; nothing more is sent.
            self.pgconn.finish()
            raise


def _impatient(waits: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """Wrap ``waits``, which the driver also goes on with, every so often, when nothing came."""
    heard = time.monotonic()
    ready: Any = None
    while True:
        try:
            wanted = waits.send(ready)
        except StopIteration as done:
            result: T = done.value
            return result
        ready = yield wanted
        if ready:
            heard = time.monotonic()
        elif time.monotonic() - heard > seconds:
            raise ServerSilent(f"the server has said nothing for {seconds:.0f} s")


def make_engine(url: sa.URL, *, writes: bool) -> sa.Engine:
    """An engine for questions, in which every statement stands for itself, or for changes."""
    engine = sa.create_engine(
        url,
        isolation_level="READ COMMITTED" if writes else "AUTOCOMMIT",
        connect_args=_arguments(url),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=_CONNECT_SECONDS,
        pool_size=5,
        max_overflow=20,
    )
    sa.event.listen(engine, "do_connect", _connect)
    return engine


def _connect(dialect: Any, record: Any, arguments: Any, parameters: Any) -> Connection:
    return Connection.connect(*arguments, **parameters)


def _arguments(url: sa.URL) -> dict[str, str | int]:
    """Return the arguments of a connection; what the address says itself counts."""
    given = url.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    own = {name: value for name, value in _PARAMETERS.items() if name not in url.query}
    return {**own, "options": f"{_OPTIONS} {options}".strip()}


@contextmanager
def patience(connection: sa.Connection) -> Iterator[None]:
    """In this transaction a statement may take as long as an upgrade of the tables may."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, Connection), "this engine makes no others"
    driver.silence_seconds = _UPGRADE_SECONDS
    try:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_UPGRADE_SECONDS}s'")
        yield
    finally:
        driver.silence_seconds = _SILENCE_SECONDS
