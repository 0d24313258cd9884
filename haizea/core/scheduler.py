"""The scheduler: told what happened and what time it is, it answers with what it decided.

``handle(now, inputs)`` is the one entry. In one instant, in this order: what ended early,
was cancelled or failed; reservations that end; reservations that start; new requests, and
the schedule is made; reservations that now start. The scheduler reads no clock and does
nothing to the world: the same inputs at the same times give the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from haizea.core.capacity.channel import Channel
from haizea.core.capacity.slottable import SlotTable
from haizea.core.disruption.delays import Lateness
from haizea.core.disruption.external_load import Others
from haizea.core.disruption.external_moves import Moved
from haizea.core.disruption.failures import Trouble
from haizea.core.disruption.late_runs import LateRuns
from haizea.core.disruption.maintenance import Windows
from haizea.core.disruption.preparing import Preparing
from haizea.core.disruption.replanning import Repair
from haizea.core.disruption.shutting_down import ShuttingDown
from haizea.core.images.transfers import Preparation
from haizea.core.model.events import (
    HostAdded,
    HostDrained,
    HostFailed,
    HostRates,
    HostRestored,
    HostsAllowed,
    HostUsed,
    Input,
    LeaseCancelled,
    LeaseChanged,
    LeaseEnded,
    LeaseMoved,
    LeaseReady,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceEnded,
    OperationDelayed,
    OperationFailed,
    Purpose,
    RunDelayed,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.maintenance import Impact, Maintenance
from haizea.core.model.members import BEST_EFFORT
from haizea.core.model.policy import Policies
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.settings import Settings
from haizea.core.model.turn import ChangeTrial, Turn
from haizea.core.model.vm_times import LeavingTime, PreparationTime, ShutdownTime
from haizea.core.placement.durations import Durations, Rates
from haizea.core.placement.mapper import GreedyMapper, Mapper
from haizea.core.placement.plan import Lease
from haizea.core.placement.planner import Planner
from haizea.core.queue.backfill import Queue
from haizea.core.requests.admission import Admission
from haizea.core.requests.changes import Changes
from haizea.core.requests.counteroffers import Offers
from haizea.core.requests.resumptions import Resumptions
from haizea.core.schedule.due import do_what_is_due
from haizea.core.schedule.schedule import Schedule
from haizea.core.snapshot import Restoring, lease_record, rates_records


class Scheduler:
    """Schedules leases on a site, from the moment ``now`` on."""

    def __init__(
        self,
        site: Site,
        settings: Settings,
        policies: Policies,
        now: int,
        mapper: Mapper | None = None,
        *,
        whole_turns: bool = True,
    ) -> None:
        """Begin with an empty schedule; without ``whole_turns`` there are decisions alone."""
        self._whole_turns = whole_turns
        table = SlotTable(site.hosts, now)
        if mapper is None:
            mapper = GreedyMapper(policies.host_selection)
        memory = site.types.names.index("Memory") if "Memory" in site.types.names else None
        planner = Planner(settings, mapper, table, Channel(), Durations(settings, memory, {}))
        preparation = Preparation(settings.images) if settings.images else None
        self._schedule = Schedule(planner, preparation, policies.queue_order, site.hosts)
        self._queue = Queue(self._schedule, settings.reservations)
        self._admission = Admission(self._schedule, policies)
        self._repair = repair = Repair(self._schedule, self._admission)
        self._trouble = trouble = Trouble(self._schedule, repair)
        self._others = Others(self._schedule, repair)
        self._windows = Windows(self._schedule, policies, repair, trouble.lost_host)
        self._moved = Moved(self._schedule, repair, self._others)
        self._lateness = Lateness(self._schedule, repair, self._others)
        self._late_runs = LateRuns(self._schedule, repair, self._trouble)
        self._deadlines = self._admission.deadlines
        self._resumptions = Resumptions(self._schedule, self._deadlines)
        self._preparing = Preparing(
            self._schedule, self._admission, self._lateness, self._late_runs
        )
        self._shutting_down = ShuttingDown(self._schedule)
        self._offers = Offers(self._schedule, self._admission)
        self._changes = Changes(self._schedule, policies, self._admission, self._offers)

    def handle(self, now: int, inputs: Sequence[Input] = ()) -> Turn:
        """Let it be ``now``, take notice of ``inputs`` in their order, and decide.

        ``now`` is never before the last call's. Raises
        :class:`~haizea.core.model.lifecycle.ImpossibleTransition` for a bug, nothing else.
        """
        first_due = self._schedule.agenda.next_time() if self._whole_turns else None
        self._decide(now, inputs)
        decisions, touched = self._schedule.instant.close()
        if not self._whole_turns:
            return Turn(now, decisions)
        return Turn(
            now,
            decisions,
            self._records(touched.values()),
            self.site_record(),
            tuple(self.queue()),
            self._others.known,
            late_since=first_due if first_due is not None and first_due < now else None,
        )

    def _decide(self, now: int, inputs: Sequence[Input]) -> None:
        schedule, instant, deadlines = self._schedule, self._schedule.instant, self._deadlines
        assert now >= instant.now, f"time runs backwards: {instant.now} to {now}"
        schedule.begin_instant(now)
        if self._is_eventful(inputs):
            self._take_in(inputs)
        else:
            schedule.let_pass()
            for event in inputs:
                if isinstance(event, LeaseEnded):
                    self._trouble.ended_early(event.lease_id)
            do_what_is_due(schedule)
            for event in inputs:
                if isinstance(event, LeaseSubmitted):
                    self._admission.submit(event.request, event.allowed, event.prepare_seconds)
        while instant.freed or instant.arrived or (deadlines.afters and deadlines.come_due()):
            if schedule.book.deadlines:
                self._resumptions.look(self._queue.pin)
            self._queue.look()
            do_what_is_due(schedule)
            if schedule.book.deadlines:
                deadlines.start_sooner()
        if schedule.channel.busy or schedule.preparation is not None:
            schedule.forget_past()

    def _take_in(self, inputs: Sequence[Input]) -> None:
        """Take notice of whatever happened, and of what time brings, until the queue is due.

        In most instants there is no more than leases that come and end, and nothing that else could
        change anything is asked whether it has to.
        """
        schedule, windows = self._schedule, self._schedule.window_table
        news = [i for i in inputs if not isinstance(i, LeaseSubmitted)]
        self._take_delays(inputs, news)
        schedule.let_pass()
        self._lateness.clear_ways()
        self._late_runs.make_room()
        windows.settle()
        self._windows.end_due()
        self._windows.keep_images_off()
        for event in news:
            if isinstance(event, LeaseEnded):
                self._trouble.ended_early(event.lease_id)
            elif not isinstance(event, OperationDelayed | RunDelayed):
                self._notice(event)
                windows.settle()
        self._trouble.leave_drained()
        do_what_is_due(schedule)
        windows.settle()
        self._windows.begin_due()
        self._bring_forward()
        if schedule.instant.freed and schedule.book.deadlines:
            self._resumptions.look(self._queue.pin)
        for arrival in inputs:
            if isinstance(arrival, LeaseSubmitted):
                self._admission.submit(arrival.request, arrival.allowed, arrival.prepare_seconds)
        self._settle_hosts()

    def _is_eventful(self, inputs: Sequence[Input]) -> bool:
        """Tell whether there is more to this instant than best-effort leases that come and end.

        That is so, too, while hosts are out of use or not as they should be, or a lease is late.
        """
        for event in inputs:
            if isinstance(event, LeaseSubmitted):
                if event.request.kind is not BEST_EFFORT:
                    return True
            elif not isinstance(event, LeaseEnded):
                return True
        schedule = self._schedule
        agenda, now = schedule.agenda, schedule.instant.now
        if agenda.heap and agenda.heap[0][0] < now:
            due = agenda.next_time()
            if due is not None and due < now:
                return True
        return (
            bool(schedule.window_table.windows or schedule.host_table.statuses)
            or bool(self._others.short)
            or self._late_runs.need_room
            or self._repair.has_put_off
        )

    def _settle_hosts(self) -> None:
        """Hold what others use and maintenance takes, and leave hosts that are to be left."""
        windows = self._schedule.window_table
        if self._others.short:
            self._queue.pin()
            windows.step_aside()
            self._others.settle()
            windows.settle()
        self._trouble.leave_drained()
        self._windows.leave()
        # Who had to leave a host may do with what others left of it.
        self._bring_forward()

    def _bring_forward(self) -> None:
        if self._schedule.instant.freed and self._repair.has_put_off:
            self._queue.pin()
            self._repair.bring_forward()

    def leases(self) -> list[LeaseRecord]:
        """The leases that are not over, as they are now, by id. O(n log n)."""
        return self._records(self._schedule.leases.values())

    def _records(self, leases: Iterable[Lease]) -> list[LeaseRecord]:
        waiting = self._schedule.waiting
        return [lease_record(x, x in waiting) for x in sorted(leases, key=lambda x: x.id)]

    def site_record(self) -> SiteRecord:
        """Return what is known of the hosts beside the leases on them."""
        statuses, preparation = self._schedule.host_table.statuses, self._schedule.preparation
        return SiteRecord(
            hosts=tuple(statuses[host] for host in sorted(statuses)),
            rates=rates_records(self._schedule.planner.durations.rates),
            copies=() if preparation is None else preparation.store.records(),
            transfers=() if preparation is None else preparation.records(),
            maintenance=self._schedule.window_table.records(),
        )

    def restore(self, records: Iterable[LeaseRecord], site: SiteRecord) -> None:
        """Go on, from the moment of making, with leases and hosts as an earlier scheduler had them.

        To be called once, before anything else. What follows from it is decided by the next
        :meth:`handle`.
        """
        Restoring(self._schedule).restore(records, site)
        self._schedule.window_table.restore(site.maintenance)
        self._repair.remember()
        self._deadlines.remember()

    def offer(
        self,
        request: LeaseRequest,
        enough: Callable[[], bool] = lambda: False,
        prepare_seconds: int = 0,
    ) -> int | None:
        """The start nearest to an AR's own at which it would be accepted, if one is found.

        Of a lease with a deadline, the nearest deadline. ``enough`` is asked again and again
        whether to stop looking. The time can be asked for
        as long as the settings say, as far as that depends on how near it is. VMs
        of an AR, which take up to ``prepare_seconds`` s to start, run by then.
        """
        return self._offers.nearest(request, enough, prepare_seconds)

    def next_wakeup(self) -> int | None:
        """The next moment at which something of the plan starts or ends."""
        due = self._schedule.agenda.next_time()
        if self._schedule.window_table.windows or self._deadlines.afters:
            for other in (self._windows.next_time(), self._deadlines.next_time()):
                if other is not None and (due is None or other < due):
                    due = other
        return due

    def impact(self, window: Maintenance) -> Impact:
        """Return what a maintenance window would mean if it were asked for now."""
        return self._windows.impact(window)

    def trial(
        self, lease_id: int, request: LeaseRequest, instead_of: LeaseRequest | None = None
    ) -> ChangeTrial:
        """Return what would come of a :class:`LeaseChanged` like this now; nothing changes.

        It takes as long as the decision does.
        """
        with self._queue.pinned():
            return self._changes.trial(lease_id, request, instead_of)

    def waiting(self) -> int:
        """Return the number of leases that wait in the queue."""
        return len(self._schedule.waiting)

    def queue(self) -> list[int]:
        """The leases that wait, in the order of the queue. O(n)."""
        return [lease.id for lease in self._schedule.waiting]

    def check(self) -> None:
        """Assert every invariant of the schedule. Slow; for tests."""
        self._schedule.check()
        self._queue.check()

    def _take_delays(self, inputs: Sequence[Input], news: Sequence[Input]) -> None:
        """Take in what takes longer, before time passes, and what nobody did in its time."""
        schedule = self._schedule
        if any(map(_concerns_hosts, inputs)):
            self._queue.pin()
        due = schedule.agenda.next_time()
        if (due is not None and due < schedule.now) or any(map(_may_need_more_of_hosts, news)):
            schedule.window_table.step_aside()
        for event in news:
            if isinstance(event, OperationDelayed) and event.purpose is Purpose.PREPARE:
                self._preparing.delayed(event.lease_id, event.end)
            elif isinstance(event, OperationDelayed):
                self._lateness.delayed(event.lease_id, event.purpose, event.end)
            elif isinstance(event, RunDelayed):
                self._late_runs.runs_from(event.lease_id, event.since)
        due = schedule.agenda.next_time()
        if due is not None and due < schedule.now:
            self._queue.pin()
            self._lateness.catch_up()

    def _change(self, event: LeaseChanged) -> None:
        if self._queue.counts:
            # What is refused leaves waiting leases their mere numbers of hosts.
            found = self.trial(event.lease_id, event.request, event.instead_of)
            if found.reason is not None:
                self._schedule.book.refuse_change(event.lease_id, found.reason, found.offer)
                return
            self._queue.pin()
        self._changes.change(event.lease_id, event.request, event.instead_of)

    # One line for each input, all in sight of one another.
    def _notice(self, event: Input) -> None:  # noqa: C901
        trouble = self._trouble
        if _may_need_more_of_hosts(event):
            self._schedule.window_table.step_aside()
        match event:
            case LeaseChanged():
                self._change(event)
            case MaintenanceAsked(window, instead_of):
                self._windows.ask(window, instead_of)
            case MaintenanceEnded(window_id):
                self._windows.end(window_id)
            case LeaseCancelled(lease_id, reason):
                trouble.cancelled(lease_id, reason)
            case LeaseMoved(lease_id, hosts):
                self._moved.follow(lease_id, hosts)
            case OperationFailed(lease_id, purpose, reason, tried):
                trouble.failed(lease_id, purpose, reason, tried=tried)
            case LeaseReady(lease_id):
                self._preparing.ready(lease_id)
            case PreparationTime(lease_id, seconds):
                self._preparing.learn(lease_id, seconds)
            case ShutdownTime(lease_id, seconds):
                self._shutting_down.learn(lease_id, seconds)
            case LeavingTime(lease_id, seconds):
                self._shutting_down.learn_leaving(lease_id, seconds)
            case HostAdded(host):
                trouble.host_added(host)
            case HostFailed(host_id, reason):
                trouble.host_failed(host_id, reason)
            case HostDrained(host_id, reason):
                trouble.host_drained(host_id, reason)
            case HostRestored(host_id):
                trouble.host_restored(host_id)
            case HostUsed(host_id, amount):
                self._others.use(host_id, amount)
            case HostRates(host_id, suspend_mb_s, resume_mb_s):
                rates = Rates(suspend_mb_s, resume_mb_s)
                self._schedule.host_table.learn(host_id, rates)
            case HostsAllowed(lease_id, hosts):
                trouble.allow(lease_id, hosts)
            case LeaseSubmitted() | LeaseEnded() | OperationDelayed() | RunDelayed():
                raise AssertionError(f"{type(event).__name__} has a time of its own")
            case _:
                assert_never(event)


def _may_need_more_of_hosts(event: Input) -> bool:
    """Tell whether something may be on hosts, by this, that maintenance holds."""
    return isinstance(event, HostUsed | LeaseMoved | OperationDelayed | RunDelayed)


def _concerns_hosts(event: Input) -> bool:
    """Tell whether this gives or takes particular hosts, outside the queue's order."""
    if isinstance(event, LeaseSubmitted):
        return event.request.kind is not BEST_EFFORT
    return not isinstance(event, LeaseEnded | LeaseCancelled | LeaseChanged | HostRates)
