"""Leases whose nodes may not run everywhere: what becomes of them, and what their owners read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from haizea.core.model.events import (
    Decision,
    HostsAllowed,
    HostsLimited,
    LeaseChanged,
    LeaseSubmitted,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hostrules import Allowed, HostRules, allowed_record
from haizea.core.model.hosts import EVERYWHERE, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Settings
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.wording import in_words

APART = HostRules(allowed=(EVERYWHERE,) * 3, apart=((0, 1, 2),))


def scheduler(hosts: int) -> Scheduler:
    site = Site.uniform(ResourceTypes(), hosts, (100, 1024))
    settings = Settings(backfilling=Backfilling.AGGRESSIVE)
    return Scheduler(site, settings, make_policies(), 0)


def asked(
    lease_id: int,
    allowed: Allowed = EVERYWHERE,
    *,
    kind: Kind = Kind.BEST_EFFORT,
    start: int | None = None,
    nodes: int = 1,
    cpu: int = 100,
) -> LeaseSubmitted:
    sets = (NodeSet(nodes, (cpu, 512 * cpu // 100)),)
    request = LeaseRequest(
        id=lease_id, submitted=0, kind=kind, nodes=sets, duration=100, start=start
    )
    return LeaseSubmitted(request, allowed)


def hosts(decisions: list[Decision]) -> dict[int, tuple[int, ...]]:
    """Return where leases begin to run."""
    return {
        d.lease_id: d.hosts
        for d in decisions
        if isinstance(d, OperationStarted) and d.purpose is Purpose.RUN
    }


def last(decisions: list[Decision]) -> StateChanged:
    return [d for d in decisions if isinstance(d, StateChanged)][-1]


def test_each_node_runs_where_it_may() -> None:
    made = scheduler(3)
    rules = HostRules(allowed=(0b111, 0b011, 0b001))
    decisions = made.handle(0, [asked(1, rules, nodes=3)]).decisions
    assert hosts(decisions) == {1: (2, 1, 0)}
    assert [d for d in decisions if isinstance(d, HostsLimited)] == [
        HostsLimited(0, 1, allowed_record(rules))
    ]
    assert made.leases()[0].allowed == allowed_record(rules)
    made.check()


def test_rules_by_node_are_over_when_there_are_other_nodes() -> None:
    """The hosts that they named are left, and everybody is told."""
    made = scheduler(3)
    made.handle(0, [asked(1, nodes=3)])
    submitted = asked(2, HostRules(allowed=(0b011, 0b001)), nodes=2, cpu=50)
    made.handle(0, [submitted])
    larger = replace(submitted.request, nodes=(NodeSet(3, (50, 256)),))
    decisions = made.handle(10, [LeaseChanged(2, larger)]).decisions
    assert HostsLimited(10, 2, allowed_record(0b011)) in decisions
    assert hosts(made.handle(100).decisions) == {2: (0, 0, 1)}


def test_where_all_hosts_will_do_nothing_is_said() -> None:
    made = scheduler(2)
    decisions = made.handle(0, [asked(1)]).decisions
    assert not any(isinstance(d, HostsLimited) for d in decisions)
    assert made.leases()[0].allowed is None


def test_nodes_on_a_host_each_wait_for_hosts_and_others_pass() -> None:
    made = scheduler(3)
    blocker = made.handle(0, [asked(1)]).decisions
    (taken,) = hosts(blocker)[1]
    # There is room for six such nodes, but on two hosts.
    waits = made.handle(0, [asked(2, APART, nodes=3, cpu=25)]).decisions
    assert last(waits).new in (State.QUEUED, State.SCHEDULED)
    passes = made.handle(0, [asked(3, cpu=50)]).decisions
    assert 3 in hosts(passes)
    decisions = made.handle(100).decisions
    assert sorted(hosts(decisions)[2]) == [0, 1, 2]
    assert taken in hosts(decisions)[2]
    made.check()


def test_nodes_that_must_be_together_are_on_one_host() -> None:
    made = scheduler(2)
    made.handle(0, [asked(1, 0b10, cpu=50)])
    rules = HostRules(allowed=(0b11, 0b11), together=((0, 1),))
    decisions = made.handle(0, [asked(2, rules, nodes=2, cpu=50)]).decisions
    assert hosts(decisions) == {2: (0, 0)}


@pytest.mark.parametrize("kind", [Kind.AR, Kind.IMMEDIATE])
def test_one_without_room_is_refused_and_told(kind: Kind) -> None:
    made = scheduler(3)
    made.handle(0, [asked(1, 0b001)])
    start = 50 if kind is Kind.AR else None
    refused = last(made.handle(0, [asked(2, APART, kind=kind, start=start, nodes=3)]).decisions)
    assert (refused.new, refused.code) == (State.REJECTED, "no-room")
    assert "3 nodes asked" in in_words(refused.reason)
    assert "no room where each may run" in in_words(refused.reason)


def test_what_never_fits_is_refused_for_good() -> None:
    refused = last(scheduler(2).handle(0, [asked(1, APART, nodes=3, cpu=25)]).decisions)
    assert (refused.new, refused.code) == (State.REJECTED, "too-big")
    assert in_words(refused.reason) == "3 nodes, each where it may run, never fit on this site"


def test_a_reservation_moves_when_other_hosts_will_do() -> None:
    made = scheduler(3)
    rules = HostRules(allowed=(0b001, 0b010))
    made.handle(0, [asked(1, rules, kind=Kind.AR, start=50, nodes=2)])
    # The hosts as a set are the same.
    turned = HostRules(allowed=(0b010, 0b001))
    decisions = made.handle(10, [HostsAllowed(1, turned)]).decisions
    assert HostsLimited(10, 1, allowed_record(turned)) in decisions
    assert hosts(made.handle(50).decisions) == {1: (1, 0)}
    made.check()


def test_a_reservation_that_may_run_nowhere_fails_and_says_why() -> None:
    made = scheduler(3)
    made.handle(0, [asked(1, kind=Kind.AR, start=50, nodes=2)])
    failed = last(made.handle(10, [HostsAllowed(1, HostRules(allowed=(0b001, 0b001)))]).decisions)
    assert failed.new is State.FAILED
    assert "other hosts will do for it now" in in_words(failed.reason)


def test_what_runs_stays() -> None:
    made = scheduler(2)
    assert hosts(made.handle(0, [asked(1)]).decisions) == {1: (0,)}
    decisions = made.handle(10, [HostsAllowed(1, 0b10)]).decisions
    assert not any(isinstance(d, StateChanged) for d in decisions)
    assert last(made.handle(100).decisions).new is State.DONE


def test_one_that_waits_is_found_again_when_rules_come_and_go() -> None:
    made = scheduler(2)
    made.handle(0, [asked(1, nodes=2)])
    made.handle(0, [asked(2, nodes=2)])
    made.handle(10, [HostsAllowed(2, HostRules(allowed=(0b10, 0b01)))])
    made.check()
    made.handle(20, [HostsAllowed(2, EVERYWHERE)])
    made.check()
    assert made.leases()[-1].allowed is None
    made.handle(30, [HostsAllowed(2, HostRules(allowed=(0b10, 0b01)))])
    assert hosts(made.handle(100).decisions) == {2: (1, 0)}
