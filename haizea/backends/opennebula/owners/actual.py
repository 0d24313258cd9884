"""The real state of leases' VMs, for those who are told about them."""

from __future__ import annotations

from math import ceil

from haizea.backends.opennebula.enactment.outcomes import WAITS_TO_BE_STARTED, doing
from haizea.backends.opennebula.matching.lease_hosts import Placing
from haizea.backends.opennebula.model.disks import images_of
from haizea.backends.opennebula.model.vm import LcmState, VirtualMachine, VmState
from haizea.backends.opennebula.owners.words import Actual
from haizea.backends.opennebula.requests.edits import Edits
from haizea.backends.opennebula.state.leads import LeadTimes
from haizea.backends.opennebula.state.ledger import Errand, Ledger, Tracked
from haizea.backends.opennebula.state.seen import Seen, SeenVms
from haizea.backends.opennebula.state.steps import Goal, is_broken
from haizea.core.model.events import Purpose
from haizea.core.model.reasons import Code, Reason
from haizea.wording import in_words

_STARTING = frozenset([Purpose.PREPARE, Purpose.RUN, Purpose.RESUME])


class Actuals:
    """Tells how one VM at a time really is. To be used from the loop's thread."""

    def __init__(
        self, ledger: Ledger, seen: SeenVms, placing: Placing, leads: LeadTimes, edits: Edits
    ) -> None:
        self._ledger = ledger
        self._seen = seen
        self._placing = placing
        self._leads = leads
        self._edits = edits

    def of(self, vm: int) -> Actual:
        """Return how a VM is, as far as is known."""
        seen = self._seen.get(vm)
        host, remark = "", ""
        if seen is not None:
            remarks = [self._trouble(vm), self._placing.mistake(seen.vm)]
            remark = "; ".join(text for text in remarks if text)
            if seen.vm.state == VmState.ACTIVE and seen.vm.history:
                host = seen.vm.history[-1].host_name
        doing = self._doing(vm)
        boots = self._boots(seen.vm) if seen is not None and doing else None
        change = self._edits.answer(vm)
        return Actual(host=host, doing=doing, boots=boots, remark=remark, change=change)

    def _boots(self, vm: VirtualMachine) -> int | None:
        """Return when a VM boots at last whose image is being copied, as far as was learned."""
        if vm.state != VmState.ACTIVE or vm.lcm_state != LcmState.PROLOG or not vm.history:
            return None
        begun = vm.history[-1].prolog_start
        if not images_of(vm).size_mb:
            return None
        return begun + ceil(self._leads.copy_seconds(vm)) if begun else None

    def _trouble(self, vm: int) -> str:
        """Return what went wrong that others began with a VM that ran."""
        errand = self._ledger.errands.get(vm)
        if errand is None:
            return ""
        if vm in self._ledger.disturbed and errand.problem:
            return f"{in_words(errand.problem)}: Haizea tries to get it out of that"
        freed_from = in_words(errand.freed_from)
        return f"{freed_from}: Haizea got it out of that" if freed_from else ""

    def _doing(self, vm: int) -> str:
        """Return what a VM does on its way to running; empty for one that runs."""
        lease = self._ledger.leases.get(self._ledger.lease_of.get(vm, -1))
        errand, seen = self._ledger.errands.get(vm), self._seen.get(vm)
        if lease is None or errand is None:
            return WAITS_TO_BE_STARTED  # What was just decided has not been carried out yet.
        if _came_up(lease, errand):
            return ""
        begun = lease.purpose is not None and not errand.off_first
        if seen is None or not begun or _failed_before(errand, seen):
            return WAITS_TO_BE_STARTED
        if errand.problem:
            return f"{_said_of_it(errand.problem)}; it is tried again"
        images = images_of(seen.vm)
        if images.size_mb and seen.vm.lcm_state == LcmState.PROLOG:
            return f"copying {images.name}, {images.size_mb} MB"
        return doing(seen.vm)


def _said_of_it(problem: Reason) -> str:
    """A problem in words that stand where the VM is named already."""
    match problem.code:
        case Code.VM_FAILED:
            return str(problem.get("text"))
        case Code.VM_HANGS:
            return f"it hangs in {problem.get('text')}"
        case _:
            return in_words(problem)


def _failed_before(errand: Errand, seen: Seen) -> bool:
    """Tell whether a VM shows what went wrong with an earlier start."""
    return is_broken(seen.vm) and not errand.problem


def _came_up(lease: Tracked, errand: Errand) -> bool:
    """Tell whether a VM of a lease came to running; what it did since then is not its start."""
    if lease.purpose not in _STARTING:
        return lease.purpose is not None
    return errand.goal is Goal.RUNNING and errand.reached
