"""The backend, turn by turn: what it makes of decisions, and what it tells."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haizea.backends.world import Command, Verb, VmState, World, WorldBackend, WorldOptions
from haizea.backends.world.file import WorldFile
from haizea.core.model.events import (
    Decision,
    HostFailed,
    HostRestored,
    HostUsed,
    LeaseAccepted,
    LeaseAltered,
    LeaseEnded,
    OperationDelayed,
    OperationEnded,
    OperationFailed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Host
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import (
    HostRecord,
    LeaseRecord,
    PhaseRecord,
    PlanRecord,
    SiteRecord,
    TransferRecord,
)

HOSTS = (Host(0, "one", (200, 2048)), Host(1, "two", (200, 2048)))
REQUEST = LeaseRequest(
    id=1,
    submitted=0,
    kind=Kind.BEST_EFFORT,
    nodes=(NodeSet(2, (100, 512)),),
    duration=1000,
    preemptible=True,
)
USE = ((0, (100, 512)), (1, (100, 512)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.open(tmp_path / "world.db", HOSTS, 0)
    yield made
    made.close()


def begun(world: World, ends: int | None = None) -> WorldBackend:
    """A backend whose lease 1 runs on both hosts since 0, and ends by itself after so long."""
    backend = WorldBackend(world, {} if ends is None else {1: ends})
    assert backend.observe(0) == []
    backend.enact(0, STARTED)
    return backend


STARTED: list[Decision] = [
    LeaseAccepted(0, REQUEST),
    StateChanged(0, 1, State.READY, State.ACTIVE),
    OperationStarted(0, 1, Purpose.RUN, 1000, (0, 1)),
]


def suspended(start: int, end: int) -> list[OperationEnded | StateChanged | OperationStarted]:
    return [
        OperationEnded(1, Purpose.RUN, 0, start, USE),
        StateChanged(start, 1, State.ACTIVE, State.SUSPENDING),
        OperationStarted(start, 1, Purpose.SUSPEND, end, (0, 1)),
    ]


def record(*phases: PhaseRecord, at: int, since: int, state: State, **rest: object) -> LeaseRecord:
    return LeaseRecord(
        request=REQUEST,
        state=state,
        changed=since,
        queued_since=0,
        remaining=1000,
        plan=PlanRecord(hosts=(0, 1), phases=phases, at=at, since=since),
        **rest,  # type: ignore[arg-type]
    )


RUNS = record(
    PhaseRecord(purpose=Purpose.RUN, start=0, end=1000), at=0, since=0, state=State.ACTIVE
)
SUSPENDS = record(
    PhaseRecord(purpose=Purpose.RUN, start=0, end=100),
    PhaseRecord(purpose=Purpose.SUSPEND, start=100, end=130),
    at=1,
    since=100,
    state=State.SUSPENDING,
)


def states(world: World, now: int) -> list[VmState]:
    world.look(now)
    return [vm.state for vm in world.vms()]


# --- delays -------------------------------------------------------------------------------


def test_a_delay_is_told_at_the_planned_end_and_once(tmp_path: Path) -> None:
    options = WorldOptions(delays={Purpose.SUSPEND: 1.0}, longest_delay_seconds=20)
    world = World.open(tmp_path / "world.db", HOSTS, 0, options)
    backend = begun(world)
    backend.observe(100)
    backend.enact(100, suspended(100, 130))
    assert backend.next_event() == 130
    assert backend.observe(129) == []
    told = backend.observe(130)
    assert len(told) == 1
    assert isinstance(told[0], OperationDelayed)
    assert 130 < told[0].end <= 150
    assert set(states(world, told[0].end - 1)) == {VmState.SAVED, VmState.SUSPENDING}
    assert backend.observe(131) == []
    assert backend.next_event() is None
    assert states(world, told[0].end) == [VmState.SAVED, VmState.SAVED]
    world.close()


def test_a_command_given_late_delays_what_it_begins(world: World) -> None:
    begun(world)
    backend = WorldBackend(world)
    told = backend.reconcile(200, [SUSPENDS])
    assert told == [OperationDelayed(1, Purpose.SUSPEND, 230)]
    assert states(world, 229) == [VmState.SUSPENDING, VmState.SUSPENDING]
    assert backend.observe(230) == []
    assert states(world, 230) == [VmState.SAVED, VmState.SAVED]


def test_a_transfer_fails_or_is_late_without_a_vm(tmp_path: Path) -> None:
    for options, kind in (
        (WorldOptions(failures={Purpose.TRANSFER: 1.0}), OperationFailed),
        (WorldOptions(delays={Purpose.TRANSFER: 1.0}), OperationDelayed),
    ):
        world = World.open(tmp_path / f"{kind.__name__}.db", HOSTS, 0, options)
        backend = WorldBackend(world)
        backend.observe(0)
        started = OperationStarted(0, 1, Purpose.TRANSFER, 40, (0,))
        backend.enact(0, [LeaseAccepted(0, REQUEST), started])
        moment = backend.next_event()
        assert moment is not None
        assert moment <= 40
        told = backend.observe(moment)
        assert [type(i) for i in told] == [kind]
        under_way = TransferRecord(
            image=DiskImage("a", 50),
            start=0,
            end=40,
            deadline=40,
            movable=False,
            begun=True,
            riders=((1, (0,)),),
            relying=(),
        )
        again = WorldBackend(world)
        again.reconcile(0, [], SiteRecord(transfers=(under_way,)))
        assert again.observe(moment) == told
        world.close()


def test_a_lease_starts_with_the_nodes_that_it_was_changed_to(world: World) -> None:
    backend = WorldBackend(world)
    backend.observe(0)
    larger = replace(REQUEST, nodes=(NodeSet(3, (50, 256)),))
    backend.enact(0, [LeaseAccepted(0, REQUEST), LeaseAltered(0, larger)])
    backend.enact(0, [OperationStarted(0, 1, Purpose.RUN, 1000, (0, 0, 1))])
    assert [(vm.node, vm.host, vm.capacity) for vm in world.vms()] == [
        (1, 0, (50, 256)),
        (2, 0, (50, 256)),
        (3, 1, (50, 256)),
    ]


# --- restarts -----------------------------------------------------------------------------


def test_killed_before_the_commands(world: World) -> None:
    backend = WorldBackend(world)
    assert backend.reconcile(7, [RUNS]) == []
    backend.enact(7, STARTED)
    assert [vm.since for vm in world.vms()] == [7, 7]
    assert len(world.journal()) == 2
    assert world.incidents() == []


def test_killed_between_two_commands(world: World) -> None:
    first = Command(lease=1, node=1, verb=Verb.START, due=0, host=0, nodes=2, capacity=(100, 512))
    world.give(0, first)
    assert WorldBackend(world).reconcile(50, [RUNS]) == []
    assert [(vm.node, vm.since) for vm in world.vms()] == [(1, 0), (2, 50)]
    assert world.incidents() == []


def test_killed_after_the_commands(world: World) -> None:
    begun(world)
    again = WorldBackend(world)
    assert again.reconcile(50, [RUNS]) == []
    again.enact(50, STARTED)
    assert again.observe(50) == []
    assert [vm.since for vm in world.vms()] == [0, 0]
    assert len(world.journal()) == 2


def test_what_is_left_of_a_lease_that_is_over_is_killed(world: World) -> None:
    begun(world)
    assert WorldBackend(world).reconcile(50, []) == []
    assert states(world, 50) == [VmState.GONE, VmState.GONE]


def test_what_belongs_to_nobody_is_left_alone_and_told_as_used(tmp_path: Path) -> None:
    """One of its VMs ends by itself."""
    world = World.open(tmp_path / "world.db", HOSTS, 0, WorldOptions(early_ends=1.0))
    begun(world)
    ends = {vm.until for vm in world.vms()}
    backend = WorldBackend(world, knows=lambda lease: lease != 1)
    used = [HostUsed(0, (100, 512)), HostUsed(1, (100, 512))]
    assert backend.reconcile(1, []) == used
    assert states(world, 1) == [VmState.RUNNING, VmState.RUNNING]
    assert backend.observe(2) == [], "it is told once"
    (end,) = ends
    assert end is not None
    assert backend.observe(end) == [HostUsed(0, (0, 0)), HostUsed(1, (0, 0))]
    assert backend.observe(end + 1) == []
    world.close()


def test_hosts_that_the_site_does_not_have_any_more_are_not_told_of(world: World) -> None:
    world.host_down(1, 5, "pulled")
    backend = WorldBackend(world, hosts=range(1))
    assert backend.reconcile(10, []) == []
    world.host_up(1, 11)
    world.host_down(0, 12, "pulled")
    assert backend.observe(12) == [HostFailed(0, because(Code.STATED, text="pulled"))]


def test_started_over_within_one_second(world: World) -> None:
    """Survive a break and a new start at the same moment, of which nothing reached the world."""
    begun(world)
    again = record(
        PhaseRecord(purpose=Purpose.RUN, start=20, end=1020), at=0, since=20, state=State.ACTIVE
    )
    assert WorldBackend(world).reconcile(20, [again]) == []
    assert [(vm.state, vm.since, vm.generation) for vm in world.vms()] == [
        (VmState.RUNNING, 20, 2),
        (VmState.RUNNING, 20, 2),
    ]
    assert world.incidents() == []


def test_what_happened_meanwhile_is_told(tmp_path: Path) -> None:
    world = World.open(tmp_path / "world.db", HOSTS, 0)
    begun(world, ends=300)
    assert WorldBackend(world).reconcile(299, [RUNS]) == []
    again = WorldBackend(world)
    assert again.reconcile(300, [RUNS]) == [LeaseEnded(1)]
    assert again.observe(301) == [], "it is told once"
    world.close()


def test_hosts_that_died_or_came_back_are_told(world: World) -> None:
    begun(world)
    world.host_down(0, 40, "the plug")
    told = WorldBackend(world).reconcile(50, [RUNS], SiteRecord())
    assert told[0] == HostFailed(0, because(Code.STATED, text="the plug"))
    assert isinstance(told[1], OperationFailed)
    assert (told[1].lease_id, told[1].purpose) == (1, Purpose.RUN)
    world.host_up(0, 60)
    down = SiteRecord(hosts=(HostRecord(host=0, status="down"),))
    assert WorldBackend(world).reconcile(70, [], down) == [HostRestored(0)]
    drained = SiteRecord(hosts=(HostRecord(host=0, status="drained"),))
    assert WorldBackend(world).reconcile(80, [], drained) == []


def test_a_world_that_was_lost(world: World) -> None:
    """Nothing is there of what should be suspended: it is told, not passed over."""
    told = WorldBackend(world).reconcile(
        110,
        [
            record(
                PhaseRecord(purpose=Purpose.RESUME, start=90, end=120),
                at=0,
                since=90,
                state=State.RESUMING,
                saved=True,
                bound=(0, 1),
            )
        ],
    )
    assert [type(i) for i in told] == [OperationFailed]


def test_a_migration_that_fails_leaves_all_where_they_were(world: World) -> None:
    backend = begun(world)
    backend.observe(100)
    backend.enact(100, suspended(100, 130))
    backend.observe(130)
    backend.enact(
        130,
        [
            StateChanged(130, 1, State.SUSPENDED_SCHEDULED, State.MIGRATING),
            OperationStarted(130, 1, Purpose.MIGRATE, 170, (1, 0), (0, 1)),
        ],
    )
    assert states(world, 140) == [VmState.MIGRATING, VmState.MIGRATING]
    world.host_down(0, 150)
    told = backend.observe(150)
    assert [type(i) for i in told] == [HostFailed, OperationFailed]
    backend.enact(
        150,
        [
            StateChanged(150, 1, State.MIGRATING, State.SUSPENDED_SCHEDULED, None, "failure"),
            OperationEnded(1, Purpose.MIGRATE, 130, 150, USE),
        ],
    )
    assert [(vm.state, vm.host) for vm in world.vms()] == [(VmState.SAVED, 0), (VmState.SAVED, 1)]


# --- a file that cannot be written --------------------------------------------------------


def test_commands_wait_for_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    World.open(path, HOSTS, 0).close()
    world = World(WorldFile.open(path, busy_seconds=0.01), WorldOptions())
    backend = begun(world)
    backend.observe(100)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    backend.enact(100, suspended(100, 130))
    assert backend.next_event() == 101
    assert backend.observe(115) == []
    assert backend.observe(130) == [OperationDelayed(1, Purpose.SUSPEND, 160)]
    assert backend.observe(160) == [OperationDelayed(1, Purpose.SUSPEND, 190)]
    other.execute("ROLLBACK")
    other.close()
    assert backend.observe(170) == []
    assert states(world, 170) == [VmState.SUSPENDING, VmState.SUSPENDING]
    assert backend.observe(190) == [OperationDelayed(1, Purpose.SUSPEND, 200)]
    assert states(world, 200) == [VmState.SAVED, VmState.SAVED]
    world.close()


def test_what_fails_after_its_planned_end_is_under_way_until_then(tmp_path: Path) -> None:
    """The command was given late, and the VM is on its host until the operation breaks."""
    options = WorldOptions(failures={Purpose.SUSPEND: 1.0})
    world = World.open(tmp_path / "world.db", HOSTS, 0, options)
    alone = replace(REQUEST, nodes=(NodeSet(1, (100, 512)),))
    assert SUSPENDS.plan is not None
    suspends = replace(SUSPENDS, request=alone, plan=replace(SUSPENDS.plan, hosts=(0,)))
    start = Command(lease=1, node=1, verb=Verb.START, due=0, host=0, nodes=1, capacity=(100, 512))
    world.give(0, start)
    backend = WorldBackend(world)
    told = backend.reconcile(150, [suspends])
    (vm,) = world.vms()
    assert vm.until is not None
    assert vm.until > 150
    assert told == [OperationDelayed(1, Purpose.SUSPEND, vm.until)]
    assert {type(event) for event in backend.observe(vm.until)} == {OperationFailed}
    world.close()


def test_what_was_resumed_while_nobody_looked_is_done_though_its_life_has_an_end(
    tmp_path: Path,
) -> None:
    world = World.open(tmp_path / "world.db", HOSTS, 0)
    backend = begun(world, ends=500)
    backend.observe(100)
    backend.enact(100, suspended(100, 130))
    backend.observe(130)
    backend.enact(200, [OperationStarted(200, 1, Purpose.RESUME, 230, (0, 1))])
    assert set(states(world, 200)) == {VmState.RESUMING}
    resumes = record(
        PhaseRecord(purpose=Purpose.RESUME, start=200, end=230),
        PhaseRecord(purpose=Purpose.RUN, start=230, end=1000),
        at=0,
        since=200,
        state=State.RESUMING,
    )
    assert WorldBackend(world, {1: 500}).reconcile(240, [resumes]) == []
    assert {(vm.state, vm.until) for vm in world.vms()} == {(VmState.RUNNING, 230 + 400)}
    world.close()
