"""Files that are either whole or not there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Write a text file, replacing what was there; on any error nothing has changed.

    The text goes to a temporary file beside ``path`` first, so the disk needs room for
    both. A device or a pipe, such as ``/dev/stdout``, stays what it is and is written to.
    Raises whatever ``pieces`` or the file system raises.
    """
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with open(path, "w", encoding="utf-8", newline="\n") as device:
            device.writelines(pieces)
        return
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8", newline="\n") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(temporary, target)
    except BaseException as wrong:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(wrong, OSError) and wrong.filename in (None, str(temporary)):
            # Users know the file that they named, not the temporary one, nor a full disk.
            wrong.filename = str(path)
        raise


def write_private(path: Path, text: str) -> None:
    """Write a small file that its user alone can read, and that a power cut leaves whole.

    Raises :class:`OSError`.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
