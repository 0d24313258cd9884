"""Changes that others made to VMs of leases while Haizea was not at work, as far as they show."""

from __future__ import annotations

from haizea.backends.opennebula.model.vm import VirtualMachine, VmState
from haizea.backends.opennebula.requests.drafts import DraftRules, read_words
from haizea.backends.opennebula.state.ledger import Tracked
from haizea.backends.opennebula.state.steps import runs
from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.records import LeaseRecord

#: OpenNebula's clock may be so much behind.
_CLOCK_SECONDS = 2
#: What no command of Haizea's leads to while a VM is to run.
_TAKEN_OFF = frozenset([VmState.STOPPED, VmState.SUSPENDED, VmState.POWEROFF])


class Absence:
    """Knowledge of VMs from before; each is asked about once, when it is seen again."""

    def __init__(self, rules: DraftRules) -> None:
        self._rules = rules
        self._asked: dict[int, tuple[LeaseRequest, int]] = {}
        #: Since when VMs were to be on the hosts where they are to run, or off them, saved.
        self._since: dict[int, int] = {}
        self._saved: dict[int, int] = {}

    def note(self, record: LeaseRecord, lease: Tracked) -> None:
        """A lease is taken up as its record has it."""
        plan = record.plan
        runs_now = (
            plan is not None
            and plan.since is not None
            and plan.phases[plan.at].purpose is Purpose.RUN
        )
        for node, vm in enumerate(lease.vms):
            self._asked[vm] = (record.request, node)
            if plan is not None and runs_now:
                # It may be on another host since, to which others took it.
                self._since[vm] = min(plan.phases[0].start, record.changed)
            elif record.saved and (plan is None or plan.since is None):
                self._saved[vm] = record.changed

    def was_changed(self, vm: VirtualMachine, *, legacy: bool) -> bool:
        """Tell whether somebody took a VM that ran off its host, or started one that was saved.

        A stay that began before it was to run says nothing: the command to start it may
        never have been sent; nor does one that began before it was saved. In 1.4 Haizea
        itself may have stopped it.
        """
        since, saved = self._since.pop(vm.id, None), self._saved.pop(vm.id, None)
        if legacy or not vm.history:
            return False
        began = vm.history[-1].start
        if since is not None:
            return began >= since - _CLOCK_SECONDS and vm.state in _TAKEN_OFF
        return saved is not None and began > saved + _CLOCK_SECONDS and runs(vm)

    def edited(self, vm: VirtualMachine) -> bool:
        """Tell whether a VM that waits asks for something else than its lease was made for."""
        known = self._asked.pop(vm.id, None)
        return known is not None and not _still_asks(vm, *known, self._rules)


def _still_asks(vm: VirtualMachine, request: LeaseRequest, node: int, rules: DraftRules) -> bool:
    if request.node_capacities()[node] != (vm.cpu_percent, vm.memory_mb):
        return False
    found = read_words(vm, rules)
    if found is None:
        return False  # It made sense once.
    words, speaks = found
    if not speaks and request.kind is not Kind.AR:
        # What it gets by default may be configured otherwise now, which is no request.
        return request.duration is None and not request.preemptible
    start = words.start
    asked = (start.kind, words.duration, words.preemptible, words.group)
    if asked != (request.kind, request.duration, request.preemptible, request.label):
        return False
    if words.fixed_hosts != request.fixed_hosts:
        return False
    # A relative start counts from the last VM of a group.
    relative = start.kind is Kind.AR and start.moment is None
    if (relative or words.deadline is not None) and words.group:
        return True
    window = [None if at is None else at.at(vm.stime) for at in (words.after, words.deadline)]
    same = window == [request.after, request.deadline]
    return same and start.at(vm.stime) == request.start
