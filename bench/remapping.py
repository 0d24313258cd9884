"""Time to decide on big advance reservations where others have to be moved, or it is in vain.

10,000 hosts are filled by reservations of 10 nodes each, 50,000 nodes in all, at any minute of
as much time as they fill. Then ARs of 100 nodes are asked for, one after another, and the call to
the scheduler that decides on each is timed: where there are hosts as it is, where others get other
hosts, and where it is refused.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from haizea.core.model.events import HostsPlanned, LeaseSubmitted, StateChanged
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import Capacity, ResourceTypes
from haizea.core.model.settings import Backfilling, Migration, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.loop import collecting_rarely
from haizea.policies.registry import make_policies

RESULT = Path(__file__).resolve().parent / "results" / "remapping.json"
HOSTS = 10_000
LEASES, NODES_EACH = 5000, 10
DECISIONS, NODES_ASKED = 60, 100
#: So much of all hosts over the time is asked for in order to fill them.
_FULL = 0.97
_MEAN_HOURS = 4.5
#: Cores of each host, and of nodes that fill the site; cores of those asked for then, by a name.
_SITES: tuple[tuple[int, tuple[int, ...], dict[str, tuple[int, ...]]], ...] = (
    (1, (1,), {"nodes take whole hosts": (1,)}),
    (
        4,
        (1, 2, 3, 4),
        {
            "nodes of 1 to 4 cores, asked for all 4": (4,),
            "nodes of 1 to 4 cores, asked for 1 to 4": (1, 2, 3, 4),
        },
    ),
)


def _size(cores: int) -> Capacity:
    return 100 * cores, 1024 * cores


class _Site:
    """A site, and how it is asked for leases at random times."""

    def __init__(self, cores: int, sizes: tuple[int, ...]) -> None:
        settings = Settings(
            backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL, migration=Migration.YES
        )
        policies = make_policies(preemption="ar-preempts-everything", host_selection="greedy")
        site = Site.uniform(ResourceTypes(), HOSTS, _size(cores))
        self.scheduler = Scheduler(site, settings, policies, 0)
        self._random = Random(5)
        share = sum(sizes) / len(sizes) / cores
        hours = LEASES * NODES_EACH * _MEAN_HOURS * share / (HOSTS * _FULL)
        self._minutes = int(60 * hours)
        self._leases = 0

    def ask(self, nodes: int, sizes: tuple[int, ...]) -> tuple[str, float]:
        """Return what became of a request, and the milliseconds of processor time that it took."""
        random = self._random
        self._leases += 1
        asked = LeaseRequest(
            id=self._leases,
            submitted=0,
            kind=Kind.AR,
            nodes=(NodeSet(nodes, _size(random.choice(sizes))),),
            start=60 * (60 + random.randrange(self._minutes)),
            duration=3600 * random.randint(1, 8),
        )
        begun = time.process_time()
        decisions = self.scheduler.handle(0, [LeaseSubmitted(asked)]).decisions
        taken = 1000 * (time.process_time() - begun)
        last = [d for d in decisions if isinstance(d, StateChanged)][-1]
        if last.new is not State.SCHEDULED:
            return "refused", taken
        moved = any(isinstance(d, HostsPlanned) and d.lease_id != asked.id for d in decisions)
        return "others moved" if moved else "room as it is", taken


def measure(
    cores: int, sizes: tuple[int, ...], asked: dict[str, tuple[int, ...]]
) -> Iterator[dict[str, Any]]:
    """Fill one of the sites, and ask it for big leases, of the sizes of each name.

    Python looks for garbage as rarely as in a run or a service.
    """
    site = _Site(cores, sizes)
    held = sum(site.ask(NODES_EACH, sizes)[0] != "refused" for _ in range(LEASES))
    with collecting_rarely():
        for name, sizes_asked in asked.items():
            yield {
                "site": name,
                "reservations": held * NODES_EACH,
                "outcomes": _outcomes(site, sizes_asked),
            }


def _outcomes(site: _Site, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    taken: dict[str, list[float]] = {"room as it is": [], "others moved": [], "refused": []}
    for _ in range(DECISIONS):
        found, milliseconds = site.ask(NODES_ASKED, sizes)
        taken[found].append(milliseconds)
    return [
        {
            "outcome": outcome,
            "count": len(all_ms),
            "median_ms": round(median(all_ms), 1) if all_ms else None,
            "worst_ms": round(max(all_ms), 1) if all_ms else None,
        }
        for outcome, all_ms in taken.items()
    ]


def main(say: Callable[[str], None] = print) -> None:
    """Measure all sites; print a line of JSON for each, and keep the figures for the page."""
    sites = []
    for site in _SITES:
        for found in measure(*site):
            sites.append(found)
            say(json.dumps(found))
    result = {"hosts": HOSTS, "load_average": round(os.getloadavg()[0], 1), "sites": sites}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
