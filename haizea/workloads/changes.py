"""Changes of leases in a workload: what each asks for, and at which moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from haizea.core.model.lease import Kind, LeaseRequest, Nodes, NodeSet, later


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadChange:
    """A change that is asked for ``at_seconds``; moments are seconds after the workload's start.

    What is ``None`` stays; with ``is_endless`` the lease has no end from then on.
    """

    at_seconds: int
    start_seconds: int | None = None
    after_seconds: int | None = None
    deadline_seconds: int | None = None
    duration_seconds: int | None = None
    is_endless: bool = False
    preemptible: bool | None = None
    fixed_hosts: bool | None = None
    nodes: tuple[Nodes, ...] | None = None

    def check(self, kind: Kind, arrival_seconds: int) -> None:
        """Raise ``ValueError`` where a lease of that kind cannot be changed so."""
        if self.at_seconds <= arrival_seconds:
            raise ValueError("it comes before its lease, or with it: write a later moment")
        if self.start_seconds is not None and kind is not Kind.AR:
            raise ValueError("start: this lease has none that could be another")
        if kind is not Kind.DEADLINE:
            if self.after_seconds is not None or self.deadline_seconds is not None:
                raise ValueError("after, deadline: these are for a lease with a deadline")
        elif self.is_endless:
            raise ValueError("duration: a lease without end is never done by its deadline")
        if self == WorkloadChange(at_seconds=self.at_seconds):
            raise ValueError("it changes nothing: write a duration, for example")

    def moved(self, by_seconds: int) -> WorkloadChange:
        """The same so much later."""
        return replace(
            self,
            at_seconds=self.at_seconds + by_seconds,
            start_seconds=later(self.start_seconds, by_seconds),
            after_seconds=later(self.after_seconds, by_seconds),
            deadline_seconds=later(self.deadline_seconds, by_seconds),
        )


@dataclass(frozen=True, slots=True)
class BoundChange:
    """A change of a lease on a site, asked for at ``moment`` (seconds since the epoch).

    ``origin`` is that of the workload's start.
    """

    moment: int
    lease_id: int
    change: WorkloadChange
    origin: int
    nodes: tuple[NodeSet, ...] | None

    def of(self, before: LeaseRequest) -> LeaseRequest:
        """Return what a lease is to be that is this so far."""
        change = self.change
        duration = before.duration if change.duration_seconds is None else change.duration_seconds
        return replace(
            before,
            start=self._moment(change.start_seconds, before.start),
            after=self._moment(change.after_seconds, before.after),
            deadline=self._moment(change.deadline_seconds, before.deadline),
            duration=None if change.is_endless else duration,
            preemptible=_or(change.preemptible, before.preemptible),
            fixed_hosts=_or(change.fixed_hosts, before.fixed_hosts),
            nodes=before.nodes if self.nodes is None else self.nodes,
        )

    def _moment(self, seconds: int | None, before: int | None) -> int | None:
        return before if seconds is None else self.origin + seconds


def _or(value: bool | None, before: bool) -> bool:
    return before if value is None else value


def bound_changes(
    lease_id: int,
    changes: tuple[WorkloadChange, ...],
    origin: int,
    bind_nodes: Callable[[tuple[Nodes, ...]], tuple[NodeSet, ...]],
) -> list[BoundChange]:
    """The changes of a lease on a site whose resource types ``bind_nodes`` knows."""
    return [
        BoundChange(
            origin + change.at_seconds,
            lease_id,
            change,
            origin,
            None if change.nodes is None else bind_nodes(change.nodes),
        )
        for change in changes
    ]
