"""VMs that are to be done by a deadline, through a service and OpenNebula."""

from __future__ import annotations

from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State


def message(cloud: Site, vm: int) -> str:
    """Return what its owner reads."""
    return str(cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", ""))


def test_a_vm_with_a_deadline_makes_room_and_runs_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        vm = cloud.submit(cpu=8, after="+00:02:00", deadline="+00:30:00", duration="00:03:00")
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED))
        assert cloud.lease(vm).request.kind is Kind.DEADLINE
        booked = cloud.submit(cpu=8, start="+00:03:00", duration="00:02:00")
        cloud.until(lambda: "to be done by" in message(cloud, vm))
        cloud.until_state(booked, "RUNNING")
        cloud.until_state(vm, "RUNNING", seconds=900)
        cloud.until(lambda: cloud.has_lease(vm, State.DONE), seconds=900)
        deadline = cloud.lease(vm).request.deadline
        assert deadline is not None
        assert cloud.lease(vm).changed <= deadline


def test_a_window_that_makes_no_sense_is_told_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        vm = cloud.submit(deadline="+00:30:00")
        cloud.until(lambda: "deadline is without a duration" in message(cloud, vm))
