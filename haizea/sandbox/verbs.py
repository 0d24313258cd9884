"""Operations of users and administrators on VMs of OpenNebula 5 and later, with its refusals."""

from __future__ import annotations

from haizea.sandbox.cloud import Cloud
from haizea.sandbox.engine import ACTION_NUMBERS, Actor, Engine
from haizea.sandbox.objects import Host, Machine, User
from haizea.sandbox.people import (
    INTERNAL,
    NO_SUCH_OBJECT,
    NOT_POSSIBLE,
    Refusal,
    require,
    require_quota,
)
from haizea.sandbox.states import (
    RUNNING,
    HostState,
    Lcm,
    Pair,
    State,
    active,
    is_failure,
    pair_name,
    resting,
)
from haizea.sandbox.submission import join_group, scheduled_action, submit
from haizea.sandbox.template import Template, TemplateError, number, parse_template

UNKNOWN: Pair = active(Lcm.UNKNOWN)
_PENDING, _HOLD = resting(State.PENDING), resting(State.HOLD)
_STOPPED, _UNDEPLOYED = resting(State.STOPPED), resting(State.UNDEPLOYED)
_SUSPENDED, _POWEROFF = resting(State.SUSPENDED), resting(State.POWEROFF)
_DONE = resting(State.DONE)

_TERMINATE: dict[Pair, str | Pair] = {
    RUNNING: "terminate",
    UNKNOWN: "terminate",
    _SUSPENDED: "terminate-off",
    _POWEROFF: "terminate-off",
    _STOPPED: "terminate-off",
    _UNDEPLOYED: "terminate-off",
    _PENDING: _DONE,
    _HOLD: _DONE,
}
_UNDEPLOY: dict[Pair, str | Pair] = {RUNNING: "undeploy", _POWEROFF: "undeploy-poweroff"}
_POWER_OFF: dict[Pair, str | Pair] = {RUNNING: "poweroff", UNKNOWN: "poweroff"}

#: By action and state: the operation that it starts, or the state that it leads to at once.
ACTIONS: dict[str, dict[Pair, str | Pair]] = {
    "hold": {_PENDING: _HOLD},
    "release": {_HOLD: _PENDING},
    "suspend": {RUNNING: "suspend"},
    "resume": {
        _SUSPENDED: "resume",
        _POWEROFF: "start",
        UNKNOWN: "restart-unknown",
        _STOPPED: _PENDING,
        _UNDEPLOYED: _PENDING,
    },
    "stop": {RUNNING: "stop", _SUSPENDED: "stop-suspended"},
    "undeploy": _UNDEPLOY,
    "undeploy-hard": _UNDEPLOY,
    "poweroff": _POWER_OFF,
    "poweroff-hard": _POWER_OFF,
    "terminate": _TERMINATE,
    "terminate-hard": _TERMINATE,
    "reboot": {RUNNING: RUNNING},
    "reboot-hard": {RUNNING: RUNNING},
    "resched": {RUNNING: RUNNING, UNKNOWN: UNKNOWN},
    "unresched": {RUNNING: RUNNING, UNKNOWN: UNKNOWN},
}
_DEPLOYS_AS = {State.STOPPED: "deploy-stopped", State.UNDEPLOYED: "deploy-undeployed"}
#: Busy, but with nothing whose outcome somebody could tell.
_WITHOUT_DRIVER = (Lcm.LCM_INIT, Lcm.CLEANUP_DELETE, Lcm.CLEANUP_RESUBMIT)
_RESIZABLE = (_PENDING, _HOLD, _POWEROFF, _UNDEPLOYED)
SYSTEM_DATASTORE = 0
_OTHER_DATASTORES = (1, 2)


