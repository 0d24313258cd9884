"""The service itself, with its store, world and clock, for tests of the HTTP interface."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx
from api_service import PEOPLE, client_of
from real_service import RealService

from haizea.service.manager import ServiceManager
from haizea.service_types import Role


class LiveService:
    """A service in real time with a token for each of several people, on so many hosts."""

    def __init__(self, hosts: int = 8) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._real = RealService(Path(self._folder.name), 1, f"{hosts} CPU:400 Memory:8192")
        self.secrets: dict[str, str] = {}

    def __enter__(self) -> LiveService:
        self._real.start()
        for name, role in PEOPLE.items():
            self.make_token(name, role)
        return self

    def __exit__(self, *unused: object) -> None:
        self._real.stop()
        self._folder.cleanup()

    @property
    def manager(self) -> ServiceManager:
        return self._real.manager

    @property
    def url(self) -> str:
        return self._real.url

    def make_token(self, name: str, role: Role, expires: int | None = None) -> str:
        """The secret of a new token, which is in ``secrets`` too."""
        self.secrets[name] = self.manager.make_token(name, role, name, expires)[1]
        return self.secrets[name]

    def client(self, name: str | None, secret: str | None = None) -> httpx.Client:
        """A client with somebody's token, another secret, or none."""
        return client_of(self.url, secret if name is None else self.secrets[name])
