"""Changes around VMs, and OpenNebula's end: noticed soon, whether they are published or not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State

#: A slow clock, so that a look at everything is 18 seconds away, real ones.
SLOW: dict[str, Any] = {"speed": 2, "wakeup": 36}
SOON_SECONDS = 11.0


def message(cloud: Site, vm: int) -> str:
    """Return what its owner reads."""
    [text] = cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", [""])
    return str(text)


@pytest.mark.parametrize("events", [True, False])
def test_what_is_written_into_a_host_is_seen_before_everything_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: bool
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, events=events, **SLOW) as cloud:
        vm = cloud.submit(
            start="best_effort", duration="01:00:00", rest='SCHED_REQUIREMENTS="RACK = 7"'
        )
        cloud.until(lambda: "no host meets" in message(cloud, vm))
        began = time.monotonic()
        cloud.call("one.host.update", 1, 'RACK="7"', 1)
        cloud.until_state(vm, "RUNNING")
        assert cloud.host(vm) == 1
        assert time.monotonic() - began < (4.0 if events else SOON_SECONDS)


def test_leases_that_wait_follow_what_is_written_into_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, **SLOW) as cloud:
        cloud.call("one.host.update", 0, 'RACK="7"', 1)
        cloud.running(rest='SCHED_REQUIREMENTS="RACK = 7"')
        waits = cloud.submit(
            cpu=8, start="best_effort", duration="01:00:00", rest='SCHED_REQUIREMENTS="RACK = 7"'
        )
        cloud.until(lambda: cloud.has_lease(waits))
        began = time.monotonic()
        cloud.call("one.host.update", 1, 'RACK="7"', 1)
        cloud.until_state(waits, "RUNNING")
        assert time.monotonic() - began < 6.0


@pytest.mark.parametrize("events", [True, False])
def test_status_says_soon_that_opennebula_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: bool
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, events=events, **SLOW) as cloud:
        cloud.booked(start="+01:00:00")
        time.sleep(1.0)
        assert cloud.service is not None
        manager = cloud.service.manager
        assert not manager.status().problem
        cloud.sandbox.stop()
        began = time.monotonic()
        cloud.until(lambda: "does not answer" in manager.status().problem)
        assert time.monotonic() - began < SOON_SECONDS
        cloud.sandbox.start()
        cloud.until(lambda: not manager.status().problem)
        [lease] = cloud.leases()
        assert lease.state is State.SCHEDULED
