"""From a scheduler's leases to records of them, and from records to a scheduler again.

What waiting leases have reserved provisionally is not kept: it is planned anew. All else
goes on as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from haizea.core.model.hostrules import allowed_record
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.members import AR
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import (
    LeaseRecord,
    PhaseRecord,
    PlanRecord,
    RatesRecord,
    RestRecord,
    SiteRecord,
)
from haizea.core.placement.durations import Rates
from haizea.core.placement.plan import Lease, Phase, Plan
from haizea.core.schedule.schedule import Schedule


def lease_record(lease: Lease, waits: bool) -> LeaseRecord:
    """Return what is known of a lease at present; ``waits``: it stands in the queue."""
    why, plan = lease.why, lease.plan
    assert why is not None, "every lease came into its state somehow"
    return LeaseRecord(
        request=lease.request,
        state=lease.state,
        changed=why.time,
        queued_since=lease.queued_since,
        remaining=lease.remaining,
        reason=why.reason,
        code=why.code,
        expected=lease.expected,
        ran=lease.ran,
        saved=lease.saved,
        bound=lease.bound,
        failures=lease.failures,
        late=lease.late,
        plan=None if plan is None else _plan_record(plan, lease.at, lease.since, not waits),
        allowed=allowed_record(lease.demand.where),
        prepare_seconds=lease.prepare_seconds,
        shutdown_seconds=lease.shutdown_seconds,
    )


def _plan_record(plan: Plan, at: int, since: int | None, firm: bool) -> PlanRecord:
    return PlanRecord(
        hosts=plan.hosts,
        phases=_phase_records(plan),
        at=at,
        since=since,
        firm=firm,
        sources=plan.sources,
        exclusive=tuple(plan.exclusive),
        because=plan.because,
        code=plan.code,
        rest=None if plan.rest is None else _rest_record(plan.rest),
    )


def _phase_records(plan: Plan) -> tuple[PhaseRecord, ...]:
    return tuple(PhaseRecord(purpose=p, start=s, end=e) for p, s, e in plan.phases)


def _rest_record(rest: Plan) -> RestRecord:
    return RestRecord(
        hosts=rest.hosts,
        phases=_phase_records(rest),
        sources=rest.sources,
        exclusive=tuple(rest.exclusive),
    )


def rates_records(rates: Mapping[int, Rates]) -> tuple[RatesRecord, ...]:
    """Return what was learned of hosts, by host."""
    return tuple(
        RatesRecord(host=host, suspend_mb_s=learned.suspend_mb_s, resume_mb_s=learned.resume_mb_s)
        for host, learned in sorted(rates.items())
    )


class Restoring:
    """Fills a scheduler that was just made with leases and hosts as they were."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def restore(self, records: Iterable[LeaseRecord], site: SiteRecord) -> None:
        """Go on with these leases, on hosts as ``site`` has them."""
        schedule = self._schedule
        schedule.host_table.restore(site)
        if schedule.shipping is not None:
            schedule.shipping.restore(site)
        for record in sorted(records, key=lambda record: record.id):
            if record.state not in FINAL:
                self._restore(record)

    def _restore(self, record: LeaseRecord) -> None:
        schedule = self._schedule
        allowed = EVERYWHERE if record.allowed is None else record.allowed.allowed()
        lease = schedule.enter(record.request, allowed)
        schedule.book.recall(lease, record)
        plan = record.plan
        if plan is not None and plan.firm:
            schedule.take_up(lease, _plan(lease, plan), plan.at, plan.since)
        elif record.request.kind is AR:
            schedule.book.wait_for_hosts(lease, record.reason or because(Code.PLANNED_ANEW))
        else:
            self._wait(lease)

    def _wait(self, lease: Lease) -> None:
        """Let a lease that held no firm reservation stand in the queue as before."""
        schedule = self._schedule
        expected = lease.expected
        schedule.book.enqueue(lease, because(Code.PLANNED_ANEW))
        if expected is not None and lease.state in {State.QUEUED, State.SUSPENDED_QUEUED}:
            schedule.book.expect(lease, None, because(Code.PLANNED_ANEW))
        schedule.say_whether_it_fits(lease)


def _plan(lease: Lease, record: PlanRecord) -> Plan:
    return Plan(
        record.hosts,
        lease.demand.use(record.hosts),
        _phases(record),
        record.sources,
        exclusive=list(record.exclusive),
        because=record.because,
        code=record.code,
        rest=None if record.rest is None else _rest(lease, record.rest),
    )


def _rest(lease: Lease, record: RestRecord) -> Plan:
    return Plan(
        record.hosts,
        lease.demand.use(record.hosts),
        _phases(record),
        record.sources,
        exclusive=list(record.exclusive),
    )


def _phases(record: PlanRecord | RestRecord) -> list[Phase]:
    return [Phase(p.purpose, p.start, p.end) for p in record.phases]
