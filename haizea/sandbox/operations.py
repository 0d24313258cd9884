"""Operations that take time: every operation on a VM, as the states it passes through."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from random import Random

from haizea.sandbox.states import RUNNING, Lcm, Pair, State, active, resting

#: Steps that do not always take as long.
_SPREAD = frozenset(["prolog", "boot"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Durations of the steps, in seconds of the sandbox's time.

    ``save_mbps``, ``restore_mbps`` and ``move_mbps`` add the time for a VM's memory, and
    ``prolog_mbps`` that for its images, in MB per second; 0 adds nothing. Preparing files and
    booting go at a rate that is up to ``spread`` (a part of 1) above or below the usual one.
    """

    dispatch_seconds: float = 0.0
    prolog_seconds: float = 1.0
    boot_seconds: float = 2.0
    save_seconds: float = 1.0
    restore_seconds: float = 1.0
    move_seconds: float = 1.0
    live_seconds: float = 2.0
    shutdown_seconds: float = 2.0
    epilog_seconds: float = 1.0
    cleanup_seconds: float = 0.5
    host_monitoring_seconds: float = 5.0
    save_mbps: float = 0.0
    restore_mbps: float = 0.0
    move_mbps: float = 0.0
    prolog_mbps: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.spread < 1:
            raise ValueError(f"the spread must be from 0 to below 1, not {self.spread}")

    def scaled(self, factor: float) -> Durations:
        """All of them ``factor`` times as long."""
        changes: dict[str, float] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name.endswith("_seconds"):
                changes[each.name] = value * factor
            elif each.name.endswith("_mbps"):
                changes[each.name] = value / factor
        return replace(self, **changes)

    def of(self, kind: str, memory_mb: float, images_mb: float, dice: Random) -> float:
        """Seconds of a step of this ``kind`` for a VM with this memory and images.

        ``dice`` are thrown where they have a spread.
        """
        seconds: float = getattr(self, f"{kind}_seconds")
        rate = getattr(self, f"{kind}_mbps", 0.0)
        if rate:
            seconds += (images_mb if kind == "prolog" else memory_mb) / rate
        if self.spread and kind in _SPREAD:
            seconds /= dice.uniform(1 - self.spread, 1 + self.spread)
        return seconds


@dataclass(frozen=True, slots=True)
class Step:
    """A state that ends by itself: how long it lasts, and the state after a failure."""

    lcm: Lcm
    kind: str
    failed: Pair


@dataclass(frozen=True, slots=True)
class Operation:
    """The states that a VM passes through, and the one that it comes to."""

    steps: tuple[Step, ...]
    end: Pair


_STUCK = RUNNING


def _step(lcm: Lcm, kind: str, failed: Pair | None = None) -> Step:
    return Step(lcm, kind, _STUCK if failed is None else failed)


def _deployment(prolog: Lcm, boot: Lcm, boot_kind: str, failures: tuple[Lcm, Lcm]) -> Operation:
    """From nothing, or from files, to RUNNING."""
    return Operation(
        (
            _step(Lcm.LCM_INIT, "dispatch", resting(State.PENDING)),
            _step(prolog, "prolog" if prolog is Lcm.PROLOG else "move", active(failures[0])),
            _step(boot, boot_kind, active(failures[1])),
        ),
        RUNNING,
    )


_EPILOG = _step(Lcm.EPILOG, "epilog", active(Lcm.EPILOG_FAILURE))
_EPILOG_STOP = _step(Lcm.EPILOG_STOP, "move", active(Lcm.EPILOG_STOP_FAILURE))
_EPILOG_UNDEPLOY = _step(Lcm.EPILOG_UNDEPLOY, "move", active(Lcm.EPILOG_UNDEPLOY_FAILURE))
_PROLOG_MIGRATE = _step(Lcm.PROLOG_MIGRATE, "move", active(Lcm.PROLOG_MIGRATE_FAILURE))

