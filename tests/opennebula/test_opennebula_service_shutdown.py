"""The end of a lease: its hosts are free when its VMs are gone, however long was planned for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opennebula_service import site

from haizea.core.model.lifecycle import State
from haizea.wording import in_words

PLANNED = 120


@pytest.mark.parametrize("version", ["1.4.0", "6.10.5", "7.4.0"])
def test_what_waits_starts_when_vms_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(
        tmp_path, monkeypatch, hosts=1, version=version, speed=10, shutdown=PLANNED, wakeup=10
    ) as cloud:
        words: dict[str, Any] = {"start": "best_effort", "duration": "00:03:00"}
        first = cloud.submit(cpu=8, **words)
        cloud.until_state(first, "RUNNING")
        following = cloud.submit(cpu=8, **words)
        cloud.until_state(first, "DONE")
        cloud.until_state(following, "RUNNING")
        gone = cloud.came_to(first, "DONE")[0]
        assert cloud.came_to(following, "PROLOG")[0] - gone < PLANNED / 3
        lease = cloud.lease(first)
        assert lease.state is State.DONE
        assert in_words(lease.reason) == "its duration is over, and its VMs have shut down"
        cloud.assert_no_overload()


def test_a_group_is_over_when_all_its_vms_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, speed=10, shutdown=PLANNED) as cloud:
        words: dict[str, Any] = {"duration": "00:03:00", "group": "g", "group_size": "2"}
        vms = [cloud.submit(cpu=8, memory=1024, start="now", **words) for _ in range(2)]
        for vm in vms:
            cloud.until_state(vm, "RUNNING")
        cloud.sandbox.control.plan("hang", step="SHUTDOWN", vm=vms[0])
        cloud.until_state(vms[1], "DONE")
        before = cloud.now()
        cloud.until(lambda: cloud.now() > before + 20)
        assert cloud.lease(vms[0]).state is State.ACTIVE
        cloud.sandbox.control.release(vms[0])
        cloud.until(lambda: cloud.lease(vms[0]).state is State.DONE, seconds=PLANNED / 3)
        cloud.until_state(vms[0], "DONE")


def test_a_vm_that_is_not_worth_saving_runs_until_it_must_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = "force-scheduling-threshold: 10:00:00"
    with site(tmp_path, monkeypatch, hosts=1, speed=10, scheduling=never) as cloud:
        batch = cloud.running(duration="05:00:00", preemptible="yes")
        booked = cloud.booked(start="+00:03:00", duration="00:02:00")
        lease = cloud.lease(booked)
        assert lease.request.start is not None
        begins = lease.request.start - lease.prepare_seconds
        cloud.until_state(booked, "RUNNING")
        [left] = cloud.came_to(batch, "SHUTDOWN_UNDEPLOY")
        assert begins - 12 <= left < begins, "as long before as saving would take"
        cloud.until_state(batch, "RUNNING")
        cloud.assert_no_overload()


def test_how_long_before_it_must_go_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time it is as long as saving would take: its host is idle then."""
    never = "force-scheduling-threshold: 10:00:00"
    slow = "override-suspend-time: 100\noverride-resume-time: 100"
    with site(tmp_path, monkeypatch, hosts=1, speed=10, scheduling=never, saving=slow) as cloud:
        batch = cloud.running(duration="05:00:00", preemptible="yes")
        before = []
        for _ in range(2):
            booked = cloud.booked(start="+00:04:00", duration="00:02:00")
            lease = cloud.lease(booked)
            assert lease.request.start is not None
            cloud.until_state(booked, "RUNNING")
            left = cloud.came_to(batch, "SHUTDOWN_UNDEPLOY")[-1]
            before.append(lease.request.start - lease.prepare_seconds - left)
            cloud.assert_starts_in_time(booked)
            cloud.until_state(batch, "RUNNING")
        assert before[0] > 50 > before[1]
        cloud.assert_no_overload()


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
@pytest.mark.parametrize("step", ["PROLOG", "BOOT"])
def test_a_start_that_does_not_end_is_broken_off_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, step: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, version=version, shutdown=10) as cloud:
        cloud.sandbox.control.plan("hang", step=step, count=1)
        hangs = cloud.submit(cpu=8, start="+00:01:00", duration="00:02:00")
        following = cloud.booked(start="+00:03:30")
        cloud.until(lambda: cloud.lease(hangs).state is State.FAILED)
        cloud.until_state(hangs, "PENDING", "HOLD", seconds=60)
        cloud.assert_starts_in_time(following)
        cloud.assert_no_overload()


