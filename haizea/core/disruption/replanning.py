"""Repairing a plan that cannot be carried out: other hosts, a later start, or the end.

A best-effort lease goes back to waiting. An AR gets other hosts for the same time, also if
it runs already; where there are none it starts late, as soon as some come free, and ends when it
was to end; and in time after all, if that becomes possible.
A lease with a deadline gets another time, or what is left until its deadline; where there are no
hosts for that either, it waits for some (:mod:`haizea.core.requests.resumptions`). What cannot be
repaired fails, with the reason.
"""

from __future__ import annotations

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.what_if import without
from haizea.core.disruption.hostless import Hostless, in_vain
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.core.model.members import FIRM
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.requests.admission import Admission
from haizea.core.requests.periods import last_moment, lead_seconds, period_of
from haizea.core.requests.taking import Refusal
from haizea.core.schedule.schedule import Schedule


class Repair:
    """Finds another plan for leases whose own went wrong."""

    def __init__(self, schedule: Schedule, admission: Admission) -> None:
        self._schedule = schedule
        self._admission = admission
        self._hostless = Hostless(schedule, admission)
        #: ARs that are to start later than they should, by id.
        self._put_off: dict[int, Lease] = {}

    def give_up(self, lease: Lease, reason: Reason) -> None:
        """The lease fails."""
        self._schedule.finish(lease, State.FAILED, reason, "failure")

    def prepare_again(self, lease: Lease, reason: Reason) -> None:
        """Plan a lease that has not started anew, images and all."""
        schedule = self._schedule
        schedule.unbind(lease)
        if lease.request.kind is Kind.BEST_EFFORT:
            if lease.plan is not None:
                schedule.back_to_queue(lease, reason, "failure")
            return
        self.move(lease, reason)

    def move(self, lease: Lease, reason: Reason, keep_off: HostSet = 0) -> None:
        """Give a lease that has not started other hosts for the same time.

        One that was promised its time waits for some where there are none; any other fails.
        """
        if lease.saved:
            # It goes on when there is time for that, and says why it does not.
            self._schedule.back_to_queue(lease, reason, "failure")
            return
        before = () if lease.plan is None else lease.plan.hosts
        self._schedule.forget_images(lease)
        self._schedule.drop_plan(lease)
        refusal = self._place(lease, reason, keep_off)
        if refusal is not None:
            self._found_none(lease, reason, refusal, keep_off)
        else:
            self._schedule.book.note_in_time(lease)
            self._schedule.holdings.tell_hosts(lease, before, reason)

    def _found_none(
        self, lease: Lease, reason: Reason, refusal: Refusal | None, keep_off: HostSet = 0
    ) -> None:
        """There are no hosts for a lease at its time: it waits for some, or it fails."""
        if lease.request.kind is Kind.AR:
            self._hostless.wait(lease, reason, refusal, keep_off)
            self._put_off_if_late(lease)
        elif lease.request.kind is Kind.DEADLINE and self._has_time(lease):
            self._schedule.book.note_late(lease, reason)
            told = because(Code.WAITS_FOR_HOSTS, cause=in_vain(reason, refusal))
            self._schedule.book.wait_for_hosts(lease, told)
        else:
            self.give_up(lease, in_vain(reason, refusal))

    def _has_time(self, lease: Lease) -> bool:
        """Tell whether some of a lease could run before its deadline if hosts came free."""
        schedule, deadline = self._schedule, lease.request.deadline
        assert deadline is not None, "it has a deadline"
        in_time = last_moment(schedule, lease, deadline) > schedule.now
        return in_time and schedule.empty_site.fits(lease.demand)

    def _put_off_if_late(self, lease: Lease) -> None:
        """Note an AR that is planned for later than it should start, and may be in time yet."""
        start, plan = lease.request.start, lease.plan
        if start is not None and plan is not None and not lease.started and plan.runs_from > start:
            self._put_off[lease.id] = lease

    def _place(self, lease: Lease, reason: Reason, *keep_off: HostSet) -> Refusal | None:
        """Give a lease hosts for its time off these hosts, or else off the next.

        One with a deadline that has no time left for all of it gets what is left.
        """
        refusal: Refusal | None = None
        for hosts in keep_off:
            refusal = self._admission.place_again(lease, hosts)
            if refusal is None:
                return None
        deadline = lease.request.deadline
        if deadline is None or self._admission.place_rest(lease, keep_off[-1]) is not None:
            return refusal
        cut = because(Code.CUT_AT_DEADLINE, cause=reason, end=deadline)
        self._schedule.book.note_late(lease, cut)
        return None

    def restart(self, lease: Lease, reason: Reason) -> None:
        """Let a lease that had its hosts for sure and stopped run again, elsewhere if possible.

        So does one that was being prepared. It ends when it was to end, or by its deadline.
        """
        plan = lease.plan
        assert plan is not None, "it ran somewhere"
        self._schedule.stop(lease, reason)
        refusal = self._place(lease, reason, host_set(plan.hosts), 0)
        if refusal is not None:
            self._found_none(lease, reason, refusal)
        elif lease.request.start is not None and lease.request.start > self._schedule.now:
            self._schedule.book.note_in_time(lease)

    def displace(
        self, lease: Lease, reason: Reason, keep_off: HostSet, until: int | None = None
    ) -> None:
        """A lease that has not started cannot have its hosts: it waits, or gets others.

        ``until`` is when its own hosts are free again, where that is known.
        """
        schedule = self._schedule
        if lease.request.kind is Kind.BEST_EFFORT:
            if lease.bound is not None and not lease.saved and not self._may_stay(lease, keep_off):
                self.prepare_again(lease, reason)
            else:
                schedule.back_to_queue(lease, reason, "failure")
            return
        if until is None:
            self.move(lease, reason, keep_off)
        else:
            self.postpone(lease, reason, until, keep_off)

    def planned(self, host: int, start: int, end: int) -> list[Hold]:
        """Return holds that have not started and overlap ``[start, end)`` on a host, in order."""
        leases = self._schedule.leases
        found = [
            hold
            for hold in self._schedule.table.holds_on(host)
            if hold.start < end and hold.end > start
            if hold.owner in leases and not leases[hold.owner].started
        ]
        return sorted(found, key=lambda hold: (hold.start, hold.serial))

    def movable(self, host: int, start: int, end: int) -> list[Hold]:
        """Return these, and what is planned after suspensions that are to come, in order."""
        rests = [
            lease.rest.hold
            for lease in self._schedule.book.deadlines.values()
            if lease.started and lease.rest is not None and lease.rest.hold is not None
        ]
        there = [x for x in rests if x.hosts >> host & 1 and x.start < end and x.end > start]
        found = [*self.planned(host, start, end), *there]
        return sorted(found, key=lambda hold: (hold.start, hold.serial))

    def clear(self, lease: Lease, host: int, start: int, reason: Reason) -> None:
        """Take what has not started off a host that a lease holds longer than was planned.

        The last to start goes first, while the host is over-full between ``start`` and the
        lease's end. What goes elsewhere may preempt the very lease, which may end sooner then.
        """
        table = self._schedule.table
        while lease.plan is not None and lease.plan.end > start:
            end = lease.plan.end
            if min(table.least_free(host, start, end)) >= 0:
                return
            until = end if end < FOREVER else None
            if not self.displace_last(host, start, end, reason, until):
                return  # What has started holds more than there is, and that has to be waited for.

    def displace_last(
        self, host: int, start: int, end: int, reason: Reason, until: int | None = None
    ) -> bool:
        """Displace what is to start last of what is planned on a host; whether there is any."""
        planned = self.movable(host, start, end)
        if planned:
            lease = self._schedule.leases[planned[-1].owner]
            if lease.started:
                self._schedule.holdings.drop_rest(lease)
            else:
                self.displace(lease, reason, 1 << host, until)
        return bool(planned)

    def displace_waiting(self, host: int, start: int, end: int, reason: Reason) -> None:
        """Displace waiting leases, the last to start first, while the host is over-full then."""
        table = self._schedule.table
        for hold in reversed(self.planned(host, start, end)):
            if min(table.least_free(host, start, end)) >= 0:
                return
            lease = self._schedule.leases[hold.owner]
            if lease.request.kind is Kind.BEST_EFFORT:
                self.displace(lease, reason, 1 << host)

    def leave(self, lease: Lease, reason: Reason, *, disturb: bool = True) -> None:
        """A lease that has not started should not go to its hosts: others are better for it.

        A best-effort lease is planned anew. An AR stays where it is until there are others, which
        nothing that runs has to leave unless it may be ``disturb``-ed.
        """
        if self._schedule.needs_images(lease.request):
            return
        if lease.request.kind is Kind.BEST_EFFORT:
            self._schedule.back_to_queue(lease, reason, "")
        elif lease.request.kind in FIRM:
            found = self._improve(lease, reason, disturb=disturb)
            code = Code.LEFT_DRAINED_HOST if found else Code.STAYS_ON_DRAINED_HOST
            assert lease.plan is not None, "it is promised hosts"
            start = lease.plan.runs_from
            self._schedule.book.explain(lease, start, because(code, cause=reason))

    def _may_stay(self, lease: Lease, keep_off: HostSet) -> bool:
        """Tell whether it can run where its images are."""
        bound = lease.bound or ()
        return lease.demand.permits(bound) and not host_set(bound) & keep_off

    def postpone(self, lease: Lease, reason: Reason, until: int, keep_off: HostSet = 0) -> None:
        """Give an AR other hosts, or let it start on its own as soon as they are free.

        A lease with a deadline may start on any of them later.
        """
        schedule, old = self._schedule, lease.plan
        assert old is not None, "it has a plan"
        if lease.request.kind is Kind.DEADLINE:
            self.move(lease, reason)
            return
        if lease.request.kind is not Kind.AR:
            self.move(lease, reason, keep_off)
            return
        schedule.drop_plan(lease)
        refusal = None
        if not self._schedule.needs_images(lease.request):
            refusal = self._admission.place_again(lease, keep_off)
        if lease.plan is None:
            later = self._later(lease, old, until)
            if later is None:
                self._found_none(lease, reason, refusal, keep_off)
                return
            schedule.book.note_late(lease, reason)
            schedule.book.explain(lease, later.starts, because(Code.STARTS_LATE, cause=reason))
            schedule.commit(lease, later)
            self._put_off_if_late(lease)
        else:
            self._schedule.book.note_in_time(lease)
            schedule.holdings.tell_hosts(lease, old.hosts, reason)

    def _later(self, lease: Lease, old: Plan, start: int) -> Plan | None:
        """The plan on the same hosts from ``start`` to its old end."""
        schedule = self._schedule
        if start >= old.end or not schedule.table.fits_on(old.use, start, old.end):
            return None
        runs = begins = start
        seconds = lead_seconds(schedule, lease)
        if seconds and lease.request.start is not None:
            runs = max(lease.request.start, start + seconds)
            begins = max(start, runs - seconds)
        shutdown_seconds = schedule.planner.durations.shutdown_seconds(lease)
        schedule.book.cut(lease, old.end - runs if old.end < FOREVER else FOREVER)
        if lease.remaining <= shutdown_seconds:
            return None
        plan = Plan(old.hosts, old.use, [])
        schedule.planner.prepare(lease, plan, begins, runs)
        return plan

    # --- in time after all ------------------------------------------------------------

    def remember(self) -> None:
        """Find the ARs that an earlier scheduler put off."""
        for lease in self._schedule.leases.values():
            self._put_off_if_late(lease)
        self._hostless.remember()

    @property
    def has_put_off(self) -> bool:
        """True if some AR was put off, and may start when it should after all, or sooner."""
        return bool(self._put_off or self._schedule.book.hostless)

    def bring_forward(self) -> None:
        """Let ARs that were put off start when they should, where something came free.

        Those that have no hosts get some, or are given up when their time is over.
        """
        for lease in self._hostless.look():
            self._put_off_if_late(lease)
        for lease in list(self._put_off.values()):
            is_over = self._schedule.leases.get(lease.id) is not lease
            if is_over or lease.started or lease.plan is None:
                del self._put_off[lease.id]
            elif self._improve(lease, because(Code.STARTS_SOONER)):
                self._schedule.book.reword(lease, because(Code.STARTS_SOONER))

    def _improve(self, lease: Lease, reason: Reason, *, disturb: bool = True) -> bool:
        """Give an AR hosts that are open, from its start on or from now on, if there are any."""
        if self._schedule.needs_images(lease.request):
            return self._sooner_on_its_hosts(lease)
        before = () if lease.plan is None else lease.plan.hosts
        if not self._admission.place_better(lease, disturb=disturb):
            return False
        self._schedule.holdings.tell_hosts(lease, before, reason)
        self._put_off.pop(lease.id, None)
        self._schedule.book.note_in_time(lease)
        return True

    def _sooner_on_its_hosts(self, lease: Lease) -> bool:
        """Have an AR whose images go to its hosts begin there sooner than planned, if it can."""
        schedule, plan, preparation = self._schedule, lease.plan, self._schedule.preparation
        assert plan is not None, "it is planned for later"
        assert preparation is not None, "images are managed"
        there = preparation.arrival(lease.id) if preparation.pending(lease.id) else schedule.now
        period = period_of(schedule, lease, begin=max(there, period_of(schedule, lease).begin))
        if period.begin >= plan.start:
            return False
        with without(schedule.table, lease.hold):
            if not schedule.table.fits_on(plan.use, period.begin, period.end):
                return False
        self._admission.begin_on(lease, plan.hosts, period)
        if period.begin <= max(schedule.now, lease.request.start or 0):
            self._put_off.pop(lease.id, None)
        schedule.book.note_in_time(lease)
        return True
