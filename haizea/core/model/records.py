"""Records of all that is known of a lease: immutable, complete, and enough to go on from.

The scheduler's own objects change all the time and are nobody else's. Who keeps leases
(a store), shows them (an interface) or goes on with them after a restart has these.
"""

from __future__ import annotations

from dataclasses import dataclass

from haizea.core.model.events import Purpose
from haizea.core.model.hostrules import AllowedRecord
from haizea.core.model.lease import DiskImage, LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.maintenance import MaintenanceRecord
from haizea.core.model.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRecord:
    """One thing a lease does over ``[start, end)``; ``end`` is ``FOREVER`` without end."""

    purpose: Purpose
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestRecord:
    """A plan by which a lease that is to be suspended goes on after that; as in a plan."""

    hosts: tuple[int, ...]
    phases: tuple[PhaseRecord, ...]
    sources: tuple[int, ...] = ()
    exclusive: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """The host of each node, and the phases in order.

    ``hosts[i]`` is the host of lease node *i* + 1, ``sources[i]`` where it moves from if
    the plan begins with a migration. ``at`` is the index of the phase that is under way
    since ``since``, or of the one that comes next if ``since`` is ``None``. ``firm`` is
    false for a provisional reservation, which may move and is made anew after a restart.
    ``exclusive`` are the intervals it takes of a file system that all suspensions share.
    ``because`` and ``code`` say why it ends before the lease is done, if it does: with a
    suspension, or (``drops``) with nothing saved. ``rest`` is how a lease with a deadline goes
    on in time after its suspension.
    """

    hosts: tuple[int, ...]
    phases: tuple[PhaseRecord, ...]
    at: int = 0
    since: int | None = None
    firm: bool = True
    sources: tuple[int, ...] = ()
    exclusive: tuple[tuple[int, int], ...] = ()
    because: Reason | None = None
    code: str = ""
    rest: RestRecord | None = None

    @property
    def end(self) -> int:
        """The moment at which it gives its hosts back."""
        return self.phases[-1].end

    @property
    def drops(self) -> bool:
        """True if it ends with the lease giving its hosts up, to start over."""
        return bool(self.code) and self.phases[-1].purpose is Purpose.RUN

    def phase(self, purpose: Purpose) -> PhaseRecord | None:
        """Its phase of this purpose, if it has one."""
        return next((p for p in self.phases if p.purpose is purpose), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """A lease's progress.

    ``reason`` and ``code`` say why it is in its ``state``, since ``changed``; ``expected``
    is when it is expected to start or to go on, where that is known. ``queued_since`` is
    what gives it its place in the queue. ``remaining`` is what is left of its duration in
    seconds (``FOREVER`` without end), ``ran`` how long it has run since it last started
    from nothing, less, in its first stretch, the time that its VMs took to start. ``bound`` are
    the hosts where its saved memory (``saved``) or its images are. ``failures`` counts how
    often its VMs failed. ``late`` says why an AR starts after its time, if it does. ``allowed``
    are the hosts that will do, ``None`` where all will. ``prepare_seconds`` is how long its VMs
    are expected to take to start, before its start if it is an AR, ``shutdown_seconds`` to shut
    down, where that was learned.
    """

    request: LeaseRequest
    state: State
    changed: int
    queued_since: int
    remaining: int
    reason: Reason | None = None
    code: str = ""
    expected: int | None = None
    ran: int = 0
    saved: bool = False
    bound: tuple[int, ...] | None = None
    failures: int = 0
    late: Reason | None = None
    plan: PlanRecord | None = None
    allowed: AllowedRecord | None = None
    prepare_seconds: int = 0
    shutdown_seconds: int | None = None

    @property
    def id(self) -> int:
        """The lease's id."""
        return self.request.id

    @property
    def over(self) -> bool:
        """True if it is in a final state."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecord:
    """A disk image on a host; ``needed_by`` are leases that run from it or will."""

    host: int
    image: DiskImage
    needed_by: tuple[int, ...]
    used_at: int
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """A transfer of an image, planned or under way, to the hosts of each lease.

    ``riders`` are leases that it is made for, ``relying`` those that count on it besides.
    """

    image: DiskImage
    start: int
    end: int
    deadline: int
    movable: bool
    begun: bool
    riders: tuple[tuple[int, tuple[int, ...]], ...]
    relying: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """A host that is not simply up: ``status`` is ``down`` or ``drained``, and why."""

    host: int
    status: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesRecord:
    """Learned rates of suspending and resuming on a host, MB/s; ``None``: nothing was learned."""

    host: int
    suspend_mb_s: float | None = None
    resume_mb_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRecord:
    """All that is known of the hosts beside the leases on them."""

    hosts: tuple[HostRecord, ...] = ()
    rates: tuple[RatesRecord, ...] = ()
    copies: tuple[CopyRecord, ...] = ()
    transfers: tuple[TransferRecord, ...] = ()
    maintenance: tuple[MaintenanceRecord, ...] = ()
