"""Records of a results file, as far as the checker needs them: of the run as a whole, and the
parts of which the records of its leases are made.

Times are seconds since the epoch, intervals half-open. A capacity has one amount per
resource type, in the order of :attr:`Records.types`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Capacity = tuple[int, ...]

#: Later than any moment in a file: the end of a lease without end.
FOREVER = 1 << 60

AR = "ar"
BEST_EFFORT = "best-effort"
IMMEDIATE = "immediate"
DEADLINE = "deadline"

FINAL = frozenset({"Done", "Rejected", "Cancelled", "Failed"})


class Host(NamedTuple):
    """A machine of the site."""

    id: int
    name: str
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class NodeSet:
    """``count`` equal lease nodes; a lease has no two sets of the same capacity."""

    count: int
    capacity: Capacity


class Row(NamedTuple):
    """A reservation as enacted, of one lease on one host; an outage has no lease."""

    lease: int | None
    purpose: str
    host: int
    start: int
    end: int
    capacity: Capacity


class ReservationSet(NamedTuple):
    """Hosts that a lease held for a purpose, the same of each; ``number`` is its row."""

    lease: int
    purpose: str
    start: int
    end: int
    hosts: Sequence[int]
    capacity: Capacity
    number: int

    def rows(self) -> Iterator[Row]:
        """One for each host."""
        for host in self.hosts:
            yield Row(self.lease, self.purpose, host, self.start, self.end, self.capacity)


class HostChange(NamedTuple):
    """A host became ``up``, ``down`` or ``drained``."""

    time: int
    status: str


class RatesChange(NamedTuple):
    """A host was known from then on to suspend and resume at these rates, MB/s.

    ``None``: as configured.
    """

    time: int
    suspend: float | None
    resume: float | None


@dataclass(frozen=True, slots=True)
class HostRules:
    """From ``time`` on a lease's nodes were given these hosts only; nodes are positions from 0.

    ``allowed`` are sets of hosts as bit sets, one for all nodes or one each. The nodes of each
    set in ``together`` were to be on one host, those in ``apart`` on a host each.
    """

    time: int
    allowed: tuple[int, ...]
    together: tuple[tuple[int, ...], ...] = ()
    apart: tuple[tuple[int, ...], ...] = ()


class NodeHosts(NamedTuple):
    """The host of each node of a lease, from when it ran or began to move there."""

    time: int
    hosts: tuple[int, ...]


class Change(NamedTuple):
    """A lease came to ``state``, and why: ``parameters`` is a JSON object, or empty."""

    time: int
    state: str
    reason: str
    code: str
    parameters: str = ""


class Terms(NamedTuple):
    """The terms of a lease that can change."""

    start: int | None
    after: int | None
    deadline: int | None
    duration: int | None
    preemptible: bool
    nodes: int


class TermsChange(NamedTuple):
    """A lease was ``asked`` for, or a change of it ``granted`` or ``refused``; what it is then."""

    time: int
    status: str
    terms: Terms


class Lease(NamedTuple):
    """A request and what became of it."""

    id: int
    kind: str
    state: str
    nodes: int
    submitted: int
    requested_start: int | None
    duration: int | None
    ended: int | None
    reason: str
    preemptible: bool
    image: str
    image_mb: int
    node_sets: tuple[NodeSet, ...]
    after: int | None = None
    deadline: int | None = None
    fixed_hosts: bool = False

    @property
    def terms(self) -> Terms:
        """Return what it is in the end."""
        when = (self.requested_start, self.after, self.deadline, self.duration)
        return Terms(*when, self.preemptible, self.nodes)

    @property
    def total(self) -> Capacity:
        """Return what all its nodes hold together."""
        return total_of(self.node_sets)

    @property
    def length(self) -> int:
        """Its duration; ``FOREVER`` for a lease without end."""
        return FOREVER if self.duration is None else self.duration


@dataclass(frozen=True, slots=True)
class Options:
    """The options in effect that the rules depend on; seconds, MB, MB/s and Mbit/s."""

    simulated: bool
    simulated_clock: bool
    images_managed: bool
    preemption: str
    queue_order: str
    backfilling: str
    backfilling_reservations: int
    suspension: str
    suspend_rate: float
    resume_rate: float
    override_suspend: int | None
    override_resume: int | None
    global_exclusion: bool
    migration: str
    threshold_factor: float
    force_threshold: int | None
    shutdown_seconds: int
    enactment_overhead: int
    non_schedulable: int
    bandwidth: int
    stop_when: str
    multicast: bool
    redundant_avoided: bool
    image_caches: bool
    ahead_mb: int
    force_transfer: int | None
    preparation_counts: bool
    prepares_at_start: bool

    def suspendable(self, lease: Lease) -> bool:
        """Tell whether the lease may be suspended."""
        return lease.preemptible and (
            self.suspension == "all" or (self.suspension == "serial-only" and lease.nodes == 1)
        )

    @property
    def reservations(self) -> int:
        """Return how many waiting leases hold a future reservation; ``FOREVER`` for all."""
        match self.backfilling:
            case "off":
                return 0
            case "aggressive":
                return 1
            case "intermediate":
                return self.backfilling_reservations
            case _:
                return FOREVER


@dataclass(frozen=True, slots=True)
class Records:
    """The run as a whole, as its file tells it; its leases are read one after another.

    ``leases`` is how many there are. ``host_changes`` and ``rates`` are by host, in order of
    time. ``disturbed`` is set where operations may have failed or taken longer than planned,
    so that plans do not hold, also because hosts were taken out of use; ``troubled`` where that
    is not the only reason. ``absences`` are times in which nobody was there to carry out
    what was due. ``placed`` is set where some lease may not run everywhere, ``endless`` where
    one without end is active, ``contested`` where somebody was preempted, or refused for want
    of room or time, ``changed`` where some lease is another than was asked for.
    """

    status: str
    ended: int
    types: tuple[str, ...]
    options: Options
    hosts: Mapping[int, Host]
    leases: int
    outages: Sequence[Row]
    host_changes: Mapping[int, Sequence[HostChange]]
    disturbed: bool
    contested: bool
    placed: bool
    endless: bool
    absences: Sequence[tuple[int, int]] = ()
    troubled: bool = False
    rates: Mapping[int, Sequence[RatesChange]] = field(default_factory=dict)
    changed: bool = False

    @property
    def plans_hold(self) -> bool:
        """Tell whether leases ran as they were planned when they were asked for."""
        return not (self.disturbed or self.changed)

    def was_away(self, since: int, until: int) -> bool:
        """Tell whether nobody was there to carry out what was due for some of that time."""
        return any(begin <= until and end >= since for begin, end in self.absences)

    def host_name(self, host: int | None) -> str | None:
        """Return what people call the host."""
        return None if host is None else self.hosts[host].name

    @property
    def carried_out(self) -> bool:
        """Tell whether it is of a simulation that went on until there was nothing left to do."""
        options = self.options
        complete = self.status == "complete" and options.stop_when == "all-leases-done"
        return complete and options.simulated_clock

    @property
    def memory(self) -> int | None:
        """Return where Memory stands in a capacity; ``None`` if the site has none."""
        return self.types.index("Memory") if "Memory" in self.types else None


def subtract(a: Capacity, b: Capacity) -> Capacity:
    """``a - b``, type by type."""
    return tuple([x - y for x, y in zip(a, b, strict=True)])


def add(a: Capacity, b: Capacity) -> Capacity:
    """``a + b``, type by type."""
    return tuple([x + y for x, y in zip(a, b, strict=True)])


def times(a: Capacity, count: int) -> Capacity:
    """``count`` times ``a``."""
    return tuple([count * x for x in a])


def total_of(node_sets: Sequence[NodeSet]) -> Capacity:
    """Return what all the nodes hold together."""
    first, *others = node_sets
    total = times(first.capacity, first.count)
    for node_set in others:
        total = add(total, times(node_set.capacity, node_set.count))
    return total


def copies(wanted: Capacity, free: Capacity) -> int:
    """Return how many times ``wanted`` fits into ``free``."""
    # A loop: this is asked millions of times.
    most = -1
    for want, there in zip(wanted, free, strict=True):
        if want > 0:
            if there < want:
                return 0
            count = there // want
            if count < most or most < 0:
                most = count
    return max(most, 0)
