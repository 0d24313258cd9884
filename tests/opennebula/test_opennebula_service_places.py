"""Places of VMs: datastores, clusters, VM groups, hosts that come and go, a queue that drains."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State

QUEUED = (State.QUEUED, State.SCHEDULED)


def datastore(cloud: Site, vm: int) -> int:
    """The system datastore in which a VM's files are."""
    record = cloud.sandbox.cloud.vms[vm].record
    assert record is not None, f"VM {vm} was never deployed"
    return record.datastore_id


def run(cloud: Site, rest: str = "", cpu: float = 1, **words: str) -> int:
    """A VM that runs."""
    words.setdefault("start", "best_effort")
    vm = cloud.submit(cpu=cpu, rest=rest, memory=1024, **words)
    cloud.until_state(vm, "RUNNING")
    return vm


def message(cloud: Site, vm: int) -> str:
    """Return what its owner reads."""
    return str(cloud.sandbox.cloud.vms[vm].user_template.get("SCHED_MESSAGE", ""))


def look(cloud: Site) -> None:
    """Let a look at everything go by."""
    before = cloud.now()
    cloud.until(lambda: cloud.now() > before + 60)


# --- datastores ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_system_datastores_are_chosen_by_rank_room_and_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, version=version) as cloud:
        control = cloud.sandbox.control
        large = control.add_datastore("large", free_mb=9_000_000, total_mb=10_000_000)
        small = control.add_datastore("small", free_mb=5_000, total_mb=10_000)
        look(cloud)
        assert datastore(cloud, run(cloud)) == large, "the one with the most room"
        ranked = run(cloud, 'SCHED_DS_RANK="- FREE_MB"')
        assert datastore(cloud, ranked) == small
        disk = 'DISK=[TYPE="fs", SIZE="20000"]\n'
        roomy = run(cloud, disk + 'SCHED_DS_RANK="- FREE_MB"')
        assert datastore(cloud, roomy) == 0, "the small one has no room for its disk"
        named = run(cloud, 'SCHED_DS_REQUIREMENTS="NAME = \\"small\\""')
        assert datastore(cloud, named) == small
        nowhere = cloud.submit(rest='SCHED_DS_REQUIREMENTS="NAME = \\"x\\""', start="best_effort")
        cloud.until(lambda: "datastore" in message(cloud, nowhere))
        assert cloud.state(nowhere) == "PENDING"


def test_packing_of_datastores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = "datastore-policy: packing"
    with site(tmp_path, monkeypatch, hosts=1, opennebula=options) as cloud:
        small = cloud.sandbox.control.add_datastore("small", free_mb=5_000, total_mb=10_000)
        look(cloud)
        assert datastore(cloud, run(cloud)) == small


def test_a_host_uses_the_datastores_of_its_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        control = cloud.sandbox.control
        cluster = control.add_cluster("east")
        control.join_cluster(1, cluster)
        store = control.add_datastore("east", clusters=[cluster], free_mb=1000, total_mb=2000)
        look(cloud)
        filler = run(cloud, cpu=8)
        other = run(cloud, cpu=8)
        stores = {cloud.host(vm): datastore(cloud, vm) for vm in (filler, other)}
        assert stores == {0: 0, 1: store}
        cloud.call("one.vm.action", "terminate-hard", filler)
        cloud.call("one.vm.action", "terminate-hard", other)
        chosen = run(cloud, 'SCHED_REQUIREMENTS="CLUSTER = \\"east\\""')
        assert (cloud.host(chosen), datastore(cloud, chosen)) == (1, store)
        cloud.assert_no_overload()


def test_a_cluster_without_a_datastore_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        control = cloud.sandbox.control
        control.join_cluster(1, control.add_cluster("bare"))
        look(cloud)
        vms = [cloud.submit(cpu=8, start="best_effort", duration="00:01:00") for _ in range(3)]
        for vm in vms:
            cloud.until_state(vm, "DONE", seconds=2000)
        assert {cloud.host(vm) for vm in vms} == {0}
        cloud.assert_no_overload()


# --- VM groups ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_vm_groups_keep_vms_together_and_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=3, version=version) as cloud:
        text = (
            'NAME="web"\nROLE=[NAME="front",POLICY="AFFINED"]\n'
            'ROLE=[NAME="back",POLICY="ANTI_AFFINED"]\nROLE=[NAME="any"]\n'
        )
        group = int(cloud.call("one.vmgroup.allocate", text))
        look(cloud)

        def member(role: str, cpu: float = 1) -> int:
            rest = f'VMGROUP=[VMGROUP_ID="{group}",ROLE="{role}"]'
            return cloud.submit(cpu=cpu, rest=rest, start="best_effort", duration="01:00:00")

        front = [member("front") for _ in range(3)]
        back = [member("back") for _ in range(3)]
        for vm in (*front, *back):
            cloud.until_state(vm, "RUNNING")
        assert len({cloud.host(vm) for vm in front}) == 1
        assert len({cloud.host(vm) for vm in back}) == 3
        # A fourth has to wait, and its owner reads why.
        fourth = member("back")
        cloud.until(lambda: message(cloud, fourth) != "")
        look(cloud)
        assert cloud.state(fourth) == "PENDING"
        cloud.call("one.vm.action", "terminate-hard", back[0])
        cloud.until_state(fourth, "RUNNING")
        assert len({cloud.host(vm) for vm in (fourth, *back[1:])}) == 3
        cloud.assert_no_overload()


