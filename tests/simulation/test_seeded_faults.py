"""Simulations in which everything goes wrong, one for each seed.

A failure names its seed: ``pytest -k 'seed-17'`` repeats it. ``HAIZEA_EFFORT=10`` takes ten
times as many seeds, others than usual, from ``HAIZEA_SEED`` on.
"""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from effort import DEFAULT_LOOKS, EFFORT, SEED, looks_by
from simulated_runs import Case, Run, Story, play

from haizea.backends.simulated import Faults
from haizea.core.model.events import (
    HostAdded,
    HostDrained,
    HostFailed,
    HostRates,
    HostRestored,
    Input,
    LeaseCancelled,
    LeaseEnded,
    OperationEnded,
    OperationStarted,
    Purpose,
)
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.reasons import Code
from haizea.core.model.resources import Capacity, ResourceTypes, add, fits
from haizea.core.model.settings import (
    Backfilling,
    Exclusion,
    ImageSettings,
    Migration,
    Settings,
    Suspension,
    Transfer,
)

#: In these something went wrong once: no host was up; a host failed during a shutdown. They keep
#: the effort that they had.
ONCE = (1051, 5101)
SEEDS = (*range(60), *ONCE) if not EFFORT else range(SEED, SEED + 60 * EFFORT)
LAST = 400

#: How a lease may wait when nothing is to come any more: for a host that is down.
WAITING = {State.QUEUED, State.SUSPENDED_QUEUED, State.PREPARING, State.READY}


def settings_by(chance: random.Random, looks: int) -> Settings:
    images = ImageSettings(
        mechanism=chance.choice(list(Transfer)),
        avoid_redundant=chance.random() < 0.5,
        cache_mb=chance.choice([0, 60, 200]),
    )
    return Settings(
        backfilling=chance.choice(list(Backfilling)),
        backfilling_reservations=chance.randint(1, 4),
        suspension=chance.choice([Suspension.ALL, Suspension.ALL, *Suspension]),
        exclusion=chance.choice(list(Exclusion)),
        migration=chance.choice(list(Migration)),
        shutdown_seconds=chance.choice([0, 3]),
        enactment_overhead_seconds=chance.choice([0, 1]),
        images=images if chance.random() < 0.4 else None,
        remapping_effort=looks,
    )


def requests_by(chance: random.Random, hosts: int) -> tuple[LeaseRequest, ...]:
    made, submitted = [], 0
    for lease_id in range(1, chance.randint(5, 25) + 1):
        submitted += chance.choice([0, 0, 1, 7, 20])
        kind = chance.choice([Kind.BEST_EFFORT, *Kind])
        duration, after, deadline = chance.randint(1, 90), None, None
        if kind is Kind.DEADLINE:
            after = submitted + chance.choice([0, 10, 50])
            deadline = after + duration + chance.choice([0, 10, 200])
        size = chance.choice([(100, 64), (100, 128), (200, 256), (50, 60)])
        node_sets = [NodeSet(chance.randint(1, hosts), size)]
        if chance.random() < 0.15:
            node_sets.append(NodeSet(1, (100, 200)))
        made.append(
            LeaseRequest(
                id=lease_id,
                submitted=submitted,
                kind=kind,
                nodes=tuple(node_sets),
                duration=duration,
                after=after,
                deadline=deadline,
                start=submitted + chance.choice([0, 10, 50, 120]) if kind is Kind.AR else None,
                preemptible=chance.random() < 0.7,
                image=chance.choice([None, DiskImage("a", 50), DiskImage("b", 120)]),
            )
        )
    return tuple(made)


def troubles_by(chance: random.Random, hosts: int, leases: int) -> tuple[tuple[int, Input], ...]:
    """Hosts fail, are drained, come back, join, are faster or slower than was known; leases are
    cancelled, or end by themselves."""
    at: list[tuple[int, Input]] = []
    for _ in range(chance.randint(0, 5)):
        moment, host = chance.randrange(LAST), chance.randrange(hosts)
        gone = HostDrained(host) if chance.random() < 0.3 else HostFailed(host)
        at.append((moment, gone))
        if chance.random() < 0.8:
            at.append((moment + chance.randint(0, 60), HostRestored(host)))
    for index in range(chance.choice([0, 0, 1, 2])):
        new = Host(hosts + index, f"new-{index + 1}", chance.choice([(200, 256), (400, 512)]))
        at.append((100 * (index + 1), HostAdded(new)))
    for _ in range(chance.randint(0, 5)):
        lease_id = chance.randint(1, leases + 2)
        over = LeaseEnded(lease_id) if chance.random() < 0.3 else LeaseCancelled(lease_id)
        at.append((chance.randrange(LAST), over))
    for _ in range(chance.choice([0, 0, 3])):
        rates = [None, 8.0, 32.0, 200.0]
        learned = HostRates(chance.randrange(hosts), chance.choice(rates), chance.choice(rates))
        at.append((chance.randrange(LAST), learned))
    return tuple(sorted(at, key=lambda entry: entry[0]))


def case_by(seed: int) -> Case:
    chance = random.Random(seed)
    hosts = chance.randint(1, 5)
    requests = requests_by(chance, hosts)
    often = chance.choice([0.0, 0.1, 0.4])
    late: dict[Purpose, float] = {p: often for p in Purpose if p is not Purpose.RUN}
    faults = Faults(
        seed=seed,
        failure=dict.fromkeys(Purpose, chance.choice([0.0, 0.05, 0.3])),
        delay=late,
        longest_delay_seconds=chance.choice([1, 30]),
        at=troubles_by(chance, hosts, len(requests)),
    )
    real = {r.id: chance.randint(1, 90) for r in requests if chance.random() < 0.5}
    site = Site.uniform(ResourceTypes(), hosts, chance.choice([(200, 256), (100, 128)]))
    settings = settings_by(chance, DEFAULT_LOOKS if seed in ONCE else looks_by(seed))
    preemption = chance.choice(["ar-preempts-everything", "no-preemption"])
    return Case(site, requests, real, settings, preemption, faults=faults)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}-")
