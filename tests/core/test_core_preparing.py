"""An AR's VMs are started so long before its start that they run then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from played_starts import SAVES, Played, lease

from haizea.core.model.events import (
    HostFailed,
    LeaseChanged,
    LeaseReady,
    LeaseSubmitted,
    OperationDelayed,
    OperationFailed,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.vm_times import PreparationTime


def test_an_ar_holds_its_hosts_while_its_vms_start() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(0, LeaseSubmitted(lease(2, start=120, duration=30)))
    assert played.state(2) is State.REJECTED, "the host is taken from 140 on"
    played.tell(0, LeaseSubmitted(lease(3, start=110, duration=30)))
    assert played.state(3) is State.SCHEDULED
    played.tell(400)
    assert played.did(1) == [(Purpose.PREPARE, 140, 200), (Purpose.RUN, 200, 300)]
    assert played.states(1)[-4:] == [
        (140, State.PREPARING),
        (200, State.READY),
        (200, State.ACTIVE),
        (300, State.DONE),
    ]


def test_preemption_clears_hosts_for_the_preparation() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, duration=500)))
    played.tell(10, LeaseSubmitted(lease(2, start=200), prepare_seconds=60))
    played.tell(150)
    assert (135, State.SUSPENDING) in played.states(1)
    assert played.did(1)[-1] == (Purpose.SUSPEND, 135, 140)
    assert played.state(2) is State.PREPARING


def test_vms_that_run_sooner_wait_for_the_start() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(180, LeaseReady(1))
    assert played.states(1)[-1] == (180, State.READY)
    played.tell(400)
    assert played.states(1)[-2:] == [(200, State.ACTIVE), (300, State.DONE)]


def test_an_ar_is_not_active_before_its_vms_run_and_ends_in_time() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(200, OperationDelayed(1, Purpose.PREPARE, 201))
    played.tell(201, OperationDelayed(1, Purpose.PREPARE, 230))
    assert played.state(1) is State.PREPARING
    assert played.records[1].late is not None
    played.tell(212, LeaseReady(1))
    assert played.states(1)[-1] == (212, State.ACTIVE)
    played.tell(400)
    assert played.did(1) == [(Purpose.PREPARE, 140, 212), (Purpose.RUN, 212, 300)]


def late_before_another(ready: int, start: int) -> Played:
    """An AR from 200 to 300 whose VMs run by then at the soonest, and the start of the next AR."""
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(0, LeaseSubmitted(lease(2, start=start)))
    played.tell(200, OperationDelayed(1, Purpose.PREPARE, ready))
    return played


@pytest.mark.parametrize("told", [True, False])
def test_an_ar_whose_vms_never_run_is_never_active(told: bool) -> None:
    played = late_before_another(260, start=310)
    played.tell(260, OperationDelayed(1, Purpose.PREPARE, 320))
    assert played.records[1].reason == because(Code.TIME_RUNS_OUT, end=300)
    failure = OperationFailed(1, Purpose.PREPARE, because(Code.NOT_STARTED))
    played.tell(300, *([failure] if told else []))
    assert played.states(1)[-1] == (300, State.FAILED)
    assert State.ACTIVE not in {state for _, state in played.states(1)}
    assert played.did(1) == [(Purpose.PREPARE, 140, 300)]
    played.tell(420)
    assert played.did(2) == [(Purpose.RUN, 310, 410)]


@pytest.mark.parametrize("ran", [True, False])
def test_who_may_have_run_keeps_the_hosts_until_that_is_known(ran: bool) -> None:
    played = late_before_another(400, start=300)
    for moment in range(300, 308, 2):
        played.tell(moment, OperationDelayed(1, Purpose.PREPARE, moment + 2))
    played.tell(307)
    assert (played.state(1), played.state(2)) == (State.PREPARING, State.SCHEDULED)
    failure = OperationFailed(1, Purpose.PREPARE, because(Code.NOT_STARTED))
    played.tell(307, LeaseReady(1) if ran else failure)
    played.tell(420)
    assert played.state(1) is (State.DONE if ran else State.FAILED)
    assert played.did(1)[1:] == ([(Purpose.RUN, 307, 308)] if ran else [])
    assert played.did(2) == [(Purpose.RUN, 308 if ran else 307, 400)]


@pytest.mark.parametrize("ready", [70, 90, 110])
def test_one_that_is_too_near_begins_at_once_and_says_that_it_is_late(ready: int) -> None:
    played = Played()
    played.tell(50, LeaseSubmitted(lease(1, start=80), prepare_seconds=60))
    assert played.states(1)[-1] == (50, State.PREPARING)
    assert played.records[1].late is not None
    plan = played.records[1].plan
    assert plan is not None
    assert plan.phases[1].start == 110
    played.tell(ready, LeaseReady(1))
    played.tell(300)
    active, begins = (
        [time for time, state in played.states(1) if state is State.ACTIVE],
        max(ready, 80),
    )
    assert active == [begins]
    assert played.did(1)[-1] == (Purpose.RUN, begins, 180)
    changes = [d for d in played.decisions if isinstance(d, StateChanged) and d.new is State.ACTIVE]
    assert (changes[0].code == "late") is (ready > 80)


def test_one_that_is_too_near_lets_others_be_saved_first() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, duration=500)))
    played.tell(50, LeaseSubmitted(lease(2, start=80), prepare_seconds=60))
    played.tell(81)
    assert (75, State.SUSPENDING) in played.states(1)
    assert played.states(2)[-1] == (80, State.PREPARING)
    played.tell(300)
    assert played.did(2) == [(Purpose.PREPARE, 80, 140), (Purpose.RUN, 140, 180)]


def test_what_was_learned_since_is_planned_on_the_same_hosts() -> None:
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(20, PreparationTime(1, 100))
    played.tell(30, PreparationTime(1, 30))
    played.tell(40, PreparationTime(1, 90))
    played.tell(400)
    assert played.did(1)[0] == (Purpose.PREPARE, 110, 200)
    assert {hosts for _, hosts in played.began(1, Purpose.PREPARE)} == {(0,)}


def test_where_there_is_no_room_for_more_it_begins_as_it_was_planned() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(0, LeaseSubmitted(lease(2, start=100, duration=40)))
    played.tell(20, PreparationTime(1, 90))
    played.tell(400)
    assert played.did(1)[0] == (Purpose.PREPARE, 140, 200)
    assert played.state(2) is State.DONE


def test_a_host_that_fails_meanwhile_has_it_prepared_elsewhere() -> None:
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(150, HostFailed(0))
    assert played.states(1)[-3:] == [
        (150, State.QUEUED),
        (150, State.SCHEDULED),
        (150, State.PREPARING),
    ]
    assert played.began(1, Purpose.PREPARE)[-1] == (150, (1,))
    played.tell(190, LeaseReady(1))
    played.tell(400)
    assert played.did(1)[-1] == (Purpose.RUN, 200, 300), "on time after all"


def test_a_failure_after_the_vms_ran_is_put_right_as_well() -> None:
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(160, LeaseReady(1))
    played.tell(190, HostFailed(0))
    assert played.state(1) is State.PREPARING
    played.tell(230, LeaseReady(1))
    assert played.states(1)[-1] == (230, State.ACTIVE)


def test_what_cannot_be_started_is_tried_elsewhere_and_given_up_in_the_end() -> None:
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    for number, moment in enumerate((150, 160, 170, 180), 1):
        played.tell(
            moment, OperationFailed(1, Purpose.PREPARE, because(Code.STATED, text="booting failed"))
        )
        assert len(played.began(1, Purpose.PREPARE)) == min(number + 1, 4)
    assert {hosts for _, hosts in played.began(1, Purpose.PREPARE)} == {(0,), (1,)}
    assert played.state(1) is State.FAILED


def test_nothing_is_offered_that_could_not_be_prepared() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=100, duration=100)))
    asked = lease(2, start=150)
    played.tell(0, LeaseSubmitted(asked, prepare_seconds=60))
    assert played.state(2) is State.REJECTED
    offered = played.made.offer(asked, prepare_seconds=60)
    assert offered == 260


def test_a_changed_ar_is_prepared_before_its_new_start() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(10, LeaseChanged(1, lease(1, start=300)))
    played.tell(500)
    assert played.did(1) == [(Purpose.PREPARE, 240, 300), (Purpose.RUN, 300, 400)]


@pytest.mark.parametrize(
    ("left", "back", "begins", "runs"),
    [(100, 130, 140, 200), (100, 170, 170, 230), (150, 190, 140, 200), (198, 204, 140, 204)],
)
def test_an_absence_costs_no_more_than_it_must(
    left: int, back: int, begins: int, runs: int
) -> None:
    """Killed and started again: what was being prepared goes on by itself."""
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(left)
    again = played.restarted(left, back)
    again.tell(400)
    did = again.did(1)
    assert did[0][:2] == (Purpose.PREPARE, begins)
    assert did[-1] == (Purpose.RUN, runs, 300)


@given(
    st.lists(
        st.tuples(st.integers(10, 400), st.integers(5, 120), st.integers(0, 90), st.integers(1, 3)),
        min_size=1,
        max_size=12,
    )
)
@tries(60)
def test_accepted_ars_start_when_they_are_to_and_have_their_hosts_before(
    asked: list[tuple[int, int, int, int]],
) -> None:
    """The slot table, which is checked after each step, has no host over-full meanwhile."""
    played = Played(hosts=3)
    for number, (start, duration, seconds, nodes) in enumerate(asked, 1):
        request = lease(number, start=start, duration=duration, nodes=nodes)
        played.tell(0, LeaseSubmitted(request, prepare_seconds=seconds))
    played.tell(2000)
    for number, (start, _, seconds, _) in enumerate(asked, 1):
        if played.state(number) is State.REJECTED:
            continue
        assert played.state(number) is State.DONE
        active = next(time for time, state in played.states(number) if state is State.ACTIVE)
        if seconds <= start:
            assert active == start
            began = [time for time, _ in played.began(number, Purpose.PREPARE)]
            assert began == ([start - seconds] if seconds else [])
        else:
            assert start <= active <= start + seconds


def test_one_that_is_not_prepared_yet_moves_for_another() -> None:
    played = Played(hosts=2)
    half = NodeSet(1, (50, 256))
    for number in (1, 2):
        asked = replace(lease(number, start=200), nodes=(half,))
        played.tell(0, LeaseSubmitted(asked, prepare_seconds=60))
    before = [played.records[number].plan for number in (1, 2)]
    assert len({plan.hosts for plan in before if plan is not None}) == 2
    played.tell(10, LeaseSubmitted(lease(3, start=150), prepare_seconds=60))
    assert played.state(3) is State.SCHEDULED
    played.tell(400)
    began = [played.began(number, Purpose.PREPARE) for number in (1, 2, 3)]
    assert began[0] == began[1]
    assert [time for (time, _) in began[2]] == [90]
    assert began[2][0][1] != began[0][0][1]


# --- VMs that are started at the start ----------------------------------------------------------

AT_START = replace(SAVES, prepares_at_start=True)


@pytest.mark.parametrize("ready", [220, 260, 275])
def test_an_ar_that_is_deployed_at_its_start_is_active_when_its_vms_run(ready: int) -> None:
    played = Played(settings=AT_START)
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(0, LeaseSubmitted(lease(2, start=100), prepare_seconds=60))
    assert played.state(2) is State.SCHEDULED, "the host is free until 200"
    played.tell(100)
    played.tell(110, LeaseReady(2))
    played.tell(200)
    assert played.state(1) is State.PREPARING
    if ready > 260:
        played.tell(260, OperationDelayed(1, Purpose.PREPARE, 290))
    if ready != 260:
        played.tell(ready, LeaseReady(1))
    played.tell(400)
    assert played.did(1) == [(Purpose.PREPARE, 200, ready), (Purpose.RUN, ready, 300)]
    assert played.states(1)[-4:] == [
        (200, State.PREPARING),
        (ready, State.READY),
        (ready, State.ACTIVE),
        (300, State.DONE),
    ]
    assert not played.records[1].late, "it was deployed in time"


def test_what_is_deployed_at_its_start_is_not_late_for_its_own_vms() -> None:
    """One that is asked for shortly before begins then; one that Haizea misses is late."""
    played = Played(settings=AT_START)
    played.tell(0, LeaseSubmitted(lease(1, start=10), prepare_seconds=60))
    played.tell(10)
    assert played.state(1) is State.PREPARING
    assert not played.records[1].late
    missed = Played(settings=AT_START)
    missed.tell(0, LeaseSubmitted(lease(1, start=10), prepare_seconds=60))
    again = missed.restarted(30)
    assert again.began(1, Purpose.PREPARE) == [(30, (0,))]
    assert again.records[1].late
    again.tell(200)
    assert again.did(1) == [(Purpose.PREPARE, 30, 90), (Purpose.RUN, 90, 110)]


@pytest.mark.parametrize("before", [False, True])
def test_after_an_upgrade_it_begins_as_is_chosen_now(before: bool) -> None:
    played = Played(settings=replace(SAVES, prepares_at_start=before))
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.settings = replace(SAVES, prepares_at_start=not before)
    again = played.restarted(20)
    again.tell(20, PreparationTime(1, 60))
    again.tell(30, PreparationTime(1, 60))
    assert again.states(1) == [], "it keeps its host, and nothing is told of it"
    again.tell(400)
    begins = 140 if before else 200
    assert again.began(1, Purpose.PREPARE) == [(begins, (0,))]
    assert again.did(1)[-1] == (Purpose.RUN, begins + 60, 300)


def test_who_is_deployed_at_its_start_starts_elsewhere_when_its_host_dies() -> None:
    played = Played(hosts=2, settings=AT_START)
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    plan = played.records[1].plan
    assert plan is not None
    played.tell(230, HostFailed(plan.hosts[0]))
    assert played.state(1) is State.PREPARING
    played.tell(400)
    assert played.did(1)[-1] == (Purpose.RUN, 290, 300)
