"""The content of a workload file, whatever its format, and how it becomes lease requests.

Times in a :class:`Workload` are seconds after its start; resource types are names. Only
:func:`bind` makes them absolute times and capacities of a particular site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Literal

from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import DiskImage, Draft, Kind, LeaseRequest, Nodes, NodeSet, node_sets
from haizea.core.model.resources import Capacity, ResourceTypes, UnknownResourceType
from haizea.workloads.changes import BoundChange, WorkloadChange, bound_changes
from haizea.workloads.errors import WorkloadError
from haizea.workloads.windows import WorkloadWindow

Overheads = Literal["none", "besteffort", "all"]

DEFAULT_AMOUNTS: Mapping[str, int] = MappingProxyType({"CPU": 100, "Memory": 1024})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadLease(Draft):
    """One request in a workload, and what only a file knows of it.

    ``arrival_seconds`` and the moments of the draft count from the workload's start.
    ``real_duration_seconds``, where it is known, is when the lease ends by itself; it is
    never more than the duration. ``id`` is the number that the file gives, if it does;
    ``label`` is what the file calls the lease. ``extras`` are names and values that mean nothing
    to Haizea; they are in the label, too. ``changes`` are asked for later, in their order.
    """

    arrival_seconds: int
    real_duration_seconds: int | None = None
    id: int | None = None
    extras: tuple[tuple[str, str], ...] = ()
    changes: tuple[WorkloadChange, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkloadSite:
    """The site that a workload was made for: its resource types, and groups of equal hosts."""

    types: tuple[str, ...]
    hosts: tuple[Nodes, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """``count`` entries of a file that became no lease, and why."""

    count: int
    reason: str


def remark(source: str, count: int, what: str, said: str) -> str:
    """Describe what was made of ``count`` things: ``jobs.swf: 2 jobs: run time 0, ...``."""
    return f"{source}: {count} {what}{'' if count == 1 else 's'}: {said}"


@dataclass(frozen=True, slots=True)
class Workload:
    """The content of a workload file; ``leases`` are sorted by arrival, ties as in the file.

    ``source`` is the file's name, for messages. ``epoch`` is the absolute time of the
    start, where the file states it (``UnixStartTime`` in SWF). ``notes`` tell what was left
    out, ``remarks`` what was read otherwise than it is written, a line each.
    ``site_problem`` is why there is no site though the file speaks of one.
    """

    name: str
    leases: tuple[WorkloadLease, ...]
    description: str = ""
    site: WorkloadSite | None = None
    notes: tuple[LeftOut, ...] = ()
    source: str = ""
    epoch: int | None = None
    remarks: tuple[str, ...] = ()
    site_problem: str = ""
    maintenance: tuple[WorkloadWindow, ...] = ()

    def __post_init__(self) -> None:
        last = 0
        for lease in self.leases:
            assert lease.arrival_seconds >= last, "leases are sorted by arrival"
            last = lease.arrival_seconds

    def told(self) -> list[str]:
        """Return what users of the workload should know of it, a line each."""
        return [line for line in (self.left_out(), *self.remarks) if line]

    def left_out(self) -> str:
        """Describe what was left out, in one line for people; empty if nothing was."""
        if not self.notes:
            return ""
        total = sum(n.count for n in self.notes)
        reasons = "; ".join(f"{n.count}: {n.reason}" for n in self.notes)
        return f"{self.source or self.name}: {total} left out ({reasons})"


@dataclass(frozen=True, slots=True)
class ImageList:
    """One disk image per lease, in order of arrival."""

    order: tuple[DiskImage, ...]
    source: str = "image list"


def by_arrival(leases: Iterable[WorkloadLease]) -> tuple[WorkloadLease, ...]:
    """``leases`` sorted by arrival; those that arrive together keep their order."""
    return tuple(sorted(leases, key=attrgetter("arrival_seconds")))


@dataclass(frozen=True, slots=True)
class BoundWorkload:
    """Lease requests in order of submission, and how long each lease really runs (seconds).

    Only leases whose real duration is known are in ``real_durations``. ``changes`` are in no order.
    """

    requests: tuple[LeaseRequest, ...]
    real_durations: dict[int, int] = field(default_factory=dict)
    changes: tuple[BoundChange, ...] = ()


def numbered(leases: Iterable[WorkloadLease], first_id: int = 1) -> list[int]:
    """The id of each lease: its own, if it has one, else the next free number.

    Numbers start after the largest id that is given, and not below ``first_id``.
    """
    given = [lease.id for lease in leases]
    following = max([first_id - 1, *(i for i in given if i is not None)])
    ids = []
    for own in given:
        if own is None:
            following += 1
        ids.append(following if own is None else own)
    return ids


def bind(workload: Workload, types: ResourceTypes, start: int, first_id: int = 1) -> BoundWorkload:
    """The workload's lease requests on a site with these resource types.

    ``start`` is the absolute time (seconds since the epoch) of the workload's start.
    Raises :class:`WorkloadError` for a resource type that the site lacks.
    """
    # Leases share their node sets (a trace has few different ones), so each is bound once.
    bound: dict[int, tuple[NodeSet, ...]] = {}
    requests: list[LeaseRequest] = []
    real_durations: dict[int, int] = {}
    changes: list[BoundChange] = []
    for lease_id, lease in zip(numbered(workload.leases, first_id), workload.leases, strict=True):
        nodes = bound.get(id(lease.nodes))
        if nodes is None:
            nodes = bound[id(lease.nodes)] = _bind_nodes(
                workload, lease_id, lease, types, lease.nodes
            )
        if lease.changes:
            to_site = partial(_bind_nodes, workload, lease_id, lease, types)
            changes += bound_changes(lease_id, lease.changes, start, to_site)
        requests.append(lease.bind(lease_id, start + lease.arrival_seconds, nodes, start))
        if lease.real_duration_seconds is not None:
            real_durations[lease_id] = lease.real_duration_seconds
    return BoundWorkload(tuple(requests), real_durations, tuple(changes))


def _bind_nodes(
    workload: Workload,
    lease_id: int,
    lease: WorkloadLease,
    types: ResourceTypes,
    nodes: tuple[Nodes, ...],
) -> tuple[NodeSet, ...]:
    try:
        return node_sets(nodes, types)
    except UnknownResourceType as wrong:
        called = f" (in the file: {lease.label})" if lease.label else ""
        raise WorkloadError(
            workload.source or workload.name, None, f"lease {lease_id}{called}", str(wrong)
        ) from None


def site_of(site: WorkloadSite) -> Site:
    """The hosts of a workload's site, called ``host-1``, ``host-2``, … in order."""
    types = ResourceTypes(site.types)
    capacities: list[Capacity] = []
    for group in site.hosts:
        capacities.extend([types.capacity(group.amounts)] * group.count)
    hosts = (Host(i, f"host-{i + 1}", capacity) for i, capacity in enumerate(capacities))
    return Site(types, tuple(hosts))


