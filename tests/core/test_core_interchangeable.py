"""Hosts that become interchangeable: reservations on hosts become numbers of hosts."""

from __future__ import annotations

from haizea.core.model.events import LeaseEnded, LeaseSubmitted, OperationStarted
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies


def request(lease_id: int, duration: int, cpu: int, nodes: int = 1) -> LeaseSubmitted:
    sets = (NodeSet(nodes, (cpu, 512)),)
    return LeaseSubmitted(
        LeaseRequest(id=lease_id, submitted=0, kind=Kind.BEST_EFFORT, nodes=sets, duration=duration)
    )


def test_what_comes_free_in_that_moment_is_used() -> None:
    """The last lease that shares a host ends early: the first that waits starts at once."""
    site = Site.uniform(ResourceTypes(), 2, (100, 1024))
    settings = Settings(backfilling=Backfilling.CONSERVATIVE)
    scheduler = Scheduler(site, settings, make_policies(), 0)
    scheduler.handle(0, [request(1, 40, 50), request(2, 10, 100, 2)])
    (started,) = [
        d
        for d in scheduler.handle(30, [LeaseEnded(1)]).decisions
        if isinstance(d, OperationStarted)
    ]
    assert (started.lease_id, started.time, started.hosts) == (2, 30, (0, 1))
    scheduler.check()
