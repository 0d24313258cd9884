"""Drafts and requests of leases: what users ask for, and what the scheduler takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from haizea.core.model.resources import Capacity, ResourceTypes


class Kind(StrEnum):
    """The way in which a lease's start is given; the value is the name that users see."""

    AR = "ar"
    BEST_EFFORT = "best-effort"
    IMMEDIATE = "immediate"
    DEADLINE = "deadline"


# Looking a member up in its enumeration is slow, and every request does.
_AR = Kind.AR
_DEADLINE = Kind.DEADLINE


@dataclass(frozen=True, slots=True)
class Nodes:
    """``count`` equal lease nodes, each asking for these amounts by the types' names."""

    count: int
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NodeSet:
    """``count`` equal lease nodes (VMs), each of this capacity."""

    count: int
    capacity: Capacity


def node_sets(nodes: Iterable[Nodes], types: ResourceTypes) -> tuple[NodeSet, ...]:
    """The nodes as sets of a site with these resource types.

    Raises :class:`haizea.core.model.resources.UnknownResourceType` for one that the site lacks.
    """
    return tuple(NodeSet(n.count, types.capacity(n.amounts)) for n in nodes)


@dataclass(frozen=True, slots=True)
class DiskImage:
    """The disk image that every node of a lease boots from."""

    name: str
    size_mb: int


def later(moment: int | None, by_seconds: int) -> int | None:
    """Shift a moment that there may not be."""
    return None if moment is None else moment + by_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """A request for nodes over a period.

    ``submitted`` and ``start`` are seconds since the epoch; ``start`` is given for an AR
    alone. ``deadline`` is given for a deadline lease alone: it is to be done by then; ``after``,
    if it must not begin before. ``duration`` is in seconds, ``None`` for a lease without end,
    which no deadline lease is. With ``fixed_hosts`` it
    has the hosts that it is given first, as long as these can be had. Lease nodes are
    numbered from 1, through the node sets in order. ``label`` and ``owner`` are
    carried along for people, ``names`` (what each lease node is called elsewhere) for
    whoever carries decisions out.
    """

    id: int
    submitted: int
    kind: Kind
    nodes: tuple[NodeSet, ...]
    duration: int | None
    start: int | None = None
    after: int | None = None
    deadline: int | None = None
    preemptible: bool = False
    fixed_hosts: bool = False
    image: DiskImage | None = None
    label: str = ""
    owner: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert (self.kind is _AR) == (self.start is not None), "an AR, and no other, has a start"
        windowed = self.kind is _DEADLINE
        assert windowed == (self.deadline is not None), "a deadline lease, and no other, has one"
        assert windowed or self.after is None, "only a deadline lease may not begin before a moment"
        assert not windowed or self.duration is not None, "a deadline lease has an end"
        assert self.nodes, "a lease has nodes"
        for node_set in self.nodes:
            assert node_set.count > 0, "a node set has nodes"
        assert self.duration is None or self.duration > 0, "a duration is positive"
        assert not self.names or len(self.names) == self.node_count, (
            "a name for every node, or none"
        )

    @property
    def node_count(self) -> int:
        """The number of lease nodes that are asked for."""
        return sum(s.count for s in self.nodes)

    def node_capacities(self) -> list[Capacity]:
        """The capacity of each lease node, by node number."""
        capacities: list[Capacity] = []
        for node_set in self.nodes:
            capacities += [node_set.capacity] * node_set.count
        return capacities


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A lease as somebody asks for it, whatever in: bound to no site, and it has no id yet.

    Fields are as in :class:`LeaseRequest`, but that moments are seconds after a moment that
    whoever reads or binds it knows: the epoch, or the start of a workload. ``said`` is the
    start, or the window, in the words that it was asked for in, where they mean another moment
    each time.
    """

    kind: Kind
    nodes: tuple[Nodes, ...]
    duration: int | None
    start: int | None = None
    after: int | None = None
    deadline: int | None = None
    preemptible: bool = False
    fixed_hosts: bool = False
    image: DiskImage | None = None
    label: str = ""
    owner: str = ""
    names: tuple[str, ...] = ()
    said: str = ""

    @property
    def node_count(self) -> int:
        """The number of lease nodes that are asked for."""
        return sum(n.count for n in self.nodes)

    def later(self, by_seconds: int) -> Self:
        """This draft with all its moments so much later."""
        return replace(
            self,
            start=later(self.start, by_seconds),
            after=later(self.after, by_seconds),
            deadline=later(self.deadline, by_seconds),
        )

    def bind(
        self, lease_id: int, submitted: int, nodes: tuple[NodeSet, ...], origin: int = 0
    ) -> LeaseRequest:
        """The request that this becomes: ``nodes`` are its own on a site (:func:`node_sets`).

        Its moments count from ``origin``.
        """
        return LeaseRequest(
            id=lease_id,
            submitted=submitted,
            kind=self.kind,
            nodes=nodes,
            duration=self.duration,
            start=later(self.start, origin),
            after=later(self.after, origin),
            deadline=later(self.deadline, origin),
            preemptible=self.preemptible,
            fixed_hosts=self.fixed_hosts,
            image=self.image,
            label=self.label,
            owner=self.owner,
            names=self.names,
        )
