"""Clusters, datastores, VM groups, users and servers as OpenNebula tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.model.template import (
    Attributes,
    Template,
    read_attributes,
    read_template,
)
from haizea.backends.opennebula.model.trees import (
    identifiers,
    read_object,
    read_pool,
    text_of,
    whole,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster: hosts that share datastores."""

    id: int
    name: str
    host_ids: tuple[int, ...]
    template: Template


class DatastoreKind(IntEnum):
    """``TYPE`` of a datastore: VMs run from those of kind SYSTEM."""

    IMAGE = 0
    SYSTEM = 1
    FILE = 2
    BACKUP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """A datastore. ``state`` 0 is ready, 1 disabled; amounts are 0 where not monitored.

    A datastore that is not ``shared`` is a directory on each host, whose room the host
    tells in its share. ``attributes`` is the whole element, for requirements and ranks.
    ``kind`` may be a number that :class:`DatastoreKind` does not list.
    """

    id: int
    name: str
    kind: int
    state: int
    uid: int
    gid: int
    cluster_ids: tuple[int, ...]
    total_mb: int
    free_mb: int
    used_mb: int
    shared: bool
    template: Template
    attributes: Attributes

    @property
    def is_system(self) -> bool:
        """True if VMs run from it."""
        return self.kind == DatastoreKind.SYSTEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role of a VM group. ``policy`` is AFFINED, ANTI_AFFINED, NONE or empty.

    ``template`` has what else it says, ``HOST_AFFINED`` for example.
    """

    id: int
    name: str
    policy: str
    vm_ids: tuple[int, ...]
    template: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class VmGroup:
    """A VM group: which roles' VMs belong on one host, or on different ones.

    ``affined`` and ``anti_affined`` are sets of role names that the group itself sets;
    ``attributes`` is the whole element.
    """

    id: int
    name: str
    uid: int
    roles: tuple[Role, ...]
    affined: tuple[tuple[str, ...], ...]
    anti_affined: tuple[tuple[str, ...], ...]
    attributes: Attributes


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
    return tuple(_datastore(element) for element in read_pool(text, "DATASTORE_POOL"))


def read_vm_groups(text: str) -> tuple[VmGroup, ...]:
    """VM groups of a pool. Raises :class:`BadAnswer` where it is malformed."""
    return tuple(_vm_group(element) for element in read_pool(text, "VM_GROUP_POOL"))


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


def _datastore(element: Element) -> Datastore:
    number = _id(element)
    template = read_template(element.find("TEMPLATE"))
    clusters = identifiers(element.find("CLUSTERS"))
    return Datastore(
        id=number,
        name=text_of(element, "NAME"),
        kind=whole(element.findtext("TYPE"), f"the TYPE of datastore {number}"),
        state=whole(element.findtext("STATE"), f"the STATE of datastore {number}", 0),
        uid=whole(element.findtext("UID"), f"the UID of datastore {number}", -1),
        gid=whole(element.findtext("GID"), f"the GID of datastore {number}", -1),
        cluster_ids=clusters,
        total_mb=whole(element.findtext("TOTAL_MB"), "TOTAL_MB", 0),
        free_mb=whole(element.findtext("FREE_MB"), "FREE_MB", 0),
        used_mb=whole(element.findtext("USED_MB"), "USED_MB", 0),
        shared=template.text("SHARED", "YES").upper() != "NO",
        template=template,
        attributes=read_attributes(element),
    )


def _vm_group(element: Element) -> VmGroup:
    template = read_template(element.find("TEMPLATE"))
    roles = element.find("ROLES")
    return VmGroup(
        id=_id(element),
        name=text_of(element, "NAME"),
        uid=whole(element.findtext("UID"), "the UID of a VM group", -1),
        roles=tuple(_role(role) for role in (roles if roles is not None else ())),
        affined=_role_sets(template, "AFFINED"),
        anti_affined=_role_sets(template, "ANTI_AFFINED"),
        attributes=read_attributes(element),
    )


def _role(element: Element) -> Role:
    names = text_of(element, "VMS").split(",")
    return Role(
        id=whole(element.findtext("ID"), "the ID of a role", -1),
        name=text_of(element, "NAME"),
        policy=text_of(element, "POLICY").upper(),
        vm_ids=tuple(whole(name.strip(), "a VM of a role") for name in names if name.strip()),
        template=read_template(element, ("ID", "NAME", "POLICY", "VMS")),
    )


def _role_sets(template: Template, name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(role.strip() for role in value.split(",") if role.strip())
        for value in template.all(name)
        if isinstance(value, str)
    )
