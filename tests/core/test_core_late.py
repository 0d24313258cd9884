"""What ended by itself while nobody looked, and what shut down sooner than was planned."""

from __future__ import annotations

import pytest

from haizea.core.model.events import LeaseEnded, LeaseSubmitted, StateChanged
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies


@pytest.mark.parametrize(
    ("heard", "code"),
    [(40, "early-end"), (99, "early-end"), (100, "duration-over"), (150, "duration-over")],
)
def test_an_end_that_is_heard_of_late_is_not_early(heard: int, code: str) -> None:
    site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    scheduler = Scheduler(site, Settings(), make_policies(), 0)
    nodes = (NodeSet(1, (100, 1024)),)
    request = LeaseRequest(id=1, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=100)
    scheduler.handle(0, [LeaseSubmitted(request)])
    decisions = scheduler.handle(heard, [LeaseEnded(1)])
    (done,) = [d for d in decisions if isinstance(d, StateChanged)]
    assert (done.new, done.code, done.time) == (State.DONE, code, heard)


@pytest.mark.parametrize("kind", [Kind.BEST_EFFORT, Kind.IMMEDIATE])
def test_hosts_are_free_when_vms_have_shut_down(kind: Kind) -> None:
    site = Site.uniform(ResourceTypes(), 1, (100, 1024))
    scheduler = Scheduler(site, Settings(shutdown_seconds=30), make_policies(), 0)
    nodes = (NodeSet(1, (100, 1024)),)
    first = LeaseRequest(id=1, submitted=0, kind=kind, nodes=nodes, duration=100)
    following = LeaseRequest(id=2, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=100)
    scheduler.handle(0, [LeaseSubmitted(first), LeaseSubmitted(following)])
    scheduler.handle(70)
    decisions = scheduler.handle(72, [LeaseEnded(1)])
    changes = [d for d in decisions if isinstance(d, StateChanged)]
    assert (changes[0].lease_id, changes[0].new) == (1, State.DONE)
    assert changes[0].reason == "its duration is over, and its VMs have shut down"
    assert (changes[-1].lease_id, changes[-1].new, changes[-1].time) == (2, State.ACTIVE, 72)
    scheduler.check()
