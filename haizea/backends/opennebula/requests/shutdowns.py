"""The time that VMs of leases take to shut down, as the schedule is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from haizea.backends.opennebula.state.leads import LeadTimes
from haizea.backends.opennebula.state.ledger import Ledger, Tracked
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.core.model.events import Decision, OperationStarted, Purpose
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord
from haizea.core.model.vm_times import LeavingTime, ShutdownTime

_BEGINS = frozenset([Purpose.PREPARE, Purpose.RUN, Purpose.RESUME])
_BEFORE_RUNNING = frozenset([Purpose.PREPARE, Purpose.RESUME])
#: The schedule is told of a time that differs by so many seconds, and by this part of it.
_WORTH_SECONDS, _WORTH = 2, 0.1


def is_news(seconds: int, before: int) -> bool:
    """Tell whether a time differs from what was planned ``before`` by as much as matters."""
    return abs(seconds - before) > max(_WORTH_SECONDS, _WORTH * before)


class Shutdowns:
    """Tells the schedule how long shutting down takes, of leases that have firm plans.

    Only where that was learned of VMs like theirs. To be used from one thread.
    """

    def __init__(self, ledger: Ledger, seen: SeenVms, leads: LeadTimes) -> None:
        self._ledger = ledger
        self._seen = seen
        self._leads = leads
        self._known = leads.shown
        #: What the schedule plans, by lease.
        self._told: dict[int, int] = {}
        #: How long their VMs take to leave their hosts, of those of which it was told.
        self._told_leaving: dict[int, int] = {}
        #: Those of them that nobody has looked at since they came, or since they could be told.
        self._new: set[int] = set()

    def take_up(self, record: LeaseRecord) -> None:
        """Note a lease that the schedule knows with what it plans for it."""
        if not record.over and record.plan is not None and record.plan.firm:
            self._note(record.id, record.shutdown_seconds)

    def follow(self, decisions: Iterable[Decision]) -> None:
        """Note which leases begin."""
        for decision in decisions:
            if isinstance(decision, OperationStarted) and decision.purpose in _BEGINS:
                self._note(decision.lease_id, self._told.get(decision.lease_id))

    def _note(self, lease_id: int, seconds: int | None) -> None:
        configured = self._leads.rules.shutdown_seconds
        self._told[lease_id] = configured if seconds is None else seconds
        self._new.add(lease_id)

    def news(self) -> Iterator[ShutdownTime | LeavingTime]:
        """Return for which leases something else is known now. O(n)."""
        if self._leads.shown is not self._known:
            self._known = self._leads.shown
            self._new.update(self._told)
        for lease_id in sorted(self._new):
            lease = self._ledger.leases.get(lease_id)
            if lease is None or lease.purpose is Purpose.SHUTDOWN:
                del self._told[lease_id]
                self._told_leaving.pop(lease_id, None)
                self._new.discard(lease_id)
            elif self._may_be_told(lease):
                vms = self._seen.all_of(lease.vms)
                if vms is None:
                    continue
                self._new.discard(lease_id)
                seconds = self._leads.shutdown_seconds(vms)
                if seconds is not None and is_news(seconds, self._told[lease_id]):
                    self._told[lease_id] = seconds
                    yield ShutdownTime(lease_id, seconds)
                leaving, before = self._leads.leaving_seconds(vms), self._told_leaving.get(lease_id)
                if leaving is not None and (before is None or is_news(leaving, before)):
                    self._told_leaving[lease_id] = leaving
                    yield LeavingTime(lease_id, leaving)

    def _may_be_told(self, lease: Tracked) -> bool:
        """Tell whether nobody waits to see if a lease's VMs run before its time is over."""
        if lease.purpose is None:
            return lease.state is State.SCHEDULED
        if lease.purpose in _BEFORE_RUNNING:
            return True
        return all(errand.reached for errand in self._ledger.of(lease))
