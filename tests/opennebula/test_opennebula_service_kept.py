"""The memory of VMs outlives failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State
from haizea.wording import in_words


def preempted(cloud: Site) -> tuple[int, int]:
    """A VM that has to leave the one host for the other one's reservation.

    That lasts for longer than four attempts at saving and the pauses between them take.
    """
    victim = cloud.submit(cpu=8, start="best_effort", duration="00:10:00", preemptible="yes")
    cloud.until_state(victim, "RUNNING")
    booked = cloud.submit(cpu=8, start="+00:01:30", duration="00:04:00")
    return victim, booked


def test_a_resumption_that_fails_keeps_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, opennebula="command-timeout: 60") as cloud:
        victim, booked = preempted(cloud)
        cloud.until_state(booked, "RUNNING")
        cloud.sandbox.control.plan("fail", step="PROLOG_RESUME", count=1000)
        cloud.until(lambda: cloud.has_lease(victim, State.FAILED), seconds=900)
        assert "fetching its memory failed" in in_words(cloud.lease(victim).reason)
        cloud.sandbox.control.forget_plans()
        cloud.until_state(victim, "STOPPED", seconds=900)
        assert not cloud.came_to(victim, "UNDEPLOYED")
        assert not cloud.came_to(victim, "CLEANUP_RESUBMIT")


def test_a_stop_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        victim, booked = preempted(cloud)
        cloud.sandbox.control.plan("fail", step="SAVE_STOP", count=2)
        cloud.until_state(booked, "RUNNING")
        assert len(cloud.came_to(victim, "SAVE_STOP")) == 3
        assert cloud.came_to(victim, "STOPPED")
        assert not cloud.came_to(victim, "UNDEPLOYED")


def test_a_vm_that_cannot_be_saved_leaves_its_host_without_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        victim, booked = preempted(cloud)
        cloud.sandbox.control.plan("fail", step="SAVE_STOP", count=1000)
        cloud.until_state(booked, "RUNNING")
        assert len(cloud.came_to(victim, "SAVE_STOP")) == 4
        assert cloud.state(victim) == "UNDEPLOYED"
        cloud.until(lambda: len(cloud.came_to(victim, "BOOT_UNDEPLOY")) == 1, seconds=900)
        cloud.until(lambda: cloud.has_lease(victim, State.ACTIVE), seconds=900)
