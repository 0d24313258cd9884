"""Hosts, VMs, datastores and VM groups as matchmaking knows them, read from their XML elements.

The elements are given as :data:`Attributes`: what is in an element, by name. What is missing
in them or makes no sense counts as OpenNebula's own default, so that one odd object does not
stop the others; nothing here raises an error for what a user wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from haizea.backends.opennebula.expressions.table import Attributes, Element, leading_number
from haizea.core.model.hosts import HostSet

SYSTEM_DATASTORE = 1

#: States of a VM without a host that has run before: stopped, undeployed.
_STATES_SAVED = {4, 9}
_STATE_PENDING = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """A host. ``id`` is OpenNebula's; its index in a host set is its place in the pool.

    ``attributes`` are those that expressions see, with ``MONITORING`` and
    ``CLUSTER_TEMPLATE`` where they are known.
    """

    id: int
    name: str
    state: int
    cluster_id: int
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class VmNeeds:
    """The needs of a VM with regard to the place where it runs.

    Expressions are as they were written, "" where there is none. ``permitted_hosts`` are
    those that its owner may use, all if it is ``None``. ``leaving_host_id`` is the host that
    it must not stay on, ``has_run`` whether it comes back with files in a system datastore.
    """

    id: int
    requirements: str = ""
    automatic_requirements: str = ""
    rank: str = ""
    datastore_requirements: str = ""
    automatic_datastore_requirements: str = ""
    datastore_rank: str = ""
    disks: DiskNeeds = field(default_factory=lambda: DiskNeeds())
    has_run: bool = False
    leaving_host_id: int | None = None
    permitted_hosts: HostSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskNeeds:
    """The space that a VM's disks take: in the system datastore, and in image datastores by id."""

    system_mb: int = 0
    images_mb: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatastoreFacts:
    """A datastore. One that is not ``shared`` is a disk of each host.

    ``free_mb`` is ``None`` while nothing has measured it.
    """

    id: int
    name: str
    is_system: bool
    enabled: bool
    shared: bool
    cluster_ids: frozenset[int]
    free_mb: int | None
    attributes: Attributes


class RolePolicy(StrEnum):
    """The policy that places the VMs of one role with regard to each other."""

    NONE = "NONE"
    AFFINED = "AFFINED"
    ANTI_AFFINED = "ANTI_AFFINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRole:
    """A role of a VM group: its VMs, and the hosts they must or must not use."""

    name: str
    policy: RolePolicy
    vm_ids: frozenset[int]
    affined_host_ids: frozenset[int] = frozenset()
    anti_affined_host_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VmGroup:
    """A VM group; each member of ``affined`` and ``anti_affined`` is a set of roles' names."""

    id: int
    name: str
    roles: tuple[GroupRole, ...]
    affined: tuple[frozenset[str], ...] = ()
    anti_affined: tuple[frozenset[str], ...] = ()


def host_facts(host: Attributes) -> HostFacts:
    """The host that a ``HOST`` element describes."""
    return HostFacts(
        id=_number(host, "ID", default=-1),
        name=text_at(host, "NAME"),
        state=_number(host, "STATE"),
        cluster_id=_number(host, "CLUSTER_ID", default=-1),
        attributes=host,
    )


def vm_needs(vm: Attributes, permitted_hosts: HostSet | None = None) -> VmNeeds:
    """Read what a ``VM`` element asks for, whichever version wrote it.

    Users' expressions are in ``USER_TEMPLATE``, or in ``TEMPLATE`` (1.4), and lost their
    prefix ``SCHED_`` where they are old.
    """
    state = _number(vm, "STATE")
    histories = list(elements_at(vm, "HISTORY_RECORDS", "HISTORY"))
    leaves = _number(vm, "RESCHED") == 1 and histories
    requirements, rank = own_expressions(vm)
    return VmNeeds(
        id=_number(vm, "ID", default=-1),
        requirements=requirements,
        automatic_requirements=text_at(vm, "TEMPLATE", "AUTOMATIC_REQUIREMENTS"),
        rank=rank,
        datastore_requirements=_written(vm, "SCHED_DS_REQUIREMENTS"),
        automatic_datastore_requirements=text_at(vm, "TEMPLATE", "AUTOMATIC_DS_REQUIREMENTS"),
        datastore_rank=_written(vm, "SCHED_DS_RANK"),
        disks=disk_needs(vm),
        has_run=state in _STATES_SAVED or (state == _STATE_PENDING and bool(histories)),
        leaving_host_id=_number(histories[-1], "HID", default=-1) if leaves else None,
        permitted_hosts=permitted_hosts,
    )


def own_expressions(vm: Attributes) -> tuple[str, str]:
    """The requirements and the rank that a VM's owner wrote; empty where there are none."""
    requirements = _written(vm, "SCHED_REQUIREMENTS") or _written(vm, "REQUIREMENTS")
    return requirements, _written(vm, "SCHED_RANK") or _written(vm, "RANK")


