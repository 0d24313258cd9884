"""Lease requests: what users ask for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from haizea.core.model.resources import Capacity


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
class NodeSet:
    """``count`` equal lease nodes (VMs), each of this capacity."""

    count: int
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class DiskImage:
    """The disk image that every node of a lease boots from."""

    name: str
    size_mb: int


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
