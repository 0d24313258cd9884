"""The XML-RPC methods of OpenNebula 1.4: other arguments, other answers, raw template text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from haizea.sandbox.capacity import IN_FACT
from haizea.sandbox.cloud import Cloud
from haizea.sandbox.engine import Actor, Engine
from haizea.sandbox.methods import Method
from haizea.sandbox.objects import Host, Machine, Record, User
from haizea.sandbox.people import (
    AUTHENTICATION,
    AUTHORIZATION,
    NO_SUCH_OBJECT,
    NOT_POSSIBLE,
    Refusal,
    authenticate,
)
from haizea.sandbox.sites import Sites, shown_capacity
from haizea.sandbox.states import RUNNING, HostState, Lcm, Pair, State, active, resting
from haizea.sandbox.submission import submit
from haizea.sandbox.template import Template, template_xml
from haizea.sandbox.wire import Argument

_PENDING, _STOPPED = resting(State.PENDING), resting(State.STOPPED)
_SUSPENDED, _DONE = resting(State.SUSPENDED), resting(State.DONE)

ACTIONS_14: dict[str, dict[Pair, str | Pair]] = {
    "hold": {_PENDING: resting(State.HOLD)},
    "release": {resting(State.HOLD): _PENDING},
    "suspend": {RUNNING: "suspend"},
    "resume": {_SUSPENDED: "resume", _STOPPED: _PENDING},
    "stop": {RUNNING: "stop", _SUSPENDED: "stop-suspended"},
    "shutdown": {RUNNING: "terminate"},
    "cancel": {RUNNING: "cancel", active(Lcm.UNKNOWN): "cancel"},
    "restart": {active(Lcm.UNKNOWN): "restart-unknown"},
    "finalize": {},
}
#: As the classes are called that its messages name.
_CLASSES = {"vm": "VirtualMachine", "vmpool": "VirtualMachinePool", "hostpool": "HostPool"}
_WITHOUT_PASSWORD = {"one.vm.info"}
_STAMPS = ("stime", "etime", "pstime", "petime", "rstime", "retime", "estime", "eetime")


class Methods14:
    """Every method by name. Calls are made within a turn of the cloud."""

    def __init__(self, cloud: Cloud, engine: Engine, sites: Sites) -> None:
        self.cloud = cloud
        self.engine = engine
        self.sites = sites

        def changes(required: str, call: Callable[..., Argument], optional: str = "") -> Method:
            return Method(required, optional, call, changes=True)

        self.table = {
            "one.host.allocate": changes("ssss", self._host_allocate, "b"),
            "one.host.info": Method("i", "", self._host_info),
            "one.host.enable": changes("ib", self._host_enable),
            "one.hostpool.info": Method("", "", self._host_pool),
            "one.vm.allocate": changes("s", self._allocate),
            "one.vm.info": Method("i", "", lambda user, vm: self._vm_xml(self._vm(vm))),
            "one.vm.deploy": changes("ii", self._deploy),
            "one.vm.action": changes("si", self._action),
            "one.vm.migrate": changes("iib", self._migrate),
            "one.vmpool.info": Method("i", "", self._vm_pool),
            "one.userpool.info": Method("", "", self._user_pool),
            "one.vnpool.info": Method("i", "", lambda user, owner: "<VNET_POOL></VNET_POOL>"),
        }

    def authenticate(self, method: str, session: str) -> User:
        """The user of a session; one method asks for none.

        Raises:
            Refusal: there is no such user.
        """
        user = authenticate(self.cloud, session)
        if user is None and method in _WITHOUT_PASSWORD:
            user = next(iter(self.cloud.users.values()))
        if user is None:
            _, group, verb = method.split(".")
            name = _CLASSES.get(group, group.capitalize()) + verb.capitalize()
            text = f"User not authenticated, RequestManager{name} aborted."
            raise Refusal(text, AUTHENTICATION)
        return user

    def accepted(self, value: Argument) -> list[Argument]:
        """The answer to a call that is accepted: most have no value."""
        return [True] if value == "" else [True, value]

    def refused(self, method: str, refusal: Refusal) -> list[Argument]:
        """The answer to a call that is refused."""
        return [False, refusal.text]

    # VMs

    def _vm(self, vm_id: int) -> Machine:
        found = self.cloud.vms.get(vm_id)
        if found is None:
            raise Refusal(f"The virtual machine {vm_id} does not exists", NO_SUCH_OBJECT)
        return found

    def _host(self, host_id: int) -> Host:
        found = self.cloud.hosts.get(host_id)
        if found is None:
            raise Refusal(f"The host {host_id} does not exists", NO_SUCH_OBJECT)
        return found

    def _own(self, user: User, vm: Machine) -> None:
        if not user.administers and vm.uid != user.id:
            raise Refusal("User not authorized to perform this action", AUTHORIZATION)

    def _allocate(self, user: User, text: str) -> int:
        vm = submit(self.cloud, user, text)
        self.cloud.new_id("vm")
        self.cloud.add_vm(vm)
        self.engine.come_to(vm, _PENDING, Actor(user, "one.vm.allocate").cause)
        return vm.id

    def _deploy(self, user: User, vm_id: int, host_id: int) -> str:
        host, vm = self._host(host_id), self._vm(vm_id)
        self._own(user, vm)
        if vm.pair != _PENDING:
            raise Refusal(f"Can not deploy VM {vm_id}, wrong state", NOT_POSSIBLE)
        name = "deploy-stopped" if vm.record and vm.record.estime else "deploy"
        self.engine.begin(vm, name, Actor(user, "one.vm.deploy"), host=host)
        return ""

    def _migrate(self, user: User, vm_id: int, host_id: int, live: bool) -> str:
        host, vm = self._host(host_id), self._vm(vm_id)
        self._own(user, vm)
        if vm.pair != RUNNING:
            raise Refusal(f"Can not migrate VM {vm_id}, wrong state", NOT_POSSIBLE)
        name = "migrate-live" if live else "migrate-save"
        self.engine.begin(vm, name, Actor(user, "one.vm.migrate"), host=host)
        return ""

    def _action(self, user: User, action: str, vm_id: int) -> str:
        if action not in ACTIONS_14:
            raise Refusal("Unknown action", NOT_POSSIBLE)
        vm = self._vm(vm_id)
        self._own(user, vm)
        actor = Actor(user, f"one.vm.action {action}")
        leads_to = ACTIONS_14[action].get(vm.pair)
        if action == "finalize" and vm.state is not State.DONE:
            leads_to = _DONE
        if leads_to is None:
            raise Refusal("Wrong state to perform action", NOT_POSSIBLE)
        if isinstance(leads_to, str):
            self.engine.begin(vm, leads_to, actor)
        else:
            self.engine.come_to(vm, leads_to, actor.cause)
        return ""

    def _vm_pool(self, user: User, owner: int) -> str:
        shown = "".join(
            self._vm_xml(vm, in_pool=True)
            for vm in self.cloud.live.values()
            if (owner < 0 or vm.uid == owner) and (owner != -1 or vm.uid == user.id)
        )
        return f"<VM_POOL>{shown}</VM_POOL>"

    def _vm_xml(self, vm: Machine, in_pool: bool = False) -> str:
        key = "pool" if in_pool else "info"
        if key not in vm.cache:
            user = f"<USERNAME>{vm.uname}</USERNAME>" if in_pool else ""
            template = "" if in_pool else f"<TEMPLATE>{_raw(vm.template)}</TEMPLATE>"
            history = _history_xml(vm.record) if vm.record else ""
            vm.cache[key] = (
                f"<VM><ID>{vm.id}</ID><UID>{vm.uid}</UID>{user}<NAME>{vm.name}</NAME>"
                f"<LAST_POLL>0</LAST_POLL><STATE>{vm.state:d}</STATE>"
                f"<LCM_STATE>{vm.lcm:d}</LCM_STATE><STIME>{vm.submitted_at}</STIME>"
                f"<ETIME>{vm.ended_at}</ETIME><DEPLOY_ID>{vm.deploy_id}</DEPLOY_ID>"
                "<MEMORY>0</MEMORY><CPU>0</CPU><NET_TX>0</NET_TX><NET_RX>0</NET_RX>"
                f"{template}{history}</VM>"
            )
        return vm.cache[key]

    # Hosts and users

    def _host_allocate(
        self, user: User, name: str, im: str, vmm: str, tm: str, managed: bool = True
    ) -> int:
        self._administers(user)
        return self.sites.add(name, drivers=(im, vmm, tm)).id

    def _host_enable(self, user: User, host_id: int, enable: bool) -> str:
        self._administers(user)
        host = self._host(host_id)
        self.sites.set_status(host, 0 if enable else 1, f"{user.name} one.host.enable")
        return ""

    def _administers(self, user: User) -> None:
        if not user.administers:
            raise Refusal("User not authorized to perform this action", AUTHORIZATION)

    def _host_info(self, user: User, host_id: int) -> str:
        host = self._host(host_id)
        return f"<HOST>{self._host_body(host)}<TEMPLATE>{self._monitored(host)}</TEMPLATE></HOST>"

    def _host_pool(self, user: User) -> str:
        shown = "".join(
            f"<HOST>{self._host_body(host)}</HOST>" for host in self.cloud.hosts.values()
        )
        return f"<HOST_POOL>{shown}</HOST_POOL>"

    def _host_body(self, host: Host) -> str:
        _, _, cpu, memory = shown_capacity(host)
        load = self.cloud.accounts.load(host.id)
        used = self.cloud.accounts.load(host.id, IN_FACT)
        # Nothing is free, and nothing used, before the host was monitored.
        free_cpu, free_memory = max(0, cpu - used.cpu_percent), max(0, memory - used.memory_kb)
        broken = host.state is HostState.ERROR
        when = host.monitored_at if broken else self.cloud.stamp
        return (
            f"<ID>{host.id}</ID><NAME>{host.name}</NAME><STATE>{host.state:d}</STATE>"
            f"<IM_MAD>{host.drivers[0]}</IM_MAD><VM_MAD>{host.drivers[1]}</VM_MAD>"
            f"<TM_MAD>{host.drivers[2]}</TM_MAD><LAST_MON_TIME>{when}</LAST_MON_TIME>"
            f"<HOST_SHARE><HID>{host.id}</HID><DISK_USAGE>0</DISK_USAGE>"
            f"<MEM_USAGE>{load.memory_kb}</MEM_USAGE><CPU_USAGE>{load.cpu_percent}</CPU_USAGE>"
            f"<MAX_DISK>0</MAX_DISK><MAX_MEM>{memory}</MAX_MEM><MAX_CPU>{cpu}</MAX_CPU>"
            f"<FREE_DISK>0</FREE_DISK><FREE_MEM>{free_memory}</FREE_MEM>"
            f"<FREE_CPU>{free_cpu}</FREE_CPU><USED_DISK>0</USED_DISK><USED_MEM>0</USED_MEM>"
            f"<USED_CPU>0</USED_CPU><RUNNING_VMS>{len(load.vms)}</RUNNING_VMS></HOST_SHARE>"
        )

    def _monitored(self, host: Host) -> str:
        if not host.monitored_at:
            return ""
        used = self.cloud.accounts.load(host.id, IN_FACT)
        values: Template = {
            "ARCH": ["x86_64"],
            "CPUSPEED": ["2400"],
            "FREECPU": [str(max(0, host.cpu_percent - used.cpu_percent))],
            "FREEMEMORY": [str(max(0, host.memory_kb - used.memory_kb))],
            "HOSTNAME": [host.name],
            "HYPERVISOR": ["fake"],
            "TOTALCPU": [str(host.cpu_percent)],
            "TOTALMEMORY": [str(host.memory_kb)],
            "USEDCPU": [str(used.cpu_percent)],
            "USEDMEMORY": [str(used.memory_kb)],
        }
        return _raw({**values, **host.template})

    def _user_pool(self, user: User) -> str:
        self._administers(user)
        shown = "".join(
            f"<USER><ID>{each.id}</ID><NAME>{each.name}</NAME><PASSWORD>{_hashed(each)}</PASSWORD>"
            "<ENABLED>True</ENABLED></USER>"
            for each in self.cloud.users.values()
        )
        return f"<USER_POOL>{shown}</USER_POOL>"


def _hashed(user: User) -> str:
    """The hash that 1.4 keeps, and takes, for a password."""
    return hashlib.sha1(user.password.encode(), usedforsecurity=False).hexdigest()


def _raw(template: Template) -> str:
    """Write a template like 1.4: nothing is escaped, so the answer may not be XML at all."""
    return template_xml(template, quoted=False)


def _history_xml(record: Record) -> str:
    stamps = "".join(
        f"<{name.upper()}>{getattr(record, name)}</{name.upper()}>" for name in _STAMPS
    )
    return (
        f"<HISTORY><SEQ>{record.sequence}</SEQ><HOSTNAME>{record.host_name}</HOSTNAME>"
        f"<HID>{record.host_id}</HID>{stamps}<REASON>{record.reason}</REASON></HISTORY>"
    )
