"""A service that starts in a fraction of the time: a fork of a process that has imported it all.

From then on it is a process like any other, with files, connections and signals of its own.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from service_process import Running, ServiceProcess

#: Of so many starts of this process, one is of the command itself.
_COMMAND_EACH = 10
_starts = itertools.count()

_FORKS = multiprocessing.get_context("forkserver")
#: This brings all that a service needs in its first moments.
_FORKS.set_forkserver_preload(
    [
        "haizea.cli.commands",
        "haizea.cli.main",
        "haizea.cli.service_command",
        "haizea.service.daemon",
        "haizea.service.backends",
        "haizea.backends.opennebula.backend",
        "haizea.backends.world",
        "haizea.store.migrations",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite.pysqlite",
    ]
)


class Forked:
    """A forked process that calls a function, to be used as one of :mod:`subprocess`.

    What it prints is in ``log``.
    """

    def __init__(self, function: Callable[..., None], arguments: Sequence[Any], log: Path) -> None:
        log.touch()
        begin = (function, arguments, str(log), dict(os.environ))
        self._process = _FORKS.Process(target=_begin, args=begin)
        self._process.start()
        assert self._process.pid is not None, "it was started"
        self.pid = self._process.pid

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it is there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait until it has ended; its exit status."""
        self._process.join(seconds)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("haizea", seconds)
        return status

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        return self._process.exitcode


class QuickService(ServiceProcess):
    """The service, nearly always as a fork."""

    def launch(self, arguments: Sequence[str | Path]) -> Running:
        """Start it as a fork, or as the command."""
        if next(_starts) % _COMMAND_EACH == 0:
            return super().launch(arguments)
        words = [str(word) for word in arguments]
        return Forked(become, [words], self.log_file)


def _begin(
    function: Callable[..., None], arguments: Sequence[Any], log: str, variables: dict[str, str]
) -> None:
    """Call a function in a session of its own, with these variables of the environment."""
    os.setsid()
    # Those of the process that is forked are of whoever was the first to start one.
    os.environ.clear()
    os.environ.update(variables)
    into = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, number in ((nothing, 0), (into, 1), (into, 2)):
        os.dup2(source, number)
    function(*arguments)


def become(words: list[str]) -> None:
    """Go on as ``haizea`` with these words."""
    from haizea.cli.main import main

    sys.argv = ["haizea", *words]
    main()
