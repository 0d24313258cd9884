"""Operations that take longer than planned, or could not be done when they were due.

Operations may be delayed; and whoever carries decisions out may have been away for a
while, so that commands are given late. Either way, what follows shifts, and leases that
have not started make way.
"""

from __future__ import annotations

from typing import Final

from haizea.core.disruption.external_load import Others
from haizea.core.disruption.replanning import Repair
from haizea.core.images.shipments import ImageTransfer
from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind
from haizea.core.model.members import MIGRATE, RESUME, RUN, SUSPENDED_SCHEDULED
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease, Plan
from haizea.core.schedule.agenda import START
from haizea.core.schedule.schedule import Schedule

#: What goes on until a command ends it, rather than being over by itself.
_GOES_ON = {Purpose.RUN, Purpose.MIGRATE}


#: An immediate lease that could not begin when it was to, since nobody was at work, begins so
#: much later at most: who asked for hosts now may have gone elsewhere since.
MOST_LATE_SECONDS: Final = 60


class Lateness:
    """Shifts what is late. To be told before the slot table lets the time pass."""

    def __init__(self, schedule: Schedule, repair: Repair, others: Others) -> None:
        self._schedule = schedule
        self._repair = repair
        self._others = others
        self._late: list[tuple[Lease, int]] = []

    # --- delays -----------------------------------------------------------------------

    def delayed(self, lease_id: int, purpose: Purpose, end: int) -> None:
        """Note that an operation of a lease ends later than planned; all that follows shifts.

        To be told before the slot table lets that time pass, and :meth:`clear_ways` after.
        """
        lease = self._schedule.leases.get(lease_id)
        if lease is None:
            return
        if purpose is Purpose.TRANSFER:
            self._transfer_delayed(lease, end)
            return
        under_way = lease.under_way
        if under_way is None or under_way.purpose is not purpose:
            return
        late = end - under_way.end
        if late > 0 and under_way.end < FOREVER:
            self._shift(lease, lease.at, late)

    def _shift(self, lease: Lease, at: int, late: int) -> None:
        """The lease's phase ``at`` ends so much later; what follows shifts."""
        assert lease.plan is not None, "it has a plan"
        old_end = lease.plan.end
        self._schedule.holdings.shift(lease, at, late)
        deadline = lease.request.deadline
        if deadline is not None and lease.plan.end > deadline >= old_end:
            self._end_by(lease, lease.plan, deadline)
        if lease.plan.end > old_end:
            self._late.append((lease, old_end))

    def _end_by(self, lease: Lease, plan: Plan, deadline: int) -> None:
        """A lease that goes on later than planned ends by its deadline, if it runs at all."""
        run = plan.phase(RUN)
        if plan.suspends or run is None or run.start + plan.end - run.end >= deadline:
            return
        self._schedule.holdings.cut_short(lease, plan.end - deadline)

    def clear_ways(self) -> None:
        """Take what has not started off the hosts that late leases need longer."""
        late, self._late = self._late, []
        for lease, old_end in late:
            for host, _ in lease.plan.use if lease.plan is not None else ():
                self._others.make_way(host)
                name = self._schedule.host_table.name(host)
                reason = because(Code.HOST_STILL_HELD, host=name, lease=lease.id)
                self._repair.clear(lease, host, old_end, reason)

    def _transfer_delayed(self, lease: Lease, end: int) -> None:
        preparation, shipping = self._schedule.preparation, self._schedule.shipping
        if preparation is None or shipping is None:
            return
        for transfer in list(preparation.transfers):
            if lease.id in transfer.waiting and transfer.begun and transfer.end < end:
                shipping.delay(transfer, end)
                break
        self._await_images()

    def _await_images(self) -> None:
        """Leases whose images arrive after they were to start start later, or wait."""
        schedule = self._schedule
        assert schedule.preparation is not None, "images are managed"
        late = {i for t in schedule.preparation.transfers for i in t.waiting}
        for lease_id in sorted(late):
            lease = schedule.leases[lease_id]
            arrival = schedule.preparation.arrival(lease_id)
            if lease.plan is None or lease.started or lease.plan.start >= arrival:
                continue
            reason = because(Code.IMAGE_ARRIVES_LATE, moment=arrival)
            if lease.request.kind is Kind.BEST_EFFORT:
                schedule.back_to_queue(lease, reason, "failure")
                continue
            if lease.request.kind is Kind.DEADLINE:
                self._repair.prepare_again(lease, reason)
                continue
            if lease.request.kind is Kind.IMMEDIATE:
                schedule.book.note_late(lease, reason)
            self._repair.postpone(lease, reason, arrival)

    # --- coming back ------------------------------------------------------------------

    def catch_up(self) -> None:
        """Make good what was due before now and could not be done.

        What goes on by itself was over when it was to be over. What needed a command goes
        on until now, when the command is given.
        """
        schedule = self._schedule
        now = schedule.now
        for time, rank, subject in schedule.overdue():
            if isinstance(subject, ImageTransfer):
                if rank == START:
                    assert schedule.shipping is not None, "images are managed"
                    schedule.shipping.begin_late(subject)
                    self._await_images()
            elif subject.plan is None:
                continue
            elif rank == START:
                self._starts_late(subject, subject.plan, time, now)
            else:
                self._ends_late(subject, subject.plan, now)

    def _ends_late(self, lease: Lease, plan: Plan, now: int) -> None:
        """A phase that is under way was to end before now."""
        at = lease.at
        if plan.phases[at].purpose not in _GOES_ON:
            at += 1
        if at < len(plan.phases) and plan.phases[at].purpose in _GOES_ON:
            phase = plan.phases[at]
            begun = phase.start if at > lease.at or lease.since is None else lease.since
            if phase.purpose is Purpose.RUN and now - begun >= lease.remaining:
                # It has run for its whole duration meanwhile: nothing is left to go on with.
                self._schedule.holdings.end_with(lease, at)
            # Whether what was to run from its preparation on has run is not known yet.
            end = now + 1 if plan.prepares and at > lease.at else now
            if _resumes_in_vain(lease, plan, end - phase.end):
                reason = because(Code.NOT_AT_WORK, moment=phase.end)
                self._schedule.book.change(lease, SUSPENDED_SCHEDULED, reason, "late")
                self._schedule.back_to_queue(lease, reason, "late")
            elif phase.end < end:
                self._shift(lease, at, end - phase.end)

    def _starts_late(self, lease: Lease, plan: Plan, due: int, now: int) -> None:
        """A phase was to begin before now, and did not."""
        reason = because(Code.NOT_AT_WORK, moment=due)
        if _resumes_in_vain(lease, plan, now - due):
            self._schedule.back_to_queue(lease, reason, "late")
            return
        if lease.at > 0:
            late_seconds = self._schedule.holdings.start_later(lease)
            self._shift(lease, lease.at, late_seconds)
            return
        match lease.request.kind:
            case Kind.BEST_EFFORT:
                self._schedule.back_to_queue(lease, reason, "late")
            case Kind.IMMEDIATE if now - due > MOST_LATE_SECONDS:
                most = MOST_LATE_SECONDS
                late = because(Code.TOO_LATE_TO_START, cause=reason, seconds=most)
                self._repair.give_up(lease, late)
            case Kind.IMMEDIATE:
                self._schedule.book.note_late(lease, reason)
                self._repair.move(lease, reason)
            case Kind.DEADLINE:
                self._repair.move(lease, reason)
            case Kind.AR:
                self._begin_late(lease, plan, reason, now)

    def _begin_late(self, lease: Lease, plan: Plan, reason: Reason, now: int) -> None:
        """An AR starts now, and ends when it was to end; if that is over, it failed."""
        if plan.phases[1 if plan.prepares else 0].end <= now:
            self._repair.give_up(lease, reason)
            return
        self._schedule.holdings.begin_late(lease)
        if plan.runs_from != lease.request.start:
            self._schedule.book.note_late(lease, reason)


def _resumes_in_vain(lease: Lease, plan: Plan, late_seconds: int) -> bool:
    """Tell whether a lease that is to resume so much later would be saved again at once."""
    resume, run = plan.phase(RESUME), plan.phase(RUN)
    if not plan.suspends or resume is None or run is None or plan.phases.index(resume) < lease.at:
        return False
    begins = lease.under_way is None or lease.under_way.purpose is MIGRATE
    return begins and late_seconds >= run.end - run.start
