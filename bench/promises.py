"""Share of what could be promised that is: advance reservations beside an exact judge.

Requests come one after another while time passes. The scheduler under test decides on each;
where it refuses, the judge is asked about the very same situation. The judge also decides
on the same requests by itself, from the beginning, to say how much work could be admitted.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from bench.judge import Node, Task, witness
from haizea.core.model.events import LeaseSubmitted, StateChanged
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import Capacity, ResourceTypes
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

#: How whoever decides is set up: as Haizea is where nothing else is said.
DEFAULTS: Final = Settings(backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """A site and what is asked of it; sizes in cores, times in seconds.

    ``gap_seconds`` is the mean time between requests, ``lead_seconds`` the longest time
    from a request to its start. ``waiting`` is the share of requests, of a hundred, that are
    preemptible best-effort leases; ``windows`` the share that have a deadline, up to
    ``slack_seconds`` later than need be.
    """

    name: str
    cores: tuple[int, ...]
    sizes: tuple[int, ...]
    most_nodes: int
    requests: int = 300
    gap_seconds: int = 60
    lead_seconds: int = 7200
    least_seconds: int = 300
    most_seconds: int = 1800
    waiting: int = 0
    windows: int = 0
    slack_seconds: int = 3600

    def site(self) -> Site:
        """The hosts."""
        hosts = [Host(i, f"host-{i + 1}", _size(c)) for i, c in enumerate(self.cores)]
        return Site(ResourceTypes(), tuple(hosts))

    def asked(self, seed: int) -> Iterator[LeaseRequest]:
        """The requests, the same for the same seed."""
        random, now = Random(f"{self.name}-{seed}"), 0
        for lease_id in range(1, self.requests + 1):
            now += random.randint(0, 2 * self.gap_seconds)
            best_effort = random.randrange(100) < self.waiting
            asked = LeaseRequest(
                id=lease_id,
                submitted=now,
                kind=Kind.BEST_EFFORT if best_effort else Kind.AR,
                nodes=(NodeSet(random.randint(1, self.most_nodes), _size(self._draw(random))),),
                duration=random.randint(self.least_seconds, self.most_seconds),
                start=None if best_effort else now + random.randint(1, self.lead_seconds),
                preemptible=best_effort,
            )
            if self.windows and asked.start is not None and random.randrange(100) < self.windows:
                slack = random.randint(0, self.slack_seconds)
                asked = with_deadline(asked, slack)
            yield asked

    def _draw(self, random: Random) -> int:
        return self.sizes[random.randrange(len(self.sizes))]


def with_deadline(asked: LeaseRequest, slack_seconds: int) -> LeaseRequest:
    """The AR as a lease with a deadline, not before its start and so much later at most."""
    assert asked.start is not None, "an AR has a start"
    assert asked.duration is not None, "it has an end"
    return replace(
        asked,
        kind=Kind.DEADLINE,
        start=None,
        after=asked.start,
        deadline=asked.start + asked.duration + slack_seconds,
    )


def _size(cores: int) -> Capacity:
    return 100 * cores, 1024 * cores


MIXES = (
    Mix(name="equal 8", cores=(1,) * 8, sizes=(1,), most_nodes=3, most_seconds=900),
    Mix(name="mixed 6", cores=(4,) * 6, sizes=(1, 2, 3, 4), most_nodes=2, most_seconds=1000),
    Mix(
        name="mixed 20",
        cores=(4,) * 20,
        sizes=(1, 2, 3, 4),
        most_nodes=3,
        requests=600,
        most_seconds=1000,
    ),
    Mix(name="long 12", cores=(8,) * 12, sizes=(1, 2, 3, 5), most_nodes=4, most_seconds=3600),
    Mix(name="unequal 10", cores=(2, 4, 8, 4, 2, 8, 4, 4, 2, 8), sizes=(1, 2, 3, 4), most_nodes=2),
    Mix(
        name="beside waiting 8",
        cores=(4,) * 8,
        sizes=(1, 2, 3, 4),
        most_nodes=2,
        most_seconds=1200,
        waiting=30,
    ),
    Mix(
        name="unequal 5",
        cores=(2, 4, 8, 4, 6),
        sizes=(1, 2, 3, 4),
        most_nodes=2,
        gap_seconds=110,
    ),
    Mix(
        name="unequal beside waiting 16",
        cores=(2, 4, 8, 16) * 4,
        sizes=(1, 2, 3, 5, 8),
        most_nodes=4,
        most_seconds=3600,
        waiting=50,
        gap_seconds=40,
    ),
)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Figures of one mix, over its seeds: work is in core-seconds, of ARs alone."""

    name: str
    seeds: str = ""
    asked: int = 0
    accepted: int = 0
    rejected: int = 0
    avoidable: int = 0
    undecided: int = 0
    work: int = 0
    exact_accepted: int = 0
    exact_work: int = 0
    slowest_ms: float = 0.0


