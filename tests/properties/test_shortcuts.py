"""Shortcuts change nothing: the same schedules with and without them.

A mapper that does not declare what it does switches the shortcuts off. So each case is run
twice, by the mapper that comes with Haizea and by one that asks it and declares nothing.
"""

from __future__ import annotations

import random

import pytest
from effort import tries
from hypothesis import given
from simulated_runs import Case, Run, cases, play, queues

from haizea.core.capacity.fit_index import Levels
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import Host, HostSet, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Exclusion, Migration, Settings, Suspension
from haizea.core.placement.mapper import Demand, GreedyMapper, Hosts

SIZES = ((100, 100), (200, 100), (100, 300), (400, 400))


class Silent:
    """Chooses as the mapper inside does, and says nothing of how it does it."""

    def __init__(self, inside: GreedyMapper) -> None:
        self._inside = inside

    def choose(
        self,
        table: SlotTable,
        request: LeaseRequest,
        demand: Demand,
        levels: Levels,
        start: int,
        prefer: HostSet = 0,
    ) -> Hosts | None:
        return self._inside.choose(table, request, demand, levels, start, prefer)

    def pack(
        self,
        table: SlotTable,
        request: LeaseRequest,
        demand: Demand,
        start: int,
        end: int,
        prefer: HostSet = 0,
    ) -> Hosts | None:
        return self._inside.pack(table, request, demand, start, end, prefer)


def both_ways(case: Case) -> tuple[Run, Run]:
    silent = Silent(GreedyMapper(case.policies().host_selection))
    return play(case), play(case, silent)


@given(case=cases())
@tries(60)
def test_any_run_is_the_same_without_shortcuts(case: Case) -> None:
    quick, thorough = both_ways(case)
    assert quick.decisions == thorough.decisions


@given(case=queues(Backfilling.CONSERVATIVE, Backfilling.INTERMEDIATE, Backfilling.AGGRESSIVE))
@tries(60)
def test_any_queue_is_the_same_without_shortcuts(case: Case) -> None:
    quick, thorough = both_ways(case)
    assert quick.decisions == thorough.decisions


def deep_queue(
    seed: int, backfilling: Backfilling, *, batch: bool = False, reserved: float = 0.08
) -> Case:
    """Mixed sizes, bursts and early ends from a seed.

    Unless ``batch``, a share of leases is ``reserved`` ahead.
    """
    chance = random.Random(seed)
    hosts = [
        Host(i, f"h{i}", chance.choice([(400, 400), (400, 400), (800, 600)])) for i in range(6)
    ]
    requests: list[LeaseRequest] = []
    real: dict[int, int] = {}
    now = 0
    for number in range(1, 71):
        now += chance.choice([0, 0, 0, 40, 200])
        duration = chance.choice([30, 100, 300, 900])
        is_ar = chance.random() < reserved and not batch
        requests.append(
            LeaseRequest(
                id=number,
                kind=Kind.AR if is_ar else Kind.BEST_EFFORT,
                submitted=now,
                start=now + chance.choice([200, 900]) if is_ar else None,
                duration=duration,
                nodes=(NodeSet(chance.choice([1, 1, 2, 3, 6]), chance.choice(SIZES)),),
                preemptible=not is_ar and not batch and chance.random() < 0.5,
            )
        )
        real[number] = chance.randint(1, duration)
    settings = Settings(
        backfilling=backfilling,
        backfilling_reservations=chance.choice([2, 5]),
        suspension=chance.choice([Suspension.NONE, Suspension.ALL]),
    )
    return Case(
        Site(ResourceTypes(("CPU", "Memory")), tuple(hosts)), tuple(requests), real, settings
    )


@pytest.mark.parametrize(
    "backfilling", [Backfilling.CONSERVATIVE, Backfilling.INTERMEDIATE, Backfilling.AGGRESSIVE]
)
@pytest.mark.parametrize("seed", range(12))
def test_deep_queues_of_mixed_sizes_are_the_same_without_shortcuts(
    seed: int, backfilling: Backfilling
) -> None:
    quick, thorough = both_ways(deep_queue(seed, backfilling))
    assert quick.decisions == thorough.decisions
    assert len(quick.stories) == 70


@pytest.mark.parametrize("seed", range(40))
def test_what_easy_refused_is_refused_to_all_that_need_as_much(seed: int) -> None:
    quick, thorough = both_ways(deep_queue(seed, Backfilling.AGGRESSIVE, batch=True))
    assert quick.decisions == thorough.decisions


@pytest.mark.parametrize("seed", range(40))
def test_a_claim_beside_reservations_is_the_same_where_it_is_searched_for_anew(seed: int) -> None:
    quick, thorough = both_ways(deep_queue(seed, Backfilling.AGGRESSIVE, reserved=0.4))
    assert quick.decisions == thorough.decisions


def holes(seed: int) -> Case:
    """Leases that may be suspended into holes between reservations, which come all the time."""
    chance = random.Random(seed)
    hosts = 8
    requests: list[LeaseRequest] = []
    real: dict[int, int] = {}
    now = 0
    for number in range(1, 91):
        now += chance.choice([0, 15, 40, 90])
        is_ar = chance.random() < 0.55
        duration = chance.choice([20, 30, 60] if is_ar else [50, 150, 400])
        requests.append(
            LeaseRequest(
                id=number,
                kind=Kind.AR if is_ar else Kind.BEST_EFFORT,
                submitted=now,
                start=now + chance.randint(20, 900) if is_ar else None,
                duration=duration,
                nodes=(NodeSet(chance.choice([1, 2, 3, 5, 7]), (100, chance.choice([32, 64]))),),
                preemptible=not is_ar and chance.random() < 0.8,
            )
        )
        real[number] = chance.choice([duration, chance.randint(1, duration)])
    settings = Settings(
        backfilling=Backfilling.AGGRESSIVE,
        suspension=Suspension.ALL,
        migration=chance.choice([Migration.NO, Migration.YES]),
        exclusion=chance.choice([Exclusion.LOCAL, Exclusion.LOCAL, Exclusion.GLOBAL]),
        shutdown_seconds=chance.choice([0, 3]),
    )
    site = Site.uniform(ResourceTypes(), hosts, (chance.choice([100, 100, 200]), 1024))
    return Case(site, tuple(requests), real, settings)


@pytest.mark.parametrize("seed", range(20))
def test_a_claim_of_who_may_fill_holes_is_the_same_where_it_is_searched_for_anew(
    seed: int,
) -> None:
    quick, thorough = both_ways(holes(seed))
    assert quick.decisions == thorough.decisions
