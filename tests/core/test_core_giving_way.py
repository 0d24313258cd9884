"""Sites of more hosts than are repacked, and few enough that all are glanced at for each unit."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from played_leases import lease, on_hosts

from haizea.core.model.events import (
    ChangeRefused,
    LeaseAltered,
    LeaseChanged,
    LeaseSubmitted,
)
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler

HOSTS = 70


def full_site(leases: int, seed: int, most_nodes: int = 1) -> Scheduler:
    """A site filled without a search, as badly as can be, of which all may move from then on."""
    random = Random(seed)
    filled = on_hosts(HOSTS, "no-preemption", Settings(remapping_effort=0))
    for lease_id in range(1, leases + 1):
        start = 10 if lease_id <= HOSTS else 10 + random.randrange(leases)
        duration, cpu = random.randint(20, 120), random.choice((100, 200, 300, 400))
        asked = lease(lease_id, Kind.AR, start, duration=duration, cpu=cpu)
        nodes = random.randint(1, most_nodes)
        asked = replace(asked, nodes=(NodeSet(nodes, asked.nodes[0].capacity),))
        filled.handle(0, [LeaseSubmitted(asked)])
    filled.handle(10)
    made = on_hosts(HOSTS, "no-preemption", Settings(), now=10)
    made.restore(filled.leases(), filled.site_record())
    return made


def longer(request: LeaseRequest) -> LeaseChanged:
    assert request.duration is not None, "it has an end"
    return LeaseChanged(request.id, replace(request, duration=request.duration + 100))


def asked_one_by_one(made: Scheduler, count: int) -> int:
    """Ask for more time for some leases; return how many get it. A refusal changes nothing."""
    granted = 0
    there = [x.request for x in made.leases() if x.state in (State.ACTIVE, State.SCHEDULED)]
    for request in there[:: max(1, len(there) // count)]:
        before = made.leases(), made.site_record()
        decisions = made.handle(10, [longer(request)]).decisions
        made.check()
        if any(isinstance(decision, LeaseAltered) for decision in decisions):
            granted += 1
        else:
            assert any(isinstance(decision, ChangeRefused) for decision in decisions)
            assert (made.leases(), made.site_record()) == before
    return granted


def test_others_move_for_most_of_those_that_are_to_last_longer() -> None:
    """Without glances at all hosts, 54 of these 62 find room."""
    assert sum([asked_one_by_one(full_site(300, seed, 3), 30) for seed in (1, 2)]) >= 58