class Verbs:
    """Every call here is made within a turn of the cloud, by a user who is who they say.

    All raise Refusal with the text, code and id of OpenNebula's answer.
    """

    def __init__(self, cloud: Cloud, engine: Engine, *, submit_on_hold: bool = False) -> None:
        self.cloud = cloud
        self.engine = engine
        self.submit_on_hold = submit_on_hold
        cloud.on_due["action"] = self._run_scheduled

    def vm(self, vm_id: int) -> Machine:
        """The VM with this id."""
        found = self.cloud.vms.get(vm_id)
        if found is None:
            raise Refusal(f"Error getting virtual machine [{vm_id}].", NO_SUCH_OBJECT, vm_id)
        return found

    def host(self, host_id: int) -> Host:
        """The host with this id."""
        found = self.cloud.hosts.get(host_id)
        if found is None:
            raise Refusal(f"Error getting host [{host_id}].", NO_SUCH_OBJECT, host_id)
        return found

    def allocate(self, user: User, text: str, hold: bool = False) -> int:
        """Submit a VM; the answer is its id."""
        vm = submit(self.cloud, user, text)
        require_quota(self.cloud, user, user, vm.cpu_percent, vm.memory_kb, running=False)
        join_group(self.cloud, vm)
        self.cloud.new_id("vm")
        self.cloud.add_vm(vm)
        wait = State.HOLD if hold or self.submit_on_hold else State.PENDING
        vm.cause = Actor(user, "one.vm.allocate").cause
        self.engine.come_to(vm, resting(wait), vm.cause)
        for action in vm.scheduled:
            self.cloud.at(action.time, "action", vm.id)
        return vm.id

    def deploy(
        self, user: User, vm_id: int, host_id: int, enforce: bool = False, datastore: int = -1
    ) -> int:
        """Start a VM that waits, or that was stopped or undeployed."""
        vm = self.vm(vm_id)
        require(user, "ADMIN", vm)
        host = self.host(host_id)
        store = self._datastore(datastore, host)
        if host.state is HostState.OFFLINE:
            raise Refusal("Host is offline, cannot use it to deploy VM", NOT_POSSIBLE)
        if vm.pair not in (_PENDING, _HOLD, _STOPPED, _UNDEPLOYED):
            text = f"Deploy action is not available for state {pair_name(vm.pair)}"
            raise Refusal(text, NOT_POSSIBLE)
        if vm.state in _DEPLOYS_AS:
            self._running_quota(user, vm)
        if enforce:
            self._fits(vm, host)
        self.engine.begin(vm, self._way_of_deployment(vm), Actor(user, "one.vm.deploy"), host=host)
        self._put_in(vm, store)
        return vm.id

    def action(self, user: User, action: str, vm_id: int) -> int:
        """``suspend``, ``resume`` and the like."""
        if action not in ACTIONS:
            raise Refusal(f'Action "{action}" is not supported', NOT_POSSIBLE)
        vm = self.vm(vm_id)
        require(user, "ADMIN" if action in ("resched", "unresched") else "MANAGE", vm)
        self.act(Actor(user, f"one.vm.action {action}"), action, vm, user)
        return vm.id

    def act(self, actor: Actor, action: str, vm: Machine, user: User) -> None:
        """Do ``action`` to a VM that the caller may change."""
        leads_to = ACTIONS[action].get(vm.pair)
        if leads_to is None:
            raise Refusal(
                f'Error performing action "{action}": This action is not available for state'
                f" {pair_name(vm.pair)}",
                NOT_POSSIBLE,
            )
        if action == "resume" and vm.state in _DEPLOYS_AS:
            self._running_quota(user, vm)
        if isinstance(leads_to, str):
            self.engine.begin(vm, leads_to, actor, action=action)
        elif leads_to != vm.pair:
            self.engine.come_to(vm, leads_to, actor.cause)
        elif action.endswith("resched"):
            vm.resched = action == "resched"
            self.cloud.touch(vm)

    def migrate(
        self,
        user: User,
        vm_id: int,
        host_id: int,
        live: bool,
        enforce: bool = False,
        datastore: int = -1,
        kind: int = 0,
    ) -> int:
        """Move a VM; ``kind`` is 0 by saving, 1 by powering off, 2 the same, hard."""
        vm = self.vm(vm_id)
        require(user, "ADMIN", vm)
        host = self.host(host_id)
        store = self._datastore(datastore, host)
        if host.state is HostState.OFFLINE:
            raise Refusal("Host is offline, cannot use it to migrate VM", NOT_POSSIBLE)
        if vm.pair not in (RUNNING, _SUSPENDED, _POWEROFF):
            text = f"Migrate action is not available for state {pair_name(vm.pair)}"
            raise Refusal(text, NOT_POSSIBLE)
        if vm.record is not None and vm.record.host_id == host.id:
            text = f"VM is already running on host [{host.id}] and datastore [{SYSTEM_DATASTORE}]"
            raise Refusal(text, NOT_POSSIBLE)
        if enforce:
            self._fits(vm, host)
        name, action = _way_of_migration(vm.pair, live, kind)
        self.engine.begin(vm, name, Actor(user, "one.vm.migrate"), host=host, action=action)
        self._put_in(vm, store)
        return vm.id

    def recover(self, user: User, vm_id: int, how: int) -> int:
        """0 the step failed, 1 it succeeded, 2 try it again, 3 delete, 4 delete and start anew."""
        vm = self.vm(vm_id)
        require(user, "ADMIN", vm)
        actor = Actor(user, f"one.vm.recover {how}")
        has_driver = vm.is_busy and vm.lcm not in _WITHOUT_DRIVER
        if how in (3, 4, 5) and vm.state is not State.DONE:
            self._delete(vm, actor, again=how == 4)
        elif how == 2 and is_failure(vm.pair):
            self.engine.retry(vm, actor)
        elif how == 1 and (has_driver or is_failure(vm.pair)):
            vm.cause = actor.cause
            self.engine.succeed(vm)
        elif how == 0 and has_driver:
            vm.cause = actor.cause
            self.engine.fail(vm)
        else:
            text = f"Recover action is not available for state {pair_name(vm.pair)}"
            raise Refusal(text, NOT_POSSIBLE)
        return vm.id

    def update(self, user: User, vm_id: int, text: str, append: int) -> int:
        """Merge into the user's template, or replace it; vector attributes are replaced whole."""
        vm = self.vm(vm_id)
        require(user, "MANAGE", vm)
        new = _parsed(text)
        vm.user_template = {**vm.user_template, **new} if append == 1 else new
        self.cloud.touch(vm)
        return vm.id

    def resize(self, user: User, vm_id: int, text: str, enforce: bool) -> int:
        """Change CPU and memory of a VM that does not run."""
        vm = self.vm(vm_id)
        require(user, "MANAGE", vm)
        if vm.pair == RUNNING:
            raise Refusal("Hotplug resize not supported by driver dummy", NOT_POSSIBLE)
        if vm.pair not in _RESIZABLE:
            text = f"Resize action is not available for state {pair_name(vm.pair)}"
            raise Refusal(text, NOT_POSSIBLE)
        try:
            new = parse_template(text)
            cpu = number(new, "CPU", vm.cpu_percent / 100)
            memory = number(new, "MEMORY", vm.memory_kb / 1024)
        except TemplateError as error:
            raise Refusal(f"Parse error: {error}", INTERNAL) from None
        vm.cpu_percent, vm.memory_kb = round(cpu * 100), round(memory * 1024)
        vm.template["CPU"], vm.template["MEMORY"] = [f"{cpu:g}"], [f"{memory:g}"]
        self.cloud.recount(vm, Actor(user, "one.vm.resize").cause)
        self.cloud.touch(vm)
        return vm.id

    def lock(self, user: User, vm_id: int, level: int) -> int:
        """Refuse what the level (1 use, 2 manage, 3 admin, 4 all) says; 0 unlocks."""
        vm = self.vm(vm_id)
        if user.id != vm.uid and not user.administers:
            require(user, "MANAGE", vm)
        vm.lock_level = level
        self.cloud.touch(vm)
        return vm.id

    def schedule(self, user: User, vm_id: int, text: str) -> int:
        """Add a ``SCHED_ACTION``; the answer is its id."""
        vm = self.vm(vm_id)
        require(user, "MANAGE", vm)
        values = _parsed(text).get("SCHED_ACTION", [])
        if not values or not isinstance(values[0], dict):
            raise Refusal("Scheduled action template is not valid", INTERNAL)
        action = scheduled_action(self.cloud, values[0])
        vm.scheduled.append(action)
        self.cloud.touch(vm)
        self.cloud.at(action.time, "action", vm.id)
        return action.id

    def reschedule(self, user: User, vm_id: int, action_id: int, text: str) -> int:
        """Write a ``SCHED_ACTION`` anew, as schedulers of old do with one that was run."""
        vm = self.vm(vm_id)
        require(user, "MANAGE", vm)
        values = _parsed(text).get("SCHED_ACTION", [])
        if not values or not isinstance(values[0], dict):
            raise Refusal("Scheduled action template is not valid", INTERNAL)
        for action in vm.scheduled:
            if action.id == action_id:
                written = scheduled_action(self.cloud, {"TIME": str(action.time), **values[0]})
                done = values[0].get("DONE", "-1")
                action.action, action.time = written.action or action.action, written.time
                action.done = int(done) if done.isdigit() else -1
                action.message = values[0].get("MESSAGE", "")
                self.cloud.touch(vm)
                return action.id
        raise Refusal(f"Scheduled action {action_id} does not exist", NO_SUCH_OBJECT)

    # What several of them need

    def _way_of_deployment(self, vm: Machine) -> str:
        """A VM that was resumed from STOPPED is PENDING, and still has its files."""
        last = vm.record.action if vm.record else 0
        if vm.state is State.STOPPED or last == ACTION_NUMBERS["stop"]:
            return "deploy-stopped"
        if last in (ACTION_NUMBERS["undeploy"], ACTION_NUMBERS["undeploy-hard"]):
            return "deploy-undeployed"
        return "deploy"

    def _datastore(self, datastore: int, host: Host) -> int:
        """The system datastore that is meant; -1 is the first that the host reaches."""
        reached = [0] if host.cluster == 0 else []
        reached += [s.id for s in self.cloud.datastores.values() if host.cluster in s.clusters]
        if datastore == -1 and reached:
            return reached[0]
        if datastore in _OTHER_DATASTORES:
            raise Refusal(
                f"Trying to use datastore [{datastore}] to deploy the VM, but it is not of type"
                " system datastore.",
                INTERNAL,
            )
        if datastore not in (-1, SYSTEM_DATASTORE, *self.cloud.datastores):
            raise Refusal(f"Error getting datastore [{datastore}].", NO_SUCH_OBJECT, datastore)
        if datastore not in reached:
            text = f"Host [{host.id}] and system datastore [{datastore}] share no cluster"
            raise Refusal(text, NOT_POSSIBLE)
        return datastore

    def _put_in(self, vm: Machine, datastore: int) -> None:
        """Its files are in this system datastore from now on."""
        if vm.record is not None:
            vm.record.datastore_id = datastore
            self.cloud.touch(vm)

    def _fits(self, vm: Machine, host: Host) -> None:
        cpu, memory = self.cloud.room_on(host)
        if vm.cpu_percent <= cpu and vm.memory_kb <= memory:
            return
        lacks = f"CPU: {vm.cpu_percent}/{cpu}"
        if vm.cpu_percent <= cpu:
            lacks = f"memory: {vm.memory_kb}/{memory}"
        text = f"virtual machine [{vm.id}] does not fit in host [{host.id}]. Not enough {lacks}"
        raise Refusal(text, NOT_POSSIBLE)

    def _running_quota(self, user: User, vm: Machine) -> None:
        owner = self.cloud.users.get(vm.uid)
        if owner is not None:
            require_quota(self.cloud, owner, user, vm.cpu_percent, vm.memory_kb, running=True)

    def _delete(self, vm: Machine, actor: Actor, *, again: bool) -> None:
        if vm.record is None or vm.record.etime:
            self.engine.come_to(vm, _PENDING if again else _DONE, actor.cause)
        else:
            name = "recreate" if again else "delete"
            self.engine.begin(vm, name, actor, action=name)

    def _run_scheduled(self, vm_id: int) -> None:
        vm = self.cloud.vms[vm_id]
        owner = self.cloud.users.get(vm.uid)
        if not self.cloud.dialect.runs_scheduled_actions or owner is None:
            return
        for action in list(vm.scheduled):
            if action.time > self.cloud.now or action.done >= 0 or vm.state is State.DONE:
                continue
            self.cloud.touch(vm)
            try:
                if action.action not in ACTIONS:
                    raise Refusal(f'Action "{action.action}" is not supported', NOT_POSSIBLE)
                self.act(Actor(owner, f"scheduled {action.action}"), action.action, vm, owner)
                action.done = self.cloud.stamp
            except Refusal as refusal:
                action.message = f"[{action.action}] {refusal.text}"


def _parsed(text: str) -> Template:
    try:
        return parse_template(text)
    except TemplateError as error:
        raise Refusal(f"Cannot update template. Parse error: {error}", INTERNAL) from None


def _way_of_migration(pair: Pair, live: bool, kind: int) -> tuple[str, str]:
    """The operation, and the action as which it is written down."""
    if pair == _SUSPENDED:
        return "migrate-suspended", "migrate-suspended"
    if pair == _POWEROFF:
        return "migrate-off", "migrate-off"
    if live:
        return "migrate-live", "migrate-live"
    if kind == 0:
        return "migrate-save", "migrate-save"
    return "migrate-poweroff", "migrate-poweroff-hard" if kind == 2 else "migrate-poweroff"
