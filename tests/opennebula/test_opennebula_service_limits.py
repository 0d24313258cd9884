"""Limits of commands at once: so many on a host and no more, and in the end all is done."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, site
from opennebula_tap import Handler, tapped_site

from haizea.core.model.lifecycle import State
from haizea.sandbox.operations import Durations

AT_REST = ("PENDING", "HOLD", "RUNNING", "STOPPED", "UNDEPLOYED", "SUSPENDED", "DONE", "FAILED")
#: In which many commands would be under way at once if nobody counted.
SLOW = Durations(
    prolog_seconds=10, boot_seconds=10, save_seconds=10, restore_seconds=10, shutdown_seconds=10
)


def most_at_once(cloud: Site) -> dict[int, int]:
    """Return how many VMs were started, saved or ended at once on each host, at most."""
    busy: dict[int, set[int]] = defaultdict(set)
    most: dict[int, int] = defaultdict(int)
    for change in cloud.sandbox.control.changes():
        for vms in busy.values():
            vms.discard(change.vm)
        if change.new not in AT_REST and change.host is not None:
            busy[change.host].add(change.vm)
            most[change.host] = max(most[change.host], len(busy[change.host]))
    return dict(most)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("version", ["1.4.0", "6.10.5"])
def test_so_many_vms_of_a_host_are_started_saved_or_ended_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, version: str
) -> None:
    with site(
        tmp_path,
        monkeypatch,
        hosts=2,
        version=version,
        durations=SLOW,
        saving="override-suspend-time: 60\noverride-resume-time: 30",
        opennebula=f"commands-per-host: {limit}",
    ) as cloud:
        vms = [
            cloud.submit(cpu=2, start="best_effort", duration="00:10:00", preemptible="yes")
            for _ in range(8)
        ]
        for vm in vms:
            cloud.until_state(vm, "RUNNING", seconds=1500)
        booked = cloud.submit(cpu=8, start="+00:06:00", duration="00:08:00")
        for vm in (booked, *vms):
            cloud.until_state(vm, "DONE", seconds=9000)
        cloud.until(lambda: all(lease.state is State.DONE for lease in cloud.leases()))
        # Some were saved for the reservation, and all ran and ended.
        assert [vm for vm in vms if cloud.came_to(vm, "STOPPED")]
        assert most_at_once(cloud) == {0: limit, 1: limit}
        cloud.assert_no_overload()


def test_a_large_group_is_started_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(
        tmp_path, monkeypatch, hosts=1, durations=SLOW, opennebula="commands-per-host: 2"
    ) as cloud:
        words: dict[str, Any] = {
            "start": "best_effort",
            "duration": "00:10:00",
            "group": "g",
            "group_size": "7",
        }
        vms = [cloud.submit(cpu=1, **words) for _ in range(7)]
        for vm in vms:
            cloud.until_state(vm, "DONE", seconds=9000)
        assert {cloud.lease(vm).id for vm in vms} == {cloud.lease(vms[0]).id}
        assert most_at_once(cloud) == {0: 2}
        cloud.assert_no_overload()


class Counter:
    """Answers to commands, each held back for a while; how many were held back at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def hold_back(self, handler: Handler, answer: bytes) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.4)
        with self._lock:
            self._now -= 1
        handler.say(answer)


def test_so_many_commands_are_sent_at_once_in_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tapped_site(tmp_path, monkeypatch, hosts=4, opennebula="commands: 3") as cloud:
        counter = Counter()
        for method in ("one.vm.deploy", "one.vm.action", "one.vm.recover", "one.vm.migrate"):
            cloud.tap.spoil[method] = counter.hold_back
        vms = [cloud.submit(cpu=1, start="best_effort", duration="00:02:00") for _ in range(24)]
        for vm in vms:
            cloud.until_state(vm, "DONE", seconds=9000)
        cloud.until(lambda: all(lease.state is State.DONE for lease in cloud.leases()))
        assert counter.most == 3
        cloud.assert_no_overload()
