"""The next step for one VM on its way to where it is to be.

One function of the VM's state and of its goal. It does not matter which command was given
before, or whether its answer was lost: what there is decides, so that it can be asked again
at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from haizea.backends.opennebula.model.vm import LcmState, VirtualMachine, VmState


class Goal(StrEnum):
    """The goal for a VM: that it runs, is saved, is on no host, or is over.

    One that is parked is on no host either, and whatever can be kept of it is.
    """

    RUNNING = "running"
    SAVED = "saved"
    PARKED = "parked"
    OFF = "off"
    ENDED = "ended"


class Verb(StrEnum):
    """A command for a VM."""

    DEPLOY = "deploy"
    RESUME = "resume"
    MIGRATE = "migrate"
    STOP = "stop"
    SUSPEND = "suspend"
    UNDEPLOY = "undeploy"
    TERMINATE = "terminate"
    TERMINATE_HARD = "terminate-hard"
    #: What failed is tried again, counts as failed, or is begun from nothing.
    RETRY = "recover retry"
    FAIL = "recover failure"
    RECREATE = "recover recreate"
    DELETE = "recover delete"


class Finding(StrEnum):
    """The situation of a VM for which there is no command to give."""

    REACHED = "it is as wanted"
    UNDER_WAY = "it is on its way"
    AWAY = "somebody took it off its host"
    GONE = "it does not exist any more"
    LOST = "nobody knows whether it runs"
    BROKEN = "an operation failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """Peculiarities of this OpenNebula that commands must respect.

    ``suspends``: VMs are saved by suspending them, so that they stay on their host and
    count there; otherwise they are stopped.
    """

    legacy: bool = False
    suspends: bool = False


#: The first of the LCM states of failed operations; all later ones of 36 to 50 but two are.
_FIRST_FAILURE = 36
_WORKING = frozenset([43, 45])
_LAST_FAILURE = 50
#: Failures of a first start, after which nothing of the VM exists that is worth keeping.
NOTHING_LOST = frozenset([36, 39])
#: Failures on the way to RUNNING; tried again, the VM takes its room on the host in fact.
STARTS = frozenset([36, 37, 38, 39, 47, 48, 49, 50])

#: A VM in them is on no host.
AT_REST = frozenset([VmState.PENDING, VmState.HOLD, VmState.STOPPED, VmState.UNDEPLOYED])
#: States between rest and the first moment in which a VM runs.
_STARTING = frozenset(
    [
        LcmState.INIT,
        LcmState.PROLOG,
        LcmState.BOOT,
        LcmState.PROLOG_RESUME,
        LcmState.CLEANUP_RESUBMIT,
        LcmState.BOOT_SUSPENDED,
        LcmState.BOOT_STOPPED,
        LcmState.PROLOG_UNDEPLOY,
        LcmState.BOOT_UNDEPLOY,
        *(STARTS - {37, 38}),
    ]
)
_OVER = frozenset([VmState.DONE, VmState.FAILED, VmState.CLONING_FAILURE])


def is_broken(vm: VirtualMachine) -> bool:
    """Tell whether an operation on the VM failed, and somebody has to recover it."""
    lcm = vm.lcm_state
    return (
        vm.state == VmState.ACTIVE
        and _FIRST_FAILURE <= lcm <= _LAST_FAILURE
        and lcm not in _WORKING
    )


def runs(vm: VirtualMachine) -> bool:
    """Tell whether the VM is up."""
    return vm.state == VmState.ACTIVE and vm.lcm_state == LcmState.RUNNING


def starts(vm: VirtualMachine) -> bool:
    """Tell whether it is on its way to run, or failed on it, and has not run since it rested."""
    return vm.state == VmState.ACTIVE and vm.lcm_state in _STARTING


def is_busy(vm: VirtualMachine) -> bool:
    """Tell whether the VM is in a state that it leaves by itself."""
    settled = (LcmState.RUNNING, LcmState.UNKNOWN)
    return vm.state == VmState.ACTIVE and vm.lcm_state not in settled and not is_broken(vm)


def is_over(vm: VirtualMachine) -> bool:
    """Tell whether the VM will never run again."""
    return vm.state in _OVER


def next_step(goal: Goal, host: int | None, vm: VirtualMachine, manners: Manners) -> Verb | Finding:
    """The next command for the VM, or how it is. ``host`` is where it is to run."""
    if is_over(vm):
        return Finding.REACHED if goal is not Goal.RUNNING else Finding.GONE
    if is_broken(vm):
        return Finding.BROKEN
    if is_busy(vm):
        return Finding.UNDER_WAY
    match goal:
        case Goal.RUNNING:
            return _to_run(host, vm, manners)
        case Goal.SAVED:
            return _to_save(vm, manners)
        case Goal.PARKED | Goal.OFF:
            return _to_take_off(goal, vm, manners)
        case Goal.ENDED:
            return _to_end(vm, manners)


def _to_run(host: int | None, vm: VirtualMachine, manners: Manners) -> Verb | Finding:
    match vm.state:
        case VmState.ACTIVE:
            return Finding.REACHED if runs(vm) else Finding.LOST
        case VmState.STOPPED if manners.legacy:
            return Verb.RESUME  # It is pending then.
        case VmState.SUSPENDED if vm.last_host_id == host or manners.legacy:
            return Verb.RESUME
        case VmState.SUSPENDED:
            return Verb.MIGRATE
        case _ if vm.state in AT_REST:
            return Verb.DEPLOY
        case VmState.POWEROFF:
            return Finding.AWAY
        case _:
            return Finding.UNDER_WAY


def _to_save(vm: VirtualMachine, manners: Manners) -> Verb | Finding:
    match vm.state:
        case VmState.ACTIVE if not runs(vm):
            return Finding.LOST
        case VmState.ACTIVE:
            return Verb.SUSPEND if manners.suspends else Verb.STOP
        case VmState.SUSPENDED:
            return Finding.REACHED if manners.suspends or manners.legacy else Verb.STOP
        case VmState.POWEROFF:
            return Finding.AWAY
        case _ if vm.state in AT_REST:
            return Finding.REACHED
        case _:
            return Finding.UNDER_WAY


def _to_take_off(goal: Goal, vm: VirtualMachine, manners: Manners) -> Verb | Finding:
    match vm.state:
        case VmState.ACTIVE if not runs(vm):
            return Finding.LOST
        case VmState.ACTIVE:
            return Verb.STOP if manners.legacy or goal is Goal.PARKED else Verb.UNDEPLOY
        case VmState.POWEROFF:
            return Verb.UNDEPLOY
        case VmState.SUSPENDED:
            return Finding.REACHED if manners.legacy else Verb.STOP
        case _ if vm.state in AT_REST:
            return Finding.REACHED
        case _:
            return Finding.UNDER_WAY


def _to_end(vm: VirtualMachine, manners: Manners) -> Verb | Finding:
    if manners.legacy and not runs(vm):
        return Verb.TERMINATE_HARD
    return Verb.TERMINATE
