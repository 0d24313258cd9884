"""Hosts that an administrator takes out of use: what is promised there goes elsewhere."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State
from haizea.wording import in_words

DISABLED, OFFLINE, ENABLED = 1, 2, 0


def switch(cloud: Site, host: int, status: int) -> None:
    """An administrator takes a host out of use, or gives it back."""
    if cloud.sandbox.options.version.startswith("1."):
        cloud.call("one.host.enable", host, status == ENABLED)
    else:
        cloud.call("one.host.status", host, status)


def message(cloud: Site, vm: int) -> str:
    """Return what its owner reads."""
    return str(cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", ""))


@pytest.mark.parametrize(
    ("version", "status"), [("1.4.0", DISABLED), ("6.10.5", OFFLINE), ("7.4.0", DISABLED)]
)
def test_a_reservation_leaves_a_host_that_is_taken_out_of_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, status: int
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, version=version) as cloud:
        vm = cloud.booked()
        before = cloud.planned(vm)
        switch(cloud, before[0], status)
        cloud.until(lambda: cloud.planned(vm) == (1 - before[0],), seconds=200)
        assert cloud.lease(vm).state is State.SCHEDULED
        if version != "1.4.0":
            cloud.until(lambda: "other hosts were found" in message(cloud, vm), seconds=900)
            assert "takes nothing new: it is" in message(cloud, vm)
        cloud.assert_starts_in_time(vm)
        assert cloud.host(vm) == 1 - before[0]
        cloud.assert_no_overload()


def planned_host(cloud: Site, vm: int) -> str:
    """Return where its owner reads that it is to run."""
    status = str(cloud.sandbox.cloud.vms[vm].user_template.get("HAIZEA_STATUS", ""))
    found = re.search(r"PLANNED_HOST\W+([\w-]+)", status)
    return found[1] if found else ""


@pytest.mark.parametrize("disabled", [False, True], ids=["", "a host is disabled before"])
def test_a_planned_host_that_changes_is_told_and_is_where_the_vm_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disabled: bool
) -> None:
    with site(tmp_path, monkeypatch, hosts=3 if disabled else 2) as cloud:
        words: dict[str, Any] = {"start": "+00:20:00", "duration": "00:10:00"}
        halves = [cloud.submit(cpu=4, **words) for _ in range(2)]
        for vm in halves:
            cloud.until(partial(cloud.has_lease, vm, State.SCHEDULED))
        cloud.until(lambda: all(planned_host(cloud, vm) for vm in halves), seconds=900)
        before = [cloud.planned(vm) for vm in halves]
        assert before[0] != before[1]
        whole = cloud.booked(start="+00:16:00")
        if disabled:
            switch(cloud, cloud.planned(whole)[0], DISABLED)
        cloud.until(lambda: cloud.planned(halves[0]) == cloud.planned(halves[1]), seconds=200)
        cloud.until(lambda: len({planned_host(cloud, vm) for vm in halves}) == 1, seconds=900)
        for vm in (*halves, whole):
            cloud.assert_starts_in_time(vm)
        assert cloud.host(halves[0]) == cloud.host(halves[1]) != cloud.host(whole)
        cloud.assert_no_overload()


def test_fixed_hosts_stay_and_who_would_need_them_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        words: dict[str, Any] = {"start": "+00:20:00", "duration": "00:10:00", "hosts": "fixed"}
        halves = [cloud.submit(cpu=4, **words) for _ in range(2)]
        for vm in halves:
            cloud.until(partial(cloud.has_lease, vm, State.SCHEDULED))
        before = [cloud.planned(vm) for vm in halves]
        assert before[0] != before[1]
        whole = cloud.submit(cpu=8, start="+00:20:00", duration="00:05:00")
        cloud.until(partial(cloud.has_lease, whole, State.REJECTED))
        assert [cloud.planned(vm) for vm in halves] == before
        # Where it cannot be had, another one will do.
        switch(cloud, before[0][0], DISABLED)
        cloud.until(lambda: cloud.planned(halves[0]) == before[1], seconds=200)
        for vm in halves:
            cloud.assert_starts_in_time(vm)
        assert cloud.host(halves[0]) == cloud.host(halves[1]) == before[1][0]
        cloud.assert_no_overload()


@pytest.mark.parametrize("status", [DISABLED, OFFLINE])
def test_one_that_finds_no_other_host_keeps_its_own_in_case_it_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        cloud.submit(cpu=8, start="best_effort", duration="05:00:00")
        vm = cloud.booked()
        mine = cloud.planned(vm)
        switch(cloud, mine[0], status)
        cloud.until(lambda: "no others are free yet" in message(cloud, vm), seconds=900)
        assert cloud.lease(vm).state is State.SCHEDULED
        assert cloud.planned(vm) == mine
        switch(cloud, mine[0], ENABLED)
        cloud.until(lambda: "no others" not in in_words(cloud.lease(vm).reason))
        cloud.assert_starts_in_time(vm)
        assert cloud.host(vm) == mine[0]
        cloud.assert_no_overload()


@pytest.mark.parametrize("back", [False, True], ids=["never", "late"])
def test_one_whose_host_is_not_back_in_time_waits_for_it_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        vm = cloud.booked(start="+00:02:00", duration="00:10:00")
        switch(cloud, 0, DISABLED)
        cloud.until(lambda: "no others are free yet" in in_words(cloud.lease(vm).reason))
        cloud.until(lambda: cloud.lease(vm).state is State.QUEUED)
        lease = cloud.lease(vm)
        start = lease.request.start
        assert start is not None
        assert lease.changed >= start - lease.prepare_seconds
        cloud.until(lambda: "waits for hosts" in message(cloud, vm), seconds=900)
        assert "cannot be used at present" in message(cloud, vm)
        if back:
            cloud.until(lambda: cloud.now() > start + 60, seconds=900)
            switch(cloud, 0, ENABLED)
            cloud.until_state(vm, "RUNNING", seconds=900)
            cloud.until(lambda: cloud.lease(vm).state is State.ACTIVE)
            assert "cannot be used at present" in in_words(cloud.lease(vm).late)
            cloud.until(lambda: cloud.lease(vm).state is State.DONE, seconds=900)
            assert cloud.lease(vm).changed <= start + 600
            return
        cloud.until(lambda: cloud.lease(vm).state is State.FAILED, seconds=900)
        assert start + 540 <= cloud.lease(vm).changed <= start + 600
        assert "no hosts came free for it" in in_words(cloud.lease(vm).reason)
        assert "cannot be used at present" in in_words(cloud.lease(vm).reason)
        assert cloud.state(vm) == "PENDING"
        assert not cloud.came_to(vm, "PROLOG")


@pytest.mark.parametrize("noticed", ["while it is prepared", "by Haizea too late"])
def test_one_whose_host_is_gone_when_it_is_prepared_is_prepared_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        vm = cloud.booked(start="+00:02:00")
        [gone] = cloud.planned(vm)
        if noticed == "while it is prepared":
            cloud.sandbox.control.plan("fail", step="PROLOG", count=1, factor=3.0)
            cloud.until_state(vm, "PROLOG")
            cloud.sandbox.control.break_host(gone)
        else:
            cloud.stop_haizea()
            switch(cloud, gone, OFFLINE)
            start = cloud.lease(vm).request.start
            assert start is not None
            cloud.until(lambda: cloud.now() >= start - 2)
            cloud.start_haizea()
        cloud.until(lambda: cloud.has_lease(vm, State.ACTIVE), seconds=900)
        assert (cloud.state(vm), cloud.host(vm)) == ("RUNNING", 1 - gone)
        cloud.assert_no_overload()


def test_one_that_finds_no_other_host_takes_the_first_that_comes_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        runs = cloud.submit(cpu=8, start="best_effort", duration="05:00:00")
        cloud.until_state(runs, "RUNNING")
        vm = cloud.booked(start="+00:05:00")
        mine = cloud.planned(vm)
        assert mine == (1 - (cloud.host(runs) or 0),)
        switch(cloud, mine[0], DISABLED)
        cloud.until(lambda: "no others are free yet" in in_words(cloud.lease(vm).reason))
        cloud.call("one.vm.action", "terminate-hard", runs)
        cloud.until(lambda: cloud.planned(vm) == (1 - mine[0],), seconds=200)
        # Nobody else takes it meanwhile.
        late = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.assert_starts_in_time(vm)
        assert cloud.state(late) == "PENDING"
        cloud.assert_no_overload()


def test_the_other_host_is_cleared_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        runs = cloud.submit(cpu=8, start="best_effort", duration="05:00:00", preemptible="yes")
        cloud.until_state(runs, "RUNNING")
        vm = cloud.booked()
        switch(cloud, cloud.planned(vm)[0], DISABLED)
        cloud.until(lambda: cloud.planned(vm) == (cloud.host(runs),), seconds=200)
        assert cloud.state(runs) == "RUNNING", "it is stopped as late as possible"
        cloud.assert_starts_in_time(vm)
        assert cloud.state(runs) == "STOPPED"
        cloud.assert_no_overload()


def test_all_vms_of_a_group_move_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=4) as cloud:
        # By one start, whenever they come.
        group: dict[str, Any] = {"group": "g", "group_size": "2"}
        words = {"start": "+00:05:00", "duration": "00:10:00", **group}
        vms = [cloud.submit(cpu=8, **words) for _ in range(2)]
        cloud.until(lambda: cloud.has_lease(vms[0], State.SCHEDULED))
        before = cloud.planned(vms[0])
        switch(cloud, before[1], DISABLED)
        cloud.until(lambda: before[1] not in cloud.planned(vms[0]), seconds=200)
        for vm in vms:
            cloud.assert_starts_in_time(vm)
        assert len({cloud.host(vm) for vm in vms} - {before[1]}) == 2
        cloud.assert_no_overload()
