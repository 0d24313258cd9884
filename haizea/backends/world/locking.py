"""The lock that the managers of one store have on a world.

Two stores know nothing of each other's leases, so their managers would end each other's VMs.
Managers of one store share the world's lock: it is the store that keeps them apart, and it may
have passed to the next one before the last one has noticed.

It is a lock of the kernel on the file ``<world>.lock``, which has the store's name in it and
is given back when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from haizea.backends.world.file import WorldError

#: Longer than any name of a store.
_MOST_BYTES = 10_000


class WorldLock:
    """A world's lock, held for the managers of ``store`` until it is given back.

    Raises :class:`~haizea.backends.world.file.WorldError` where those of another store have it.
    """

    def __init__(self, world: Path, store: str) -> None:
        path = world.with_name(f"{world.name}.lock")
        try:
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, "opened", error) from error
        try:
            holder = _lock(self._file, store)
        except OSError as error:
            self.give_back()
            raise _unusable(path, "locked", error) from error
        if holder != store:
            self.give_back()
            raise WorldError(
                f"the simulated world {world} is in use by another Haizea, which has its leases in"
                f" {holder}: end that one, or set file in [world] to one of its own"
            )

    def give_back(self) -> None:
        """Let the managers of other stores have it. Not called twice."""
        os.close(self._file)


def _lock(file: int, store: str) -> str:
    """Share the lock of those that have it, or take it for ``store``; whose it is then."""
    holder = ""
    while not holder:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _read(file) != store:  # A full disk keeps nobody from going on.
                os.ftruncate(file, 0)
                os.pwrite(file, store.encode(), 0)
        # Who has it alone is about to share it. In between another may get it, and say so;
        # who was killed there has said nothing.
        fcntl.flock(file, fcntl.LOCK_SH)
        holder = _read(file)
    return holder


def _read(file: int) -> str:
    return os.pread(file, _MOST_BYTES, 0).decode(errors="replace")


def _unusable(path: Path, doing: str, error: OSError) -> WorldError:
    return WorldError(
        f"{path} cannot be {doing}: {error.strerror}. It keeps two services from using one"
        " simulated world: set file in [world] to where Haizea may write, on a file system that"
        " has locks"
    )
