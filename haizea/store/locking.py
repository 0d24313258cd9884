"""The lock that one manager has on a store.

For SQLite it is a lock on the file ``<store>.lock``, which the kernel takes back when the
process ends, however it ends. For PostgreSQL it is an advisory lock of the session that also
saves: as long as saving is possible the lock is there, and a session that broke has lost it.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from haizea.locks import LockFile
from haizea.store.errors import StoreError

#: First half of the key, the bytes "HzSt"; the other half is the schema the tables are in.
_CLASS = 0x487A5374
_TRY = sa.text(f"SELECT pg_try_advisory_lock({_CLASS}, hashtext(current_schema()))")
_UNLOCK = sa.text(f"SELECT pg_advisory_unlock({_CLASS}, hashtext(current_schema()))")


class FileLock:
    """An exclusive lock on a file beside the store; the file stays when it is given back."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(f"{store.name}.lock")
        self._file: LockFile | None = None

    def take(self) -> bool:
        """Tell whether it could be had at once, or was had already. Raises :class:`StoreError`."""
        if self._file is not None:
            return True
        try:
            file = LockFile(self._path)
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be opened: {error.strerror}. The user that runs Haizea"
                " must be able to write it: it keeps two managers from using one store"
            ) from error
        taken = False
        try:
            taken = file.take()
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be locked: {error.strerror}."
                " Keep the store on a file system that has locks"
            ) from error
        finally:
            if not taken:
                file.close()
        self._file = file if taken else None
        return taken

    def give_back(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def take_session_lock(connection: sa.Connection) -> bool:
    """Tell whether this PostgreSQL session could have the lock at once, beyond its transactions."""
    return bool(connection.execute(_TRY).scalar())


def give_back_session_lock(connection: sa.Connection) -> None:
    """Let another session have it."""
    connection.execute(_UNLOCK)