#: OpenNebula 5 and later.
OPERATIONS: dict[str, Operation] = {
    "deploy": _deployment(Lcm.PROLOG, Lcm.BOOT, "boot", (Lcm.PROLOG_FAILURE, Lcm.BOOT_FAILURE)),
    "deploy-stopped": _deployment(
        Lcm.PROLOG_RESUME,
        Lcm.BOOT_STOPPED,
        "restore",
        (Lcm.PROLOG_RESUME_FAILURE, Lcm.BOOT_STOPPED_FAILURE),
    ),
    "deploy-undeployed": _deployment(
        Lcm.PROLOG_UNDEPLOY,
        Lcm.BOOT_UNDEPLOY,
        "boot",
        (Lcm.PROLOG_UNDEPLOY_FAILURE, Lcm.BOOT_UNDEPLOY_FAILURE),
    ),
    "suspend": Operation((_step(Lcm.SAVE_SUSPEND, "save"),), resting(State.SUSPENDED)),
    "resume": Operation((_step(Lcm.BOOT_SUSPENDED, "restore", resting(State.SUSPENDED)),), RUNNING),
    "stop": Operation((_step(Lcm.SAVE_STOP, "save"), _EPILOG_STOP), resting(State.STOPPED)),
    "stop-suspended": Operation((_EPILOG_STOP,), resting(State.STOPPED)),
    "undeploy": Operation(
        (_step(Lcm.SHUTDOWN_UNDEPLOY, "shutdown"), _EPILOG_UNDEPLOY), resting(State.UNDEPLOYED)
    ),
    "undeploy-poweroff": Operation((_EPILOG_UNDEPLOY,), resting(State.UNDEPLOYED)),
    "poweroff": Operation((_step(Lcm.SHUTDOWN_POWEROFF, "shutdown"),), resting(State.POWEROFF)),
    "start": Operation((_step(Lcm.BOOT_POWEROFF, "boot", resting(State.POWEROFF)),), RUNNING),
    "restart-unknown": Operation((_step(Lcm.BOOT_UNKNOWN, "boot", active(Lcm.UNKNOWN)),), RUNNING),
    "migrate-save": Operation(
        (
            _step(Lcm.SAVE_MIGRATE, "save"),
            _PROLOG_MIGRATE,
            _step(Lcm.BOOT_MIGRATE, "restore", active(Lcm.BOOT_MIGRATE_FAILURE)),
        ),
        RUNNING,
    ),
    "migrate-poweroff": Operation(
        (
            _step(Lcm.SAVE_MIGRATE, "shutdown"),
            _PROLOG_MIGRATE,
            _step(Lcm.BOOT, "boot", active(Lcm.BOOT_FAILURE)),
        ),
        RUNNING,
    ),
    "migrate-live": Operation((_step(Lcm.MIGRATE, "live"),), RUNNING),
    "migrate-suspended": Operation(
        (_step(Lcm.PROLOG_MIGRATE_SUSPEND, "move", active(Lcm.PROLOG_MIGRATE_SUSPEND_FAILURE)),),
        resting(State.SUSPENDED),
    ),
    "migrate-off": Operation(
        (_step(Lcm.PROLOG_MIGRATE_POWEROFF, "move", active(Lcm.PROLOG_MIGRATE_POWEROFF_FAILURE)),),
        resting(State.POWEROFF),
    ),
    "terminate": Operation((_step(Lcm.SHUTDOWN, "shutdown"), _EPILOG), resting(State.DONE)),
    "terminate-off": Operation((_EPILOG,), resting(State.DONE)),
    "delete": Operation((_step(Lcm.CLEANUP_DELETE, "cleanup"),), resting(State.DONE)),
    "recreate": Operation((_step(Lcm.CLEANUP_RESUBMIT, "cleanup"),), resting(State.PENDING)),
}

_FAILED_14: Pair = active(Lcm.FAILURE)
_BOOT_14 = _step(Lcm.BOOT, "boot", _FAILED_14)

#: OpenNebula 1.4: fewer states, and a failure ends the VM.
OPERATIONS_14: dict[str, Operation] = {
    "deploy": Operation((_step(Lcm.PROLOG, "prolog", _FAILED_14), _BOOT_14), RUNNING),
    "deploy-stopped": Operation(
        (
            _step(Lcm.PROLOG_RESUME, "move", _FAILED_14),
            _step(Lcm.BOOT, "restore", _FAILED_14),
        ),
        RUNNING,
    ),
    "suspend": Operation((_step(Lcm.SAVE_SUSPEND, "save"),), resting(State.SUSPENDED)),
    "resume": Operation((_step(Lcm.BOOT, "restore", _FAILED_14),), RUNNING),
    "restart-unknown": Operation((_BOOT_14,), RUNNING),
    "stop": Operation(
        (_step(Lcm.SAVE_STOP, "save"), _step(Lcm.EPILOG_STOP, "move", _FAILED_14)),
        resting(State.STOPPED),
    ),
    "stop-suspended": Operation(
        (_step(Lcm.EPILOG_STOP, "move", _FAILED_14),), resting(State.STOPPED)
    ),
    "migrate-save": Operation(
        (
            _step(Lcm.SAVE_MIGRATE, "save"),
            _step(Lcm.PROLOG_MIGRATE, "move", _FAILED_14),
            _step(Lcm.BOOT, "restore", _FAILED_14),
        ),
        RUNNING,
    ),
    "migrate-live": Operation((_step(Lcm.MIGRATE, "live"),), RUNNING),
    "terminate": Operation(
        (_step(Lcm.SHUTDOWN, "shutdown"), _step(Lcm.EPILOG, "epilog", _FAILED_14)),
        resting(State.DONE),
    ),
    "cancel": Operation(
        (_step(Lcm.CANCEL, "cleanup"), _step(Lcm.EPILOG, "epilog", _FAILED_14)),
        resting(State.DONE),
    ),
    "failure": Operation(
        (_step(Lcm.FAILURE, "cleanup", resting(State.FAILED)),), resting(State.FAILED)
    ),
}
