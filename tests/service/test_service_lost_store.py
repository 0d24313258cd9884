"""A store that should be there and is not, or is empty, or another's, stops the start."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres_server import shared_server
from quick_service import QuickService
from service_process import until

from haizea.backends.world import World

WHOLE_SITE = {"duration": 36_000, "nodes": [{"count": 4, "resources": {"CPU": 60, "Memory": 64}}]}
HALF = {
    "kind": "immediate",
    "duration": 36_000,
    "nodes": [{"resources": {"CPU": 60, "Memory": 64}}],
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[QuickService]:
    """A service that was killed while a lease ran on the whole site."""
    with QuickService(tmp_path / "site") as service:
        run_and_kill(service)
        yield service


def run_and_kill(service: QuickService) -> None:
    service.start()
    with closing(service.client()) as client:
        assert client.submit(WHOLE_SITE)[0] == 201
        until(lambda: client.get("/v1/leases/1")["state"] == "Active", "it runs")
        until(lambda: running(service) == {1}, "its VMs were started")
    service.kill()


def running(service: QuickService) -> set[int]:
    """The leases with VMs that run."""
    with closing(World.open(service.world)) as world:
        return {vm.lease for vm in world.vms() if vm.holds}


def remove(store: Path) -> None:
    for path in store.parent.glob(f"{store.name}*"):
        path.unlink()


def truncate(store: Path) -> None:
    with store.open("r+b") as file:
        file.truncate(0)


def cut(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with store.open("r+b") as file:
        file.truncate(8192)


def put_another_in_place(store: Path) -> None:
    with QuickService(store.parent.parent / "other") as other:
        other.start()
        other.kill(15)
        remove(store)
        shutil.copyfile(other.store, store)


LOSSES = {
    "removed": (remove, "there is no store"),
    "truncated": (truncate, "is empty"),
    "cut": (cut, "is damaged"),
    "exchanged": (put_another_in_place, "is not the one that this service used before"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_store_that_was_lost_stops_the_start(site: QuickService, loss: str) -> None:
    lose, words = LOSSES[loss]
    token = site.token
    lose(Path(site.store))
    for _ in range(2):
        site.begin()
        assert site.wait() == 2, site.log
        assert words in site.log
        assert site.store in site.log
        assert "Traceback" not in site.log
        assert site.token == token, "the token is that of the store that was lost"
    assert running(site) == {1}, "its VMs go on"


@pytest.mark.parametrize("lose", [remove, truncate, put_another_in_place])
def test_with_new_store_it_begins_anew_and_leaves_vms_alone(
    site: QuickService, lose: Callable[[Path], None]
) -> None:
    lose(Path(site.store))
    site.start("--new-store")
    assert "VMs of leases that the store does not know are left alone" in site.log
    with closing(site.client()) as client:
        status, answer = client.submit(HALF)
        assert (status, answer["lease"]["id"]) == (409, 2), "what these VMs take is not given again"
        small = {**HALF, "nodes": [{"resources": {"CPU": 40, "Memory": 64}}]}
        assert client.submit(small)[0] == 201
        until(lambda: client.get("/v1/leases/3")["state"] == "Active", "it runs")
    assert running(site) == {1, 3}
    site.kill()
    site.start()
    assert running(site) == {1, 3}
    with closing(World.open(site.world)) as world:
        assert world.incidents() == []
    site.kill()
    site.begin("--new-store")
    assert site.wait() == 2
    assert "is this service's: start without --new-store" in site.log


def test_a_new_store_in_which_nothing_was_decided_yet_is_gone_on_with(site: QuickService) -> None:
    remove(Path(site.store))
    site.start("--new-store")
    site.kill(15)
    for _ in range(2):
        site.start()
        site.kill()
    assert running(site) == {1}


def test_an_emptied_database_stops_the_start(tmp_path: Path) -> None:
    server = shared_server()
    database = server.new_database()
    with QuickService(tmp_path / "site", store=server.url(database)) as service:
        run_and_kill(service)
        with closing(server.connect(database)) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        service.begin()
        assert service.wait() == 2
        assert "is empty, though this service has used one before" in service.log
        assert running(service) == {1}
        service.start("--new-store")


def test_a_lost_state_directory_does_not_hide_that_the_store_was_lost(site: QuickService) -> None:
    """Both may be on a disk that was not mounted; the simulated site tells."""
    kept = shutil.copyfile(site.store, site.directory / "kept")
    shutil.copyfile(f"{site.store}-wal", f"{kept}-wal")
    shutil.rmtree(site.state_directory)
    remove(Path(site.store))
    for _ in range(2):
        site.begin()
        assert site.wait() == 2
        assert "is new, but there are VMs of 1 lease in" in site.log
        assert "--new-store" in site.log
    assert running(site) == {1}
    remove(Path(site.store))
    for end in ("", "-wal"):
        shutil.copyfile(f"{kept}{end}", f"{site.store}{end}")
    site.start()
    with closing(site.client()) as client:
        assert client.get("/v1/leases/1")["state"] == "Active", "it was put back"


def test_a_lost_state_directory_alone_stops_nothing(site: QuickService) -> None:
    shutil.rmtree(site.state_directory)
    site.start()
    with closing(site.client()) as client:
        assert client.get("/v1/leases/1")["state"] == "Active"


def test_a_store_from_before_stores_had_an_identity_is_taken_up(site: QuickService) -> None:
    (site.state_directory / "store").unlink()
    site.start()
    identity = (site.state_directory / "store").read_text(encoding="ascii")
    site.kill()
    site.start()
    assert (site.state_directory / "store").read_text(encoding="ascii") == identity
