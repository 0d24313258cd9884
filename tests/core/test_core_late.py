"""What ended by itself while nobody looked."""

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
