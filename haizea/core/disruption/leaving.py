"""Ways for leases to leave hosts by some moment, found out without changing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hostrules import HostRules
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.members import BEST_EFFORT, FIRM
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.placement.interrupting import going_on_anew, sketch_rest
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease
from haizea.core.placement.preemption import (
    Clearing,
    Preemption,
    Rest,
    Without,
    channel_with,
    clear_all,
    clearing,
)
from haizea.core.placement.remapping import Move, Remapped, sketch_moves
from haizea.core.requests.promises import Promises
from haizea.core.requests.rooms import Rooms
from haizea.core.schedule.schedule import Schedule


class Victim(NamedTuple):
    """A lease on another host that makes room there, and for whom."""

    clearing: Clearing
    asked: Lease


class Way(NamedTuple):
    """Leases that leave and how, those that get other hosts, and those that cannot leave.

    ``rests`` are suspended leases with deadlines, or to be, that go on at another time.
    """

    clearings: list[Clearing]
    moves: list[Move]
    victims: list[Victim]
    stuck: list[Lease]
    rests: list[Rest]


class Away(NamedTuple):
    """Other hosts for promised leases, who makes room there, and who finds none."""

    moves: list[Move]
    victims: list[Victim]
    stuck: list[Lease]


def ways_out(
    schedule: Schedule,
    promises: Promises,
    rooms: Rooms,
    sizes: Sequence[tuple[int, Capacity]],
    start: int,
    end: int,
    *,
    disturb: bool,
) -> Way:
    """Find how leases leave so much of each host throughout ``[start, end)``.

    What waits is planned anew, what is promised and has not begun gets other hosts, together,
    and what runs is suspended or starts over, where it may be ``disturb``-ed; the rest is stuck.
    Where moving plans is not enough, what is promised may preempt on other hosts as a new
    reservation does, but nothing that runs unless it may be ``disturb``-ed.
    """
    on_them = _leases_on(schedule, [host for host, _ in sizes], start, end)
    mine = host_set(host for host, _ in sizes)
    going = [lease for lease in on_them if _only_goes_on(lease, mine, (start, end))]
    on_them = [lease for lease in on_them if lease not in going]
    waiting = [lease for lease in on_them if not lease.started and _only_waits(lease)]
    running = [lease for lease in on_them if lease.started]
    promised = [lease for lease in on_them if not lease.started and not _only_waits(lease)]
    able = [lease for lease in running if disturb and _may_be_preempted(lease.request)]
    clearings, left = _clearings(schedule, able, start)
    stuck = [lease for lease in running if lease not in left]
    away = Away([], [], [])
    if promised:
        leaving = [*waiting, *left]
        moves = _moves(schedule, promises, sizes, (start, end), leaving, stuck)
        if moves is not None:
            away = Away(moves, [], [])
        else:
            apart = _Apart(schedule, [host for host, _ in sizes], start, disturb=disturb)
            apart.leave(leaving, clearings)
            away = apart.place(promises, rooms, promised)
    stuck += away.stuck
    later = _Later(schedule, sizes, (start, end), going)
    later.leave([*waiting, *left], clearings, stuck, away.moves)
    rests, lost = later.rests()
    clearings += [Clearing(lease, None) for lease in waiting]
    stuck = sorted([*stuck, *lost], key=lambda lease: lease.id)
    return Way(clearings, away.moves, away.victims, stuck, rests)


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
    staying: Sequence[Lease],
) -> list[Move] | None:
    """Other hosts for all that is promised there, once others have left.

    Who stays is looked past on those hosts in that time alone: before and after it, and on its
    other hosts, nobody else gets its room. So is what is ended there, for as long as that has not
    come.
    """
    start, end = period
    if not any(any(size) for _, size in sizes):
        return []
    trial = schedule.table.fork()
    mine = host_set(host for host, _ in sizes)
    trial.open(mine)
    without = Without(trial, start)
    for lease in leaving:
        without.take(lease)
    for lease in staying:
        _look_past(trial, lease.hold, mine, period)
    found = promises.elsewhere()(trial, _whole(sizes), start, end, 1)
    if found is None or any(_sent_there(schedule, move, mine, period) for move in found.moves):
        return None
    return found.moves


def _sent_there(schedule: Schedule, move: Move, hosts: HostSet, period: tuple[int, int]) -> bool:
    """Tell whether images that follow a move would come to some of these hosts in that time."""
    start, end = period
    if schedule.preparation is None or not host_set(move.hosts) & hosts:
        return False
    coming = schedule.preparation.carrying(move.lease.id)
    return any(transfer.start < end and transfer.end > start for transfer in coming)


def _look_past(trial: SlotTable, hold: Hold, hosts: HostSet, period: tuple[int, int]) -> None:
    """Have nothing held of these hosts in that time, on a copy of the slot table."""
    (start, end), use = period, hold.use
    elsewhere = tuple([part for part in use if not hosts >> part[0] & 1])
    trial.withdraw(hold)
    for since, until, held in ((0, start, use), (start, end, elsewhere), (end, FOREVER, use)):
        first, last = max(since, hold.start), min(until, hold.end)
        if first < last:
            trial.reserve(first, last, held, -1)


def _only_goes_on(lease: Lease, hosts: HostSet, period: tuple[int, int]) -> bool:
    """Tell whether a lease is not on these hosts in that time but to go on in time."""
    rest, (start, end) = lease.rest, period
    if rest is None or rest.hold is None:
        return False
    now_there = lease.hold.hosts & hosts and lease.hold.start < end and lease.hold.end > start
    return not (lease.started and now_there)


class _Later:
    """A schedule in which some hosts are out of use, and leases go on at other times for that."""

    def __init__(
        self,
        schedule: Schedule,
        sizes: Sequence[tuple[int, Capacity]],
        period: tuple[int, int],
        going: Sequence[Lease],
    ) -> None:
        self._schedule = schedule
        self._sizes = sizes
        self._period = period
        self._going = sorted(going, key=lambda lease: (lease.last_start, lease.id))
        self._trial = schedule.table.fork()
        self._files = schedule.planner.channel.fork()

    def leave(
        self,
        leaving: Sequence[Lease],
        clearings: Sequence[Clearing],
        staying: Sequence[Lease],
        moves: Sequence[Move],
    ) -> None:
        """These leave the hosts, or stay on them, or get others."""
        if not self._going:
            return
        trial, hosts = self._trial, host_set(host for host, _ in self._sizes)
        without = Without(trial, self._period[0])
        for lease in leaving:
            without.take(lease)
        for lease in staying:
            _look_past(trial, lease.hold, hosts, self._period)
        sketch_moves(trial, moves)
        self._files = channel_with(self._schedule.planner, self._files, clearings)

    def rests(self) -> tuple[list[Rest], list[Lease]]:
        """Plans by which those that go on do so in time; and those that have none."""
        rests: list[Rest] = []
        lost: list[Lease] = []
        trial, files, now = self._trial, self._files, self._schedule.now
        planner = self._schedule.planner.on(trial, files)
        for lease in self._going:
            rest = lease.rest
            assert rest is not None, "it goes on"
            assert rest.hold is not None, "it is held"
            trial.withdraw(rest.hold)
            for interval in rest.exclusive:
                files.release(*interval)
        if self._going:
            trial.reserve(max(self._period[0], now), self._period[1], tuple(self._sizes), -1)
        for lease in self._going:
            found = going_on_anew(planner, lease, now)
            if found is None:
                lost.append(lease)
                continue
            rests.append(Rest(lease, found))
            sketch_rest(trial, files, lease, found)
        return rests, lost


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


class _Apart:
    """A schedule as it would be without some hosts, to place promised leases in one by one."""

    def __init__(
        self, schedule: Schedule, hosts: Sequence[int], start: int, *, disturb: bool
    ) -> None:
        self._schedule = schedule
        self._start = start
        self._disturb = disturb
        self._trial = schedule.table.fork()
        self._trial.close(host_set(hosts))
        self._channel = schedule.planner.channel
        #: Leases that make room already, by id.
        self._gone: set[int] = set()

    def leave(self, leaving: Sequence[Lease], clearings: Sequence[Clearing]) -> None:
        """These leave the hosts."""
        without = Without(self._trial, self._start)
        for lease in leaving:
            without.take(lease)
        self._gone.update(lease.id for lease in leaving)
        self._channel = channel_with(self._schedule.planner, self._channel, clearings)

    def place(self, promises: Promises, rooms: Rooms, promised: Sequence[Lease]) -> Away:
        """Give each its own time on other hosts, the first to start first."""
        away = Away([], [], [])
        for lease in sorted(promised, key=lambda lease: (lease.hold.start, lease.id)):
            self._trial.withdraw(lease.hold)
            found = self._place(promises, rooms, lease)
            if found is None:
                self._trial.restore(lease.hold)
                away.stuck.append(lease)
                continue
            away.moves.append(Move(lease, found.hosts, lease.hold.start))
            away.victims.extend(Victim(leaves, lease) for leaves in found.clearings)
        return away

    def _place(self, promises: Promises, rooms: Rooms, lease: Lease) -> Preemption | None:
        schedule, hold = self._schedule, lease.hold
        if promises.movable(lease.id) is None or schedule.needs_images(lease.request):
            return None
        planner = schedule.planner.on(self._trial, self._channel)
        found = rooms.hosts(
            lease, hold.start, hold.end, planner, _nowhere, self._gone, interrupts=False
        )
        if found is None or not (self._disturb or found.disturbs_nobody):
            return None
        without = Without(self._trial, hold.start)
        for victim in [leaves.lease for leaves in found.clearings]:
            without.take(victim)
            self._gone.add(victim.id)
        self._channel = channel_with(planner, self._channel, found.clearings)
        self._trial.reserve(hold.start, hold.end, lease.demand.use(found.hosts), lease.id)
        return found


def _nowhere(table: SlotTable, asked: Lease, start: int, end: int, parts: int) -> Remapped | None:
    """Move nobody else: that was tried before."""
    return None
