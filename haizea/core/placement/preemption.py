"""Victims of preemption: the smallest set of leases that makes room for another.

The policy says who may go, and who first. Leases are taken away in that order, on a copy
of the schedule, until there is room; then each is given back again unless there would be
too little. So giving back any one of the set would leave too little room. Leases that
have not begun go before those that run, for they lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from haizea.core.capacity.channel import Channel
from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.events import Purpose
from haizea.core.model.lifecycle import State
from haizea.core.model.policy import PlacedLease, PreemptionPolicy
from haizea.core.placement.mapper import Hosts
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.remapping import Elsewhere, Move, Remapped


class Clearing(NamedTuple):
    """One lease making room: suspended from ``suspend_at`` on, or dropped if ``None``.

    It is dropped at ``drop_at``, or now if that is ``None``.
    """

    lease: Lease
    suspend_at: int | None
    drop_at: int | None = None


class Rest(NamedTuple):
    """A lease with a deadline that is suspended, or will be, and the plan by which it goes on."""

    lease: Lease
    plan: Plan


class Preemption(NamedTuple):
    """Hosts for a lease, how each victim makes room for it, and who gets other hosts.

    ``rests`` say how victims with a deadline, and others that were suspended, go on in time.
    """

    hosts: Hosts
    clearings: list[Clearing]
    moves: list[Move]
    rests: Sequence[Rest] = ()

    @property
    def disturbs_nobody(self) -> bool:
        """True if nothing that runs, or was suspended to go on in time, is affected."""
        return not self.rests and not any(leaves.lease.started for leaves in self.clearings)


def fixed_until(lease: Lease) -> int | None:
    """Return when what is under way for a lease can be stopped; ``None`` if it ends as it is.

    A resumption or migration that has begun must finish first; a suspension or a shutdown
    is the way off the hosts already.
    """
    assert lease.plan is not None, "only leases that hold hosts are preempted"
    for phase in lease.plan.phases[lease.at :]:
        if phase.purpose is Purpose.RUN:
            return phase.start
    return None


def clearing(planner: Planner, lease: Lease, deadline: int, now: int) -> Clearing | None:
    """Return how ``lease`` can be off its hosts by ``deadline``; ``None`` if it cannot.

    Suspended as late as possible, if it may be, has run for the threshold by then, and
    there is time; else dropped, unless it is being resumed or moved just now. One that runs
    on until it is dropped has as long to leave as its VMs were learned to take.
    """
    plan, durations = lease.plan, planner.durations
    assert plan is not None, "only leases that hold hosts are preempted"
    if not lease.started:
        return Clearing(lease, None)
    free_from = fixed_until(lease)
    if free_from is None:
        return None
    run = plan.phase(Purpose.RUN)
    if run is not None and planner.suspendable(lease):
        least = durations.threshold_seconds(lease, plan.hosts) - lease.ran
        begin = max(now, free_from, run.start + least)
        end = min(deadline, plan.end)
        if plan.suspends and durations.rates:
            # It runs no longer than was planned, even if its host is faster than was known.
            end = min(end, run.end + durations.suspend_seconds(lease, plan.hosts))
        start = planner.suspend_start(lease, plan.hosts, end, begin)
        if start is not None and (start < run.end or (plan.suspends and start == run.end)):
            return Clearing(lease, start)
    if lease.state is not State.ACTIVE and not _is_being_started(lease):
        return None
    if not planner.settings.run_on:
        return Clearing(lease, None)
    drop_at = min(deadline, plan.end) - durations.leaving_seconds(lease, plan.hosts)
    return Clearing(lease, None, drop_at if drop_at > max(now, free_from) else None)


def _is_being_started(lease: Lease) -> bool:
    under_way = lease.under_way
    return under_way is not None and under_way.purpose is Purpose.PREPARE


def make_room(
    planner: Planner,
    policy: PreemptionPolicy,
    asked: Lease,
    start: int,
    end: int,
    leases: Iterable[Lease],
    elsewhere: Elsewhere,
    now: int,
) -> Preemption | None:
    """Hosts for ``asked`` throughout ``[start, end)``, and who must go; ``None`` if in vain.

    ``leases`` are all preemptible leases that hold hosts in that time. Before one more of them
    goes, others that have not begun go ``elsewhere``. It is ``now``, which the slot table may not
    have come to yet.
    """
    able = [lease for lease in leases if clearing(planner, lease, start, now) is not None]
    while able:
        candidates = [placed(lease) for lease in able]
        by_id = {lease.id: lease for lease in able}
        ordered = [by_id[p.request.id] for p in policy.victims(asked.request, candidates)]
        ordered.sort(key=lambda lease: lease.started)
        found = smallest(planner, asked, start, end, ordered, elsewhere)
        if found is None:
            return None
        room, victims = found
        clearings, stuck = clear_all(planner, victims, start, now)
        if stuck is None:
            return Preemption(room.hosts, clearings, room.moves)
        able = [lease for lease in able if lease is not stuck]
    return None


def smallest(
    planner: Planner,
    asked: Lease,
    start: int,
    end: int,
    ordered: list[Lease],
    elsewhere: Elsewhere,
) -> tuple[Remapped, list[Lease]] | None:
    """Room for ``asked``, and a set of leases of which none can stay; the first go first."""
    trial = planner.table.fork()
    on_trial = planner.on(trial, planner.channel)

    def room_now(tries: int) -> Remapped | None:
        hosts = on_trial.free_hosts(asked, start, end, None, 0)
        if hosts is not None:
            return Remapped(hosts, [])
        return elsewhere(trial, asked, start, end, tries)

    without = Without(trial, start)
    taken: list[Lease] = []
    room = None
    for count, lease in enumerate(ordered):
        without.take(lease)
        taken.append(lease)
        # The effort is for all that are still to go, too; the most of it once all are gone.
        following = len(ordered) - count - 1
        room = room_now(2 * following + 1)
        if room is not None:
            break
    if room is None:
        return None
    tries = len(taken)
    for count, lease in enumerate(taken[:-1]):
        without.give_back(lease)
        enough = room_now(tries - count)
        if enough is None:
            without.take(lease)
        else:
            room = enough
            taken = [other for other in taken if other is not lease]
    return room, taken


class Without:
    """A table without leases that are to be off their hosts by ``deadline``.

    Until then those that have begun are there: what moves must not count on their hosts. Where
    they are to go on after being suspended, that is gone, too.
    """

    def __init__(self, trial: SlotTable, deadline: int) -> None:
        self._trial = trial
        self._deadline = deadline
        self._until: dict[int, Hold] = {}

    def take(self, lease: Lease) -> None:
        """Without this one, too."""
        hold = lease.hold
        self._trial.withdraw(hold)
        for rest in _rests(lease):
            self._trial.withdraw(rest)
        if lease.started and self._trial.now < self._deadline:
            end = min(hold.end, self._deadline)
            self._until[lease.id] = self._trial.reserve(hold.start, end, hold.use, -1)

    def give_back(self, lease: Lease) -> None:
        """With this one after all."""
        until = self._until.pop(lease.id, None)
        if until is not None:
            self._trial.withdraw(until)
        self._trial.restore(lease.hold)
        for rest in _rests(lease):
            self._trial.restore(rest)


def _rests(lease: Lease) -> Iterable[Hold]:
    """Return what is held for a lease that has begun, beside what it has now."""
    rest = lease.rest if lease.started else None
    return () if rest is None or rest.hold is None else (rest.hold,)


def clear_all(
    planner: Planner, victims: list[Lease], deadline: int, now: int
) -> tuple[list[Clearing], Lease | None]:
    """Return how all victims together are off by ``deadline``; or the one that cannot be."""
    return clear_each(planner, [(lease, deadline) for lease in victims], now)


def clear_each(
    planner: Planner, victims: Iterable[tuple[Lease, int]], now: int
) -> tuple[list[Clearing], Lease | None]:
    """Return how each victim is off by its deadline, all together; or the one that cannot be.

    Where suspensions share one file system they go one after another, so that one which
    could be suspended alone may have to be dropped.
    """
    trial = planner.channel.fork()
    on_trial = planner.on(planner.table, trial)
    clearings: list[Clearing] = []
    for lease, deadline in victims:
        for interval in _suspension_of(lease):
            trial.release(*interval)
        found = clearing(on_trial, lease, deadline, now)
        if found is None:
            return [], lease
        _take_files(planner, trial, found)
        clearings.append(found)
    return clearings, None


def channel_with(planner: Planner, channel: Channel, clearings: Iterable[Clearing]) -> Channel:
    """Return the shared file system as it is taken once these leases make room that way."""
    trial = channel.fork()
    for found in clearings:
        for interval in _suspension_of(found.lease):
            trial.release(*interval)
        _take_files(planner, trial, found)
    return trial


def _take_files(planner: Planner, trial: Channel, found: Clearing) -> None:
    plan = found.lease.plan
    assert plan is not None, "it holds hosts"
    if found.suspend_at is not None and planner.durations.shares_files:
        seconds = planner.durations.suspend_seconds(found.lease, plan.hosts)
        trial.reserve(found.suspend_at, found.suspend_at + seconds)


def _suspension_of(lease: Lease) -> list[tuple[int, int]]:
    """The intervals of the shared file system that its planned suspension takes."""
    plan = lease.plan
    assert plan is not None, "it holds hosts"
    suspension = plan.phase(Purpose.SUSPEND)
    if suspension is None:
        return []
    return [i for i in plan.exclusive if i == (suspension.start, suspension.end)]


def placed(lease: Lease) -> PlacedLease:
    """The lease as a preemption policy sees it."""
    assert lease.plan is not None, "it holds hosts"
    run = lease.plan.phase(Purpose.RUN)
    started = run.start if run is not None else lease.plan.start
    return PlacedLease(lease.request, lease.state, started, lease.hold.hosts)
