"""A real service for tests: its own store, world, clock and HTTP interface."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from haizea.cli.access import Token, parse_server
from haizea.cli.client import Client
from haizea.cli.commands import cli
from haizea.config import load
from haizea.core.model.reasons import Code, because
from haizea.service.manager import ServiceManager
from haizea.service.paths import Paths
from haizea.service.service import Service
from haizea.service_types import LeaseQuery
from haizea.store import Role, Store

CONFIGURATION = """\
[general]
mode: simulated
persistence-file: {directory}/leases.db
[simulation]
clock: real
resources: {resources}
[scheduling]
policy-preemption: ar-preempts-everything
suspension: all
backfilling: aggressive
non-schedulable-interval: 1
[service]
listen: 127.0.0.1:0
state-directory: {directory}/state
[world]
file: {directory}/world.db
speed: {speed}
"""


class RealService:
    """A service that runs in a thread. ``url`` is where it is, ``token_file`` an operator's."""

    def __init__(
        self, directory: Path, speed: int, resources: str = "4 CPU:400 Memory:4096", **options: Any
    ) -> None:
        self._directory = directory
        self._speed = speed
        self._resources = resources
        self._options = options
        self._port = 0
        self.token_file = directory / "state/token"
        self.url = ""

    def start(self) -> None:
        """Begin, or go on after :meth:`stop` at the same address."""
        path = self._directory / "service.conf"
        path.write_text(
            CONFIGURATION.format(
                directory=self._directory, speed=self._speed, resources=self._resources
            )
        )
        config = load(path)
        listen = ("127.0.0.1", self._port)
        config = replace(config, service=replace(config.service, listen=listen, **self._options))
        paths = Paths(self._directory / "state")
        paths.prepare()
        self._store = Store.open(str(self._directory / "leases.db"))
        assert self._store.lock(wait=False, stopped=lambda: False)
        logger = logging.getLogger("haizea.test")
        logger.setLevel(logging.CRITICAL)
        self._service = Service(config, self._store, paths, logger)
        self._service.start()
        self._thread = threading.Thread(target=self._service.run, name="service")
        self._thread.start()
        self.url = self._service.url
        self._port = int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """End as a service ends."""
        self._service.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._service.close()
        self._store.close()

    def token(self, name: str, role: Role, owner: str | None = None) -> Path:
        """A file with a token of this name."""
        _, secret = self._store.tokens.create(name, role, owner or name)
        path = self._directory / f"{name}.token"
        path.touch(mode=0o600)
        path.write_text(secret + "\n")
        return path

    @property
    def store_file(self) -> Path:
        """The database that it keeps everything in."""
        return self._directory / "leases.db"

    @property
    def manager(self) -> ServiceManager:
        """The address of its HTTP interface."""
        return self._service.manager

    def cancel_all(self) -> None:
        """Cancel every lease that is not over."""
        manager, reason = self.manager, because(Code.CANCELLED_BY_OWNER)
        everybody = manager.leases(LeaseQuery(limit=100_000))
        for answer in [manager.cancel(lease.id, reason) for lease in everybody]:
            answer.result(20)

    def client(self, **options: Any) -> Client:
        """Return what the commands ask the service with."""
        token = Token(secret=self.token_file.read_text().strip(), source="a test")
        return Client(server=parse_server(self.url), token=token, **options)

    def run(self, *args: str, token: Path | None = None, **options: Any) -> Result:
        """``haizea`` with these arguments, by default with the operator's token."""
        return haizea(self.url, token or self.token_file, *args, **options)

    def json(self, *args: str, token: Path | None = None, status: int = 0) -> Any:
        """Return what ``haizea ... --output json`` prints."""
        result = self.run(*args, "--output", "json", token=token)
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    def environment(self) -> dict[str, str]:
        """For a process that asks the service."""
        return {**os.environ, "HAIZEA_SERVER": self.url, "HAIZEA_TOKEN": self.secret}

    @property
    def secret(self) -> str:
        """The operator's token."""
        return self.token_file.read_text().strip()


def haizea(server: str, token: Path | None, *args: str, **options: Any) -> Result:
    """``haizea`` with these arguments, for a server and with a token's file."""
    environment = {"HAIZEA_SERVER": server, "HAIZEA_TOKEN": None, "HAIZEA_CA_FILE": None}
    given = ["--token-file", str(token)] if token is not None else []
    return CliRunner().invoke(cli, [*args, *given], env=environment, **options)


@contextmanager
def real_service(directory: Path, speed: int = 1, **options: Any) -> Iterator[RealService]:
    """A service whose hours may pass in seconds, with other options of ``[service]``."""
    service = RealService(directory, speed, **options)
    service.start()
    try:
        yield service
    finally:
        service.stop()


class BadNetwork:
    """A way to a service on which connections break off.

    Of the first connections, each gives back so many bytes of the answer as ``passed`` says
    and is closed then; later ones are whole.
    """

    def __init__(self, url: str, passed: list[int]) -> None:
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._passed = list(passed)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0

    def __enter__(self) -> BadNetwork:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for end in [self._listening, *self._open]:
            end.close()

    def _begin(self, work: Any, *args: Any) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self.connections += 1
                far = socket.create_connection(self._target)
                self._open += [near, far]
                left = self._passed.pop(0) if self._passed else None
                self._begin(self._pass_on, near, far, None)
                self._begin(self._pass_on, far, near, left)

    def _pass_on(self, source: socket.socket, to: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while left is None or left > 0:
                content = source.recv(65536)
                if not content:
                    break
                to.sendall(content if left is None else content[:left])
                left = None if left is None else left - len(content)
            if left == 0:
                # The answer to what was sent is on its way: it is lost, not the request.
                source.recv(1)
        for end in (source, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


__all__ = ["BadNetwork", "RealService", "Role", "haizea", "real_service"]
