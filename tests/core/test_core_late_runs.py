"""The time of best-effort and immediate leases counts from when their VMs run."""

from __future__ import annotations

import pytest

from haizea.core.model.events import (
    Decision,
    LeaseSubmitted,
    OperationStarted,
    Purpose,
    RunDelayed,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import SiteRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

SAVES = Settings(suspension=Suspension.ALL, override_suspend_seconds=5, override_resume_seconds=5)
SITE = Site.uniform(ResourceTypes(), 1, (100, 1024))


def lease(
    lease_id: int, kind: Kind, start: int | None = None, *, preemptible: bool = False
) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=kind,
        nodes=(NodeSet(1, (100, 512)),),
        duration=60,
        start=start,
        preemptible=preemptible,
    )


def scheduler(*requests: LeaseRequest, settings: Settings | None = None) -> Scheduler:
    """A scheduler of one host, with these leases at 0."""
    made = Scheduler(SITE, settings or Settings(), make_policies(), 0)
    for request in requests:
        made.handle(0, [LeaseSubmitted(request)])
    made.handle(0)
    return made


def play(made: Scheduler, until: int) -> list[Decision]:
    """Do all that is planned before ``until``."""
    decisions: list[Decision] = []
    while (moment := made.next_wakeup()) is not None and moment <= until:
        decisions += made.handle(moment).decisions
        made.check()
    return decisions


def changes(decisions: list[Decision], lease_id: int) -> list[tuple[int, State]]:
    return [
        (d.time, d.new) for d in decisions if isinstance(d, StateChanged) and d.lease_id == lease_id
    ]


@pytest.mark.parametrize("kind", [Kind.BEST_EFFORT, Kind.IMMEDIATE])
def test_time_that_vms_took_to_start_is_not_of_the_duration(kind: Kind) -> None:
    made = scheduler(lease(1, kind))
    made.handle(49, [RunDelayed(1, 49)])
    assert changes(play(made, 500), 1) == [(109, State.DONE)]


def test_the_same_told_again_after_a_restart_changes_nothing() -> None:
    made = scheduler(lease(1, Kind.BEST_EFFORT))
    made.handle(20, [RunDelayed(1, 20)])
    records = made.leases()
    again = Scheduler(SITE, Settings(), make_policies(), 30)
    again.restore(records, SiteRecord())
    again.handle(30, [RunDelayed(1, 20)])
    again.handle(31, [RunDelayed(1, 25)])
    assert changes(play(again, 500), 1) == [(85, State.DONE)]


def test_a_reservation_ends_when_it_was_to_end() -> None:
    made = scheduler(lease(1, Kind.AR, 10))
    made.handle(10)
    made.handle(30, [RunDelayed(1, 30)])
    assert changes(play(made, 500), 1) == [(70, State.DONE)]


def test_it_goes_on_past_its_end_while_its_vms_do_not_run() -> None:
    made = scheduler(lease(1, Kind.BEST_EFFORT))
    for moment in (60, 120, 122):
        made.handle(moment, [RunDelayed(1, moment + 1)])
        made.check()
    made.handle(123, [RunDelayed(1, 123)])
    assert changes(play(made, 500), 1) == [(183, State.DONE)]


def test_what_waits_starts_later() -> None:
    made = scheduler(lease(1, Kind.BEST_EFFORT), lease(2, Kind.BEST_EFFORT))
    made.handle(20, [RunDelayed(1, 20)])
    decisions = play(made, 500)
    assert changes(decisions, 1) == [(80, State.DONE)]
    starts = [d.time for d in decisions if isinstance(d, OperationStarted) and d.lease_id == 2]
    assert starts == [80]


@pytest.mark.parametrize("kind", [Kind.BEST_EFFORT, Kind.IMMEDIATE])
def test_what_was_promised_begins_in_time_and_the_reason_says_what_is_missing(kind: Kind) -> None:
    made = scheduler(lease(1, kind), lease(2, Kind.AR, 70))
    made.handle(20, [RunDelayed(1, 20)])
    decisions = play(made, 500)
    (done,) = [d for d in decisions if isinstance(d, StateChanged) and d.lease_id == 1]
    assert (done.time, done.new) == (70, State.DONE)
    assert done.reason == because(Code.DURATION_CUT, seconds=10)
    assert (70, State.ACTIVE) in changes(decisions, 2)


def test_one_that_may_be_saved_makes_way_and_has_its_whole_time_afterwards() -> None:
    made = scheduler(
        lease(1, Kind.BEST_EFFORT, preemptible=True), lease(2, Kind.AR, 65), settings=SAVES
    )
    made.handle(40, [RunDelayed(1, 40)])
    decisions = play(made, 500)
    runs = [
        (d.time, d.end)
        for d in decisions
        if isinstance(d, OperationStarted) and d.lease_id == 1 and d.purpose is Purpose.RUN
    ]
    assert (65, State.ACTIVE) in changes(decisions, 2)
    assert changes(decisions, 1)[0] == (60, State.SUSPENDING)
    assert runs == [(130, 170)], "20 s before the reservation and 40 s after it"


def test_one_whose_vms_never_ran_before_a_promise_begins_anew() -> None:
    made = scheduler(lease(1, Kind.BEST_EFFORT), lease(2, Kind.AR, 60))
    decisions = made.handle(60, [RunDelayed(1, 61)]).decisions + play(made, 500)
    assert (60, State.QUEUED) in changes(decisions, 1)
    reasons = [d.reason for d in decisions if isinstance(d, StateChanged) and d.lease_id == 1]
    assert because(Code.NEVER_RAN) in reasons
    assert (60, State.ACTIVE) in changes(decisions, 2)
    assert changes(decisions, 1)[-1] == (180, State.DONE)


def test_one_that_is_saved_before_its_vms_ran_has_its_whole_time_before_it() -> None:
    made = scheduler(
        lease(2, Kind.AR, 40), lease(1, Kind.BEST_EFFORT, preemptible=True), settings=SAVES
    )
    assert changes(made.handle(35).decisions, 1) == [(35, State.SUSPENDING)]
    made.handle(36, [RunDelayed(1, 35)])
    assert made.leases()[0].remaining == 60
    decisions = play(made, 500)
    runs = [
        (d.time, d.end)
        for d in decisions
        if isinstance(d, OperationStarted) and d.lease_id == 1 and d.purpose is Purpose.RUN
    ]
    assert runs == [(105, 165)]
