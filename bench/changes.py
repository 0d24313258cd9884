"""Times and work of changes of leases on full sites: those that run, and those to come.

Half of the changes ask for more time, the others for a start an hour sooner; those that are
refused cost most, because what would do instead is looked for, too.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from haizea.core.model.events import LeaseAltered, LeaseChanged, LeaseSubmitted
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

_BEGIN = 60
_HOUR = 3600
#: So many of those that run, and of those to come, are asked about.
_ASKED = 20


def full_site(hosts: int, leases: int, seed: int) -> Scheduler:
    """A site whose hosts ARs of a quarter to all of a host fill for hours; the first ones run."""
    site = Site.uniform(ResourceTypes(), hosts, (400, 4096))
    policies = make_policies(preemption="ar-preempts-everything")
    # As they come, without a search: the site is filled quickly, and as badly as it can be.
    filled = Scheduler(site, Settings(remapping_effort=0), policies, 0)
    for request in _requests(hosts, leases, seed):
        filled.handle(0, [LeaseSubmitted(request)])
    filled.handle(_BEGIN)
    made = Scheduler(site, Settings(), policies, _BEGIN)
    made.restore(filled.leases(), filled.site_record())
    return made


def _requests(hosts: int, leases: int, seed: int) -> Iterator[LeaseRequest]:
    random = Random(seed)
    # Half as much again as there is: 250 of 400 for 65 minutes, on average. The rest is rejected.
    span_seconds = leases * 3900 * 250 * 2 // (hosts * 400 * 3)
    for lease_id in range(1, leases + 1):
        later = random.randrange(span_seconds // 60) * 60
        cores = random.choice((1, 2, 3, 4))
        yield LeaseRequest(
            id=lease_id,
            submitted=0,
            kind=Kind.AR,
            nodes=(NodeSet(1, (100 * cores, 1024 * cores)),),
            duration=random.randint(10, 120) * 60,
            start=_BEGIN + (later if lease_id > hosts else 0),
        )


def changes(made: Scheduler, seed: int) -> Iterator[LeaseChanged]:
    """Requests for more time or a sooner start, of leases that run and of those to come."""
    random, leases = Random(seed), made.leases()
    running = [lease.request for lease in leases if lease.state is State.ACTIVE]
    planned = [lease.request for lease in leases if lease.state is State.SCHEDULED]
    for requests in (running, planned):
        for request in random.sample(requests, min(_ASKED, len(requests))):
            assert request.duration is not None, "it has an end"
            longer = replace(request, duration=request.duration + 2 * _HOUR)
            yield LeaseChanged(request.id, longer)
    for request in random.sample(planned, min(_ASKED, len(planned))):
        assert request.start is not None, "an AR has a start"
        start = max(_BEGIN + _HOUR, request.start - _HOUR)
        yield LeaseChanged(request.id, replace(request, start=start))


def measure(hosts: int, leases: int, seed: int) -> dict[str, float]:
    """Decide on changes one by one; return figures in ms of processor time."""
    made = full_site(hosts, leases, seed)
    taken, granted = list[float](), 0
    for asked in changes(made, seed):
        begun = time.process_time()
        decisions = made.handle(_BEGIN, [asked]).decisions
        taken.append(1000 * (time.process_time() - begun))
        granted += any(isinstance(decision, LeaseAltered) for decision in decisions)
    return {
        "hosts": hosts,
        "leases": len(made.leases()),
        "changes": len(taken),
        "granted": granted,
        "median_ms": round(statistics.median(taken), 1),
        "worst_ms": round(max(taken), 1),
    }


def main(say: Callable[[str], None] = print) -> None:
    """Measure sites of ``HOSTS LEASES``, or both usual ones; print a line of JSON for each."""
    sizes = [(200, 3_000), (200, 14_000)]
    if len(sys.argv) > 2:
        sizes = [(int(sys.argv[1]), int(sys.argv[2]))]
    for hosts, leases in sizes:
        say(json.dumps(measure(hosts, leases, 1)))


if __name__ == "__main__":
    main()
