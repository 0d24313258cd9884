"""Objects of the sandbox: users, hosts, VMs, history. They change; the cloud's lock guards them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from haizea.sandbox.states import RUNNING, HostState, Lcm, Pair, State, is_failure
from haizea.sandbox.template import Template

ONEADMIN_GROUP = 0


@dataclass(slots=True)
class User:
    """Somebody who may call; ``password`` as given, not hashed: nothing here is secret."""

    id: int
    name: str
    password: str
    gid: int
    gname: str
    tokens: dict[str, float] = field(default_factory=dict)
    quota: dict[str, float] | None = None

    @property
    def administers(self) -> bool:
        """In the group that may do everything."""
        return self.gid == ONEADMIN_GROUP


@dataclass(slots=True)
class Host:
    """A host; ``cpu_percent`` and ``memory_kb`` are what it really has."""

    id: int
    name: str
    cpu_percent: int
    memory_kb: int
    state: HostState
    previous_state: HostState
    drivers: tuple[str, str, str]
    template: Template = field(default_factory=dict)
    monitored_at: int = 0
    due: float | None = None
    broken: bool = False
    cluster: int = 0

    @property
    def shows_capacity(self) -> bool:
        """Its monitoring has told its capacity, and it is not offline."""
        return self.monitored_at > 0 and self.state is not HostState.OFFLINE


@dataclass(slots=True)
class Record:
    """One stay on a host. Times are whole seconds, 0 where it has not come to that."""

    sequence: int
    host_id: int
    host_name: str
    stime: int
    etime: int = 0
    pstime: int = 0
    petime: int = 0
    rstime: int = 0
    retime: int = 0
    estime: int = 0
    eetime: int = 0
    action: int = 0
    uid: int = -1
    gid: int = -1
    request_id: int = -1
    reason: int = 0
    datastore_id: int = 0

    def forget_action(self) -> None:
        """Forget the action, as OpenNebula does once an action failed, or a resumed VM runs."""
        self.action, self.uid, self.gid, self.request_id = 0, -1, -1, -1


@dataclass(slots=True)
class ScheduledAction:
    """A ``SCHED_ACTION``; ``time`` is a moment, ``done`` -1 until it was tried."""

    id: int
    action: str
    time: int
    done: int = -1
    message: str = ""
    warning: int = 0


@dataclass(slots=True)
class Machine:
    """A VM. ``operation`` and ``step`` say what it is doing, ``due`` when that is over.

    ``began_in`` is the state in which the operation found it.
    """

    id: int
    uid: int
    gid: int
    uname: str
    gname: str
    name: str
    template: Template
    user_template: Template
    cpu_percent: int
    memory_kb: int
    submitted_at: int
    state: State = State.PENDING
    lcm: Lcm = Lcm.LCM_INIT
    previous_state: State = State.PENDING
    previous_lcm: Lcm = Lcm.LCM_INIT
    ended_at: int = 0
    deploy_id: str = ""
    resched: bool = False
    lock_level: int = 0
    history: list[Record] = field(default_factory=list)
    scheduled: list[ScheduledAction] = field(default_factory=list)
    operation: str = ""
    step: int = 0
    began_in: State = State.PENDING
    due: float | None = None
    outcome: str = ""
    cause: str = ""
    cache: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def pair(self) -> Pair:
        """Both numbers of its state."""
        return (self.state, self.lcm)

    @property
    def record(self) -> Record | None:
        """The stay on the host where it is, or was last."""
        return self.history[-1] if self.history else None

    @property
    def images_mb(self) -> int:
        """The size of the images that are copied when it is deployed."""
        disks = [disk for disk in self.template.get("DISK", ()) if isinstance(disk, dict)]
        sizes = [disk.get("SIZE", "") for disk in disks if "IMAGE" in disk or "IMAGE_ID" in disk]
        return sum(int(size) for size in sizes if size.isascii() and size.isdigit())

    @property
    def is_busy(self) -> bool:
        """In a state that it leaves by itself."""
        return (
            self.state is State.ACTIVE
            and self.pair != RUNNING
            and self.lcm is not Lcm.UNKNOWN
            and not is_failure(self.pair)
        )


@dataclass(slots=True)
class SystemDatastore:
    """One beside that which every OpenNebula has; not ``shared``, it is a disk of each host."""

    id: int
    name: str
    clusters: list[int]
    free_mb: int
    total_mb: int
    shared: bool = True


@dataclass(slots=True)
class Cluster:
    """A cluster; its hosts and datastores name it."""

    id: int
    name: str


@dataclass(slots=True)
class VmGroup:
    """Roles by name with their policy; VMs name a group and a role in ``VMGROUP``."""

    id: int
    name: str
    roles: list[dict[str, str]]
    members: dict[str, list[int]] = field(default_factory=dict)


def machine_from(fields: dict[str, Any]) -> Machine:
    """The VM that was saved as ``fields``."""
    known = dict(fields)
    known["history"] = [Record(**record) for record in known["history"]]
    known["scheduled"] = [ScheduledAction(**action) for action in known["scheduled"]]
    for name in ("state", "previous_state", "began_in"):
        if name in known:
            known[name] = State(known[name])
    for name in ("lcm", "previous_lcm"):
        known[name] = Lcm(known[name])
    return Machine(**known)


def host_from(fields: dict[str, Any]) -> Host:
    """The host that was saved as ``fields``."""
    known = dict(fields)
    known["state"] = HostState(known["state"])
    known["previous_state"] = HostState(known["previous_state"])
    known["drivers"] = tuple(known["drivers"])
    return Host(**known)
