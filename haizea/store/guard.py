"""Guard of who may save: one manager at a time, told from all before it by an epoch.

Whoever takes the lock counts the store's epoch up; every change checks, in its own
transaction, that the epoch is still its own. So a manager that lost its lock without
noticing – a stopped process, a broken network – cannot write once another has begun.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from haizea.store.database import Database
from haizea.store.errors import StoreError, StoreLost, StoreUnavailable
from haizea.store.locking import FileLock, give_back_session_lock, take_session_lock
from haizea.store.schema import state

_EPOCH_UP = sa.update(state).values(epoch=state.c.epoch + 1, holder=sa.bindparam("by"))


class Guard:
    """A store's lock, and the one connection over which its turns are saved."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file_lock = FileLock(database.path) if database.path is not None else None
        self._connection: sa.Connection | None = None
        self._file: tuple[int, int] | None = None
        #: This manager's; ``None`` before :meth:`take`.
        self.epoch: int | None = None

    def hold(self) -> bool:
        """Try to take the lock; tell if it was had. Begins no epoch. Raises the store's errors."""
        if self._file_lock is not None:
            return self._file_lock.take()
        if self._connection is None:
            self._connect()
        return self._connection is not None

    def take(self) -> bool:
        """Tell whether this manager has the store from now on. Raises the store's errors."""
        if not self.hold():
            return False
        if self._connection is None:
            self._connect()
        connection = self._connection
        assert connection is not None, "with the lock there is a connection"
        try:
            with self._database.trouble("locked"), connection.begin():
                connection.execute(_EPOCH_UP, {"by": _this_process()})
                self.epoch = connection.execute(sa.select(state.c.epoch)).scalar_one()
        except StoreError:
            self.drop()
            raise
        return True

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction under the lock; who uses it checks the epoch in it.

        Raises :class:`StoreUnavailable`; the transaction may then have been made durable or
        not. Raises :class:`StoreLost` where another manager has the lock.
        """
        assert self.epoch is not None, "lock() comes before save()"
        self._check_file()
        if self._connection is None:
            self._connect_again()
        connection = self._connection
        assert connection is not None, "connected above"
        try:
            with self._database.trouble("written"), connection.begin():
                yield connection
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Close the connection; the next transaction makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
            with suppress(SQLAlchemyError):
                connection.close()

    def release(self) -> None:
        """Give the lock back and close the connection."""
        if self._connection is not None and self._file_lock is None:
            with suppress(SQLAlchemyError), self._connection.begin():
                give_back_session_lock(self._connection)
        self.drop()
        if self._file_lock is not None:
            self._file_lock.give_back()
        self.epoch = None

    def _connect(self) -> None:
        """Connect; for PostgreSQL only if the session gets the lock."""
        with self._database.trouble("opened"):
            connection = self._database.write.connect()
        self._connection = connection
        if self._database.path is not None:
            found = self._database.path.stat()
            self._file = (found.st_dev, found.st_ino)
            return
        try:
            with self._database.trouble("locked"), connection.begin():
                locked = take_session_lock(connection)
        except StoreError:
            self.drop()
            raise
        if not locked:
            self._connection = None
            connection.close()

    def _connect_again(self) -> None:
        """After trouble. The session's lock went with the session, and somebody may have it."""
        self._connect()
        if self._connection is not None:
            return
        with self._database.reading() as connection:
            row = connection.execute(sa.select(state.c.epoch, state.c.holder)).one()
        if row.epoch != self.epoch:
            raise self.lost(row.holder)
        raise StoreUnavailable(
            f"the store {self._database.shown} is still locked by this manager's own session"
            " that broke; the server will notice within a minute"
        )

    def lost(self, holder: str) -> StoreLost:
        """The error that says that another manager has the store."""
        return StoreLost(
            f"another manager ({holder or 'unknown'}) has taken the store"
            f" {self._database.shown} over; this one must not go on"
        )

    def _check_file(self) -> None:
        """Saving into a file that was deleted would work, and be lost."""
        path = self._database.path
        if path is None or self._file is None:
            return
        try:
            found = path.stat()
        except OSError as error:
            raise StoreUnavailable(
                f"the store {path} cannot be reached: {error.strerror}"
            ) from error
        if (found.st_dev, found.st_ino) != self._file:
            raise StoreLost(
                f"the file {path} was replaced by another while it was in use; stop the"
                " manager before a backup is restored, then start it again"
            )


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
