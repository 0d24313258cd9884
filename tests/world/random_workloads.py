"""Sites and workloads by a seed, in which much of what can be decided is."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from effort import DEFAULT_LOOKS, looks_by
from simulated_runs import Case

from haizea.core.model.hosts import Site
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import (
    Backfilling,
    Exclusion,
    ImageSettings,
    Migration,
    Settings,
    Suspension,
    Transfer,
)

#: In this one a lease with a deadline was given a start that had passed while nobody was there.
#: It keeps the effort that it had.
ONCE = 7015


def random_case(seed: int) -> Case:
    """The case with this seed; leases end early only if the world says so."""
    chance = random.Random(seed)
    hosts = chance.randint(1, 5)
    site = Site.uniform(ResourceTypes(), hosts, chance.choice([(200, 256), (100, 128)]))
    settings = Settings(
        backfilling=chance.choice(list(Backfilling)),
        backfilling_reservations=chance.randint(1, 4),
        suspension=chance.choice([Suspension.ALL, Suspension.ALL, *Suspension]),
        exclusion=chance.choice(list(Exclusion)),
        migration=chance.choice(list(Migration)),
        shutdown_seconds=chance.choice([0, 3]),
        enactment_overhead_seconds=chance.choice([0, 1]),
        remapping_effort=DEFAULT_LOOKS if seed == ONCE else looks_by(seed),
    )
    preemption = chance.choice(["ar-preempts-everything", "no-preemption"])
    requests = _requests(chance, hosts)
    if chance.random() < 0.3:
        settings = replace(settings, images=_image_settings(chance))
        requests = tuple(
            replace(r, image=DiskImage(f"image-{chance.randint(0, 2)}", 100)) for r in requests
        )
    return Case(site, requests, {}, settings, preemption)


def _image_settings(chance: random.Random) -> ImageSettings:
    return ImageSettings(
        mechanism=chance.choice(list(Transfer)),
        avoid_redundant=chance.random() < 0.5,
        cache_mb=chance.choice([0, 250]),
    )


def _window(chance: random.Random, kind: Kind, submitted: int, duration: int) -> dict[str, Any]:
    """Return when a deadline lease may begin and is to be done."""
    if kind is not Kind.DEADLINE:
        return {}
    after = submitted + chance.choice([0, 10, 50])
    return {"after": after, "deadline": after + duration + chance.choice([0, 10, 200])}


def _requests(chance: random.Random, hosts: int) -> tuple[LeaseRequest, ...]:
    made, submitted = [], 0
    for lease_id in range(1, chance.randint(5, 25) + 1):
        submitted += chance.choice([0, 0, 1, 7, 20])
        kind = chance.choice([Kind.BEST_EFFORT, *Kind])
        duration = chance.randint(1, 90)
        size = chance.choice([(100, 64), (100, 128), (200, 256), (50, 60)])
        made.append(
            LeaseRequest(
                id=lease_id,
                submitted=submitted,
                kind=kind,
                nodes=(NodeSet(chance.randint(1, hosts), size),),
                duration=duration,
                start=submitted + chance.choice([0, 10, 50, 120]) if kind is Kind.AR else None,
                **_window(chance, kind, submitted, duration),
                preemptible=chance.random() < 0.7,
            )
        )
    return tuple(made)


def crowded_case(seed: int) -> Case:
    """More leases than there is room for, parts of hosts, and operations that take long."""
    chance = random.Random(seed)
    case = random_case(seed)
    site, settings = case.site, replace(case.settings, images=None)
    if chance.random() < 0.7:
        settings = replace(
            settings,
            override_suspend_seconds=chance.choice([None, 8, 20]),
            override_resume_seconds=chance.choice([None, 10, 40]),
        )
    cpu, memory = site.hosts[0].capacity
    made, submitted = [], 0
    for lease_id in range(1, chance.randint(20, 50) + 1):
        submitted += chance.choice([0, 0, 1, 3, 10])
        kind = chance.choice([Kind.BEST_EFFORT, Kind.AR, *Kind])
        duration = chance.randint(5, 150)
        size = (
            cpu * chance.choice([20, 30, 50, 60, 100]) // 100,
            memory * chance.choice([20, 25, 50, 75]) // 100,
        )
        made.append(
            LeaseRequest(
                id=lease_id,
                submitted=submitted,
                kind=kind,
                nodes=(NodeSet(chance.randint(1, len(site.hosts)), size),),
                duration=duration,
                start=submitted + chance.choice([5, 20, 50, 120]) if kind is Kind.AR else None,
                **_window(chance, kind, submitted, duration),
                preemptible=chance.random() < 0.7,
            )
        )
    return Case(site, tuple(made), {}, settings, case.preemption)
