"""Operation by an administrator: units, log, backup, and how far ahead is planned."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from configparser import RawConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from quick_service import QuickService
from service_process import (
    HAIZEA,
    PATIENCE_SECONDS,
    ServiceProcess,
    all_over,
    faults_of,
    moment,
    until,
    written,
)

from haizea.backends.world import World
from haizea.service.systemd import tell_ready, tell_stopping

ROOT = Path(__file__).parent.parent.parent
UNITS = ["haizea.service", "haizea-opennebula.service"]
FAST = {"world": {"speed": "30"}}


def draft(**fields: Any) -> dict[str, Any]:
    return {"duration": 60, "nodes": [{"resources": {"CPU": 100, "Memory": 64}}], **fields}


# --- units of systemd ---------------------------------------------------------------------


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit_and_finds_it_safe(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    text = (ROOT / "etc" / name).read_text(encoding="utf-8")
    copy = tmp_path / name
    # What it starts is not installed here.
    copy.write_text(text.replace("/opt/haizea/bin/haizea", "/bin/true"), encoding="utf-8")
    for command in (["verify"], ["security", "--offline=true", "--no-pager", "--threshold=25"]):
        done = subprocess.run(
            ["systemd-analyze", *command, copy], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert name not in done.stderr, done.stderr


def test_what_the_unit_does_works(tmp_path: Path) -> None:
    """Start it, tell it to read its file again, and end it, with the words of the unit."""
    parser = RawConfigParser(strict=False)
    parser.read(ROOT / "etc" / "haizea.service", encoding="utf-8")
    section = parser["Service"]
    with ServiceProcess(tmp_path) as service:
        words = shlex.split(section["ExecStart"])
        assert words[0].endswith("/haizea")
        command = [str(service.configuration) if w == "/etc/haizea.conf" else w for w in words[1:]]
        service.starts = 1
        with service.log_file.open("wb") as log:
            service.process = subprocess.Popen(
                [HAIZEA, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        service.wait_until_it_serves()
        reload = section["ExecReload"].replace("$MAINPID", str(service.process.pid))
        subprocess.run(shlex.split(reload), check=True)
        until(lambda: "read again" in service.log, "it has read its file")
        assert service.kill(signal.SIGTERM) == 0, service.log


class Systemd:
    """The part of systemd for a service of ``Type=notify``: it listens to what it is told."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(address.replace("@", "\0"))
        self._channel.settimeout(PATIENCE_SECONDS)

    def hear(self) -> dict[str, str]:
        """The next message, waited for."""
        text = self._channel.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def close(self) -> None:
        """Listen no more."""
        self._channel.close()


def test_systemd_is_told_when_it_answers_and_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unit in UNITS:
        assert "\nType=notify\n" in (ROOT / "etc" / unit).read_text(encoding="utf-8")
    with closing(Systemd(str(tmp_path / "notify"))) as systemd, ServiceProcess(tmp_path) as service:
        monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
        service.begin()
        told = systemd.hear()
        assert told["READY"] == "1"
        assert re.fullmatch(r"at work on http://127\.0\.0\.1:\d+", told["STATUS"])
        assert httpx.get(f"{told['STATUS'].split()[-1]}/health").json() == {"status": "up"}
        assert service.kill(signal.SIGTERM) == 0
        assert systemd.hear() == {"STOPPING": "1"}


def test_a_standby_has_started_when_it_stands_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(f"@haizea-test-{os.getpid()}-{tmp_path.name}")
    first = ServiceProcess(tmp_path / "first")
    standby = {"service": {"standby": "yes"}, "world": {"file": str(first.world)}}
    second = ServiceProcess(tmp_path / "second", standby, store=first.store)
    with closing(systemd), first, second:
        first.start()
        monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
        second.begin()
        told = systemd.hear()
        assert told["READY"] == "1"
        assert told["STATUS"].startswith("standing by: ")
        first.kill()
        assert systemd.hear()["STATUS"].startswith("at work on ")


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/at/all"])
def test_where_no_systemd_listens_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    tell_ready("at work")
    tell_stopping()


# --- the log ------------------------------------------------------------------------------


