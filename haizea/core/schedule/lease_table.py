"""The book of leases: their states, their stories and the queue.

Everything that is said about a lease goes through here, as a decision.
"""

from __future__ import annotations

from typing import Final

from haizea.core.model.events import (
    ChangeRefused,
    Expected,
    HostsLimited,
    LeaseAccepted,
    LeaseAltered,
    OperationEnded,
    Purpose,
    StateChanged,
)
from haizea.core.model.hostrules import allowed_record
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.lifecycle import TRANSITIONS, State, check_transition
from haizea.core.model.members import (
    AR,
    DEADLINE,
    FIRM,
    PENDING,
    PREPARING,
    QUEUED,
    READY,
    RUN,
    SCHEDULED,
    SUSPENDED_PENDING,
    SUSPENDED_QUEUED,
    SUSPENDED_SCHEDULED,
)
from haizea.core.model.policy import QueueOrderPolicy
from haizea.core.model.reasons import Code, Reason, because, starting, waits_for
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import FOREVER
from haizea.core.model.settings import Settings
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned
from haizea.core.placement.plan import Lease
from haizea.core.schedule.instant import Instant
from haizea.core.schedule.wait_queue import Line

_SUSPENDED: Final = frozenset({SUSPENDED_PENDING, SUSPENDED_QUEUED, SUSPENDED_SCHEDULED})


