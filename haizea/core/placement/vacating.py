"""Preemptible leases that make room for those who get other hosts because of another lease.

Who is preempted for a lease is off its hosts when that begins. Others that go elsewhere for it
may begin before, or be there when it is over. So where all else was in vain, everybody is put on
hosts as if all preemptible leases were gone as soon as they can be. Each of these then stays all
along, or until somebody needs its room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.members import RUN
from haizea.core.model.policy import PreemptionPolicy
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.placement.preemption import (
    Preemption,
    clear_each,
    clearing,
    fixed_until,
    placed,
)
from haizea.core.placement.remapping import Elsewhere, Remapped, sketch_moves
from haizea.core.placement.sketch import Retimed

#: It takes one of so many parts of the effort: what is left is for fewer who go.
_PARTS = 2
#: The owner of holds that are mere assumptions.
_NOBODY = -1
#: Room on a table from some moment on.
Sometime = Callable[[SlotTable], Retimed | None]


def vacate(
    planner: Planner,
    policy: PreemptionPolicy,
    asked: Lease,
    start: int,
    end: int,
    leases: Sequence[Lease],
    elsewhere: Elsewhere,
    now: int,
) -> Preemption | None:
    """Hosts for ``asked`` throughout ``[start, end)``, and who must go by when; else ``None``.

    ``leases`` are all preemptible leases that hold hosts when somebody may move for it. None of
    them goes that may stay where the others are found to be.
    """
    if not leases:
        return None
    left = _Left(planner, policy, asked, start, leases, now)
    room = elsewhere(left.trial, asked, start, end, _PARTS)
    return None if room is None else left.preemption(room, start, end)


def vacate_in_window(
    planner: Planner,
    policy: PreemptionPolicy,
    asked: Lease,
    last: int,
    leases: Sequence[Lease],
    sometime: Sometime,
    now: int,
) -> tuple[int, Preemption] | None:
    """The same from some moment on, ``last`` at the latest, and which one that is."""
    if not leases:
        return None
    left = _Left(planner, policy, asked, last, leases, now)
    found = sometime(left.trial)
    if found is None:
        return None
    start, room = found
    end = min(start + asked.remaining, FOREVER)
    way = left.preemption(room, start, end)
    return None if way is None else (start, way)


def _soonest_off(planner: Planner, lease: Lease, start: int, now: int) -> int | None:
    """Return when a lease can be off its hosts, saved if possible; ``None`` if it ends there."""
    if not lease.started:
        return now
    free_from, plan = fixed_until(lease), lease.plan
    if free_from is None or plan is None:
        return None
    moment, run = max(now, free_from), plan.phase(RUN)
    if run is not None and planner.suspendable(lease):
        durations = planner.durations
        least = durations.threshold_seconds(lease, plan.hosts) - lease.ran
        moment = max(moment, run.start + least) + durations.suspend_seconds(lease, plan.hosts)
    elif planner.settings.run_on:
        moment += planner.durations.leaving_seconds(lease, plan.hosts)
    return min(moment, max(now, start))


class _Left:
    """A table that preemptible leases have left, some of them a little later than now."""

    def __init__(
        self,
        planner: Planner,
        policy: PreemptionPolicy,
        asked: Lease,
        start: int,
        leases: Sequence[Lease],
        now: int,
    ) -> None:
        self._planner = planner
        self._asked = asked
        self._now = now
        self.trial = planner.table.fork()
        self._until: dict[int, Hold] = {}
        soonest: dict[int, int] = {}
        for lease in leases:
            moment = _soonest_off(planner, lease, start, now)
            if moment is not None and clearing(planner, lease, moment, now) is not None:
                soonest[lease.id] = moment
        by_id = {lease.id: lease for lease in leases if lease.id in soonest}
        candidates = [placed(lease) for lease in by_id.values()]
        self._gone = [by_id[p.request.id] for p in policy.victims(asked.request, candidates)]
        for lease in self._gone:
            self._take(lease, soonest[lease.id])

    def _take(self, lease: Lease, until: int) -> None:
        """Let the lease be gone, once it has begun from then on."""
        self.trial.withdraw(lease.hold)
        self._stay(lease, until)

    def _stay(self, lease: Lease, until: int) -> None:
        hold = lease.hold
        if lease.started and until > self._now:
            end = min(until, hold.end)
            self._until[lease.id] = self.trial.reserve(hold.start, end, hold.use, _NOBODY)

    def preemption(self, room: Remapped, start: int, end: int) -> Preemption | None:
        """Let all stay that can, beside who moves; ``None`` if somebody else cannot go in time."""
        deadlines = self._give_back(room, start, end)
        clearings, stuck = clear_each(self._planner, deadlines, self._now)
        return None if stuck is not None else Preemption(room.hosts, clearings, room.moves)

    def _give_back(self, room: Remapped, start: int, end: int) -> list[tuple[Lease, int]]:
        """Put the others on their hosts; return who cannot stay beside them, and until when.

        The first of those that are ``gone`` stay the least.
        """
        trial = self.trial
        sketch_moves(trial, room.moves)
        trial.reserve(start, end, self._asked.demand.use(room.hosts), _NOBODY)
        # By the start of the AR all are gone that are to go, as with any preemption.
        begins = sorted({start, *[m.start for m in room.moves if m.start < start]}, reverse=True)
        deadlines: list[tuple[Lease, int]] = []
        for lease in reversed(self._gone):
            hold = lease.hold
            since, until = max(hold.start, trial.now), self._now
            if (stays := self._until.pop(lease.id, None)) is not None:
                until = stays.end
                trial.withdraw(stays)
            if trial.fits_on(hold.use, since, hold.end):
                trial.restore(hold)
                continue
            later = [moment for moment in begins if until < moment < hold.end]
            fits = [moment for moment in later if trial.fits_on(hold.use, since, moment)]
            until = max([until, *fits[:1]])
            self._stay(lease, until)
            deadlines.append((lease, until))
        return deadlines
