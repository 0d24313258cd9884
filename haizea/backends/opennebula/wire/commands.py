"""Names of what can be asked of OpenNebula and done to VMs."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from haizea.backends.opennebula.model.vm import VmState


class Action(StrEnum):
    """Actions of ``one.vm.action`` on a VM."""

    SUSPEND = "suspend"
    RESUME = "resume"
    STOP = "stop"
    UNDEPLOY = "undeploy"
    UNDEPLOY_HARD = "undeploy-hard"
    POWEROFF = "poweroff"
    POWEROFF_HARD = "poweroff-hard"
    TERMINATE = "terminate"
    TERMINATE_HARD = "terminate-hard"
    HOLD = "hold"
    RELEASE = "release"
    RESCHED = "resched"
    UNRESCHED = "unresched"


#: How OpenNebula 1.4 calls what it has of them.
LEGACY_ACTIONS = {
    Action.SUSPEND: "suspend",
    Action.RESUME: "resume",
    Action.STOP: "stop",
    Action.TERMINATE: "shutdown",
    Action.TERMINATE_HARD: "finalize",
    Action.HOLD: "hold",
    Action.RELEASE: "release",
}


class Migration(IntEnum):
    """Ways to move a VM that is not moved live."""

    SAVE = 0
    POWEROFF = 1
    POWEROFF_HARD = 2


class Recovery(IntEnum):
    """Operations of ``one.vm.recover`` on a VM that hangs or failed."""

    FAILURE = 0
    SUCCESS = 1
    RETRY = 2
    DELETE = 3
    RECREATE = 4


class Which(IntEnum):
    """Selections of VMs to ask for."""

    NOT_DONE = -1
    PENDING = VmState.PENDING
    HOLD = VmState.HOLD
    ACTIVE = VmState.ACTIVE
