"""Files that appear whole: written under a temporary name, then renamed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from haizea.accounting.errors import ResultsError

_SQLITE_MAGIC = b"SQLite format 3\0"


def create_beside(path: Path, what: str = "results") -> Path:
    """A new, empty file in the folder of ``path``, under a temporary name.

    Raises :class:`ResultsError` where it cannot be made, or could not take the name
    ``path`` later because there is a folder or a device of that name.
    """
    try:
        taken = path.exists() and not stat.S_ISREG(path.stat().st_mode)
        if taken:
            raise ResultsError(
                f"{path}: {what} cannot be written there: it is a folder or a device."
                " Name a file, in a folder that exists"
            )
        temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
        # The mode of a file that is simply opened, unlike what tempfile makes.
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW
        os.close(os.open(temporary, flags, 0o666))
    except OSError as error:
        raise ResultsError(_cannot(path, what, error)) from error
    return temporary


def check_replaceable(path: Path) -> None:
    """See that results would not be written over something that is no SQLite file.

    Raises :class:`ResultsError` where they would: whoever names a trace or a
    configuration as the results file is spared the loss of it.
    """
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return
        with path.open("rb") as file:
            magic = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise ResultsError(_cannot(path, "results", error)) from error
    if magic != _SQLITE_MAGIC:
        raise ResultsError(
            f"{path}: results are not written over a file that is not a results file."
            " Remove it, or name another file"
        )


def give_name(temporary: Path, path: Path, what: str = "results") -> None:
    """Rename, once what was written is on the disk."""
    try:
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise ResultsError(_cannot(path, what, error)) from error


def _cannot(path: Path, what: str, error: OSError) -> str:
    why = error.strerror or str(error)
    return (
        f"{path}: {what} cannot be written there: {why}."
        " Name a file in a folder that exists and that you may write to"
    )
