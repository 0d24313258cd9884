"""Times of changes of leases on full sites: those that run, and those to come, kind by kind.

Those that are refused cost most, because what would do instead is looked for, too. It writes
bench/results/changes.json where no size is given; ``python -m bench --page`` writes the page.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from haizea.core.model.events import LeaseAltered, LeaseChanged, LeaseSubmitted
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.loop import collecting_rarely
from haizea.policies.registry import make_policies

RESULT = Path(__file__).parent / "results" / "changes.json"
#: Hosts, and how many leases are asked for on them; two thirds of these find room.
_SITES = ((200, 3_000), (200, 14_000))
_BEGIN = 60
_HOUR = 3600
_AIM_MS = 20
#: So many leases are asked about for each kind of change.
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


def changes(made: Scheduler, seed: int) -> dict[str, list[LeaseChanged]]:
    """Requests by kind: of leases that run, and of those to come."""
    random, leases = Random(seed), made.leases()
    running = [lease.request for lease in leases if lease.state is State.ACTIVE]
    planned = [lease.request for lease in leases if lease.state is State.SCHEDULED]
    kinds: dict[str, tuple[list[LeaseRequest], Callable[[LeaseRequest], LeaseRequest]]] = {
        "runs, two hours more": (running, lambda x: _lasting(x, 1, 2 * _HOUR)),
        "runs, ten minutes more": (running, lambda x: _lasting(x, 1, 600)),
        "runs, ends sooner": (running, lambda x: _lasting(x, 2, _BEGIN)),
        "to come, two hours more": (planned, lambda x: _lasting(x, 1, 2 * _HOUR)),
        "to come, an hour sooner": (planned, lambda x: _starting(x, -_HOUR)),
        "to come, an hour later": (planned, lambda x: _starting(x, _HOUR)),
        "to come, a node more": (planned, _wider),
        "may be preempted": (planned, lambda x: replace(x, preemptible=not x.preemptible)),
    }
    return {
        kind: [LeaseChanged(x.id, changed(x)) for x in random.sample(them, min(_ASKED, len(them)))]
        for kind, (them, changed) in kinds.items()
    }


def _lasting(request: LeaseRequest, part: int, more: int) -> LeaseRequest:
    assert request.duration is not None, "it has an end"
    return replace(request, duration=request.duration // part + more)


def _starting(request: LeaseRequest, later: int) -> LeaseRequest:
    assert request.start is not None, "an AR has a start"
    return replace(request, start=max(_BEGIN + 1, request.start + later))


def _wider(request: LeaseRequest) -> LeaseRequest:
    nodes = [replace(node_set, count=node_set.count + 1) for node_set in request.nodes]
    return replace(request, nodes=tuple(nodes))


def measure(hosts: int, leases: int, seed: int) -> dict[str, Any]:
    """Decide on changes one by one; return figures in ms of processor time, for each kind, too.

    Python looks for garbage as rarely as in a run or a service.
    """
    made = full_site(hosts, leases, seed)
    there = len(made.leases())
    made.handle(_BEGIN)
    all_taken, kinds = list[float](), list[dict[str, Any]]()
    for kind, asked in changes(made, seed).items():
        taken, granted = list[float](), 0
        with collecting_rarely():
            for change in asked:
                begun = time.process_time()
                decisions = made.handle(_BEGIN, [change]).decisions
                taken.append(1000 * (time.process_time() - begun))
                granted += any(isinstance(decision, LeaseAltered) for decision in decisions)
        all_taken += taken
        kinds.append({"kind": kind, "changes": len(taken), "granted": granted, **_spread(taken)})
    return {"hosts": hosts, "leases": there, **_spread(all_taken), "kinds": kinds}


def _spread(taken: list[float]) -> dict[str, float]:
    median, worst = round(statistics.median(taken), 1), round(max(taken), 1)
    within = round(100 * sum(ms < _AIM_MS for ms in taken) / len(taken))
    return {"median_ms": median, "worst_ms": worst, "within_percent": within}


def main(say: Callable[[str], None] = print) -> None:
    """Measure sites of ``HOSTS LEASES``, or both usual ones; print a line of JSON for each."""
    if len(sys.argv) > 2:
        say(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]), 1)))
        return
    sites = []
    for hosts, leases in _SITES:
        sites.append(measure(hosts, leases, 1))
        say(json.dumps(sites[-1]))
    result = {"load_average": round(os.getloadavg()[0], 1), "sites": sites}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
