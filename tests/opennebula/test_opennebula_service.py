"""Haizea drives an OpenNebula: leases of VMs from their submission to their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opennebula_service import site

from haizea.core.model.lifecycle import State

VERSIONS = ("1.4.0", "6.10.5", "7.4.0")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_vm_runs_for_as_long_as_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, version=version) as cloud:
        start = int(cloud.now()) + 90
        vm = cloud.submit(start="+00:01:30", duration="00:01:00")
        cloud.assert_starts_in_time(vm)
        cloud.until_state(vm, "DONE")
        (ended,) = cloud.came_to(vm, "SHUTDOWN")
        assert start + 50 <= ended <= start + 60 + cloud.slack
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))
        cloud.assert_no_overload()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_ar_starts_in_time_and_whom_it_preempted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, version=version, hosts=1, speed=10) as cloud:
        victim = cloud.submit(
            cpu=8, memory=8192, start="best_effort", duration="00:03:20", preemptible="yes"
        )
        cloud.until_state(victim, "RUNNING")
        booked = cloud.submit(cpu=8, memory=8192, start="+00:01:40", duration="00:01:00")
        cloud.assert_deployed_in_time(booked)
        assert cloud.state(victim) == "STOPPED"
        assert len(cloud.came_to(booked, "PROLOG")) == 1
        cloud.until_state(victim, "RUNNING")
        cloud.until_state(victim, "DONE")
        assert cloud.lease(victim).ran >= 180
        assert not cloud.came_to(victim, "UNDEPLOYED")
        assert len(cloud.came_to(victim, "PROLOG")) == 1
        cloud.assert_no_overload()


def test_a_group_starts_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=4) as cloud:
        blocker = cloud.submit(cpu=8, start="best_effort", duration="00:01:00")
        cloud.until_state(blocker, "RUNNING")
        words: dict[str, Any] = {"start": "best_effort", "duration": "00:00:40"}
        words |= {"group": "four", "group_size": 4}
        group = [cloud.submit(cpu=6, **words) for _ in range(4)]
        cloud.until(lambda: cloud.has_lease(group[0], State.QUEUED, State.SCHEDULED))
        assert [cloud.state(vm) for vm in group] == ["PENDING"] * 4
        for vm in group:
            cloud.until_state(vm, "DONE")
        deployed = [cloud.came_to(vm, "PROLOG")[0] for vm in group]
        assert max(deployed) - min(deployed) < 5
        assert min(deployed) >= cloud.came_to(blocker, "SHUTDOWN")[0]
        assert len({cloud.host(vm) for vm in group}) == 4
        cloud.assert_no_overload()


def test_a_failed_deployment_is_tried_again_and_then_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        for step in ("BOOT", "PROLOG"):
            cloud.sandbox.control.plan("fail", step=step, host=0, count=100)
        vm = cloud.submit(start="best_effort", duration="00:01:00")
        cloud.until_state(vm, "RUNNING")
        assert cloud.host(vm) == 1
        cloud.until_state(vm, "DONE")
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


def test_a_dead_hosts_reservation_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2, opennebula="host-grace: 20") as cloud:
        vm = cloud.submit(cpu=8, start="+00:01:40", duration="00:01:00")
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED))
        plan = cloud.lease(vm).plan
        assert plan is not None
        cloud.sandbox.control.break_host(plan.hosts[0])
        cloud.until_state(vm, "RUNNING")
        assert cloud.host(vm) == 1 - plan.hosts[0]


def test_a_deleted_vm_frees_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=5) as cloud:
        first = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until_state(first, "RUNNING")
        second = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        third = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until(lambda: cloud.has_lease(third, State.QUEUED, State.SCHEDULED))
        cloud.call("one.vm.action", "terminate-hard", second)
        cloud.until(lambda: cloud.has_lease(second, State.CANCELLED))
        cloud.call("one.vm.action", "terminate-hard", first)
        cloud.until_state(third, "RUNNING")
        (freed,) = cloud.came_to(first, "DONE")
        assert cloud.came_to(third, "PROLOG")[0] - freed <= 5
        assert cloud.lease(first).state is State.DONE
        cloud.assert_no_overload()


def test_a_long_queue_drains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=10, speed=60) as cloud:
        vms = [
            cloud.submit(
                cpu=1 + n % 4,
                memory=1024 * (1 + n % 3),
                start="best_effort",
                duration=f"00:0{1 + n % 5}:00",
            )
            for n in range(200)
        ]
        cloud.until(lambda: all(cloud.state(vm) == "DONE" for vm in vms), seconds=6000)
        cloud.until(lambda: all(lease.state is State.DONE for lease in cloud.leases()))
        assert len(cloud.leases()) == 200
        cloud.assert_no_overload()


def test_vms_of_others_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        held = cloud.submit(cpu=6)
        cloud.until_state(held, "RUNNING")
        waits = cloud.submit(cpu=6)
        cloud.until(lambda: cloud.has_lease(waits, State.QUEUED, State.SCHEDULED))
        cloud.call("one.vm.action", "poweroff-hard", held)
        cloud.until(lambda: cloud.has_lease(held, State.DONE))
        cloud.until(lambda: cloud.state(held) == "POWEROFF")
        assert cloud.state(waits) == "PENDING", "a VM that is powered off keeps its place"
        cloud.call("one.vm.action", "terminate-hard", held)
        cloud.until_state(waits, "RUNNING")
        cloud.assert_no_overload()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_restart_forgets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, version=version) as cloud:
        runs = cloud.submit(cpu=8, start="best_effort", duration="00:02:00")
        endless = cloud.submit(cpu=8)
        cloud.until_state(runs, "RUNNING")
        cloud.until_state(endless, "RUNNING")
        waits = cloud.submit(cpu=8, start="best_effort", duration="00:01:00")
        cloud.until(lambda: cloud.has_lease(waits, State.QUEUED, State.SCHEDULED))
        cloud.stop_haizea()
        cloud.sandbox.restart()
        cloud.start_haizea()
        cloud.until_state(waits, "DONE")
        cloud.until_state(runs, "DONE")
        assert cloud.state(endless) == "RUNNING"
        assert len(cloud.leases()) == 3
        assert len(cloud.came_to(endless, "BOOT")) == 1
        cloud.assert_no_overload()


def test_oned_may_be_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=60) as cloud:
        ends = cloud.submit(cpu=8, start="best_effort", duration="00:04:00")
        cloud.until_state(ends, "RUNNING")
        waits = cloud.submit(cpu=8, start="best_effort", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(waits, State.QUEUED, State.SCHEDULED))
        cloud.sandbox.stop()
        away = cloud.now()
        cloud.until(lambda: cloud.now() > away + 600)
        assert cloud.lease(ends).state is not State.FAILED
        cloud.sandbox.start()
        cloud.until_state(ends, "DONE", seconds=3000)
        cloud.until_state(waits, "RUNNING", seconds=3000)
        cloud.until_state(waits, "DONE", seconds=3000)
        cloud.assert_no_overload()


def test_others_are_not_fought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        runs = cloud.submit(cpu=4, start="best_effort", duration="00:20:00")
        cloud.until_state(runs, "RUNNING")
        waits = [cloud.submit(cpu=8, start="best_effort", duration="00:10:00") for _ in range(2)]
        cloud.until(lambda: all(cloud.has_lease(vm) for vm in waits))
        cloud.call("one.vm.action", "hold", waits[0])
        cloud.until(lambda: cloud.has_lease(waits[0], State.CANCELLED))
        cloud.call("one.vm.action", "stop", runs)
        cloud.until(lambda: cloud.has_lease(runs, State.DONE))
        cloud.until_state(waits[1], "RUNNING")
        assert cloud.state(runs) == "STOPPED"
        cloud.call("one.vm.action", "release", waits[0])
        cloud.until(lambda: cloud.has_lease(waits[0], State.QUEUED, State.SCHEDULED))
        assert cloud.state(waits[0]) == "PENDING"
        cloud.assert_no_overload()


def test_in_a_dry_run_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = "dry-run: yes\nstop-when-no-more-leases: yes"
    with site(tmp_path, monkeypatch, hosts=1, opennebula=options) as cloud:
        vm = cloud.submit(cpu=4, start="best_effort", duration="00:01:00")
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))
        cloud.until(lambda: not cloud.at_work)
        assert cloud.state(vm) == "PENDING"
        calls = {command.method for command in cloud.sandbox.control.commands()}
        assert calls <= {"one.vm.allocate"}


def test_saving_takes_longer_than_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        victim = cloud.submit(cpu=8, start="best_effort", duration="01:00:00", preemptible="yes")
        cloud.until_state(victim, "RUNNING")
        cloud.sandbox.control.plan("done", step="SAVE_STOP", factor=40)
        booked = cloud.submit(cpu=8, start="+00:01:00", duration="00:02:00")
        cloud.until_state(booked, "RUNNING")
        assert cloud.came_to(booked, "PROLOG")[0] >= cloud.came_to(victim, "STOPPED")[0]
        assert cloud.lease(booked).late
        cloud.until_state(victim, "RUNNING")
        cloud.assert_no_overload()


def test_vms_suspended_in_place_go_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, opennebula="preempt-with: suspend") as cloud:
        victim = cloud.submit(cpu=8, start="best_effort", duration="00:10:00", preemptible="yes")
        cloud.until_state(victim, "RUNNING")
        booked = cloud.submit(cpu=8, start="+00:01:00", duration="00:01:00")
        cloud.until_state(booked, "RUNNING")
        assert cloud.state(victim) == "SUSPENDED"
        cloud.until_state(victim, "RUNNING")
        assert not cloud.sandbox.control.violations("running")


def test_requirements_and_ranks_are_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=3) as cloud:
        chosen = cloud.submit(rest='SCHED_REQUIREMENTS="NAME = \\"node02\\""', start="now")
        ranked = cloud.submit(rest='SCHED_RANK="ID"', start="best_effort")
        nowhere = cloud.submit(rest='SCHED_REQUIREMENTS="NAME = \\"node99\\""', start="best_effort")
        cloud.until_state(chosen, "RUNNING")
        cloud.until_state(ranked, "RUNNING")
        assert (cloud.host(chosen), cloud.host(ranked)) == (1, 2)
        cloud.until(lambda: "SCHED_MESSAGE" in cloud.sandbox.cloud.vms[nowhere].user_template)
        said = cloud.sandbox.cloud.vms[nowhere].user_template["SCHED_MESSAGE"]
        assert "no host meets SCHED_REQUIREMENTS" in str(said)
        assert not cloud.has_lease(nowhere)
        cloud.call("one.vm.update", nowhere, 'SCHED_REQUIREMENTS="NAME = \\"node03\\""', 1)
        cloud.until_state(nowhere, "RUNNING")
        assert cloud.host(nowhere) == 2


@pytest.mark.parametrize(
    ("version", "states", "taken"),
    [
        ("1.4.0", "auto", {"PENDING"}),
        ("6.10.5", "auto", {"PENDING"}),
        ("7.4.0", "auto", {"HOLD"}),
        ("7.4.0", "pending", {"PENDING"}),
        ("6.10.5", "hold", {"HOLD"}),
        ("7.4.0", "both", {"PENDING", "HOLD"}),
    ],
)
def test_vms_wait_in_the_states_that_were_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, states: str, taken: set[str]
) -> None:
    with site(tmp_path, monkeypatch, version=version, states=states) as cloud:
        cloud.stop_haizea()
        waits = {"PENDING": cloud.submit(start="best_effort", duration="01:00:00")}
        waits["HOLD"] = cloud.submit(start="best_effort", duration="01:00:00")
        cloud.call("one.vm.action", "hold", waits["HOLD"])
        cloud.start_haizea()
        for state in taken:
            cloud.until_state(waits[state], "RUNNING")
        for state in waits.keys() - taken:
            assert cloud.state(waits[state]) == state
            assert not cloud.has_lease(waits[state])
