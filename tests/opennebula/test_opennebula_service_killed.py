"""Haizea is killed while it drives an OpenNebula, and started again; so is OpenNebula."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opennebula_process import main
from opennebula_service import CONFIGURATION, Site, at_work
from quick_service import Forked

from haizea.core.model.events import Expected, StateChanged
from haizea.core.model.lifecycle import State
from haizea.sandbox.clock import ScaledClock
from haizea.sandbox.saved import StateFile
from haizea.store import Store
from haizea.wording import in_words

BOTH_KILLED = [(4, "6.10.5"), (5, "7.4.0"), (6, "1.4.0")]
if os.environ.get("HAIZEA_LONG_TESTS"):
    BOTH_KILLED += [(seed, "1.4.0") for seed in range(7, 27)]


class Killable(Site):
    """A site whose Haizea is a process of its own."""

    #: What may keep a lease from running there; its story has to say it.
    hindrances: tuple[str, ...] = ("not at work", "still held")

    def start_haizea(self) -> None:
        """Start it, or start it again."""
        path = self.directory / "haizea.conf"
        events = self.sandbox.events_url or "none"
        path.write_text(CONFIGURATION.format(port=self.sandbox.port, events=events, **self._texts))
        times = (self.speed, self.clock.start, self.clock.anchor_wall)
        self.process = Forked(main, [self.directory, *times], self.directory / "printed")

    def kill_haizea(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def close(self) -> None:
        """End everything."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        finally:
            self.process.send_signal(signal.SIGKILL)
            if hasattr(self, "store"):
                self.store.close()
            self.sandbox.close()


class Twins(Killable):
    """A site of two processes, either of which can be killed."""

    # A killed OpenNebula forgets the VMs that it was booting.
    hindrances = (*Killable.hindrances, "did not come to run")

    def __init__(self, directory: Path, *, hosts: int, speed: float, version: str) -> None:
        self.directory, self.speed, self.events = directory, speed, ""
        self._texts: dict[str, Any] = {"opennebula": "", "scheduling": "", "wakeup": 30}
        self._texts |= {"states": "pending", "listen": "none", "shutdown": 5}
        self._texts["saving"] = "override-suspend-time: 10\noverride-resume-time: 10"
        self._version, self._hosts = version, hosts
        self._state_file = directory / "cloud.db"
        self.failure = None
        self._ports = ["--port", "0", "--events-port", "0"]
        self.start_opennebula()
        state = StateFile(self._state_file)
        known = state.settings()
        state.close()
        assert known is not None, "it has begun"
        self.clock = ScaledClock(
            speed=speed, start=known["start"], anchor_wall=known["anchor_wall"]
        )

    def start(self) -> None:
        """Start Haizea; OpenNebula is there."""
        self.start_haizea()

    def start_opennebula(self) -> None:
        """Start it, or start it again where it was."""
        words = ["--version", self._version, "--hosts", str(self._hosts)]
        words += ["--speed", str(self.speed), "--state-file", str(self._state_file)]
        self._opennebula = subprocess.Popen(
            [sys.executable, "-m", "haizea.sandbox", *words, *self._ports],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._opennebula.stdout is not None, "it is a pipe"
        url = self._opennebula.stdout.readline().split()[-1]
        said = self._opennebula.stdout.readline().split()
        events = said[-1] if said[0] == "events" else None
        port = int(url.rpartition(":")[2].partition("/")[0])
        self._ports = ["--port", str(port)]
        if events is not None:
            self._ports += ["--events-port", events.rpartition(":")[2]]
        #: What is asked of it over the network alone.
        self.sandbox = SimpleNamespace(  # type: ignore[assignment]
            url=url,
            port=port,
            events_url=events,
            session="oneadmin:onepass",
            options=SimpleNamespace(version=self._version),
        )

    def kill_opennebula(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._opennebula.kill()
        self._opennebula.communicate()

    def state(self, vm: int) -> str:
        """A VM's state by name."""
        return str(self._told("vm", vm=vm)["state"])

    def assert_no_overload(self) -> None:
        """No host ever had more than it can hold."""
        assert not self._told("violations")

    def _told(self, method: str, **arguments: object) -> Any:
        return json.loads(self.call(f"sandbox.{method}", json.dumps(arguments)))

    def close(self) -> None:
        """End everything."""
        self.kill_haizea()
        self.kill_opennebula()
        if hasattr(self, "store"):
            self.store.close()


@pytest.mark.parametrize(("seed", "version"), [(1, "6.10.5"), (2, "1.4.0"), (3, "7.4.0")])
def test_a_killed_haizea_loses_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, version: str
) -> None:
    dice = random.Random(seed)
    with at_work(Killable, tmp_path, monkeypatch, hosts=2, speed=20, version=version) as cloud:
        vms: list[int] = []
        for round_number in range(5):
            vms += _some_vms(cloud, dice)
            # Haizea may be away until its start is past.
            cloud.submit(cpu=8, start="+00:02:00", duration="00:02:00")
            time.sleep(dice.uniform(1.5, 4.0))
            cloud.kill_haizea()
            if round_number % 2:
                cloud.sandbox.restart()
            cloud.start_haizea()
        _see_that_nothing_is_lost(cloud, vms)


@pytest.mark.parametrize(("seed", "version"), BOTH_KILLED)
def test_haizea_and_opennebula_killed_lose_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, version: str
) -> None:
    dice = random.Random(seed)
    with at_work(Twins, tmp_path, monkeypatch, hosts=2, speed=20, version=version) as cloud:
        vms: list[int] = []
        for _ in range(5):
            vms += _some_vms(cloud, dice)
            # Haizea may be away until its start is past.
            cloud.submit(cpu=8, start="+00:02:00", duration="00:02:00")
            time.sleep(dice.uniform(0.5, 3.0))
            kills = [cloud.kill_haizea, cloud.kill_opennebula]
            starts = [cloud.start_haizea, cloud.start_opennebula]
            for step in (*dice.sample(kills, 2), *dice.sample(starts, 2)):
                step()
                time.sleep(dice.choice([0.0, 0.1, 0.5]))
        _see_that_nothing_is_lost(cloud, vms)


