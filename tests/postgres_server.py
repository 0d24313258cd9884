"""A real PostgreSQL server for tests, which they start themselves and may treat badly.

It listens on a Unix socket in a folder of its own. Needs ``initdb`` and ``postgres`` in ``PATH``
or where Debian has them; root lends it to another user, as PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest


def _program(name: str) -> str | None:
    in_path = shutil.which(name)
    if in_path:
        # A link would not do: the programs look for their files beside themselves.
        return os.path.realpath(in_path)
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(debian[-1]) if debian else None


def _unprivileged() -> pwd.struct_passwd | None:
    """The user to run it; ``None``: this one, who is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no user to lend it to")


class PostgresServer:
    """A server with a database per caller."""

    def __init__(self) -> None:
        initdb, postgres = _program("initdb"), _program("postgres")
        initdb = initdb and str(Path(initdb).with_name("initdb"))
        postgres = postgres or (initdb and str(Path(initdb).with_name("postgres")))
        if not initdb or not postgres:
            pytest.skip("no PostgreSQL: neither in PATH nor below /usr/lib/postgresql")
        self._postgres = postgres
        self._user = _unprivileged()
        self._process: subprocess.Popen[Any] | None = None
        self._databases = 0
        # The name of a socket must be short, pytest's folders are long.
        self.folder = Path(tempfile.mkdtemp(prefix="hz-"))
        atexit.register(self._close_at_exit)
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._run([initdb, "-D", self.folder / "data", "-A", "trust", "-U", "haizea", "--no-sync"])
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command: list[str | Path] = [self._postgres, "-D", self.folder / "data"]
        # What a process wrote survives its crash without being synchronized, and sooner.
        command += ["-k", self.folder, "-h", "", "-c", "fsync=off"]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self._as_user()
            )
        self._process = process
        for _ in range(600):
            try:
                psycopg.connect(self._parameters("postgres")).close()
                return
            except psycopg.OperationalError:
                assert process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("PostgreSQL does not answer: " + (self.folder / "log").read_text())

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=60)
            self._process = None

    def restart(self) -> None:
        """Crash, and come back."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop all its processes where they are; it is there, and does nothing."""
        self._tell_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, if it is frozen."""
        self._tell_all(signal.SIGCONT)

    def _tell_all(self, number: int) -> None:
        assert self._process is not None, "it does not run"
        # The first makes the others: once it is stopped, there are no new ones.
        self._process.send_signal(number)
        for pid in _children(self._process.pid):
            # Some live but for a moment: who serves a client that hung up meanwhile.
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def new_database(self) -> str:
        """The name of a new, empty database."""
        self._databases += 1
        name = f"haizea_{self._databases}"
        with psycopg.connect(self._parameters("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    def url(self, database: str) -> str:
        """Return how a store is told where it is."""
        return f"postgresql://haizea@/{database}?host={self.folder}"

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of the test's own, in which every statement stands for itself."""
        return psycopg.connect(self._parameters(database), autocommit=True)

    def close(self) -> None:
        """End it and remove all it had."""
        atexit.unregister(self._close_at_exit)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _close_at_exit(self) -> None:
        # A process of parallel tests is not given the time to remove thousands of files.
        self.stop()
        subprocess.Popen(["rm", "-rf", self.folder], start_new_session=True)

    def _parameters(self, database: str) -> str:
        return f"host={self.folder} user=haizea dbname={database} connect_timeout=5"

    def _run(self, command: list[str | Path]) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, **self._as_user()
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {"cwd": self.folder}
        user = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return {"cwd": self.folder, **user}


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in brackets, may have spaces in it; the parent comes two words later.
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == parent:
            found.append(int(stat.parent.name))
    return found


@cache
def shared_server() -> PostgresServer:
    """One server for all tests of this process that leave it as it was."""
    return PostgresServer()
