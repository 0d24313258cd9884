"""Haizea drives an OpenNebula: leases of VMs from their submission to their end."""

from __future__ import annotations

from pathlib import Path

import pytest

from haizea.core.lifecycle import State
from opennebula_service import site

VERSIONS = ("1.4.0", "6.10.5", "7.4.0")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_vm_runs_for_as_long_as_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, version=version) as cloud:
        start = int(cloud.now()) + 90
        vm = cloud.submit(start="+00:01:30", duration="00:01:00")
        cloud.until_state(vm, "RUNNING")
        (deployed,) = cloud.came_to(vm, "PROLOG")[:1]
        assert start - 1 <= deployed <= start + 3
        cloud.until_state(vm, "DONE")
        (ended,) = cloud.came_to(vm, "SHUTDOWN")
        assert start + 50 <= ended <= start + 62
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))
        cloud.assert_no_overload()
