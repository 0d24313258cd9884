"""Share of what could be promised that is, deadlines and ARs mixed, beside an exact judge.

As :mod:`bench.promises`, for mixes in which requests have a deadline and some freedom. Where the
scheduler refuses one, the judge is asked whether all that was promised could be kept with it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace

from bench.judge import can_be_kept
from bench.promises import (
    DEFAULTS,
    MIXES,
    Mix,
    Outcome,
    decided,
    let_pass,
    task_of,
    tasks_promised,
    work_of,
)
from haizea.core.model.lease import Kind
from haizea.core.model.settings import Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

#: Half of the requests have a deadline.
WINDOWS = 50


def mixes() -> tuple[Mix, ...]:
    """The sites and requests that are measured: some smaller than those of ARs alone."""
    some = [mix for mix in MIXES if mix.name != "mixed 20"]
    return tuple([replace(mix, requests=150, windows=WINDOWS) for mix in some])


def run(mix: Mix, seed: int, outcome: Outcome, settings: Settings) -> None:
    """Let the scheduler decide on the requests, and add to the outcome."""
    site = mix.site()
    policies = make_policies(preemption="ar-preempts-everything")
    scheduler = Scheduler(site, settings, policies, 0)
    capacities = [host.capacity for host in site.hosts]
    for request in mix.asked(seed):
        let_pass(scheduler, request.submitted)
        before = tasks_promised(scheduler.leases(), request.submitted)
        accepted, taken = decided(scheduler, request)
        if request.kind is Kind.BEST_EFFORT:
            continue
        outcome.slowest_ms = max(outcome.slowest_ms, taken)
        outcome.asked += 1
        if accepted:
            outcome.accepted += 1
            outcome.work += work_of(request)
            continue
        outcome.rejected += 1
        try:
            asked = task_of(request, request.submitted)
            outcome.avoidable += can_be_kept(capacities, [*before, asked])
        except TimeoutError:
            outcome.undecided += 1


def main(say: Callable[[str], None] = print) -> None:
    """Measure the mixes with some seeds, from the one that is named on; a line of JSON for each."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for mix in mixes():
        outcome = Outcome(name=mix.name)
        for seed in range(first, first + 2):
            run(mix, seed, outcome, DEFAULTS)
        say(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
