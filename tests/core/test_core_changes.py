"""Changes of leases: granted as a whole, or refused with everything as it was.

The judge is naive: it adds up, second by second, who is on which host by the decisions alone.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace

import pytest
from effort import LOOKS, tries
from hypothesis import given
from hypothesis import strategies as st
from played_leases import HOST, at, lease, on_hosts, played

from haizea.core.model.events import (
    ChangeRefused,
    Decision,
    LeaseAltered,
    LeaseCancelled,
    LeaseChanged,
    LeaseSubmitted,
    OperationEnded,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.records import LeaseRecord
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.model.turn import ChangeTrial, Turn
from haizea.core.scheduler import Scheduler
from haizea.wording import in_words


def scheduler(hosts: int, rules: Settings | None = None) -> Scheduler:
    return on_hosts(hosts, "ar-preempts-everything", rules)


def told(decisions: Sequence[Decision]) -> list[str]:
    """Return what was decided about changes, in words."""
    return [
        "granted" if isinstance(d, LeaseAltered) else f"{in_words(d.reason, at)} ({d.offer})"
        for d in decisions
        if isinstance(d, LeaseAltered | ChangeRefused)
    ]


def ran(decisions: Sequence[Decision], lease_id: int) -> list[tuple[int, int]]:
    return [
        (d.start, d.end)
        for d in decisions
        if isinstance(d, OperationEnded) and d.lease_id == lease_id and d.purpose is Purpose.RUN
    ]


def change(made: Scheduler, now: int, old: LeaseRequest, **terms: object) -> list[Decision]:
    asked = replace(old, **terms)  # type: ignore[arg-type]
    played(made, now)
    found = made.handle(now, [LeaseChanged(old.id, asked)]).decisions
    made.check()
    return found


def tried(made: Scheduler, lease_id: int, asked: LeaseRequest) -> ChangeTrial:
    """Return what a change would lead to; nobody can tell afterwards that it was asked."""
    before = pickle.dumps((made.leases(), made.site_record(), made.queue(), made.next_wakeup()))
    found = made.trial(lease_id, asked)
    made.check()
    after = pickle.dumps((made.leases(), made.site_record(), made.queue(), made.next_wakeup()))
    assert after == before
    return found


def agree(foreseen: ChangeTrial, turn: Turn) -> None:
    """See that a change led to what was foreseen."""
    first = turn.decisions[0]
    if isinstance(first, ChangeRefused):
        assert (foreseen.reason, foreseen.offer) == (first.reason, first.offer)
        return
    assert foreseen.reason is None
    (altered,) = [d for d in turn.decisions if isinstance(d, LeaseAltered)]
    record = next(r for r in turn.records if r.id == altered.request.id)
    if foreseen.start is not None:
        assert record.plan is not None
        run = record.plan.phase(Purpose.RUN)
        assert run is not None
        sooner = record.request.kind is Kind.DEADLINE and run.start < foreseen.start
        assert sooner or (foreseen.start, foreseen.end) == (run.start, run.end)


def planned(made: Scheduler, lease_id: int) -> tuple[int, ...]:
    plan = next(record.plan for record in made.leases() if record.request.id == lease_id)
    assert plan is not None
    return plan.hosts


def test_what_runs_is_extended_and_shortened() -> None:
    made = scheduler(1)
    first = lease(1, Kind.IMMEDIATE)
    made.handle(0, [LeaseSubmitted(first)])
    assert told(change(made, 50, first, duration=300)) == ["granted"]
    assert told(change(made, 60, replace(first, duration=300), duration=200)) == ["granted"]
    assert ran(played(made, 500), 1) == [(0, 200)]


def test_a_start_that_is_proposed_leaves_time_to_ask_for_it() -> None:
    """Propose another start, however near or long ago the one was that is asked for instead."""
    made = scheduler(1, Settings(non_schedulable_seconds=10, notice_seconds=60))
    first = lease(1, Kind.AR, start=500)
    made.handle(0, [LeaseSubmitted(first)])
    for start, why in ((105, "is less than 10 s ahead"), (50, "is over")):
        (refused,) = told(change(made, 100, first, start=start))
        assert why in refused
        assert refused.endswith("(170)")
    assert told(change(made, 159, first, start=170)) == ["granted"]


def test_an_extension_has_others_go_elsewhere_and_never_costs_a_reservation() -> None:
    made = scheduler(2)
    first = lease(1, Kind.IMMEDIATE)
    made.handle(0, [LeaseSubmitted(first)])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 150))])
    assert told(change(made, 10, first, duration=400)) == ["granted"]
    assert told(made.handle(20, [LeaseSubmitted(lease(3, Kind.AR, 500, nodes=2))]).decisions) == []
    refused = change(made, 30, replace(first, duration=400), duration=600)
    assert told(refused) == [
        "its hosts are promised between @400 and @600 to others that cannot go elsewhere (500)"
    ]
    decisions = played(made, 700)
    assert (ran(decisions, 1), ran(decisions, 2), ran(decisions, 3)) == (
        [(0, 400)],
        [(150, 250)],
        [(500, 600)],
    )


def test_an_extension_of_a_reservation_preempts_as_one_may() -> None:
    made = scheduler(1, Settings(suspension=Suspension.ALL, backfilling=Backfilling.CONSERVATIVE))
    first = lease(1, Kind.AR, 0)
    made.handle(0, [LeaseSubmitted(first)])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.BEST_EFFORT, preemptible=True))])
    assert told(change(made, 10, first, duration=300)) == ["granted"]
    assert ran(played(made, 900), 2) == [(300, 400)]


def test_a_reservation_gets_another_start_and_size_or_the_nearest_is_told() -> None:
    made = scheduler(2)
    first = lease(1, Kind.AR, 100)
    made.handle(0, [LeaseSubmitted(first)])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 300, nodes=2))])
    assert told(change(made, 0, first, start=150, nodes=(NodeSet(2, (400, 1024)),))) == ["granted"]
    moved = replace(first, start=150, nodes=(NodeSet(2, (400, 1024)),))
    (said,) = told(change(made, 0, moved, start=250))
    assert said.endswith("(200)")
    assert ran(played(made, 500), 1) == [(150, 250)]


@pytest.mark.parametrize("kind", [Kind.AR, Kind.DEADLINE])
@pytest.mark.parametrize("fixed", [True, False])
def test_fixed_hosts_stay_when_a_promise_is_changed(kind: Kind, fixed: bool) -> None:
    made, window = scheduler(2), kind is Kind.DEADLINE
    start, after, deadline = (None, 100, 200) if window else (100, None, None)
    asked = lease(1, kind, start, after=after, deadline=deadline)
    asked = replace(asked, fixed_hosts=fixed)
    made.handle(0, [LeaseSubmitted(asked)])
    (host,) = planned(made, 1)
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 200), allowed=1 << host)])
    longer = replace(asked, duration=150, deadline=250 if window else None)
    granted = told(change(made, 0, asked, duration=150, deadline=longer.deadline)) == ["granted"]
    assert granted is not fixed
    assert (planned(made, 1) == (host,)) is fixed
    if fixed:
        assert told(change(made, 0, asked, duration=90)) == ["granted"]
        assert planned(made, 1) == (host,), "though the other host has fewer leases"


def test_what_waits_is_planned_anew_at_its_place() -> None:
    made = scheduler(1, Settings(backfilling=Backfilling.AGGRESSIVE))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE))])
    played(made, 0)
    second = lease(2, Kind.BEST_EFFORT, duration=100)
    made.handle(1, [LeaseSubmitted(second)])
    made.handle(2, [LeaseSubmitted(lease(3, Kind.BEST_EFFORT))])
    assert told(change(made, 3, second, duration=50, preemptible=True)) == ["granted"]
    assert told(
        change(
            made,
            3,
            replace(second, duration=50, preemptible=True),
            nodes=(NodeSet(9, (400, 1024)),),
        )
    ) == ["this site never has room for 9 nodes of this size at once (None)"]
    decisions = played(made, 500)
    assert (ran(decisions, 2), ran(decisions, 3)) == ([(100, 150)], [(150, 250)])


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"duration": 10}, "it would have to end by @10: cancel it instead (None)"),
        ({"nodes": (NodeSet(2, (400, 1024)),)}, "it runs: only its end can change, and whether it"),
    ],
)
def test_what_runs_cannot_become_anything(terms: dict[str, object], said: str) -> None:
    made = scheduler(2)
    first = lease(1, Kind.IMMEDIATE)
    made.handle(0, [LeaseSubmitted(first)])
    assert told(change(made, 50, first, **terms))[0].startswith(said)


def test_a_change_of_what_was_changed_or_is_over_is_refused() -> None:
    made = scheduler(1)
    first = lease(1, Kind.IMMEDIATE)
    made.handle(0, [LeaseSubmitted(first)])
    longer = replace(first, duration=200)
    played(made, 4)
    found = made.handle(5, [LeaseChanged(1, longer, first), LeaseChanged(1, first, first)])
    assert told(found.decisions) == ["granted", "it was changed meanwhile: look at it again (None)"]
    made.handle(6, [LeaseCancelled(1)])
    assert told(change(made, 7, longer, duration=300)) == ["it is over (None)"]


# --- in general ---------------------------------------------------------------------------

_REQUEST = st.tuples(
    st.sampled_from(list(Kind)),
    st.integers(0, 120),
    st.integers(10, 150),
    st.integers(1, 4),
    st.sampled_from([100, 200, 400]),
    st.booleans(),
)


@pytest.mark.slow
@tries(150)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.booleans(), st.integers(1, 8), _REQUEST), max_size=16
    ),
    st.sampled_from(list(Backfilling)),
    st.sampled_from(list(Suspension)),
    st.sampled_from(LOOKS),
)
def test_a_change_is_granted_as_a_whole_or_changes_nothing(
    script: list[tuple[int, bool, int, tuple[Kind, int, int, int, int, bool]]],
    backfilling: Backfilling,
    suspension: Suspension,
    looks: int,
) -> None:
    rules = Settings(
        backfilling=backfilling,
        backfilling_reservations=2,
        suspension=suspension,
        remapping_effort=looks,
    )
    made, now = scheduler(4, rules), 0
    decisions: list[Decision] = []
    requests: dict[int, LeaseRequest] = {}
    records: dict[int, LeaseRecord] = {}
    for after, changes, which, (kind, ahead, duration, count, cpu, preemptible) in script:
        now += after
        decisions += played(made, now)
        decisions += made.handle(now).decisions
        if changes and which in requests:
            old = requests[which]
            asked = replace(
                old,
                start=now + ahead if old.kind is Kind.AR else None,
                deadline=old.deadline and old.deadline + ahead - 60,
                duration=duration,
                nodes=(NodeSet(count, (cpu, 1024)),) if cpu != 100 else old.nodes,
                preemptible=preemptible,
            )
            if cpu == 200:
                asked = replace(old, duration=duration)
            before = made.leases(), made.queue()
            foreseen = tried(made, which, asked)
            turn = made.handle(now, [LeaseChanged(which, asked)])
            agree(foreseen, turn)
            if isinstance(turn.decisions[0], ChangeRefused):
                assert len(turn.decisions) == 1
                assert not turn.records, "nothing has changed, so that nothing is to be kept"
                assert (made.leases(), made.queue()) == before
            else:
                requests[which] = asked
        else:
            number = len(requests) + 1
            start = now + ahead if kind is Kind.AR else None
            deadline = now + ahead + duration if kind is Kind.DEADLINE else None
            asked = lease(
                number, kind, start, deadline=deadline, submitted=now, duration=duration,
                nodes=count, cpu=cpu, preemptible=preemptible,
            )  # fmt: skip
            requests[number] = asked
            turn = made.handle(now, [LeaseSubmitted(asked)])
        decisions += turn.decisions
        records |= {record.id: record for record in turn.records}
        made.check()
    decisions += played(made, 10_000)
    assert not made.queue()
    check_by_the_second(decisions, requests)


def check_by_the_second(decisions: list[Decision], requests: dict[int, LeaseRequest]) -> None:
    """See that hosts are never over-full, and that reservations ran when they were to."""
    used: dict[tuple[int, int], int] = {}
    final: dict[int, State] = {}
    for decision in decisions:
        if isinstance(decision, OperationEnded):
            for host, amount in decision.use:
                for second in range(decision.start, decision.end):
                    used[host, second] = used.get((host, second), 0) + amount[0]
        elif isinstance(decision, StateChanged) and decision.new in FINAL:
            final[decision.lease_id] = decision.new
    assert all(amount <= HOST[0] for amount in used.values())
    assert set(final) == set(requests)
    assert State.FAILED not in final.values()
    for lease_id, request in requests.items():
        if request.kind is Kind.AR and final[lease_id] is State.DONE:
            assert request.start is not None
            assert request.duration is not None
            assert ran(decisions, lease_id) == [(request.start, request.start + request.duration)]
        if request.kind is Kind.DEADLINE and final[lease_id] is State.DONE:
            ((start, end),) = ran(decisions, lease_id)
            assert request.deadline is not None
            assert (end - start, end <= request.deadline) == (request.duration, True)


def test_started_operations_are_of_leases_that_are_known() -> None:
    made = scheduler(1)
    first = lease(1, Kind.AR, 10)
    made.handle(0, [LeaseSubmitted(first)])
    decisions = change(made, 0, first, start=20) + played(made, 30)
    begun = [(d.lease_id, d.time) for d in decisions if isinstance(d, OperationStarted)]
    assert begun == [(1, 20)]


def test_a_trial_reckons_with_waiting_leases_that_have_numbers_of_hosts() -> None:
    made = scheduler(2, Settings(backfilling=Backfilling.CONSERVATIVE))
    first = lease(1, Kind.BEST_EFFORT, duration=100)
    made.handle(0, [LeaseSubmitted(first), LeaseSubmitted(lease(2, Kind.BEST_EFFORT))])
    made.handle(1, [LeaseSubmitted(lease(3, Kind.BEST_EFFORT, nodes=2))])
    assert [record.plan for record in made.leases()][2] is None, "it is promised a number of hosts"
    longer = replace(first, duration=200)
    foreseen = tried(made, 1, longer)
    agree(foreseen, made.handle(2, [LeaseChanged(1, longer)]))


_WHOLE = st.tuples(
    st.sampled_from([Kind.BEST_EFFORT, Kind.BEST_EFFORT, Kind.AR, Kind.DEADLINE]),
    st.integers(20, 150),
    st.integers(10, 150),
    st.integers(1, 3),
    st.booleans(),
)


@tries(100)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(10, 200), _WHOLE), max_size=12
    ),
    st.sampled_from(list(Backfilling)),
    st.sampled_from([400, 200]),
    st.sampled_from(LOOKS),
)
def test_nobody_can_tell_that_a_change_was_tried(
    script: list[tuple[int, int, int, tuple[Kind, int, int, int, bool]]],
    backfilling: Backfilling,
    cpu: int,
    looks: int,
) -> None:
    """Two schedulers are told the same story, and one of them is asked about changes, too."""
    rules = Settings(
        backfilling=backfilling,
        backfilling_reservations=2,
        suspension=Suspension.ALL,
        remapping_effort=looks,
    )
    asked, other, now = scheduler(4, rules), scheduler(4, rules), 0
    for number, (after, which, length, (kind, ahead, duration, count, gives)) in enumerate(script):
        now += after
        assert played(asked, now) == played(other, now)
        assert asked.handle(now) == other.handle(now)
        old = next((r.request for r in asked.leases() if r.id == which), None)
        if old is not None:
            longer = replace(old, duration=length, preemptible=gives)
            foreseen = tried(asked, which, longer)
            if number % 3 == 0:
                news = [LeaseChanged(which, longer)]
                turn = asked.handle(now, news)
                assert turn == other.handle(now, news)
                agree(foreseen, turn)
        start = now + ahead if kind is Kind.AR else None
        deadline = now + ahead + duration if kind is Kind.DEADLINE else None
        new = lease(
            number + 1, kind, start, deadline=deadline, submitted=now, duration=duration,
            nodes=count, cpu=cpu, preemptible=gives,
        )  # fmt: skip
        assert asked.handle(now, [LeaseSubmitted(new)]) == other.handle(now, [LeaseSubmitted(new)])
    assert played(asked, 10_000) == played(other, 10_000)
