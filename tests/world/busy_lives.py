"""A busy hour in simulated time: people who change their minds, an operator, a manager that dies.

It is killed now and then, and stands still now and then, as on a machine that has too much to do.
Whatever it decided is written as a service's results are, to be checked.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from effort import looks_by
from mortal_managers import Fuse, Kept, Killed, MortalWorld
from simulated_runs import Case, Run, Watched

from haizea.accounting.results import ResultsFile
from haizea.backends.world import WorldBackend
from haizea.clock import SimulatedClock
from haizea.config import loads, make_site, scheduling_settings
from haizea.core.model.events import (
    Input,
    LeaseCancelled,
    LeaseChanged,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceEnded,
)
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.core.model.resources import FOREVER
from haizea.core.model.turn import Turn
from haizea.core.scheduler import Scheduler
from haizea.loop import run_loop
from haizea.service.world import world_options

CONFIGURATION = """\
[general]
mode: simulated
[scheduling]
backfilling: aggressive
suspension: all
migration: yes
policy-preemption: ar-preempts-everything
non-schedulable-interval: 1
remapping-effort: {looks}
[simulation]
clock: real
resources: 8 CPU:100 Memory:1024
[world]
failures: run:0.02 suspend:0.05 resume:0.05 migrate:0.05
delays: suspend:0.2 resume:0.2 migrate:0.1
longest-delay: 20
early-ends: 0.2
seed: {seed}
"""
START = 1_700_000_000
_KILLS = 60
#: Of so many waits, one is longer than was meant, by so many seconds at most.
_WAITS_A_STANDSTILL = 50
_LONGEST_STANDSTILL_SECONDS = 200


class SleepyClock(SimulatedClock):
    """The clock of a machine that stands still now and then."""

    def __init__(self, start: int, chance: random.Random) -> None:
        super().__init__(start)
        self._chance = chance

    def wait_until(self, moment: int) -> int:
        if self._chance.randrange(_WAITS_A_STANDSTILL) == 0:
            meant = self.now() if moment >= FOREVER else max(moment, self.now())
            moment = meant + self._chance.randint(1, _LONGEST_STANDSTILL_SECONDS)
        return super().wait_until(moment)


@dataclass
class Told(Run):
    """Every turn that was kept, and when nobody was at work."""

    turns: list[Turn] = field(default_factory=list)
    absences: list[tuple[int, int]] = field(default_factory=list)

    def note(self, turn: Turn) -> None:
        self.turns.append(turn)
        if turn.late_since is not None:
            self.absences.append((turn.late_since, turn.now))


class People:
    """People who ask, and what a manager that has just come back has to be told first."""

    def __init__(self, seed: int, seconds: int, kept: Kept) -> None:
        self._chance = random.Random(f"{seed} people")
        self._kept = kept
        self._next, self._last = START + 1, START + seconds
        self._ids, self._windows = count(1), count(1)
        self.first: list[Input] | None = None

    @property
    def are_gone(self) -> bool:
        """True if nobody asks for anything any more."""
        return self._next >= self._last

    def next_arrival(self) -> int | None:
        if self.first is not None:
            return 0
        return None if self.are_gone else self._next

    def take(self, now: int) -> list[Input]:
        asked, self.first = self.first or [], None
        changed: set[int] = set()
        while self._next <= now and not self.are_gone:
            self._next += max(1, int(self._chance.expovariate(1 / 8)))
            wanted = self._wanted(now)
            if isinstance(wanted, LeaseChanged):
                if wanted.lease_id in changed:
                    continue
                changed.add(wanted.lease_id)
            asked.append(wanted)
        return asked

    def _wanted(self, now: int) -> Input:
        chance, there = self._chance, sorted(self._kept.records)
        turn = chance.random()
        if there and turn < 0.08:
            return LeaseCancelled(chance.choice(there))
        if there and turn < 0.28:
            return self._change(self._kept.records[chance.choice(there[-8:])].request)
        if turn < 0.36:
            return self._maintenance(now)
        return LeaseSubmitted(self._request(now))

    def _change(self, request: LeaseRequest) -> LeaseChanged:
        chance, duration = self._chance, request.duration
        assert duration is not None, "every lease here has an end"
        ways = ["extend", "extend", "shorten", "preemptible", "nodes"]
        ways += [name for name in ("start", "after", "deadline") if getattr(request, name)] * 2
        way, by = chance.choice(ways), chance.choice([20, 150, 2000])
        changed = replace(request, preemptible=not request.preemptible)
        match way:
            case "start" | "after" | "deadline":
                moved = getattr(request, way) + chance.choice([-60, -10, 10, 60, 300])
                changed = replace(request, **{way: moved})
            case "nodes":
                changed = replace(request, nodes=self._nodes())
            case "extend":
                changed = replace(request, duration=duration + by)
            case "shorten" if by < duration:
                changed = replace(request, duration=duration - by)
        return LeaseChanged(request.id, changed, request)

    def _maintenance(self, now: int) -> Input:
        chance = self._chance
        known = [record.window for record in self._kept.site.maintenance]
        if known and (len(known) > 2 or chance.random() < 0.5):
            window = chance.choice(known)
            match chance.choice(["end", "end", "hosts", "later"]):
                case "end":
                    return MaintenanceEnded(window.id)
                case "hosts":
                    return MaintenanceAsked(replace(window, hosts=self._some_hosts()))
            later = max(window.start, now) + chance.randint(30, 300)
            return MaintenanceAsked(replace(window, end=later))
        start = now + chance.randint(0, 240)
        end = start + chance.randint(60, 300) if chance.random() < 0.8 else None
        leases = chance.choice(list(Leaving))
        return MaintenanceAsked(
            Maintenance(
                id=next(self._windows),
                hosts=self._some_hosts(),
                start=start,
                end=end,
                leases=leases,
            )
        )

    def _request(self, now: int) -> LeaseRequest:
        chance = self._chance
        kind = chance.choice([*Kind, Kind.DEADLINE, *[Kind.BEST_EFFORT] * 2])
        duration, after = chance.randint(20, 300), now + chance.choice([0, chance.randint(30, 300)])
        ends = kind is Kind.DEADLINE
        return LeaseRequest(
            id=next(self._ids),
            submitted=now,
            kind=kind,
            nodes=self._nodes(),
            duration=duration,
            start=now + chance.randint(60, 600) if kind is Kind.AR else None,
            after=after if ends and after > now else None,
            deadline=after + duration + chance.randint(60, 900) if ends else None,
            preemptible=kind is Kind.BEST_EFFORT and chance.random() < 0.8,
        )

    def _nodes(self) -> tuple[NodeSet, ...]:
        size = self._chance.choice([50, 100]), self._chance.choice([128, 512])
        return (NodeSet(self._chance.randint(1, 3), size),)

    def _some_hosts(self) -> tuple[int, ...]:
        return tuple(sorted(self._chance.sample(range(7), self._chance.randint(1, 2))))


def live_busily(seed: int, seconds: int, folder: Path) -> tuple[MortalWorld, Path]:
    """Live through it until all leases are over; the world then, and the results."""
    config = loads(CONFIGURATION.format(seed=seed, looks=looks_by(seed)))
    site = make_site(config.simulation.resources or ())
    case = Case(site, (), {}, scheduling_settings(config))
    options, chance = world_options(config), random.Random(seed)
    told = Told(case)
    kept = Kept(told, now=START)
    people = People(seed, seconds, kept)
    now, graves = START, list[MortalWorld]()
    while True:
        world = MortalWorld.open(folder / "world.db", site.hosts, now, options)
        assert isinstance(world, MortalWorld)
        steps = chance.choice([3, 10, 30, 100]) if len(graves) < _KILLS else 1_000_000_000
        kept.fuse = world.fuse = Fuse(chance.randint(1, steps))
        clock = SleepyClock(now, chance)
        try:
            _live(case, kept, world, people, clock, again=chance.random() < 0.5)
            break
        except Killed:
            world.fuse = None
            graves.append(world)
            now = clock.now() + chance.choice([0, 0, 1, 3, 20, 100])
            told.absences.append((kept.now, now))
    for grave in graves:
        grave.close()
    results = ResultsFile(
        folder / "results",
        site,
        config.rows(),
        {},
        "service",
        "busy lives",
        probes=(),
        start=START,
        faults=options.describe(),
        absences=told.absences,
    )
    for turn in told.turns:
        results.note(turn)
    results.finish("interrupted", kept.now)
    return world, folder / "results"


def _live(
    case: Case, kept: Kept, world: MortalWorld, people: People, clock: SleepyClock, *, again: bool
) -> None:
    now = clock.now()
    backend = WorldBackend(world)
    scheduler = Scheduler(case.site, case.settings, case.policies(), min(kept.now, now))
    scheduler.restore(kept.records.values(), kept.site)
    people.first = backend.reconcile(now, list(kept.records.values()), kept.site)
    if again:
        backend.enact(now, kept.last)
    run_loop(
        Watched(scheduler, None),
        clock,
        backend,
        people,
        [kept],
        lambda due: due >= FOREVER or (people.are_gone and not kept.records),
    )
