"""The end of a lease's time is for shutting its VMs down: for as long as was learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from played_starts import SAVES, Played, lease

from haizea.core.model.events import LeaseEnded, LeaseReady, LeaseSubmitted, Purpose
from haizea.core.model.lifecycle import State
from haizea.core.model.vm_times import PreparationTime, ShutdownTime

PLANNED = replace(SAVES, shutdown_seconds=5)


def test_what_runs_shuts_down_in_time_to_be_off_its_hosts() -> None:
    played = Played(settings=PLANNED)
    played.tell(0, LeaseSubmitted(lease(1)))
    played.tell(0, LeaseSubmitted(lease(2, start=100)))
    played.tell(20, ShutdownTime(1, 30))
    played.tell(250)
    assert played.did(1) == [(Purpose.RUN, 0, 70), (Purpose.SHUTDOWN, 70, 100)]
    assert played.did(2) == [(Purpose.RUN, 100, 195), (Purpose.SHUTDOWN, 195, 200)]


def test_what_is_gone_sooner_is_over_at_once() -> None:
    played = Played(settings=PLANNED)
    played.tell(0, LeaseSubmitted(lease(1)))
    played.tell(0, LeaseSubmitted(lease(2)))
    played.tell(20, ShutdownTime(1, 30))
    played.tell(78, LeaseEnded(1))
    assert played.states(1)[-1] == (78, State.DONE)
    assert played.states(2)[-1] == (78, State.ACTIVE)


@pytest.mark.parametrize("begun", [False, True])
def test_a_reservation_ends_when_it_was_to_end(begun: bool) -> None:
    played = Played(settings=PLANNED)
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    if begun:
        played.tell(150)
    played.tell(160 if begun else 20, ShutdownTime(1, 30))
    played.tell(170, LeaseReady(1))
    played.tell(400)
    assert played.did(1)[1:] == [(Purpose.RUN, 200, 270), (Purpose.SHUTDOWN, 270, 300)]


def test_no_more_than_half_of_a_time_is_for_shutting_down() -> None:
    for configured, shuts_down in ((5, 50), (80, 80)):
        played = Played(settings=replace(SAVES, shutdown_seconds=configured))
        played.tell(0, LeaseSubmitted(lease(1)))
        played.tell(10, ShutdownTime(1, 1000))
        played.tell(200)
        assert played.did(1)[-1] == (Purpose.SHUTDOWN, 100 - shuts_down, 100)


def test_what_is_told_late_or_while_they_are_shut_down_shifts_nothing() -> None:
    played = Played(settings=PLANNED)
    played.tell(0, LeaseSubmitted(lease(1)))
    played.tell(80, ShutdownTime(1, 40))
    played.tell(85, ShutdownTime(1, 3))
    played.tell(200)
    assert played.did(1) == [(Purpose.RUN, 0, 81), (Purpose.SHUTDOWN, 81, 100)]


def test_it_is_known_after_a_restart() -> None:
    played = Played(hosts=2, settings=PLANNED)
    played.tell(0, LeaseSubmitted(lease(1)))
    played.tell(0, LeaseSubmitted(lease(2, start=50)))
    played.tell(10, ShutdownTime(1, 30), ShutdownTime(2, 20))
    again = played.restarted(20)
    again.tell(300)
    assert again.did(1) == [(Purpose.RUN, 0, 70), (Purpose.SHUTDOWN, 70, 100)]
    assert again.did(2) == [(Purpose.RUN, 50, 130), (Purpose.SHUTDOWN, 130, 150)]


TOLD = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 4), st.integers(1, 150)), max_size=8)


@given(TOLD, st.integers(0, 20), st.integers(0, 60))
@tries(100)
def test_nobody_has_hosts_for_longer_or_later_by_it(
    told: list[tuple[int, int, int]], configured: int, lead: int
) -> None:
    """Hosts are held for the same times, whatever is learned of shutting down, and whenever."""
    held = []
    for counts in (False, True):
        played = Played(hosts=2, settings=replace(SAVES, shutdown_seconds=configured))
        for one in (lease(1), lease(2, start=120, nodes=2), lease(3), lease(4, duration=40)):
            played.tell(0, LeaseSubmitted(one, prepare_seconds=lead if one.start else 0))
        now = 0
        for after, lease_id, seconds in told:
            now += after
            played.tell(now, *([ShutdownTime(lease_id, seconds)] if counts else []))
            played.tell(now, PreparationTime(2, lead))
        played.tell(max(now, 1000))
        done = {i: played.states(i)[-1] for i in (1, 2, 3, 4)}
        assert all(state is State.DONE for _, state in done.values()), done
        starts = {i: min(start for _, start, _ in played.did(i)) for i in done}
        held.append((done, starts))
    assert held[0] == held[1]
