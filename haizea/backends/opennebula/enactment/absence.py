"""Changes that others made to VMs of leases while Haizea was not at work, as far as they show."""

from __future__ import annotations

from haizea.backends.opennebula.model.vm import VirtualMachine, VmState
from haizea.backends.opennebula.state.ledger import Tracked
from haizea.backends.opennebula.state.steps import runs
from haizea.core.model.events import Purpose
from haizea.core.model.records import LeaseRecord

#: OpenNebula's clock may be so much behind.
_CLOCK_SECONDS = 2
#: What no command of Haizea's leads to while a VM is to run.
_TAKEN_OFF = frozenset([VmState.STOPPED, VmState.SUSPENDED, VmState.POWEROFF])


class Absence:
    """Knowledge of VMs from before; each is asked about once, when it is seen again."""

    def __init__(self) -> None:
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
        for vm in lease.vms:
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
