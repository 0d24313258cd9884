"""The scheduler: told what happened and what time it is, it answers with what it decided.

``handle(now, inputs)`` is the one entry. In one instant, in this order: what ended early,
was cancelled or failed; reservations that end; reservations that start; new requests, and
the schedule is made; reservations that now start. The scheduler reads no clock and does
nothing to the world: the same inputs at the same times give the same decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

from haizea.core.admission import Admission
from haizea.core.channel import Channel
from haizea.core.events import (
    Decision,
    HostAdded,
    HostDrained,
    HostFailed,
    HostRestored,
    Input,
    LeaseCancelled,
    LeaseEnded,
    LeaseSubmitted,
    OperationDelayed,
    OperationFailed,
)
from haizea.core.hosts import Site
from haizea.core.lease import Kind
from haizea.core.mapper import GreedyMapper, Mapper
from haizea.core.placement import Planner
from haizea.core.policy import Policies
from haizea.core.preparation import Preparation
from haizea.core.queue import Queue
from haizea.core.schedule import Schedule
from haizea.core.settings import Settings
from haizea.core.slottable import SlotTable
from haizea.core.trouble import Trouble


class Scheduler:
    """Schedules leases on a site, from the moment ``now`` on."""

    def __init__(
        self,
        site: Site,
        settings: Settings,
        policies: Policies,
        now: int,
        mapper: Mapper | None = None,
    ) -> None:
        table = SlotTable(site.hosts, now)
        if mapper is None:
            mapper = GreedyMapper(policies.host_selection)
        memory = site.types.names.index("Memory") if "Memory" in site.types.names else None
        planner = Planner(settings, mapper, table, Channel(), memory)
        preparation = Preparation(settings.images) if settings.images else None
        self._schedule = Schedule(planner, preparation, policies.queue_order)
        self._queue = Queue(self._schedule, settings.reservations)
        self._admission = Admission(self._schedule, policies)
        self._trouble = Trouble(self._schedule, self._admission, list(site.hosts))

    def handle(self, now: int, inputs: Sequence[Input] = ()) -> list[Decision]:
        """Let it be ``now``, take notice of ``inputs`` in their order, and decide.

        ``now`` is never before the last call's. Raises
        :class:`~haizea.core.lifecycle.ImpossibleTransition` for a bug, nothing else.
        """
        schedule = self._schedule
        assert now >= schedule.now, f"time runs backwards: {schedule.now} to {now}"
        schedule.now = now
        news = [i for i in inputs if not isinstance(i, LeaseSubmitted)]
        if any(_concerns_hosts(i) for i in inputs):
            self._queue.pin()
        for event in news:
            if isinstance(event, OperationDelayed):
                self._trouble.delayed(event.lease_id, event.purpose, event.end)
        schedule.table.advance(now)
        self._trouble.clear_ways()
        for event in news:
            self._notice(event)
        schedule.do_what_is_due()
        for arrival in inputs:
            if isinstance(arrival, LeaseSubmitted):
                self._admission.submit(arrival.request)
        while schedule.freed or schedule.arrived:
            self._queue.look()
            schedule.do_what_is_due()
        schedule.forget_past()
        decisions, schedule.out = schedule.out, []
        return decisions

    def next_wakeup(self) -> int | None:
        """The next moment at which something of the plan starts or ends."""
        return self._schedule.agenda.next_time()

    def waiting(self) -> int:
        """How many leases wait in the queue."""
        return len(self._schedule.waiting)

    def check(self) -> None:
        """Assert every invariant of the schedule. Slow; for tests."""
        self._schedule.check()
        self._queue.check()

    def _notice(self, event: Input) -> None:
        trouble = self._trouble
        match event:
            case LeaseEnded(lease_id):
                trouble.ended_early(lease_id)
            case LeaseCancelled(lease_id, reason):
                trouble.cancelled(lease_id, reason)
            case OperationFailed(lease_id, purpose, reason):
                trouble.failed(lease_id, purpose, reason)
            case HostAdded(host):
                trouble.host_added(host)
            case HostFailed(host_id, reason):
                trouble.host_failed(host_id, reason)
            case HostDrained(host_id, reason):
                trouble.host_drained(host_id, reason)
            case HostRestored(host_id):
                trouble.host_restored(host_id)
            case _:
                pass


def _concerns_hosts(event: Input) -> bool:
    """Whether particular hosts are given or taken because of this, outside the queue's order."""
    match event:
        case LeaseSubmitted(request):
            return request.kind is not Kind.BEST_EFFORT
        case LeaseEnded() | LeaseCancelled():
            return False
        case _:
            return True
