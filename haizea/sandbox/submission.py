"""A submitted template becomes a VM: what OpenNebula adds to it, and which part is the user's."""

from __future__ import annotations

import uuid

from haizea.sandbox.cloud import Cloud
from haizea.sandbox.objects import Machine, ScheduledAction, User
from haizea.sandbox.people import INTERNAL, NO_SUCH_OBJECT, Refusal
from haizea.sandbox.states import State
from haizea.sandbox.template import (
    Template,
    TemplateError,
    Value,
    first,
    number,
    parse_template,
)

#: What is no user's attribute: it goes into TEMPLATE on 5 and later.
_OF_THE_MACHINE = {
    "CONTEXT", "CPU", "CPU_MODEL", "DISK", "EMULATOR", "FEATURES", "GRAPHICS", "INPUT", "MEMORY",
    "NIC", "NIC_ALIAS", "NIC_DEFAULT", "NUMA_NODE", "OS", "PCI", "RAW", "TEMPLATE_ID", "TOPOLOGY",
    "VCPU", "VMGROUP",
}  # fmt: skip
_NETWORK = "net0"
_CONTEXT_OF_NIC = (
    "DNS", "EXTERNAL", "GATEWAY", "IP6", "IP6_GATEWAY", "IP6_METHOD", "IP6_METRIC",
    "IP6_PREFIX_LENGTH", "IP6_ULA", "MASK", "METHOD", "METRIC", "MTU", "NETWORK",
    "SEARCH_DOMAIN", "VLAN_ID", "VROUTER_IP", "VROUTER_IP6", "VROUTER_MANAGEMENT",
)  # fmt: skip


def submit(cloud: Cloud, user: User, text: str) -> Machine:
    """The VM that ``text`` asks for, not yet part of the cloud.

    Raises:
        Refusal: the text is no template, or asks for what cannot be.
    """
    try:
        template = parse_template(text)
        cpu = number(template, "CPU", 1.0 if cloud.dialect.is_old else 0.0)
        memory = number(template, "MEMORY")
    except TemplateError as error:
        raise Refusal(f"Parse error: {error}", INTERNAL) from None
    if cpu <= 0 or memory <= 0:
        name = "CPU" if cpu <= 0 else "MEMORY"
        raise Refusal(f"{name} attribute must be a positive value.", INTERNAL)
    vm_id = cloud.next_ids["vm"]
    name = first(template, "NAME") or f"one-{vm_id}"
    if cloud.dialect.is_old:
        mine: Template = {**template, "NAME": [name], "VMID": [str(vm_id)]}
        users: Template = {}
    else:
        mine, users = _parts(cloud, template, vm_id)
    return Machine(
        id=vm_id,
        uid=user.id,
        gid=user.gid,
        uname=user.name,
        gname=user.gname,
        name=name,
        template=mine,
        user_template=users,
        cpu_percent=round(cpu * 100),
        memory_kb=round(memory * 1024),
        submitted_at=cloud.stamp,
        state=State.INIT,
        scheduled=_scheduled(cloud, template),
    )


def join_group(cloud: Cloud, vm: Machine) -> None:
    """Enter the VM into the group and role that its template names.

    Raises:
        Refusal: there is no such group or role.
    """
    for value in vm.template.get("VMGROUP", ()):
        if not isinstance(value, dict):
            continue
        group_id = value.get("VMGROUP_ID", "")
        group = cloud.groups.get(int(group_id)) if group_id.isdigit() else None
        if group is None:
            raise Refusal(f"Error getting VM group [{group_id}].", NO_SUCH_OBJECT)
        role = value.get("ROLE", "")
        if role not in group.members:
            raise Refusal(f"Role {role} does not exist in VM group [{group_id}].", INTERNAL)
        group.members[role].append(vm.id)
        cloud.observers.keep("group", group)


