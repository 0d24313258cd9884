"""A lease with a deadline that lost its hosts waits for others until nothing of it can be done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_starts import ALL, BACK, GONE, NONE, Played, lease

from haizea.core.model.events import (
    HostUsed,
    Input,
    LeaseCancelled,
    LeaseChanged,
    LeaseSubmitted,
    MaintenanceAsked,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.core.model.reasons import Code
from haizea.core.model.settings import Backfilling, ImageSettings, Settings
from haizea.wording import in_words


def by(
    lease_id: int, deadline: int, *, after: int | None = None, duration: int = 100, nodes: int = 1
) -> LeaseRequest:
    return replace(
        lease(lease_id, duration=duration, nodes=nodes),
        kind=Kind.DEADLINE,
        after=after,
        deadline=deadline,
        preemptible=False,
    )


def last(played: Played, lease_id: int) -> StateChanged:
    found = [d for d in played.decisions if isinstance(d, StateChanged)]
    return [change for change in found if change.lease_id == lease_id][-1]


@pytest.mark.parametrize(
    ("trouble", "over"), [(GONE, BACK), (HostUsed(0, ALL), HostUsed(0, NONE))], ids=["down", "used"]
)
@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
@pytest.mark.parametrize(("back", "runs"), [(150, (200, 300)), (270, (270, 370))])
def test_it_runs_whole_where_a_host_comes_free_soon_enough(
    trouble: Input, over: Input, back: int, runs: tuple[int, int], restarted: bool
) -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(by(1, 400, after=200)))
    played.tell(50, trouble)
    waits = last(played, 1)
    assert (waits.new, waits.code) == (State.QUEUED, "failure")
    assert in_words(waits.reason).startswith("it waits for hosts: ")
    if restarted:
        played = played.restarted(60)
        played.tell(61, trouble)
    played.tell(back, over)
    played.tell(500)
    assert played.did(1) == [(Purpose.RUN, *runs)]
    assert last(played, 1).new is State.DONE


def test_it_runs_for_what_is_left_where_that_is_too_late_for_all_of_it() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(by(1, 400, after=200)))
    played.tell(50, GONE)
    played.tell(340, BACK)
    played.tell(500)
    assert played.did(1) == [(Purpose.RUN, 340, 400)]
    late = next(d for d in played.decisions if isinstance(d, StateChanged) and d.code == "late")
    assert late.reason is not None
    assert late.reason.code is Code.CUT_AT_DEADLINE
    assert in_words(late.reason).startswith("host-1: no power; it has what is left until its dead")


@pytest.mark.parametrize(("back", "done"), [(389, True), (390, False)])
def test_it_fails_once_nothing_of_it_can_be_done(back: int, done: bool) -> None:
    played = Played(settings=Settings(shutdown_seconds=10))
    played.tell(0, LeaseSubmitted(by(1, 400, after=200)))
    played.tell(50, GONE)
    played.tell(back, BACK)
    played.tell(500)
    assert (last(played, 1).new is State.DONE) == done
    if not done:
        assert (last(played, 1).time, last(played, 1).code) == (390, "failure")
        told = in_words(last(played, 1).reason)
        assert told.startswith("host-1: no power; no time until its deadline")


def test_one_that_ran_waits_and_begins_again() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(by(1, 400)))
    played.tell(50, GONE)
    assert played.state(1) is State.QUEUED
    played.tell(280, BACK)
    played.tell(500)
    assert played.did(1)[-1] == (Purpose.RUN, 280, 380)


def test_of_those_that_wait_the_one_with_less_time_to_spare_comes_first() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(by(1, 500)), LeaseSubmitted(by(2, 450, duration=50)))
    played.tell(0, LeaseSubmitted(by(3, 320, after=200, duration=50)))
    played.tell(20, GONE)
    played.tell(260, BACK)
    played.tell(600)
    assert played.did(3) == [(Purpose.RUN, 260, 310)]
    assert {last(played, i).new for i in (1, 2, 3)} == {State.DONE}


def test_it_comes_before_the_queue_and_can_be_cancelled_and_changed() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(by(1, 400, after=200)), LeaseSubmitted(by(2, 520, after=300)))
    played.tell(50, GONE)
    played.tell(60, LeaseSubmitted(lease(3, duration=1000)))
    played.tell(70, LeaseCancelled(1))
    assert played.state(1) is State.CANCELLED
    later = by(2, 900, after=600)
    played.tell(80, LeaseChanged(2, later))
    assert played.state(2) is State.QUEUED, "there are no hosts then, either"
    played.tell(90, BACK, LeaseChanged(2, later))
    assert played.state(2) is State.SCHEDULED
    assert last(played, 2).code == "", "it has all of its time"
    played.tell(1000)
    assert played.did(2) == [(Purpose.RUN, 600, 700)]


def test_its_image_is_sent_again_once_there_is_a_host() -> None:
    played = Played(settings=Settings(images=ImageSettings(force_transfer_seconds=20)))
    asked = replace(by(1, 400, after=200), image=DiskImage("disk", 100))
    played.tell(0, LeaseSubmitted(asked))
    played.tell(50, GONE)
    assert played.state(1) is State.QUEUED
    played.tell(250, BACK)
    played.tell(500)
    assert played.did(1)[-1] == (Purpose.RUN, 270, 370)


@pytest.mark.parametrize(("until", "runs"), [(280, (280, 380)), (340, (340, 400))])
def test_it_waits_for_the_end_of_a_window(until: int, runs: tuple[int, int]) -> None:
    """Such a window, in which leases may be ended, leaves it nothing before its deadline."""
    played = Played()
    played.tell(0, LeaseSubmitted(by(1, 400, after=200)))
    window = Maintenance(id=1, hosts=(0,), start=150, end=until, leases=Leaving.END)
    played.tell(10, MaintenanceAsked(window))
    played.tell(600)
    assert played.did(1) == [(Purpose.RUN, *runs)]


times = st.integers(1, 60).map(lambda x: 10 * x)


jobs = st.lists(st.tuples(times, times, times, st.integers(1, 2)), max_size=5)


@pytest.mark.parametrize("backfilling", Backfilling)
@given(
    st.lists(st.tuples(times, times, times, times), max_size=5), st.lists(times, max_size=4), jobs
)
def test_none_is_given_up_before_nothing_of_it_can_be_done(
    backfilling: Backfilling,
    asked: list[tuple[int, int, int, int]],
    turns: list[int],
    beside: list[tuple[int, int, int, int]],
) -> None:
    """A host goes and comes back by turns, and jobs wait, too, until they are cancelled."""
    played = Played(hosts=2, settings=Settings(backfilling=backfilling))
    told = list[tuple[int, Input]]()
    for number, (submitted, later, duration, spare) in enumerate(asked, 1):
        first = submitted + later
        deadline = first + duration + spare
        request = by(number, deadline, after=first, duration=duration, nodes=1 + number % 2)
        told.append((submitted, LeaseSubmitted(replace(request, submitted=submitted))))
    for number, (submitted, duration, sooner, nodes) in enumerate(beside, 11):
        request = replace(lease(number, duration=duration, nodes=nodes), submitted=submitted)
        told.append((submitted, LeaseSubmitted(request)))
        told.append((submitted + sooner, LeaseCancelled(number)))
    told += [(x, BACK if i % 2 else GONE) for i, x in enumerate(sorted(set(turns)))]
    for moment, news in sorted(told, key=lambda pair: pair[0]):
        played.tell(moment, news)
    played.tell(10_000)
    for number in range(1, len(asked) + 1):
        end = last(played, number)
        assert end.new in FINAL
        if end.new is State.FAILED:
            deadline_of = played.records[number].request.deadline
            assert deadline_of is not None
            assert end.time >= deadline_of - 1, "something could have come free"
