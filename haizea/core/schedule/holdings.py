"""The holdings of plans: capacity of hosts, the shared file system, an entry in the agenda."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from haizea.core.capacity.hold import Hold
from haizea.core.model.events import Expected, HostsPlanned
from haizea.core.model.members import AR, FIRM, PREPARE, RUN, SHUTDOWN, SUSPEND
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.mapper import Hosts
from haizea.core.placement.plan import Lease, Phase, Plan
from haizea.core.placement.planner import Planner
from haizea.core.placement.remapping import Move
from haizea.core.schedule.agenda import END, START, Agenda
from haizea.core.schedule.instant import Instant


class Holdings:
    """Takes and gives back what plans need, when they are applied, changed and dropped."""

    def __init__(self, planner: Planner, agenda: Agenda, instant: Instant) -> None:
        self._planner = planner
        self._table = planner.table
        self._channel = planner.channel
        self._agenda = agenda
        self._instant = instant

    # --- whole plans --------------------------------------------------------------------

    def take(self, lease: Lease, plan: Plan, *, firm: bool) -> None:
        """Give a lease a plan, from its first phase on."""
        self.grant(lease, plan, firm=firm)
        self._agenda.add(plan.start, START, lease)

    def grant(self, lease: Lease, plan: Plan, *, firm: bool) -> None:
        """The same for whoever starts it at once: it does not get on the agenda."""
        plan.hold = self._hold(lease, plan, firm=firm)
        if plan.rest is not None:
            plan.rest.hold = self._hold(lease, plan.rest, firm=True)
        lease.plan = plan
        lease.at = 0
        lease.since = None
        lease.token += 1
        self._instant.touched[lease.id] = lease

    def _hold(self, lease: Lease, plan: Plan, *, firm: bool) -> Hold:
        for interval in plan.exclusive:
            self._channel.reserve(*interval)
        shape = lease.demand.spread(plan.hosts).shape
        return self._table.reserve(plan.start, plan.end, plan.use, lease.id, firm=firm, shape=shape)

    @contextmanager
    def supposing(self, lease: Lease, plan: Plan) -> Iterator[None]:
        """Look at the schedule as it were if a lease without a plan had this one, provisionally."""
        assert lease.plan is None, "it has no plan"
        heard = self._table.openings.hush()
        lease.plan, plan.hold = plan, self._hold(lease, plan, firm=False)
        try:
            yield
        finally:
            self._table.withdraw(lease.hold)
            for interval in plan.exclusive:
                self._channel.release(*interval)
            lease.plan = None
            self._table.openings.hear_on(heard)

    def lift(self, lease: Lease) -> None:
        """Take out what a plan that has not begun holds, for another one to be found meanwhile."""
        assert lease.plan is not None, "it has a plan"
        self._table.withdraw(lease.hold)
        for interval in lease.plan.exclusive:
            self._channel.release(*interval)

    def give_back(self, lease: Lease) -> None:
        """Take a lease's plan away; of what is under way, nothing is held any more."""
        plan, instant = lease.plan, self._instant
        assert plan is not None, "it has a plan"
        self.drop_rest(lease)
        for start, end in plan.exclusive:
            self._channel.release(start, end)
            if start < instant.now < end:
                self._channel.reserve(start, instant.now)
        hold = lease.hold
        if hold.start <= instant.now < hold.end:
            instant.given_back.append((hold.end, hold.count))
        self._table.release(hold)
        lease.plan = None
        lease.since = None
        lease.at = 0
        lease.token += 1
        instant.touched[lease.id] = lease
        instant.freed = True

    def unpin(self, lease: Lease) -> None:
        """A waiting lease gives its hosts up, but not the time that it expects to start."""
        self._table.release(lease.hold)
        lease.plan = None
        lease.token += 1

    def ask_again_at(self, lease: Lease, moment: int) -> None:
        """A lease without a plan is to be looked at then, whatever comes free before."""
        lease.token += 1
        self._agenda.add(moment, START, lease)

    # --- other hosts --------------------------------------------------------------------

    def move(self, moves: Sequence[Move], reason: Reason) -> None:
        """Let leases that have not begun have other hosts, or another time, all at once."""
        if not moves:
            return
        spreads = [lease.demand.spread(hosts) for lease, hosts, _ in moves]
        holds = self._table.move(
            [
                (lease.hold, start, spread.use, spread.shape)
                for (lease, _, start), spread in zip(moves, spreads, strict=True)
            ]
        )
        for (lease, hosts, start), spread, hold in zip(moves, spreads, holds, strict=True):
            plan = lease.plan
            assert plan is not None, "it has a plan"
            before, later = plan.hosts, start - lease.hold.start
            plan.hosts, plan.use, plan.hold = hosts, spread.use, hold
            self._instant.touched[lease.id] = lease
            self.tell_hosts(lease, before, reason)
            if later:
                self._start_at(lease, start, later, reason)

    def tell_hosts(self, lease: Lease, before: Sequence[int], reason: Reason) -> None:
        """A promise that has not begun has a new plan; whoever knew of other hosts is told."""
        plan, instant = lease.plan, self._instant
        if plan is not None and plan.hosts != before and lease.request.kind in FIRM:
            instant.say(HostsPlanned(instant.now, lease.id, plan.hosts, reason))

    def _start_at(self, lease: Lease, start: int, later: int, reason: Reason) -> None:
        """A lease with a deadline, which has its hosts already, is to begin at another time."""
        plan, instant = lease.plan, self._instant
        assert plan is not None, "it has a plan"
        plan.phases = [Phase(p, begin + later, end + later) for p, begin, end in plan.phases]
        self.again(lease)
        lease.expected = start
        if lease.why is not None:
            lease.why = lease.why._replace(reason=because(Code.START_EXPECTED, start=start))
        instant.freed = True
        instant.say(Expected(instant.now, lease.id, start, reason))

    def follow(self, lease: Lease, hosts: Hosts) -> None:
        """A lease that runs holds these hosts from now on; there is room."""
        plan, now, under_way = lease.plan, self._instant.now, lease.under_way
        assert plan is not None, "it has a plan"
        assert under_way is not None, "it runs"
        self.drop_rest(lease)
        self._table.release(lease.hold)
        plan.hosts, plan.use = hosts, lease.demand.use(hosts)
        plan.phases[lease.at] = Phase(RUN, now, under_way.end)
        lease.since = now
        plan.hold = self._table.reserve(now, plan.end, plan.use, lease.id)
        self._instant.touched[lease.id] = lease

    # --- starting VMs -------------------------------------------------------------------

    def prepare(self, lease: Lease) -> None:
        """A lease that begins now has its VMs started first; its run is so much shorter."""
        plan = lease.plan
        assert plan is not None, "it has a plan"
        run = plan.phases[0]
        moment = min(run.start + lease.prepare_seconds, run.end - 1)
        if moment > run.start:
            plan.phases[:1] = [Phase(PREPARE, run.start, moment), run._replace(start=moment)]
            if lease.remaining < FOREVER:
                leaves = plan.suspends or plan.drops
                added = lease.added_seconds if leaves else 0
                lease.remaining -= added or moment - run.start

    def run_later(self, lease: Lease, late_seconds: int) -> None:
        """VMs that are being started run so much later than planned, or sooner if that is negative.

        An AR ends when it was to end, and so does what has to be off its hosts by some moment. To
        be done before the slot table lets the time pass.
        """
        plan = lease.plan
        assert plan is not None, "it has a plan"
        prepare, run = plan.phases[:2]
        if lease.added_seconds and not plan.suspends and not plan.drops:
            plan.phases = shifted(plan.phases, 0, late_seconds)
            if late_seconds < 0:
                self._instant.given_back.append((lease.hold.end, len(plan.use)))
                self._instant.freed = True
            self._table.change_end(lease.hold, plan.end)
        else:
            # Nothing may be left of a run to be saved, or of an AR's; of any other, a second.
            left = not plan.suspends and lease.request.kind is not AR
            moment = min(prepare.end + late_seconds, run.end - left)
            plan.phases[:2] = [prepare._replace(end=moment), run._replace(start=moment)]
            if lease.remaining < FOREVER and not lease.added_seconds:
                lease.remaining -= moment - prepare.end
        self.again(lease)

    # --- other times --------------------------------------------------------------------

    def again(self, lease: Lease) -> None:
        """The times of a plan that is under way changed: what was on the agenda is void."""
        lease.token += 1
        self.go_on(lease)

    def go_on(self, lease: Lease) -> None:
        """Put the next thing that a lease does on the agenda."""
        assert lease.plan is not None, "it has a plan"
        self._instant.touched[lease.id] = lease
        phase = lease.plan.phases[lease.at]
        if lease.since is None:
            self._agenda.add(phase.start, START, lease)
        elif phase.end < FOREVER:
            self._agenda.add(phase.end, END, lease)

    # --- going on after a suspension ----------------------------------------------------

    def plan_rest(self, lease: Lease, rest: Plan) -> None:
        """A lease that is to be suspended goes on by this plan after that."""
        assert lease.plan is not None, "it has a plan"
        rest.hold = self._hold(lease, rest, firm=True)
        lease.plan.rest = rest
        self._instant.touched[lease.id] = lease

    def drop_rest(self, lease: Lease) -> None:
        """Hold nothing any more of what was planned for a lease after its suspension."""
        plan = lease.plan
        if plan is None or plan.rest is None:
            return
        rest, plan.rest = plan.rest, None
        for interval in rest.exclusive:
            self._channel.release(*interval)
        assert rest.hold is not None, "it is held"
        self._table.release(rest.hold)
        self._instant.touched[lease.id] = lease
        self._instant.freed = True

    def run_on(self, lease: Lease) -> None:
        """A lease that was to leave its hosts now keeps them until it is done."""
        plan, table = lease.plan, self._table
        assert plan is not None, "it has a plan"
        assert lease.since is not None, "it runs"
        self.drop_rest(lease)
        if plan.suspends:
            self._free_files(plan, plan.phases.pop())
        plan.phases.pop()
        self._planner.finish(lease, plan, lease.since)
        plan.because, plan.code = None, ""
        table.release(lease.hold)
        plan.hold = table.reserve(table.now, plan.end, plan.use, lease.id)
        self.again(lease)

    def stretch(self, lease: Lease) -> None:
        """A lease that runs goes on for all that remains of it now, and ends then."""
        plan = lease.plan
        assert plan is not None, "it has a plan"
        assert lease.since is not None, "it runs"
        before = lease.hold.end
        del plan.phases[lease.at :]
        self._planner.finish(lease, plan, lease.since)
        if before > self._instant.now:
            self._table.change_end(lease.hold, plan.end)
        else:
            # It was to end in this very instant, and holds nothing any more.
            plan.hold = self._table.reserve(before, plan.end, plan.use, lease.id)
        if plan.end < before:
            self._instant.given_back.append((before, len(plan.use)))
        self.again(lease)

    def leave_at(self, lease: Lease, moment: int, reason: Reason, *, saved: bool) -> None:
        """A lease that runs is off its hosts by then, to make room: suspended, or dropped."""
        plan = lease.plan
        assert plan is not None, "it has a plan"
        self.drop_rest(lease)
        old = plan.phase(SUSPEND)
        if old is not None:
            self._free_files(plan, old)
        plan.end_run(moment)
        if saved:
            self._planner.suspend(lease, plan, moment)
            if self._planner.durations.shares_files:
                self._channel.reserve(*plan.exclusive[-1])
        plan.because, plan.code = reason, "preempted"
        self._table.change_end(lease.hold, plan.end)
        self.again(lease)
        self._instant.freed = True

    def shift(self, lease: Lease, at: int, late_seconds: int) -> None:
        """The lease's phase ``at`` ends so much later; what follows shifts.

        To be done before the slot table lets the time pass.
        """
        plan = lease.plan
        assert plan is not None, "it has a plan"
        phase = plan.phases[at]
        plan.phases = shifted(plan.phases, at, late_seconds)
        if self._planner.durations.shares_files:
            self._free_files(plan, phase)
        self._table.change_end(lease.hold, plan.end)
        if plan.rest is not None and plan.rest.start < plan.end:
            self.drop_rest(lease)
        self.again(lease)

    def cut_short(self, lease: Lease, lacking_seconds: int) -> None:
        """A lease that runs is done so much sooner, although that is less than it asked for."""
        plan, instant = lease.plan, self._instant
        assert plan is not None, "it has a plan"
        run = next(i for i, phase in enumerate(plan.phases) if phase.purpose is RUN)
        plan.phases = shifted(plan.phases, run, -lacking_seconds)
        plan.because = because(Code.DURATION_CUT, seconds=lacking_seconds)
        self._table.change_end(lease.hold, max(plan.end, instant.now))
        self.again(lease)
        instant.freed = True

    def start_later(self, lease: Lease) -> int:
        """The next phase of a lease under way starts now; how much later that is, in seconds.

        It ends when it was to end, until it is shifted.
        """
        plan, now = lease.plan, self._instant.now
        assert plan is not None, "it has a plan"
        phase = plan.phases[lease.at]
        plan.phases[lease.at] = Phase(phase.purpose, now, phase.end)
        return now - phase.start

    def end_with(self, lease: Lease, at: int) -> None:
        """Nothing is to follow a lease's phase ``at``."""
        assert lease.plan is not None, "it has a plan"
        self.drop_rest(lease)
        del lease.plan.phases[at + 1 :]

    def begin_late(self, lease: Lease) -> None:
        """A lease that should have begun begins now, and ends when it was to end.

        Where its VMs have to be started first, that takes as long as was planned.
        """
        plan, now = lease.plan, self._instant.now
        assert plan is not None, "it has a plan"
        first, begins = plan.phases[0], now
        if plan.prepares:
            begins = max(first.end, min(now + first.end - first.start, plan.phases[1].end - 1))
            plan.phases[1] = plan.phases[1]._replace(start=begins)
            first = first._replace(end=begins)
        if lease.remaining < FOREVER:
            lease.remaining = plan.end - begins
        plan.phases[0] = Phase(first.purpose, now, first.end)
        self._table.release(lease.hold)
        plan.hold = self._table.reserve(now, plan.end, plan.use, lease.id)
        self.again(lease)

    def plan_shutdown(self, lease: Lease) -> None:
        """A lease that is to end on its hosts has as much of its time for that as it needs.

        It is off them when it was to be. It runs for a second more at least.
        """
        plan = lease.plan
        assert plan is not None, "it has a plan"
        at = next(i for i, phase in enumerate(plan.phases) if phase.purpose is RUN)
        run, end = plan.phases[at], plan.end
        if plan.suspends or plan.drops or end >= FOREVER or run.end <= run.start:
            return
        seconds = self._planner.durations.shutdown_seconds_of(lease, end - run.start)
        moment = max(end - seconds, run.start + 1, self._instant.now + 1)
        if moment == run.end or moment >= end:
            return
        plan.phases[at:] = [run._replace(end=moment), Phase(SHUTDOWN, moment, end)]
        self.again(lease)

    def _free_files(self, plan: Plan, phase: Phase) -> None:
        """A suspension or resumption does not have the shared files when it was to have them."""
        interval = (phase.start, phase.end)
        if interval in plan.exclusive:
            plan.exclusive.remove(interval)
            self._channel.release(*interval)


def shifted(phases: list[Phase], at: int, late: int) -> list[Phase]:
    """The phases with the one at ``at`` longer, and what follows later.

    Where a suspension follows, a run in between is cut short, to its last second, rather than
    shifted: the suspension's end is what others count on.
    """
    result = phases[:at]
    phase = phases[at]
    result.append(Phase(phase.purpose, phase.start, phase.end + late))
    rest = phases[at + 1 :]
    shift = late
    for i, later in enumerate(rest):
        if later.purpose is RUN and i + 1 < len(rest) and rest[i + 1].purpose is SUSPEND:
            cut = min(shift, max(0, later.end - later.start - 1))
            result.append(Phase(RUN, later.start + shift, later.end - cut + shift))
            shift -= cut
        else:
            end = later.end if later.end >= FOREVER else later.end + shift
            result.append(Phase(later.purpose, later.start + shift, end))
    return result
