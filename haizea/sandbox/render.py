"""Objects as the XML of OpenNebula 5 and later, element by element as the recordings have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from haizea.sandbox.capacity import IN_FACT
from haizea.sandbox.cloud import Cloud
from haizea.sandbox.objects import Host, Machine, Record, ScheduledAction, User, VmGroup
from haizea.sandbox.sites import shown_capacity
from haizea.sandbox.states import HostState, State
from haizea.sandbox.template import Template, Value, cdata, first, plain, template_xml

_PERMISSIONS = (
    "<PERMISSIONS><OWNER_U>1</OWNER_U><OWNER_M>1</OWNER_M><OWNER_A>0</OWNER_A>"
    "<GROUP_U>0</GROUP_U><GROUP_M>0</GROUP_M><GROUP_A>0</GROUP_A>"
    "<OTHER_U>0</OTHER_U><OTHER_M>0</OTHER_M><OTHER_A>0</OTHER_A></PERMISSIONS>"
)
_SHORT_NIC = ("IP", "MAC", "NETWORK", "NETWORK_ID", "NIC_ID", "SECURITY_GROUPS")
_SHORT_USER = {"ERROR", "LABELS", "LOGO", "INFO"}
_STAMPS = ("pstime", "petime", "rstime", "retime", "estime", "eetime")


def escaped(xml: str) -> str:
    """``xml`` as the text of an XML-RPC string."""
    return xml.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def ids(numbers: Iterable[int]) -> str:
    """A list of ids."""
    return "".join(f"<ID>{number}</ID>" for number in numbers)


class Renderer:
    """XML of everything in one cloud. What a VM looks like is kept until it changes."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._plans = cloud.dialect.number >= (7, 0)

    # VMs

    def vm(self, vm: Machine) -> str:
        """The VM with its whole history, as ``one.vm.info`` has it."""
        return self._kept(vm, "full", lambda: self._vm(vm, vm.history, vm.scheduled))

    def vm_stored(self, vm: Machine) -> str:
        """The VM with its last stay only, as ``infoextended`` has it."""
        # Where the scheduler runs them, actions are part of what is stored of a VM.
        actions = () if self.cloud.dialect.runs_scheduled_actions else vm.scheduled
        return self._kept(vm, "stored", lambda: self._vm(vm, vm.history[-1:], actions))

    def vm_short(self, vm: Machine) -> str:
        """The VM as ``one.vmpool.info`` has it."""
        return self._kept(vm, "short", lambda: self._short(vm))

    def vm_in_pool(self, vm: Machine, extended: bool) -> str:
        """The VM for a pool, escaped for XML-RPC already."""
        key = "stored escaped" if extended else "short escaped"
        make = self.vm_stored if extended else self.vm_short
        return self._kept(vm, key, lambda: escaped(make(vm)))

    def _kept(self, vm: Machine, key: str, make: Callable[[], str]) -> str:
        found = vm.cache.get(key)
        if found is None:
            found = make()
            vm.cache[key] = found
        return found

    def _vm(
        self, vm: Machine, history: Sequence[Record], scheduled: Sequence[ScheduledAction] = ()
    ) -> str:
        lock = f"<LOCK><LOCKED>{vm.lock_level}</LOCKED></LOCK>" if vm.lock_level else ""
        pending = "".join(
            _scheduled_xml(action, vm.id) for action in scheduled if vm.state is not State.DONE
        )
        records = "".join(self._record(vm, record) for record in history)
        shown = f"<HISTORY_RECORDS>{records}</HISTORY_RECORDS>" if records else "<HISTORY_RECORDS/>"
        return (
            f"<VM>{self._head(vm)}{_PERMISSIONS}<LAST_POLL>0</LAST_POLL>"
            f"<STATE>{vm.state:d}</STATE><LCM_STATE>{vm.lcm:d}</LCM_STATE>"
            f"<PREV_STATE>{vm.previous_state:d}</PREV_STATE>"
            f"<PREV_LCM_STATE>{vm.previous_lcm:d}</PREV_LCM_STATE>{self._times(vm)}{lock}"
            f"<MONITORING></MONITORING>"
            f"<SCHED_ACTIONS>{ids(action.id for action in vm.scheduled)}</SCHED_ACTIONS>"
            f"<TEMPLATE>{template_xml(vm.template)}{pending}</TEMPLATE>"
            f"<USER_TEMPLATE>{template_xml(vm.user_template)}</USER_TEMPLATE>{shown}"
            "<BACKUPS><BACKUP_CONFIG/><BACKUP_IDS></BACKUP_IDS></BACKUPS></VM>"
        )

    def _head(self, vm: Machine) -> str:
        return (
            f"<ID>{vm.id}</ID><UID>{vm.uid}</UID><GID>{vm.gid}</GID>"
            f"<UNAME>{plain(vm.uname)}</UNAME><GNAME>{plain(vm.gname)}</GNAME>"
            f"<NAME>{plain(vm.name)}</NAME>"
        )

    def _times(self, vm: Machine) -> str:
        return (
            f"<RESCHED>{vm.resched:d}</RESCHED><STIME>{vm.submitted_at}</STIME>"
            f"<ETIME>{vm.ended_at}</ETIME><DEPLOY_ID>{plain(vm.deploy_id)}</DEPLOY_ID>"
        )

    def _record(self, vm: Machine, record: Record) -> str:
        plan = "<PLAN_ID>-2</PLAN_ID><ACTION_ID>-1</ACTION_ID>" if self._plans else ""
        stamps = "".join(
            f"<{name.upper()}>{getattr(record, name)}</{name.upper()}>" for name in _STAMPS
        )
        return (
            f"<HISTORY><OID>{vm.id}</OID><SEQ>{record.sequence}</SEQ>"
            f"<HOSTNAME>{plain(record.host_name)}</HOSTNAME><HID>{record.host_id}</HID>"
            f"<CID>{self._cluster(record)}</CID><STIME>{record.stime}</STIME><ETIME>{record.etime}</ETIME>"
            "<VM_MAD><![CDATA[dummy]]></VM_MAD><TM_MAD><![CDATA[dummy]]></TM_MAD>"
            f"<DS_ID>{record.datastore_id}</DS_ID>{plan}{stamps}<ACTION>{record.action}</ACTION>"
            f"<UID>{record.uid}</UID><GID>{record.gid}</GID>"
            f"<REQUEST_ID>{record.request_id}</REQUEST_ID></HISTORY>"
        )

    def _cluster(self, record: Record) -> int:
        host = self.cloud.hosts.get(record.host_id)
        return 0 if host is None else host.cluster

    def _short(self, vm: Machine) -> str:
        wanted = {
            name: values
            for name, values in vm.user_template.items()
            if name in _SHORT_USER or name.startswith("SCHED_")
        }
        record = vm.record
        history = ""
        if record is not None:
            history = (
                f"<HISTORY><OID>{vm.id}</OID><SEQ>{record.sequence}</SEQ>"
                f"<HOSTNAME>{cdata(record.host_name)}</HOSTNAME><HID>{record.host_id}</HID>"
                f"<CID>{self._cluster(record)}</CID><DS_ID>{record.datastore_id}</DS_ID>"
                "<VM_MAD><![CDATA[dummy]]></VM_MAD><TM_MAD><![CDATA[dummy]]></TM_MAD>"
                f"<ACTION><![CDATA[{record.action}]]></ACTION></HISTORY>"
            )
        shown = f"<HISTORY_RECORDS>{history}</HISTORY_RECORDS>" if history else "<HISTORY_RECORDS/>"
        template = vm.template
        return (
            f"<VM>{self._head(vm)}<LAST_POLL>0</LAST_POLL><STATE>{vm.state:d}</STATE>"
            f"<LCM_STATE>{vm.lcm:d}</LCM_STATE>{self._times(vm)}"
            f"<TEMPLATE><CPU>{plain(first(template, 'CPU') or '')}</CPU>"
            f"<MEMORY>{plain(first(template, 'MEMORY') or '')}</MEMORY>"
            f"<VCPU>{plain(first(template, 'VCPU') or '')}</VCPU>"
            f"{_vectors(template, 'NIC', _SHORT_NIC)}{_vectors(template, 'GRAPHICS')}</TEMPLATE>"
            f"<MONITORING/><USER_TEMPLATE>{template_xml(wanted)}</USER_TEMPLATE>{shown}</VM>"
        )

    # Hosts

    def host(self, host: Host, monitoring: bool) -> str:
        """A host; its live figures only with ``monitoring``."""
        total_cpu, total_memory, most_cpu, most_memory = shown_capacity(host)
        load = self.cloud.accounts.load(host.id)
        live = self.monitoring(host) if monitoring and host.monitored_at else "<MONITORING/>"
        return (
            f"<HOST><ID>{host.id}</ID><NAME>{plain(host.name)}</NAME><STATE>{host.state:d}</STATE>"
            f"<PREV_STATE>{host.previous_state:d}</PREV_STATE><IM_MAD>{cdata(host.drivers[0])}"
            f"</IM_MAD><VM_MAD>{cdata(host.drivers[1])}</VM_MAD><CLUSTER_ID>{host.cluster}"
            f"</CLUSTER_ID><CLUSTER>{plain(self.cloud.clusters[host.cluster].name)}</CLUSTER>"
            f"<HOST_SHARE><MEM_USAGE>{load.memory_kb}</MEM_USAGE>"
            f"<CPU_USAGE>{load.cpu_percent}</CPU_USAGE><TOTAL_MEM>{total_memory}</TOTAL_MEM>"
            f"<TOTAL_CPU>{total_cpu}</TOTAL_CPU><MAX_MEM>{most_memory}</MAX_MEM>"
            f"<MAX_CPU>{most_cpu}</MAX_CPU><RUNNING_VMS>{len(load.vms)}</RUNNING_VMS>"
            "<VMS_THREAD>1</VMS_THREAD><DATASTORES><DISK_USAGE><![CDATA[0]]></DISK_USAGE>"
            "<FREE_DISK><![CDATA[2047990]]></FREE_DISK><MAX_DISK><![CDATA[2048000]]></MAX_DISK>"
            "<USED_DISK><![CDATA[10]]></USED_DISK></DATASTORES><PCI_DEVICES></PCI_DEVICES>"
            f"<NUMA_NODES></NUMA_NODES></HOST_SHARE><VMS>{ids(sorted(load.vms))}</VMS>"
            f"<TEMPLATE>{template_xml(self._host_template(host))}</TEMPLATE>{live}</HOST>"
        )

    def _host_template(self, host: Host) -> Template:
        template: Template = {
            "IM_MAD": [host.drivers[0]],
            "VM_MAD": [host.drivers[1]],
            "RESERVED_CPU": [""],
            "RESERVED_MEM": [""],
        }
        if host.monitored_at:
            template |= {
                "ARCH": ["x86_64"],
                "CPUSPEED": ["3200"],
                "HOSTNAME": [host.name],
                "HYPERVISOR": [host.drivers[1]],
                "MODELNAME": ["Fake(R) Core"],
            }
            if self._plans and host.state is not HostState.OFFLINE:
                template |= {
                    "TOTALCPU": [str(host.cpu_percent)],
                    "TOTALMEMORY": [str(host.memory_kb)],
                }
        return {**template, **host.template}

    def monitoring(self, host: Host) -> str:
        """A host's live figures: what really runs there."""
        load = self.cloud.accounts.load(host.id, IN_FACT)
        cpu, memory = host.cpu_percent - load.cpu_percent, host.memory_kb - load.memory_kb
        down = host.state in (HostState.ERROR, HostState.OFFLINE)
        when = host.monitored_at if down else self.cloud.stamp
        return (
            f"<MONITORING><TIMESTAMP>{when}</TIMESTAMP><ID>{host.id}</ID>"
            f"<CAPACITY><FREE_CPU><![CDATA[{max(0, cpu)}]]></FREE_CPU>"
            f"<FREE_MEMORY><![CDATA[{max(0, memory)}]]></FREE_MEMORY>"
            f"<USED_CPU><![CDATA[{load.cpu_percent}]]></USED_CPU>"
            f"<USED_MEMORY><![CDATA[{load.memory_kb}]]></USED_MEMORY></CAPACITY>"
            "<SYSTEM><NETRX><![CDATA[1]]></NETRX><NETTX><![CDATA[1]]></NETTX></SYSTEM>"
            "</MONITORING>"
        )


