"""Files that processes lock, so that one of them, or those that agree, use something.

The lock is the kernel's: it is given back when the process ends, however it ends. The file
stays, for somebody may be waiting for it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LockFile:
    """A file to lock, open until it is closed, and readable by its user alone; not a link.

    All of it raises :class:`OSError` where the file system does.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def take(self) -> bool:
        """Lock it for this process alone; ``False`` where another has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Wait until nobody has it alone, and have it with all that share it."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def read(self, most_bytes: int) -> str:
        """The text in the file."""
        return os.pread(self._file, most_bytes, 0).decode(errors="replace")

    def write(self, text: str) -> None:
        """Replace the text in the file."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(), 0)

    def close(self) -> None:
        """Give the lock back. Not called twice."""
        os.close(self._file)


def is_taken(path: Path) -> bool:
    """Tell whether a process has the file alone. Nobody holds a file that cannot be read."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