def disk_needs(vm: Attributes) -> DiskNeeds:
    """Read what the disks of a ``VM`` element take.

    A volatile disk is in the system datastore; one from an image is where the image's
    datastore says, by CLONE_TARGET, or LN_TARGET for a persistent one.
    """
    system_mb = 0
    images_mb: dict[int, int] = {}
    for disk in elements_at(vm, "TEMPLATE", "DISK"):
        size_mb = max(0, _number(disk, "SIZE")) + max(0, _number(disk, "DISK_SNAPSHOT_TOTAL_SIZE"))
        if text_at(disk, "TYPE").upper() in ("SWAP", "FS"):
            system_mb += size_mb
            continue
        is_clone = text_at(disk, "CLONE").upper() == "YES"
        match text_at(disk, "CLONE_TARGET" if is_clone else "LN_TARGET").upper():
            case "SYSTEM":
                system_mb += size_mb
            case "SELF":
                datastore = _number(disk, "DATASTORE_ID", default=-1)
                images_mb[datastore] = images_mb.get(datastore, 0) + size_mb
            case _:
                pass  # The image is used where it is.
    return DiskNeeds(system_mb=system_mb, images_mb=images_mb)


def datastore_facts(datastore: Attributes) -> DatastoreFacts:
    """The datastore that a ``DATASTORE`` element describes."""
    free_mb = _number(datastore, "FREE_MB")
    used_mb = _number(datastore, "USED_MB")
    measured = bool(free_mb or used_mb or _number(datastore, "TOTAL_MB"))
    limit = text_at(datastore, "TEMPLATE", "LIMIT_MB")
    if limit:
        free_mb = max(0, int(leading_number(limit) or 0) - used_mb)
    clusters = {_whole(text) for text in texts_at(datastore, "CLUSTERS", "ID")}
    single = text_at(datastore, "CLUSTER_ID")
    return DatastoreFacts(
        id=_number(datastore, "ID", default=-1),
        name=text_at(datastore, "NAME"),
        is_system=_number(datastore, "TYPE") == SYSTEM_DATASTORE,
        enabled=_number(datastore, "STATE") == 0,
        shared=(text_at(datastore, "TEMPLATE", "SHARED") or "YES").upper() == "YES",
        cluster_ids=frozenset(clusters | ({_whole(single)} if single else set())),
        free_mb=free_mb if measured else None,
        attributes=datastore,
    )


def vm_group(group: Attributes) -> VmGroup:
    """The group that a ``VM_GROUP`` element describes. Unknown policies count as none."""
    return VmGroup(
        id=_number(group, "ID", default=-1),
        name=text_at(group, "NAME"),
        roles=tuple(_role(role) for role in elements_at(group, "ROLES", "ROLE")),
        affined=tuple(_names(text) for text in texts_at(group, "TEMPLATE", "AFFINED")),
        anti_affined=tuple(_names(text) for text in texts_at(group, "TEMPLATE", "ANTI_AFFINED")),
    )


def _role(role: Attributes) -> GroupRole:
    policy = text_at(role, "POLICY").upper()
    return GroupRole(
        name=text_at(role, "NAME"),
        policy=RolePolicy(policy) if policy in list(RolePolicy) else RolePolicy.NONE,
        vm_ids=_ids(text_at(role, "VMS")),
        affined_host_ids=_ids(text_at(role, "HOST_AFFINED")),
        anti_affined_host_ids=_ids(text_at(role, "HOST_ANTI_AFFINED")),
    )


def elements_at(element: Attributes, *path: str) -> Iterator[Attributes]:
    """The elements with others in them that are at this path."""
    for found in _at(element, path):
        if isinstance(found, Mapping):
            yield found


def texts_at(element: Attributes, *path: str) -> Iterator[str]:
    """The texts that are at this path."""
    for found in _at(element, path):
        if isinstance(found, str):
            yield found


def text_at(element: Attributes, *path: str) -> str:
    """The first text at this path, without the blanks around it; "" if there is none."""
    return next(texts_at(element, *path), "").strip()


def _at(element: Element, path: Sequence[str]) -> Iterator[Element]:
    if not path:
        yield element
    elif isinstance(element, Mapping) and path[0] in element:
        child = element[path[0]]
        for one in [child] if isinstance(child, (str, Mapping)) else child:
            yield from _at(one, path[1:])


def _written(vm: Attributes, name: str) -> str:
    return text_at(vm, "USER_TEMPLATE", name) or text_at(vm, "TEMPLATE", name)


def _number(element: Attributes, *path: str, default: int = 0) -> int:
    return _whole(text_at(element, *path), default)


def _whole(text: str, default: int = 0) -> int:
    number = leading_number(text)
    return default if number is None else int(number)


def _ids(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(",") if part.strip().isdecimal())


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())
