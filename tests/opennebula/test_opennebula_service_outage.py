"""OpenNebula is away, or nothing works there, when leases are to start, to be saved, or to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opennebula_service import AT_THE_START, Site, site
from opennebula_tap import tapped_site

from haizea.core.model.events import StateChanged
from haizea.core.model.lifecycle import State
from haizea.sandbox.operations import Durations
from haizea.wording import in_words

RAN = ("RUNNING", "SHUTDOWN", "EPILOG", "DONE")


def at(cloud: Site, moment: float) -> None:
    """Let it be this moment."""
    cloud.until(lambda: cloud.now() >= moment)


def kill_oned(cloud: Site, seconds: float) -> None:
    """``oned`` is killed, and started again after so long."""
    back = cloud.now() + seconds
    cloud.sandbox.kill()
    at(cloud, back)
    cloud.sandbox.start()


def assert_it_never_ran(cloud: Site, vm: int, *, waits: str = "PENDING") -> None:
    """Its lease failed and says why; the VM is there, as it was."""
    cloud.until(lambda: cloud.lease(vm).over)
    lease = cloud.lease(vm)
    assert lease.state is State.FAILED, lease
    assert lease.reason
    assert not set(cloud.sandbox.control.states(vm)) & set(RAN)
    cloud.until_state(vm, waits)


def assert_never_active(cloud: Site, vm: int) -> None:
    """Its lease was being prepared, and nobody was told that it runs."""
    told = [event.decision for event in cloud.store.events(0, 100, cloud.lease(vm).id)]
    states = {decision.new for decision in told if isinstance(decision, StateChanged)}
    assert State.PREPARING in states
    assert State.ACTIVE not in states


@pytest.mark.parametrize("away", [20, 48])
def test_a_lease_whose_start_and_end_oned_missed_never_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    """Its command finds nobody: it was given one second after ``oned`` had died."""
    with site(tmp_path, monkeypatch, hosts=1, speed=10, opennebula=AT_THE_START) as cloud:
        vm = cloud.submit(start="+00:00:30", duration="00:00:20")
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED))
        start = cloud.lease(vm).request.start
        assert start is not None
        at(cloud, start - 1)
        kill_oned(cloud, away)
        assert_it_never_ran(cloud, vm)
        assert_never_active(cloud, vm)


def test_a_lease_whose_command_was_lost_with_oned_never_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenNebula had accepted it, and died before it did anything about it."""
    slow = Durations(dispatch_seconds=8.0)
    with site(tmp_path, monkeypatch, hosts=1, speed=10, durations=slow) as cloud:
        vm = cloud.submit(start="+00:00:30", duration="00:00:20")
        cloud.until_state(vm, "LCM_INIT")
        kill_oned(cloud, 40)
        assert_it_never_ran(cloud, vm)
        assert_never_active(cloud, vm)


