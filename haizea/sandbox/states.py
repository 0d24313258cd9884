"""States of VMs and hosts, with OpenNebula's numbers and names."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """``STATE`` of a VM."""

    INIT = 0
    PENDING = 1
    HOLD = 2
    ACTIVE = 3
    STOPPED = 4
    SUSPENDED = 5
    DONE = 6
    FAILED = 7
    POWEROFF = 8
    UNDEPLOYED = 9
    CLONING = 10
    CLONING_FAILURE = 11


class Lcm(IntEnum):
    """``LCM_STATE`` of a VM: what it does while ACTIVE.

    13 and 14 exist in 1.4 only. 15 was DELETE there, which nobody can tell from what came later.
    """

    LCM_INIT = 0
    PROLOG = 1
    BOOT = 2
    RUNNING = 3
    MIGRATE = 4
    SAVE_STOP = 5
    SAVE_SUSPEND = 6
    SAVE_MIGRATE = 7
    PROLOG_MIGRATE = 8
    PROLOG_RESUME = 9
    EPILOG_STOP = 10
    EPILOG = 11
    SHUTDOWN = 12
    CANCEL = 13
    FAILURE = 14
    CLEANUP_RESUBMIT = 15
    UNKNOWN = 16
    SHUTDOWN_POWEROFF = 18
    BOOT_UNKNOWN = 19
    BOOT_POWEROFF = 20
    BOOT_SUSPENDED = 21
    BOOT_STOPPED = 22
    CLEANUP_DELETE = 23
    SHUTDOWN_UNDEPLOY = 29
    EPILOG_UNDEPLOY = 30
    PROLOG_UNDEPLOY = 31
    BOOT_UNDEPLOY = 32
    BOOT_MIGRATE = 35
    BOOT_FAILURE = 36
    BOOT_MIGRATE_FAILURE = 37
    PROLOG_MIGRATE_FAILURE = 38
    PROLOG_FAILURE = 39
    EPILOG_FAILURE = 40
    EPILOG_STOP_FAILURE = 41
    EPILOG_UNDEPLOY_FAILURE = 42
    PROLOG_MIGRATE_POWEROFF = 43
    PROLOG_MIGRATE_POWEROFF_FAILURE = 44
    PROLOG_MIGRATE_SUSPEND = 45
    PROLOG_MIGRATE_SUSPEND_FAILURE = 46
    BOOT_UNDEPLOY_FAILURE = 47
    BOOT_STOPPED_FAILURE = 48
    PROLOG_RESUME_FAILURE = 49
    PROLOG_UNDEPLOY_FAILURE = 50


class HostState(IntEnum):
    """``STATE`` of a host."""

    INIT = 0
    MONITORING_MONITORED = 1
    MONITORED = 2
    ERROR = 3
    DISABLED = 4
    OFFLINE = 8


#: Both numbers of a VM's state.
Pair = tuple[State, Lcm]

RUNNING: Pair = (State.ACTIVE, Lcm.RUNNING)


def resting(state: State) -> Pair:
    """The pair of a state that has no inner states."""
    return (state, Lcm.LCM_INIT)


def active(lcm: Lcm) -> Pair:
    """The pair of an inner state of ACTIVE."""
    return (State.ACTIVE, lcm)


def pair_name(pair: Pair) -> str:
    """The name that OpenNebula's messages use."""
    state, lcm = pair
    return lcm.name if state is State.ACTIVE else state.name


def is_failure(pair: Pair) -> bool:
    """A step failed, and somebody must recover the VM."""
    return pair[0] is State.ACTIVE and pair[1].name.endswith("_FAILURE")
