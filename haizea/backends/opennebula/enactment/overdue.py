"""Operations that are not over, or not begun, by when they were to be; or are over sooner."""

from __future__ import annotations

from collections.abc import Iterable

from haizea.backends.opennebula.enactment.outcomes import told
from haizea.backends.opennebula.state.ledger import Ledger, Tracked
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.backends.opennebula.state.steps import AT_REST, is_broken, runs, starts
from haizea.core.model.events import (
    Decision,
    Expected,
    Input,
    LeaseEnded,
    OperationDelayed,
    OperationFailed,
    Purpose,
    RunDelayed,
)
from haizea.core.model.lease import Kind
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.records import LeaseRecord

#: What the schedule takes to be over at its time unless it is told otherwise.
_TIMED = frozenset([Purpose.PREPARE, Purpose.SUSPEND, Purpose.RESUME, Purpose.SHUTDOWN])
_LONGEST_DELAY_SECONDS = 30
#: So long a lease goes on of which nobody knows whether it ran, until that is asked again.
_ASK_AGAIN_SECONDS = 2


class Overdue:
    """Watches the operations of leases by their planned ends. To be used from one thread."""

    def __init__(self, ledger: Ledger, seen: SeenVms) -> None:
        self._ledger = ledger
        self._seen = seen
        self._timed: set[int] = set()
        self._late: list[Input] = []
        #: Leases that were to start, or have no time left, and whose VMs do not all run yet.
        self._starting: set[int] = set()
        #: Those of them whose time is over, and of which nobody knows whether they ran; since
        #: when, by the steady clock.
        self._in_doubt: dict[int, float] = {}
        #: The VMs of those that were put into doubt since somebody took note of them.
        self._doubted: set[int] = set()

    def begin(self, now: int, lease: Tracked) -> None:
        """An operation of a lease was begun."""
        if lease.purpose in _TIMED:
            if lease.id in self._starting and _counts_its_time(lease):
                self._late.append(RunDelayed(lease.id, now))  # It is saved, and has not run.
            self._starts_no_more(lease)
            self._timed.add(lease.id)
        elif lease.purpose is Purpose.RUN:
            self._starting.add(lease.id)

    def started(self, now: int, lease: Tracked) -> list[Input]:
        """All VMs of a lease run; tell if that took them a while."""
        if lease.id not in self._starting:
            return []
        self._starts_no_more(lease)
        since = max(self._runs_since(now, vm) for vm in lease.vms)
        late = any(since > errand.since for errand in self._ledger.of(lease))
        return [RunDelayed(lease.id, since)] if late and _counts_its_time(lease) else []

    def _runs_since(self, now: int, vm: int) -> int:
        """Return since when a VM runs: before it was seen first, by OpenNebula's own times."""
        seen = self._seen.get(vm)
        if seen is None or not seen.found_so or not seen.vm.history:
            return now
        return min(now, seen.vm.history[-1].running_start or now)

    def follow(self, decisions: Iterable[Decision]) -> None:
        """Take note of leases that run out of time for their VMs to start."""
        for decision in decisions:
            if isinstance(decision, Expected):
                self._may_run_out(decision.lease_id, decision.reason)

    def take_up(self, record: LeaseRecord) -> None:
        """After a restart: take note of a lease that runs out of time."""
        if record.reason is not None:
            self._may_run_out(record.id, record.reason)

    def _may_run_out(self, lease_id: int, reason: Reason) -> None:
        lease, end = self._ledger.leases.get(lease_id), reason.get("end")
        if reason.code is not Code.TIME_RUNS_OUT or lease is None or not isinstance(end, int):
            return
        if lease.purpose is Purpose.PREPARE:
            lease.end = end
            self._timed.discard(lease_id)
            self._starting.add(lease_id)

    def end(self, lease: Tracked) -> None:
        """Nothing is under way for a lease."""
        self._timed.discard(lease.id)
        self._starts_no_more(lease)

    def _starts_no_more(self, lease: Tracked) -> None:
        self._starting.discard(lease.id)
        self._in_doubt.pop(lease.id, None)

    def news(self, now: int) -> list[Input]:
        """Report what is not over although it was to be by now, and which VMs have shut down."""
        news, self._late = self._late, []
        for lease_id in sorted(self._timed):
            lease = self._ledger.leases[lease_id]
            if all(errand.reached for errand in self._ledger.of(lease)):
                news += self._shut_down(lease)
                continue
            if lease.end > now or lease.purpose is None:
                continue
            lease.delays += 1
            step = min(2 ** (lease.delays // 2), _LONGEST_DELAY_SECONDS)
            lease.end = now + step
            news.append(OperationDelayed(lease.id, lease.purpose, lease.end))
        return news

    def _shut_down(self, lease: Tracked) -> list[Input]:
        """A lease whose VMs are gone needs its hosts no more, however long was planned for it."""
        if lease.purpose is not Purpose.SHUTDOWN or lease.let_go:
            return []
        lease.let_go = True
        lease.taken.update(lease.vms)
        return [LeaseEnded(lease.id)]

    def take_doubted(self) -> set[int]:
        """VMs whose next look decides whether their leases ran; each is returned once."""
        doubted, self._doubted = self._doubted, set()
        return doubted

    def not_started(self, now: int, steady: float, *, answers: bool) -> list[Input]:
        """Decide on leases that were to have run by now, and did not as far as is known.

        None is over as if it had run, or fails by a look that came before its time was over.
        The time of those that OpenNebula is starting, and that are no ARs, has not begun. Where
        nobody knows yet, it goes on: OpenNebula does not answer, or has not told what became of
        a command. A lease that can run later is not given up for an OpenNebula that is away. To
        be asked before commands are given: it is too late to start VMs. ``steady`` is now by the
        clock of looks.
        """
        found: list[Input] = []
        for lease_id in sorted(self._starting):
            lease = self._ledger.leases[lease_id]
            if lease.let_go or (lease.end > now and lease_id not in self._in_doubt):
                continue
            purpose = lease.purpose
            assert purpose is not None, "its VMs are being started"
            since = self._in_doubt.setdefault(lease_id, steady)
            vms = [vm for vm in lease.vms if vm not in lease.taken]
            known = {vm: self._ran(vm, since, answers) for vm in vms}
            failed = [vm for vm, ran in known.items() if ran is False]
            can_wait = lease.request.kind is Kind.BEST_EFFORT and not answers
            if failed and answers and _counts_its_time(lease) and self._are_on_their_way(lease):
                lease.end = now + 1
                found.append(RunDelayed(lease.id, lease.end))
            elif failed and not can_wait:
                lease.purpose = None
                self.end(lease)
                tried = False
                for errand in self._ledger.of(lease):
                    tried |= errand.first_sent is not None or errand.attempts > 0
                    errand.given_up = True
                found.append(OperationFailed(lease.id, purpose, self._why_not(failed[0]), tried))
            elif not failed and None not in known.values():
                del self._in_doubt[lease_id]
            elif lease.end <= now:
                self._doubted.update(vms)
                lease.end = now + _ASK_AGAIN_SECONDS
                found.append(OperationDelayed(lease.id, purpose, lease.end))
        return found

    def _ran(self, vm: int, since: float, answers: bool) -> bool | None:
        """Tell whether a VM ran since it was to; ``None`` where nobody knows.

        One that was coming to run counts only by what OpenNebula said of it ``since`` then.
        """
        seen, errand = self._seen.get(vm), self._ledger.errands.get(vm)
        if errand is not None and errand.reached:
            return True
        if seen is None or (
            errand is not None and (errand.busy or seen.asked < errand.fresh_after)
        ):
            return None
        if seen.vm.state in AT_REST:
            return False
        if not starts(seen.vm):
            return True
        if not answers or (seen.asked < since and not is_broken(seen.vm)):
            return None
        return False

    def _why_not(self, vm: int) -> Reason:
        """Say why a VM that was seen did not run since it was to."""
        seen = self._seen.get(vm)
        if seen is None or seen.vm.state in AT_REST:
            return because(Code.NOT_STARTED)
        return because(Code.VM_NEVER_RAN, vm=vm, text=told(seen.vm.lcm_state))

    def _are_on_their_way(self, lease: Tracked) -> bool:
        """Tell whether OpenNebula works on all VMs of a lease that do not run yet."""
        states = [seen.vm for vm in lease.vms if (seen := self._seen.get(vm)) is not None]
        return all(runs(vm) or (starts(vm) and not is_broken(vm)) for vm in states)

    def next_moment(self) -> int | None:
        """The next moment when something is to be over that is not yet."""
        return min((self._ledger.leases[i].end for i in self._timed), default=None)


def _counts_its_time(lease: Tracked) -> bool:
    """Tell whether a lease's time counts from when its VMs run, rather than from its start."""
    return lease.request.kind is not Kind.AR and lease.request.duration is not None
