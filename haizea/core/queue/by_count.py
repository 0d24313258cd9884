"""Reservations of waiting leases as mere numbers of hosts, where hosts are interchangeable.

A reservation that is pinned to hosts loses holes that its hosts do not share; numbers do
not. This holds as long as all hosts are equal and up, every lease takes its hosts whole
and may run on any of them, and no reservation on particular hosts lies ahead. When that
ends, :mod:`haizea.core.queue.by_host` takes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from haizea.core.capacity.availability import Profile
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease
from haizea.core.schedule.due import begin
from haizea.core.schedule.schedule import Schedule


class Counting:
    """Keeps the reservations of waiting leases; ``limit`` is how many hold one, ``None`` all."""

    def __init__(self, schedule: Schedule, limit: int | None) -> None:
        self._schedule = schedule
        self._limit = limit
        self._profile: Profile | None = None
        self._starts: dict[int, int] = {}
        #: Reservations may move earlier though nothing was given back since they were counted.
        self._anew = False

    # --- whether it is enough to count --------------------------------------------------

    def applies(self) -> bool:
        """Tell whether numbers of hosts say all there is to say at present."""
        schedule = self._schedule
        table = schedule.table
        if schedule.preparation is not None or table.shut or table.has_firm_future:
            return False
        return table.uniform_capacity is not None and not schedule.book.picky

    def take_over(self) -> None:
        """Turn reservations on hosts into numbers.

        A lease that was to be suspended again now runs for all that remains of it; those behind
        it that have no room then lose theirs.
        """
        schedule = self._schedule
        pinned = [(lease, lease.plan.start) for lease in schedule.waiting if lease.plan is not None]
        for lease, _ in pinned:
            schedule.holdings.unpin(lease)
        self._profile = profile = self._fresh()
        self._anew = True
        for lease, start in pinned:
            count, length = lease.demand.count, lease.remaining
            if profile.earliest(count, length, start) == start:
                profile.take(start, min(start + length, FOREVER), count)
                self._starts[lease.id] = start
                schedule.promise(lease, start)
            else:
                schedule.book.lose_claim(lease, because(Code.ANOTHER_RUNS_LONGER))

    @property
    def starts(self) -> Mapping[int, int]:
        """The moments at which waiting leases are to start, by id."""
        return self._starts

    def hand_over(self) -> dict[int, int]:
        """Stop; answers when each waiting lease was to start."""
        starts, self._starts, self._profile = self._starts, {}, None
        return starts

    # --- looking at the queue -----------------------------------------------------------

    def look(self, arrived: list[Lease] | None, given_back: list[tuple[int, int]]) -> None:
        """Start what is due, move reservations earlier, make those that are missing.

        Only ``arrived`` are looked at where they are given: nothing came free. What was
        ``given_back`` is not known yet: until when, and on how many hosts.
        """
        schedule, profile = self._schedule, self._profile
        assert profile is not None, "it has taken over"
        profile.advance(schedule.now)
        improve = self._anew or bool(given_back)
        self._anew = False
        for end, count in given_back:
            profile.take(schedule.now, end, -count)
        if any(lease_id not in schedule.leases for lease_id in self._starts):
            self._starts = {i: s for i, s in self._starts.items() if i in schedule.leases}
            profile = self._profile = self._fresh()
            improve = True
        candidates: Iterable[Lease]
        if arrived is not None:
            candidates = sorted(arrived, key=lambda lease: lease.key)
        elif self._limit is None:
            candidates = list(schedule.waiting)
        else:
            candidates = self._in_order(profile, self._limit)
        for lease in candidates:
            self._look_at(lease, profile, improve)

    def _in_order(self, profile: Profile, limit: int) -> Iterator[Lease]:
        """Yield in order the leases that wait, except those that can only go on waiting.

        Once as many as may have a reservation do, others are worth a look only if they can start
        now. What is answered may begin, or get a reservation, before the next one is asked for.
        """
        waiting, starts, leases = self._schedule.waiting, self._starts, self._schedule.leases
        lease = waiting.after(None)
        while lease is not None:
            key = lease.key
            yield lease
            lease = waiting.after(key)
            if lease is None or lease.id in starts or len(starts) < limit:
                continue
            held = [(leases[i].key, leases[i]) for i in starts if leases[i].key > key]
            lease = min(held)[1] if held else None
            # None of these is left without room by another one later than it: room only shrinks.
            for other in waiting.done_within(key, profile.lasts):
                if lease is not None and other.key > lease.key:
                    break
                if other is not lease:
                    yield other

    def _look_at(self, lease: Lease, profile: Profile, improve: bool) -> None:
        now, count, length = self._schedule.now, lease.demand.count, lease.remaining
        start = self._starts.get(lease.id)
        if start is None:
            start = self._first(profile, lease)
            if start is None:
                return
            profile.take(start, min(start + length, FOREVER), count)
            self._starts[lease.id] = start
            if start > now:
                self._schedule.promise(lease, start)
        elif improve and start > now:
            better = profile.earliest(count, length, now, start)
            if better is not None:
                profile.take(start, min(start + length, FOREVER), -count)
                profile.take(better, min(better + length, FOREVER), count)
                self._starts[lease.id] = start = better
                if start > now:
                    self._schedule.promise(lease, start)
        if start <= now:
            self._begin(lease)

    def _first(self, profile: Profile, lease: Lease) -> int | None:
        """Return when a lease without reservation gets one, or starts; ``None`` if it must wait."""
        now, count = self._schedule.now, lease.demand.count
        if self._limit is not None and len(self._starts) >= self._limit:
            if profile.free_at_start() < count:
                return None
            start = profile.earliest(count, lease.remaining, now)
            return start if start == now else None
        return profile.earliest(count, lease.remaining, now)

    def _begin(self, lease: Lease) -> None:
        schedule = self._schedule
        plan = schedule.planner.whole(lease, schedule.now, None, 0)
        assert plan is not None, f"lease {lease.id} was promised hosts"
        del self._starts[lease.id]
        begin(schedule, lease, plan)

    def _fresh(self) -> Profile:
        """The profile as running leases and the reservations of waiting ones make it."""
        schedule = self._schedule
        table = schedule.table
        ends = [(hold.end, len(hold.use)) for hold in table.holds_between(table.now, FOREVER)]
        profile = Profile(schedule.now, len(table.capacities), ends)
        for lease_id, start in self._starts.items():
            lease = schedule.leases[lease_id]
            end = min(start + lease.remaining, FOREVER)
            profile.take(start, end, lease.demand.count)
        return profile

    def check(self) -> None:
        """Assert that the profile is what it would be if made anew."""
        if self._profile is not None:
            self._profile.check(self._fresh())
