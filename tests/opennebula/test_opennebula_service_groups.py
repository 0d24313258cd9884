"""HAIZEA groups whose VMs may not all run everywhere: all of them where they may, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State


def named(version: str, *hosts: int) -> str:
    """Requirements that these hosts meet."""
    word = "REQUIREMENTS" if version.startswith("1.") else "SCHED_REQUIREMENTS"
    names = " | ".join(f'NAME = \\"node0{host + 1}\\"' for host in hosts)
    return f'{word}="{names}"\n'


def message(cloud: Site, vm: int) -> str:
    """Return what its owner reads."""
    return str(cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", ""))


def started(cloud: Site, vms: list[int]) -> list[float]:
    """Return when each of them began to be deployed."""
    return [min(cloud.came_to(vm, "PROLOG")) for vm in vms]


@pytest.mark.parametrize("version", ["1.4", "6.10.5"])
def test_members_run_where_their_own_requirements_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=3, version=version) as cloud:
        words: dict[str, Any] = {
            "start": "+00:02:00",
            "duration": "00:05:00",
            "group": "trio",
            "group_size": 3,
        }
        # The first that comes could take any host, also those that the others need.
        wide = cloud.submit(cpu=8, rest=named(version, 0, 1, 2), **words)
        two = cloud.submit(cpu=8, rest=named(version, 0, 1), **words)
        one = cloud.submit(cpu=8, rest=named(version, 0), **words)
        group = [wide, two, one]
        cloud.until(lambda: cloud.has_lease(one, State.SCHEDULED))
        assert {cloud.lease(vm).id for vm in group} == {cloud.lease(one).id}
        allowed = cloud.lease(one).allowed
        assert allowed is not None
        # A restart in between forgets nothing of it.
        cloud.stop_haizea()
        cloud.start_haizea()
        assert cloud.lease(one).allowed == allowed
        for vm in group:
            cloud.until_state(vm, "RUNNING")
        assert [cloud.host(vm) for vm in (one, two, wide)] == [0, 1, 2]
        times = started(cloud, group)
        assert max(times) - min(times) < 30
        for vm in group:
            cloud.until_state(vm, "DONE")
        cloud.assert_no_overload()


def test_none_starts_where_one_has_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2, speed=40) as cloud:
        words: dict[str, Any] = {"start": "best_effort", "duration": "00:05:00"}
        words |= {"group": "pair", "group_size": 2}
        first = cloud.submit(rest=named("6.10.5", 0), **words)
        other = cloud.submit(rest=named("6.10.5", 8), **words)
        cloud.until(lambda: f"VM {other} of the group: no host meets" in message(cloud, first))
        cloud.until(lambda: f"VM {other} of the group: no host meets" in message(cloud, other))
        assert not cloud.has_lease(first)
        assert (cloud.state(first), cloud.state(other)) == ("PENDING", "PENDING")
        cloud.call("one.vm.update", other, named("6.10.5", 1), 1)
        for vm in (first, other):
            cloud.until_state(vm, "RUNNING")
        assert (cloud.host(first), cloud.host(other)) == (0, 1)


def test_vm_groups_hold_within_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=2, speed=30) as cloud:
        text = (
            'NAME="web"\nROLE=[NAME="data",POLICY="ANTI_AFFINED"]\n'
            'ROLE=[NAME="front",POLICY="AFFINED"]\nROLE=[NAME="any"]\n'
        )
        web = int(cloud.call("one.vmgroup.allocate", text))

        def member(role: str, cpu: float = 1) -> int:
            rest = f'VMGROUP=[VMGROUP_ID="{web}",ROLE="{role}"]'
            words: dict[str, Any] = {"start": "best_effort", "duration": "01:00:00"}
            words |= {"preemptible": "yes", "group": "web", "group_size": 5}
            return cloud.submit(cpu=cpu, rest=rest, **words)

        data = [member("data") for _ in range(3)]
        front = [member("front", cpu=3) for _ in range(2)]
        # Two hosts are too few for three VMs that exclude each other.
        needs = "need a host each, and 2 will do"
        cloud.until(lambda: all(needs in message(cloud, vm) for vm in (*data, *front)))
        assert not cloud.leases()
        third = cloud.sandbox.control.add_host("third", cpu_percent=800, memory_mb=16384)
        for vm in (*data, *front):
            cloud.until_state(vm, "RUNNING")
        assert sorted(str(cloud.host(vm)) for vm in data) == ["0", "1", str(third)]
        assert len({cloud.host(vm) for vm in front}) == 1
        cloud.stop_haizea()
        cloud.start_haizea()
        # Who is stopped for another goes on by the same rules, wherever there is room then.
        other = cloud.submit(cpu=8, start="+00:04:00", duration="00:03:00")
        cloud.until_state(other, "RUNNING")
        assert {cloud.state(vm) for vm in (*data, *front)} == {"STOPPED"}
        for vm in (*data, *front):
            cloud.until_state(vm, "RUNNING", seconds=900)
        assert len({cloud.host(vm) for vm in data}) == 3
        assert len({cloud.host(vm) for vm in front}) == 1
        cloud.assert_no_overload()
