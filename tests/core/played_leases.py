"""Leases of one size on equal hosts, and a scheduler that is played on to a moment."""

from __future__ import annotations

from collections.abc import Iterable

from haizea.core.model.events import Decision, StateChanged
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

HOST = (400, 4096)


def at(moment: int) -> str:
    """A moment as the tests write it."""
    return f"@{moment}"


def lease(
    lease_id: int,
    kind: Kind,
    start: int | None = None,
    *,
    submitted: int = 0,
    duration: int | None = 100,
    nodes: int = 1,
    cpu: int = 400,
    preemptible: bool = False,
    after: int | None = None,
    deadline: int | None = None,
) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=submitted,
        kind=kind,
        nodes=(NodeSet(nodes, (cpu, 1024)),),
        duration=duration,
        start=start,
        after=after,
        deadline=deadline,
        preemptible=preemptible,
    )


def on_hosts(hosts: int, preemption: str, rules: Settings | None = None, now: int = 0) -> Scheduler:
    """A scheduler of so many hosts, with a policy of preemption."""
    site = Site.uniform(ResourceTypes(), hosts, HOST)
    return Scheduler(site, rules or Settings(), make_policies(preemption=preemption), now)


def played(made: Scheduler, until: int) -> list[Decision]:
    """Whatever is due up to a moment."""
    found: list[Decision] = []
    while (due := made.next_wakeup()) is not None and due <= until:
        found += made.handle(due).decisions
        made.check()
    return found


def states(decisions: Iterable[Decision]) -> dict[int, State]:
    """The last state that each lease was given."""
    return {d.lease_id: d.new for d in decisions if isinstance(d, StateChanged)}


def active_from(made: Scheduler, until: int) -> dict[int, int]:
    """Play on to a moment; return when leases became active first."""
    found: dict[int, int] = {}
    for decision in played(made, until):
        if isinstance(decision, StateChanged) and decision.new is State.ACTIVE:
            found.setdefault(decision.lease_id, decision.time)
    return found
