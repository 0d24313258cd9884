"""Leases that are set aside, and the tries that it takes to find them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from haizea.core.model.events import (
    ChangeRefused,
    Decision,
    HostUsed,
    Input,
    LeaseChanged,
    LeaseSubmitted,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.policy import AdmissionPolicy
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.service.steadfast import SET_ASIDE, Steadfast
from haizea.store import Saved
from haizea.wording import in_words


class FaultyOrder:
    """A queue-order policy with a fault that shows from a moment on, for some leases."""

    def __init__(self) -> None:
        self.fails_for: frozenset[int] = frozenset()

    def key(self, request: LeaseRequest, since: int) -> int:
        if request.id in self.fails_for:
            raise ArithmeticError(f"lease {request.id}")
        return since


class Manager:
    """A service without its process: what it keeps and does."""

    def __init__(self, hosts: int) -> None:
        self.order = FaultyOrder()
        self.admission: AdmissionPolicy = make_policies().admission
        self.site = Site.uniform(ResourceTypes(), hosts, (100, 1024))
        self.made = 0
        self.kept: dict[int, LeaseRecord] = {}
        self.now: int | None = None
        self.scheduler = self.start()

    def start(self) -> Steadfast:
        since = 0 if self.now is None else self.now
        return Steadfast(self._make, self._saved, self._saved(), since, logging.getLogger())

    def _make(self, since: int) -> Scheduler:
        self.made += 1
        policies = replace(make_policies(), queue_order=self.order, admission=self.admission)
        return Scheduler(self.site, Settings(), policies, since)

    def _saved(self) -> Saved:
        records = [record for record in self.kept.values() if not record.over]
        return Saved(now=self.now, records=records, site=SiteRecord(), next_lease_id=1)

    def turn(self, now: int, inputs: Sequence[Input] = ()) -> list[Decision]:
        turn = self.scheduler.handle(now, inputs)
        self.kept.update({record.id: record for record in turn.records})
        self.now = now
        return turn.decisions

    def states(self) -> dict[int, State]:
        return {lease: record.state for lease, record in self.kept.items()}


def asked(lease: int, kind: Kind = Kind.BEST_EFFORT, start: int | None = None) -> LeaseSubmitted:
    nodes = (NodeSet(1, (100, 512)),)
    return LeaseSubmitted(
        LeaseRequest(id=lease, submitted=0, kind=kind, nodes=nodes, duration=1000, start=start)
    )


@pytest.mark.parametrize("restarted", [False, True], ids=["at work", "at a start"])
def test_the_leases_that_it_fails_with_are_found_in_few_tries(restarted: bool) -> None:
    manager = Manager(hosts=2)
    manager.turn(0, [asked(lease) for lease in range(1, 201)])
    before = manager.states()
    odd = {77, 160, 202}
    manager.order.fails_for = frozenset(odd)
    manager.made = 0
    if restarted:
        odd.remove(202)
        manager.scheduler = manager.start()
        assert manager.scheduler.next_wakeup() == 0, "it is looked after at once"
        manager.turn(5)
    else:
        manager.turn(5, [asked(201), asked(202), asked(203)])
        assert manager.kept[202].state is State.REJECTED
        assert {manager.states()[lease] for lease in (201, 203)} == {State.QUEUED}
    aside = {lease for lease, record in manager.kept.items() if record.code == SET_ASIDE}
    assert aside == odd
    assert all(f"ArithmeticError: lease {i}" in in_words(manager.kept[i].reason) for i in odd)
    states = manager.states()
    assert [states[i] for i in before if i not in odd] == [
        state for i, state in before.items() if i not in odd
    ]
    assert manager.made < 60, "of 200 leases, those that fail are found by halves"
    assert manager.turn(1100), "it goes on"


def test_an_upgrade_that_went_wrong_costs_no_leases() -> None:
    manager = Manager(hosts=2)
    manager.turn(0, [asked(lease) for lease in range(1, 101)])
    before = manager.states()
    manager.order.fails_for = frozenset(range(3, 101))
    manager.scheduler = manager.start()
    with pytest.raises(ArithmeticError):
        manager.turn(5)
    assert manager.states() == before
    manager.order.fails_for = frozenset()
    manager.scheduler = manager.start()
    manager.turn(5)
    assert manager.states() == before


class FaultyChanges:
    """An admission policy with a fault that shows with leases of one length alone."""

    def refusal(self, request: LeaseRequest) -> str | None:
        if request.duration == 4000:
            raise ArithmeticError("too long")
        return None


def test_a_change_that_it_fails_with_is_refused_and_costs_no_lease() -> None:
    manager = Manager(hosts=2)
    manager.admission = FaultyChanges()
    manager.scheduler = manager.start()
    manager.turn(0, [asked(1), asked(2), asked(3)])
    request = manager.kept[1].request
    longer = LeaseChanged(1, replace(request, duration=4000), request)
    decisions = manager.turn(5, [longer, asked(4)])
    (refused,) = [d for d in decisions if isinstance(d, ChangeRefused)]
    assert refused.lease_id == 1
    assert "ArithmeticError: too long" in in_words(refused.reason)
    states = manager.states()
    assert (states[1], states[2]) == (State.ACTIVE, State.ACTIVE)
    assert (states[3], states[4]) == (State.QUEUED, State.QUEUED)
    assert manager.kept[1].request == request


def test_what_runs_goes_on_rather_than_what_waits() -> None:
    manager = Manager(hosts=2)
    manager.turn(0, [HostUsed(0, (100, 0)), asked(1), asked(2)])
    assert manager.states() == {1: State.ACTIVE, 2: State.QUEUED}
    manager.order.fails_for = frozenset({2})
    manager.turn(10, [asked(3, Kind.AR, start=500), asked(4, Kind.IMMEDIATE)])
    manager.scheduler = manager.start()
    manager.turn(20)
    assert manager.states()[1] is State.ACTIVE
    assert manager.states()[2] is State.FAILED


def test_what_others_use_is_not_forgotten() -> None:
    manager = Manager(hosts=2)
    manager.turn(0, [HostUsed(0, (100, 0)), asked(1)])
    manager.order.fails_for = frozenset({2})
    manager.turn(10, [asked(2)])
    manager.turn(11, [asked(3, Kind.IMMEDIATE)])
    assert manager.states() == {1: State.ACTIVE, 2: State.REJECTED, 3: State.REJECTED}


def test_without_any_lease_the_fault_is_told() -> None:
    manager = Manager(hosts=1)
    manager.site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    with pytest.raises(IndexError):
        manager.turn(0, [HostUsed(7, (100, 0))])
