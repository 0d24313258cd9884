"""Watching OpenNebula: by event, by looking now and then, as the zone's leader."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from opennebula_service import Site, as_oneadmin, site
from opennebula_tap import tapped_site

from haizea.backends.opennebula.model.pools import read_configuration
from haizea.backends.opennebula.wire.events import events_address
from haizea.cli.commands import cli
from haizea.core.model.lifecycle import State
from haizea.sandbox.server import Options, Sandbox

POOLS = (
    *("one.hostpool.info", "one.vmpool.infoextended", "one.vmpool.info"),
    *("one.hostpool.monitoring", "one.datastorepool.info", "one.clusterpool.info"),
)
FOLLOWER, LEADER = 2, 3
SELDOM = 86400


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pause(cloud: Site, seconds: float) -> None:
    """Let so much of their time pass."""
    before = cloud.now()
    cloud.until(lambda: cloud.now() > before + seconds, seconds=seconds + 600)


def steady(count: Callable[[], Counter[str]]) -> Counter[str]:
    """The calls so far, once the first looks are over."""
    seen = count()
    while True:
        time.sleep(1.0)
        now = count()
        if all(now[name] == seen[name] for name in POOLS):
            return now
        seen = now


# --- events -------------------------------------------------------------------------------


def test_an_event_of_a_vm_is_handled_without_asking_for_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tapped_site(tmp_path, monkeypatch, hosts=2, speed=10, wakeup=SELDOM) as cloud:
        first = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until_state(first, "RUNNING")
        before = steady(cloud.tap.counted)
        submitted = cloud.now()
        second = cloud.submit(cpu=8, start="best_effort", duration="00:00:20")
        cloud.until_state(second, "RUNNING")
        assert cloud.came_to(second, "PROLOG")[0] - submitted <= 10, "a second, by their clock 10"
        third = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until_state(second, "DONE")
        cloud.until_state(third, "RUNNING")
        cloud.call("one.vm.action", "terminate-hard", first)
        cloud.until(lambda: cloud.lease(first).state is State.DONE)
        made = cloud.tap.counted() - before
        assert not {name: made[name] for name in POOLS if made[name]}
        assert made["one.vmpool.infoset"] > 0


def test_an_event_of_a_host_asks_for_that_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tapped_site(tmp_path, monkeypatch, hosts=2, speed=10, wakeup=SELDOM) as cloud:
        first = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until_state(first, "RUNNING")
        before = steady(cloud.tap.counted)
        here = cloud.host(first)
        assert here is not None
        cloud.call("one.host.status", 1 - here, 1)
        cloud.until(lambda: cloud.tap.counted()["one.host.info"] > before["one.host.info"])
        second = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until(lambda: cloud.has_lease(second))
        pause(cloud, 10)
        assert cloud.state(second) == "PENDING"
        cloud.call("one.host.status", 1 - here, 0)
        cloud.until_state(second, "RUNNING")
        made = cloud.tap.counted() - before
        assert not {name: made[name] for name in POOLS if made[name]}


@pytest.mark.parametrize("version", ["1.4.0", "6.10.5", "7.4.0"])
def test_where_events_are_is_found_in_opennebulas_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    cloud = Site(tmp_path, hosts=1, speed=10, version=version, wakeup=20)
    as_oneadmin(tmp_path, monkeypatch)
    cloud.events = "auto"
    cloud.sandbox.start()
    port = cloud.sandbox.port
    # It can be asked only later.
    cloud.sandbox.stop()
    try:
        cloud.start_haizea()
        time.sleep(0.5)
        cloud.sandbox.start()
        assert cloud.sandbox.port == port
        first = cloud.submit(cpu=8, start="best_effort", duration="00:00:30")
        cloud.until_state(first, "DONE")
        if version == "1.4.0":
            return  # It has none.
        pause(cloud, 60)
        times = []
        for _ in range(5):
            submitted = cloud.now()
            vm = cloud.submit(cpu=1, start="best_effort", duration="01:00:00")
            cloud.until_state(vm, "RUNNING")
            times.append(cloud.came_to(vm, "PROLOG")[0] - submitted)
        assert max(times) <= 10, "a second, by their clock 10"
    finally:
        cloud.close()


@pytest.mark.parametrize("conf", [True, False])
def test_a_check_finds_them_there_too(tmp_path: Path, conf: bool) -> None:
    with Sandbox(Options(version="7.4.0", submit_on_hold=True)) as sandbox:
        (tmp_path / "auth").write_text(sandbox.session)
        (tmp_path / "haizea.conf").write_text(
            "[general]\nmode: opennebula\n[opennebula]\nhost: localhost\n"
            f"port: {sandbox.port}\nvm-states: hold\n"
        )
        where = ["-c", str(tmp_path / "haizea.conf")] if conf else ["--endpoint", sandbox.url]
        command = ["opennebula", "check", *where, "--one-auth", str(tmp_path / "auth")]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
        host = "localhost" if conf else "127.0.0.1"
        assert f"publishes them at tcp://{host}:{sandbox.events_port}\n" in done.output


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ("-p 2111 -l 2112 -b 127.0.0.1", "tcp://one:2111"),
        ("-l 2112", "tcp://one:2101"),
        ("-p", "tcp://one:2101"),
        ("", "tcp://one:2101"),
        (None, "tcp://one:2101"),
    ],
)
def test_ports_of_events(arguments: str | None, address: str) -> None:
    vector = "" if arguments is None else f"<HM_MAD><ARGUMENTS>{arguments}</ARGUMENTS></HM_MAD>"
    answer = f"<OPENNEBULA_CONFIGURATION>{vector}</OPENNEBULA_CONFIGURATION>"
    assert events_address("tcp://one:auto", read_configuration(answer)) == address
    assert events_address("tcp://one:7", read_configuration(answer)) == "tcp://one:7"


@pytest.mark.parametrize("events", ["", "none"])
def test_without_events_everything_is_looked_at_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: str
) -> None:
    """Nobody is there where events should come from, or none are wanted."""
    cloud = Site(tmp_path, hosts=1, speed=40, events=False)
    as_oneadmin(tmp_path, monkeypatch)
    cloud.events = events or f"tcp://127.0.0.1:{free_port()}"
    try:
        cloud.start()
        pause(cloud, 60)
        submitted = cloud.now()
        vm = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until_state(vm, "RUNNING")
        assert cloud.came_to(vm, "PROLOG")[0] - submitted <= 30 + 40, "an interval, and a second"
        waits = cloud.submit(cpu=8, start="best_effort", duration="00:01:00")
        cloud.until(lambda: cloud.has_lease(waits))
        cloud.call("one.vm.action", "terminate-hard", vm)
        cloud.until_state(waits, "RUNNING")
        assert cloud.came_to(waits, "PROLOG")[0] - cloud.came_to(vm, "DONE")[0] <= 30 + 40
        cloud.until_state(waits, "DONE")
    finally:
        cloud.close()


def test_all_events_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=40) as cloud:
        cloud.sandbox.control.chances(lose_event=1.0)
        vms = [cloud.submit(cpu=8, start="best_effort", duration="00:01:00") for _ in range(3)]
        for vm in vms:
            cloud.until_state(vm, "DONE")
        booked = cloud.submit(cpu=8, start="+00:02:00", duration="00:01:00")
        start = cloud.now() + 120
        cloud.until_state(booked, "RUNNING")
        assert cloud.came_to(booked, "PROLOG")[0] <= start + cloud.slack
        cloud.assert_no_overload()


# --- OpenNebula is away -------------------------------------------------------------------


def test_oned_is_down_for_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2, speed=900) as cloud:
        ends = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        endless = cloud.submit(cpu=8)
        for vm in (ends, endless):
            cloud.until_state(vm, "RUNNING", seconds=9000)
        waits = cloud.submit(cpu=8, start="best_effort", duration="00:30:00")
        later = cloud.submit(cpu=8, start="+04:00:00", duration="00:30:00")
        missed = cloud.submit(cpu=8, start="+02:00:00", duration="00:30:00")
        cloud.until(lambda: all(cloud.has_lease(vm) for vm in (waits, later, missed)), seconds=9000)
        cloud.until(lambda: cloud.lease(endless).state is State.ACTIVE, seconds=9000)
        cloud.sandbox.stop()
        pause(cloud, 2.5 * 3600)
        assert cloud.at_work
        assert cloud.lease(endless).state is State.ACTIVE
        assert cloud.lease(ends).state is not State.FAILED
        cloud.sandbox.start()
        for vm in (ends, waits, later):
            cloud.until_state(vm, "DONE", seconds=20 * 3600)
        cloud.until(lambda: cloud.lease(missed).over, seconds=9000)
        assert cloud.lease(missed).state is State.DONE or cloud.lease(missed).reason
        assert cloud.state(endless) == "RUNNING"
        assert len(cloud.came_to(endless, "BOOT")) == 1
        cloud.assert_no_overload()


# --- a zone of several servers ------------------------------------------------------------


def test_only_the_leader_of_a_zone_is_given_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Site(tmp_path, hosts=1, speed=40)
    as_oneadmin(tmp_path, monkeypatch)
    control = cloud.sandbox.control
    control.set_raft_state(FOLLOWER)
    try:
        cloud.start()
        first = cloud.submit(cpu=8, start="best_effort", duration="00:02:00")
        pause(cloud, 120)
        assert cloud.state(first) == "PENDING"
        assert not cloud.leases()
        assert "not the leader of its zone" in caplog.text
        assert {command.method for command in control.commands()} == {"one.vm.allocate"}
        control.set_raft_state(LEADER)
        cloud.until_state(first, "RUNNING")
        control.set_raft_state(FOLLOWER)
        sent = len(control.commands())
        waits = cloud.submit(cpu=8, start="best_effort", duration="00:01:00")
        pause(cloud, 240)
        methods = [command.method for command in control.commands()[sent:]]
        # What was decided before it was known may still be sent; nothing later is.
        pause(cloud, 120)
        assert [c.method for c in control.commands()[sent:]] == methods
        assert cloud.state(waits) == "PENDING"
        control.set_raft_state(LEADER)
        cloud.until_state(waits, "DONE")
        cloud.until_state(first, "DONE")
        assert cloud.lease(first).state is State.DONE
        cloud.assert_no_overload()
    finally:
        cloud.close()


# --- the placer ---------------------------------------------------------------------------


def test_a_placer_wakes_haizea_where_there_are_no_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(
        tmp_path,
        monkeypatch,
        hosts=1,
        speed=1,
        version="7.4.0",
        events=False,
        wakeup=SELDOM,
    ) as cloud:
        configured = tmp_path / "placer.conf"
        configured.write_text(
            "[general]\nmode: opennebula\n[opennebula]\nhost: 127.0.0.1\n"
            f"[service]\nstate-directory: {tmp_path / 'state'}\n"
        )
        directory = tmp_path / "remotes/scheduler/haizea"
        command = ["opennebula", "install-driver", str(directory), "-c", str(configured)]
        said = CliRunner().invoke(cli, command)
        assert said.exit_code == 0, said.output
        assert 'ARGUMENTS  = "-t 15 -p haizea -o haizea"' in said.output
        assert "systemctl restart opennebula" in said.output
        for name in ("place", "optimize"):
            assert (directory / name).stat().st_mode & stat.S_IXUSR
        cloud.until(lambda: (tmp_path / "state/wake").exists())
        time.sleep(2)
        vm = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        time.sleep(2)
        assert cloud.state(vm) == "PENDING", "nobody told of it"
        done = subprocess.run(
            [sys.executable, directory / "place"],
            input=b"PFNDSEVEVUxFUl9EUklWRVJfQUNUSU9OLz4=\n",
            capture_output=True,
            timeout=30,
            check=True,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.stdout == b"<PLAN><ID>-1</ID></PLAN>\n"
        assert done.stderr == b""
        cloud.until_state(vm, "RUNNING", seconds=30)
