"""Carries operations out: one state after the other, with stamps, failures and ends."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from haizea.sandbox.cloud import BY_ITSELF, Cloud
from haizea.sandbox.faults import DONE, FAIL, HANG
from haizea.sandbox.objects import Host, Machine, Record, User
from haizea.sandbox.operations import OPERATIONS, OPERATIONS_14, Operation, Step
from haizea.sandbox.states import (
    RUNNING,
    HostState,
    Lcm,
    Pair,
    State,
    active,
    is_failure,
    resting,
)

#: ``ACTION`` in a history record.
ACTION_NUMBERS = {
    "migrate-save": 1,
    "migrate-suspended": 1,
    "migrate-off": 1,
    "migrate-live": 2,
    "undeploy": 5,
    "undeploy-hard": 6,
    "stop": 9,
    "suspend": 10,
    "resume": 11,
    "delete": 12,
    "recreate": 13,
    "poweroff": 19,
    "poweroff-hard": 20,
    "terminate": 27,
    "terminate-hard": 28,
    "monitor": 44,
    "migrate-poweroff": 48,
    "migrate-poweroff-hard": 49,
}

_NEW_STAY = {"resume", "start"}
_MOVES = {"migrate-save", "migrate-poweroff", "migrate-live"}
_MOVES_AT_REST = {"migrate-suspended", "migrate-off"}
_STOPS = {State.STOPPED, State.UNDEPLOYED}
_FIRST_BOOTS = {Lcm.BOOT, Lcm.BOOT_UNDEPLOY, Lcm.BOOT_POWEROFF, Lcm.BOOT_UNKNOWN}


@dataclass(frozen=True, slots=True)
class Actor:
    """The user who asked, and the call."""

    user: User | None
    method: str

    @property
    def cause(self) -> str:
        """For the journal."""
        return f"{self.user.name} {self.method}" if self.user else BY_ITSELF


class Engine:
    """Starts, advances, fails and ends operations on the VMs of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.table = OPERATIONS_14 if cloud.dialect.is_old else OPERATIONS
        cloud.on_due["vm"] = self._due
        cloud.on_due["end"] = self._end_of_guest

    def begin(
        self, vm: Machine, name: str, actor: Actor, *, host: Host | None = None, action: str = ""
    ) -> None:
        """Start the operation ``name``; ``host`` is the target of what needs one."""
        now = self.cloud.stamp
        before = vm.record
        vm.cause, vm.began_in = actor.cause, vm.state
        if host is not None and name not in _MOVES_AT_REST:
            if name in _MOVES and before is not None:
                self._sign(before, action or name, actor)
            self._new_stay(vm, host.id, host.name)
        elif name in _MOVES_AT_REST and before is not None and host is not None:
            before.etime = now
            self._sign(self._new_stay(vm, host.id, host.name), action or name, actor)
        elif name in _NEW_STAY and before is not None:
            before.etime = before.etime or now
            stay = self._new_stay(vm, before.host_id, before.host_name)
            self._sign(stay, action or name, actor)
        elif before is not None and action:
            self._sign(before, action, actor)
        if name.startswith("deploy"):
            _prepare_template(vm, self.cloud.dialect.is_old)
        elif name in _MOVES or name in _MOVES_AT_REST:
            _keep_datastore_kind(vm)
        vm.operation, vm.step, vm.resched = name, 0, False
        self._enter(vm)

    def come_to(self, vm: Machine, pair: Pair, cause: str) -> None:
        """A change that takes no time."""
        vm.operation, vm.step, vm.due, vm.outcome = "", 0, None, ""
        if pair[0] is State.DONE:
            self._ended(vm)
        self.cloud.set_state(vm, pair, cause)

    def succeed(self, vm: Machine) -> None:
        """The step that ``vm`` is in is done."""
        operation = self.table[vm.operation]
        step = operation.steps[vm.step]
        self._stamp_left(vm, step.lcm)
        if step.lcm in _FIRST_BOOTS and vm.record is not None:
            vm.deploy_id = self._deploy_id(vm)
        vm.step += 1
        if vm.step < len(operation.steps):
            self._enter(vm)
        else:
            self._finish(vm, operation)

    def fail(self, vm: Machine) -> None:
        """The step that ``vm`` is in fails."""
        step = self.table[vm.operation].steps[vm.step]
        vm.due, vm.outcome = None, ""
        record = vm.record
        if step.failed == RUNNING:
            self._stay_where_it_was(vm, step)
            vm.operation = ""
        elif record is not None:
            record.retime = self.cloud.stamp if record.rstime else 0
            if is_failure(step.failed):
                self._tell_owner(vm, step)
        if step.failed == active(Lcm.FAILURE):
            self._end_of_14(vm)
            return
        if not is_failure(step.failed):
            vm.operation = ""
        self.cloud.set_state(vm, self._state_after(vm, step.failed), vm.cause)

    def _state_after(self, vm: Machine, failed: Pair) -> Pair:
        """Nobody knows whether a VM runs whose host does not answer."""
        host = self.cloud.hosts.get(vm.record.host_id) if vm.record else None
        if failed == RUNNING and host is not None and host.state is HostState.ERROR:
            return active(Lcm.UNKNOWN)
        return failed

    def retry(self, vm: Machine, actor: Actor) -> None:
        """Do the failed step again."""
        vm.cause = actor.cause
        if vm.record is not None:
            vm.record.retime = 0
        self._enter(vm)

    def lose_drivers(self) -> None:
        """``oned`` and its drivers are killed: nobody will tell how what is under way ends.

        VMs stay in the states in which they are; of a deployment that was not yet handed to
        a driver, nothing is left.
        """
        for vm in list(self.cloud.live.values()):
            if not vm.is_busy:
                continue
            if vm.lcm is Lcm.LCM_INIT:
                vm.history.pop()
                self.come_to(vm, resting(vm.began_in), BY_ITSELF)
            else:
                vm.due, vm.outcome = None, HANG
                self.cloud.touch(vm)

    def power_off_guest(self, vm: Machine) -> None:
        """The VM ends by itself; monitoring finds it powered off (1.4: finds nothing)."""
        if self.cloud.dialect.is_old:
            self.come_to(vm, active(Lcm.UNKNOWN), BY_ITSELF)
            return
        if vm.record is not None:
            vm.record.action = ACTION_NUMBERS["monitor"]
            vm.record.retime = self.cloud.stamp
        self.come_to(vm, resting(State.POWEROFF), BY_ITSELF)

    def _end_of_guest(self, vm_id: int) -> None:
        vm = self.cloud.vms[vm_id]
        if vm.pair == RUNNING:
            self.power_off_guest(vm)

    # One step

    def _enter(self, vm: Machine) -> None:
        step = self.table[vm.operation].steps[vm.step]
        self._stamp_entered(vm, step.lcm)
        outcome, factor = self.cloud.faults.step(vm, step.lcm)
        record = vm.record
        if record is not None and outcome == DONE and step.kind not in ("dispatch", "cleanup"):
            host = self.cloud.hosts.get(record.host_id)
            if host is not None and host.broken:
                outcome = FAIL
        vm.outcome = outcome
        durations, dice = self.cloud.durations, self.cloud.faults.paces
        seconds = durations.of(step.kind, vm.memory_kb / 1024, vm.images_mb, dice) * factor
        vm.due = None if outcome == HANG else self.cloud.now + seconds
        self.cloud.set_state(vm, active(step.lcm), vm.cause)
        if vm.due is not None:
            self.cloud.at(vm.due, "vm", vm.id)

    def _due(self, vm_id: int) -> None:
        vm = self.cloud.vms.get(vm_id)
        if vm is None or vm.due is None or vm.due > self.cloud.now or not vm.operation:
            return
        vm.due = None
        if vm.outcome == FAIL:
            self.fail(vm)
        else:
            self.succeed(vm)

    def _finish(self, vm: Machine, operation: Operation) -> None:
        now, record, old = self.cloud.stamp, vm.record, self.cloud.dialect.is_old
        end = operation.end
        if end == RUNNING and record is not None:
            record.forget_action()
        if old and record is not None and end[0] in (State.SUSPENDED, State.STOPPED):
            record.reason, record.etime = 2, now
        if end[0] in (State.PENDING, State.DONE) and record is not None:
            record.retime = record.retime or (now if record.rstime else 0)
            record.etime = record.etime or now
        if end[0] is State.PENDING:
            vm.deploy_id = ""
        if end[0] in _STOPS:
            _keep_datastore_kind(vm)
        if end[0] is State.UNDEPLOYED:
            _forget_port(vm)
        self.come_to(vm, end, vm.cause)

    # What is written down

    def _new_stay(self, vm: Machine, host_id: int, host_name: str) -> Record:
        stay = Record(
            sequence=len(vm.history),
            host_id=host_id,
            host_name=host_name,
            stime=self.cloud.stamp,
        )
        vm.history.append(stay)
        return stay

    def _sign(self, record: Record, action: str, actor: Actor) -> None:
        record.action = ACTION_NUMBERS.get(action, 0)
        if actor.user is not None:
            record.uid, record.gid = actor.user.id, actor.user.gid
            record.request_id = self.cloud.request_id()

    def _stamp_entered(self, vm: Machine, lcm: Lcm) -> None:
        record, now = vm.record, self.cloud.stamp
        if record is None:
            return
        if lcm.name.startswith("PROLOG"):
            record.pstime = now
        elif lcm.name.startswith("BOOT"):
            record.rstime = record.rstime or now
        elif lcm.name.startswith("EPILOG"):
            record.estime = now

    def _stamp_left(self, vm: Machine, lcm: Lcm) -> None:
        record, now = vm.record, self.cloud.stamp
        if record is None:
            return
        if lcm in (Lcm.SAVE_MIGRATE, Lcm.MIGRATE):
            before = vm.history[-2]
            before.retime = before.etime = now
            if lcm is Lcm.MIGRATE:
                record.rstime = now
        elif lcm.name.startswith("PROLOG"):
            record.petime = now
            if lcm in (Lcm.PROLOG_MIGRATE_SUSPEND, Lcm.PROLOG_MIGRATE_POWEROFF):
                record.retime = now
        elif lcm.name.startswith(("SAVE", "SHUTDOWN", "CANCEL")):
            record.retime = now
        elif lcm.name.startswith("EPILOG"):
            record.eetime = record.etime = now

    def _stay_where_it_was(self, vm: Machine, step: Step) -> None:
        record = vm.record
        if record is None:
            return
        if step.lcm in (Lcm.SAVE_MIGRATE, Lcm.MIGRATE):
            before = vm.history[-2]
            record.etime = self.cloud.stamp
            before.forget_action()
            vm.history.append(replace(before, sequence=len(vm.history)))
        else:
            record.forget_action()

    def _tell_owner(self, vm: Machine, step: Step) -> None:
        when = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(self.cloud.now))
        what = "DEPLOY" if step.lcm.name.startswith("BOOT") else step.lcm.name
        vm.user_template["ERROR"] = [f"{when}: {what}: {self._deploy_id(vm)}"]

    def _end_of_14(self, vm: Machine) -> None:
        if vm.record is not None:
            vm.record.reason = 1
            vm.record.etime = vm.record.retime = self.cloud.stamp
        vm.ended_at = self.cloud.stamp
        vm.operation, vm.step = "failure", 0
        self._enter(vm)

    def _ended(self, vm: Machine) -> None:
        vm.ended_at = self.cloud.stamp
        _forget_port(vm)
        for group in self.cloud.groups.values():
            for members in group.members.values():
                if vm.id in members:
                    members.remove(vm.id)

    def _deploy_id(self, vm: Machine) -> str:
        if self.cloud.dialect.is_old:
            return f"one-{vm.id}"
        host = vm.record.host_name if vm.record else ""
        return f"{host}:{vm.name}:dummy"


def _prepare_template(vm: Machine, old: bool) -> None:
    """Add to the template what a deployment adds."""
    if old:
        return
    vm.template["TM_MAD_SYSTEM"] = ["dummy"]
    for graphics in vm.template.get("GRAPHICS", ()):
        if isinstance(graphics, dict):
            graphics.setdefault("PORT", str(5900 + vm.id % 60_000))


def _keep_datastore_kind(vm: Machine) -> None:
    """Its files are on one kind of datastore now, and must stay on such a one."""
    found = vm.template.get("AUTOMATIC_DS_REQUIREMENTS")
    suffix = ' & (TM_MAD = "dummy")'
    if found and isinstance(found[0], str) and not found[0].endswith(suffix):
        vm.template["AUTOMATIC_DS_REQUIREMENTS"] = [found[0] + suffix]


def _forget_port(vm: Machine) -> None:
    for graphics in vm.template.get("GRAPHICS", ()):
        if isinstance(graphics, dict):
            graphics.pop("PORT", None)