class Book:
    """All leases that are not over, and those that wait in the order of the queue."""

    def __init__(self, instant: Instant, order: QueueOrderPolicy, settings: Settings) -> None:
        self.leases: dict[int, Lease] = {}
        self.waiting = Line()
        #: Leases that are to be done by a deadline, by id.
        self.deadlines: dict[int, Lease] = {}
        #: ARs that lost their hosts and wait for others, by id.
        self.hostless: dict[int, Lease] = {}
        #: Leases that may be preempted, whatever state they are in.
        self.preemptible: set[int] = set()
        #: Leases that need particular hosts, or parts of hosts.
        self.picky: set[int] = set()
        self._instant = instant
        self._order = order
        self._settings = settings

    def accept(self, lease: Lease) -> None:
        """Tell of a lease that was just asked for, and where it may run."""
        request, where = lease.request, lease.demand.where
        self._instant.say(LeaseAccepted(self._instant.now, request))
        if where != EVERYWHERE:
            limits = allowed_record(where)
            self._instant.say(HostsLimited(self._instant.now, lease.id, limits))
        self.change(lease, PENDING)

    def change(
        self, lease: Lease, new: State, reason: Reason | None = None, code: str = ""
    ) -> None:
        """The lease's state changes: the only place where one does."""
        old = lease.state
        if new not in TRANSITIONS[old]:
            check_transition(lease.id, old, new, " → ".join(lease.story))
        lease.state = new
        lease.story.append(new)
        instant = self._instant
        lease.why = change = StateChanged(instant.now, lease.id, old, new, reason, code)
        instant.decisions.append(change)
        instant.touched[lease.id] = lease

    def recall(self, lease: Lease, record: LeaseRecord) -> None:
        """A lease that was known before is as it was, but for its plan."""
        state = record.state
        self.join(lease, record.queued_since)
        lease.state = state
        lease.story.append(state)
        lease.why = StateChanged(record.changed, lease.id, state, state, record.reason, record.code)
        lease.remaining = record.remaining
        lease.ran = record.ran
        lease.saved = record.saved
        lease.bound = record.bound
        lease.failures = record.failures
        lease.late = record.late
        lease.prepare_seconds = record.prepare_seconds
        lease.shutdown_seconds = record.shutdown_seconds
        lease.added_seconds = record.prepare_seconds if self._adds_preparation(lease) else 0
        lease.expected = record.expected
        if lease.saved:
            self.picky.add(lease.id)

    def enter(self, lease: Lease) -> None:
        """List a lease that is not over."""
        self.leases[lease.id] = lease
        if lease.request.kind is DEADLINE:
            self.deadlines[lease.id] = lease
        self.note_standing(lease)

    def note_standing(self, lease: Lease) -> None:
        """Note whether a lease may be preempted, as its request says now."""
        if lease.request.preemptible and lease.request.kind not in FIRM:
            self.preemptible.add(lease.id)
        else:
            self.preemptible.discard(lease.id)

    def leave(self, lease: Lease) -> None:
        """List a lease that is over no more."""
        self.leases.pop(lease.id, None)
        self.deadlines.pop(lease.id, None)
        self.hostless.pop(lease.id, None)
        self.preemptible.discard(lease.id)
        self.picky.discard(lease.id)

    def join(self, lease: Lease, since: int) -> None:
        """Give the lease the place in the queue of one that waits ``since`` then."""
        lease.key = (self._order.key(lease.request, since), lease.id)
        lease.queued_since = since

    def enqueue(self, lease: Lease, reason: Reason, code: str = "") -> None:
        """Let the lease wait, at the place in the queue that it has.

        One with a deadline stands in no queue: it goes on as soon as it can.
        """
        state = lease.state
        if state in _SUSPENDED:
            if state is not SUSPENDED_QUEUED:
                self.change(lease, SUSPENDED_QUEUED, reason, code)
        elif state is PREPARING or state is READY:
            lease.expected = None
            self._say_expected(lease, reason)
        elif state is not QUEUED:
            self.change(lease, QUEUED, reason, code)
        if lease.request.kind is DEADLINE:
            self._instant.freed = True
            return
        self.waiting.add(lease)
        self._instant.arrived.append(lease)

    def wait_for_hosts(self, lease: Lease, reason: Reason) -> None:
        """A lease that was promised hosts and has no plan waits for some, outside the queue."""
        if lease.request.kind is DEADLINE:
            self._instant.freed = True
        else:
            self.hostless[lease.id] = lease
        if lease.state is not QUEUED:
            self.change(lease, QUEUED, reason, "failure")
            self.expect(lease, None, reason)
        else:
            self.explain(lease, None, reason)

    def say_altered(self, lease: Lease) -> None:
        """Have everybody told what a lease is now."""
        self._instant.say(LeaseAltered(self._instant.now, lease.request))
        self._instant.touched[lease.id] = lease

    def refuse_change(self, lease_id: int, reason: Reason, offer: int | None) -> None:
        """Have everybody told why a lease stays as it is, and which moment would do."""
        self._instant.say(ChangeRefused(self._instant.now, lease_id, reason, offer))

    def expect(self, lease: Lease, start: int | None, reason: Reason) -> None:
        """Say when a waiting lease is expected to start, if that is news."""
        if start != lease.expected:
            lease.expected = start
            if start is not None and lease.why is not None:
                lease.why = lease.why._replace(reason=starting(lease.why.reason, start))
            self._say_expected(lease, reason)

    def _say_expected(self, lease: Lease, reason: Reason) -> None:
        self._instant.say(Expected(self._instant.now, lease.id, lease.expected, reason))
        self._instant.touched[lease.id] = lease

    def explain(self, lease: Lease, start: int | None, reason: Reason) -> None:
        """Say why a lease with a reservation that was promised is where it is, if that is news."""
        why = lease.why
        if why is not None and (why.reason != reason or lease.expected != start):
            self.reword(lease, reason)
            lease.expected = start
            self._say_expected(lease, reason)

    def reword(self, lease: Lease, reason: Reason) -> None:
        """Have another reason read for the state that a lease is in, which has been told."""
        assert lease.why is not None, "every lease came into its state somehow"
        lease.why = lease.why._replace(reason=reason)
        self._instant.touched[lease.id] = lease

    def fail_again(self, lease: Lease) -> int:
        """One failure more of a lease; how many there are now."""
        lease.failures += 1
        self._instant.touched[lease.id] = lease
        return lease.failures

    def note_late(self, lease: Lease, reason: Reason) -> None:
        """A lease is to start after its time; why."""
        lease.late = reason
        self._instant.touched[lease.id] = lease

    def note_in_time(self, lease: Lease) -> None:
        """An AR that was to start late and now has hosts for its own start is not late any more.

        Nor is a lease with a deadline that has time for all of it.
        """
        request = lease.request
        whole = request.deadline is not None and lease.remaining == lease.full_seconds
        if whole or (lease.plan is not None and lease.plan.runs_from == request.start):
            lease.late = None

    def plan_preparation(self, lease: Lease, seconds: int) -> None:
        """The VMs of a lease that has not begun are planned to take so long to start."""
        if seconds != lease.prepare_seconds:
            lease.plan_preparation(seconds, added=self._adds_preparation(lease))
            self._instant.say(PreparationPlanned(self._instant.now, lease.id, seconds))
            self._instant.touched[lease.id] = lease

    def plan_shutdown(self, lease: Lease, seconds: int) -> None:
        """The VMs of a lease are planned to take so long to shut down."""
        lease.shutdown_seconds = seconds
        self._instant.say(ShutdownPlanned(self._instant.now, lease.id, seconds))
        self._instant.touched[lease.id] = lease

    def know_leaving(self, lease: Lease, seconds: int) -> None:
        """The VMs of a lease take so long to be off their hosts. It is known until a restart."""
        lease.leaving_seconds = seconds

    def _adds_preparation(self, lease: Lease) -> bool:
        """Tell whether a lease's time counts from when its VMs run; that of an AR does not."""
        return lease.request.kind is not AR and not self._settings.counts_preparation

    def cut(self, lease: Lease, remaining_seconds: int) -> None:
        """A lease that starts late ends when it was to end: so much of it is left."""
        lease.remaining = remaining_seconds

    def lose_time(self, lease: Lease, seconds: int) -> None:
        """Give a lease that just began back the time that its VMs took to start."""
        lease.ran -= seconds
        lease.remaining += seconds
        self._instant.touched[lease.id] = lease

    def hold_claim(self, lease: Lease, start: int) -> None:
        """A waiting lease has a reservation now, for ``start``; its state says so."""
        later = start > self._instant.now
        if self.hostless:
            self.hostless.pop(lease.id, None)
        state = lease.state
        if state is QUEUED or state is PENDING:
            reason = because(Code.START_EXPECTED, start=start) if later else None
            self.change(lease, SCHEDULED, reason)
        elif state is SUSPENDED_QUEUED or state is SUSPENDED_PENDING:
            reason = because(Code.RESUMPTION_EXPECTED, start=start) if later else None
            self.change(lease, SUSPENDED_SCHEDULED, reason)
        if later:
            self.expect(lease, start, waits_for(lease.demand.count))

    def lose_claim(self, lease: Lease, reason: Reason, code: str = "") -> None:
        """A waiting lease has no reservation any more."""
        if lease.state is SCHEDULED:
            self.change(lease, QUEUED, reason, code)
        elif lease.state is SUSPENDED_SCHEDULED:
            self.change(lease, SUSPENDED_QUEUED, reason, code)
        self.expect(lease, None, reason)

    def ended(self, lease: Lease, purpose: Purpose) -> None:
        """Note that an operation of a lease is over, or goes on elsewhere; its progress counts."""
        assert lease.plan is not None, "it has a plan"
        assert lease.since is not None, "it is under way"
        now = self._instant.now
        self._instant.say(OperationEnded(lease.id, purpose, lease.since, now, lease.plan.use))
        if purpose is RUN:
            seconds = now - lease.since
            lease.ran += seconds
            if lease.remaining < FOREVER:
                lease.remaining -= seconds
