"""Everything that is learned of operations, by one name. To be used from one thread."""

from __future__ import annotations

from collections.abc import Iterable

from haizea.backends.opennebula.model.vm import VirtualMachine, VmState
from haizea.backends.opennebula.state.leads import LeadTimes
from haizea.backends.opennebula.state.ledger import Errand
from haizea.backends.opennebula.state.rates import HostRatesLearned
from haizea.backends.opennebula.state.steps import Verb


class Learning:
    """Tells of operations on VMs to all who learn from them."""

    def __init__(self, rates: HostRatesLearned, leads: LeadTimes) -> None:
        self.rates = rates
        self.leads = leads

    def accepted(self, now: int, errand: Errand, verb: Verb) -> None:
        """A command for a lease's VM was accepted."""
        self.rates.accepted(now, errand, verb)
        self.leads.accepted(now, errand, verb)

    def disturbed(self) -> None:
        """Note that what is under way was not watched all the time."""
        self.rates.disturbed()
        self.leads.disturbed()

    def reached(self, now: int, errand: Errand) -> None:
        """A VM came to where it was to be."""
        self.rates.reached(now, errand)
        self.leads.reached(now, errand)

    def ended(self, now: int, vms: Iterable[VirtualMachine]) -> None:
        """Take notice of those that are over."""
        for vm in vms:
            if vm.state == VmState.DONE:
                self.leads.ended(now, vm)
