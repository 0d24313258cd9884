"""Random runs beside which another scheduler is replaced, at random moments, from what is kept.

Both are told the same, and have to decide the same and to know the same. People change what they
asked for, limit it to hosts and have hosts maintained; operations and hosts fail. What others use
of hosts is left out: it is not kept, and looking at it again after a restart is a reason to look at
the queue.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import effort
import pytest
from test_checked_runs import configuration, faults

from haizea import runtime
from haizea.backends.simulated import Faults
from haizea.config import loads
from haizea.core.model.events import (
    HostsAllowed,
    Input,
    LeaseAccepted,
    LeaseAltered,
    LeaseChanged,
    MaintenanceAsked,
    MaintenanceEnded,
)
from haizea.core.model.hosts import EVERYWHERE, Site
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.core.model.policy import Policies
from haizea.core.model.settings import Settings
from haizea.core.model.turn import Turn
from haizea.core.placement.mapper import Mapper
from haizea.core.scheduler import Scheduler
from haizea.runtime import Status, simulate
from haizea.store.codec import read_lease, read_site, write_lease, write_site

pytestmark = pytest.mark.slow

RUNS = 80


class People:
    """Changes of leases and of hosts that somebody asks for now and then, by chance."""

    def __init__(self, chance: random.Random, hosts: int) -> None:
        self._chance = chance
        self._hosts = hosts
        self._windows = count(1)
        self.requests: dict[int, LeaseRequest] = {}

    def ask(self, now: int, there: Sequence[int], windows: Sequence[int]) -> Iterator[Input]:
        """Ask for something, with leases and windows that are there."""
        chance, way = self._chance, self._chance.random()
        if way < 0.1 and there:
            lease_id = chance.choice(there)
            before = self.requests[lease_id]
            yield LeaseChanged(lease_id, self._changed(before), before)
        elif way < 0.13 and there:
            yield HostsAllowed(chance.choice(there), chance.choice([EVERYWHERE, 0b11, 0b110]))
        elif way < 0.16:
            hosts = tuple(sorted(chance.sample(range(self._hosts), chance.randint(1, 2))))
            start = now + chance.choice([0, 0, 60, 700])
            window = Maintenance(
                id=next(self._windows),
                hosts=hosts,
                start=start,
                end=start + chance.choice([50, 400, 3000]),
                leases=chance.choice(list(Leaving)),
            )
            yield MaintenanceAsked(window)
        elif way < 0.18 and windows:
            yield MaintenanceEnded(chance.choice(windows))

    def _changed(self, request: LeaseRequest) -> LeaseRequest:
        chance, duration = self._chance, request.duration
        assert duration is not None, "every lease here has an end"
        ways = ["duration", "preemptible", "nodes"]
        ways += [name for name in ("start", "after", "deadline") if getattr(request, name)]
        match chance.choice(ways):
            case "duration":
                return replace(request, duration=max(1, duration + chance.choice([-200, 200, 900])))
            case "preemptible":
                return replace(request, preemptible=not request.preemptible)
            case "nodes":
                first, *others = request.nodes
                wider = replace(first, count=max(1, first.count + chance.choice([-1, 1])))
                return replace(request, nodes=(wider, *others))
            case moment:
                later = getattr(request, moment) + chance.choice([-100, 60, 800])
                return replace(request, **{moment: later})


class Compared:
    """A scheduler, and another one that is told the same and is replaced again and again."""

    def __init__(
        self,
        chance: random.Random,
        differences: list[str],
        site: Site,
        settings: Settings,
        policies: Policies,
        now: int,
        mapper: Mapper | None = None,
        *,
        whole_turns: bool = True,
    ) -> None:
        # Both are looked at turn by turn, whoever else reads turns.
        self._parts = site, settings, policies
        self._mapper = mapper
        self._chance = chance
        self._differences = differences
        self._people = People(chance, len(site.hosts))
        self._lasting, self._other = self._make(now), self._make(now)

    def _make(self, now: int) -> Scheduler:
        return Scheduler(*self._parts, now, self._mapper)

    def handle(self, now: int, inputs: Sequence[Input] = ()) -> Turn:
        windows = [record.window.id for record in self._lasting.site_record().maintenance]
        there = [record.id for record in self._lasting.leases()]
        told = [*inputs, *self._people.ask(now, there, windows)]
        turn, other = self._lasting.handle(now, told), self._other.handle(now, told)
        for decision in turn.decisions:
            if isinstance(decision, LeaseAccepted | LeaseAltered):
                self._people.requests[decision.request.id] = decision.request
        for mine, others in zip(turn.decisions, other.decisions, strict=False):
            self._compare(now, mine, others)
        self._compare(now, len(turn.decisions), len(other.decisions))
        self._look_alike(now)
        if self._chance.random() < 0.3:
            self._replace(now)
        return turn

    def _replace(self, now: int) -> None:
        records = [read_lease(write_lease(record)) for record in self._other.leases()]
        site = read_site(write_site(self._other.site_record()))
        self._other = self._make(now)
        self._other.restore(records, site)
        self._other.check()
        self._look_alike(now)

    def _look_alike(self, now: int) -> None:
        lasting, other = self._lasting, self._other
        for mine, others in zip(lasting.leases(), other.leases(), strict=False):
            self._compare(now, mine, others)
        self._compare(now, lasting.site_record(), other.site_record())
        self._compare(now, lasting.queue(), other.queue())
        self._compare(now, lasting.next_wakeup(), other.next_wakeup())

    def _compare(self, now: int, mine: object, others: object) -> None:
        if mine != others and not self._differences:
            self._differences.append(f"at {now}: {others} after a restart, {mine} without")

    def next_wakeup(self) -> int | None:
        return self._lasting.next_wakeup()

    def waiting(self) -> int:
        return self._lasting.waiting()


def differences(
    seed: int,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    disturbed: bool,
    deadlines: bool,
) -> list[str]:
    """Return what a scheduler does otherwise in the run of this seed for being replaced."""
    rng, found = random.Random(seed), list[str]()
    text = configuration(rng, directory, effort.looks_by(seed), deadlines=deadlines)
    wrong: Faults | None = faults(rng, seed) if disturbed else None

    def compared(*parts: object, **options: object) -> Compared:
        return Compared(random.Random(f"restarts {seed}"), found, *parts, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime, "Scheduler", compared)
    outcome = simulate(loads(text), faults=wrong)
    if outcome.status is not Status.COMPLETE:
        found.append(outcome.message)
    return [f"seed {seed} {difference}" for difference in found]


@pytest.mark.parametrize("deadlines", [False, True], ids=["without deadlines", "deadlines"])
@pytest.mark.parametrize("disturbed", [False, True], ids=["as planned", "with faults"])
def test_a_restart_changes_nothing(
    disturbed: bool, deadlines: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = effort.SEED if effort.EFFORT else 0
    found: list[str] = []
    for seed in range(first, first + RUNS * max(effort.EFFORT, 1)):
        found += differences(seed, tmp_path, monkeypatch, disturbed=disturbed, deadlines=deadlines)
        if len(found) > 5:
            break
    assert not found, "\n".join(found)
