"""Leases with deadlines that run and make room for another, and how they go on in time.

One that may be preempted and suspended is off its hosts when another needs them, where what is
left of it can be planned after that, to be done by its deadline. Such a *rest* has not begun: it
may be planned at another time again, for others, as long as it is in time. All of that is found
out together, on copies of the schedule: who is asked for gets its hosts only where everybody else
goes on in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from haizea.core.capacity.channel import Channel
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.members import RUN
from haizea.core.model.policy import PreemptionPolicy
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.preemption import (
    Clearing,
    Preemption,
    Rest,
    Without,
    channel_with,
    clear_all,
    clearing,
    placed,
    smallest,
)
from haizea.core.placement.remapping import Elsewhere, Remapped, sketch_moves
from haizea.core.placement.shadow import Claim

#: Whoever cannot go on in time stays, and others are looked for, so many times at most.
_MOST_ROUNDS: Final = 6


def as_saved(
    lease: Lease, suspend_at: int | None = None, asked: LeaseRequest | None = None
) -> Lease:
    """Return a lease as it will be when it is suspended then, or as it is where it is saved.

    It is as ``asked`` then, where that is given.
    """
    plan, then = lease.plan, Lease(asked or lease.request, lease.demand)
    then.shutdown_seconds = lease.shutdown_seconds
    then.remaining, then.ran, then.bound = lease.remaining, lease.ran, lease.bound
    if suspend_at is not None:
        assert plan is not None, "it runs"
        under_way, ran = lease.under_way, 0
        if under_way is not None and under_way.purpose is RUN and lease.since is not None:
            ran = suspend_at - lease.since
        then.remaining, then.ran, then.bound = lease.remaining - ran, lease.ran + ran, plan.hosts
    if asked is not None and asked.duration is not None and lease.request.duration is not None:
        then.remaining += asked.duration - lease.request.duration
    then.saved = True
    return then


def going_on(planner: Planner, saved: Lease, first: int, claim: Claim | None = None) -> Plan | None:
    """The plan by which a saved lease goes on soonest, not before ``first``, and is done in time.

    ``None`` if there is none.
    """
    deadline = FOREVER if saved.request.deadline is None else saved.request.deadline
    plan = planner.earliest_whole(saved, first, deadline - saved.remaining + 1, claim)
    if plan is None:
        return None
    if plan.sources:
        plan = planner.or_stay(saved, plan, first)
    return plan if plan.end <= deadline else None


def going_on_anew(planner: Planner, lease: Lease, now: int) -> Plan | None:
    """Return another plan by which a lease goes on in time that is saved, or is to be suspended.

    After its suspension, or from ``now`` on. ``None`` if it cannot.
    """
    plan = lease.plan
    if plan is None or not lease.started:
        return going_on(planner, as_saved(lease), now)
    return going_on(planner, as_saved(lease, plan.phases[-1].start), plan.end)


def sketch_rest(trial: SlotTable, files: Channel, lease: Lease, plan: Plan) -> None:
    """Hold what a lease goes on by on copies of the slot table and of the files' channel."""
    trial.reserve(plan.start, plan.end, plan.use, lease.id)
    for interval in plan.exclusive:
        files.reserve(*interval)


def _may_be_interrupted(planner: Planner, lease: Lease, start: int, now: int) -> bool:
    """Tell whether a lease with a deadline can be off its hosts then, without being dropped."""
    under_way = lease.under_way
    if under_way is None or under_way.purpose is not RUN or not planner.suspendable(lease):
        return False
    way = clearing(planner, lease, start, now)
    return way is not None and way.suspend_at is not None


