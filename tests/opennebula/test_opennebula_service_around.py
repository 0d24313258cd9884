"""Changes around VMs, and OpenNebula's end: noticed soon, whether they are published or not."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, site

from haizea.backends.opennebula.site.watching import Intervals
from haizea.core.model.lifecycle import State

#: A look at everything is half an hour away, longer than anybody here waits: whatever is seen
#: is seen otherwise.
RARE: dict[str, Any] = {"speed": 2, "wakeup": 3600}
#: So often hosts are looked at meanwhile, every three seconds: without events, that has to do.
OFTEN = 600


def message(cloud: Site, vm: int) -> str:
    """Return what its owner reads."""
    [text] = cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", [""])
    return str(text)


def submitted_before_the_first_look(cloud: Site, **words: Any) -> int:
    """A new VM that a service finds at its start, when it looks at everything."""
    cloud.stop_haizea()
    vm = cloud.submit(**words)
    cloud.start_haizea()
    return vm


@pytest.mark.parametrize("events", [True, False])
def test_what_is_written_into_a_host_is_seen_before_everything_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: bool
) -> None:
    if not events:
        often = partial(Intervals, around_per_full=OFTEN)
        monkeypatch.setattr("haizea.service.opennebula.Intervals", often)
    with site(tmp_path, monkeypatch, hosts=2, events=events, **RARE) as cloud:
        vm = submitted_before_the_first_look(
            cloud, start="best_effort", duration="01:00:00", rest='SCHED_REQUIREMENTS="RACK = 7"'
        )
        cloud.until(lambda: "no host meets" in message(cloud, vm))
        cloud.call("one.host.update", 1, 'RACK="7"', 1)
        cloud.until_state(vm, "RUNNING")
        assert cloud.host(vm) == 1


def test_leases_that_wait_follow_what_is_written_into_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, **RARE) as cloud:
        cloud.call("one.host.update", 0, 'RACK="7"', 1)
        cloud.running(rest='SCHED_REQUIREMENTS="RACK = 7"')
        waits = cloud.submit(
            cpu=8, start="best_effort", duration="01:00:00", rest='SCHED_REQUIREMENTS="RACK = 7"'
        )
        cloud.until(lambda: cloud.has_lease(waits))
        cloud.call("one.host.update", 1, 'RACK="7"', 1)
        cloud.until_state(waits, "RUNNING")


@pytest.mark.parametrize("events", [True, False])
def test_status_says_soon_that_opennebula_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: bool
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, events=events, **RARE) as cloud:
        vm = submitted_before_the_first_look(cloud, cpu=8, start="+01:00:00", duration="00:10:00")
        cloud.until(lambda: cloud.has_lease(vm, State.SCHEDULED))
        time.sleep(1.0)
        assert cloud.service is not None
        manager = cloud.service.manager
        assert not manager.status().problem
        cloud.sandbox.stop()
        cloud.until(lambda: "does not answer" in manager.status().problem)
        cloud.sandbox.start()
        cloud.until(lambda: not manager.status().problem)
        [lease] = cloud.leases()
        assert lease.state is State.SCHEDULED
