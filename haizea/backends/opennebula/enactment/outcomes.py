"""Outcomes of errands, and the limits of the work on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from haizea.backends.opennebula.model.vm import LcmState, VirtualMachine, VmState
from haizea.backends.opennebula.state.ledger import Errand
from haizea.core.model.reasons import Reason

#: What failed, by the LCM states that say so.
_FAILURES = {
    36: "booting",
    37: "booting after a migration",
    38: "moving its files for a migration",
    39: "preparing its files",
    40: "cleaning up after it",
    41: "storing its memory",
    42: "storing its disks",
    44: "moving its files",
    46: "moving its files",
    47: "booting from stored disks",
    48: "restoring its memory",
    49: "fetching its memory",
    50: "fetching its disks",
}


#: What a VM does on its way to running, by the LCM states that say so.
_STARTS = {
    LcmState.PROLOG: "preparing its files",
    LcmState.BOOT: "booting",
    LcmState.PROLOG_MIGRATE: "moving its files",
    LcmState.PROLOG_RESUME: "fetching its memory",
    LcmState.BOOT_POWEROFF: "booting",
    LcmState.BOOT_SUSPENDED: "restoring its memory",
    LcmState.BOOT_STOPPED: "restoring its memory",
    LcmState.PROLOG_UNDEPLOY: "fetching its disks",
    LcmState.BOOT_UNDEPLOY: "booting from stored disks",
    LcmState.BOOT_MIGRATE: "restoring its memory",
}

WAITS_TO_BE_STARTED = "waiting to be started"

_LONGEST_BACKOFF_SECONDS = 60


class What(StrEnum):
    """Outcomes of errands, by kind."""

    REACHED = "reached"
    FAILED = "failed"
    AWAY = "away"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an errand, and of one that failed the reason."""

    errand: Errand
    what: What
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds and numbers that bound what is done.

    ``per_host`` operations are under way on a host at once, their commands ``apart_seconds``
    from each other. An operation hangs after ``timeout_seconds``; a VM has ``grace_seconds``
    to shut down. What does not work is tried ``retries`` times more, the first time
    after ``backoff_seconds``.
    """

    per_host: int = 10
    apart_seconds: int = 0
    timeout_seconds: int = 900
    grace_seconds: int = 60
    retries: int = 3
    backoff_seconds: int = 2

    def wait_seconds(self, attempts: int) -> int:
        """The time from the last of so many attempts that failed to the next."""
        return min(self.backoff_seconds << min(attempts - 1, 10), _LONGEST_BACKOFF_SECONDS)


def told(lcm: int) -> str:
    """A state in words."""
    if lcm in _FAILURES:
        return f"{_FAILURES[lcm]} failed"
    if lcm in list(LcmState):
        return LcmState(lcm).name.lower().replace("_", " ")
    return f"state {lcm}"


def doing(vm: VirtualMachine) -> str:
    """Describe in words what a VM does that is to run."""
    if vm.state != VmState.ACTIVE:
        return WAITS_TO_BE_STARTED
    known = list(LcmState)
    return (vm.lcm_state in known and _STARTS.get(LcmState(vm.lcm_state))) or told(vm.lcm_state)
