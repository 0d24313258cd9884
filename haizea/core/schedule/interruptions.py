"""Verbs for leases with deadlines that are suspended for others and go on in time."""

from __future__ import annotations

from collections.abc import Sequence

from haizea.core.model.reasons import Code, because
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.preemption import Rest
from haizea.core.schedule.schedule import Schedule


class Interruptions:
    """Verbs of a schedule: what is left of a lease is planned for later, or nowhere for a while."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def lift(self, rests: Sequence[Rest]) -> None:
        """Hold nothing for these any more, until they :meth:`go_on`."""
        for lease, _ in rests:
            if lease.started:
                self._schedule.holdings.drop_rest(lease)
            else:
                self._schedule.drop_plan(lease)

    def go_on(self, rests: Sequence[Rest]) -> None:
        """Have these go on as planned, after they are suspended, or as they are already."""
        for lease, plan in rests:
            if lease.started:
                self.plan_rest(lease, plan)
            else:
                self.resume(lease, plan)

    def plan_rest(self, lease: Lease, plan: Plan) -> None:
        """A lease that is to be suspended goes on by this plan after that, and is told so."""
        schedule, until = self._schedule, lease.plan
        assert until is not None, "it runs"
        schedule.holdings.plan_rest(lease, plan)
        moment = until.phases[-1].start
        told = because(Code.GOES_ON_IN_TIME, moment=moment, start=plan.starts, end=plan.end)
        schedule.book.explain(lease, plan.starts, told)

    def resume(self, lease: Lease, plan: Plan) -> None:
        """A lease that was suspended, and has no plan, goes on by this one."""
        schedule = self._schedule
        schedule.commit(lease, plan)
        if plan.start > schedule.now:
            schedule.book.reword(lease, because(Code.RESUMPTION_EXPECTED, start=plan.starts))

    def look_again_at(self, lease: Lease, moment: int) -> None:
        """A lease that finds no time to go on is looked at then, whatever comes free before."""
        self._schedule.holdings.ask_again_at(lease, moment)
