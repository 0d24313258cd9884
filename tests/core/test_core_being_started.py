"""Leases without a start of their own: they are Preparing until their VMs run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from played_starts import SAVES, Played, lease

from haizea.core.model.events import (
    HostFailed,
    LeaseCancelled,
    LeaseReady,
    LeaseSubmitted,
    OperationDelayed,
    OperationFailed,
    Purpose,
    RunDelayed,
)
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.settings import Backfilling
from haizea.core.model.vm_times import PreparationTime

FILLS = replace(SAVES, backfilling=Backfilling.AGGRESSIVE)
COUNTS = replace(SAVES, counts_preparation=True)
KINDS = pytest.mark.parametrize("kind", [Kind.BEST_EFFORT, Kind.IMMEDIATE])


def of(kind: Kind, lease_id: int = 1, duration: int | None = 100) -> LeaseRequest:
    return replace(lease(lease_id), kind=kind, duration=duration, preemptible=False)


def due(lease_id: int, deadline: int, duration: int = 100) -> LeaseRequest:
    asked = lease(lease_id, duration=duration)
    return replace(asked, kind=Kind.DEADLINE, deadline=deadline, preemptible=False)


@KINDS
@pytest.mark.parametrize("ready", [40, 60, 90])
def test_its_time_counts_from_when_its_vms_run(kind: Kind, ready: int) -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(of(kind), prepare_seconds=60))
    played.tell(0)
    if ready > 60:
        played.tell(60, OperationDelayed(1, Purpose.PREPARE, ready + 20))
    assert played.state(1) is State.PREPARING
    if ready != 60:
        played.tell(ready, LeaseReady(1))
    played.tell(300)
    assert played.did(1) == [(Purpose.PREPARE, 0, ready), (Purpose.RUN, ready, ready + 100)]
    assert played.states(1)[-4:] == [
        (0, State.PREPARING),
        (ready, State.READY),
        (ready, State.ACTIVE),
        (ready + 100, State.DONE),
    ]


@KINDS
@pytest.mark.parametrize("ready", [40, 60, 90])
def test_its_time_counts_from_its_deployment_where_that_is_chosen(kind: Kind, ready: int) -> None:
    played = Played(settings=COUNTS)
    played.tell(0, LeaseSubmitted(of(kind), prepare_seconds=60))
    played.tell(0)
    if ready > 60:
        played.tell(60, OperationDelayed(1, Purpose.PREPARE, ready + 5))
    if ready != 60:
        played.tell(ready, LeaseReady(1))
    played.tell(300)
    assert played.did(1) == [(Purpose.PREPARE, 0, ready), (Purpose.RUN, ready, 100)]


def test_one_without_an_end_is_prepared_as_well() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT, duration=None), prepare_seconds=60))
    played.tell(60, OperationDelayed(1, Purpose.PREPARE, 90))
    played.tell(80, LeaseReady(1))
    played.tell(300)
    assert played.states(1)[-1] == (80, State.ACTIVE)


def test_who_waits_is_expected_when_it_really_ends() -> None:
    played = Played(settings=FILLS)
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT), prepare_seconds=60))
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT, 2), prepare_seconds=60))
    assert played.records[2].expected == 160
    played.tell(40, LeaseReady(1))
    assert played.records[2].expected == 140
    played.tell(400)
    assert played.did(2) == [(Purpose.PREPARE, 140, 200), (Purpose.RUN, 200, 300)]


def test_it_is_not_backfilled_where_its_vms_would_not_have_its_time() -> None:
    played = Played(settings=FILLS)
    played.tell(0, LeaseSubmitted(lease(1, start=130)))
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT, 2), prepare_seconds=60))
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT, 3), prepare_seconds=20))
    played.tell(0, LeaseReady(3))
    played.tell(500)
    assert played.did(3)[-1][1] < 130
    assert played.did(2)[0] == (Purpose.PREPARE, 230, 290)


def test_what_takes_longer_gives_way_to_what_is_promised() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT), prepare_seconds=20))
    played.tell(0, LeaseSubmitted(lease(2, start=130)))
    played.tell(20, OperationDelayed(1, Purpose.PREPARE, 50))
    played.tell(50, LeaseReady(1))
    played.tell(400)
    assert played.did(1) == [(Purpose.PREPARE, 0, 50), (Purpose.RUN, 50, 130)]
    assert played.did(2) == [(Purpose.RUN, 130, 230)]


def test_what_never_runs_before_a_promise_starts_over() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT), prepare_seconds=20))
    played.tell(0, LeaseSubmitted(lease(2, start=130)))
    for moment in range(20, 140, 10):
        played.tell(moment, OperationDelayed(1, Purpose.PREPARE, moment + 10))
    assert State.QUEUED in [state for time, state in played.states(1) if time <= 130]
    assert not [time for time, state in played.states(1) if state is State.ACTIVE]
    assert played.began(2, Purpose.RUN)[0][0] == 130
    played.tell(240)
    assert played.state(1) is State.PREPARING


@pytest.mark.parametrize("ready", [None, 30])
def test_it_makes_room_for_a_reservation(ready: int | None) -> None:
    """One that is still being started then starts over; another is saved."""
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, duration=500), prepare_seconds=60))
    if ready:
        played.tell(ready, LeaseReady(1))
    played.tell(ready or 10, LeaseSubmitted(lease(2, start=55), prepare_seconds=0))
    played.tell(55)
    if ready:
        assert (50, State.SUSPENDING) in played.states(1)
    else:
        assert (10, State.QUEUED) in played.states(1)
    assert played.state(2) is State.ACTIVE
    played.tell(900)
    run = sum(end - start for purpose, start, end in played.did(1) if purpose is Purpose.RUN)
    assert run == 500


@pytest.mark.parametrize("event", ["failed", "host failed", "cancelled"])
def test_what_goes_wrong_meanwhile(event: str) -> None:
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT), prepare_seconds=60))
    host = played.began(1, Purpose.PREPARE)[0][1][0]
    match event:
        case "failed":
            played.tell(
                30,
                OperationFailed(1, Purpose.PREPARE, because(Code.STATED, text="no room on disk")),
            )
        case "host failed":
            played.tell(30, HostFailed(host))
        case _:
            played.tell(30, LeaseCancelled(1))
            assert played.states(1)[-1] == (30, State.CANCELLED)
            return
    assert played.states(1)[-3:] == [
        (30, State.QUEUED),
        (30, State.SCHEDULED),
        (30, State.PREPARING),
    ]
    played.tell(300)
    assert played.did(1)[-1] == (Purpose.RUN, 90, 190)


@pytest.mark.parametrize(
    ("back", "since", "end"),
    [(40, None, 160), (100, None, 160), (100, 65, 165), (100, 100, 200), (400, None, 401)],
)
def test_it_goes_on_after_a_restart(back: int, since: int | None, end: int) -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(of(Kind.BEST_EFFORT), prepare_seconds=60))
    played.tell(20)
    again = played.restarted(20, back)
    assert again.states(1)[-1:] != [(back, State.DONE)], "nobody knows yet whether it ran"
    if since is not None:
        again.tell(back, RunDelayed(1, since))
        again.tell(back, RunDelayed(1, since))
    again.tell(600)
    assert again.did(1)[-1] == (Purpose.RUN, max(60, back), end)


# --- leases with a deadline -----------------------------------------------------------------


def test_a_deadline_leaves_time_for_starting_vms() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(due(1, 150), prepare_seconds=60))
    assert played.state(1) is State.REJECTED
    played.tell(0, LeaseSubmitted(due(2, 160), prepare_seconds=60))
    played.tell(300)
    assert played.did(2) == [(Purpose.PREPARE, 0, 60), (Purpose.RUN, 60, 160)]
    assert played.made.offer(due(3, 350), prepare_seconds=60) == 460


def test_a_deadline_holds_where_starting_vms_is_part_of_the_time() -> None:
    played = Played(settings=COUNTS)
    played.tell(0, LeaseSubmitted(due(1, 110), prepare_seconds=60))
    played.tell(300)
    assert played.did(1) == [(Purpose.PREPARE, 0, 60), (Purpose.RUN, 60, 100)]


def test_what_is_learned_has_a_deadline_lease_begin_in_time() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=20, duration=80)))
    played.tell(0, LeaseSubmitted(lease(2, start=300, duration=80)))
    played.tell(0, LeaseSubmitted(due(3, 300), prepare_seconds=30))
    played.tell(5, PreparationTime(3, 90))
    plan = played.records[3].plan
    assert plan is not None
    assert (plan.phases[0].start, plan.end) == (100, 290)
    played.tell(10, PreparationTime(3, 120))
    assert played.records[3].prepare_seconds == 90, "there is no room for more"
    played.tell(400)
    assert played.did(3) == [(Purpose.PREPARE, 100, 190), (Purpose.RUN, 190, 290)]


def test_a_deadline_stays_where_vms_take_longer() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(due(1, 170), prepare_seconds=60))
    played.tell(60, OperationDelayed(1, Purpose.PREPARE, 100))
    played.tell(100, LeaseReady(1))
    played.tell(300)
    assert played.did(1)[-1] == (Purpose.RUN, 100, 170)


@pytest.mark.parametrize("booked_first", [True, False])
def test_what_never_ran_before_it_is_to_be_saved_waits_again(booked_first: bool) -> None:
    """Nothing of it is there to be saved: it was never active, and is not called suspended."""
    played = Played()
    asked = [
        LeaseSubmitted(lease(1, duration=500), prepare_seconds=20),
        LeaseSubmitted(lease(2, start=130)),
    ]
    for submitted in reversed(asked) if booked_first else asked:
        played.tell(0, submitted)
    for moment in range(20, 125, 5):
        played.tell(moment, OperationDelayed(1, Purpose.PREPARE, moment + 5))
    played.tell(130)
    first = played.states(1)
    assert {State.ACTIVE, State.SUSPENDING}.isdisjoint(state for _, state in first)
    assert (125, State.QUEUED) in first
    assert played.began(2, Purpose.RUN)[0][0] == 130
    played.tell(231, LeaseReady(1))
    played.tell(900)
    assert played.did(1)[-1] == (Purpose.RUN, 231, 731)


@pytest.mark.parametrize(("since", "state"), [(100, State.SUSPENDING), (126, State.QUEUED)])
def test_after_an_absence_only_what_ran_is_saved(since: int, state: State) -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(2, start=130)))
    played.tell(0, LeaseSubmitted(lease(1, duration=500), prepare_seconds=20))
    back = played.restarted(10, 124)
    back.tell(125, RunDelayed(1, since))
    assert back.state(1) is state
    back.tell(130)
    assert back.state(2) is State.ACTIVE
