"""Time to decide on one big advance reservation on a big, busy site.

10,000 hosts hold 50,000 reservations: 5,000 ARs of 10 hosts each, of 1 to 8 hours,
starting at any minute of two days. Then ARs of 100 hosts are asked for, one after another,
and the call to the scheduler that decides on each is timed.
"""

from __future__ import annotations

import json
import time
from random import Random
from statistics import median

from haizea.core.model.events import LeaseSubmitted, StateChanged
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Migration, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.wording import in_words

HOSTS = 10_000
LEASES, NODES_EACH = 5000, 10
DECISIONS, NODES_ASKED = 21, 100
CAPACITY = (100, 1024)
SPAN_MINUTES = 2 * 24 * 60


def _request(lease_id: int, nodes: int, start_minute: int, hours: int) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=Kind.AR,
        nodes=(NodeSet(nodes, CAPACITY),),
        duration=hours * 3600,
        start=60 * start_minute,
    )


def busy_site(random: Random) -> Scheduler:
    """A scheduler that has promised all the reservations; nothing has started yet."""
    settings = Settings(
        backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL, migration=Migration.YES
    )
    policies = make_policies(preemption="ar-preempts-everything", host_selection="greedy")
    site = Site.uniform(ResourceTypes(), HOSTS, CAPACITY)
    scheduler = Scheduler(site, settings, policies, 0)
    for lease_id in range(1, LEASES + 1):
        start = random.randrange(1, SPAN_MINUTES)
        asked = _request(lease_id, NODES_EACH, start, random.randint(1, 8))
        _accepted(scheduler, asked)
    return scheduler


def _accepted(scheduler: Scheduler, request: LeaseRequest) -> float:
    """CPU seconds that the decision took; it must be to accept."""
    begun = time.process_time()
    decisions = scheduler.handle(0, [LeaseSubmitted(request)]).decisions
    taken = time.process_time() - begun
    last = [d for d in decisions if isinstance(d, StateChanged)][-1]
    assert last.new is State.SCHEDULED, f"lease {request.id} is {last.new}: {in_words(last.reason)}"
    return taken


def main() -> None:
    """Measure, and print the milliseconds as JSON."""
    random = Random("decision")
    scheduler = busy_site(random)
    taken = []
    for lease_id in range(LEASES + 1, LEASES + DECISIONS + 1):
        start = random.randrange(60, SPAN_MINUTES)
        asked = _request(lease_id, NODES_ASKED, start, random.randint(1, 8))
        taken.append(1000 * _accepted(scheduler, asked))
    print(json.dumps({"median_ms": median(taken), "worst_ms": max(taken)}))


if __name__ == "__main__":
    main()
