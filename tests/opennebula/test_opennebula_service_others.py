"""Use of hosts by others than Haizea: it is shown wherever use is shown, and reckoned with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State

#: VMs without ``HAIZEA`` are others'.
BESIDE = {"opennebula": "default-lease: none", "listen": "127.0.0.1:0"}


def others_vm(cloud: Site, host: int, *, cpu: float) -> int:
    """A VM that somebody else starts."""
    vm = cloud.submit(cpu=cpu)
    cloud.call("one.vm.deploy", vm, host, False, -1)
    cloud.until_state(vm, "RUNNING")
    return vm


def test_hosts_shows_what_others_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2, **BESIDE) as cloud:
        theirs = others_vm(cloud, 0, cpu=1)
        mine = cloud.submit(
            cpu=2, start="now", duration="01:00:00", rest='SCHED_REQUIREMENTS="ID=0"'
        )
        cloud.until_state(mine, "RUNNING")
        first, second = json.loads(cloud.haizea("hosts", "--output", "json"))["hosts"]
        assert first["used"] == {"CPU": 300, "Memory": 2048}
        assert first["others"] == {"CPU": 100, "Memory": 1024}
        assert second["used"] == second["others"] == {"CPU": 0, "Memory": 0}
        heading, *rows = cloud.haizea("hosts").splitlines()
        assert "OTHERS" in heading
        assert "300/800" in rows[0]
        assert "CPU:100 Memory:1024" in rows[0]
        assert cloud.service is not None
        now = int(cloud.now())
        used = cloud.service.manager.host_use(0, now, now + 7200)
        assert (used[0][1], used[-1][1]) == ((300, 2048), (100, 1024))
        cloud.call("one.vm.action", "terminate-hard", theirs)
        cloud.until(lambda: "OTHERS" not in cloud.haizea("hosts"))
        assert "200/800" in cloud.haizea("hosts")


def test_what_others_use_is_shown_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, **BESIDE) as cloud:
        others_vm(cloud, 0, cpu=1)
        cloud.until(lambda: "CPU:100" in cloud.haizea("hosts"))
        cloud.stop_haizea()
        cloud.start_haizea()
        cloud.until(lambda: "100/800" in cloud.haizea("hosts"))


def test_no_lease_is_expected_to_start_where_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, **BESIDE) as cloud:
        others_vm(cloud, 0, cpu=1)
        for _ in range(3):
            cloud.submit(cpu=8, start="best_effort", duration="00:10:00")
        cloud.until(lambda: len(cloud.leases()) == 3)
        assert cloud.service is not None
        manager = cloud.service.manager
        cloud.until(lambda: manager.queue(0, 10, None).length == 3)
        assert [place.expected for place in manager.queue(0, 10, None).places] == [None] * 3


def test_a_lease_without_vms_holds_hosts_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, listen="127.0.0.1:0") as cloud:
        cloud.until(lambda: " up " in cloud.haizea("hosts"))
        told = cloud.haizea("request", "-t", "now", "-d", "2h", "-c", "8", "-m", "1G")
        assert "Lease 1 is accepted" in told
        vm = cloud.submit(cpu=8, start="best_effort", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED, State.QUEUED))
        assert [vm.id for vm in cloud.sandbox.control.vms()] == [vm]
        assert cloud.leases()[0].state is State.ACTIVE
        cloud.haizea("cancel", "1")
        cloud.until_state(vm, "RUNNING")
