"""A real service for tests of the commands: its own store, world, clock and HTTP interface."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from haizea.api.server import Server
from haizea.config import load
from haizea.service.paths import Paths
from haizea.service.service import Service
from haizea.store import Role, Store

CONFIGURATION = """\
[general]
mode: simulated
persistence-file: {directory}/leases.db
[simulation]
clock: real
resources: 4 CPU:400 Memory:4096
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

    def __init__(self, directory: Path, speed: int) -> None:
        self._directory = directory
        self._speed = speed
        self._port = 0
        self.token_file = directory / "state/token"
        self.url = ""

    def start(self) -> None:
        """Begin, or go on after :meth:`stop` at the same address."""
        path = self._directory / "service.conf"
        path.write_text(CONFIGURATION.format(directory=self._directory, speed=self._speed))
        config = load(path)
        listen = ("127.0.0.1", self._port)
        config = replace(config, service=replace(config.service, listen=listen))
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


@contextmanager
def real_service(directory: Path, speed: int = 1) -> Iterator[RealService]:
    """A service whose hours may pass in seconds."""
    service = RealService(directory, speed)
    service.start()
    try:
        yield service
    finally:
        service.stop()


__all__ = ["RealService", "Role", "Server", "real_service"]
