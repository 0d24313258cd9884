"""Everything that goes into the scheduler and everything that comes out of it.

*Inputs* say what happened since the scheduler last looked; *decisions* say what it made
of it. Both are immutable; all times are seconds since the epoch. Decisions made in one
call come in the order in which they take effect.

They are named tuples: of hundreds of thousands, these are three times as fast to make as
dataclasses.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from haizea.core.model.allocation import Use
from haizea.core.model.hostrules import Allowed, AllowedRecord
from haizea.core.model.hosts import EVERYWHERE, Host
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.maintenance import Maintenance
from haizea.core.model.reasons import BROKE, DRAINED, Code, Reason, because
from haizea.core.model.resources import Capacity
from haizea.core.model.vm_times import (
    LeavingTime,
    PreparationPlanned,
    PreparationTime,
    ShutdownPlanned,
    ShutdownTime,
)


class Purpose(StrEnum):
    """The purpose of a reservation; the value is the name that users see."""

    TRANSFER = "transfer"
    PREPARE = "prepare"
    RUN = "run"
    SUSPEND = "suspend"
    MIGRATE = "migrate"
    RESUME = "resume"
    SHUTDOWN = "shutdown"
    OUTAGE = "outage"


#: Why a lease is cancelled where nothing else is said.
BY_OWNER = because(Code.CANCELLED_BY_OWNER)

# --- inputs ---------------------------------------------------------------------------


class LeaseSubmitted(NamedTuple):
    """Somebody asks for a lease; only hosts that are ``allowed`` will do.

    An AR is given hosts ``prepare_seconds`` before its start: so long its VMs take to run.
    """

    request: LeaseRequest
    allowed: Allowed = EVERYWHERE
    prepare_seconds: int = 0


class LeaseCancelled(NamedTuple):
    """Its owner or an administrator does not want the lease any more."""

    lease_id: int
    reason: Reason = BY_OWNER


class LeaseEnded(NamedTuple):
    """All VMs of an active lease are gone, or have shut down, sooner than was planned."""

    lease_id: int


class LeaseMoved(NamedTuple):
    """Others took VMs of a lease that runs elsewhere: node *i* + 1 is on ``hosts[i]`` now."""

    lease_id: int
    hosts: tuple[int, ...]


class OperationFailed(NamedTuple):
    """An operation under way for a lease (starting it, suspending it, …) did not work.

    Where it was not even ``tried``, that says nothing of the lease, and is not counted.
    """

    lease_id: int
    purpose: Purpose
    reason: Reason
    tried: bool = True


class OperationDelayed(NamedTuple):
    """An operation under way for a lease will be over at ``end`` only, later than was planned."""

    lease_id: int
    purpose: Purpose
    end: int


class RunDelayed(NamedTuple):
    """The VMs of a lease that was started run from ``since`` on only, or not before.

    An AR ends when it was to end; the time of other leases counts from then.
    """

    lease_id: int
    since: int


class LeaseReady(NamedTuple):
    """All VMs of a lease that was being prepared run."""

    lease_id: int


class HostAdded(NamedTuple):
    """The site has a new host; its ``id`` is the next index."""

    host: Host


class HostFailed(NamedTuple):
    """A host died, and all that ran on it. What was saved there waits until it is back."""

    host_id: int
    reason: Reason = BROKE


class HostDrained(NamedTuple):
    """A host takes nothing new; what runs there stays, what is promised there leaves if it can."""

    host_id: int
    reason: Reason = DRAINED


class HostRestored(NamedTuple):
    """A host that failed or was drained takes leases again."""

    host_id: int


class HostUsed(NamedTuple):
    """Others than leases use ``amount`` of a host, from now on: all that is not leases'."""

    host_id: int
    amount: Capacity


class HostRates(NamedTuple):
    """A host suspends and resumes at these rates, more than 0 MB/s, as far as is known now.

    ``None``: at the settings' own. What is planned from now on goes by them.
    """

    host_id: int
    suspend_mb_s: float | None = None
    resume_mb_s: float | None = None


class HostsAllowed(NamedTuple):
    """Other hosts than before will do for a lease."""

    lease_id: int
    hosts: Allowed


class LeaseChanged(NamedTuple):
    """A lease is to be what ``request``, which has its id, asks for.

    Where ``instead_of`` is given, only if it is that now.
    """

    lease_id: int
    request: LeaseRequest
    instead_of: LeaseRequest | None = None


class MaintenanceAsked(NamedTuple):
    """An operator wants hosts out of use: a new window, or another form of one with its id.

    Where ``instead_of`` is given, only if that is its form now.
    """

    window: Maintenance
    instead_of: Maintenance | None = None