def test_a_lease_that_is_cancelled_does_not_wait_for_its_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, listen="127.0.0.1:0") as cloud:
        cloud.sandbox.control.plan("hang", step="PROLOG", count=1)
        vm = cloud.submit(cpu=8, start="now", duration="01:00:00")
        cloud.until_state(vm, "PROLOG")
        cloud.haizea("cancel", str(cloud.lease(vm).id))
        cloud.until_state(vm, "DONE", seconds=120)
        assert cloud.lease(vm).state is State.CANCELLED


def test_cancelling_a_lease_deletes_its_vms_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A VM that waits or is stopped goes as well as one that runs; the guide says so."""
    with site(tmp_path, monkeypatch, hosts=1, listen="127.0.0.1:0") as cloud:
        stopped = cloud.running(preemptible="yes")
        runs = cloud.booked(start="+00:02:00", duration="01:00:00")
        waits = cloud.submit(cpu=8, start="best_effort", duration="00:30:00")
        cloud.until_state(runs, "RUNNING")
        assert (cloud.state(stopped), cloud.state(waits)) == ("STOPPED", "PENDING")
        for vm in (waits, stopped, runs):
            said = cloud.haizea("cancel", str(cloud.lease(vm).id))
            assert "Cancelled" in said
        for vm in (waits, stopped, runs):
            cloud.until_state(vm, "DONE")
            assert cloud.lease(vm).state is State.CANCELLED


def test_what_cannot_be_started_leaves_its_host_while_its_lease_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host is free for others then, and it counts as nobody else's after a restart."""
    limits = "command-retries: 1"
    with site(tmp_path, monkeypatch, hosts=2, opennebula=limits) as cloud:
        cloud.running()
        cloud.sandbox.control.plan("fail", step="BOOT", count=2)
        vm = cloud.submit(cpu=8, start="best_effort", duration="00:01:00")
        cloud.until(lambda: len(cloud.came_to(vm, "BOOT_FAILURE")) == 2)
        cloud.until(lambda: cloud.came_to(vm, "PENDING")[1:] != [])
        cloud.stop_haizea()
        cloud.start_haizea()
        cloud.until_state(vm, "DONE", seconds=9000)
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


@pytest.mark.parametrize(
    ("version", "step"), [("1.4.0", "BOOT"), ("7.4.0", "BOOT"), ("7.4.0", "BOOT_STOPPED")]
)
def test_what_oned_forgot_unseen_ends_when_its_lease_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, step: str
) -> None:
    """Oned died and came back while Haizea was away, in the middle of a start."""
    limits = "shutdown-grace: 40"
    with site(
        tmp_path, monkeypatch, hosts=1, version=version, opennebula=limits, listen="127.0.0.1:0"
    ) as cloud:
        vm = cloud.submit(cpu=8, start="best_effort", duration="01:00:00", preemptible="yes")
        cloud.sandbox.control.plan("hang", step=step, count=1)
        if step == "BOOT_STOPPED":
            cloud.until_state(vm, "RUNNING")
            cloud.booked(start="+00:02:00", duration="00:00:40")
        cloud.until_state(vm, step, seconds=900)
        cloud.stop_haizea()
        cloud.sandbox.restart()
        cloud.start_haizea()
        cloud.haizea("cancel", str(cloud.lease(vm).id))
        cancelled = cloud.now()
        cloud.until_state(vm, "DONE", "FAILED", seconds=400)
        assert cloud.now() < cancelled + 40 + 2 * cloud.slack, "command-timeout is 900 s"
