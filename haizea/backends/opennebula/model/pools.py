"""Clusters, datastores, VM groups, users and servers as OpenNebula tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.model.template import (
    Attributes,
    Template,
    leading_number,
    read_attributes,
    read_template,
    text_at,
)
from haizea.backends.opennebula.model.trees import (
    identifiers,
    read_object,
    read_pool,
    text_of,
    whole,
)

#: ``TYPE`` of a datastore that VMs run from.
_SYSTEM_DATASTORE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster: hosts that share datastores."""

    id: int
    name: str
    host_ids: tuple[int, ...]
    template: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """A datastore. One that is not ``shared`` is a disk of each host.

    VMs run from those that are ``is_system``. ``free_mb`` is ``None`` while nothing has measured
    it. ``attributes`` is the whole element, for requirements and ranks.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user, without anything secret. ``id`` is -1 where OpenNebula does not tell (1.4)."""

    id: int
    name: str
    gid: int = -1
    group_ids: tuple[int, ...] = ()
    enabled: bool = True


class RaftState(IntEnum):
    """The role of a server among those of its zone."""

    SOLO = 0
    CANDIDATE = 1
    FOLLOWER = 2
    LEADER = 3

    @property
    def schedules(self) -> bool:
        """True if commands may be sent to it: it is the only server, or the leader."""
        return self in (RaftState.SOLO, RaftState.LEADER)


def read_clusters(text: str) -> tuple[Cluster, ...]:
    """Clusters of a pool. Raises :class:`BadAnswer` where it is malformed."""
    return tuple(
        Cluster(
            id=_id(element),
            name=text_of(element, "NAME"),
            host_ids=identifiers(element.find("HOSTS")),
            template=read_template(element.find("TEMPLATE")),
        )
        for element in read_pool(text, "CLUSTER_POOL")
    )


def read_datastores(text: str) -> tuple[Datastore, ...]:
    """Datastores of a pool. Raises :class:`BadAnswer` where it is malformed."""
    return tuple(datastore_of(element) for element in read_pool(text, "DATASTORE_POOL"))


def read_vm_groups(text: str) -> tuple[VmGroup, ...]:
    """VM groups of a pool. Raises :class:`BadAnswer` where it is malformed."""
    return tuple(vm_group_of(element) for element in read_pool(text, "VM_GROUP_POOL"))


def read_user(text: str) -> User:
    """The user of an answer to ``one.user.info``. Raises :class:`BadAnswer`."""
    element = read_object(text, "USER")
    return User(
        id=_id(element),
        name=text_of(element, "NAME"),
        gid=whole(element.findtext("GID"), "the GID of a user", -1),
        group_ids=identifiers(element.find("GROUPS")),
        enabled=text_of(element, "ENABLED") in ("1", "True"),
    )


def read_raft_state(text: str) -> RaftState:
    """The state in an answer to ``one.zone.raftstatus``. Raises :class:`BadAnswer`.

    A state that is not known counts as FOLLOWER, to which nothing is sent.
    """
    state = whole(read_object(text, "RAFT").findtext("STATE"), "the STATE of a server")
    return RaftState(state) if state in list(RaftState) else RaftState.FOLLOWER


def read_configuration(text: str) -> Template:
    """The template in an answer to ``one.system.config``. Raises :class:`BadAnswer`."""
    return read_template(read_object(text, "OPENNEBULA_CONFIGURATION"))


def _id(element: Element) -> int:
    return whole(element.findtext("ID"), f"the ID of a {element.tag[:40]}")


def datastore_of(element: Element) -> Datastore:
    """The datastore that an element ``<DATASTORE>`` is; amounts that make no sense are 0."""
    attributes = read_attributes(element)
    used_mb = _number(attributes, "USED_MB")
    free_mb = _number(attributes, "FREE_MB")
    measured = bool(free_mb or used_mb or _number(attributes, "TOTAL_MB"))
    clusters = set(identifiers(element.find("CLUSTERS")))
    if text_of(element, "CLUSTER_ID"):
        clusters.add(_number(attributes, "CLUSTER_ID"))
    limit = text_at(attributes, "TEMPLATE", "LIMIT_MB")
    if limit:
        free_mb = max(0, int(leading_number(limit) or 0) - used_mb)
    return Datastore(
        id=_id(element),
        name=text_of(element, "NAME"),
        is_system=_number(attributes, "TYPE") == _SYSTEM_DATASTORE,
        enabled=_number(attributes, "STATE") == 0,
        shared=(text_at(attributes, "TEMPLATE", "SHARED") or "YES").upper() == "YES",
        cluster_ids=frozenset(clusters),
        free_mb=free_mb if measured else None,
        attributes=attributes,
    )


def vm_group_of(element: Element) -> VmGroup:
    """The group that an element ``<VM_GROUP>`` is. Unknown policies count as none."""
    template = read_template(element.find("TEMPLATE"))
    return VmGroup(
        id=_id(element),
        name=text_of(element, "NAME"),
        roles=tuple(_role(role) for role in element.iterfind("ROLES/ROLE")),
        affined=_role_sets(template, "AFFINED"),
        anti_affined=_role_sets(template, "ANTI_AFFINED"),
    )


def _role(role: Element) -> GroupRole:
    policy = text_of(role, "POLICY").strip().upper()
    return GroupRole(
        name=text_of(role, "NAME").strip(),
        policy=RolePolicy(policy) if policy in list(RolePolicy) else RolePolicy.NONE,
        vm_ids=_ids(text_of(role, "VMS")),
        affined_host_ids=_ids(text_of(role, "HOST_AFFINED")),
        anti_affined_host_ids=_ids(text_of(role, "HOST_ANTI_AFFINED")),
    )


def _role_sets(template: Template, name: str) -> tuple[frozenset[str], ...]:
    return tuple(
        frozenset(role.strip() for role in value.split(",") if role.strip())
        for value in template.all(name)
        if isinstance(value, str)
    )


def _ids(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(",") if part.strip().isdecimal())


def _number(attributes: Attributes, name: str) -> int:
    return int(leading_number(text_at(attributes, name)) or 0)
