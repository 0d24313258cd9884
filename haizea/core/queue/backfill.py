"""The queue: which waiting leases start, and which may overtake.

Waiting leases are looked at in the order of the queue. With ``off`` the first that cannot
start stops all others. With ``aggressive`` it gets a claim on its earliest start, and
others may start beside it (:class:`Claiming`). With ``intermediate`` and
``conservative``, and wherever images must be sent ahead, several hold reservations:
numbers of hosts where that is enough (:mod:`haizea.core.queue.by_count`), else particular hosts
(:mod:`haizea.core.queue.by_host`).

A look at the whole queue is needed only after something came free. Until then a lease
that could not start cannot start now either, so only new ones are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.placement.shadow import Claim
from haizea.core.queue.by_count import Counting
from haizea.core.queue.by_host import Reserving
from haizea.core.queue.claim_search import ClaimSearch
from haizea.core.queue.fit_cache import Glance
from haizea.core.queue.sending import Sending
from haizea.core.schedule.due import begin
from haizea.core.schedule.schedule import Schedule


class Queue:
    """Makes the plans of waiting leases. ``reservations``: how many may hold one, ``None`` all."""

    def __init__(self, schedule: Schedule, reservations: int | None) -> None:
        self._schedule = schedule
        self._claiming: Claiming | None = None
        preparation = schedule.preparation
        sent = preparation is None or preparation.settings.sends_ahead
        if sent and reservations in (0, 1):
            self._claiming = Claiming(schedule, reservations == 1)
        self._counting = Counting(schedule, reservations)
        self._reserving = Reserving(schedule, reservations)
        self._counts = False

    def look(self) -> None:
        """Start what can start now, and renew what waiting leases have reserved."""
        schedule = self._schedule
        full, arrived, given_back = schedule.instant.take_occasion()
        if not full and not arrived:
            return
        if self._claiming is not None:
            self._claiming.look(full, arrived)
            return
        counts = self._counting.applies()
        if counts and not self._counts:
            self._counting.take_over()
            self._reserving.rest()
            full, given_back = True, []
        elif self._counts and not counts:
            self.pin()
            full = True
        if counts:
            self._counting.look(None if full else arrived, given_back)
        else:
            self._reserving.look(None if full else arrived)
        self._counts = counts

    def pin(self) -> None:
        """Put reservations that are mere numbers on hosts, before others are given hosts."""
        if self._counts:
            self._reserving.take_over(self._counting.hand_over())
            self._counts = False

    @property
    def counts(self) -> bool:
        """True while reservations are mere numbers of hosts at present."""
        return self._counts

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Look at the schedule as :meth:`pin` would leave it; it is as before when that ends."""
        with self._reserving.supposing(self._counting.starts if self._counts else {}):
            yield

    def check(self) -> None:
        """Assert every invariant."""
        self._counting.check()


class Claiming:
    """At most one claim, the first waiting lease's: hosts are chosen only when a lease starts."""

    def __init__(self, schedule: Schedule, backfills: bool) -> None:
        self._schedule = schedule
        self._planner: Planner = schedule.planner
        self._backfills = backfills
        self._same_hosts = getattr(schedule.planner.mapper, "chooses_alike", False)
        preparation = schedule.preparation
        self._sending = None if preparation is None else Sending(schedule, preparation)
        self._search = ClaimSearch(schedule.planner)

    def look(self, full: bool, arrived: list[Lease]) -> None:
        """Look at the whole queue, or at new leases alone where that is enough."""
        if full or not self._only_new(arrived):
            self._start_or_claim()
        if self._sending is not None:
            if self._sending.share():
                # A claim that waited for an image alone does not come due by itself.
                self._start_or_claim()
            self._sending.look()

    def _only_new(self, arrived: list[Lease]) -> bool:
        """Look at new leases alone, if that is enough; whether it was."""
        schedule, claim = self._schedule, self._schedule.claim
        if claim is None:
            return False
        if len(arrived) > 1:
            arrived = sorted(arrived, key=lambda lease: lease.key)
        if arrived and arrived[0].key < schedule.leases[claim.lease_id].key:
            return False
        for lease in arrived:
            self._start(lease, claim)
        return True

    def _start_or_claim(self) -> None:
        """Go through the queue: start what fits, and claim a later start for the first."""
        schedule = self._schedule
        if schedule.claim is None and not len(schedule.waiting):
            self._search.forget()
            return
        old = schedule.drop_claim()
        glance = Glance(schedule.table)
        for lease in schedule.waiting:
            may_fit = not self._search.is_later(lease, schedule.now) and (
                lease.bound is not None or glance.may_fit(lease.demand.size, lease.demand.count)
            )
            if may_fit and self._start(lease, None):
                glance.forget()
                continue
            if not self._backfills:
                if schedule.empty_site.fits(lease.demand):
                    break
                continue  # The site became smaller: nobody is to wait for that.
            start = schedule.now if self._sending is None else self._sending.arrival(lease)
            claim = self._search.claim(lease, start)
            if claim is not None:
                schedule.make_claim(lease, claim)
                self._backfill(lease, claim)
                break
            schedule.book.expect(lease, None, because(Code.WAITS_FOR_ENDLESS))
        claim = schedule.claim
        if claim is None:
            self._search.forget()
        if old is not None and (claim is None or claim.lease_id != old.lease_id):
            loser = schedule.leases.get(old.lease_id)
            if loser is not None and loser.plan is None:
                schedule.book.lose_claim(loser, because(Code.ANOTHER_COMES_FIRST))

    def _backfill(self, holder: Lease, claim: Claim) -> None:
        """Start leases behind the one that holds the claim, where they leave it its room."""
        schedule = self._schedule
        glance = Glance(schedule.table, claim)
        length = claim.start - schedule.now
        # By size, the fewest nodes that would have delayed the claim.
        refused: dict[Capacity, int] = {}

        def may_return(lease: Lease) -> bool:
            """Tell whether a lease that can go nowhere else has room where it is bound."""
            size, bound = lease.demand.size, lease.bound
            if size is None or bound is None or self._planner.starts.movable(lease):
                return True
            return not lease.demand.spread(bound).hosts & ~glance.hosts(size)

        for lease in schedule.waiting.behind(
            holder.key, glance.free, glance.spare, length, may_return
        ):
            size, count = lease.demand.size, lease.demand.count
            alike = size is not None and self._is_alike(lease, length)
            if alike and size is not None and count >= refused.get(size, FOREVER):
                continue
            if self._start(lease, claim):
                glance.forget()
                refused.clear()
            elif alike and size is not None:
                refused[size] = count

    def _is_alike(self, lease: Lease, length: int) -> bool:
        """Tell whether a refusal because of the claim holds for all such leases as wide or wider.

        They would get the same hosts and more, and have them when the claim is due; how long
        they stay then is the same to it, since what runs beside them only ends.
        """
        return (
            self._same_hosts
            and lease.remaining > length
            and not lease.flexible
            and lease.bound is None
            and lease.demand.allowed == EVERYWHERE
            and not self._schedule.table.has_future
        )

    def _start(self, lease: Lease, claim: Claim | None) -> bool:
        schedule, now, planner = self._schedule, self._schedule.now, self._planner
        if self._sending is not None:
            missing = self._sending.missing(lease)
            if missing == EVERYWHERE:
                return False
            planner = planner.keeping_off(missing)
        plan = planner.at(lease, now, claim)
        if plan is None:
            return False
        if plan.sources and self._planner.or_stay(lease, plan, now).start > now:
            return False
        begin(schedule, lease, plan)
        return True
