"""The lock that one manager has on a store.

For SQLite it is a lock on the file ``<store>.lock``, which the kernel takes back when the
process ends, however it ends. For PostgreSQL it is an advisory lock of the session that also
saves: as long as saving is possible the lock is there, and a session that broke has lost it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import sqlalchemy as sa

from haizea.store.errors import StoreError

#: First half of the key, the bytes "HzSt"; the other half is the schema the tables are in.
_CLASS = 0x487A5374
_TRY = sa.text(f"SELECT pg_try_advisory_lock({_CLASS}, hashtext(current_schema()))")
_UNLOCK = sa.text(f"SELECT pg_advisory_unlock({_CLASS}, hashtext(current_schema()))")


class FileLock:
    """An exclusive lock on a file beside the store; the file stays when it is given back."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(f"{store.name}.lock")
        self._file: int | None = None

    def take(self) -> bool:
        """Whether it could be had at once, or was had already. Raises :class:`StoreError`."""
        if self._file is not None:
            return True
        try:
            file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be opened: {error.strerror}. The user that runs Haizea"
                " must be able to write it: it keeps two managers from using one store"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            os.close(file)
            raise StoreError(
                f"{self._path} cannot be locked: {error.strerror}."
                " Keep the store on a file system that has locks"
            ) from error
        self._file = file
        return True

    def give_back(self) -> None:
        """Let others have it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def take_session_lock(connection: sa.Connection) -> bool:
    """Whether this PostgreSQL session could have the lock at once, beyond its transactions."""
    return bool(connection.execute(_TRY).scalar())


def give_back_session_lock(connection: sa.Connection) -> None:
    """Let another session have it."""
    connection.execute(_UNLOCK)
