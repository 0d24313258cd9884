"""The old names of the commands that ask a service, with their old options."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from real_service import RealService, real_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("service")) as running:
        yield running


def old(service: RealService, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """An old command; the service is named with its old option."""
    function = name.removeprefix("haizea-").replace("-", "_")
    code = f"import sys; sys.argv[0] = {name!r}; from haizea.cli.legacy import {function} as f; f()"
    return subprocess.run(
        [sys.executable, "-c", code, *options, "-s", service.url],
        env={**os.environ, "HAIZEA_TOKEN": service.secret},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_lease_from_request_to_cancellation(service: RealService) -> None:
    nodes = ["-n", "2", "-c", "1", "-m", "1024", "-i", "foobar.img", "-z", "600"]
    asked = [
        *[["-t", "best_effort", "-d", "01:00:00", "--non-preemptible"]],
        *[["-t", "now", "-d", "unlimited", "--preemptible"]],
        *[["-t", "+01:00:00:00", "-d", "00:10:00"], ["-t", "2100-01-01 12:00:00", "-d", "60"]],
    ]
    for options in asked:
        done = old(service, "haizea-request-lease", *options, *nodes)
        assert done.returncode == 0, done.stderr
    listed = old(service, "haizea-list-leases")
    assert len(listed.stdout.splitlines()) == 5
    leases = service.json("list")["leases"][::-1]
    assert [lease["kind"] for lease in leases] == ["best-effort", "immediate", "ar", "ar"]
    assert [lease["preemptible"] for lease in leases] == [False, True, False, False]
    assert [lease["duration"] for lease in leases] == [3600, None, 600, 60]
    assert leases[0]["nodes"] == [{"count": 2, "resources": {"CPU": 100, "Memory": 1024}}]
    assert leases[0]["image"] == {"name": "foobar.img", "size_mb": 600}
    done = old(service, "haizea-cancel-lease", "-l", str(leases[2]["id"]))
    assert done.stdout == f"Lease {leases[2]['id']} is Cancelled.\n"


def test_hosts_and_queue(service: RealService) -> None:
    assert "host-4" in old(service, "haizea-list-hosts").stdout
    assert old(service, "haizea-show-queue").stdout == "Nothing waits.\n"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("haizea-request-lease", "Ask for a lease"),
        ("haizea-cancel-lease", "Cancel leases"),
        ("haizea-list-leases", "List leases"),
        ("haizea-list-hosts", "List the hosts"),
        ("haizea-show-queue", "Show the queue"),
    ],
)
def test_help_and_wrong_use(service: RealService, name: str, command: str) -> None:
    done = old(service, name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {name} ")
    assert command in done.stdout
    done = old(service, name, "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
