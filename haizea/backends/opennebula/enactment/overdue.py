"""What is not over, or not begun, although it was to be by now; and what is over sooner."""

from __future__ import annotations

from haizea.backends.opennebula.state.ledger import Ledger, Tracked
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.backends.opennebula.state.steps import AT_REST
from haizea.core.model.events import Input, LeaseEnded, OperationDelayed, Purpose

#: What the schedule takes to be over at its time unless it is told otherwise.
_TIMED = frozenset([Purpose.SUSPEND, Purpose.RESUME, Purpose.SHUTDOWN])
_LONGEST_DELAY_SECONDS = 30


class Overdue:
    """Watches the operations of leases by their planned ends. To be used from one thread."""

    def __init__(self, ledger: Ledger, seen: SeenVms) -> None:
        self._ledger = ledger
        self._seen = seen
        self._timed: set[int] = set()
        #: Leases that were to start and have not all their VMs running yet.
        self._starting: set[int] = set()

    def begin(self, lease: Tracked) -> None:
        """An operation of a lease was begun."""
        if lease.purpose in _TIMED:
            self._timed.add(lease.id)
        elif lease.purpose is Purpose.RUN:
            self._starting.add(lease.id)

    def started(self, lease: Tracked) -> None:
        """All VMs of a lease run."""
        self._starting.discard(lease.id)

    def end(self, lease: Tracked) -> None:
        """Nothing is under way for a lease."""
        self._timed.discard(lease.id)
        self._starting.discard(lease.id)

    def news(self, now: int) -> list[Input]:
        """What is not over although it was to be over by now, and which VMs have shut down."""
        told: list[Input] = []
        for lease_id in sorted(self._timed):
            lease = self._ledger.leases[lease_id]
            if all(errand.reached for errand in self._ledger.of(lease)):
                told += self._shut_down(lease)
                continue
            if lease.end > now or lease.purpose is None:
                continue
            lease.delays += 1
            step = min(2 ** (lease.delays // 2), _LONGEST_DELAY_SECONDS)
            lease.end = now + step
            told.append(OperationDelayed(lease.id, lease.purpose, lease.end))
        return told

    def _shut_down(self, lease: Tracked) -> list[Input]:
        """A lease whose VMs are gone needs its hosts no more, however long was planned for it."""
        if lease.purpose is not Purpose.SHUTDOWN or lease.let_go:
            return []
        lease.let_go = True
        lease.taken.update(lease.vms)
        return [LeaseEnded(lease.id)]

    def never_started(self, now: int) -> list[Tracked]:
        """Leases whose time is over and of which no VM was ever on its host."""
        found = []
        for lease_id in sorted(self._starting):
            lease = self._ledger.leases[lease_id]
            if lease.end > now or lease.let_go:
                continue
            if all(self._rests(vm) for vm in lease.vms):
                found.append(lease)
        return found

    def _rests(self, vm: int) -> bool:
        """Whether a VM is on no host, and nothing that was sent can bring it to one."""
        seen, errand = self._seen.get(vm), self._ledger.errands.get(vm)
        if seen is None or seen.vm.state not in AT_REST:
            return False
        return errand is None or (not errand.busy and seen.asked >= errand.fresh_after)

    def next_moment(self) -> int | None:
        """When something is to be over that is not yet."""
        return min((self._ledger.leases[i].end for i in self._timed), default=None)
