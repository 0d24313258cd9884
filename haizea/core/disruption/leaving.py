"""Ways for leases to leave hosts by some moment, found out without changing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from haizea.core.model.hostrules import HostRules
from haizea.core.model.hosts import host_set
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.members import BEST_EFFORT, FIRM
from haizea.core.model.resources import Capacity
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease
from haizea.core.placement.preemption import Clearing, Without, clear_all, clearing
from haizea.core.placement.remapping import Move
from haizea.core.requests.promises import Promises
from haizea.core.schedule.schedule import Schedule


class Way(NamedTuple):
    """Leases that leave and how, those that get other hosts, and those that cannot leave."""

    clearings: list[Clearing]
    moves: list[Move]
    stuck: list[Lease]


def ways_out(
    schedule: Schedule,
    promises: Promises,
    sizes: Sequence[tuple[int, Capacity]],
    start: int,
    end: int,
    *,
    disturb: bool,
) -> Way:
    """Find how leases leave so much of each host throughout ``[start, end)``.

    What waits is planned anew, what is promised and has not begun gets other hosts, together,
    and what runs is suspended or starts over, where it may be ``disturb``-ed; the rest is stuck.
    """
    on_them = _leases_on(schedule, [host for host, _ in sizes], start, end)
    waiting = [lease for lease in on_them if not lease.started and _only_waits(lease)]
    running = [lease for lease in on_them if lease.started]
    promised = [lease for lease in on_them if not lease.started and not _only_waits(lease)]
    able = [lease for lease in running if disturb and _may_be_preempted(lease.request)]
    clearings, left = _clearings(schedule, able, start)
    stuck = [lease for lease in running if lease not in left]
    moves: list[Move] | None = []
    if promised:
        moves = _moves(schedule, promises, sizes, (start, end), [*waiting, *running])
        if moves is None:
            stuck += promised
    clearings += [Clearing(lease, None) for lease in waiting]
    return Way(clearings, moves or [], sorted(stuck, key=lambda lease: lease.id))


def _leases_on(schedule: Schedule, hosts: Sequence[int], start: int, end: int) -> list[Lease]:
    ids = {
        hold.owner
        for host in hosts
        for hold in schedule.table.holds_on(host)
        if hold.start < end and hold.end > start
    }
    return [schedule.leases[i] for i in sorted(ids) if i in schedule.leases]


def _only_waits(lease: Lease) -> bool:
    """Tell whether a lease that has not started was promised nothing that it cannot have later."""
    return lease.request.kind is BEST_EFFORT


def _may_be_preempted(request: LeaseRequest) -> bool:
    return request.preemptible and request.kind not in FIRM


def _clearings(
    schedule: Schedule, able: list[Lease], start: int
) -> tuple[list[Clearing], list[Lease]]:
    """Return how those leave by ``start`` that can, all together, and which these are."""
    planner, now = schedule.planner, schedule.now
    able = [lease for lease in able if clearing(planner, lease, start, now) is not None]
    while able:
        clearings, stuck = clear_all(planner, able, start, now)
        if stuck is None:
            return clearings, able
        able = [lease for lease in able if lease is not stuck]
    return [], []


def _moves(
    schedule: Schedule,
    promises: Promises,
    sizes: Sequence[tuple[int, Capacity]],
    period: tuple[int, int],
    leaving: Sequence[Lease],
) -> list[Move] | None:
    """Other hosts for all that is promised there, once others have left."""
    start, end = period
    if not any(any(size) for _, size in sizes):
        return []
    trial = schedule.table.fork()
    trial.open(host_set(host for host, _ in sizes))
    without = Without(trial, start)
    for lease in leaving:
        without.take(lease)
    found = promises.elsewhere()(trial, _whole(sizes), start, end, 1)
    return None if found is None else found.moves


def _whole(sizes: Sequence[tuple[int, Capacity]]) -> Lease:
    """A lease for whole hosts, and just these."""
    wanted = [(host, size) for host, size in sizes if any(size)]
    request = LeaseRequest(
        id=0,
        submitted=0,
        kind=Kind.BEST_EFFORT,
        nodes=tuple(NodeSet(1, size) for _, size in wanted),
        duration=None,
    )
    rules = HostRules(allowed=tuple(1 << host for host, _ in wanted))
    return Lease(request, Demand(request, rules))
