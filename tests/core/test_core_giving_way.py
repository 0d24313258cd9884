"""Sites of more hosts than are repacked, and few enough that all are glanced at for each unit."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from played_leases import lease, on_hosts

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.events import (
    ChangeRefused,
    HostsPlanned,
    LeaseAltered,
    LeaseChanged,
    LeaseSubmitted,
)
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.settings import Settings
from haizea.core.placement.overview import Overview
from haizea.core.scheduler import Scheduler

HOSTS = 70


def full_site(leases: int, seed: int, most_nodes: int = 1, span: int = 300) -> Scheduler:
    """A site filled without a search, as badly as can be, of which all may move from then on."""
    random = Random(seed)
    filled = on_hosts(HOSTS, "no-preemption", Settings(remapping_effort=0))
    for lease_id in range(1, leases + 1):
        start = 10 if lease_id <= HOSTS else 10 + random.randrange(span)
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


def test_what_would_do_instead_is_found_with_the_plan_read_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it is read for each of the tries."""
    read, begin = [0], Overview.__init__

    def counted(overview: Overview, *what: Any) -> None:
        read[0] += 1
        begin(overview, *what)

    monkeypatch.setattr(Overview, "__init__", counted)
    made = full_site(600, 1, 3, span=150)
    there = [x.request for x in made.leases() if x.state in (State.ACTIVE, State.SCHEDULED)]
    refused, offered = 0, 0
    for request in there[::6]:
        read[0] = 0
        asked = longer(request)
        found = made.trial(request.id, asked.request, None)
        if found.reason is None:
            continue
        refused += 1
        assert read[0] <= 2
        if found.offer is not None and request.start is not None:
            offered += 1
            instead = replace(asked.request, start=found.offer)
            if request.start <= 10:
                instead = replace(request, duration=found.offer - request.start)
            assert made.trial(request.id, instead, None).reason is None
    assert refused >= 10
    assert offered >= 8


def test_the_plan_is_read_three_times_for_a_change_for_which_others_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For what is held altogether, how long others are there, and what each of them holds."""
    read, between = [0], SlotTable.holds_between

    def counted(table: SlotTable, start: int, end: int) -> list[Hold]:
        read[0] += 1
        return between(table, start, end)

    monkeypatch.setattr(SlotTable, "holds_between", counted)
    made = full_site(300, 1, 3)
    moved = 0
    for request in [x.request for x in made.leases() if x.state is State.SCHEDULED][::4]:
        if request.nodes[0].capacity[0] == 400:
            continue  # Of what takes hosts whole it is asked, too, whether all others do.
        read[0] = 0
        decisions = made.handle(10, [longer(request)]).decisions
        if any(isinstance(x, HostsPlanned) and x.lease_id != request.id for x in decisions):
            moved += 1
            assert read[0] == 3
    assert moved >= 5
