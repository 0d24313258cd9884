"""The service's own files, readable by its user alone."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from haizea.files import write_private


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of a service's own files."""

    directory: Path

    @staticmethod
    def of(state_directory: Path) -> Paths:
        """Paths in the directory that a configuration names."""
        return Paths(state_directory.expanduser())

    @property
    def token(self) -> Path:
        """The secret of the first token."""
        return self.directory / "token"

    @property
    def mark(self) -> Path:
        """The identity of the store that belongs to the service."""
        return self.directory / "store"

    @property
    def pid(self) -> Path:
        """The process id of the service that runs."""
        return self.directory / "haizea.pid"

    @property
    def lock(self) -> Path:
        """Locked while a service uses the directory."""
        return self.directory / "lock"

    @property
    def log(self) -> Path:
        """The log of a detached service, where the configuration names none."""
        return self.directory / "haizea.log"

    def prepare(self) -> str:
        """Make the directory; answers what is wrong with one that is there, or nothing.

        Raises :class:`OSError`.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.directory.stat()
        if found.st_mode & 0o022:
            mode = stat.S_IMODE(found.st_mode)
            return (
                f"others can write in the state directory {self.directory} (mode {mode:04o}), and"
                f" put a token of theirs there: chmod 700 {self.directory}"
            )
        if found.st_uid not in (0, os.geteuid()):
            return (
                f"the state directory {self.directory} is another user's, who can put a token"
                " there: chown it to the user that runs Haizea"
            )
        return ""

    def has_token(self) -> bool:
        """Tell whether the file has a secret. Raises :class:`OSError`."""
        return bool(_content(self.token))

    def write_token(self, secret: str) -> None:
        """Keep the secret where its user alone can read it. Raises :class:`OSError`."""
        write_private(self.token, secret + "\n")

    def remove_token(self) -> None:
        """The secret is good for nothing any more. Raises :class:`OSError`."""
        self.token.unlink(missing_ok=True)

    def read_mark(self) -> str:
        """The identity of the store that belongs to the service; empty if none was kept.

        Raises :class:`OSError`.
        """
        return _content(self.mark).decode(errors="replace")

    def write_mark(self, identity: str) -> None:
        """Keep the identity of the store. Raises :class:`OSError`."""
        write_private(self.mark, identity + "\n")

    def write_pid(self) -> None:
        """Keep the number of this process. Raises :class:`OSError`."""
        self.remove_pid()
        # Made anew, so that it is written nowhere else, whatever was in its place.
        handle = os.open(self.pid, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")

    def remove_pid(self) -> None:
        """This process is no service any more."""
        self.pid.unlink(missing_ok=True)

    def read_pid(self) -> int | None:
        """The process that is, or was, the service."""
        try:
            text = self.pid.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return int(text) if text.isdigit() and len(text) < 10 else None


def _content(path: Path) -> bytes:
    """Read a file: a disk that is full, or a machine that lost its power, may leave it
    empty or with zeros alone."""
    try:
        return path.read_bytes().strip(b"\0 \t\r\n")
    except FileNotFoundError:
        return b""
