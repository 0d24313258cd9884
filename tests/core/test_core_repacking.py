"""Sites of unequal hosts, on which everything is packed anew before anyone is refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from types import FrameType

import pytest
from effort import LOOKS, tries
from hypothesis import given
from hypothesis import strategies as st
from test_core_counting import Nobody

from bench.promises import Mix, Outcome, run
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.events import HostsPlanned, LeaseSubmitted, StateChanged
from haizea.core.model.hostrules import Allowed, HostRules, allowed_hosts
from haizea.core.model.hosts import EVERYWHERE, Host, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.placement.canvas import Canvas, Unit
from haizea.core.placement.repacking import Repacking
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

EQUAL = Mix(name="equal, another", cores=(2,) * 10, sizes=(2,), most_nodes=3, requests=200)
MIXES = [
    Mix(name="five", cores=(2, 4, 8, 4, 6), sizes=(1, 2, 3, 4), most_nodes=2, gap_seconds=110),
    Mix(name="six equal", cores=(4,) * 6, sizes=(1, 2, 3, 4), most_nodes=2, most_seconds=1000),
]


def judged(mix: Mix, seeds: Sequence[int]) -> Outcome:
    """The scheduler's decisions beside the judge's."""
    settings = Settings(backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL)
    outcome = Outcome(name=mix.name)
    for seed in seeds:
        run(mix, seed, outcome, settings)
    return outcome


def test_on_equal_hosts_taken_whole_the_same_is_admitted_as_by_the_judge() -> None:
    outcome = judged(EQUAL, (41, 42))
    assert outcome.rejected > 50
    assert outcome.avoidable == outcome.undecided == 0
    assert outcome.work == outcome.exact_work


@pytest.mark.slow
def test_hardly_anyone_is_refused_whom_the_judge_finds_room_for() -> None:
    outcomes = [judged(replace(mix, requests=120), (43, 44)) for mix in MIXES]
    rejected = sum(outcome.rejected for outcome in outcomes)
    assert rejected > 100
    assert sum(outcome.avoidable for outcome in outcomes) <= 0.02 * rejected
    work = sum(outcome.work for outcome in outcomes)
    assert work >= 0.99 * sum(outcome.exact_work for outcome in outcomes)


@st.composite
def rules(draw: st.DrawFn, nodes: int, hosts: int) -> Allowed:
    """Hosts that will do for each node, half the time each on its own."""
    sets = st.sampled_from([EVERYWHERE, EVERYWHERE, (1 << hosts) - 2, (1 << hosts - 1) - 1])
    everyone = [tuple(range(nodes))]
    allowed = draw(st.lists(sets, min_size=nodes, max_size=nodes))
    return allowed_hosts(allowed, (), everyone if draw(st.booleans()) else ())


@st.composite
def asked(draw: st.DrawFn, hosts: int) -> list[LeaseSubmitted]:
    """ARs with rules, most of them for about the same time."""
    found: list[LeaseSubmitted] = []
    for lease_id in range(1, draw(st.integers(6, 20)) + 1):
        cores, nodes = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        request = LeaseRequest(
            id=lease_id,
            submitted=0,
            kind=Kind.AR,
            nodes=(NodeSet(nodes, (100 * cores, 1024 * draw(st.integers(1, 4)))),),
            duration=draw(st.integers(1, 12)),
            start=draw(st.integers(5, 15)),
        )
        found.append(LeaseSubmitted(request, allowed=draw(rules(nodes, hosts))))
    return found


@pytest.mark.slow
@tries(50)
@given(
    data=st.data(),
    cores=st.lists(st.sampled_from([2, 4, 8]), min_size=2, max_size=5),
    looks=st.sampled_from(LOOKS),
)
def test_who_moves_keeps_its_start_its_room_and_its_rules(
    data: st.DataObject, cores: list[int], looks: int
) -> None:
    hosts = tuple(Host(i, f"host-{i}", (100 * c, 1024 * c)) for i, c in enumerate(cores))
    policies = make_policies(preemption="ar-preempts-everything")
    made = Scheduler(Site(ResourceTypes(), hosts), Settings(remapping_effort=looks), policies, 0)
    accepted: dict[int, LeaseSubmitted] = {}
    planned: dict[int, tuple[int, ...]] = {}
    for submitted in data.draw(asked(len(cores))):
        decisions = made.handle(0, [submitted]).decisions
        made.check()
        if not any(isinstance(d, StateChanged) and d.new is State.REJECTED for d in decisions):
            accepted[submitted.request.id] = submitted
        moved = {d.lease_id: d.hosts for d in decisions if isinstance(d, HostsPlanned)}
        records = {record.id: record for record in made.leases()}
        assert accepted.keys() <= records.keys()
        for lease_id, there in accepted.items():
            now = _hosts_of(records[lease_id], there)
            if lease_id in planned:
                assert now == moved.get(lease_id, planned[lease_id]), "and it is told"
            planned[lease_id] = now


def _hosts_of(record: LeaseRecord, asked_for: LeaseSubmitted) -> tuple[int, ...]:
    """Return where a lease is to run, from its start on and as its rules say."""
    plan, request, allowed = record.plan, asked_for.request, asked_for.allowed
    assert plan is not None
    assert (plan.phases[0].start, request.duration) == (
        request.start,
        plan.end - plan.phases[0].start,
    )
    if isinstance(allowed, HostRules):
        assert not list(allowed.broken_by(plan.hosts))
    else:
        assert all(allowed >> host & 1 for host in plan.hosts)
    return plan.hosts


def calls_of_a_packing(count: int, looks: int) -> int:
    """Function calls to pack so many units anew, all of them for much the same time."""
    hosts = [Host(i, f"host-{i}", (400, 4096)) for i in range(24)]
    canvas, random, units = Canvas(SlotTable(hosts, 0), Nobody()), Random(5), list[Unit]()
    for _ in range(count):
        start, cores = random.randint(1, 50), random.randint(1, 3)
        units.append(Unit(start, start + 60, (100 * cores, 1024 * cores), -1))
    calls = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    repacking = Repacking(canvas, list(range(24)), units, looks)
    found = repacking.place(1)
    sys.setprofile(before)
    assert not found
    assert repacking.left <= looks // 20
    return calls


def test_packing_anew_takes_bounded_work_however_much_is_about() -> None:
    most = 3 * 50_000
    for count in (100, 400, 1600, 6400):
        assert calls_of_a_packing(count, 50_000) < most, count
