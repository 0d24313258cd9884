"""Moving what has not begun when images are under way, hosts fail, are drained or are fixed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from test_core_remapping import HOST, ar, rejected, requests, scheduler

from bench.judge import Node, witness
from bench.promises import situation
from haizea.core.model.events import (
    Decision,
    HostDrained,
    HostFailed,
    HostsPlanned,
    HostUsed,
    Input,
    LeaseSubmitted,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import DiskImage, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.settings import ImageSettings, Settings, Transfer

HALF = (200, 2048)
IMAGE = DiskImage("disk", 100)


def failed(decisions: list[Decision]) -> list[int]:
    return [d.lease_id for d in decisions if isinstance(d, StateChanged) and d.new is State.FAILED]


def moved(decisions: list[Decision]) -> dict[int, tuple[int, ...]]:
    return {d.lease_id: d.hosts for d in decisions if isinstance(d, HostsPlanned)}


@pytest.mark.parametrize("mechanism", list(Transfer))
def test_a_planned_transfer_moves_along(mechanism: Transfer) -> None:
    images = ImageSettings(mechanism=mechanism, force_transfer_seconds=10)
    made = scheduler(2, Settings(images=images))
    for lease_id in (1, 2):
        asked = replace(ar(lease_id, 100, 50, 1, HALF), image=IMAGE)
        made.handle(0, [LeaseSubmitted(asked)])
    third = replace(ar(3, 100, 50, 1, HOST), image=IMAGE)
    decisions = made.handle(0, [LeaseSubmitted(third)]).decisions
    assert not rejected(decisions, 3)
    where = moved(decisions)
    assert where == {1: (1,)}
    made.check()
    received: dict[int, tuple[int, ...]] = {}
    ran: dict[int, tuple[int, ...]] = {}
    while (due := made.next_wakeup()) is not None:
        for d in made.handle(due).decisions:
            if isinstance(d, OperationStarted):
                (received if d.purpose is Purpose.TRANSFER else ran)[d.lease_id] = d.hosts
        made.check()
    assert received == ran == {1: (1,), 2: (1,), 3: (0,)}


def test_what_is_under_way_stays() -> None:
    images = ImageSettings(force_transfer_seconds=60)
    made = scheduler(2, Settings(images=images))
    for lease_id in (1, 2):
        asked = replace(ar(lease_id, 130, 50, 1, HALF), image=IMAGE)
        made.handle(0, [LeaseSubmitted(asked)])
    while (due := made.next_wakeup()) is not None and due <= 80:
        made.handle(due)
    decisions = made.handle(80, [LeaseSubmitted(ar(3, 130, 20, 1, HOST))]).decisions
    assert rejected(decisions, 3)
    assert moved(decisions) == {}


def test_a_lease_with_fixed_hosts_keeps_them() -> None:
    made = scheduler(2)
    for lease_id in (1, 2):
        asked = replace(ar(lease_id, 100, 50, 1, HALF), fixed_hosts=True)
        made.handle(0, [LeaseSubmitted(asked)])
    assert rejected(made.handle(0, [LeaseSubmitted(ar(3, 100, 50, 1, HOST))]).decisions, 3)


def test_others_go_elsewhere_for_what_a_failed_host_was_to_run() -> None:
    made = scheduler(3)
    for lease_id, size in ((1, HOST), (2, HALF), (3, HALF)):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, size))])
    decisions = made.handle(50, [HostFailed(0)]).decisions
    assert failed(decisions) == []
    made.check()
    started = [d for d in made.handle(100).decisions if isinstance(d, OperationStarted)]
    hosts = {d.lease_id: d.hosts for d in started}
    assert hosts[2] == hosts[3] != hosts[1]
    assert (0,) not in hosts.values()


def test_others_go_elsewhere_for_what_a_drained_host_was_to_run() -> None:
    made = scheduler(3)
    for lease_id, size in ((1, HOST), (2, HALF), (3, HALF)):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, size))])
    made.handle(50, [HostDrained(0)])
    made.check()
    started = [d for d in made.handle(100).decisions if isinstance(d, OperationStarted)]
    assert (0,) not in {d.lease_id: d.hosts for d in started}.values()


def test_others_go_elsewhere_for_what_has_to_make_way() -> None:
    made = scheduler(3)
    for lease_id, size in ((1, HOST), (2, HALF), (3, HALF)):
        made.handle(0, [LeaseSubmitted(ar(lease_id, 100, 50, 1, size))])
    assert failed(made.handle(50, [HostUsed(0, (100, 0))]).decisions) == []
    made.check()


@pytest.mark.slow
@tries(150)
@given(data=st.data(), hosts=st.integers(2, 5), whole=st.booleans())
def test_a_lease_fails_with_its_host_only_where_the_judge_finds_no_room(
    data: st.DataObject, hosts: int, whole: bool
) -> None:
    made, now = scheduler(hosts), 0
    asked: list[LeaseRequest] = data.draw(requests([4] if whole else [1, 2, 4], 2))
    for request in asked:
        now = request.submitted
        while (due := made.next_wakeup()) is not None and due <= now:
            made.handle(due)
        made.handle(now, [LeaseSubmitted(request)])
    before = situation(made.leases(), now)
    running = [node for node in before if node.host == 0]
    event: Input = HostFailed(0)
    decisions = made.handle(now, [event]).decisions
    made.check()
    if running or not failed(decisions):
        return
    capacities = [HOST] * (hosts - 1)
    there = [Node(n.start, n.end, n.size, None if n.host is None else n.host - 1) for n in before]
    assert witness(capacities, there) is None
