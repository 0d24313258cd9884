"""A service's own parts, driven through a month by a clock that jumps."""

from __future__ import annotations

import logging
import random
import resource
import sys
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from haizea.backends.world import World, WorldBackend, WorldOptions
from haizea.clock import SimulatedClock
from haizea.core.model.events import Input, Purpose
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Draft, Kind, Nodes
from haizea.core.model.records import SiteRecord
from haizea.core.model.resources import FOREVER, ResourceTypes
from haizea.core.model.settings import Backfilling, Migration, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.loop import run_loop
from haizea.policies.registry import make_policies
from haizea.service.answers import Answers
from haizea.service.board import Board
from haizea.service.figures import Figures
from haizea.service.inbox import Inbox
from haizea.service.steadfast import Steadfast
from haizea.service.turns import Enacting, Turns
from haizea.service.upkeep import UpkeepDesk
from haizea.service_types import Decided, Submission
from haizea.store import LeaseQuery, Store

DAY = 86_400
START = 1_800_000_000


@dataclass
class Month:
    """Days in which leases are asked for, evenly, and kept for ``keep_days`` when over."""

    leases: int
    days: int
    keep_days: int
    seed: int = 1
    #: At the end of each day: bytes of the store, most memory in MB, leases not over.
    store_bytes: list[int] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    answers: list[Future[Decided]] = field(default_factory=list)
    seconds: float = 0.0


class Requests:
    """Arrivals: what people send to the inbox at their times."""

    def __init__(self, month: Month, inbox: Inbox) -> None:
        chance = random.Random(month.seed)
        span = month.days * DAY
        self._times = sorted(START + chance.randrange(span) for _ in range(month.leases))
        self._chance = chance
        self._inbox = inbox
        self._month = month
        self._next = 0

    def next_arrival(self) -> int | None:
        waiting = self._inbox.next_arrival()
        if waiting is None and self._next < len(self._times):
            return self._times[self._next]
        return waiting

    def take(self, now: int) -> list[Input]:
        while self._next < len(self._times) and self._times[self._next] <= now:
            key = f"request-{self._next}" if self._next % 2 else None
            request = Submission(draft=self._draft(now), key=key)
            self._next += 1
            self._month.answers.append(request.answer)
            self._inbox.put(request)
        return self._inbox.take(now)

    def _draft(self, now: int) -> Draft:
        chance = self._chance
        kind = chance.choices([Kind.BEST_EFFORT, Kind.AR, Kind.IMMEDIATE], [7, 2, 1])[0]
        return Draft(
            kind=kind,
            nodes=(Nodes(chance.randint(1, 4), {"CPU": 100, "Memory": 512}),),
            duration=chance.randint(60, 3300),
            start=now + chance.randint(60, DAY) if kind is Kind.AR else None,
            preemptible=kind is Kind.BEST_EFFORT,
            owner="anna",
        )


def live(month: Month, directory: Path) -> Store:
    """Let the month pass. Answers its store, which is the caller's to close."""
    began = time.monotonic()
    place = directory / "leases.db"
    store = Store.open(str(place))
    assert store.lock(wait=False)
    site = Site.uniform(ResourceTypes(), 20, (100, 1024))
    options = WorldOptions(
        failures={Purpose.RUN: 0.01},
        delays={Purpose.SUSPEND: 0.1},
        early_ends=0.3,
        keep_days=month.keep_days,
        seed=month.seed,
    )
    backend = WorldBackend(World.open(directory / "world.db", site.hosts, START, options))
    settings = Settings(
        backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL, migration=Migration.YES
    )
    policies = make_policies(preemption="ar-preempts-everything", host_selection="greedy")
    logger = logging.getLogger("haizea.month")
    scheduler = Steadfast(
        lambda since: Scheduler(site, settings, policies, since),
        store.load,
        store.load(),
        START,
        logger,
    )
    clock, board, figures = SimulatedClock(START), Board(site, START), Figures()
    answers = Answers(board, store, figures, logger, settings.non_schedulable_seconds)
    upkeep = UpkeepDesk(scheduler.impact)
    inbox = Inbox(site.types, 1, store.lease_for_key, lambda: None, answers.repeated, upkeep)
    turns = Turns(store, board, inbox, answers, figures, logger, settings=settings)
    evening = START + DAY

    def is_over(due: int) -> bool:
        nonlocal evening
        while due >= evening and evening <= START + month.days * DAY:
            store.prune(evening - month.keep_days * DAY)
            month.store_bytes.append(place.stat().st_size)
            month.memory_mb.append(most_memory_mb())
            month.active.append(len(board.leases()))
            evening += DAY
        return due >= FOREVER

    backend.reconcile(START, [], SiteRecord())
    run_loop(
        scheduler,
        clock,
        Enacting(backend, store),
        Requests(month, inbox),
        [turns],
        is_over,
    )
    backend.close()
    month.seconds = time.monotonic() - began
    return store


def most_memory_mb() -> float:
    """The most memory that this process has had."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def kept(store: Store) -> list[int]:
    """The leases that are in the store, over or not."""
    found: list[int] = []
    while True:
        page = store.leases(
            LeaseQuery(finished=True, limit=500, after=found[-1] if found else None)
        )
        if not page:
            return found
        found += [record.id for record in page]
