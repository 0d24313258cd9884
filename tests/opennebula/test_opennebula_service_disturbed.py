"""VMs that take long to start, or hang in what their owners began."""

from __future__ import annotations

from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State
from haizea.sandbox.operations import Durations


def read(cloud: Site, vm: int) -> str:
    """Return what the owner of a VM reads."""
    return str(cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE"))


def test_the_time_of_a_lease_counts_from_when_its_vms_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Durations(prolog_seconds=200, boot_seconds=50)
    with site(tmp_path, monkeypatch, hosts=1, durations=slow) as cloud:
        vm = cloud.submit(cpu=8, start="best_effort", duration="00:02:00")
        cloud.until_state(vm, "DONE", seconds=1500)
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))
        (ran,), (ended,) = cloud.came_to(vm, "RUNNING"), cloud.came_to(vm, "SHUTDOWN")
        assert ended - ran >= 120 - 5 - 2, "all of it but the shutdown, which is part of it"


@pytest.mark.parametrize("failing", [False, True])
def test_what_its_owner_began_with_a_vm_and_hangs_does_not_hang_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    limits = "command-timeout: 60"
    with site(tmp_path, monkeypatch, hosts=1, opennebula=limits) as cloud:
        vm = cloud.running(duration="unlimited", rest='SCHED_RANK="* FREE_CPU"')
        cloud.until(lambda: "runs on node01" in read(cloud, vm))
        step = "EPILOG_STOP" if failing else "SAVE_STOP"
        cloud.sandbox.control.plan("fail" if failing else "hang", step=step, count=1)
        cloud.call("one.vm.action", "stop", vm)
        if failing:
            # What its owner wanted is done in the end, and is the end of the lease.
            cloud.until_state(vm, "STOPPED")
            cloud.until(lambda: cloud.has_lease(vm, State.DONE))
        else:
            said = f"VM {vm} hangs in save stop: Haizea got it out of that"
            cloud.until(lambda: said in read(cloud, vm))
            assert "SCHED_RANK, character 1" in read(cloud, vm), "that is said besides"
            assert cloud.state(vm) == "RUNNING"
            assert cloud.lease(vm).state is State.ACTIVE