class MaintenanceEnded(NamedTuple):
    """A window ends now, or is not wanted any more."""

    window_id: int


Input = (
    LeaseSubmitted
    | LeaseCancelled
    | LeaseEnded
    | LeaseMoved
    | OperationFailed
    | OperationDelayed
    | RunDelayed
    | LeaseReady
    | PreparationTime
    | ShutdownTime
    | LeavingTime
    | HostAdded
    | HostFailed
    | HostDrained
    | HostRestored
    | HostUsed
    | HostRates
    | HostsAllowed
    | LeaseChanged
    | MaintenanceAsked
    | MaintenanceEnded
)

# --- decisions ------------------------------------------------------------------------


class LeaseAccepted(NamedTuple):
    """The lease is known to the scheduler; comes first of all that is said about it."""

    time: int
    request: LeaseRequest


class StateChanged(NamedTuple):
    """A lease went from one state to another, and why.

    ``code`` is the kind of the change, in one word, empty where it is nothing special:
    ``too-big``, ``nothing`` (is asked for), ``no-room``, ``no-time``, ``promised``,
    ``image-late``, ``in-the-past``, ``too-soon``, ``policy`` (rejections); ``preempted``
    (requeued or suspended for another lease), ``hole`` (suspended because its hole
    ends), ``early-end``, ``duration-over``, ``shut-down`` (its duration is over but for a
    shutdown that took less than was planned), ``failure``, ``late`` (it could not begin when
    it was due), ``user``.
    """

    time: int
    lease_id: int
    old: State
    new: State
    reason: Reason | None = None
    code: str = ""


class LeaseAltered(NamedTuple):
    """A lease is what ``request`` asks for from now on."""

    time: int
    request: LeaseRequest


class ChangeRefused(NamedTuple):
    """A lease stays as it is, and why.

    ``offer`` is the nearest start or deadline (of what has not begun) or the latest end that
    would do.
    """

    time: int
    lease_id: int
    reason: Reason
    offer: int | None = None


class HostsLimited(NamedTuple):
    """From now on only these hosts are chosen for a lease; all of them where it is ``None``."""

    time: int
    lease_id: int
    allowed: AllowedRecord | None


class Expected(NamedTuple):
    """The expected start of a waiting lease (``None``: not known), and what it waits for."""

    time: int
    lease_id: int
    start: int | None
    reason: Reason


class HostsPlanned(NamedTuple):
    """A lease that has not begun is to have ``hosts``, by node, rather than those planned."""

    time: int
    lease_id: int
    hosts: tuple[int, ...]
    reason: Reason


class OperationStarted(NamedTuple):
    """A reservation starts: the moment for a command to the hosts.

    ``hosts[i]`` is the host of lease node *i* + 1. For a transfer, ``hosts`` are the
    hosts that receive the image; for a migration, ``sources[i]`` is where node *i* + 1
    was (``sources`` is empty otherwise). ``end`` is when it is planned to be over.
    """

    time: int
    lease_id: int
    purpose: Purpose
    end: int
    hosts: tuple[int, ...]
    sources: tuple[int, ...] = ()


class OperationEnded(NamedTuple):
    """A reservation is over, as it really was: ``[start, end)``.

    ``use`` has, per host, its index and the capacity that was held there.
    """

    lease_id: int
    purpose: Purpose
    start: int
    end: int
    use: Use


class HostChanged(NamedTuple):
    """A host became ``up``, ``down`` or ``drained``."""

    time: int
    host: Host
    status: str
    reason: Reason | None = None


class MaintenanceChanged(NamedTuple):
    """A maintenance window is ``planned`` (in this form), ``refused``, ``begun`` or ``over``.

    ``reason`` is the window's own; of one that is refused, why.
    """

    time: int
    window: Maintenance
    status: str
    reason: Reason | None = None


class RatesChanged(NamedTuple):
    """A host suspends and resumes at these rates, MB/s, in plans from now on; ``None``: as set."""

    time: int
    host_id: int
    suspend_mb_s: float | None
    resume_mb_s: float | None


class ImageStored(NamedTuple):
    """The disk space that images take on a host changed to ``used_mb``."""

    time: int
    host_id: int
    used_mb: int


Decision = (
    LeaseAccepted
    | LeaseAltered
    | ChangeRefused
    | HostsLimited
    | StateChanged
    | Expected
    | HostsPlanned
    | OperationStarted
    | OperationEnded
    | HostChanged
    | MaintenanceChanged
    | RatesChanged
    | PreparationPlanned
    | ShutdownPlanned
    | ImageStored
)
