"""A lease that stopped, or cannot have its hosts, runs elsewhere or later, or fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from haizea.core.model.events import (
    Decision,
    Expected,
    HostFailed,
    HostUsed,
    Input,
    LeaseCancelled,
    LeaseSubmitted,
    OperationDelayed,
    OperationFailed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, ImageSettings, Settings, Transfer
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.wording import in_words


def lease(lease_id: int, kind: Kind, start: int | None = None, nodes: int = 1) -> LeaseRequest:
    sets = (NodeSet(nodes, (100, 512)),)
    return LeaseRequest(id=lease_id, submitted=0, kind=kind, nodes=sets, duration=100, start=start)


def scheduler(hosts: int, settings: Settings | None = None) -> Scheduler:
    site = Site.uniform(ResourceTypes(), hosts, (100, 1024))
    return Scheduler(site, settings or Settings(), make_policies(), 0)


def runs(decisions: list[Decision]) -> list[tuple[int, tuple[int, ...], int]]:
    """Return when runs start, on which hosts, and when they are planned to end."""
    return [
        (d.time, d.hosts, d.end)
        for d in decisions
        if isinstance(d, OperationStarted) and d.purpose is Purpose.RUN
    ]


def last_state(decisions: list[Decision]) -> StateChanged:
    return [d for d in decisions if isinstance(d, StateChanged)][-1]


@pytest.mark.parametrize(
    "trouble",
    [OperationFailed(1, Purpose.RUN, because(Code.STATED, text="it did not boot")), HostFailed(0)],
)
def test_a_reservation_that_stopped_goes_on_elsewhere_to_its_end(trouble: Input) -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 10))])
    assert runs(made.handle(10).decisions) == [(10, (0,), 110)]
    decisions = made.handle(40, [trouble]).decisions
    assert runs(decisions) == [(40, (1,), 110)]
    changes = [d for d in decisions if isinstance(d, StateChanged)]
    assert [c.new for c in changes] == [State.QUEUED, State.SCHEDULED, State.READY, State.ACTIVE]
    assert changes[0].code == "failure"
    assert (changes[-1].code, changes[-1].reason) == ("late", changes[0].reason)
    assert last_state(made.handle(110).decisions).new is State.DONE
    made.check()


def test_a_reservation_stays_where_it_was_if_there_is_nowhere_else() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 10))])
    made.handle(10)
    for moment in (11, 12, 13):
        decisions = made.handle(
            moment, [OperationFailed(1, Purpose.RUN, because(Code.STATED, text="it did not boot"))]
        ).decisions
        assert runs(decisions) == [(moment, (0,), 110)]
    failed = last_state(
        made.handle(
            14, [OperationFailed(1, Purpose.RUN, because(Code.STATED, text="it did not boot"))]
        ).decisions
    )
    assert (failed.new, failed.code, in_words(failed.reason)) == (
        State.FAILED,
        "failure",
        "it did not boot",
    )


def test_a_reservation_whose_only_host_is_dead_waits_fails_and_says_why() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 10))])
    made.handle(10)
    turn = made.handle(40, [HostFailed(0, because(Code.STATED, text="no power"))])
    waits = last_state(turn.decisions)
    assert (waits.new, waits.code) == (State.QUEUED, "failure")
    told = [d.reason for d in turn.decisions if isinstance(d, Expected)][-1]
    assert in_words(told).startswith("it waits for hosts: ")
    assert "no power" in in_words(told)
    assert "at most 0 free" in in_words(told)
    assert turn.records[-1].reason == told
    assert made.next_wakeup() == 110, "the end of its time"
    failed = last_state(made.handle(110).decisions)
    assert (failed.new, failed.code) == (State.FAILED, "failure")
    assert "no hosts came free" in in_words(failed.reason)
    assert "no power" in in_words(failed.reason)
    assert not made.leases()
    made.check()


def test_an_immediate_lease_that_stopped_has_its_whole_duration() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE))])
    assert runs(made.handle(0).decisions) == [(0, (0,), 100)]
    decisions = made.handle(
        30, [OperationFailed(1, Purpose.RUN, because(Code.STATED, text="it did not boot"))]
    ).decisions
    assert runs(decisions) == [(30, (1,), 130)]


def test_a_reservation_is_moved_though_the_first_of_the_queue_was_just_cancelled() -> None:
    made = scheduler(2, Settings(backfilling=Backfilling.AGGRESSIVE))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.BEST_EFFORT, nodes=2))])
    made.handle(0, [LeaseSubmitted(lease(3, Kind.AR, 300, nodes=2))])
    cancelled = LeaseCancelled(2)
    decisions = made.handle(10, [cancelled, HostUsed(1, (50, 0))]).decisions
    changes = {d.lease_id: d for d in decisions if isinstance(d, StateChanged)}
    assert changes[2].new is State.CANCELLED
    assert changes[3].new is State.QUEUED
    assert "others use" in in_words(changes[3].reason)
    made.check()
    decisions = made.handle(20, [HostUsed(1, (0, 0))]).decisions
    assert last_state(decisions).new is State.SCHEDULED
    assert runs(made.handle(300).decisions) == [(300, (0, 1), 400)]
    made.check()


@pytest.mark.parametrize("restarted", [False, True], ids=["", "after a restart"])
def test_an_ar_that_was_put_off_starts_in_time_if_its_hosts_are_free_after_all(
    restarted: bool,
) -> None:
    settings = Settings(shutdown_seconds=10)
    made, known = scheduler(1, settings), {}

    def handle(now: int, *inputs: Input) -> list[Decision]:
        turn = made.handle(now, inputs)
        known.update({record.id: record for record in turn.records})
        return turn.decisions

    handle(0, *(LeaseSubmitted(lease(i, Kind.AR, start)) for i, start in ((1, 0), (2, 100))))
    handle(90)
    put_off = handle(95, OperationDelayed(1, Purpose.SHUTDOWN, 130))
    assert [(d.lease_id, d.start) for d in put_off if isinstance(d, Expected)] == [(2, 130)]
    if restarted:
        site = made.site_record()
        made = scheduler(1, settings)
        made.restore(known.values(), site)
    sooner = handle(97, LeaseCancelled(1))
    assert [(d.lease_id, d.start) for d in sooner if isinstance(d, Expected)] == [(2, 100)]
    started = handle(100)
    assert runs(started) == [(100, (0,), 190)]
    assert last_state(started).code == "", "it is not late"
    made.check()


def test_an_image_that_did_not_arrive_did_not_for_those_who_relied_on_it() -> None:
    """They do not go on with a transfer that failed, each handing it to the other."""
    images = ImageSettings(mechanism=Transfer.UNICAST, cache_mb=100, force_transfer_seconds=10)
    made = scheduler(1, Settings(images=images, backfilling=Backfilling.CONSERVATIVE))
    for lease_id in (1, 2):
        wanted = replace(lease(lease_id, Kind.BEST_EFFORT), image=DiskImage("a", 50))
        sent = made.handle(0, [LeaseSubmitted(wanted)]).decisions
        assert len(transfers(sent)) == (1 if lease_id == 1 else 0), "the second relies on the first"
    again = made.handle(
        4, [OperationFailed(1, Purpose.TRANSFER, because(Code.STATED, text="the link broke"))]
    ).decisions
    assert transfers(again) == [(4, 14)]
    assert runs(made.handle(14).decisions) == [(14, (0,), 114)]


def transfers(decisions: list[Decision]) -> list[tuple[int, int]]:
    """Return when transfers begin, and when they are planned to end."""
    return [
        (d.time, d.end)
        for d in decisions
        if isinstance(d, OperationStarted) and d.purpose is Purpose.TRANSFER
    ]


@pytest.mark.parametrize("shutdown_seconds", [0, 5])
def test_a_reservation_that_fails_in_its_last_moment_is_not_started_again(
    shutdown_seconds: int,
) -> None:
    made = scheduler(2, Settings(shutdown_seconds=shutdown_seconds))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 0))])
    failed = made.handle(
        100 - shutdown_seconds,
        [OperationFailed(1, Purpose.RUN, because(Code.STATED, text="it crashed"))],
    ).decisions
    assert last_state(failed).new is State.FAILED
    assert runs(failed) == []
    made.check()
