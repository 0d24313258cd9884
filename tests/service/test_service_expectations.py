"""Expected starts of waiting leases are told for as many of them as there is time for."""

from __future__ import annotations

import logging

from haizea.core.model.events import Input, LeaseSubmitted
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.service.board import Board
from haizea.service.expectations import Expectations

SITE = Site.uniform(ResourceTypes(), 1, (100, 1024))
SETTINGS = Settings()
POLICIES = make_policies()


def submitted(lease_id: int) -> Input:
    nodes = (NodeSet(1, (100, 1024)),)
    return LeaseSubmitted(
        LeaseRequest(id=lease_id, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=3600)
    )


def guesses(board: Board) -> Expectations:
    return Expectations(board, SETTINGS, POLICIES, lambda: 0, logging.getLogger("test"))


def test_each_waiting_lease_is_told_when_those_before_it_are_over() -> None:
    board = Board(SITE, 0)
    board.note(
        Scheduler(SITE, SETTINGS, POLICIES, 0).handle(0, [submitted(n) for n in range(1, 21)])
    )
    assert guesses(board).all() == {lease: 3600 * (lease - 1) for lease in range(2, 21)}


def test_short_queues_say_nothing_about_the_time_that_long_ones_take() -> None:
    board = Board(SITE, 0)
    expectations = guesses(board)
    scheduler = Scheduler(SITE, SETTINGS, POLICIES, 0)
    begin = expectations.reach
    for lease_id in range(1, 21):
        board.note(scheduler.handle(0, [submitted(lease_id)]))
        board.last_event += 1
        expectations.all()
        assert expectations.reach <= begin