def merge(workload: Workload, injected: Workload) -> Workload:
    """Both workloads' leases on one time line; of those that arrive together, ``workload``'s first.

    The leases of ``workload`` keep the ids that they would have alone; those of
    ``injected`` get the ids that follow. Labels stay as they are.
    """
    main_ids = numbered(workload.leases)
    following = max(main_ids, default=0) + 1
    ours = [replace(x, id=i) for i, x in zip(main_ids, workload.leases, strict=True)]
    theirs = [replace(x, id=i) for i, x in enumerate(injected.leases, following)]
    return replace(
        workload,
        leases=by_arrival([*ours, *theirs]),
        notes=workload.notes + injected.notes,
        remarks=workload.remarks + injected.remarks,
        maintenance=workload.maintenance + injected.maintenance,
        source=" + ".join(s for s in (workload.source, injected.source) if s),
    )


def with_images(workload: Workload, images: ImageList) -> Workload:
    """Each lease with the image that the list gives it, in order of arrival.

    Raises :class:`WorkloadError` if the list names fewer images than there are leases.
    """
    if len(images.order) < len(workload.leases):
        raise WorkloadError(
            images.source,
            message=f"the list gives images to {len(images.order)} leases, but the workload has"
            f" {len(workload.leases)}; add one image name per lease",
        )
    pairs = zip(workload.leases, images.order, strict=False)
    return replace(workload, leases=tuple(replace(x, image=image) for x, image in pairs))


def with_overheads(
    workload: Workload, which: Overheads, slowdown_percent: float, bootshutdown_seconds: int
) -> Workload:
    """Durations, real ones too, grown by a percentage (rounded up) plus a number of seconds.

    ``which`` says whose: of no lease, of best-effort leases, or of all.
    """
    if which == "none":
        return workload
    # Exact arithmetic: 0.1 % of 1000 s is one second, not two.
    share = Fraction(str(slowdown_percent)) / 100

    def grown(seconds: int | None) -> int | None:
        if seconds is None:
            return None
        return seconds - (-seconds * share.numerator // share.denominator) + bootshutdown_seconds

    def with_overhead(lease: WorkloadLease) -> WorkloadLease:
        if which == "besteffort" and lease.kind is not Kind.BEST_EFFORT:
            return lease
        return replace(
            lease,
            duration=grown(lease.duration),
            real_duration_seconds=grown(lease.real_duration_seconds),
            changes=tuple(
                replace(c, duration_seconds=grown(c.duration_seconds)) for c in lease.changes
            ),
        )

    return replace(workload, leases=tuple(map(with_overhead, workload.leases)))


def with_memory(workload: Workload, memory_mb: int) -> Workload:
    """Every lease node asks for ``memory_mb`` of ``Memory``, whatever the file says."""
    known: dict[int, tuple[Nodes, ...]] = {}

    def asking(nodes: tuple[Nodes, ...]) -> tuple[Nodes, ...]:
        found = known.get(id(nodes))
        if found is None:
            found = tuple(Nodes(n.count, {**n.amounts, "Memory": memory_mb}) for n in nodes)
            known[id(nodes)] = found
        return found

    leases = []
    for lease in workload.leases:
        changes = tuple(
            change if change.nodes is None else replace(change, nodes=asking(change.nodes))
            for change in lease.changes
        )
        leases.append(replace(lease, nodes=asking(lease.nodes), changes=changes))
    return replace(workload, leases=tuple(leases))
