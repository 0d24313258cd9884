"""Scheduled actions and old ways, through a service: who runs SCHED_ACTION, and what 1.4 cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State


def commands(cloud: Site, vm: int, name: str) -> int:
    """Return how often this action was sent for a VM and accepted."""
    return sum(
        command.method == "one.vm.action" and command.arguments == (name, vm) and not command.error
        for command in cloud.sandbox.control.commands()
    )


@pytest.mark.parametrize(("version", "ours"), [("6.6.0", True), ("6.10.5", False)])
def test_scheduled_actions_are_run_where_opennebula_leaves_them_to_the_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, ours: bool
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, version=version) as cloud:
        rest = 'SCHED_ACTION=[ACTION="poweroff-hard", TIME="+60"]'
        vm = cloud.submit(cpu=4, start="best_effort", duration="01:00:00", rest=rest)
        cloud.until_state(vm, "RUNNING")
        cloud.until_state(vm, "POWEROFF")
        ended = cloud.came_to(vm, "POWEROFF")[0]
        submitted = cloud.came_to(vm, "PENDING")[0]
        assert 60 <= ended - submitted <= 60 + 60
        # It is the owner's wish, so that the lease is over and the VM left alone.
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))
        before = cloud.now()
        cloud.until(lambda: cloud.now() > before + 90)
        assert cloud.state(vm) == "POWEROFF"
        assert commands(cloud, vm, "poweroff-hard") == int(ours), "once, or by OpenNebula"


def test_in_a_dry_run_scheduled_actions_and_reports_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, version="6.6.0", opennebula="dry-run: yes") as cloud:
        held = cloud.submit(cpu=1)
        cloud.call("one.vm.deploy", held, 0, False, -1, "")
        cloud.until_state(held, "RUNNING")
        rest = 'SCHED_ACTION=[ACTION="terminate-hard", TIME="+30"]'
        vms = [cloud.submit(cpu=4, start="best_effort", duration="00:01:00", rest=rest)]
        vms.append(cloud.submit(start="+00:01:00", duration="00:01:00"))
        vms.append(cloud.submit(start="tomorrow"))
        vms.append(cloud.submit(cpu=99))
        cloud.until(lambda: all(cloud.has_lease(vm, State.DONE) for vm in vms[:2]))
        sent = {command.method for command in cloud.sandbox.control.commands()}
        assert sent == {"one.vm.allocate", "one.vm.deploy"}, "those of this test"
        assert sum(c.method == "one.vm.deploy" for c in cloud.sandbox.control.commands()) == 1


def test_1_4_preempts_by_stopping_and_tells_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use 1.4: it deploys only what is pending, and takes no reports."""
    with site(tmp_path, monkeypatch, hosts=1, version="1.4.0") as cloud:
        victim = cloud.submit(cpu=8, start="best_effort", duration="00:02:00", preemptible="yes")
        cloud.until_state(victim, "RUNNING")
        booked = cloud.submit(cpu=8, start="+00:01:00", duration="00:01:00")
        cloud.until_state(booked, "RUNNING")
        cloud.until_state(victim, "DONE")
        states = cloud.sandbox.control.states(victim)
        stopped = states.index("STOPPED")
        assert "PENDING" in states[stopped:], "resumed, before it is deployed"
        used = {command.method for command in cloud.sandbox.control.commands()}
        assert used <= {"one.vm.allocate", "one.vm.deploy", "one.vm.action"}
        assert not [c for c in cloud.sandbox.control.commands() if c.error]
        cloud.assert_no_overload()


def test_it_ends_when_no_lease_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = "stop-when-no-more-leases: yes"
    with site(tmp_path, monkeypatch, hosts=1, opennebula=options) as cloud:
        before = cloud.now()
        cloud.until(lambda: cloud.now() > before + 60)
        assert cloud.at_work, "there was none yet"
        vms = [cloud.submit(cpu=8, start="best_effort", duration="00:00:30") for _ in range(2)]
        cloud.until(lambda: not cloud.at_work)
        cloud.until(lambda: all(cloud.state(vm) == "DONE" for vm in vms))
        assert all(lease.state is State.DONE for lease in cloud.leases())