def _parts(cloud: Cloud, template: Template, vm_id: int) -> tuple[Template, Template]:
    mine = {name: template[name] for name in template if name in _OF_THE_MACHINE}
    users = {
        name: values
        for name, values in template.items()
        if name not in _OF_THE_MACHINE and name not in ("NAME", "SCHED_ACTION")
    }
    mine["VMID"] = [str(vm_id)]
    mine["OS"] = [_operating_system(template, vm_id)]
    if "DISK" in mine:
        mine["DISK"] = [_disk(disk, at) for at, disk in enumerate(mine["DISK"])]
    nics = [value for value in template.get("NIC", ()) if isinstance(value, dict)]
    public = "!(PUBLIC_CLOUD = YES) & " if cloud.dialect.number < (7, 0) else ""
    cluster = "(CLUSTER_ID = 0) & " if nics else ""
    mine["AUTOMATIC_REQUIREMENTS"] = [f"{cluster}{public}!(PIN_POLICY = PINNED)"]
    if nics:
        mine["AUTOMATIC_DS_REQUIREMENTS"] = ['("CLUSTERS/ID" @> 0)']
        mine["AUTOMATIC_NIC_REQUIREMENTS"] = ['("CLUSTERS/ID" @> 0)']
        mine["NIC"] = [_nic(nic, vm_id, at) for at, nic in enumerate(nics)]
        mine["SECURITY_GROUP_RULE"] = [_rule("OUTBOUND"), _rule("INBOUND")]
    if "CONTEXT" in mine:
        mine["CONTEXT"] = [_context(cloud, mine, vm_id)]
    return mine, users


def _disk(given: Value, at: int) -> Value:
    """A disk with what OpenNebula adds to one of an image; here are no images, but their sizes."""
    if isinstance(given, str) or not ("IMAGE" in given or "IMAGE_ID" in given):
        return given
    image = {
        "CLONE": "YES",
        "DATASTORE": "default",
        "DATASTORE_ID": "1",
        "TM_MAD": "ssh",
        "TYPE": "FILE",
        "SIZE": "1024",
    }
    return {**image, **given, "DISK_ID": str(at)}


def _operating_system(template: Template, vm_id: int) -> dict[str, str]:
    given = next((value for value in template.get("OS", ()) if isinstance(value, dict)), {})
    return {**given, "UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"haizea sandbox vm {vm_id}"))}


def _rule(direction: str) -> dict[str, str]:
    return {
        "PROTOCOL": "ALL",
        "RULE_TYPE": direction,
        "SECURITY_GROUP_ID": "0",
        "SECURITY_GROUP_NAME": "default",
    }


def _address(vm_id: int, at: int) -> tuple[str, str]:
    """IP and MAC address of a VM's NIC."""
    host = vm_id * 4 + at + 1
    parts = (10, host >> 16 & 255, host >> 8 & 255, host & 255)
    return ".".join(map(str, parts)), "02:00:" + ":".join(f"{part:02x}" for part in parts)


def _nic(given: dict[str, str], vm_id: int, at: int) -> dict[str, str]:
    ip, mac = _address(vm_id, at)
    return {
        **given,
        "AR_ID": "0",
        "BRIDGE": "br0",
        "BRIDGE_TYPE": "linux",
        "CLUSTER_ID": "0",
        "IP": ip,
        "MAC": mac,
        "NAME": f"NIC{at}",
        "NETWORK": _NETWORK,
        "NETWORK_ID": given.get("NETWORK_ID", "0"),
        "NIC_ID": str(at),
        "SECURITY_GROUPS": "0",
        "TARGET": f"one-{vm_id}-{at}",
        "VN_MAD": "dummy",
    }


def _context(cloud: Cloud, mine: Template, vm_id: int) -> dict[str, str]:
    given = next((value for value in mine["CONTEXT"] if isinstance(value, dict)), {})
    context = {**given, "DISK_ID": "0", "TARGET": "hda"}
    if given.get("NETWORK", "").upper() != "YES":
        return context
    routes = ["ROUTES"] if cloud.dialect.number >= (7, 0) else []
    for at in range(len(mine.get("NIC", ()))):
        ip, mac = _address(vm_id, at)
        context |= {f"ETH{at}_{name}": "" for name in [*_CONTEXT_OF_NIC, *routes]}
        context |= {f"ETH{at}_IP": ip, f"ETH{at}_MAC": mac}
    return context


def _scheduled(cloud: Cloud, template: Template) -> list[ScheduledAction]:
    return [
        scheduled_action(cloud, value)
        for value in template.get("SCHED_ACTION", ())
        if isinstance(value, dict)
    ]


def scheduled_action(cloud: Cloud, value: dict[str, str]) -> ScheduledAction:
    """A ``SCHED_ACTION``; ``+seconds`` counts from now.

    Raises:
        Refusal: the time is none.
    """
    text = value.get("TIME", "")
    if not text.removeprefix("+").isdigit():
        raise Refusal(f"Wrong time format: {text!r}", INTERNAL)
    offset = int(text.removeprefix("+"))
    warning = value.get("WARNING", "0")
    return ScheduledAction(
        id=cloud.new_id("action"),
        action=value.get("ACTION", "").lower(),
        time=cloud.stamp + offset if text.startswith("+") else offset,
        warning=int(warning) if warning.lstrip("-").isdigit() else 0,
    )
