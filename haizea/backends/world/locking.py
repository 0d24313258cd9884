"""The lock that the managers of one store have on a world.

Two stores know nothing of each other's leases, so their managers would give the same hosts away.
Managers of one store share the world's lock: it is the store that keeps them apart, and it may
have passed to the next one before the last one has noticed.

It is a lock of the kernel on the file ``<world>.lock``, which has the store's name in it and
is given back when the process ends, however it ends.
"""

from __future__ import annotations

from pathlib import Path

from haizea.backends.world.file import WorldError
from haizea.locks import LockFile

#: Longer than any name of a store.
_MOST_BYTES = 10_000


class WorldLock:
    """A world's lock, held for the managers of ``store`` until it is given back.

    Raises :class:`~haizea.backends.world.file.WorldError` where those of another store have it.
    """

    def __init__(self, world: Path, store: str) -> None:
        path = world.with_name(f"{world.name}.lock")
        try:
            self._file = LockFile(path)
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
        self._file.close()


def _lock(file: LockFile, store: str) -> str:
    """Share the lock of those that have it, or take it for ``store``; whose it is then."""
    holder = ""
    while not holder:
        # What is there already is not written again: a full disk keeps nobody from going on.
        if file.take() and file.read(_MOST_BYTES) != store:
            file.write(store)
        # Who has it alone is about to share it. In between another may get it, and say so;
        # who was killed there has said nothing.
        file.share()
        holder = file.read(_MOST_BYTES)
    return holder


def _unusable(path: Path, doing: str, error: OSError) -> WorldError:
    return WorldError(
        f"{path} cannot be {doing}: {error.strerror}. It keeps two services from using one"
        " simulated world: set file in [world] to where Haizea may write, on a file system that"
        " has locks"
    )
