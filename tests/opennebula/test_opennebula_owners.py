"""Messages to owners while their VMs are on their way, and about what they wrote wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opennebula_service import AT_THE_START, Site, site
from opennebula_tap import TappedSite, tapped_site

from haizea.core.model.lifecycle import State

#: Real seconds in which nothing that only changes in time is written.
CALM_SECONDS = 30
SPEED = 5


def message(cloud: Site, vm: int) -> str:
    """Return what its owner reads."""
    [text] = cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", [""])
    return str(text)


def status(cloud: Site, vm: int) -> dict[str, str]:
    """The same for programs."""
    [found] = cloud.sandbox.cloud.vms[vm].user_template.get("HAIZEA_STATUS", [{}])
    assert isinstance(found, dict)
    return found


def texts(cloud: Site, vm: int, until: str) -> list[str]:
    """Return what its owner reads one after another, until it has this in it."""
    found: list[str] = [""]

    def seen() -> bool:
        text = message(cloud, vm)
        if text != found[-1]:
            found.append(text)
        return until in text

    cloud.until(seen, seconds=(CALM_SECONDS - 10) * cloud.speed)
    return found[1:]


def all_told(cloud: Site, vm: int) -> list[str]:
    """Return all that was ever written for its owner, however soon something else was."""
    written = [c for c in cloud.sandbox.control.commands() if c.method == "one.vm.update"]
    return [str(c.arguments[1]) for c in written if c.arguments[0] == vm]


def of_a_pair(cloud: Site) -> int:
    """Submit a VM of a group of two, each on a host of its own."""
    words: dict[str, Any] = {"group": "g", "group_size": "2"}
    return cloud.submit(cpu=8, start="best_effort", duration="01:00:00", **words)


def pause(cloud: TappedSite) -> None:
    """Let every VM be looked at twice from now on: a look may be under way already."""
    before = looks(cloud)
    cloud.until(lambda: looks(cloud) >= before + 2)


def looks(cloud: TappedSite) -> int:
    """Return how often all VMs were asked for."""
    counted = cloud.tap.counted()
    return counted["one.vmpool.infoextended"] + counted["one.vmpool.info"]


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_a_vm_runs_only_when_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, version=version, speed=SPEED) as cloud:
        cloud.sandbox.control.plan("hang", step="BOOT", count=1)
        vm = cloud.submit(start="now", duration="01:00:00")
        read = texts(cloud, vm, "booting")
        assert not [text for text in read if "runs on" in text]
        assert not [text for text in all_told(cloud, vm) if ": its VMs run" in text]
        assert f"Haizea lease {cloud.lease(vm).id} is being started on node01, until " in read[-1]
        assert status(cloud, vm)["STATE"] == "Preparing"
        assert (status(cloud, vm)["PROGRESS"], status(cloud, vm)["HOST"]) == ("booting", "node01")
        cloud.sandbox.control.release(vm)
        texts(cloud, vm, "runs on node01, until ")
        assert "PROGRESS" not in status(cloud, vm)


def test_what_fails_while_it_starts_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=SPEED) as cloud:
        cloud.sandbox.control.plan("fail", step="BOOT", count=2)
        vm = cloud.submit(start="now", duration="01:00:00")
        read = texts(cloud, vm, "booting failed; it is tried again")
        assert "is being started on node01" in read[-1]
        read = texts(cloud, vm, "runs on node01")
        assert not [text for text in read if text.count("booting failed") > 1]


def test_an_ar_that_starts_again_elsewhere_says_why_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retries = f"command-retries: 1\n{AT_THE_START}"
    with site(tmp_path, monkeypatch, hosts=2, speed=SPEED, opennebula=retries) as cloud:
        vm = cloud.booked(start="+00:00:30")
        first = cloud.planned(vm)[0]
        cloud.sandbox.control.plan("fail", step="BOOT", host=first, count=100)
        cloud.until(lambda: cloud.planned(vm) == (1 - first,))
        read = texts(cloud, vm, f"runs on node0{2 - first}")
        assert f"VM {vm}: booting failed" in read[-1]
        assert not [text for text in read if text.count("booting failed") > 1]


def test_a_vm_of_a_group_that_hangs_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = "command-timeout: 60"
    with site(tmp_path, monkeypatch, hosts=2, speed=SPEED, opennebula=limits) as cloud:
        hung = of_a_pair(cloud)
        cloud.sandbox.control.plan("hang", step="BOOT", vm=hung)
        other = of_a_pair(cloud)
        texts(cloud, other, f"VM {hung}: it hangs in boot; it is tried again")
        texts(cloud, hung, "is being started on node0")
        read = texts(cloud, hung, "it hangs in boot; it is tried again")
        assert f"VM {hung}" not in read[-1]


def test_a_group_runs_only_when_all_of_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, speed=SPEED) as cloud:
        late = of_a_pair(cloud)
        cloud.sandbox.control.plan("hang", step="PROLOG", vm=late)
        other = of_a_pair(cloud)
        cloud.until_state(other, "RUNNING")
        read = texts(cloud, other, f"VM {late}: preparing its files")
        assert not [text for text in read if "runs on" in text]
        texts(cloud, late, "until ")
        assert message(cloud, late).endswith(": preparing its files")
        cloud.sandbox.control.release(late)
        for vm in (late, other):
            texts(cloud, vm, "runs on node0")


def test_it_is_told_where_a_vm_is_now_that_others_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, speed=SPEED) as cloud:
        vm = cloud.running()
        texts(cloud, vm, "runs on node01")
        cloud.call("one.vm.migrate", vm, 1, True, False, -1, 0)
        cloud.until(lambda: cloud.planned(vm) == (1,))
        texts(cloud, vm, "runs on node02")
        # What the schedule has no room for is there all the same.
        other = cloud.running()
        assert cloud.host(other) == 0
        cloud.call("one.vm.migrate", vm, 0, True, False, -1, 0)
        texts(cloud, vm, "runs on node01")
        assert cloud.planned(vm) == (1,)


def test_a_wrong_rank_is_told_and_stays_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=SPEED) as cloud:
        wrong = "SCHED_RANK, character 1"
        vm = cloud.submit(
            cpu=8, start="best_effort", duration="01:00:00", rest='SCHED_RANK="* FREE_CPU"'
        )
        read = texts(cloud, vm, "runs on node01")
        assert all(wrong in text for text in read)
        assert wrong in status(cloud, vm)["REMARK"]
        waits = cloud.submit(
            cpu=8, start="best_effort", duration="01:00:00", rest='SCHED_RANK="* FREE_CPU"'
        )
        cloud.until(lambda: cloud.has_lease(waits))
        texts(cloud, waits, wrong)
        cloud.stop_haizea()
        cloud.start_haizea()
        cloud.call("one.vm.update", waits, 'SCHED_RANK="FREE_CPU"', 1)
        cloud.until(lambda: wrong not in message(cloud, waits), seconds=300)
        assert wrong in message(cloud, vm)


def test_the_end_that_is_told_is_that_of_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=SPEED) as cloud:
        cloud.sandbox.control.plan("hang", step="SHUTDOWN", count=1)
        vm = cloud.submit(start="now", duration="00:00:40")
        read = texts(cloud, vm, "runs on node01")
        assert ", and is shut down in the last 5 s of its duration" in read[-1]
        texts(cloud, vm, "is being shut down on node01")


# --- how VMs wait, and what is written in them ------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [("hold", "pending"), ("pending", "hold")])
def test_leases_stay_where_other_vms_are_haizeas_from_now_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    with tapped_site(
        tmp_path,
        monkeypatch,
        hosts=2,
        wakeup=10,
        states=before,
        submit_on_hold=before == "hold",
    ) as cloud:
        vm = cloud.booked(start="+00:25:00")
        stopped = cloud.submit(cpu=8, start="+00:28:00", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(stopped, State.SCHEDULED))
        for _ in range(2):  # Nor does a second start forget it.
            cloud.stop_haizea()
            cloud.configure(states=after)
            cloud.start_haizea()
            pause(cloud)
            assert cloud.lease(vm).state is State.SCHEDULED
        # What its owner does from then on counts.
        actions = ("release", "hold") if after == "pending" else ("hold", "release")
        for action in actions:
            assert cloud.lease(stopped).state is State.SCHEDULED
            cloud.call("one.vm.action", action, stopped)
            pause(cloud)
        assert cloud.lease(stopped).state is State.CANCELLED
        cloud.assert_starts_in_time(vm)


@pytest.mark.parametrize(
    "words",
    [
        "START='+00:00:30', DURATION='00:10:00', GROUP='g', GROUP_SIZE='1'",
        "START=\"'+00:00:30'\", DURATION=\"'00:10:00'\"",
        "START=+00:00:30, DURATION='600'",
    ],
)
def test_quotes_of_both_kinds_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        vm = cloud.submit(rest=f"HAIZEA=[ {words} ]")
        cloud.until(lambda: cloud.has_lease(vm))
        request = cloud.lease(vm).request
        assert (request.start is not None, request.duration) == (True, 600)
        assert request.label in ("g", "")


def test_the_example_that_is_printed_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        wrong = cloud.submit(rest='HAIZEA="now, for an hour"')
        cloud.until(lambda: "write HAIZEA=[" in message(cloud, wrong), seconds=1000)
        printed = message(cloud, wrong).partition(": write ")[2]
        vm = cloud.submit(rest=printed)
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED))
        assert cloud.lease(vm).request.duration == 2 * 3600


def test_one_whose_lease_failed_after_a_restart_is_not_told_that_its_start_is_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This Haizea saw it wait only when the lease was over, and took it for a new request."""
    with site(tmp_path, monkeypatch, hosts=1, speed=10) as cloud:
        cloud.sandbox.control.plan("hang", step="BOOT", count=1000)
        vm = cloud.submit(start="+00:00:20", duration="00:02:00")
        cloud.until_state(vm, "BOOT")
        cloud.stop_haizea()
        cloud.start_haizea()
        # What it would read of itself in the VM comes late.
        cloud.sandbox.control.refuse("one.vm.update", count=1000)
        cloud.until(lambda: cloud.has_lease(vm, State.FAILED))
        cloud.until_state(vm, "PENDING")
        looked = cloud.now()
        cloud.until(lambda: cloud.now() > looked + 40)
        cloud.sandbox.control.forget_plans()
        cloud.until(lambda: status(cloud, vm)["STATE"] in ("Failed", "Refused"))
        assert status(cloud, vm)["STATE"] == "Failed"