def interrupt(
    planner: Planner,
    policy: PreemptionPolicy,
    asked: Lease,
    period: tuple[int, int],
    leases: Sequence[Lease],
    in_time: Sequence[Lease],
    elsewhere: Elsewhere,
    now: int,
) -> Preemption | None:
    """Hosts for ``asked`` throughout a period, where leases with deadlines make room, too.

    Of these, who are suspended already, or to be, come ``in_time``, at another time; others may
    be preempted, as ``leases`` without a deadline may. ``None`` if that is in vain. It is ``now``,
    which the slot table may not have come to yet.
    """
    start, end = period
    able = [x for x in leases if clearing(planner, x, start, now) is not None]
    able += [
        x
        for x in in_time
        if not _must_leave(x, start) or _may_be_interrupted(planner, x, start, now)
    ]
    for _ in range(_MOST_ROUNDS):
        ordered = _ordered(policy, asked, able, start)
        if not any(x.request.deadline is not None for x in ordered):
            return None  # That was tried before.
        found = smallest(planner, asked, start, end, ordered, elsewhere)
        if found is None:
            return None
        room, victims = found
        leaving = [x for x in victims if x.request.deadline is None or _must_leave(x, start)]
        clearings, stuck = clear_all(planner, leaving, start, now)
        if stuck is None:
            stuck = next((c.lease for c in clearings if _loses_its_time(c)), None)
        if stuck is None:
            later = _Later(planner, asked, period, room, clearings, now)
            rests, stuck = later.rests(victims)
            if stuck is None:
                return Preemption(room.hosts, clearings, room.moves, rests)
        able = [x for x in able if x is not stuck]
    return None


def _must_leave(lease: Lease, start: int) -> bool:
    """Tell whether a lease is on its hosts at that moment, as they are planned now."""
    return lease.started and lease.hold.end > start


def _loses_its_time(way: Clearing) -> bool:
    return way.suspend_at is None and way.lease.request.deadline is not None


def _ordered(
    policy: PreemptionPolicy, asked: Lease, able: Sequence[Lease], start: int
) -> list[Lease]:
    """Leases that may make room: first who loses nothing by it, last who runs with a deadline."""
    rests = [x for x in able if x.request.deadline is not None and not _must_leave(x, start)]
    others = [x for x in able if x.request.deadline is None or _must_leave(x, start)]
    by_id = {lease.id: lease for lease in others}
    views = [placed(lease) for lease in others]
    victims = [by_id[view.request.id] for view in policy.victims(asked.request, views)]
    victims.sort(key=lambda lease: (lease.started, lease.request.deadline is not None))
    return [*rests, *victims]


class _Later:
    """A sketch on which the lease that is asked for has its hosts, and others go on after it."""

    def __init__(
        self,
        planner: Planner,
        asked: Lease,
        period: tuple[int, int],
        room: Remapped,
        clearings: Sequence[Clearing],
        now: int,
    ) -> None:
        self._planner = planner
        self._now = now
        self._trial: SlotTable = planner.table.fork()
        self._files: Channel = channel_with(planner, planner.channel, clearings)
        self._asked = asked
        self._period = period
        self._room = room
        self._suspended = {c.lease.id: c.suspend_at for c in clearings if c.suspend_at is not None}

    def rests(self, victims: Sequence[Lease]) -> tuple[list[Rest], Lease | None]:
        """Plans by which those with deadlines go on; or the first that cannot."""
        self._sketch(victims)
        rests: list[Rest] = []
        with_deadline = [x for x in victims if x.request.deadline is not None]
        for lease in sorted(with_deadline, key=lambda x: (x.last_start, x.id)):
            plan = self._rest(lease)
            if plan is None:
                return [], lease
            rests.append(Rest(lease, plan))
            sketch_rest(self._trial, self._files, lease, plan)
        return rests, None

    def _sketch(self, victims: Sequence[Lease]) -> None:
        trial, (start, end) = self._trial, self._period
        without = Without(trial, start)
        for lease in victims:
            without.take(lease)
            rest = lease.rest
            for interval in () if rest is None else rest.exclusive:
                self._files.release(*interval)
        sketch_moves(trial, self._room.moves)
        trial.reserve(start, end, self._asked.demand.use(self._room.hosts), self._asked.id)

    def _rest(self, lease: Lease) -> Plan | None:
        on_trial, plan = self._planner.on(self._trial, self._files), lease.plan
        assert plan is not None, "it holds hosts"
        suspend_at = self._suspended.get(lease.id)
        if suspend_at is None:
            return going_on_anew(on_trial, lease, self._now)
        first = suspend_at + self._planner.durations.suspend_seconds(lease, plan.hosts)
        return going_on(on_trial, as_saved(lease, suspend_at), first)
