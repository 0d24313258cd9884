"""The file that a world is kept in: its tables, and access to it.

SQLite in WAL mode: others read while one writes, and a process that is killed leaves it as
it was after the last change that was complete.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Tells a world's file from other SQLite files.
_APPLICATION = 0x48_5A_57_44
_VERSION = 1

_WHAT_TO_DO = "set file in [world] to another one, which is made if there is none, or remove it"

_SCHEMA = """
CREATE TABLE hosts (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, capacity TEXT NOT NULL, up INTEGER NOT NULL,
    since INTEGER NOT NULL, until INTEGER, reason TEXT NOT NULL
);
CREATE TABLE outages (host INTEGER NOT NULL, start INTEGER NOT NULL, over INTEGER);
CREATE TABLE vms (
    lease INTEGER NOT NULL, node INTEGER NOT NULL, host INTEGER NOT NULL,
    capacity TEXT NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER,
    next_state TEXT, destination INTEGER, origin INTEGER, ran_seconds INTEGER NOT NULL,
    life_seconds INTEGER, generation INTEGER NOT NULL, verb TEXT NOT NULL,
    due INTEGER NOT NULL, serial INTEGER NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (lease, node)
) WITHOUT ROWID;
CREATE INDEX vms_until ON vms (until, serial) WHERE until IS NOT NULL;
CREATE INDEX vms_news ON vms (until) WHERE next_state IN ('ended', 'failed');
CREATE INDEX vms_there ON vms (host)
    WHERE state IN ('running', 'suspending', 'resuming', 'stopping', 'migrating');
CREATE INDEX vms_over ON vms (since) WHERE state IN ('ended', 'failed', 'gone');
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, lease INTEGER NOT NULL, node INTEGER NOT NULL,
    verb TEXT NOT NULL, due INTEGER NOT NULL, host INTEGER NOT NULL, given INTEGER NOT NULL,
    outcome TEXT NOT NULL, finished INTEGER
);
CREATE INDEX journal_given ON journal (given);
CREATE TABLE stretches (
    lease INTEGER NOT NULL, node INTEGER NOT NULL, generation INTEGER NOT NULL,
    host INTEGER NOT NULL, capacity TEXT NOT NULL, start INTEGER NOT NULL, over INTEGER
);
CREATE INDEX stretches_open ON stretches (lease, node) WHERE over IS NULL;
CREATE INDEX stretches_over ON stretches (over) WHERE over IS NOT NULL;
CREATE TABLE happenings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, moment INTEGER NOT NULL, kind TEXT NOT NULL,
    lease INTEGER, node INTEGER, host INTEGER, why TEXT NOT NULL
);
CREATE INDEX happenings_moment ON happenings (moment);
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY, moment INTEGER NOT NULL, kind TEXT NOT NULL,
    lease INTEGER, node INTEGER, host INTEGER, why TEXT NOT NULL
);
"""


class WorldError(Exception):
    """A world's file cannot be used; the message says why and what to do."""


class WorldUnavailable(WorldError):
    """The file cannot be read or written at present (the disk is full, …): try again."""


class WorldFile:
    """A connection to the file; several threads may share it, one at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._writing = False

    @classmethod
    def open(cls, path: str | Path, busy_seconds: float = 10) -> WorldFile:
        """The file, made if there is none; nobody else may read one that is made.

        While another process writes it is waited for ``busy_seconds`` s at most.
        Raises :class:`WorldError` for what is not a world, or is one of a later version.
        """
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(
                path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise WorldError(
                f"{path}: the simulated world cannot be opened: {reason}. Set file in [world] to"
                " where Haizea may write"
            ) from error
        try:
            _prepare(connection, path)
        except sqlite3.OperationalError as error:
            connection.close()
            raise WorldUnavailable(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            connection.close()
            raise WorldError(
                f"{path} is not a simulated world, or it is damaged ({error}): {_WHAT_TO_DO}"
            ) from error
        except WorldError:
            connection.close()
            raise
        return cls(connection)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds. Raises :class:`WorldUnavailable`."""
        with self._lock, _told():
            return self._connection.execute(query, values).fetchall()

    def run(self, statement: str, *values: Any) -> int:
        """Change something, within :meth:`writing`; answers the id of a row that it added."""
        assert self._writing, "changes are made in a transaction"
        return self._connection.execute(statement, values).lastrowid or 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is changed meanwhile is changed, or nothing is.

        Raises :class:`WorldUnavailable` if it cannot be. May be nested: the outermost counts.
        """
        with self._lock:
            if self._writing:
                yield
                return
            with _told():
                self._connection.execute("BEGIN IMMEDIATE")
                self._writing = True
                try:
                    yield
                    self._connection.execute("COMMIT")
                finally:
                    self._writing = False
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file. What was changed stays, closed or not."""
        with self._lock:
            self._connection.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise WorldUnavailable(f"the simulated world's file: {error}") from error
    except sqlite3.DatabaseError as error:
        raise WorldError(
            f"the simulated world's file is damaged ({error}): {_WHAT_TO_DO}"
        ) from error


def _prepare(connection: sqlite3.Connection, path: str | Path) -> None:
    """Make the tables in a new file, and see that an old one has them."""
    connection.execute("PRAGMA journal_mode = WAL")
    # A process that is killed loses nothing so; a machine without power may lose the last
    # changes, as a site of real machines does.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        empty = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        if empty and application in (0, _APPLICATION):
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif application != _APPLICATION:
            raise WorldError(
                f"{path} is not a simulated world, it is another kind of database: {_WHAT_TO_DO}"
            )
        elif version > _VERSION:
            raise WorldError(
                f"{path} was written by a later version of Haizea (format {version}, this one"
                f" knows {_VERSION}): use that version, or set file in [world] to another one"
            )
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
