"""Connections to the database of a store, and its errors as errors of the store.

Questions go through one engine, in which every statement stands for itself, changes
through another, in transactions. In SQLite (write-ahead log) neither waits for the
other; there is one writer at a time, and a commit returns when it is on the disk.
"""

from __future__ import annotations

import math
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from haizea.extras import advice
from haizea.store.address import Address
from haizea.store.errors import StoreError, StoreMissing, StoreUnavailable

#: The bytes "HzSt": tells a store from other SQLite files, results files among them.
APPLICATION_ID = 0x487A5374

#: How long to wait for somebody else's lock on a file.
WAIT_SECONDS = 5

#: A log that grew beyond this is cut back when it was copied into the file.
_LOG_BYTES = 16 << 20

#: After a server did not answer, so long nobody asks it; and so long it counts as silent
#: where nobody does.
_REST_SECONDS = 2
_SILENT_SECONDS = 30


class Database:
    """One database, with an engine for questions and one for changes."""

    def __init__(self, address: Address) -> None:
        self.shown = address.shown
        self.path = address.path
        #: In one process, writers to a SQLite file wait for each other here, which is
        #: quicker than SQLite's own waiting.
        self._turns: threading.Lock | None = threading.Lock() if address.path else None
        self._silences: tuple[type[Exception], ...] = ()
        self._patience: Callable[[sa.Connection], AbstractContextManager[None]] = (
            lambda connection: nullcontext()
        )
        self._silent_since: float | None = None
        try:
            if address.path is None:
                # Here, because its driver comes with an extra that not all have.
                from haizea.store import postgresql

                engine = postgresql.make_engine
                self._silences, self._patience = postgresql.SILENCES, postgresql.patience
            else:
                engine = _make_engine
            self.read = engine(address.url, writes=False)
            self.write = engine(address.url, writes=True)
        except (ImportError, NoSuchModuleError):
            needs = advice("psycopg", "postgresql")
            raise StoreError(f"a store in PostgreSQL {needs}") from None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for questions. Raises the store's errors."""
        with self.trouble("read"), self.read.connect() as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[sa.Connection]:
        """A transaction of its own, beside the turns. Raises the store's errors."""
        with self.trouble("written"), self.one_writer(), self.write.begin() as connection:
            yield connection

    @contextmanager
    def upgrading(self) -> Iterator[sa.Connection]:
        """A transaction that changes tables and may take long. Raises the store's errors."""
        with (
            self.trouble("upgraded"),
            self.write.begin() as connection,
            self._patience(connection),
        ):
            yield connection

    @contextmanager
    def one_writer(self) -> Iterator[None]:
        """Wait, where only one can write at a time, until this process's others have written."""
        if self._turns is None:
            yield
            return
        if not self._turns.acquire(timeout=2 * WAIT_SECONDS):
            raise StoreUnavailable(f"the store {self.shown} is being written; try again")
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def trouble(self, doing: str) -> Iterator[None]:
        """Turn the database's errors into the store's; ``doing`` as in "cannot be read"."""
        if self._silent_for < _REST_SECONDS:
            # Each who asked would wait, one after the other where threads are few.
            raise StoreUnavailable(
                f"the store {self.shown} cannot be {doing} now: the server does not answer"
            )
        try:
            yield
        except SQLAlchemyError as error:
            if isinstance(getattr(error, "orig", None), self._silences):
                self._silent_since = time.monotonic()
            raise _meaning(error, self.shown, doing) from error
        self._silent_since = None

    @property
    def silent(self) -> bool:
        """True if the server is there and did not answer when it was asked last."""
        return self._silent_for < _SILENT_SECONDS

    @property
    def _silent_for(self) -> float:
        since = self._silent_since
        return math.inf if since is None else time.monotonic() - since

    def close(self) -> None:
        """Close every connection; a SQLite log is first copied into its file."""
        try:
            if self.path is not None and self.path.exists():
                with self.read.connect() as connection:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except SQLAlchemyError:
            pass  # What is in the log is as safe there; it is copied the next time.
        finally:
            self.read.dispose()
            self.write.dispose()


def prepare_file(path: Path, *, create: bool) -> list[str]:
    """See that ``path`` is a file that only its owner can read; answers what was repaired.

    Makes it, and folders that are missing (mode 0700), if ``create``. Raises
    :class:`StoreError`.
    """
    notes: list[str] = []
    try:
        if not path.exists():
            if not create:
                raise StoreMissing(f"there is no store {path}")
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        with path.open("r+b") as file:
            found = os.fstat(file.fileno())
            if found.st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)
                notes.append(
                    f"the store {path} could be read by others"
                    f" (mode {stat.S_IMODE(found.st_mode):04o}); now only by its owner"
                )
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be opened: {error.strerror}."
            " Give the user that runs Haizea a folder to write to, or name another file"
        ) from error
    return notes


def _make_engine(url: sa.URL, *, writes: bool) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={"timeout": WAIT_SECONDS},
        hide_parameters=True,
        pool_timeout=WAIT_SECONDS,
        pool_size=5,
        max_overflow=60,
    )
    sa.event.listen(engine, "connect", _writer if writes else _reader)
    if writes:
        # The driver would begin a transaction late, and none at all before DDL.
        sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _writer(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")


def _reader(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")


def _meaning(error: SQLAlchemyError, shown: str, doing: str) -> StoreError:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines() or ["no reason given"]
    match _primary_code(error):
        case sqlite3.SQLITE_NOTADB:
            return StoreError(
                f"{shown} is not a store of Haizea, nor any SQLite database ({lines[0]}): name"
                " another file, which is made if there is none, or put a backup in its place"
            )
        case sqlite3.SQLITE_CORRUPT:
            return StoreError(
                f"the store {shown} is damaged ({lines[0]}): stop Haizea, put a backup in its"
                " place, and start it again"
            )
        case _:
            return _cannot(error, shown, doing, lines[0])


def _cannot(error: SQLAlchemyError, shown: str, doing: str, why: str) -> StoreError:
    """Tell what cannot be done, and by the error's kind whether to try again."""
    what = f"the store {shown} cannot be {doing} now: {why}"
    if isinstance(error, NoConnectionFree):
        return StoreUnavailable(f"the store {shown} has too many questions to answer; try again")
    passing = isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError)
        and (error.connection_invalidated or getattr(error.orig, "sqlstate", None) == "25006")
    )
    return StoreUnavailable(what) if passing else StoreError(what)


def _primary_code(error: SQLAlchemyError) -> int | None:
    """Return SQLite's primary code of the error, without its extension; ``None`` for others'."""
    code: int | None = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
