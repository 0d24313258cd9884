"""An AR that lost its hosts waits for others as long as its time lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from played_starts import ALL, BACK, GONE, NONE, Played, lease, site

from haizea.core.model.events import (
    Decision,
    Expected,
    HostFailed,
    HostRestored,
    HostUsed,
    Input,
    LeaseCancelled,
    LeaseChanged,
    LeaseReady,
    LeaseSubmitted,
    OperationFailed,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import DiskImage, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import FOREVER
from haizea.core.model.settings import ImageSettings, Settings
from haizea.core.model.vm_times import PreparationTime
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.wording import in_words


def changes(played: Played, lease_id: int) -> list[StateChanged]:
    found = [d for d in played.decisions if isinstance(d, StateChanged)]
    return [change for change in found if change.lease_id == lease_id]


def expected(played: Played, lease_id: int) -> list[int | None]:
    found = [d for d in played.decisions if isinstance(d, Expected)]
    return [e.start for e in found if e.lease_id == lease_id]


@pytest.mark.parametrize(
    ("trouble", "over"), [(GONE, BACK), (HostUsed(0, ALL), HostUsed(0, NONE))], ids=["down", "used"]
)
@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
def test_it_starts_in_time_if_a_host_comes_free_before(
    trouble: Input, over: Input, restarted: bool
) -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200)))
    played.tell(50, trouble)
    waits = changes(played, 1)[-1]
    assert (waits.new, waits.code) == (State.QUEUED, "failure")
    assert in_words(waits.reason).startswith("it waits for hosts: ")
    if restarted:
        played = played.restarted(60)
        played.tell(61, trouble)
    played.tell(150, over)
    assert played.state(1) is State.SCHEDULED
    played.tell(400)
    assert played.did(1) == [(Purpose.RUN, 200, 300)]
    assert "late" not in {change.code for change in changes(played, 1)}


@pytest.mark.parametrize(
    ("trouble", "over", "why"),
    [
        (GONE, BACK, "host-1: no power"),
        (HostUsed(0, ALL), HostUsed(0, NONE), "others use host-1"),
    ],
    ids=["down", "used"],
)
def test_it_starts_late_says_why_and_ends_when_it_was_to_end(
    trouble: Input, over: Input, why: str
) -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200)))
    played.tell(50, trouble)
    played.tell(270, over)
    played.tell(400)
    assert played.did(1) == [(Purpose.RUN, 270, 300)]
    active = [change for change in changes(played, 1) if change.new is State.ACTIVE]
    assert [(c.time, c.code, in_words(c.reason)) for c in active] == [(270, "late", why)]


def test_hosts_that_come_free_at_its_last_moment_are_too_late() -> None:
    played = Played(settings=Settings(shutdown_seconds=10))
    played.tell(0, LeaseSubmitted(lease(1, start=200)))
    played.tell(50, GONE)
    played.tell(290, BACK)
    last = changes(played, 1)[-1]
    assert (last.time, last.new, last.code) == (290, State.FAILED, "failure")
    assert "no hosts came free for it in all of its time" in in_words(last.reason)
    played = Played(settings=Settings(shutdown_seconds=10))
    played.tell(0, LeaseSubmitted(lease(1, start=200)))
    played.tell(50, GONE)
    played.tell(289, BACK)
    played.tell(400)
    assert played.did(1) == [(Purpose.RUN, 289, 290), (Purpose.SHUTDOWN, 290, 300)]


def test_one_of_several_nodes_waits_for_the_last_host_it_needs() -> None:
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(lease(1, start=200, nodes=2)))
    played.tell(50, GONE)
    assert played.state(1) is State.QUEUED
    played.tell(250, BACK)
    played.tell(400)
    assert played.did(1) == [(Purpose.RUN, 250, 300)]


def put_off() -> Played:
    """A reservation for 200 whose host failed, and on the other host one that ends at 240."""
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(lease(1, start=200)))
    played.tell(0, LeaseSubmitted(lease(2, start=140)))
    plan = played.records[1].plan
    assert plan is not None
    played.tell(50, HostFailed(plan.hosts[0]))
    return played


def test_a_late_start_is_planned_where_another_ends_in_its_time() -> None:
    played = put_off()
    assert expected(played, 1) == [200, 240]
    assert played.state(1) is State.SCHEDULED
    played.tell(0 + 100, LeaseSubmitted(lease(3, start=240, duration=30)))
    assert played.state(3) is State.REJECTED, "the room from 240 on is promised"
    played.tell(400)
    assert played.did(1) == [(Purpose.RUN, 240, 300)]


def test_it_starts_in_time_after_all_where_another_is_cancelled() -> None:
    played = put_off()
    played.tell(60, LeaseCancelled(2))
    assert expected(played, 1) == [200, 240, 200]
    played.tell(400)
    assert played.did(1) == [(Purpose.RUN, 200, 300)]
    assert "late" not in {change.code for change in changes(played, 1)}


@pytest.mark.parametrize("begins", [150, 230])
def test_its_vms_are_prepared_once_there_is_a_host(begins: int) -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(100, HostUsed(0, ALL))
    assert played.state(1) is State.QUEUED
    played.tell(145, PreparationTime(1, 50))
    played.tell(begins, HostUsed(0, NONE))
    assert played.did(1) == []
    runs = max(200, begins + 50)
    played.tell(runs, LeaseReady(1))
    played.tell(400)
    assert played.did(1) == [(Purpose.PREPARE, begins, runs), (Purpose.RUN, runs, 300)]
    active = [change for change in changes(played, 1) if change.new is State.ACTIVE]
    assert [change.code for change in active] == ["late" if runs > 200 else ""]


def test_one_that_is_being_prepared_waits_when_its_only_host_fails() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200), prepare_seconds=60))
    played.tell(150, GONE)
    assert played.states(1)[-2:] == [(140, State.PREPARING), (150, State.QUEUED)]
    played.tell(170, BACK)
    assert played.states(1)[-1] == (170, State.PREPARING)
    played.tell(215, LeaseReady(1))
    played.tell(400)
    assert played.did(1)[-1] == (Purpose.RUN, 215, 300)


def test_it_comes_before_all_that_wait_in_the_queue() -> None:
    played = Played()
    played.tell(0, LeaseSubmitted(lease(1, start=200)))
    played.tell(50, GONE)
    played.tell(60, LeaseSubmitted(lease(2, duration=1000)))
    played.tell(220, BACK)
    assert played.states(1)[-1] == (220, State.ACTIVE)
    assert played.state(2) is State.QUEUED
    played.tell(301)
    assert played.states(2)[-1] == (300, State.ACTIVE)


def test_it_gets_what_others_leave_of_its_host_in_the_same_instant() -> None:
    """They take their part of the host once a lease there ends, and have it leave first."""
    watched = Watched(2, Settings())
    halves = (NodeSet(2, (50, 10)),)
    watched.tell(13, LeaseSubmitted(replace(lease(1, start=15, duration=46), nodes=halves)))
    watched.tell(28, LeaseSubmitted(replace(lease(2, start=77, duration=78), nodes=halves)))
    one = (NodeSet(1, (50, 10)),)
    watched.tell(43, LeaseSubmitted(replace(lease(3, start=98, duration=69), nodes=one)))
    watched.tell(58, HostUsed(0, (50, 0)))
    over(watched)
    assert not watched.made.leases()


def test_without_an_end_it_waits_for_as_long_as_it_takes() -> None:
    played = Played()
    endless = replace(lease(1, start=200), duration=None)
    played.tell(0, LeaseSubmitted(endless))
    played.tell(50, GONE)
    assert played.made.next_wakeup() is None
    played.tell(100_000, BACK)
    assert played.states(1)[-1] == (100_000, State.ACTIVE)


def test_it_can_be_cancelled_and_changed_while_it_waits() -> None:
    played = Played(hosts=2)
    for lease_id in (1, 2):
        played.tell(0, LeaseSubmitted(lease(lease_id, start=200)))
    played.tell(50, HostFailed(0), HostFailed(1))
    played.tell(60, LeaseCancelled(1))
    assert played.states(1)[-1] == (60, State.CANCELLED)
    later = lease(2, start=500)
    played.tell(70, LeaseChanged(2, later))
    assert played.state(2) is State.QUEUED, "there are no hosts then, either"
    played.tell(80, HostUsed(0, ALL), HostRestored(0))
    played.tell(90, LeaseSubmitted(lease(3, start=150, duration=100)))
    assert played.state(3) is State.REJECTED
    played.tell(100, HostUsed(0, NONE))
    assert played.state(2) is State.SCHEDULED
    played.tell(110, GONE)
    played.tell(120, LeaseSubmitted(lease(4, start=200)), HostRestored(1))
    played.tell(130, LeaseChanged(2, later))
    played.tell(700)
    assert played.did(2) == [(Purpose.RUN, 500, 600)]


def test_a_change_gives_it_hosts_at_once_where_there_are_some() -> None:
    played = Played(hosts=2)
    played.tell(0, LeaseSubmitted(lease(1, start=200)))
    played.tell(0, LeaseSubmitted(lease(2, start=100, duration=250)))
    where = {i: plan.hosts for i in (1, 2) if (plan := played.records[i].plan)}
    played.tell(50, HostFailed(where[1][0]))
    assert played.state(1) is State.QUEUED
    played.tell(60, LeaseChanged(1, lease(1, start=400)))
    assert played.state(1) is State.SCHEDULED
    played.tell(600)
    assert played.did(1) == [(Purpose.RUN, 400, 500)]
    assert "late" not in {change.code for change in changes(played, 1)}


def test_its_image_is_sent_again_once_there_is_a_host() -> None:
    settings = Settings(images=ImageSettings(force_transfer_seconds=20))
    played = Played(settings=settings)
    asked = replace(lease(1, start=200), image=DiskImage("disk", 100))
    played.tell(0, LeaseSubmitted(asked))
    played.tell(50, GONE)
    assert played.state(1) is State.QUEUED
    played.tell(210, BACK)
    assert expected(played, 1)[-1] == 230
    played.tell(400)
    assert played.did(1) == [(Purpose.TRANSFER, 210, 230), (Purpose.RUN, 230, 300)]


# --- an oracle ------------------------------------------------------------------------------


@dataclass
class Watched:
    """A scheduler of reservations, and what is known of its hosts besides."""

    hosts: int
    settings: Settings
    down: set[int] = field(default_factory=set)
    used: dict[int, int] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        policies = make_policies(preemption="no-preemption")
        self.made = Scheduler(site(self.hosts), self.settings, policies, 0)
        self.over: dict[int, StateChanged] = {}

    def tell(self, now: int, *inputs: Input) -> list[Decision]:
        """Let it come to ``now``, asking the oracle after each instant."""
        while (moment := self.made.next_wakeup()) is not None and moment < now:
            self._take(moment)
        return self._take(now, *inputs)

    def _take(self, now: int, *inputs: Input) -> list[Decision]:
        for event in inputs:
            match event:
                case HostFailed(host, _):
                    self.down.add(host)
                case HostRestored(host):
                    self.down.discard(host)
                case HostUsed(host, amount):
                    self.used[host] = amount[0]
                case OperationFailed(lease_id, _, _):
                    self.failures[lease_id] = self.failures.get(lease_id, 0) + 1
        before = {record.id: record for record in self.made.leases()}
        turn = self.made.handle(now, inputs)
        self.made.check()
        for d in turn.decisions:
            if isinstance(d, StateChanged) and d.new is State.FAILED:
                self._judge_failed(d, before[d.lease_id].request)
        for record in self.made.leases():
            self._judge(now, record)
        return turn.decisions

    def _judge_failed(self, failed: StateChanged, request: LeaseRequest) -> None:
        """One fails only where nothing is left of its time, or after trying again and again."""
        assert request.start is not None
        assert request.duration is not None
        last = request.start + request.duration - self.settings.shutdown_seconds
        assert failed.time >= last or self.failures.get(request.id, 0) > 3, failed

    def _judge(self, now: int, record: LeaseRecord) -> None:
        """One that has not begun, and would be late, has no room sooner on any hosts."""
        request, plan = record.request, record.plan
        assert request.start is not None
        assert request.duration is not None
        if plan is not None and plan.since is not None:
            return
        end = request.start + request.duration
        last = end - self.settings.shutdown_seconds
        first = max(now, request.start)
        planned = last if plan is None else plan.phases[0].start
        others = [r for r in self.made.leases() if r.id != record.id]
        ends = {r.plan.phases[-1].end for r in others if r.plan is not None}
        for start in sorted({first, *(moment for moment in ends if moment > first)}):
            if start < planned and (plan is None or start == first):
                assert self._room(others, start, end, request.nodes[0]) < request.node_count, (
                    f"lease {record.id} has room at {start}, and is planned for {planned}"
                )

    def _room(self, others: list[LeaseRecord], start: int, end: int, node: NodeSet) -> int:
        """Count such nodes that there is room for in all of a time, beside what is planned."""
        held = [
            (r.plan.phases[0].start, r.plan.phases[-1].end, host, r.request.nodes[0].capacity[0])
            for r in others
            if r.plan is not None
            for host in r.plan.hosts
        ]
        count = 0
        for host in set(range(self.hosts)) - self.down:
            moments = {start, *(s for s, _, _, _ in held if start < s < end)}
            most = max(sum(c for s, e, h, c in held if h == host and s <= t < e) for t in moments)
            count += max(0, 100 - self.used.get(host, 0) - most) // node.capacity[0]
        return count


def asked(draw: st.DrawFn, lease_id: int, now: int) -> LeaseRequest:
    nodes, cpu = draw(st.integers(1, 3)), draw(st.sampled_from([50, 100]))
    start, duration = now + draw(st.integers(0, 60)), draw(st.integers(15, 90))
    made = lease(lease_id, start=start, duration=duration)
    return replace(made, submitted=now, nodes=(NodeSet(nodes, (cpu, 10)),))


@st.composite
def happenings(draw: st.DrawFn, hosts: int) -> list[tuple[int, Input]]:
    """Reservations that are asked for and cancelled; hosts that fail, return and are used."""
    now, last_id, found = 0, 0, list[tuple[int, Input]]()
    host = st.integers(0, hosts - 1)
    for _ in range(draw(st.integers(4, 24))):
        now += draw(st.integers(0, 25))
        match draw(st.integers(0, 7)):
            case 0 | 1 | 2:
                last_id += 1
                found.append((now, LeaseSubmitted(asked(draw, last_id, now))))
            case 3:
                found.append((now, HostFailed(draw(host))))
            case 4:
                found.append((now, HostRestored(draw(host))))
            case 5:
                amount = draw(st.sampled_from([0, 50, 100]))
                found.append((now, HostUsed(draw(host), (amount, 0))))
            case 6:
                found.append((now, LeaseCancelled(draw(st.integers(1, max(1, last_id))))))
            case _:
                of = draw(st.integers(1, max(1, last_id)))
                why = because(Code.STATED, text="it crashed")
                found.append((now, OperationFailed(of, Purpose.RUN, why)))
    return found


def over(watched: Watched) -> None:
    """Let all that is planned come to its end."""
    for _ in range(500):
        moment = watched.made.next_wakeup()
        if moment is None:
            return
        watched.tell(moment)


Draw = Callable[[st.SearchStrategy[list[tuple[int, Input]]]], list[tuple[int, Input]]]


@tries(150)
@given(st.data(), st.integers(1, 3), st.sampled_from([0, 5]))
def test_an_oracle_agrees_that_nothing_can_be_done(
    data: st.DataObject, hosts: int, shutdown_seconds: int
) -> None:
    watched = Watched(hosts, Settings(shutdown_seconds=shutdown_seconds))
    draw: Draw = data.draw
    for now, event in draw(happenings(hosts)):
        watched.tell(now, event)
    over(watched)
    assert not watched.made.leases(), "each comes to an end"
    assert (watched.made.next_wakeup() or FOREVER) == FOREVER