def work_of(request: LeaseRequest) -> int:
    """Core-seconds."""
    assert request.duration is not None, "it has an end"
    return sum(s.count * s.capacity[0] for s in request.nodes) // 100 * request.duration


class Judge:
    """Decides on the same requests by itself: who is refused was refused because it must be."""

    def __init__(self, capacities: Sequence[Capacity]) -> None:
        self._capacities = capacities
        self._nodes: list[Node] = []

    def accepts(self, request: LeaseRequest) -> bool:
        """Tell whether the request is accepted; it then counts from now on."""
        now = request.submitted
        self._nodes = [n for n in self._nodes if n.end > now]
        asked = [*self._nodes, *nodes_of(request)]
        try:
            found = witness(self._capacities, [_open(n, now) for n in asked])
        except TimeoutError:
            found = None
        if found is None:
            return False
        self._nodes = [
            Node(n.start, n.end, n.size, host) for n, host in zip(asked, found, strict=True)
        ]
        return True


def _open(node: Node, now: int) -> Node:
    if node.start <= now:
        return node
    return Node(node.start, node.end, node.size)


def nodes_of(request: LeaseRequest) -> list[Node]:
    """An AR's nodes, on no hosts yet."""
    assert request.start is not None, "an AR has a start"
    assert request.duration is not None, "it has an end"
    end = request.start + request.duration
    return [Node(request.start, end, size) for size in request.node_capacities()]


def situation(leases: Sequence[LeaseRecord], now: int) -> list[Node]:
    """Return what the scheduler has promised, and on which hosts as far as it has begun.

    Leases that may be preempted are left out: they are in nobody's way.
    """
    found: list[Node] = []
    for lease in leases:
        plan = lease.plan
        if plan is None or lease.request.kind is not Kind.AR:
            continue
        begun = plan.at > 0 or plan.since is not None
        start = max(plan.phases[0].start, now)
        for host, size in zip(plan.hosts, lease.request.node_capacities(), strict=True):
            found.append(Node(start, plan.end, size, host if begun else None))
    return found


def task_of(request: LeaseRequest, now: int) -> Task:
    """An AR or a lease with a deadline, as the judge places it from now on."""
    assert request.duration is not None, "it has an end"
    sizes = tuple(request.node_capacities())
    if request.start is not None:
        return Task(request.start, request.start, request.duration, sizes)
    assert request.deadline is not None, "it has a deadline"
    first = max(now, request.after or 0)
    return Task(first, request.deadline - request.duration, request.duration, sizes)


def tasks_promised(leases: Sequence[LeaseRecord], now: int) -> list[Task]:
    """Return what the scheduler has promised: what has begun stays as it is."""
    found: list[Task] = []
    for lease in leases:
        plan = lease.plan
        if plan is None or lease.request.kind not in (Kind.AR, Kind.DEADLINE):
            continue
        if plan.at or plan.since is not None:
            sizes = tuple(lease.request.node_capacities())
            found.append(Task(now, now, plan.end - now, sizes, plan.hosts))
        else:
            found.append(task_of(lease.request, now))
    return found


