"""Leases and their VMs: decisions become errands, what happens to VMs becomes inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from haizea.backends.opennebula.enactment.absence import Absence
from haizea.backends.opennebula.enactment.meanings import (
    GOALS,
    ON_HOSTS,
    gives_hosts_up,
    running,
)
from haizea.backends.opennebula.enactment.outcomes import Outcome, What
from haizea.backends.opennebula.enactment.overdue import Overdue
from haizea.backends.opennebula.model.vm import VmState
from haizea.backends.opennebula.requests.edits import Edits
from haizea.backends.opennebula.state.endings import Endings
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import (
    Errand,
    Ledger,
    Tracked,
    ended_outside,
    vms_of,
)
from haizea.backends.opennebula.state.seen import Seen, SeenVms
from haizea.backends.opennebula.state.steps import AT_REST, Goal, is_broken, is_busy, is_over
from haizea.backends.opennebula.state.whereabouts import ended_by_itself
from haizea.core.model.events import (
    Decision,
    Input,
    LeaseAccepted,
    LeaseAltered,
    LeaseCancelled,
    LeaseEnded,
    LeaseReady,
    OperationEnded,
    OperationFailed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.records import LeaseRecord
from haizea.wording import in_words

_log = logging.getLogger(__name__)


class Leases:
    """Follows the leases whose nodes are VMs. To be used from one thread.

    ``known`` finds the request of a lease that is over; ``edits`` are what owners changed.
    """

    def __init__(
        self,
        ledger: Ledger,
        seen: SeenVms,
        table: HostTable,
        endings: Endings,
        known: Callable[[int], LeaseRequest | None],
        edits: Edits,
    ) -> None:
        self._ledger = ledger
        self._seen = seen
        self._table = table
        self._endings = endings
        self._known = known
        self._absence = Absence()
        self._edits = edits
        self.overdue = Overdue(ledger, seen)
        #: Nothing is sent, so that VMs stay as they are.
        self.dry_run = False
        #: VMs that came to a lease, or lost theirs, since this was emptied.
        self.moved: set[int] = set()
        #: VMs of leases of which another VM can never run again.
        self.remnants: set[int] = set()
        #: Hosts on which a lease could not be started, by lease and index.
        self.avoid: dict[int, int] = {}

    # --- decisions ------------------------------------------------------------------------

    def follow(self, now: int, decisions: Sequence[Decision]) -> None:
        """Aim VMs at what was decided."""
        runs = running(decisions)
        for decision in decisions:
            if isinstance(decision, LeaseAccepted):
                self._enter(decision.request, State.NEW)
            elif isinstance(decision, LeaseAltered):
                self._edits.note_altered(decision)
            elif isinstance(decision, StateChanged):
                self._changed(now, decision)
            elif isinstance(decision, OperationStarted):
                self._started(now, decision)
            elif isinstance(decision, OperationEnded):
                lease = self._ledger.leases.get(decision.lease_id)
                if lease is not None and decision.purpose in (lease.purpose, lease.failed):
                    self._nothing_under_way(lease)
                    if gives_hosts_up(decision, runs):
                        self._leave(now, lease)
        self._endings.save()

    def finish(self, now: int, decisions: Iterable[Decision]) -> None:
        """After a restart: of decisions whose commands may be missing, the ends of leases.

        Those that lost their hosts, if only in the moment in which they failed, leave them, too.
        """
        on_hosts: set[int] = set()
        for decision in decisions:
            if isinstance(decision, LeaseAltered):
                self._edits.note_altered_before(decision.request.id)
            if not isinstance(decision, StateChanged | OperationEnded):
                continue
            known = self._ledger.leases.get(decision.lease_id)
            if known is not None and known.purpose is None and gives_hosts_up(decision, ()):
                self._leave(now, known)
            if isinstance(decision, OperationEnded):
                continue
            if decision.old in ON_HOSTS:
                on_hosts.add(decision.lease_id)
            if decision.new not in FINAL or known is not None:
                continue
            request = self._known(decision.lease_id)
            if request is not None:
                lease = Tracked(request=request, vms=vms_of(request), state=decision.old)
                old = State.ACTIVE if lease.id in on_hosts else decision.old
                self._over(now, lease, decision._replace(old=old))
        self._endings.save()

    def take_up(self, now: int, record: LeaseRecord) -> None:
        """After a restart: aim a lease's VMs at what its record says."""
        lease = self._enter(record.request, record.state)
        if lease is None:
            return
        self._absence.note(record, lease)
        plan = record.plan
        if plan is not None and plan.since is not None:
            phase = plan.phases[plan.at]
            # What runs may be on another host since then, to which others took it.
            since = min(plan.since, record.changed) if phase.purpose is Purpose.RUN else plan.since
            self._begin(since, lease, phase.purpose, phase.end, plan.hosts)
            lease.started = phase.purpose not in (Purpose.PREPARE, Purpose.RUN)
            if phase.purpose is Purpose.SHUTDOWN:
                for errand in self._ledger.of(lease):
                    errand.first_sent = plan.since
        elif record.saved:
            self._aim_all(now, lease, Goal.SAVED)
        elif any(self._endings.has(vm) for vm in lease.vms):
            self._leave(now, lease)

    def _enter(self, request: LeaseRequest, state: State) -> Tracked | None:
        lease = self._ledger.enter(request, state)
        if lease is not None:
            self.moved.update(lease.vms)
        return lease

    def _changed(self, now: int, change: StateChanged) -> None:
        lease = self._ledger.leases.get(change.lease_id)
        if lease is None:
            return
        if change.new in FINAL:
            self._over(now, lease, change)
            return
        lease.state = change.new
        if gives_hosts_up(change, ()):
            self._nothing_under_way(lease)
            self._leave(now, lease)

    def _leave(self, now: int, lease: Tracked) -> None:
        """The VMs of a lease leave their hosts, to start over some time."""
        self._aim_all(now, lease, Goal.OFF)
        for vm in lease.vms:
            self._endings.add(vm, now, only_off=True)

    def _nothing_under_way(self, lease: Tracked) -> None:
        lease.purpose = None
        self.overdue.end(lease)

    def _over(self, now: int, lease: Tracked, change: StateChanged) -> None:
        """A lease is over: its VMs are ended, taken off their hosts, or left alone."""
        outside = lease.let_go or change.code == "early-end" or ended_outside(change.reason)
        self._ledger.remove(lease)
        self._nothing_under_way(lease)
        self.avoid.pop(lease.id, None)
        self.moved.update(lease.vms)
        ends = change.new in (State.DONE, State.CANCELLED) and not outside
        failed = change.new is State.FAILED and not outside
        if lease.spoilt:
            self.remnants.update(lease.vms)
        for node, vm in enumerate(lease.vms):
            errand = self._ledger.errands.get(vm)
            on_host = errand is not None or change.old in ON_HOSTS
            left_alone = outside and vm not in lease.taken and len(lease.vms) > 1
            if lease.spoilt or ((failed or left_alone) and on_host):
                # Nothing is deleted; and nothing runs for ever that was to run for a while.
                self._aim(now, lease, node, Goal.PARKED)
                self._endings.add(vm, now, only_off=True)
            elif ends:
                self._aim(now, lease, node, Goal.ENDED)
                self._endings.add(vm, now)
            else:
                self._ledger.drop(vm)
                self._endings.remove(vm)

    def _started(self, now: int, decision: OperationStarted) -> None:
        lease = self._ledger.leases.get(decision.lease_id)
        if lease is not None:
            self._begin(now, lease, decision.purpose, decision.end, decision.hosts)

    def _begin(
        self, now: int, lease: Tracked, purpose: Purpose, end: int, hosts: tuple[int, ...]
    ) -> None:
        goal = GOALS.get(purpose)
        if goal is None:
            return
        lease.purpose, lease.end, lease.delays, lease.failed = purpose, end, 0, None
        self.overdue.begin(now, lease)
        for node in range(len(lease.vms)):
            self._aim(now, lease, node, goal, hosts[node])
        if goal is Goal.RUNNING:
            # Others may have moved them while they were resumed.
            self._ledger.changed.update(lease.vms)
            if all(errand.reached for errand in self._ledger.of(lease)):
                self.overdue.started(now, lease)

    def _aim_all(self, now: int, lease: Tracked, goal: Goal) -> None:
        for node in range(len(lease.vms)):
            self._aim(now, lease, node, goal)

    def _aim(
        self, now: int, lease: Tracked, node: int, goal: Goal, index: int | None = None
    ) -> None:
        vm = lease.vms[node]
        known = self._ledger.errands.get(vm)
        if goal is not Goal.RUNNING:
            index = None
        same = known is not None and (known.goal, known.index, known.lease)
        if known is not None and not known.given_up and same == (goal, index, lease.id):
            return
        self._ledger.aim(
            Errand(
                vm=vm,
                lease=lease.id,
                size=lease.request.node_capacities()[node],
                goal=goal,
                since=now,
                host=None if index is None else self._table.entries[index].number,
                index=index,
                resumes=lease.purpose is Purpose.RESUME,
            )
        )

    # --- what happens ---------------------------------------------------------------------

    def judge(self, now: int, vm: int) -> list[Input]:
        """Judge the present state of a VM of which nothing is wanted at present."""
        lease = self._ledger.leases.get(self._ledger.lease_of.get(vm, -1))
        errand, seen = self._ledger.errands.get(vm), self._seen.get(vm)
        if lease is None:
            if errand is not None and seen is None:
                self._ledger.drop(vm)
                self._endings.remove(vm)
            return []
        if lease.let_go or (seen is None and vm in self._seen.unread):
            return []
        if seen is None or is_over(seen.vm):
            return self._gone(lease, vm, errand)
        if self.dry_run:
            return []
        if errand is not None and not errand.reached:
            if not self._absence.was_changed(seen.vm, legacy=self._seen.legacy):
                return []
            self._ledger.reach(errand)
        return self._undisturbed(now, lease, errand, seen)

    def _undisturbed(
        self, now: int, lease: Tracked, errand: Errand | None, seen: Seen
    ) -> list[Input]:
        """Check whether a VM that came to where it was to be is still there."""
        vm, state = seen.vm, seen.vm.state
        match errand.goal if errand is not None else Goal.OFF:
            case Goal.RUNNING:
                if state != VmState.ACTIVE:
                    return self._off(lease, vm.id, Code.VM_TAKEN_OFF)
                if self._seen.legacy and ended_by_itself(now, seen, self._table):
                    return self._off(lease, vm.id, Code.VM_ENDED)
                if errand is not None:
                    self._ledger.disturb(errand, by_others=is_busy(vm) or is_broken(vm))
            case Goal.SAVED:
                if state not in AT_REST and state != VmState.SUSPENDED:
                    return self._cancel(lease, vm.id, Code.VM_STARTED_BY_OTHERS)
            case Goal.OFF | Goal.PARKED:
                return self._waiting(now, lease, errand, seen)
            case Goal.ENDED:
                pass
        return []

    def _waiting(self, now: int, lease: Tracked, errand: Errand | None, seen: Seen) -> list[Input]:
        vm = seen.vm
        if self._seen.waits.has(vm):
            if errand is None and self._edits.is_another_request(lease, vm):
                return self._cancel(lease, vm.id, Code.VM_ASKS_ANEW)
            return []
        if errand is not None and (vm.state in AT_REST or vm.state == VmState.SUSPENDED):
            return []
        if vm.state == VmState.HOLD:
            return self._cancel(lease, vm.id, Code.VM_PUT_ON_HOLD)
        if vm.state == VmState.PENDING:
            return self._cancel(lease, vm.id, Code.VM_RELEASED)
        if self._seen.legacy and self._endings.is_fresh(vm.id, now):  # 1.4 starts late.
            self._ledger.drop(vm.id)
            self._leave(now, lease)
            return []
        return self._cancel(lease, vm.id, Code.VM_STARTED_BY_OTHERS)

    def _gone(self, lease: Tracked, vm: int, errand: Errand | None) -> list[Input]:
        if errand is not None and errand.goal is Goal.ENDED:
            self._ledger.reach(errand)
            return []
        seen = self._seen.get(vm)
        if seen is None:
            return self._off(lease, vm, Code.VM_DELETED)
        # In 1.4, where what failed cannot be started again; the whole group is over then.
        lease.let_go = lease.spoilt = True
        return [LeaseCancelled(lease.id, because(Code.VM_NEVER_STARTS_AGAIN, vm=vm))]

    def _off(self, lease: Tracked, vm: int, code: Code) -> list[Input]:
        """A VM was taken off its host: a lease that runs goes on while any of its VMs does."""
        starting = lease.purpose is Purpose.PREPARE
        if lease.state is not State.ACTIVE and not starting:
            return self._cancel(lease, vm, code)
        lease.taken.add(vm)
        if any(self._is_on(one) for one in lease.vms):
            done = in_words(because(code, vm=vm))
            _log.info("%s; lease %d goes on with the others", done, lease.id)
            return []
        if starting:
            return self._cancel(lease, vm, code)
        lease.let_go = True
        return [LeaseEnded(lease.id)]

    def _is_on(self, vm: int) -> bool:
        seen, errand = self._seen.get(vm), self._ledger.errands.get(vm)
        if seen is None or is_over(seen.vm):
            return False
        return seen.vm.state == VmState.ACTIVE or (errand is not None and not errand.reached)

    def _cancel(self, lease: Tracked, vm: int, code: Code) -> list[Input]:
        lease.let_go = True
        lease.taken.add(vm)
        return [LeaseCancelled(lease.id, because(Code.ENDED_OUTSIDE, cause=because(code, vm=vm)))]

    def outcome(self, now: int, outcome: Outcome) -> list[Input]:
        """Report what the outcome of an errand means for its lease."""
        errand = outcome.errand
        lease = self._ledger.leases.get(errand.lease)
        if lease is None:
            if outcome.what in (What.REACHED, What.GONE):
                self._ledger.drop(errand.vm)
                self._endings.remove(errand.vm)
            return []
        if lease.let_go:
            return []
        match outcome.what:
            case What.REACHED:
                fresh = errand.goal is Goal.OFF and self._endings.is_fresh(errand.vm, now)
                if errand.goal is not Goal.SAVED and not fresh:
                    self._endings.remove(errand.vm)
                if errand.goal is Goal.RUNNING and all(e.reached for e in self._ledger.of(lease)):
                    lease.started = True
                    if lease.purpose is Purpose.PREPARE:
                        return [LeaseReady(lease.id)]
                    return self.overdue.started(now, lease)
                return []
            case What.GONE:
                return self._gone(lease, errand.vm, errand)
            case What.AWAY:
                self._ledger.reach(errand)
                return self._off(lease, errand.vm, Code.VM_POWERED_OFF)
            case What.FAILED:
                self._ledger.changed.add(errand.vm)
                assert outcome.reason is not None, "what failed did so for a reason"
                return self._failed(lease, errand, outcome.reason)

    def _failed(self, lease: Tracked, errand: Errand, reason: Reason) -> list[Input]:
        purpose = lease.purpose
        if purpose is None or purpose is Purpose.SHUTDOWN:
            return []
        self._nothing_under_way(lease)
        lease.failed = purpose
        if purpose in (Purpose.PREPARE, Purpose.RUN) and errand.index is not None:
            self.avoid[lease.id] = self.avoid.get(lease.id, 0) | 1 << errand.index
        # Who waited in vain for room, or for a place for its files, was not started.
        tried = errand.attempts > 0 or errand.waits_since is None
        return [OperationFailed(lease.id, purpose, reason, tried)]