@pytest.mark.parametrize("away", [0, 200])
def test_a_start_that_a_killed_haizea_asked_for_may_come_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    """1.4 does not tell who started a VM, and takes its time between the order and the start.

    Also where it was away itself until long after Haizea was back.
    """
    with at_work(Site, tmp_path, monkeypatch, hosts=1, version="1.4.0") as cloud:
        running = cloud.submit(cpu=8, duration="00:10:00", start="best_effort")
        cloud.until(lambda: cloud.has_lease(running, State.ACTIVE))
        waiting = cloud.submit(cpu=8, duration="00:01:00", start="best_effort")
        cloud.until(lambda: cloud.has_lease(waiting))
        cloud.stop_haizea()
        store = Store.open(str(cloud.directory / "leases.db"))
        # What a Haizea leaves that was killed between the order and its VM's start.
        store.set_setting("opennebula endings", json.dumps({str(waiting): [True, 0]}))
        store.close()
        if away:
            cloud.sandbox.kill()
        cloud.start_haizea()
        if away:
            back = cloud.now() + away
            cloud.until(lambda: cloud.now() > back)
            cloud.sandbox.start()
        # A look finds the VM pending still.
        seen = cloud.now() + 35
        cloud.until(lambda: cloud.now() > seen)
        cloud.call("one.vm.deploy", waiting, 0)
        cloud.until(lambda: cloud.lease(waiting).over, seconds=1500)
        assert cloud.lease(waiting).state is State.DONE


def test_an_edit_is_answered_though_haizea_is_killed_before_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(1)
    with at_work(Killable, tmp_path, monkeypatch, hosts=1, speed=20, version="7.4.0") as cloud:
        cloud.store = Store.open(str(cloud.directory / "leases.db"))
        vm = cloud.running(duration="02:00:00")
        cloud.booked(start="+10:00:00")
        granted = 0
        for number in range(6):
            hours = 20 + number if number % 2 else 3 + number
            cloud.edit(vm, start="best_effort", duration=f"{hours:02}:00:00")
            time.sleep(dice.uniform(0.0, 1.5))
            cloud.kill_haizea()
            cloud.start_haizea()
            cloud.until_told(vm, "refused" if number % 2 else "granted")
            granted = granted if number % 2 else hours * 3600
            assert cloud.lease(vm).request.duration == granted
        assert len(cloud.leases()) == 2


def _some_vms(cloud: Site, dice: random.Random) -> list[int]:
    return [
        cloud.submit(
            cpu=dice.choice([2, 4, 8]),
            duration=f"00:00:{dice.randint(20, 50)}",
            start="best_effort",
            preemptible=dice.choice(["yes", "no"]),
        )
        for _ in range(4)
    ]


def _see_that_nothing_is_lost(cloud: Killable, vms: list[int]) -> None:
    cloud.store = Store.open(str(cloud.directory / "leases.db"))
    cloud.until(lambda: all(cloud.has_lease(vm) for vm in vms), seconds=3000)
    cloud.until(lambda: all(lease.over for lease in cloud.leases()), seconds=6000)
    done = [lease for lease in cloud.leases() if lease.state is State.DONE]
    for lease in done:
        cloud.until_state(int(lease.request.names[0]), "DONE")
    leases = cloud.leases()
    named = [name for lease in leases for name in lease.request.names]
    assert len(named) == len(set(named)), "a VM was asked for twice"
    for lease in leases:
        over = cloud.state(int(lease.request.names[0])) == "DONE"
        missed = lease.state is State.FAILED and _was_hindered(cloud, lease.request.id)
        assert missed or lease.state in (State.DONE, State.REJECTED), lease
        assert over == (lease.state is State.DONE), lease
    cloud.assert_no_overload()


def _was_hindered(cloud: Killable, lease: int) -> bool:
    """Tell whether the lease's story tells one of the hindrances of the site."""
    decisions = [event.decision for event in cloud.store.events(0, 1000, lease)]
    told = [in_words(d.reason) for d in decisions if isinstance(d, StateChanged | Expected)]
    return any(hindrance in words for words in told for hindrance in cloud.hindrances)