def run(mix: Mix, seed: int, outcome: Outcome, settings: Settings, *, judge: bool = True) -> None:
    """Let the scheduler decide on the requests, and add to the outcome."""
    site = mix.site()
    policies = make_policies(preemption="ar-preempts-everything")
    scheduler = Scheduler(site, settings, policies, 0)
    capacities = [host.capacity for host in site.hosts]
    exact = Judge(capacities)
    for request in mix.asked(seed):
        let_pass(scheduler, request.submitted)
        before = situation(scheduler.leases(), request.submitted)
        accepted, taken = decided(scheduler, request)
        if request.kind is not Kind.AR:
            continue
        outcome.slowest_ms = max(outcome.slowest_ms, taken)
        outcome.asked += 1
        if judge and exact.accepts(request):
            outcome.exact_accepted += 1
            outcome.exact_work += work_of(request)
        if accepted:
            outcome.accepted += 1
            outcome.work += work_of(request)
            continue
        outcome.rejected += 1
        if judge:
            try:
                found = witness(capacities, [*before, *nodes_of(request)])
                outcome.avoidable += found is not None
            except TimeoutError:
                outcome.undecided += 1


def decided(scheduler: Scheduler, request: LeaseRequest) -> tuple[bool, float]:
    """Ask for a lease now: tell if it is accepted, and after how many milliseconds of processor."""
    begun = time.process_time()
    decisions = scheduler.handle(request.submitted, [LeaseSubmitted(request)]).decisions
    taken = 1000 * (time.process_time() - begun)
    states = [d.new for d in decisions if isinstance(d, StateChanged) and d.lease_id == request.id]
    return State.REJECTED not in states, taken


def let_pass(scheduler: Scheduler, until: int) -> None:
    """Let everything happen that is planned before ``until``, and at it."""
    while (due := scheduler.next_wakeup()) is not None and due <= until:
        scheduler.handle(due)
    scheduler.handle(until)


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Lines of a page's table of outcomes, and one for all of them together.

    With dashes where the judge did not decide by itself.
    """
    yield (
        "| mix | seeds | asked | accepted | by the judge | rejected | avoidable | not decided"
        " | work, of the judge's | slowest decision |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for o in [*outcomes, _together(outcomes)]:
        share = 100 * o.avoidable / o.rejected if o.rejected else 0.0
        alone = f"{o.exact_accepted:,}" if o.exact_work else "–"
        of_work = f"{100 * o.work / o.exact_work:.1f} %" if o.exact_work else "–"
        yield (
            f"| {o.name} | {o.seeds} | {o.asked:,} | {o.accepted:,} | {alone} |"
            f" {o.rejected:,} | {o.avoidable} ({share:.1f} %) | {o.undecided} |"
            f" {of_work} | {o.slowest_ms:.0f} ms |"
        )


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    total = Outcome(name="together")
    for o in outcomes:
        total.asked += o.asked
        total.accepted += o.accepted
        total.rejected += o.rejected
        total.avoidable += o.avoidable
        total.undecided += o.undecided
        total.work += o.work
        total.exact_accepted += o.exact_accepted
        total.exact_work += o.exact_work
        total.slowest_ms = max(total.slowest_ms, o.slowest_ms)
    return total


def main(say: Callable[[str], None] = print) -> None:
    """Measure mixes and print a line of JSON for each, or print the table of such lines."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="MIX", help="mixes to measure; else all")
    parser.add_argument("--seeds", default="1,2,3", help="seeds of the requests: 1,2,3")
    parser.add_argument("--alone", action="store_true", help="without the judge")
    parser.add_argument("--table", type=Path, metavar="FILE", help="lines of an earlier run")
    asked = parser.parse_args()
    if asked.table is not None:
        lines = asked.table.read_text(encoding="utf-8").splitlines()
        for line in table([Outcome(**json.loads(line)) for line in lines]):
            say(line)
        return
    for mix in MIXES:
        if asked.names and mix.name not in asked.names:
            continue
        outcome = Outcome(name=mix.name, seeds=asked.seeds)
        for seed in asked.seeds.split(","):
            run(mix, int(seed), outcome, DEFAULTS, judge=not asked.alone)
        say(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
