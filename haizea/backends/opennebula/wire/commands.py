"""Names of what can be done to VMs."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Action(StrEnum):
    """Actions of ``one.vm.action`` on a VM that a scheduler needs."""

    SUSPEND = "suspend"
    RESUME = "resume"
    STOP = "stop"
    UNDEPLOY_HARD = "undeploy-hard"
    TERMINATE = "terminate"
    TERMINATE_HARD = "terminate-hard"


#: What OpenNebula 1.4 calls those that it has.
LEGACY_ACTIONS = {
    Action.SUSPEND: "suspend",
    Action.RESUME: "resume",
    Action.STOP: "stop",
    Action.TERMINATE: "shutdown",
    Action.TERMINATE_HARD: "finalize",
}


class Recovery(IntEnum):
    """Operations of ``one.vm.recover`` on a VM that hangs or failed."""

    FAILURE = 0
    RETRY = 2
    DELETE = 3
    RECREATE = 4
