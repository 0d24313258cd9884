"""Haizea is killed while it drives an OpenNebula, and started again."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from opennebula_service import CONFIGURATION, Site

from haizea.core.lifecycle import State
from haizea.store import Store

PROGRAM = Path(__file__).parent / "opennebula_process.py"


class Killable(Site):
    """A site whose Haizea is a process of its own."""

    def start_haizea(self) -> None:
        """Start it, or start it again."""
        path = self.directory / "haizea.conf"
        events = self.sandbox.events_url or "none"
        path.write_text(CONFIGURATION.format(port=self.sandbox.port, events=events, **self._texts))
        times = (self.speed, self.clock.start, self.clock.anchor_wall)
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.directory), *map(str, times)]
        )

    def kill_haizea(self) -> None:
        """As ``kill -9`` does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End everything."""
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        finally:
            self.process.kill()
            if hasattr(self, "store"):
                self.store.close()
            self.sandbox.close()


@pytest.mark.parametrize(("seed", "version"), [(1, "6.10.5"), (2, "1.4.0"), (3, "7.4.0")])
def test_a_killed_haizea_loses_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, version: str
) -> None:
    (tmp_path / "one_auth").write_text("oneadmin:onepass\n")
    monkeypatch.setenv("ONE_AUTH", str(tmp_path / "one_auth"))
    dice = random.Random(seed)
    cloud = Killable(tmp_path, hosts=2, speed=20, version=version)
    try:
        cloud.start()
        vms: list[int] = []
        for round_number in range(5):
            for _ in range(4):
                words: dict[str, Any] = {
                    "start": "best_effort",
                    "preemptible": dice.choice(["yes", "no"]),
                }
                vms.append(
                    cloud.submit(
                        cpu=dice.choice([2, 4, 8]),
                        duration=f"00:00:{dice.randint(20, 50)}",
                        **words,
                    )
                )
            # Haizea may be away until its start is past.
            cloud.submit(cpu=8, start="+00:02:00", duration="00:00:20")
            time.sleep(dice.uniform(1.5, 4.0))
            cloud.kill_haizea()
            if round_number % 2:
                cloud.sandbox.restart()
            cloud.start_haizea()
        cloud.store = Store.open(str(tmp_path / "leases.db"))
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
            late = "not at work" in lease.reason or "still held" in (lease.reason + lease.late)
            missed = lease.state is State.FAILED and late
            assert missed or lease.state in (State.DONE, State.REJECTED), lease
            assert over == (lease.state is State.DONE), lease
        cloud.assert_no_overload()
    finally:
        cloud.close()