def test_roles_that_exclude_each_other_and_hosts_of_a_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2) as cloud:
        text = 'NAME="pinned"\nROLE=[NAME="here",HOST_AFFINED="1"]\n'
        text += 'ROLE=[NAME="not_here",HOST_ANTI_AFFINED="1"]\n'
        group = int(cloud.call("one.vmgroup.allocate", text))
        look(cloud)
        rest = f'VMGROUP=[VMGROUP_ID="{group}",ROLE="%s"]'
        here = [run(cloud, rest % "here") for _ in range(2)]
        elsewhere = [run(cloud, rest % "not_here") for _ in range(2)]
        assert {cloud.host(vm) for vm in here} == {1}
        assert {cloud.host(vm) for vm in elsewhere} == {0}


# --- hosts --------------------------------------------------------------------------------


def test_hosts_come_are_disabled_grow_shrink_and_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=40) as cloud:
        first = run(cloud, cpu=8, duration="unlimited")
        waits = cloud.submit(cpu=16, start="best_effort", duration="00:01:00")
        cloud.until(lambda: "no host is large enough" in message(cloud, waits))
        control = cloud.sandbox.control
        new = control.add_host("large", cpu_percent=1600, memory_mb=32768)
        cloud.until_state(waits, "RUNNING")
        assert cloud.host(waits) == new
        cloud.until_state(waits, "DONE")
        cloud.call("one.host.status", new, 1)
        look(cloud)
        second = cloud.submit(cpu=8, start="best_effort", duration="00:05:00")
        look(cloud)
        assert cloud.state(second) == "PENDING", "its host is disabled"
        cloud.call("one.host.status", new, 0)
        cloud.until_state(second, "RUNNING")
        # It shrinks to what is in use, and grows again.
        control.resize_host(new, 800, 32768)
        look(cloud)
        third = cloud.submit(cpu=8, start="best_effort", duration="00:02:00")
        look(cloud)
        assert cloud.state(third) == "PENDING", "there is no room"
        control.resize_host(new, 2400, 65536)
        cloud.until_state(third, "RUNNING")
        for vm in (second, third):
            cloud.until_state(vm, "DONE", seconds=2000)
        cloud.call("one.host.delete", new)
        fourth = cloud.submit(cpu=8, start="best_effort", duration="00:02:00")
        look(cloud)
        assert cloud.state(fourth) == "PENDING", "its host is gone"
        cloud.call("one.vm.action", "terminate-hard", first)
        cloud.until_state(fourth, "RUNNING")
        cloud.assert_no_overload()


def test_what_is_reserved_of_a_host_is_not_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1) as cloud:
        cloud.call("one.host.update", 0, 'RESERVED_CPU="400"', 1)
        look(cloud)
        vms = [cloud.submit(cpu=4, start="best_effort", duration="00:01:00") for _ in range(2)]
        for vm in vms:
            cloud.until_state(vm, "DONE")
        first, second = (cloud.came_to(vm, "PROLOG")[0] for vm in vms)
        assert abs(second - first) >= 50, "one after the other"
        cloud.assert_no_overload()


# --- a queue ------------------------------------------------------------------------------


def test_a_queue_drains_and_nobody_waits_beside_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VMs of one size: whenever a host has room, it has none a moment later, or nobody waits."""
    speed = 60
    with site(tmp_path, monkeypatch, hosts=10, speed=speed) as cloud:
        vms = [
            cloud.submit(cpu=2, memory=2048, start="best_effort", duration=f"00:0{1 + n % 3}:00")
            for n in range(200)
        ]
        submitted = cloud.now()
        cloud.until(lambda: all(cloud.state(vm) == "DONE" for vm in vms), seconds=9000)
        cloud.until(lambda: all(lease.state is State.DONE for lease in cloud.leases()))
        assert len(cloud.leases()) == 200
        cloud.assert_no_overload()
        idle = _idle_spells(cloud, submitted, places=40)
        # A busy machine stands still for some seconds once or twice, not again and again.
        long = [seconds / speed for seconds in idle if seconds > 2 * speed]
        assert len(long) <= 3, f"VMs waited beside room for {long} s"


def _idle_spells(cloud: Site, since: float, places: int) -> list[float]:
    """For how long each time, in their time, a VM waited while not all places were taken."""
    waiting: set[int] = set()
    on_hosts: set[int] = set()
    moments: list[tuple[float, bool]] = []
    for change in cloud.sandbox.control.changes():
        waiting.discard(change.vm)
        on_hosts.discard(change.vm)
        if change.new == "PENDING":
            waiting.add(change.vm)
        elif change.new not in ("DONE", "HOLD"):
            on_hosts.add(change.vm)
        moments.append((change.time, bool(waiting) and len(on_hosts) < places))
    spells: list[float] = []
    before = False
    for (time, idle), (following, _) in pairwise(moments):
        if idle:
            lasted = max(0.0, following - max(since, time))
            if before:
                spells[-1] += lasted
            else:
                spells.append(lasted)
        before = idle
    return spells
