"""Rates at which hosts save and restore VMs are learned, and what is planned next goes by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from opennebula_service import AT_THE_START, Site, site

from haizea.backends.opennebula.state.rates import Estimate
from haizea.core.model.lifecycle import State
from haizea.core.placement.durations import Rates
from haizea.sandbox.operations import Durations

#: 8192 MB are planned to be saved in 32 s, and to be restored in 16 s.
RATES = "suspend-rate: 256\nresume-rate: 512\nscheduling-threshold-factor: 0"
#: And are saved in 98 s.
SLOW = Durations(save_mbps=8192 / 96)


def rates(cloud: Site, host: int = 0) -> Rates:
    assert cloud.service is not None, "it runs"
    return cloud.service.manager.hosts()[host].rates


def preemptible(cloud: Site) -> int:
    vm = cloud.submit(
        cpu=8, memory=8192, start="best_effort", duration="02:00:00", preemptible="yes"
    )
    cloud.until_state(vm, "RUNNING")
    return vm


def booked(cloud: Site, start: str, duration: str) -> int:
    return cloud.submit(cpu=8, memory=8192, start=start, duration=duration)


def test_a_slow_host_makes_one_ar_late_and_the_next_one_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(
        tmp_path,
        monkeypatch,
        hosts=1,
        speed=20,
        saving=RATES,
        durations=SLOW,
        opennebula=AT_THE_START,
    ) as cloud:
        victim = preemptible(cloud)
        first = booked(cloud, "+00:01:50", "00:02:00")
        cloud.until_state(first, "RUNNING")
        assert cloud.lease(first).late
        learned = rates(cloud).suspend_mb_s
        assert learned is not None
        assert 8192 / 98 * 0.8 < learned < 8192 / 98
        cloud.until_state(victim, "RUNNING")
        # What was learned outlives the manager.
        cloud.stop_haizea()
        cloud.start_haizea()
        assert rates(cloud).suspend_mb_s == learned
        start = int(cloud.now()) + 240
        second = booked(cloud, "+00:04:00", "00:01:00")
        cloud.until_state(second, "RUNNING")
        assert not cloud.lease(second).late
        (deployed,) = cloud.came_to(second, "PROLOG")
        assert start - 1 <= deployed <= start + cloud.slack
        saved = cloud.came_to(victim, "STOPPED")[-1]
        assert saved <= deployed
        cloud.assert_no_overload()


def test_a_fast_host_is_believed_after_several_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "suspend-rate: 256\nresume-rate: 256\nscheduling-threshold-factor: 0"
    with site(tmp_path, monkeypatch, hosts=1, speed=20, saving=slow) as cloud:
        victim = preemptible(cloud)
        for _ in range(3):
            assert rates(cloud) == Rates()
            vm = booked(cloud, "+00:01:40", "00:00:20")
            cloud.until_state(vm, "RUNNING")
            cloud.until_state(victim, "RUNNING")
        cloud.until(lambda: rates(cloud).suspend_mb_s is not None)
        cloud.until(lambda: rates(cloud).resume_mb_s is not None)
        suspend, resume = rates(cloud)
        assert suspend is not None
        assert suspend > 2 * 256
        assert resume is not None
        assert resume > 2 * 256


def test_nothing_is_learned_from_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=20, saving=RATES) as cloud:
        victim = preemptible(cloud)
        cloud.sandbox.control.plan("fail", step="SAVE_STOP", factor=40)
        # So much later that what the victim will have run is well worth saving.
        vm = booked(cloud, "+00:02:00", "00:02:00")
        cloud.until_state(vm, "RUNNING")
        assert len(cloud.came_to(victim, "SAVE_STOP")) == 2
        assert cloud.came_to(victim, "STOPPED")[-1] <= cloud.came_to(vm, "PROLOG")[0]
        assert rates(cloud) == Rates()


@pytest.mark.parametrize("away", [True, False])
def test_an_outage_of_opennebula_is_not_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """Neither where a suspension was planned while it was away, nor where it was killed in one."""
    with site(tmp_path, monkeypatch, hosts=1, speed=20, saving=RATES) as cloud:
        victim = preemptible(cloud)
        cloud.sandbox.control.plan("done", step="SAVE_STOP", factor=10.0)
        vm = booked(cloud, "+00:03:20", "00:02:00")
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED))
        start = cloud.lease(vm).request.start
        assert start is not None
        if away:
            cloud.until(lambda: cloud.now() >= start - 60)
        else:
            cloud.until_state(victim, "SAVE_STOP")
        cloud.sandbox.kill()
        before = cloud.now()
        cloud.until(lambda: cloud.now() >= before + 80)
        cloud.sandbox.start()
        cloud.until_state(victim, "STOPPED")
        cloud.until_state(vm, "RUNNING")
        cloud.until_state(victim, "RUNNING")
        assert rates(cloud) == Rates()


def test_a_host_is_planned_to_be_a_little_slower_than_it_is() -> None:
    estimate = Estimate(100.0)
    estimate.note(1000, 20)
    assert estimate.planned_mb_s == 45.0
    estimate.note(1000, 19)
    assert estimate.planned_mb_s == 45.0, "it is still in time"


def test_one_accident_is_forgotten() -> None:
    estimate = Estimate(100.0)
    estimate.note(1000, 1000)
    assert estimate.planned_mb_s == 0.9
    estimate.note(1000, 10)
    assert estimate.planned_mb_s == 0.9
    estimate.note(1000, 10)
    assert estimate.planned_mb_s == 90.0


def test_one_fast_time_says_nothing() -> None:
    estimate = Estimate(100.0)
    for _ in range(2):
        estimate.note(1000, 1)
        assert estimate.planned_mb_s == 100.0
    estimate.note(1000, 1)
    assert estimate.planned_mb_s == 900.0


def test_a_little_faster_is_not_worth_telling() -> None:
    estimate = Estimate(100.0)
    for _ in range(9):
        estimate.note(1200, 10)
    assert estimate.planned_mb_s == 100.0


def test_small_vms_say_nothing_of_large_ones() -> None:
    estimate = Estimate(100.0)
    estimate.note(16000, 160)
    estimate.note(64, 3)
    estimate.note(64, 4)
    assert estimate.planned_mb_s == 100.0


@pytest.mark.parametrize(("memory_mb", "seconds"), [(0, 10), (0, 0)])
def test_no_memory_says_nothing(memory_mb: int, seconds: int) -> None:
    estimate = Estimate(100.0)
    estimate.note(memory_mb, seconds)
    assert estimate.planned_mb_s == 100.0


@tries(100)
@given(
    st.floats(0.01, 1e6),
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(-5, 10**6)), min_size=1, max_size=30),
)
def test_the_latest_is_in_time_next_time_unless_it_was_an_accident(
    configured: float, times: list[tuple[int, int]]
) -> None:
    """With what is planned then, at most one of the five latest large ones would be late."""
    estimate = Estimate(configured)
    for memory_mb, seconds in times:
        estimate.note(memory_mb, seconds)
    assert estimate.planned_mb_s > 0
    latest = [(m, max(s, 1)) for m, s in times if m > 0][-5:]
    most = max((m for m, _ in latest), default=0)
    late = [s for m, s in latest if 2 * m >= most and m / estimate.planned_mb_s < s * 0.999]
    assert len(late) <= 1
