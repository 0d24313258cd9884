"""The disk is full: nothing is answered that is not kept, and it goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from busy_clients import BusyClients, random_draft
from busy_hour import Pace, check, options, outcome
from quick_service import QuickService
from service_process import until

SPEED = 40


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "haizea-test", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(path: Path) -> None:
    """Leave no room beside this file."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def test_the_disk_is_full_for_a_while(tmp_path: Path, small_disk: Path) -> None:
    with QuickService(tmp_path / "site", options(5, SPEED), str(small_disk / "l.db")) as service:
        service.start()
        pace = Pace.of(service, SPEED)
        clients = BusyClients(3, 5, service.client, lambda: pace.at(time.time()), 0.5)
        absences = []
        clients.start()
        try:
            for full_seconds in (1.0, 3.0):
                time.sleep(2)
                gone = time.time()
                fill(small_disk / "ballast")
                until(lambda: "nothing can be kept" in service.log, "it says that it cannot write")
                time.sleep(full_seconds)
                (small_disk / "ballast").unlink()
                until(
                    lambda: (
                        service.log.count("can be written again")
                        == service.log.count("nothing can be kept")
                    ),
                    "it goes on",
                )
                absences.append((pace.at(gone), pace.at(time.time())))
        finally:
            (small_disk / "ballast").unlink(missing_ok=True)
            clients.end()
        found = outcome(service, clients.answers, absences, SPEED)
    check(found)


def test_what_waits_for_room_is_told_to_come_later(tmp_path: Path, small_disk: Path) -> None:
    """Also when it ends meanwhile: it was not answered, so nobody relies on it."""
    import random

    with QuickService(tmp_path / "site", store=str(small_disk / "l.db")) as service:
        service.start()
        client = service.client()
        status, body = client.submit(random_draft(random.Random(1), time.time(), "kept"), "a")
        assert status in {201, 409}
        fill(small_disk / "ballast")
        began = time.monotonic()
        status, told = client.submit(random_draft(random.Random(2), time.time(), "lost?"), "b")
        assert (status, told["error"]["code"]) == (503, "no-decision-yet")
        # The first one shows that nothing can be kept; the others do not wait for that.
        status, told = client.submit(random_draft(random.Random(3), time.time(), "lost"), "c")
        assert (status, told["error"]["code"]) == (503, "unavailable")
        status, told = client.call("DELETE", f"/v1/leases/{body['lease']['id']}")
        assert (status, told["error"]["code"]) == (503, "unavailable")
        assert time.monotonic() < began + 25, "30 s each, once, and later for the first"
        status, health = client.call("GET", "/health")
        assert (status, health["status"]) == (503, "not up")
        client.close()
        assert service.kill(15) == 0, service.log
        (small_disk / "ballast").unlink()
        service.start()
        client = service.client()
        leases = client.leases()
        client.close()
        assert body["lease"]["id"] in {lease["id"] for lease in leases}
        assert [lease["label"] for lease in leases] == ["kept"]
