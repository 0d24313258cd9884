"""VMs that an administrator migrates while they run: their reservations follow them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State

DISABLED = 1
#: Of their time, in which 20 seconds are a real one.
SOON = 60


def migrate(cloud: Site, vm: int, host: int, *, live: bool = True, kind: int = 0) -> None:
    """An administrator takes a VM to another host."""
    if cloud.sandbox.options.version.startswith("1."):
        cloud.call("one.vm.migrate", vm, host, live)
    else:
        cloud.call("one.vm.migrate", vm, host, live, False, -1, kind)


@pytest.mark.parametrize(
    ("version", "live", "kind"),
    [("1.4.0", True, 0), ("6.10.5", False, 0), ("7.4.0", True, 2)],
)
def test_the_old_host_is_free_and_the_new_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, live: bool, kind: int
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, version=version) as cloud:
        moved = cloud.running(duration="00:08:00")
        old = cloud.host(moved)
        assert old is not None
        migrate(cloud, moved, 1 - old, live=live, kind=kind)
        cloud.until(lambda: cloud.planned(moved) == (1 - old,), seconds=300)
        following = cloud.submit(cpu=8, start="best_effort", duration="00:10:00")
        cloud.until_state(following, "RUNNING", seconds=600)
        assert cloud.host(following) == old
        assert cloud.state(moved) == "RUNNING"
        third = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until_state(moved, "DONE", seconds=3000)
        # It ran for its whole time, and nobody had its host meanwhile.
        assert cloud.host(moved) == 1 - old
        assert len(cloud.came_to(moved, "PROLOG")) == 1
        ended = cloud.came_to(moved, "DONE")[0]
        assert ended - cloud.came_to(moved, "PROLOG")[0] >= 8 * 60 - SOON
        cloud.until_state(third, "RUNNING")
        cloud.until(lambda: cloud.lease(moved).state is State.DONE)
        cloud.assert_no_overload()


def test_what_is_promised_there_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=3) as cloud:
        moved = cloud.running()
        booked = cloud.booked(start="+00:05:00")
        target = cloud.planned(booked)[0]
        migrate(cloud, moved, target)
        cloud.until(lambda: target not in cloud.planned(booked), seconds=200)
        cloud.assert_starts_in_time(booked)
        assert cloud.host(moved) == target
        cloud.assert_no_overload()


def test_a_host_is_emptied_for_repairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is promised the other host after the lease that goes there."""
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        moved = cloud.running(duration="00:05:00")
        old = cloud.host(moved)
        assert old is not None
        booked = cloud.booked(start="+00:09:00")
        cloud.call("one.host.status", old, DISABLED)
        migrate(cloud, moved, 1 - old)
        cloud.until(lambda: cloud.planned(moved) == (1 - old,), seconds=200)
        cloud.assert_starts_in_time(booked)
        assert cloud.host(booked) == 1 - old
        assert cloud.lease(moved).state is State.DONE
        cloud.assert_no_overload()


def test_it_is_suspended_and_resumed_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        moved = cloud.running(preemptible="yes", duration="00:30:00")
        old = cloud.host(moved)
        assert old is not None
        migrate(cloud, moved, 1 - old)
        cloud.until(lambda: cloud.planned(moved) == (1 - old,), seconds=200)
        other = cloud.running(duration="03:00:00")
        assert cloud.host(other) == old
        booked = cloud.submit(cpu=8, start="+00:03:00", duration="00:05:00")
        cloud.until_state(booked, "RUNNING")
        assert cloud.state(moved) == "STOPPED"
        assert cloud.host(booked) == 1 - old
        cloud.until_state(booked, "DONE")
        cloud.until_state(moved, "RUNNING")
        assert cloud.host(moved) == 1 - old
        cloud.assert_no_overload()


def test_one_that_is_moved_on_and_back_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=3) as cloud:
        moved = cloud.running()
        first = cloud.host(moved)
        assert first is not None
        for host in ((first + 1) % 3, (first + 2) % 3, first):
            migrate(cloud, moved, host)
            cloud.until(lambda host=host: cloud.planned(moved) == (host,), seconds=300)  # type: ignore[misc]
            cloud.until_state(moved, "RUNNING")
            # A restart knows where it is.
            cloud.stop_haizea()
            cloud.start_haizea()
        others = [cloud.running() for _ in range(2)]
        assert {cloud.host(vm) for vm in (moved, *others)} == {0, 1, 2}
        assert cloud.host(moved) == first
        assert not cloud.came_to(moved, "UNDEPLOYED")
        cloud.assert_no_overload()


def test_a_vm_of_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=3) as cloud:
        group: dict[str, Any] = {"group": "g", "group_size": "2"}
        words = {"start": "best_effort", "duration": "00:08:00", **group}
        vms = [cloud.submit(cpu=8, **words) for _ in range(2)]
        for vm in vms:
            cloud.until_state(vm, "RUNNING")
        before = [cloud.host(vm) for vm in vms]
        [free] = {0, 1, 2} - set(before)
        migrate(cloud, vms[1], free)
        cloud.until(lambda: cloud.planned(vms[0]) == (before[0], free), seconds=300)
        following = cloud.running(duration="00:10:00")
        assert cloud.host(following) == before[1]
        for vm in vms:
            cloud.until_state(vm, "DONE", seconds=2000)
        assert [cloud.host(vm) for vm in vms] == [before[0], free]
        cloud.assert_no_overload()


def test_one_that_is_put_where_another_runs_has_its_own_host_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        moved, other = cloud.running(), cloud.running()
        old, new = cloud.host(moved), cloud.host(other)
        assert old is not None
        assert new is not None
        migrate(cloud, moved, new)
        cloud.until(lambda: cloud.host(moved) == new)
        cloud.until_state(moved, "RUNNING")
        waits = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.until(lambda: cloud.has_lease(waits))
        before = cloud.now()
        cloud.until(lambda: cloud.now() > before + SOON)
        assert cloud.state(waits) == "PENDING"
        assert {cloud.state(vm) for vm in (moved, other)} == {"RUNNING"}
        cloud.call("one.vm.action", "terminate-hard", other)
        cloud.until_state(waits, "RUNNING", seconds=2500)
        assert cloud.host(waits) == old
        assert cloud.planned(moved) == (new,)
