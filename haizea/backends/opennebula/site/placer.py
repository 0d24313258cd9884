"""A placer for OpenNebula 7: places nothing, and wakes Haizea at once.

OpenNebula starts the placer's programs where VMs wait, as its own user. They send a byte to a
socket in Haizea's state directory, which that user alone can reach, and answer an empty plan.
They need no package, hold no secret, and never keep OpenNebula waiting.
"""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import re
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)

SOCKET_NAME = "wake"

#: The name of a socket is no longer than this on every system.
_LONGEST_SOCKET_BYTES = 100
_MARK = "haizea opennebula install-driver"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WAIT_SECONDS = 0.5
#: As the program has it.
_WAKE_LINE = re.compile(r"""^WAKE = ('[^'\\]*'|"[^"\\]*")$""", re.MULTILINE)

_PROGRAM = '''\
#!/usr/bin/env python3
"""Wakes Haizea and leaves it all placing. Written by '{mark}'."""

import os
import socket
import sys

WAKE = {wake!r}


def wake():
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(b"1", WAKE)
    except OSError:
        # Haizea does not run, or was woken already: it looks by itself.
        pass


def take_in():
    """The request is one line, which is of no interest."""
    try:
        while True:
            part = os.read(0, 1 << 16)
            if not part or b"\\n" in part:
                return
    except OSError:
        pass


def main():
    wake()
    take_in()
    plan = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].isdigit() else "-1"
    try:
        os.write(1, ("<PLAN><ID>%s</ID></PLAN>\\n" % plan).encode())
    except OSError:
        pass


main()
'''


class PlacerError(Exception):
    """The placer cannot be installed; in words."""


def install_placer(directory: Path, wake: Path) -> None:
    """Write ``place`` and ``optimize`` into ``directory``, which is made if need be.

    ``wake`` is the socket of :class:`WakeUps`. What is there already and is not Haizea's
    stays. Raises :class:`PlacerError`.
    """
    if not _NAME.fullmatch(directory.name):
        raise PlacerError(f"{directory}: its last part is the placer's name: write letters, digits")
    if not wake.is_absolute():
        raise PlacerError(f"{wake}: the socket's path must begin with /")
    _check_length(wake)
    text = _PROGRAM.format(mark=_MARK, wake=str(wake))
    programs = [directory / name for name in ("place", "optimize")]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for program in programs:
            if program.exists() and _MARK not in program.read_text("utf-8", errors="replace"):
                raise PlacerError(
                    f"{program} is there already, and is not Haizea's: choose another directory"
                )
        for program in programs:
            beside = program.with_name(f".{program.name}.new")
            beside.write_text(text, encoding="utf-8")
            beside.chmod(0o755)
            beside.replace(program)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PlacerError(f"{error.filename or directory}: {reason.lower()}") from None


def knocks_at(directory: Path) -> Path | None:
    """The socket at which the placer in a directory knocks; ``None`` where it is not Haizea's."""
    try:
        text = (directory / "place").read_text("utf-8", errors="replace")
    except OSError:
        return None
    found = _WAKE_LINE.search(text)
    return Path(ast.literal_eval(found[1])) if _MARK in text and found is not None else None


def lines_for_oned(name: str) -> str:
    """The lines that ``oned.conf`` needs for a placer of this name."""
    return (
        "SCHED_MAD = [\n"
        '    EXECUTABLE = "one_sched",\n'
        f'    ARGUMENTS  = "-t 15 -p {name} -o {name}" ]\n'
    )


class WakeUps:
    """Listens at a socket, and calls ``wake`` from a thread of its own when somebody knocks.

    Many knocks at once are one call. What is sent does not matter. Raises
    :class:`PlacerError` where it cannot listen; a socket that was left there is replaced.
    """

    def __init__(self, path: Path, wake: Callable[[], None]) -> None:
        _check_length(path)
        self._path = path
        self._wake = wake
        self._closing = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            _remove_socket(path)
            self._socket.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            self._socket.close()
            raise PlacerError(f"{path}: {(error.strerror or str(error)).lower()}") from None
        self._socket.settimeout(_WAIT_SECONDS)
        self._thread = threading.Thread(target=self._listen, name="wake-ups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no longer."""
        self._closing.set()
        self._thread.join()
        self._socket.close()
        with contextlib.suppress(OSError):
            _remove_socket(self._path)

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                self._socket.recv(64)
                self._take_the_rest()
            except TimeoutError:
                continue
            except OSError as error:
                _log.warning("OpenNebula's placer wakes Haizea no longer: %s", error)
                return
            self._wake()

    def _take_the_rest(self) -> None:
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(64)
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(_WAIT_SECONDS)


def _check_length(path: Path) -> None:
    if len(os.fsencode(path)) > _LONGEST_SOCKET_BYTES:
        raise PlacerError(
            f"{path} is too long for a socket: choose a state-directory with a shorter path"
        )


def _remove_socket(path: Path) -> None:
    """A socket that nobody listens at stays in its directory; nothing else is removed."""
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        pass
