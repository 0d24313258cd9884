"""A scheduler made from what was kept of another one decides as that would have."""

from __future__ import annotations

from dataclasses import fields

import pytest
from played_leases import HOST, lease, on_hosts, played

from haizea.core.model.events import HostsAllowed, LeaseSubmitted, OperationDelayed, Purpose
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.lease import Kind
from haizea.core.model.records import LeaseRecord, PlanRecord
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.model.vm_times import LeavingTime
from haizea.core.placement.plan import Lease, Plan
from haizea.core.scheduler import Scheduler
from haizea.store.codec import read_lease, read_site, write_lease, write_site

PREEMPTION = "ar-preempts-everything"
#: What a lease has beside what is kept of it, and follows from that; ``why`` is kept in parts.
FOLLOWS = {"added_seconds", "demand", "flexible", "id", "key", "whole", "why"}
#: How a lease came into its state is told where it got there wrongly; tokens count for one agenda.
FOR_ITSELF = {"story", "token"}


def made_again(made: Scheduler, hosts: int, now: int, rules: Settings | None = None) -> Scheduler:
    """A scheduler that has nothing but what was kept of another one."""
    records = [read_lease(write_lease(record)) for record in made.leases()]
    again = on_hosts(hosts, PREEMPTION, rules, now)
    again.restore(records, read_site(write_site(made.site_record())))
    again.check()
    return again


def test_whatever_is_known_of_a_lease_is_kept_or_follows_from_what_is() -> None:
    kept = {field.name for field in fields(LeaseRecord)}
    in_plan = {field.name for field in fields(PlanRecord)}
    assert set(Lease.__slots__) - kept - in_plan == FOLLOWS | FOR_ITSELF


def test_whatever_is_known_of_a_plan_is_kept_or_follows_from_what_is() -> None:
    kept = {field.name for field in fields(PlanRecord)}
    assert set(Plan.__slots__) - kept == {"hold", "use"}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)], ids=["by id", "not by id"])
def test_what_starts_and_ends_together_does_so_in_the_same_order(order: tuple[int, ...]) -> None:
    made = on_hosts(3, PREEMPTION)
    made.handle(0, [LeaseSubmitted(lease(i, Kind.AR, start=50)) for i in order])
    again = made_again(made, 3, now=10)
    assert played(again, 1000) == played(made, 1000)


def in_line(rules: Settings, *, cpu: int) -> Scheduler:
    """One lease runs on two of three hosts until 100; others wait that need so much of each host.

    Those are wide and long first, then narrow ones of which some fit beside.
    """
    made = on_hosts(3, PREEMPTION, rules)
    asked = [lease(1, Kind.BEST_EFFORT, duration=100, nodes=2, cpu=cpu)]
    asked += [lease(i, Kind.BEST_EFFORT, duration=60, nodes=3, cpu=cpu) for i in (2, 3)]
    asked += [lease(i, Kind.BEST_EFFORT, duration=90 + i, cpu=cpu) for i in (4, 5)]
    made.handle(0, [LeaseSubmitted(request) for request in asked])
    return made


@pytest.mark.parametrize("cpu", [400, 300], ids=["whole hosts", "parts of hosts"])
@pytest.mark.parametrize("backfilling", Backfilling)
def test_those_who_wait_keep_what_they_were_promised(backfilling: Backfilling, cpu: int) -> None:
    rules = Settings(backfilling=backfilling, backfilling_reservations=2)
    made = in_line(rules, cpu=cpu)
    again = made_again(made, 3, 10, rules)
    assert again.leases() == made.leases()
    assert again.queue() == made.queue()
    assert again.next_wakeup() == made.next_wakeup()
    assert again.handle(10).decisions == []
    assert played(again, 1000) == played(made, 1000)


@pytest.mark.parametrize("cpu", [400, 300], ids=["whole hosts", "parts of hosts"])
def test_what_was_reserved_on_hosts_that_are_gone_is_planned_anew(cpu: int) -> None:
    rules = Settings(backfilling=Backfilling.CONSERVATIVE)
    made = on_hosts(3, PREEMPTION, rules)
    sizes = {1: 2, 2: 3, 3: 2}
    asked = [lease(i, Kind.BEST_EFFORT, nodes=n, cpu=cpu) for i, n in sizes.items()]
    made.handle(0, [LeaseSubmitted(request) for request in asked])
    assert [record.expected for record in made.leases()] == [None, 100, 200]
    again = made_again(made, 2, 10, rules)
    again.handle(10)
    again.check()
    assert [record.expected for record in again.leases()][1:] == [None, 100]


def test_what_is_saved_keeps_its_start_where_it_may_only_go_back_to_its_hosts() -> None:
    rules = Settings(backfilling=Backfilling.CONSERVATIVE, suspension=Suspension.ALL)
    made = on_hosts(2, PREEMPTION, rules)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, nodes=2, preemptible=True))])
    made.handle(1, [LeaseSubmitted(lease(2, Kind.AR, 60, submitted=1, nodes=2))])
    played(made, 60)
    made.handle(61, [HostsAllowed(1, 0b01)])
    again = made_again(made, 2, 61, rules)
    assert again.leases() == made.leases()
    assert played(again, 1000) == played(made, 1000)


def test_how_long_vms_take_to_leave_is_known_after_a_restart() -> None:
    made = on_hosts(1, PREEMPTION)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, preemptible=True))])
    told = made.handle(2, [LeavingTime(1, 15)])
    assert [record.leaving_seconds for record in told.records] == [15]
    again = made_again(made, 1, 2)
    wanted = LeaseSubmitted(lease(2, Kind.AR, 50, submitted=3))
    assert again.handle(3, [wanted]).decisions == made.handle(3, [wanted]).decisions
    assert played(again, 1000) == played(made, 1000)


def test_a_lease_that_may_run_anywhere_again_counts_as_before() -> None:
    rules = Settings(backfilling=Backfilling.CONSERVATIVE)
    made = in_line(rules, cpu=HOST[0])
    made.handle(5, [HostsAllowed(3, 0b011)])
    made.handle(6, [HostsAllowed(3, EVERYWHERE)])
    again = made_again(made, 3, 6, rules)
    assert played(again, 1000) == played(made, 1000)


def test_a_claim_is_looked_for_again_when_its_hosts_are_held_longer() -> None:
    rules = Settings(backfilling=Backfilling.AGGRESSIVE, shutdown_seconds=30)
    made = on_hosts(1, PREEMPTION, rules)
    asked = [lease(i, Kind.BEST_EFFORT, duration=100) for i in (1, 2)]
    made.handle(0, [LeaseSubmitted(request) for request in asked])
    until = made.leases()[0].plan
    assert until is not None
    played(made, until.end - 1)
    assert made.leases()[1].expected == until.end
    made.handle(until.end - 1, [OperationDelayed(1, Purpose.SHUTDOWN, until.end + 7)])
    assert made.leases()[1].expected == until.end + 7