def test_a_lease_that_nobody_could_ask_about_never_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Haizea was started again while OpenNebula was away, and the lease ended meanwhile."""
    slow = Durations(dispatch_seconds=8.0)
    with site(tmp_path, monkeypatch, hosts=1, speed=10, durations=slow) as cloud:
        vm = cloud.submit(start="+00:00:40", duration="00:01:00")
        cloud.until_state(vm, "LCM_INIT")
        cloud.sandbox.kill()
        cloud.stop_haizea()
        cloud.start_haizea()
        end = cloud.lease(vm).request.start
        assert end is not None
        at(cloud, end + 75)
        assert cloud.lease(vm).state is State.ACTIVE, "nobody knows"
        cloud.sandbox.start()
        assert_it_never_ran(cloud, vm)


def test_what_waits_runs_for_all_of_its_time_after_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=20) as cloud:
        first = cloud.running(duration="00:00:40")
        vm = cloud.submit(cpu=8, start="best_effort", duration="00:00:30")
        cloud.until(lambda: cloud.has_lease(vm, State.QUEUED, State.SCHEDULED))
        cloud.until_state(first, "SHUTDOWN")
        cloud.until_state(first, "DONE")
        cloud.sandbox.kill()
        before = cloud.now()
        at(cloud, before + 200)
        cloud.sandbox.start()
        cloud.until_state(vm, "DONE", seconds=300)
        (runs,), (ends,) = cloud.came_to(vm, "RUNNING"), cloud.came_to(vm, "SHUTDOWN")
        assert ends - runs >= 20
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


@pytest.mark.parametrize("kind", ["fails", "hangs", "is slow"])
def test_a_lease_whose_vm_did_not_come_to_run_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=10) as cloud:
        plans = {"fails": ("fail", 3.0), "hangs": ("hang", 1.0), "is slow": ("done", 30.0)}
        outcome, factor = plans[kind]
        cloud.sandbox.control.plan(outcome, step="BOOT", count=1000, factor=factor)
        vm = cloud.submit(start="+00:00:20", duration="00:00:30")
        cloud.until(lambda: cloud.has_lease(vm, *State) and cloud.lease(vm).over)
        lease = cloud.lease(vm)
        assert lease.state is State.FAILED
        assert f"VM {vm}" in in_words(lease.reason)
        assert "boot" in in_words(lease.reason)
        assert_never_active(cloud, vm)
        assert "DONE" not in cloud.sandbox.control.states(vm)
        cloud.sandbox.control.forget_plans()
        cloud.assert_no_overload()


def test_a_group_of_which_one_vm_did_not_come_to_run_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, speed=10) as cloud:
        words: dict[str, Any] = {"start": "+00:00:30", "duration": "00:00:40"}
        words |= {"group": "two", "group_size": 2}
        vms = [cloud.submit(cpu=6, **words) for _ in range(2)]
        cloud.sandbox.control.plan("fail", step="BOOT", vm=vms[1], count=1000, factor=6.0)
        cloud.until(lambda: cloud.has_lease(vms[0], *State) and cloud.lease(vms[0]).over)
        assert cloud.lease(vms[0]).state is State.FAILED
        assert f"VM {vms[1]}" in in_words(cloud.lease(vms[0]).reason)
        cloud.until_state(vms[0], "STOPPED")


@pytest.mark.parametrize(
    "step", ["PROLOG", "BOOT", "SAVE_STOP", "EPILOG_STOP", "PROLOG_RESUME", "BOOT_STOPPED"]
)
def test_what_oned_was_doing_when_it_was_killed_is_done_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Long before the time after which an operation counts as hanging."""
    with site(tmp_path, monkeypatch, hosts=1, speed=10) as cloud:
        vm = cloud.submit(cpu=8, start="best_effort", duration="01:00:00", preemptible="yes")
        if step not in ("PROLOG", "BOOT"):
            cloud.until_state(vm, "RUNNING")
            cloud.booked(start="+00:02:00", duration="00:00:40")
        cloud.sandbox.control.plan("done", step=step, vm=vm, factor=5.0)
        cloud.until_state(vm, step)
        kill_oned(cloud, 20)
        before = cloud.now()
        cloud.until(lambda: cloud.came_to(vm, "RUNNING")[-1:] > [before], seconds=400)
        assert len(cloud.came_to(vm, "PROLOG")) == (2 if step == "PROLOG" else 1)
        assert not cloud.came_to(vm, "UNDEPLOYED")
        cloud.assert_no_overload()


@pytest.mark.parametrize("away", [0, 20])
@pytest.mark.parametrize("step", ["SHUTDOWN", "EPILOG"])
def test_what_was_ending_when_oned_was_killed_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, away: int
) -> None:
    """Also where ``oned`` is back before anybody asked it anything."""
    with site(tmp_path, monkeypatch, hosts=1, speed=10) as cloud:
        cloud.sandbox.control.plan("done", step=step, factor=20.0)
        vm = cloud.submit(start="best_effort", duration="00:00:40")
        cloud.until_state(vm, step)
        kill_oned(cloud, away)
        back = cloud.now()
        cloud.until_state(vm, "DONE", seconds=400)
        assert cloud.came_to(vm, "DONE")[0] < back + 120, "command-timeout is 900 s"
        if step == "EPILOG":
            causes = {c.cause for c in cloud.sandbox.control.changes() if c.new == "DONE"}
            assert causes == {"oneadmin one.vm.recover 2"}, "what its disks have is saved"
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


