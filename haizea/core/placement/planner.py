"""Finding when and where a lease can run: exactly at a moment, or as soon as possible.

Nothing here changes the slot table for good: answers are plans, which the scheduler
carries out or drops. A plan at a moment is, in order of preference, the whole of what
remains of the lease; or, in a hole before a reservation that does not move, as much as
fits before the lease must have been suspended.
"""

from __future__ import annotations

from bisect import insort

from haizea.core.capacity.channel import Channel
from haizea.core.capacity.fit_index import Levels, level_count
from haizea.core.capacity.openings import Spans
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import EVERYWHERE, HostSet
from haizea.core.model.members import MIGRATE, PREPARE, RESUME, RUN, SHUTDOWN, SUSPEND
from haizea.core.model.policy import declares
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER
from haizea.core.model.settings import Settings
from haizea.core.placement.durations import Durations
from haizea.core.placement.mapper import Demand, Hosts, Mapper, Spread
from haizea.core.placement.plan import Lease, Phase, Plan
from haizea.core.placement.shadow import Claim
from haizea.core.placement.starts import Starts

#: A migration's or a resumption's length depends on the hosts, and the hosts that are
#: free depend on the length: so often it is tried again with the length found.
_TRIES = 4


class Planner:
    """Makes plans on one slot table, with operations that take as long as ``durations`` say.

    ``channel`` is the file system that suspensions share.
    """

    def __init__(
        self,
        settings: Settings,
        mapper: Mapper,
        table: SlotTable,
        channel: Channel,
        durations: Durations,
    ) -> None:
        self.settings = settings
        self.durations = durations
        self.mapper = mapper
        self.table = table
        self.channel = channel
        only_room = declares(mapper, "refuses_only_without_room")
        #: When leases may start at best.
        self.starts = Starts(settings, table, durations, needs_only_room=only_room)
        self.suspends = self.starts.suspends

    def on(self, table: SlotTable, channel: Channel) -> Planner:
        """The same planner on a fork."""
        return Planner(self.settings, self.mapper, table, channel, self.durations)

    def keeping_off(self, hosts: HostSet) -> Planner:
        """The same planner, which does not take these hosts; until something changes."""
        return self.on(self.table.keeping_off(hosts), self.channel) if hosts else self

    def suspendable(self, lease: Lease) -> bool:
        """Tell whether the lease may be suspended at all."""
        return self.starts.suspendable(lease)

    # --- plans ------------------------------------------------------------------------

    def at(
        self, lease: Lease, start: int, claim: Claim | None = None, prefer: HostSet = 0
    ) -> Plan | None:
        """A plan that starts exactly then and delays no ``claim``; ``None`` if there is none."""
        if lease.bound is not None and not self.starts.movable(lease):
            own = lease.demand.spread(lease.bound)
            if not self.table.fits_on(own.use, start, start + 1, own.shape):
                return None
        plan = self.whole(lease, start, claim, prefer)
        if plan is None and (self.table.has_future or claim) and self.suspendable(lease):
            plan = self._in_hole(lease, start, claim, prefer)
        return plan

    def earliest(
        self,
        lease: Lease,
        start: int,
        before: int = FOREVER,
        prefer: HostSet = 0,
        spans: Spans | None = None,
        ready: int | None = None,
    ) -> Plan | None:
        """The plan that starts soonest in ``[start, before)``.

        A lease that could move at once, but go on sooner where it is, stays. ``spans`` are
        for leases that :meth:`Starts.is_plain` alone: what does not overlap them is passed over.
        A plan that starts later than the lease is ``ready`` waits for hosts; by default it is
        at ``start``.
        """
        for moment in self.starts.possible(lease, start, before, spans):
            plan = self.at(lease, moment, prefer=prefer)
            if plan is not None:
                plan = self.or_stay(lease, plan, start) if plan.sources else plan
                plan.waits = plan.start > (start if ready is None else ready)
                return plan
        return None

    def on_room(self, lease: Lease, start: int, levels: Levels) -> Plan | None:
        """A plan for a lease that :meth:`Starts.is_plain` from then on, where it has this room."""
        hosts = self.mapper.choose(self.table, lease.request, lease.demand, levels, start)
        plan = None if hosts is None else self._full_plan(lease, hosts, start, start)
        if plan is not None:
            plan.waits = start > self.table.now
        return plan

    def earliest_whole(
        self, lease: Lease, start: int, before: int, claim: Claim | None, prefer: HostSet = 0
    ) -> Plan | None:
        """The plan for all of the lease that starts soonest in ``[start, before)``."""
        for moment in self.starts.possible(lease, start, before):
            plan = self.whole(lease, moment, claim, prefer)
            if plan is not None:
                return plan
        return None

    def promised(self, lease: Lease, start: int) -> Plan | None:
        """A plan for a lease that waits and was promised to start then: then, or soon after."""
        plan = self.at(lease, start) or self.earliest(lease, start)
        if plan is not None:
            plan.waits = True
        return plan

    def or_stay(self, lease: Lease, plan: Plan, start: int) -> Plan:
        """``plan``, which moves the lease, or one without moving by which it runs no later."""
        assert lease.bound is not None, "it moves from where it is"
        use = lease.demand.use(lease.bound)
        length = self.durations.resume_seconds(lease, lease.bound) + lease.remaining
        own = self.table.earliest_on(use, length, start, plan.runs_from)
        stay = None if own is None else self._whole_on_own(lease, lease.bound, own, None)
        return plan if stay is None or stay.runs_from > plan.runs_from else stay

    def claim(
        self, lease: Lease, start: int, before: int = FOREVER, spans: Spans | None = None
    ) -> Claim | None:
        """A claim on the soonest start there is; hosts are chosen only when it comes.

        ``before`` and ``spans`` limit it as :meth:`SlotTable.moments` does, and may be given
        where nothing but room for all of its nodes counts (:meth:`Starts.is_plain`).
        """
        demand = lease.demand
        if demand.size is not None and lease.bound is None and not self.starts.may_use_holes(lease):
            found = next(self.table.moments(demand, lease.remaining, start, before, spans), None)
            if found is None:
                return None
            moment, levels = found
            end = min(moment + lease.remaining, FOREVER)
            return Claim(lease.id, demand, moment, end, levels.copy(), None)
        plan = self.earliest(lease, start)
        return None if plan is None else self.claim_of(lease, plan)

    def claim_of(self, lease: Lease, plan: Plan) -> Claim:
        """A claim on what a plan would take."""
        demand = lease.demand
        if demand.size is not None and self.starts.movable(lease):
            room = self.table.room(demand.size, plan.start, plan.end, demand.allowed)
            levels = room.copy()
            return Claim(lease.id, demand, plan.start, plan.end, levels, None)
        return Claim(lease.id, demand, plan.start, plan.end, None, plan.use)

    # --- the whole of what remains ----------------------------------------------------

    def whole(self, lease: Lease, start: int, claim: Claim | None, prefer: HostSet) -> Plan | None:
        """A plan for all that remains of the lease, without a break, from exactly then on."""
        length = lease.remaining
        if lease.bound is not None:
            levels = self._room(lease, start, start + length)
            if levels is not None and level_count(levels, lease.demand.count) < lease.demand.count:
                return None
            plan = self._whole_on_own(lease, lease.bound, start, claim)
            if plan is not None or not self.starts.movable(lease):
                return plan
            prefer |= lease.demand.spread(lease.bound).hosts
        for _ in range(_TRIES):
            end = min(start + length, FOREVER)
            hosts = self.free_hosts(lease, start, end, claim, prefer)
            if hosts is None:
                return None
            if lease.bound is None:
                return self._full_plan(lease, hosts, start, start)
            hosts = lease.demand.keep(lease.bound, hosts)
            resume = self._resume_start(lease, hosts, start)
            needed = resume + self.durations.resume_seconds(lease, hosts) + lease.remaining - start
            needed = min(needed, FOREVER)
            if needed <= length:
                return self._full_plan(lease, hosts, start, resume)
            length = needed
        return None

    def _whole_on_own(
        self, lease: Lease, hosts: Hosts, start: int, claim: Claim | None
    ) -> Plan | None:
        resume = self._resume_start(lease, hosts, start)
        end = min(resume + self.durations.resume_seconds(lease, hosts) + lease.remaining, FOREVER)
        own = lease.demand.spread(hosts)
        if self.table.shut & own.hosts or not self.table.fits_on(own.use, start, end, own.shape):
            return None
        if claim is not None and not claim.allows(self.table, own.use, start, end):
            return None
        return self._full_plan(lease, hosts, start, resume)

    def free_hosts(
        self, lease: Lease, start: int, end: int, claim: Claim | None, prefer: HostSet
    ) -> Hosts | None:
        """Hosts for the nodes throughout ``[start, end)`` that leave ``claim`` its room."""
        demand, table = lease.demand, self.table
        if demand.size is None:
            hosts = self.mapper.pack(table, lease.request, demand, start, end, prefer)
            to_ask = claim
        else:
            levels = table.room(demand.size, start, end, demand.allowed)
            room = self._beside(demand, levels, start, end, claim)
            if room is None:
                return None
            hosts = self.mapper.choose(table, lease.request, demand, room[0], start, prefer)
            to_ask = room[1]
        if hosts is None or to_ask is None:
            return hosts
        return hosts if to_ask.allows(table, demand.use(hosts), start, end) else None

    def _beside(
        self, demand: Demand, levels: Levels, start: int, end: int, claim: Claim | None
    ) -> tuple[Levels, Claim | None] | None:
        """The part of this room that may be taken; ``None`` if too little for equal nodes.

        With the claim, if only particular hosts leave it its room, so that it must be asked.
        """
        count = demand.count
        if level_count(levels, count) < count:
            return None
        if claim is None or end <= claim.start or start >= claim.end:
            return levels, None
        spare = claim.spare(levels)
        if level_count(spare, count) >= count:
            return spare, None
        return (levels, claim) if claim.shares_hosts(levels) else None

    def _room(self, lease: Lease, start: int, end: int) -> Levels | None:
        """Room for equal nodes that may go anywhere, their own hosts included; else ``None``."""
        demand = lease.demand
        if demand.size is None or demand.allowed != EVERYWHERE or not self.starts.movable(lease):
            return None
        return self.table.room(demand.size, start, end)

    def _resume_start(self, lease: Lease, hosts: Hosts, start: int) -> int:
        """Return when resuming begins in a plan that starts at ``start``: migration comes first."""
        ready = start + self.durations.migration_seconds(lease, hosts)
        if not (lease.saved and self.durations.shares_files):
            return ready
        return self.channel.earliest(self.durations.resume_seconds(lease, hosts), ready)

    def _full_plan(self, lease: Lease, hosts: Hosts, start: int, resume: int) -> Plan:
        plan = self._begin(lease, hosts, start, resume)
        begin = resume + self.durations.resume_seconds(lease, hosts) if lease.saved else resume
        self.finish(lease, plan, begin)
        return plan

    def finish(self, lease: Lease, plan: Plan, begin: int) -> None:
        """Let the plan run what remains of the lease from ``begin`` on, and shut it down."""
        if lease.remaining >= FOREVER:
            plan.phases.append(Phase(RUN, begin, FOREVER))
            return
        end = begin + lease.remaining
        shutdown = self.durations.shutdown_seconds(lease)
        plan.phases.append(Phase(RUN, begin, end - shutdown))
        if shutdown:
            plan.phases.append(Phase(SHUTDOWN, end - shutdown, end))

    def prepare(self, lease: Lease, plan: Plan, begin: int, start: int) -> None:
        """Let the plan start the lease's VMs from ``begin`` on, so that they run from ``start``."""
        if begin < start:
            plan.phases.append(Phase(PREPARE, begin, start))
        self.finish(lease, plan, start)

    def _begin(self, lease: Lease, hosts: Hosts, start: int, resume: int) -> Plan:
        """A plan with the phases before running."""
        plan = Plan(hosts, lease.demand.use(hosts), [])
        if lease.saved:
            assert lease.bound is not None, "what is saved is somewhere"
            if hosts != lease.bound:
                plan.sources = lease.bound
                moved = resume
                if self.durations.shares_files:  # and resuming waits for their file system
                    moved = start + self.durations.migration_seconds(lease, hosts)
                plan.phases.append(Phase(MIGRATE, start, moved))
            end = resume + self.durations.resume_seconds(lease, hosts)
            plan.phases.append(Phase(RESUME, resume, end))
            if self.durations.shares_files:
                plan.exclusive.append((resume, end))
        return plan

    # --- as much as fits before a hole ends -------------------------------------------

    def _in_hole(
        self, lease: Lease, start: int, claim: Claim | None, prefer: HostSet
    ) -> Plan | None:
        """Run until a reservation that does not move, suspended in time; worth the threshold."""
        most = min(start + lease.remaining, FOREVER)
        soonest = start + self.starts.least_stay(lease)
        ends = self.table.firm_starts(soonest - 1, most)
        if claim is not None and soonest <= claim.start < most and claim.start not in ends:
            insort(ends, claim.start)
        low, high, step = 0, len(ends), 1
        best: tuple[Hosts | Levels, int] | None = None
        while low < high:
            # Most holes are too short, or end soon.
            middle = min(low + step - 1, (low + high) // 2)
            found = self._hole_hosts(lease, start, ends[middle], claim, prefer)
            if found is None:
                high = middle
            else:
                best, low, step = (found, ends[middle]), middle + 1, 2 * step
        if best is None:
            return None
        hosts, end = self._chosen(lease, start, best[0], prefer), best[1]
        if hosts is None:
            return None
        resume = self._resume_start(lease, hosts, start)
        begin = resume + self.durations.resume_seconds(lease, hosts)
        least = max(1, self.durations.threshold_seconds(lease, hosts))
        suspend = self.suspend_start(lease, hosts, end, begin + lease.start_seconds + least)
        if suspend is None:
            return None
        plan = self._begin(lease, hosts, start, resume)
        plan.phases.append(Phase(RUN, begin, suspend))
        self.suspend(lease, plan, suspend)
        plan.because = because(Code.HOSTS_RESERVED, start=end)
        plan.code = "hole"
        return plan

    def _hole_hosts(
        self, lease: Lease, start: int, end: int, claim: Claim | None, prefer: HostSet
    ) -> Hosts | Levels | None:
        """Hosts until a hole ends; or room to choose any of, once it is known to be used."""
        demand, levels = lease.demand, self._room(lease, start, end)
        if levels is not None and level_count(levels, demand.count) < demand.count:
            return None
        if lease.bound is not None:
            own = demand.spread(lease.bound)
            if self._is_free(own, levels, start, end) and (
                claim is None or claim.allows(self.table, own.use, start, end)
            ):
                return lease.bound
            if not self.starts.movable(lease):
                return None
            prefer |= own.hosts
        if levels is not None and self.starts.needs_only_room:
            room = self._beside(demand, levels, start, end, claim)
            if room is None or room[1] is None:
                return None if room is None else room[0]
        hosts = self.free_hosts(lease, start, end, claim, prefer)
        if hosts is None or lease.bound is None:
            return hosts
        return demand.keep(lease.bound, hosts)

    def _is_free(self, own: Spread, levels: Levels | None, start: int, end: int) -> bool:
        """Tell whether own hosts are open and free; ``levels`` is the room there is, if known."""
        if levels is not None and own.apart:
            return not own.hosts & ~levels[0]
        return not self.table.shut & own.hosts and self.table.fits_on(
            own.use, start, end, own.shape
        )

    def _chosen(
        self, lease: Lease, start: int, found: Hosts | Levels, prefer: HostSet
    ) -> Hosts | None:
        """Hosts, chosen of room if none were."""
        if isinstance(found, tuple):
            return found
        demand, bound = lease.demand, lease.bound
        if bound is not None:
            prefer |= demand.spread(bound).hosts
        hosts = self.mapper.choose(self.table, lease.request, demand, found, start, prefer)
        return hosts if hosts is None or bound is None else demand.keep(bound, hosts)

    def suspend_start(self, lease: Lease, hosts: Hosts, end: int, not_before: int) -> int | None:
        """Return when to begin suspending, as late as possible, so that it is over by ``end``."""
        seconds = self.durations.suspend_seconds(lease, hosts)
        if self.durations.shares_files:
            return self.channel.latest(seconds, end, not_before)
        return end - seconds if end - seconds >= not_before else None

    def suspend(self, lease: Lease, plan: Plan, start: int) -> None:
        """Add the suspension to the end of the plan."""
        end = start + self.durations.suspend_seconds(lease, plan.hosts)
        plan.phases.append(Phase(SUSPEND, start, end))
        if self.durations.shares_files:
            plan.exclusive.append((start, end))