def test_whatever_goes_wrong(seed: int) -> None:
    case = case_by(seed)
    run = play(case)
    assert set(run.stories) == {r.id for r in case.requests}, "every request is looked at"
    check_capacity(run)
    for story in run.stories.values():
        check_states(story)
        check_gang(story)
        check_ar(story)
        check_deadline(case, story)
        check_dead_hosts(case, story)
    again = play(case)
    assert again.decisions == run.decisions, "the same faults have the same outcome"


def check_capacity(run: Run) -> None:
    """Whatever is delayed or moved, no host is ever given more than it has."""
    held: dict[int, list[tuple[int, int, Capacity]]] = {}
    for story in run.stories.values():
        for op in story.ended:
            for host, amount in op.use:
                held.setdefault(host, []).append((op.start, op.end, amount))
    for host, ops in held.items():
        for moment in {start for start, _, _ in ops}:
            total: Capacity = (0,) * len(run.capacities[host])
            for start, end, amount in ops:
                if start <= moment < end:
                    total = add(total, amount)
            assert fits(total, run.capacities[host]), f"host {host} at {moment}: {total}"


def check_states(story: Story) -> None:
    """No lease is lost: it is over, or it waits, and says why."""
    for a, b in pairwise(story.changes):
        assert a.new == b.old
        assert a.new not in FINAL
    last = story.changes[-1]
    assert last.new in FINAL | WAITING, last
    assert last.reason or (story.expected and story.expected[-1].reason), last
    assert last.code or last.new in WAITING, last


def check_gang(story: Story) -> None:
    wanted = story.request.node_capacities()
    for op in story.ended:
        if op.purpose is not Purpose.TRANSFER:
            total: Capacity = (0,) * len(wanted[0])
            for _, amount in op.use:
                total = add(total, amount)
            assert total == tuple(map(sum, zip(*wanted, strict=True))), op


def check_ar(story: Story) -> None:
    """An AR starts when it should, or late for a reason, or not at all; it is never put off."""
    if story.request.kind is Kind.AR:
        begun = [s.time for s in story.started if s.purpose is Purpose.RUN]
        active = [c for c in story.changes if c.new is State.ACTIVE]
        late = bool(active) and active[0].code == "late" and bool(active[0].reason)
        stopped = [c for c in story.changes if c.new is State.QUEUED]
        assert all(c.code == "failure" and c.reason for c in stopped)
        assert len(begun) <= 1 + len(stopped)
        for time in begun[:1]:
            assert story.request.start is not None
            assert time > story.request.start if late else time == story.request.start
        assert not any(s.purpose is Purpose.SUSPEND for s in story.started)


def check_deadline(case: Case, story: Story) -> None:
    """One with a deadline never begins before its window, and is suspended only if it may be.

    It has less than it asked for only where a failure is the reason.
    """
    request = story.request
    if request.kind is Kind.DEADLINE:
        begun = [s.time for s in story.started if s.purpose is Purpose.RUN]
        assert request.after is not None
        assert all(time >= request.after for time in begun)
        suspended = [s for s in story.started if s.purpose is Purpose.SUSPEND]
        may_be = request.preemptible and case.settings.suspension is not Suspension.NONE
        assert not suspended or (may_be and case.preemption != "no-preemption")
        stopped = [c for c in story.changes if c.new is State.QUEUED]
        assert all(c.code == "failure" and c.reason for c in stopped)
        assert len(begun) <= 1 + len(stopped) + len(suspended)
        last, since = story.changes[-1], max((c.time for c in stopped), default=0)
        in_full = last.reason is not None and last.reason.code is not Code.DURATION_CUT
        late = "late" in {c.code for c in story.changes}
        if last.code == "duration-over" and in_full and not late:
            ran = [e for e in story.ended if e.purpose in (Purpose.RUN, Purpose.SHUTDOWN)]
            seconds = sum(op.end - op.start for op in ran if op.start >= since)
            broke_off = ran[-1].purpose is Purpose.SHUTDOWN and breaks_at(case, ran[-1])
            assert broke_off or seconds >= (request.duration or 0)
            assert delayed(case) or ran[-1].end <= (request.deadline or 0)


def breaks_at(case: Case, op: OperationEnded) -> bool:
    """Tell whether a host fails at the moment in which this ends."""
    assert case.faults is not None
    failed = [e.host_id for at, e in case.faults.at if at == op.end and isinstance(e, HostFailed)]
    return any(host in failed for host, _ in op.use)


def delayed(case: Case) -> bool:
    """Tell whether operations may take longer than was planned."""
    return case.faults is not None and any(case.faults.delay.values())


def check_dead_hosts(case: Case, story: Story) -> None:
    """Nothing starts on a host that is down."""
    assert case.faults is not None
    for start in story.started:
        for host in start.hosts:
            assert not down(case.faults, host, start), (host, start)


def down(faults: Faults, host: int, start: OperationStarted) -> bool:
    """Tell whether the host has failed by then, and is not back."""
    is_down = False
    for moment, event in faults.at:
        if moment <= start.time:
            if event == HostFailed(host):
                is_down = True
            elif event == HostRestored(host):
                is_down = False
    return is_down
