"""The work of changes on full sites, counted in hosts looked at, never in time."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from played_leases import lease, on_hosts

from haizea.core.capacity.upcoming import Future
from haizea.core.model.events import ChangeRefused, LeaseChanged, LeaseSubmitted
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.settings import Settings
from haizea.core.placement.canvas import Canvas, Unit
from haizea.core.scheduler import Scheduler

HOSTS = 24
EFFORT = 600
#: The decision takes the whole effort, and what would do instead half of it. A look may begin
#: when little is left; units that move are seen again when they are put back.
MOST_LOOKS = 3 * EFFORT


def full_site(leases: int) -> Scheduler:
    random, made = Random(7), on_hosts(HOSTS, "no-preemption", Settings(remapping_effort=EFFORT))
    for lease_id in range(1, leases + 1):
        start = 10 if lease_id <= HOSTS else 10 + random.randrange(leases * 2)
        duration, cpu = random.randint(20, 120), random.choice((100, 200, 300, 400))
        asked = lease(lease_id, Kind.AR, start, duration=duration, cpu=cpu)
        made.handle(0, [LeaseSubmitted(asked)])
    made.handle(10)
    return made


def changed(request: LeaseRequest, now: int) -> LeaseChanged:
    """An extension of what runs; a sooner start of what is to come."""
    assert request.duration is not None, "it has an end"
    assert request.start is not None, "an AR has a start"
    if request.start <= now:
        return LeaseChanged(request.id, replace(request, duration=request.duration + 200))
    return LeaseChanged(request.id, replace(request, start=max(now + 1, request.start - 30)))


@pytest.mark.slow
@pytest.mark.parametrize("leases", [200, 600])
def test_a_refused_change_takes_no_more_than_its_effort(
    leases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, looks, overlapping = full_site(leases), [0], Canvas.overlapping

    def counted(canvas: Canvas, host: int, start: int, end: int) -> list[Unit]:
        looks[0] += 1
        return overlapping(canvas, host, start, end)

    monkeypatch.setattr(Canvas, "overlapping", counted)
    refused, most = 0, 0
    there = [x.request for x in made.leases() if x.state in (State.ACTIVE, State.SCHEDULED)]
    for request in there[:40]:
        before, looks[0] = (made.leases(), made.site_record()), 0
        decisions = made.handle(10, [changed(request, 10)]).decisions
        most = max(most, looks[0])
        if any(isinstance(decision, ChangeRefused) for decision in decisions):
            refused += 1
            assert (made.leases(), made.site_record()) == before
    assert refused >= 10
    assert EFFORT // 2 < most <= MOST_LOOKS


def test_a_booking_for_which_nobody_moves_leaves_what_is_to_come_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else booking ahead takes the square of the bookings."""
    renewed, renew = [0], Future.renew

    def counted(future: Future, *what: Any) -> None:
        renewed[0] += 1
        renew(future, *what)

    monkeypatch.setattr(Future, "renew", counted)
    made = on_hosts(HOSTS, "no-preemption", Settings())
    booked = [LeaseSubmitted(lease(i, Kind.AR, 100 * i, duration=150)) for i in range(1, 31)]
    made.handle(0, booked)
    assert len(made.leases()) == len(booked)
    assert renewed[0] == 0
