"""Whole simulations in a world: the real scheduler and loop, random sites and workloads."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from effort import EFFORT, SEED, tries
from hypothesis import given
from random_workloads import random_case
from simulated_runs import Case, Run, Watched, cases, play

from haizea.backends.world import World, WorldBackend, WorldOptions
from haizea.clock import SimulatedClock
from haizea.core.model.events import OperationEnded, Purpose
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.resources import FOREVER
from haizea.core.scheduler import Scheduler
from haizea.loop import TraceArrivals, run_loop

#: In the last three, transfers failed again and again at one moment, or ARs at their very end.
SEEDS = [*range(40), 4065, 4083, 4201] if not EFFORT else range(SEED, SEED + 40 * EFFORT)


def play_in(world: World, case: Case) -> Run:
    """Run the case in a world until every lease is over."""
    run = Run(case)

    def stop(due: int) -> bool:
        if due >= FOREVER:
            return True
        over = [s.changes[-1].new in FINAL for s in run.stories.values()]
        return len(over) == len(case.requests) and all(over)

    run_loop(
        Watched(Scheduler(case.site, case.settings, case.policies(), 0), None),
        SimulatedClock(0),
        WorldBackend(world, case.real),
        TraceArrivals(case.requests),
        [run],
        stop,
    )
    return run


@tries(60)
@given(cases())
def test_where_nothing_goes_wrong_it_is_as_planned(case: Case) -> None:
    """The same decisions as with hosts that exist in memory only."""
    with TemporaryDirectory() as folder:
        world = World.open(Path(folder) / "world.db", case.site.hosts)
        run = play_in(world, case)
        assert run.decisions == play(case).decisions
        assert world.incidents() == []
        assert not [vm for vm in world.vms() if vm.there]
        check_history(run, world)
        world.close()


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}-")
def test_whatever_goes_wrong_leases_come_to_an_end(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    slow = [p for p in Purpose if p is not Purpose.RUN]
    options = WorldOptions(
        failures=dict.fromkeys(Purpose, chance.choice([0.05, 0.3])),
        delays=dict.fromkeys(slow, chance.choice([0.1, 0.5])),
        longest_delay_seconds=chance.choice([1, 30]),
        early_ends=0.3,
        host_failure_seconds=chance.choice([0, 300]),
        host_repair_seconds=40,
        seed=seed,
    )
    case = random_case(seed)
    world = World.open(tmp_path / "world.db", case.site.hosts, 0, options)
    run = play_in(world, case)
    assert {s.changes[-1].new for s in run.stories.values()} <= FINAL
    assert world.incidents() == []
    assert not [vm for vm in world.vms() if vm.there]
    check_history(run, world)
    world.close()


def check_history(run: Run, world: World) -> None:
    """VMs really ran where and when the scheduler believes, save where they broke or ended."""
    hosts = {s.host for s in world.history()}
    assert hosts <= set(range(len(run.capacities)))
    for lease, story in run.stories.items():
        believed = [
            (e.start, e.end)
            for e in story.ended
            if e.purpose not in {Purpose.TRANSFER, Purpose.MIGRATE} and e.end > e.start
        ]
        for stretch in world.history(lease):
            assert stretch.end is not None
            for moment in {stretch.start, stretch.end - 1}:
                inside = any(start <= moment < end for start, end in believed)
                assert inside or stretch.start == stretch.end, (stretch, believed)


def test_most_of_what_is_drawn_happens(tmp_path: Path) -> None:
    """Faults are not merely configured: over many leases each kind is seen."""
    seen: set[str] = set()
    for seed in range(12):
        case = random_case(seed)
        options = WorldOptions(
            failures=dict.fromkeys(Purpose, 0.2),
            early_ends=0.5,
            host_failure_seconds=400,
            seed=seed,
        )
        world = World.open(tmp_path / f"{seed}.db", case.site.hosts, 0, options)
        play_in(world, case)
        seen |= {h.what for h in world.happenings()}
        world.close()
    assert seen == {"ended", "failed", "host-down", "host-up"}


def test_leases_end_when_their_real_duration_does(tmp_path: Path) -> None:
    case = replace(random_case(3), real=dict.fromkeys(range(1, 30), 5))
    world = World.open(tmp_path / "world.db", case.site.hosts)
    run = play_in(world, case)
    ends = [
        e
        for s in run.stories.values()
        if s.changes[-1].new is State.DONE and s.changes[-1].code == "early-end"
        for e in s.ended
    ]
    assert ends
    assert all(isinstance(e, OperationEnded) and e.end - e.start <= 5 for e in ends)
    world.close()