def test_every_state_of_every_lease_is_a_line_of_the_log(tmp_path: Path) -> None:
    options = {"service": {"log-format": "json"}, **FAST}
    with QuickService(tmp_path, options) as service:
        service.start()
        client = service.client()
        for number in range(12):
            client.submit(draft(duration=60 + 30 * number, nodes=draft()["nodes"] * (1 + number)))
        until(lambda: all_over(client.leases("all=false")), "every lease is over")
        events = client.call("GET", "/v1/events?after=0&follow=false")[1]
        client.close()
        assert service.kill(signal.SIGTERM) == 0
        lines = [json_of(line) for line in service.log.splitlines()]
    told = [json_of(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    wanted = [(e["lease"], e["state"]) for e in told if e["kind"] == "state"]
    assert {state for _, state in wanted} >= {"Active", "Done", "Rejected"}
    assert [(li["lease"], li["state"]) for li in lines if "state" in li] == wanted


def json_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


# --- backup -------------------------------------------------------------------------------


def test_a_backup_that_is_put_back_goes_on(tmp_path: Path) -> None:
    """Restore as docs/service.md says: what was asked for since is not known."""
    with QuickService(tmp_path, FAST) as service:
        service.start()
        client = service.client()
        known = [client.submit(draft(duration=1200))[1]["lease"]["id"] for _ in range(2)]
        soon = written(moment(client.get("/v1/status")["now"]) + 900)
        known.append(client.submit(draft(start=soon))[1]["lease"]["id"])
        until(lambda: client.get("/v1/leases/2")["state"] == "Active", "they run")
        copy = tmp_path / "leases-backup.db"
        with (
            closing(sqlite3.connect(service.store)) as source,
            closing(sqlite3.connect(copy)) as to,
        ):
            source.backup(to)
        later = client.submit(draft(duration=1200, label="later"))[1]["lease"]["id"]
        until(lambda: client.get(f"/v1/leases/{later}")["state"] == "Active", "the third runs")
        assert service.kill(signal.SIGTERM) == 0
        shutil.copyfile(copy, service.store)
        service.start()
        assert [lease["id"] for lease in client.leases()] == known
        with closing(World.open(service.world)) as world:
            assert {vm.lease for vm in world.vms() if vm.there} == {1, 2, later}
        again = client.submit(draft(label="after"))[1]["lease"]["id"]
        assert again not in {*known, later}
        until(lambda: all_over(client.leases("all=false")), "every lease is over")
        assert {lease["state"] for lease in client.leases()} == {"Done"}
        client.close()
        assert service.kill(signal.SIGTERM) == 0
        assert faults_of(service.save_results()) == []


# --- results ------------------------------------------------------------------------------


def test_delays_that_were_asked_for_are_no_faults_of_the_schedule(tmp_path: Path) -> None:
    options = {
        "world": {"speed": "60", "delays": "migrate:1", "longest-delay": "20"},
        "simulation": {"resources": "2 CPU:100 Memory:1024"},
        "scheduling": {"suspension": "all", "migration": "yes"},
    }
    whole = [{"resources": {"CPU": 100, "Memory": 1024}}]
    with QuickService(tmp_path, options) as service:
        service.start()
        client = service.client()
        client.submit(draft(nodes=whole, duration=300, preemptible=True))
        client.submit(draft(nodes=whole, duration=240, preemptible=False))
        until(lambda: client.get("/v1/leases/2")["state"] == "Active", "both run")
        soon = written(moment(client.get("/v1/status")["now"]) + 150)
        client.submit(draft(nodes=whole, start=soon, duration=600))
        until(lambda: all_over(client.leases("all=false")), "every lease is over")
        story = [step["state"] for step in client.get("/v1/leases/1")["story"]]
        client.close()
        assert "Migrating" in story
        assert faults_of(service.save_results()) == []


# --- how far ahead ------------------------------------------------------------------------


def test_nothing_is_reserved_closer_than_the_interval(tmp_path: Path) -> None:
    options = {"scheduling": {"non-schedulable-interval": "120"}}
    with QuickService(tmp_path, options) as service:
        service.start()
        client = service.client()
        # A second or two may pass until it is decided.
        now = time.time()
        status, near = client.submit(draft(start=written(now + 110)))
        assert (status, near["outcome"], near["lease"]["code"]) == (409, "rejected", "too-soon")
        assert "120 s ahead" in near["lease"]["reason"]
        assert moment(near["offer"]) >= now + 119
        status, far = client.submit(draft(start=written(now + 180)))
        assert (status, far["outcome"]) == (201, "accepted"), far
        # What can start at once does.
        assert client.submit(draft(start="now"))[0] == 201
        assert client.submit(draft())[1]["lease"]["state"] in {"Active", "Scheduled", "Ready"}
        client.close()


def test_a_start_that_is_proposed_can_be_asked_for_a_while(tmp_path: Path) -> None:
    """Keep a start that was as near as can be: two seconds later it was too near."""
    options = {"scheduling": {"non-schedulable-interval": "10"}}
    with QuickService(tmp_path, options) as service:
        service.start()
        client = service.client()
        for start in ("2026-01-01T00:00:00Z", written(time.time() + 5)):
            before = time.time()
            status, rejected = client.submit(draft(start=start))
            assert status == 409
            assert moment(rejected["offer"]) >= int(before) + 70
            assert moment(rejected["offer_until"]) == moment(rejected["offer"]) - 10
        # The time it takes to copy a line.
        time.sleep(2)
        status, accepted = client.submit(draft(start=rejected["offer"]))
        assert (status, accepted["lease"]["start"]) == (201, rejected["offer"])
        assert "offer_until" in accepted
        # And so can the one that is proposed in place of a change.
        path, before = f"/v1/leases/{accepted['lease']['id']}", time.time()
        status, refused = client.call("PATCH", path, {"start": "+1"})
        assert (status, refused["granted"]) == (409, False)
        assert moment(refused["offer"]) >= int(before) + 70
        assert moment(refused["offer_until"]) == moment(refused["offer"]) - 10
        time.sleep(2)
        status, changed = client.call("PATCH", path, {"start": refused["offer"]})
        assert (status, changed["lease"]["start"]) == (200, refused["offer"])
        client.close()
