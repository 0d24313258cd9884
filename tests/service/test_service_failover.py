"""A standby takes over when the manager is gone, and only one of them has the leases."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from busy_clients import BusyClients
from busy_hour import Pace, check, options, outcome
from postgres_server import PostgresServer
from quick_service import QuickService
from service_process import Client, until
from store_places import PLACES, place

LONG = os.environ.get("HAIZEA_LONG_TESTS") == "1"
SPEED = 40


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that several services can use."""
    return place(request.param, tmp_path)


@dataclass
class Pair:
    """Two services for one site; ``at_work`` is the one that serves."""

    services: list[QuickService]
    at_work: int = 0

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for service in self.services:
            service.close()

    @property
    def first(self) -> QuickService:
        """The one that serves."""
        return self.services[self.at_work]

    @property
    def other(self) -> QuickService:
        """The one that stands by."""
        return self.services[1 - self.at_work]

    def client(self) -> Client:
        """A client that goes to whichever serves. Both know the first one's token."""
        return Client(lambda: self.first.port, self.services[0].token)


def pair(directory: Path, store: str, speed: float) -> Pair:
    """Two services with state of their own, one store and one world."""
    services = []
    for name in ("one", "two"):
        service = QuickService(directory / name, store=store)
        wanted = options(7, speed)
        wanted["world"]["file"] = str(directory / "world.db")
        service.configure({**wanted, "service": {"listen": "127.0.0.1:0", "standby": "yes"}})
        service.world = directory / "world.db"
        services.append(service)
    return Pair(services)


def test_the_standby_takes_over_again_and_again(tmp_path: Path, store: str) -> None:
    with pair(tmp_path, store, SPEED) as two:
        two.first.start()
        two.other.begin()
        until(lambda: "standing by" in two.other.log, "the other stands by")
        pace = Pace.of(two.first, SPEED)
        clients = BusyClients(4, 7, two.client, lambda: pace.at(time.time()), 0.5)
        absences = []
        clients.start()
        try:
            for _ in range(6 if LONG else 2):
                time.sleep(1.5)
                assert not two.other.serving, "one alone is at work"
                gone = time.time()
                two.first.kill()
                two.other.wait_until_it_serves()
                two.at_work = 1 - two.at_work
                absences.append((pace.at(gone), pace.at(time.time())))
                two.other.begin()
                until(lambda: "standing by" in two.other.log, "the other stands by")
        finally:
            clients.end()
        assert "took over" in two.first.log
        assert two.other.kill(15) == 0, "a standby ends when it is asked to"
        found = outcome(two.first, clients.answers, absences, SPEED)
    check(found)
    assert len(found.answers.leases) > 5


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    """A server of the test's own, that it may stop."""
    server = PostgresServer()
    yield server
    server.close()


def test_postgresql_is_restarted_underneath(tmp_path: Path, postgresql: PostgresServer) -> None:
    store = postgresql.url(postgresql.new_database())
    with QuickService(tmp_path / "site", options(3, SPEED), store) as service:
        service.start()
        pace = Pace.of(service, SPEED)
        clients = BusyClients(4, 3, service.client, lambda: pace.at(time.time()), 0.5)
        absences = []
        clients.start()
        try:
            for away_seconds in (0.0, 1.0):
                time.sleep(2)
                gone = time.time()
                postgresql.stop()
                time.sleep(away_seconds)
                postgresql.start()
                until(lambda: healthy(service), "the service is at work again")
                absences.append((pace.at(gone), pace.at(time.time())))
        finally:
            clients.end()
        assert not service.ended, service.log
        found = outcome(service, clients.answers, absences, SPEED)
    check(found)
    assert len(found.answers.leases) > 5


def test_postgresql_freezes_underneath(tmp_path: Path, postgresql: PostgresServer) -> None:
    store = postgresql.url(postgresql.new_database())
    with QuickService(tmp_path / "site", options(5, SPEED), store) as service:
        service.start()
        pace = Pace.of(service, SPEED)
        clients = BusyClients(4, 5, service.client, lambda: pace.at(time.time()), 0.5)
        clients.start()
        try:
            time.sleep(2)
            gone = time.time()
            postgresql.freeze()
            try:
                until(lambda: status_of(service, "/health") == 503, "it says that it is not well")
                for path in ("/v1/leases", "/v1/leases/1", "/v1/status", "/v1/events?follow=false"):
                    assert status_of(service, path) == 503, path
                until(lambda: "nothing can be kept" in service.log, "a turn is not kept")
                assert status_of(service, "/health") == 503
            finally:
                postgresql.thaw()
            until(lambda: healthy(service), "the service is at work again")
            absences = [(pace.at(gone), pace.at(time.time()))]
            until(lambda: status_of(service, "/health") == 200, "it says that it is well")
            time.sleep(1)
        finally:
            clients.end()
        assert not service.ended, service.log
        assert "the store can be written again" in service.log
        found = outcome(service, clients.answers, absences, SPEED)
    check(found)
    assert len(found.answers.leases) > 5


def test_it_ends_when_asked_though_postgresql_is_frozen(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    store = postgresql.url(postgresql.new_database())
    with QuickService(tmp_path / "site", options(5, SPEED), store) as service:
        service.start()
        postgresql.freeze()
        try:
            assert service.kill(15) == 0, service.log
            with QuickService(tmp_path / "other", options(5, SPEED), store) as other:
                other.begin()
                assert other.wait() == 2, other.log
                assert "cannot be opened now" in other.log
        finally:
            postgresql.thaw()


def status_of(service: QuickService, path: str) -> int:
    """The status of the answer."""
    client = service.client()
    try:
        return client.call("GET", path)[0]
    finally:
        client.close()


def healthy(service: QuickService) -> bool:
    """Tell whether it says that it is well."""
    client = service.client()
    try:
        status, body = client.call("GET", "/v1/status")
        return status == 200 and body["healthy"]
    finally:
        client.close()
