"""Managers that are killed at any moment, and what is kept between them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from simulated_runs import Case, Run, Watched

from haizea.backends.world import Command, Vm, World, WorldBackend, WorldOptions
from haizea.clock import SimulatedClock
from haizea.core.model.events import Decision, Input, LeaseAccepted
from haizea.core.model.lifecycle import FINAL
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.resources import FOREVER
from haizea.core.model.turn import Turn
from haizea.core.scheduler import Scheduler
from haizea.loop import TraceArrivals, run_loop


class Killed(BaseException):
    """The manager is no more."""


class Fuse:
    """Burns down by a bit at each step, and kills the manager in the end."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def burn(self) -> None:
        self._steps -= 1
        if self._steps == 0:
            raise Killed


class MortalWorld(World):
    """A world whose manager may be killed before and after the commands to a lease's VMs.

    In between, nothing of them is on file.
    """

    fuse: Fuse | None = None

    def give_all(self, now: int, commands: Sequence[Command]) -> list[Vm | None]:
        if self.fuse is not None:
            self.fuse.burn()
        vms = super().give_all(now, commands)
        if self.fuse is not None:
            self.fuse.burn()
        return vms


@dataclass
class Kept:
    """Durable memory: an observer that may be killed before and after it keeps a turn."""

    run: Run
    now: int = 0
    records: dict[int, LeaseRecord] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    site: SiteRecord = field(default_factory=SiteRecord)
    last: Sequence[Decision] = ()
    downtimes: list[tuple[int, int]] = field(default_factory=list)
    fuse: Fuse | None = None

    def note(self, turn: Turn) -> None:
        assert self.fuse is not None
        assert turn.site is not None
        self.fuse.burn()
        self.now, self.last = turn.now, turn.decisions
        for record in turn.records:
            self.records[record.id] = record
            if record.over:
                del self.records[record.id]
        self.site = turn.site
        self.accepted |= {d.request.id for d in turn.decisions if isinstance(d, LeaseAccepted)}
        self.run.note(turn)
        self.fuse.burn()


class Restarted:
    """A trace's requests that nobody has answered yet; first what the world had to say."""

    def __init__(self, case: Case, kept: Kept, inputs: list[Input], now: int) -> None:
        asked = [
            replace(r, submitted=max(r.submitted, now))
            for r in case.requests
            if r.id not in kept.accepted
        ]
        self._rest = TraceArrivals(asked)
        self._inputs = inputs
        self._first = True

    def next_arrival(self) -> int | None:
        return 0 if self._first else self._rest.next_arrival()

    def take(self, now: int) -> list[Input]:
        inputs, self._inputs, self._first = self._inputs, [], False
        return inputs + self._rest.take(now)


@dataclass(frozen=True)
class Outcome:
    """The remains when all leases are over."""

    run: Run
    kept: Kept
    world: World
    kills: int


def live_and_die(case: Case, path: Path, options: WorldOptions, seed: int) -> Outcome:
    """Run the case to its end, killing the manager again and again.

    The world's file is not closed when a manager is killed, and the next one opens it anew.
    """
    chance = random.Random(seed)
    kept = Kept(Run(case))
    now, kills = 0, 0
    graves: list[World] = []
    while True:
        world = MortalWorld.open(path, case.site.hosts, now, options)
        assert isinstance(world, MortalWorld)
        # The first one does not survive its first turn, nor does the 41st come to harm.
        steps = 2 if not kills else chance.choice([3, 10, 30, 100]) if kills <= 40 else 1_000_000
        fuse = Fuse(chance.randint(1, steps))
        clock = SimulatedClock(now)
        try:
            _live(case, kept, world, clock, fuse, chance.random() < 0.5)
        except Killed:
            kills += 1
            world.fuse = None
            graves.append(world)
            now = clock.now() + chance.choice([0, 0, 1, 3, 20, 100])
            kept.downtimes.append((clock.now(), now))
            continue
        for grave in graves:
            grave.close()
        return Outcome(kept.run, kept, world, kills)


def _live(
    case: Case, kept: Kept, world: MortalWorld, clock: SimulatedClock, fuse: Fuse, again: bool
) -> None:
    now = clock.now()
    backend = WorldBackend(world, case.real)
    scheduler = Scheduler(case.site, case.settings, case.policies(), min(kept.now, now))
    scheduler.restore(kept.records.values(), kept.site)
    kept.fuse, world.fuse = fuse, fuse
    inputs = backend.reconcile(now, list(kept.records.values()), kept.site)
    if again:
        backend.enact(now, kept.last)
    run_loop(
        Watched(scheduler, None),
        clock,
        backend,
        Restarted(case, kept, inputs, now),
        [kept],
        lambda due: due >= FOREVER or _all_over(case, kept),
    )


def _all_over(case: Case, kept: Kept) -> bool:
    return len(kept.accepted) == len(case.requests) and not kept.records


def unfinished(outcome: Outcome) -> list[LeaseRecord]:
    """Leases that are in no final state."""
    return [r for r in outcome.kept.records.values() if r.state not in FINAL]
