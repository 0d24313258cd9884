"""Cost of 1,000 leases with deadlines beside 5,000 jobs, and of as many ARs in their place.

The same requests at the same times: only that the thousand have an exact start, or some hours of
freedom. ``python -m bench.beside`` prints a line of JSON for each, in seconds of processor time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from random import Random

from bench.promises import DEFAULTS, let_pass, with_deadline
from haizea.core.model.events import LeaseSubmitted
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import FOREVER, ResourceTypes
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

_HOSTS = 100
_HOUR = 3600


def requests(count: int, cores: tuple[int, ...], *, deadlines: bool) -> Iterator[LeaseRequest]:
    """Requests over time, of nodes with one of these numbers of cores; a sixth are promised."""
    random, now = Random(1), 0
    for lease_id in range(1, count + 1):
        now += random.randint(0, 240)
        size = random.choice(cores)
        lead, slack = random.randint(_HOUR // 2, 12 * _HOUR), random.randint(_HOUR, 6 * _HOUR)
        promised = lease_id % 6 == 0
        asked = LeaseRequest(
            id=lease_id,
            submitted=now,
            kind=Kind.AR if promised else Kind.BEST_EFFORT,
            nodes=(NodeSet(random.randint(1, 8), (100 * size, 1024 * size)),),
            duration=random.randint(_HOUR // 6, 2 * _HOUR),
            start=now + lead if promised else None,
            preemptible=not promised,
        )
        yield with_deadline(asked, slack) if promised and deadlines else asked


def seconds_for(count: int, cores: tuple[int, ...], *, deadlines: bool) -> float:
    """Return the processor time of a run of so many requests, to its end."""
    site = Site.uniform(ResourceTypes(), _HOSTS, (400, 4096))
    made = Scheduler(site, DEFAULTS, make_policies(preemption="ar-preempts-everything"), 0)
    begun = time.process_time()
    for request in requests(count, cores, deadlines=deadlines):
        let_pass(made, request.submitted)
        made.handle(request.submitted, [LeaseSubmitted(request)])
    while (due := made.next_wakeup()) is not None and due < FOREVER:
        made.handle(due)
    return time.process_time() - begun


def main(say: Callable[[str], None] = print) -> None:
    """Measure nodes that take hosts whole, and parts of them; a line of JSON for each."""
    for nodes, cores in (("whole hosts", (4,)), ("parts of hosts", (1, 2, 4))):
        ars = seconds_for(6000, cores, deadlines=False)
        windows = seconds_for(6000, cores, deadlines=True)
        found = {"ars_s": round(ars, 1), "deadlines_s": round(windows, 1)}
        say(json.dumps({"nodes": nodes, **found, "ratio": round(windows / ars, 2)}))


if __name__ == "__main__":
    main()