def _vectors(template: Template, name: str, wanted: Sequence[str] | None = None) -> str:
    """The vector attributes of a name, or those parts of them that are wanted."""
    shown: list[Value] = [
        {key: text for key, text in value.items() if wanted is None or key in wanted}
        for value in template.get(name, ())
        if isinstance(value, dict)
    ]
    return template_xml({name: shown})


def _scheduled_xml(action: ScheduledAction, vm_id: int) -> str:
    return (
        f"<SCHED_ACTION><ID>{action.id}</ID><PARENT_ID>{vm_id}</PARENT_ID><TYPE>VM</TYPE>"
        f"<ACTION>{plain(action.action)}</ACTION><ARGS></ARGS><TIME>{action.time}</TIME>"
        "<REPEAT>-1</REPEAT><DAYS></DAYS><END_TYPE>-1</END_TYPE><END_VALUE>-1</END_VALUE>"
        f"<DONE>{action.done}</DONE><MESSAGE>{plain(action.message)}</MESSAGE>"
        f"<WARNING>{action.warning}</WARNING></SCHED_ACTION>"
    )


def group_xml(group: VmGroup, owner: User) -> str:
    """A VM group with its roles and their VMs."""
    roles = "".join(
        "<ROLE>"
        + template_xml({**{key: [text] for key, text in role.items()}, "ID": [str(number)]})
        + (f"<VMS>{cdata(','.join(map(str, members)))}</VMS>" if members else "")
        + "</ROLE>"
        for number, role in enumerate(group.roles)
        for members in [group.members.get(role.get("NAME", ""), [])]
    )
    return (
        f"<VM_GROUP><ID>{group.id}</ID><UID>{owner.id}</UID><GID>{owner.gid}</GID>"
        f"<UNAME>{plain(owner.name)}</UNAME><GNAME>{plain(owner.gname)}</GNAME>"
        f"<NAME>{plain(group.name)}</NAME>{_PERMISSIONS}<ROLES>{roles}</ROLES>"
        "<TEMPLATE></TEMPLATE></VM_GROUP>"
    )