@pytest.mark.parametrize("step", ["PROLOG", "BOOT", "SAVE_STOP"])
def test_a_restart_that_no_call_noticed_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Calls and events are cut at the same time by it."""
    with site(tmp_path, monkeypatch, hosts=1, speed=10) as cloud:
        vm = cloud.submit(cpu=8, start="best_effort", duration="01:00:00", preemptible="yes")
        if step == "SAVE_STOP":
            cloud.until_state(vm, "RUNNING")
            cloud.booked(start="+00:02:00", duration="00:00:40")
        cloud.sandbox.control.plan("done", step=step, vm=vm, factor=5.0)
        cloud.until_state(vm, step)
        cloud.sandbox.kill()
        cloud.sandbox.start()
        before = cloud.now()
        cloud.until(lambda: cloud.came_to(vm, "RUNNING")[-1:] > [before], seconds=400)
        assert not cloud.came_to(vm, "UNDEPLOYED")
        cloud.assert_no_overload()


@pytest.mark.parametrize(("step", "version"), [("BOOT", "6.10.5"), ("SAVE_STOP", "7.4.0")])
def test_a_restart_without_events_that_no_call_noticed_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, version: str
) -> None:
    """Another listens at its address on this machine."""
    with site(tmp_path, monkeypatch, hosts=1, speed=10, events=False, version=version) as cloud:
        vm = cloud.submit(cpu=8, start="best_effort", duration="01:00:00", preemptible="yes")
        if step == "SAVE_STOP":
            cloud.until_state(vm, "RUNNING")
            cloud.booked(start="+00:02:00", duration="00:00:40")
        cloud.sandbox.control.plan("done", step=step, vm=vm, factor=5.0)
        cloud.until_state(vm, step)
        kill_oned(cloud, 0)
        before = cloud.now()
        cloud.until(lambda: cloud.came_to(vm, "RUNNING")[-1:] > [before], seconds=400)
        assert not cloud.came_to(vm, "UNDEPLOYED")
        cloud.assert_no_overload()


@pytest.mark.parametrize("away", [0, 20])
def test_what_hangs_in_1_4_after_a_restart_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    """There is no command that would have it done again: an administrator deletes the VM."""
    options: dict[str, Any] = {"version": "1.4.0", "listen": "127.0.0.1:0"}
    with site(tmp_path, monkeypatch, hosts=1, speed=10, **options) as cloud:
        vm = cloud.submit(cpu=8, start="best_effort", duration="01:00:00")
        cloud.sandbox.control.plan("done", step="BOOT", vm=vm, factor=5.0)
        cloud.until_state(vm, "BOOT")
        kill_oned(cloud, away)
        cloud.until(lambda: f"VM {vm} hangs in boot" in cloud.haizea("show", "1"), seconds=200)


@pytest.mark.parametrize("away", [0, 20])
def test_what_was_ending_in_1_4_when_oned_was_killed_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    """A VM that does not shut down any more is deleted, long before its grace is over."""
    options: dict[str, Any] = {"opennebula": "shutdown-grace: 600"}
    with site(tmp_path, monkeypatch, hosts=1, speed=10, version="1.4.0", **options) as cloud:
        vm = cloud.submit(start="best_effort", duration="00:00:40")
        cloud.sandbox.control.plan("done", step="SHUTDOWN", vm=vm, factor=20.0)
        cloud.until_state(vm, "SHUTDOWN")
        kill_oned(cloud, away)
        back = cloud.now()
        cloud.until_state(vm, "DONE", seconds=400)
        assert cloud.came_to(vm, "DONE")[0] < back + 60
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


@pytest.mark.parametrize("cut", ["calls", "events"])
def test_one_of_calls_and_events_that_is_cut_is_no_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """Operations go on, and nobody declares them as failed."""
    with site(tmp_path, monkeypatch, hosts=1, speed=10) as cloud:
        cloud.sandbox.control.plan("done", step="PROLOG", factor=30.0)
        vm = cloud.submit(start="best_effort", duration="00:01:00")
        cloud.until_state(vm, "PROLOG")
        for _ in range(3):
            if cut == "calls":
                cloud.sandbox.control.break_web("close", count=2)
            else:
                cloud.sandbox.restart_events()
            at(cloud, cloud.now() + 15)
        cloud.until_state(vm, "DONE", seconds=900)
        assert len(cloud.came_to(vm, "PROLOG")) == 1
        assert not cloud.came_to(vm, "PROLOG_FAILURE")
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


@pytest.mark.parametrize("version", ["7.4.0", "1.4.0"])
@pytest.mark.parametrize("step", ["SHUTDOWN", "EPILOG"])
def test_what_was_ending_ends_soon_where_both_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, version: str
) -> None:
    """Oned came back before Haizea did, which remembers who listened there before."""
    grace: dict[str, Any] = {"opennebula": "shutdown-grace: 600", "version": version}
    with site(tmp_path, monkeypatch, hosts=1, speed=10, **grace) as cloud:
        cloud.sandbox.control.plan("done", step=step, count=1, factor=500.0)
        vm = cloud.submit(start="best_effort", duration="00:00:40")
        cloud.until_state(vm, step)
        cloud.stop_haizea()
        kill_oned(cloud, 20)
        cloud.start_haizea()
        back = cloud.now()
        cloud.until_state(vm, "DONE", seconds=400)
        assert cloud.came_to(vm, "DONE")[0] < back + 200
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


def test_what_oned_goes_on_with_while_haizea_is_away_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=10) as cloud:
        cloud.sandbox.control.plan("done", step="PROLOG", count=1, factor=120.0)
        vm = cloud.submit(start="best_effort", duration="00:00:40")
        cloud.until_state(vm, "PROLOG")
        cloud.stop_haizea()
        cloud.start_haizea()
        cloud.until_state(vm, "RUNNING")
        assert cloud.sandbox.control.states(vm).count("PROLOG") == 1
        assert "one.vm.recover" not in [c.method for c in cloud.sandbox.control.commands()]


@pytest.mark.parametrize("died", [True, False], ids=["died", "goes on"])
def test_an_epilog_that_died_unseen_is_done_again_after_the_time_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, died: bool
) -> None:
    """Oned died and came back while Haizea was away; others of the kind tell how long it takes.

    It is behind a proxy, which stays the same.
    """
    with tapped_site(tmp_path, monkeypatch, hosts=4, speed=10, listen="127.0.0.1:0") as cloud:
        for vm in [cloud.submit(start="best_effort", duration="00:00:40") for _ in range(4)]:
            cloud.until_state(vm, "DONE")
        factor = 500.0 if died else 15.0
        cloud.sandbox.control.plan("done", step="EPILOG", count=1, factor=factor)
        vm = cloud.submit(start="best_effort", duration="00:00:40")
        cloud.until_state(vm, "EPILOG")
        began = cloud.now()
        cloud.stop_haizea()
        if died:
            cloud.sandbox.kill()
            cloud.sandbox.start()
        cloud.start_haizea()
        cloud.until_state(vm, "DONE", seconds=400)
        commands = [command.method for command in cloud.sandbox.control.commands()]
        if not died:
            assert "one.vm.recover" not in commands
            return
        assert began + 30 <= cloud.came_to(vm, "DONE")[0] < began + 200, "command-timeout is 900 s"
        causes = {c.cause for c in cloud.sandbox.control.changes() if c.new == "DONE"}
        assert "oneadmin one.vm.recover 2" in causes, "what its disks have is saved"
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


def test_a_shutdown_has_its_grace_once_however_often_haizea_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=10, opennebula="shutdown-grace: 90") as cloud:
        cloud.sandbox.control.plan("hang", step="SHUTDOWN", count=1)
        vm = cloud.submit(start="best_effort", duration="00:00:40")
        cloud.until_state(vm, "SHUTDOWN")
        asked = cloud.now()
        for _ in range(3):
            at(cloud, cloud.now() + 30)
            cloud.stop_haizea()
            cloud.start_haizea()
        cloud.until_state(vm, "DONE", seconds=400)
        assert cloud.came_to(vm, "DONE")[0] < asked + 90 + 60, "and not 90 s after the last start"


@pytest.mark.slow
def test_an_oned_that_is_silent_shows_in_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes connections and does not answer, as when its process is stopped."""
    with site(tmp_path, monkeypatch, hosts=1, listen="127.0.0.1:0") as cloud:
        assert "has not answered" not in cloud.haizea("status")
        cloud.sandbox.control.break_web("stall", seconds=25)
        # In real seconds, twenty of theirs each.
        cloud.until(lambda: "has not answered for 1" in cloud.haizea("status"), seconds=22 * 20)
        cloud.until(lambda: "has not answered" not in cloud.haizea("status"), seconds=30 * 20)
