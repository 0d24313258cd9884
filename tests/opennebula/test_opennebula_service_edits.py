"""Owners change their leases by editing ``HAIZEA`` in their VMs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.backends.opennebula.backend import OpenNebulaBackend
from haizea.core.model.events import Decision, LeaseAltered
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State


def waiting(cloud: Site, **words: str) -> int:
    """A VM that has a lease and no room."""
    given = {"start": "best_effort", "duration": "01:00:00", **words}
    vm = cloud.submit(cpu=8, memory=1024, rest="", **given)
    cloud.until(lambda: cloud.has_lease(vm, State.QUEUED, State.SCHEDULED))
    return vm


def number_of_leases(cloud: Site, vm: int) -> int:
    """Return how many leases a VM has had."""
    return sum(str(vm) in record.request.names for record in cloud.leases())


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_a_lease_that_waits_is_changed_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, version=version) as cloud:
        cloud.running()
        first, second = waiting(cloud), waiting(cloud)
        before = cloud.lease(first)
        cloud.edit(first, start="best_effort", duration="00:05:00", hosts="fixed")
        cloud.until_told(first, "granted")
        after = cloud.lease(first)
        assert (after.id, after.request.duration) == (before.id, 300)
        assert after.request.fixed_hosts
        assert number_of_leases(cloud, first) == 1
        assert number_of_leases(cloud, second) == 1


def test_a_running_lease_gets_another_end_or_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        vm = cloud.running(duration="00:30:00")
        booked = cloud.submit(cpu=8, start="+03:00:00", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(booked, State.SCHEDULED))
        start = cloud.lease(booked).request.start
        assert start is not None
        cloud.edit(vm, start="best_effort", duration="01:00:00")
        cloud.until_told(vm, "granted")
        granted, promised = cloud.lease(vm), cloud.lease(booked)
        assert granted.request.duration == 3600
        cloud.edit(vm, start="best_effort", duration="09:00:00")
        cloud.until_told(vm, "the latest end that would do")
        assert cloud.lease(vm) == granted
        assert cloud.lease(booked) == promised
        # The duration that is proposed is one that is granted.
        told = cloud.told_of_edit(vm)
        assert told.startswith("refused, and nothing has changed: its hosts are promised")
        would_do = told.split("duration ")[-1]
        cloud.edit(vm, start="best_effort", duration=would_do)
        cloud.until_told(vm, "granted")
        plan = cloud.lease(vm).plan
        assert plan is not None
        # The hosts are wanted as soon as the VMs of the reservation are to be started.
        assert plan.phases[-1].end == start - promised.prepare_seconds
        cloud.edit(vm, start="best_effort", duration=str(int(would_do) + 1))
        cloud.until_told(vm, "refused")


def test_a_reservation_gets_another_start_or_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        vm, other = (
            cloud.booked(start=start, duration="01:00:00") for start in ("+02:00:00", "+05:01:00")
        )
        before = cloud.lease(vm)
        cloud.edit(vm, start="+04:30:00", duration="01:00:00")
        cloud.until_told(vm, "the nearest start that would do")
        assert cloud.lease(vm) == before
        cloud.edit(vm, start="best_effort", duration="01:00:00")
        cloud.until_told(vm, "a lease keeps its kind")
        cloud.edit(vm, start="soon", duration="01:00:00")
        cloud.until_told(vm, "HAIZEA start")
        cloud.edit(vm, start="+02:00:00", duration="01:00:00", group="web")
        cloud.until_told(vm, "a lease keeps its VMs")
        assert cloud.lease(vm) == before
        cloud.edit(vm, start="+03:00:00", duration="02:00:00")
        cloud.until_told(vm, "granted")
        after = cloud.lease(vm).request
        assert before.request.start is not None
        assert (after.start, after.duration) == (before.request.start + 3600, 7200)
        assert number_of_leases(cloud, vm) == number_of_leases(cloud, other) == 1


def test_a_window_is_changed_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        words = {"after": "+02:00:00", "deadline": "+04:00:00", "duration": "01:00:00"}
        vm = cloud.submit(cpu=8, memory=1024, rest="", **words)
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED))
        assert cloud.lease(vm).request.kind is Kind.DEADLINE
        booked = cloud.booked(start="+05:00:00", duration="02:00:00")
        before = cloud.lease(vm)
        cloud.edit(vm, **words | {"duration": "02:30:00"})
        cloud.until_told(vm, "refused, and nothing has changed")
        assert cloud.lease(vm) == before
        cloud.edit(vm, **words | {"duration": "02:30:00", "deadline": "+05:00:00"})
        cloud.until_told(vm, "granted")
        assert cloud.lease(vm).request.duration == 9000
        assert cloud.lease(booked).state is State.SCHEDULED


def test_vms_of_a_group_are_changed_once_all_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        words = {"start": "+02:00:00", "duration": "01:00:00", "group": "web", "group_size": "2"}
        vms = [cloud.submit(cpu=8, memory=1024, rest="", **words) for _ in range(2)]
        cloud.until(lambda: cloud.has_lease(vms[0], State.SCHEDULED))
        before = cloud.lease(vms[0])
        longer = words | {"duration": "02:00:00"}
        cloud.edit(vms[0], **longer)
        cloud.until_told(vms[1], "do not say the same duration")
        assert cloud.lease(vms[0]) == before
        cloud.edit(vms[1], **longer)
        for vm in vms:
            cloud.until_told(vm, "granted")
        assert cloud.lease(vms[1]).request.duration == 7200
        assert cloud.lease(vms[1]).id == before.id


def test_an_edit_is_answered_once_whoever_restarts_or_changes_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, listen="127.0.0.1:0") as cloud:
        cloud.running()
        vm, booked = waiting(cloud), cloud.booked(start="+05:00:00", duration="01:00:00")
        cloud.edit(booked, start="+05:00:00", duration="soon")
        cloud.until_told(booked, "HAIZEA duration")
        kept = cloud.lease(booked)
        # What others change stays, though the VM says what it said.
        cloud.haizea("change", str(cloud.lease(vm).id), "--duration", "2h")
        cloud.until(lambda: cloud.lease(vm).request.duration == 7200)
        cloud.stop_haizea()
        cloud.start_haizea()
        cloud.edit(booked, start="+05:00:00", duration="00:30:00")
        cloud.until_told(booked, "granted")
        assert cloud.lease(vm).request.duration == 7200
        assert (cloud.lease(booked).id, cloud.lease(booked).request.duration) == (kept.id, 1800)
        # What was edited while nobody looked is a change, too.
        cloud.stop_haizea()
        cloud.edit(vm, start="best_effort", duration="00:05:00")
        cloud.start_haizea()
        cloud.until_told(vm, "granted")
        assert cloud.lease(vm).request.duration == 300
        assert number_of_leases(cloud, vm) == number_of_leases(cloud, booked) == 1


def test_what_others_change_stays_if_haizea_ends_in_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, listen="127.0.0.1:0") as cloud:
        cloud.running()
        vm = waiting(cloud)
        service = cloud.service
        assert service is not None
        enact = OpenNebulaBackend.enact

        def enact_and_end(
            backend: OpenNebulaBackend, now: int, decisions: Sequence[Decision]
        ) -> None:
            enact(backend, now, decisions)
            if any(isinstance(one, LeaseAltered) for one in decisions):
                service.stop()

        monkeypatch.setattr(OpenNebulaBackend, "enact", enact_and_end)
        cloud.haizea("change", str(cloud.lease(vm).id), "--duration", "2h")
        cloud.stop_haizea()
        assert cloud.lease(vm).request.duration == 7200
        cloud.start_haizea()
        # Its owner edits nothing, and others' VMs do not matter.
        other = cloud.submit(cpu=8, start="best_effort", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(other))
        assert cloud.lease(vm).request.duration == 7200
        cloud.edit(vm, start="best_effort", duration="00:05:00")
        cloud.until_told(vm, "granted")
        assert cloud.lease(vm).request.duration == 300


def test_a_lease_that_was_changed_and_is_cancelled_is_not_asked_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its VM was taken for one that asks for something else, and started before it was deleted."""
    with site(tmp_path, monkeypatch, hosts=1, listen="127.0.0.1:0") as cloud:
        cloud.running()
        vms = waiting(cloud), cloud.booked(start="+05:00:00", duration="00:30:00")
        for vm, start in zip(vms, ("best_effort", "+05:00:00"), strict=True):
            cloud.edit(vm, start=start, duration="00:40:00")
            cloud.until_told(vm, "granted")
        cloud.haizea("cancel", *(str(cloud.lease(vm).id) for vm in vms))
        for vm in vms:
            cloud.until_state(vm, "DONE")
        assert [number_of_leases(cloud, vm) for vm in vms] == [1, 1]
