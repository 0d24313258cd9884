"""Events in OpenNebula while Haizea was not at work are noticed when it is again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State

QUEUED = (State.QUEUED, State.SCHEDULED)


def while_away(cloud: Site, what: Callable[[], object]) -> None:
    """Haizea ends, this happens, and Haizea is started again."""
    cloud.stop_haizea()
    what()
    cloud.start_haizea()


def waiting(cloud: Site, **words: str) -> int:
    """A VM that has a lease and no room."""
    given = {"start": "best_effort", "duration": "01:00:00", **words}
    vm = cloud.submit(cpu=8, memory=1024, rest="", **given)
    cloud.until(lambda: cloud.has_lease(vm, *QUEUED))
    return vm


def test_vms_that_were_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        first = cloud.running()
        second, third = waiting(cloud), waiting(cloud)
        booked = cloud.submit(cpu=8, start="+05:00:00", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(booked, *QUEUED))

        def delete() -> None:
            for vm in (first, second, booked):
                cloud.call("one.vm.action", "terminate-hard", vm)
            cloud.until_state(first, "DONE")

        while_away(cloud, delete)
        cloud.until_state(third, "RUNNING")
        cloud.until(lambda: cloud.lease(first).over and cloud.lease(second).over)
        assert cloud.lease(first).state is State.DONE
        assert cloud.lease(second).state is State.CANCELLED
        assert cloud.lease(booked).state is State.CANCELLED
        cloud.assert_no_overload()


def test_a_vm_that_was_resized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        small = cloud.submit(cpu=4, start="best_effort", duration="01:00:00")
        cloud.until_state(small, "RUNNING")
        vm = waiting(cloud)
        while_away(cloud, lambda: cloud.call("one.vm.resize", vm, 'CPU="4"', False))
        cloud.until_state(vm, "RUNNING")
        assert cloud.lease(vm).request.node_capacities()[0][0] == 400
        cloud.assert_no_overload()


def test_a_vm_that_was_put_on_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        first = cloud.running()
        held, next_one = waiting(cloud), waiting(cloud)
        while_away(cloud, lambda: cloud.call("one.vm.action", "hold", held))
        cloud.until(lambda: cloud.lease(held).state is State.CANCELLED)
        cloud.call("one.vm.action", "terminate-hard", first)
        cloud.until_state(next_one, "RUNNING")
        assert cloud.state(held) == "HOLD"


@pytest.mark.parametrize(
    ("action", "state"),
    [("poweroff-hard", "POWEROFF"), ("suspend", "SUSPENDED"), ("stop", "STOPPED")],
)
def test_a_vm_that_was_taken_off_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, state: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        first = cloud.running()
        second = waiting(cloud)

        def act() -> None:
            cloud.call("one.vm.action", action, first)
            cloud.until_state(first, state)

        while_away(cloud, act)
        cloud.until(lambda: cloud.lease(first).state is State.DONE)
        if state == "STOPPED":
            cloud.until_state(second, "RUNNING")
        else:
            before = cloud.now()
            cloud.until(lambda: cloud.now() > before + 20)
            assert cloud.state(second) == "PENDING", "its place is kept"
        assert cloud.state(first) == state, "it is left alone"
        cloud.assert_no_overload()


@pytest.mark.parametrize("live", [True, False])
def test_a_vm_that_was_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        moved = cloud.running(duration="00:02:00")
        before = cloud.host(moved)
        assert before is not None

        def migrate() -> None:
            cloud.call("one.vm.migrate", moved, 1 - before, live, False, -1, 0)
            cloud.until(lambda: cloud.host(moved) == 1 - before)
            cloud.until_state(moved, "RUNNING")

        while_away(cloud, migrate)
        vms = [cloud.submit(cpu=8, start="best_effort", duration="00:01:00") for _ in range(2)]
        for vm in (moved, *vms):
            cloud.until_state(vm, "DONE")
        # It was left where it was moved to, and ended there at its time.
        assert cloud.lease(moved).state is State.DONE
        assert cloud.host(moved) == 1 - before
        assert len(cloud.came_to(moved, "PROLOG")) == 1
        assert not cloud.came_to(moved, "UNDEPLOYED")
        cloud.assert_no_overload()


def test_a_waiting_vm_that_somebody_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        vm = cloud.submit(cpu=8, start="+03:00:00", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(vm, *QUEUED))

        def deploy() -> None:
            cloud.call("one.vm.deploy", vm, 0, False, -1, "")
            cloud.until_state(vm, "RUNNING")

        while_away(cloud, deploy)
        cloud.until(lambda: cloud.lease(vm).state is State.CANCELLED)
        others = [cloud.submit(cpu=8, start="best_effort", duration="00:10:00") for _ in range(2)]
        cloud.until_state(others[0], "RUNNING")
        cloud.until(lambda: cloud.has_lease(others[1], *QUEUED))
        assert cloud.host(others[0]) == 1
        cloud.assert_no_overload()


def test_a_saved_vm_that_somebody_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        cloud.call("one.host.status", 1, 1)
        before = cloud.now()
        cloud.until(lambda: cloud.now() > before + 40)
        victim = cloud.running(preemptible="yes")
        booked = cloud.submit(cpu=8, start="+00:01:00", duration="00:30:00")
        cloud.until_state(booked, "RUNNING")
        assert cloud.state(victim) == "STOPPED"

        def deploy() -> None:
            cloud.call("one.host.status", 1, 0)
            cloud.call("one.vm.deploy", victim, 1, False, -1, "")
            cloud.until_state(victim, "RUNNING")

        while_away(cloud, deploy)
        cloud.until(lambda: cloud.lease(victim).over)
        waits = waiting(cloud)
        assert cloud.state(victim) == "RUNNING", "it is left alone"
        cloud.call("one.vm.action", "terminate-hard", victim)
        cloud.until_state(waits, "RUNNING")
        cloud.assert_no_overload()


def test_hosts_that_went_and_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=3) as cloud:
        booked = cloud.submit(cpu=8, start="+01:00:00", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(booked, *QUEUED))
        plan = cloud.lease(booked).plan
        assert plan is not None
        [planned] = plan.hosts
        off = (planned + 1) % 3

        def change() -> None:
            cloud.call("one.host.status", off, 1)
            cloud.call("one.host.delete", planned)
            cloud.sandbox.control.add_host("another", cpu_percent=1600, memory_mb=32768)

        while_away(cloud, change)
        large = cloud.submit(cpu=16, start="best_effort", duration="00:10:00")
        cloud.until_state(large, "RUNNING")
        assert cloud.host(large) == 3

        def moved() -> bool:
            now = cloud.lease(booked).plan
            return now is not None and now.hosts[0] not in (planned, off)

        cloud.until(moved)


def test_a_host_that_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2, opennebula="host-grace: 20") as cloud:
        runs = cloud.running()
        here = cloud.host(runs)
        assert here is not None
        while_away(cloud, lambda: cloud.sandbox.control.break_host(here))
        vms = [cloud.submit(cpu=8, start="best_effort", duration="00:10:00") for _ in range(2)]
        cloud.until_state(vms[0], "RUNNING")
        assert cloud.host(vms[0]) == 1 - here
        before = cloud.now()
        cloud.until(lambda: cloud.now() > before + 60)
        assert cloud.state(vms[1]) == "PENDING"


def test_who_came_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New VMs are taken up in their order, and one that others run is use of its host."""
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        cloud.running(duration="00:01:00")
        new: list[int] = []

        def submit() -> None:
            new.extend(cloud.submit(cpu=8, duration="00:00:30") for _ in range(3))

        while_away(cloud, submit)
        for vm in new:
            cloud.until_state(vm, "DONE")
        starts = [cloud.came_to(vm, "PROLOG")[0] for vm in new]
        assert starts == sorted(starts)
        cloud.assert_no_overload()
