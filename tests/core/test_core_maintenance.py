"""Maintenance: hosts are empty when a window starts, and a window that is refused changes nothing.

The judge is naive: it adds up, second by second, who is on which host by the decisions alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from drawn_windows import Step, asked_for, requests, steps
from effort import LOOKS, tries
from hypothesis import given
from hypothesis import strategies as st
from played_leases import HOST, at, lease, on_hosts, played
from played_windows import check_by_the_second, window

from haizea.core.model.events import (
    Decision,
    HostUsed,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceChanged,
    MaintenanceEnded,
    OperationDelayed,
    OperationEnded,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.wording import in_words


def scheduler(hosts: int, rules: Settings | None = None, now: int = 0) -> Scheduler:
    return on_hosts(hosts, "no-preemption", rules, now)


def told(decisions: Sequence[Decision]) -> list[tuple[str, str]]:
    return [
        (d.status, in_words(d.reason, at)) for d in decisions if isinstance(d, MaintenanceChanged)
    ]


def states(decisions: Sequence[Decision], lease_id: int) -> list[State]:
    return [d.new for d in decisions if isinstance(d, StateChanged) and d.lease_id == lease_id]


def runs(decisions: Sequence[Decision]) -> list[tuple[int, int, tuple[int, ...]]]:
    return [
        (d.lease_id, d.time, d.hosts)
        for d in decisions
        if isinstance(d, OperationStarted) and d.purpose is Purpose.RUN
    ]


def test_the_outage_is_on_record_from_start_to_end() -> None:
    made = scheduler(2)
    assert told(made.handle(0, [MaintenanceAsked(window(50, 80))]).decisions) == [
        ("planned", "new disks")
    ]
    decisions = played(made, 100)
    assert told(decisions) == [("begun", "new disks"), ("over", "")]
    outages = [d for d in decisions if isinstance(d, OperationEnded)]
    assert outages == [OperationEnded(0, Purpose.OUTAGE, 50, 80, ((0, HOST),))]
    assert made.next_wakeup() is None
    assert made.site_record().maintenance == ()


def test_what_waits_is_planned_around_it() -> None:
    made = scheduler(1)
    made.handle(0, [MaintenanceAsked(window(50, 80))])
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 60, duration=30))])
    assert runs(played(made, 300)) == [(1, 80, (0,))]


def test_a_reservation_gets_other_hosts() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 60))])
    host = made.leases()[0].plan
    assert host is not None
    decisions = made.handle(0, [MaintenanceAsked(window(50, 80, host.hosts))]).decisions
    assert told(decisions) == [("planned", "new disks")]
    assert runs(played(made, 60)) == [(1, 60, (1 - host.hosts[0],))]


def test_a_reservation_preempts_on_its_other_hosts_as_a_new_one_would() -> None:
    made = on_hosts(2, "ar-preempts-everything", Settings(suspension=Suspension.ALL))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, preemptible=True))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.BEST_EFFORT, duration=400, preemptible=True))])
    made.handle(0, [LeaseSubmitted(lease(3, Kind.AR, 150))])
    assert [x.plan.hosts for x in made.leases() if x.plan is not None] == [(0,), (1,), (0,)]
    asked = window(120, 300)
    impact = made.impact(asked)
    assert impact.refusal is None
    told_of = [(x.lease_id, in_words(x.how, at)) for x in impact.leases]
    assert [lease_id for lease_id, _ in told_of] == [2, 3]
    assert told(made.handle(50, [MaintenanceAsked(asked)]).decisions) == [("planned", "new disks")]
    decisions = played(made, 2000)
    assert (3, 150, (1,)) in runs(decisions)
    ended = [d for d in decisions if isinstance(d, OperationEnded)]
    saved = [(d.lease_id, d.end) for d in ended if d.purpose is Purpose.SUSPEND]
    assert saved == [(2, 150)], "no sooner than it must"
    assert states(decisions, 2)[-1] is State.DONE


def test_it_is_refused_with_who_is_in_the_way() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 200))])
    said = "lease 1 has host-1 until @100, and nothing else is free for it"
    assert told(made.handle(10, [MaintenanceAsked(window(50, 150))]).decisions) == [
        ("refused", said)
    ]
    said = "lease 2 has host-1 until @300, and nothing else is free for it"
    assert told(made.handle(10, [MaintenanceAsked(window(150, 250))]).decisions) == [
        ("refused", said)
    ]
    assert in_words(made.impact(window(150, 250)).refusal, at) == said
    assert made.site_record().maintenance == ()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (window(5, 8), "its end, @8, is over already"),
        (window(30, 30), "its end, @30, is not after its start, @30"),
        (window(30, 40, (7,)), "it names no host of the site"),
        (window(30, 40, ()), "it names no host of the site"),
        (
            window(60, 90, window_id=2),
            "host-1 is in maintenance then, by window 1: change that one",
        ),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(asked: Maintenance, said: str) -> None:
    made = scheduler(1)
    made.handle(0, [MaintenanceAsked(window(50, 80))])
    assert told(made.handle(10, [MaintenanceAsked(asked)]).decisions) == [("refused", said)]


def test_what_runs_is_suspended_in_time() -> None:
    made = scheduler(1, Settings(suspension=Suspension.ALL))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, duration=300, preemptible=True))])
    asked = window(100, 150)
    assert [(x.lease_id, in_words(x.how, at)) for x in made.impact(asked).leases] == [
        (1, "is suspended @68")
    ]
    made.handle(1, [MaintenanceAsked(asked)])
    decisions = played(made, 600)
    ended = [d for d in decisions if isinstance(d, OperationEnded) and d.lease_id == 1]
    assert [(d.purpose, d.start, d.end) for d in ended] == [
        (Purpose.RUN, 0, 68),
        (Purpose.SUSPEND, 68, 100),
        (Purpose.RESUME, 150, 182),
        (Purpose.RUN, 182, 414),
    ]


def test_what_may_stay_keeps_its_host_and_nothing_new_comes() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE, cpu=100))])
    made.handle(0, [MaintenanceAsked(window(0, None, leases=Leaving.STAY))])
    assert states(
        made.handle(10, [LeaseSubmitted(lease(2, Kind.IMMEDIATE, cpu=100))]).decisions, 2
    )[-1] is (State.REJECTED)
    made.handle(10, [LeaseSubmitted(lease(3, Kind.BEST_EFFORT, cpu=100))])
    decisions = played(made, 1000)
    begun = [d for d in decisions if isinstance(d, OperationStarted)]
    assert [(d.purpose, d.time, d.hosts) for d in begun] == [(Purpose.OUTAGE, 100, (0,))]
    assert runs(made.handle(1000, [MaintenanceEnded(1)]).decisions) == [(3, 1000, (0,))]


def test_nothing_goes_to_other_hosts_of_what_may_stay() -> None:
    made = scheduler(3)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, nodes=2))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 50))])
    assert [x.plan.hosts for x in made.leases() if x.plan is not None] == [(0, 1), (2,)]
    made.handle(0, [MaintenanceAsked(window(0, None, (0, 2), Leaving.STAY))])
    made.check()
    assert (2, 50, (2,)) in runs(played(made, 300))


@pytest.mark.parametrize("kind", [Kind.AR, Kind.DEADLINE])
def test_where_leases_stay_nothing_that_runs_leaves_for_them(kind: Kind) -> None:
    made = on_hosts(3, "ar-preempts-everything", Settings(suspension=Suspension.ALL))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, duration=500, preemptible=True))])
    asked = lease(2, kind, 100) if kind is Kind.AR else lease(2, kind, after=100, deadline=250)
    made.handle(0, [LeaseSubmitted(asked)])
    made.handle(0, [LeaseSubmitted(lease(3, Kind.IMMEDIATE, duration=1000))])
    played(made, 0)
    planned = window(150, None, (1, 2), Leaving.STAY)
    expected = [(leaver.lease_id, leaver.stuck) for leaver in made.impact(planned).leases]
    assert expected == [(2, True), (3, True)]
    decisions = made.handle(0, [MaintenanceAsked(planned)]).decisions
    made.check()
    assert states(decisions, 1) == []
    later = played(made, 300)
    assert states(later, 1) == []
    assert (2, 100, (1,)) in runs(later)


def test_where_leases_stay_those_go_elsewhere_for_whom_hosts_are_free() -> None:
    made = scheduler(3)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 100))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 120))])
    (first, second) = [x.plan.hosts for x in made.leases() if x.plan is not None]
    planned = window(50, None, (*first, *second), Leaving.STAY)
    expected = [(leaver.lease_id, leaver.stuck) for leaver in made.impact(planned).leases]
    assert expected == [(1, False), (2, True)]
    made.handle(0, [MaintenanceAsked(planned)])
    (free,) = {0, 1, 2} - {*first, *second}
    assert [(i, hosts) for i, _, hosts in runs(played(made, 300))] == [(1, (free,)), (2, second)]


def test_nothing_goes_to_other_hosts_of_what_is_ended_before_it_is() -> None:
    made = scheduler(3)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, nodes=2))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 50))])
    made.handle(0, [MaintenanceAsked(window(40, None, (0, 2), Leaving.END))])
    made.check()


@pytest.mark.parametrize("leaving", [Leaving.STAY, Leaving.END])
def test_what_moves_goes_round_who_stays_before_and_after_a_window(leaving: Leaving) -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 0, duration=1000))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.DEADLINE, deadline=1500))])
    made.handle(10, [MaintenanceAsked(window(900, 1050, (0,), leaving))])
    made.check()
    found = played(made, 2000)
    assert [run for run in runs(found) if run[0] == 2] == [(2, 1050, (0,))]


def test_a_window_is_changed_after_a_part_of_what_it_held_is_over() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 50))])
    made.handle(0, [MaintenanceAsked(window(0, None, (0,), Leaving.STAY))])
    played(made, 60)
    changed = window(0, 400, (0,), Leaving.STAY)
    assert made.impact(changed).refusal is None
    assert told(made.handle(60, [MaintenanceAsked(changed)]).decisions)[0][0] == "planned"


def test_a_host_is_not_out_of_use_before_those_that_may_come_yet() -> None:
    made = scheduler(1)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE, duration=40))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 50, duration=40))])
    made.handle(0, [MaintenanceAsked(window(0, None, (0,), Leaving.STAY))])
    outages = [
        d.time
        for d in played(made, 200)
        if isinstance(d, OperationStarted) and d.purpose is Purpose.OUTAGE
    ]
    assert outages == [90]


def test_a_host_is_in_use_again_for_those_that_come_before_a_later_end() -> None:
    made = scheduler(1)
    made.handle(0, [MaintenanceAsked(window(0, 100, (0,), Leaving.STAY))])
    made.handle(0, [LeaseSubmitted(lease(1, Kind.AR, 150))])
    found = [*made.handle(50, [MaintenanceAsked(window(0, 400, (0,), Leaving.STAY))]).decisions]
    found += played(made, 400)
    outages = [d for d in found if isinstance(d, OperationEnded) and d.purpose is Purpose.OUTAGE]
    assert [(d.start, d.end) for d in outages] == [(0, 50), (250, 400)]
    assert runs(found) == [(1, 150, (0,))]


def test_what_has_to_end_begins_again_elsewhere_or_fails() -> None:
    made = scheduler(2)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE, duration=200))])
    made.handle(0, [LeaseSubmitted(lease(2, Kind.AR, 150, nodes=2, duration=200))])
    asked = window(50, 500, leases=Leaving.END)
    impact = made.impact(asked)
    assert [(x.lease_id, x.stuck) for x in impact.leases] == [(1, True)]
    decisions = made.handle(1, [MaintenanceAsked(asked)]).decisions + played(made, 60)
    assert (1, 50, (1,)) in runs(decisions)
    assert states(decisions, 1)[-1] is State.ACTIVE


@pytest.mark.parametrize(
    "before",
    [window(0, 500, leases=Leaving.STAY), window(0, 500, (1,), Leaving.END)],
    ids=["drained", "of another host"],
)
@pytest.mark.parametrize("hosts", [2, 3])
def test_what_has_to_end_does_so_in_a_window_that_is_changed_while_it_lasts(
    before: Maintenance, hosts: int
) -> None:
    made = scheduler(hosts)
    made.handle(0, [LeaseSubmitted(lease(1, Kind.IMMEDIATE, duration=200))])
    assert runs(played(made, 0)) == [(1, 0, (0,))]
    made.handle(1, [MaintenanceAsked(before)])
    assert states(played(made, 49), 1) == []
    changed = made.handle(50, [MaintenanceAsked(window(0, 500, (0, 1), Leaving.END))]).decisions
    assert [status for status, _ in told(changed)] == ["planned"]
    if hosts == 2:
        assert states(changed, 1)[-1] is State.FAILED
    else:
        assert runs(changed) == [(1, 50, (2,))]
    out = [h for d in changed if isinstance(d, OperationStarted) for h in d.hosts]
    assert 0 in out
    made.check()


def test_a_window_is_changed_and_ended() -> None:
    made = scheduler(1)
    made.handle(0, [MaintenanceAsked(window(50, 80))])
    made.handle(50)
    made.handle(55, [MaintenanceAsked(window(50, 120))])
    made.handle(60, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT))])
    assert runs(played(made, 110)) == []
    decisions = made.handle(110, [MaintenanceEnded(1)]).decisions
    assert [d for d in decisions if isinstance(d, OperationEnded)] == [
        OperationEnded(0, Purpose.OUTAGE, 50, 110, ((0, HOST),))
    ]
    assert runs(decisions) == [(1, 110, (0,))]


def test_a_change_of_another_form_than_there_is_changes_nothing() -> None:
    made = scheduler(1)
    seen, longer, sooner = window(50, 80), window(50, 120), window(40, 80)
    asked = [MaintenanceAsked(seen), MaintenanceAsked(longer, seen), MaintenanceAsked(sooner, seen)]
    statuses = [status for status, _ in told(made.handle(0, asked).decisions)]
    assert statuses == ["planned", "planned", "refused"]
    assert [record.window for record in made.site_record().maintenance] == [longer]
    # Nor does one that is over come back.
    after = made.handle(1, [MaintenanceEnded(1), MaintenanceAsked(sooner, longer)]).decisions
    statuses = [status for status, _ in told(after)]
    assert statuses == ["over", "refused"]
    assert made.site_record().maintenance == ()


def test_a_lease_that_leaves_late_is_waited_for() -> None:
    made = scheduler(1, Settings(suspension=Suspension.ALL))
    made.handle(0, [LeaseSubmitted(lease(1, Kind.BEST_EFFORT, duration=300, preemptible=True))])
    made.handle(1, [MaintenanceAsked(window(100, 150))])
    played(made, 68)
    decisions = made.handle(90, [OperationDelayed(1, Purpose.SUSPEND, 120)]).decisions
    decisions += played(made, 149)
    assert [(d.time, d.hosts) for d in decisions if isinstance(d, OperationStarted)] == [
        (120, (0,))
    ]
    made.check()


def test_others_than_leases_may_stay() -> None:
    made = scheduler(2)
    made.handle(0, [HostUsed(0, (100, 512)), MaintenanceAsked(window(50, 80))])
    made.handle(60, [HostUsed(0, (300, 512))])
    made.check()
    made.handle(70, [HostUsed(0, (0, 0))])
    made.check()
    assert (
        states(made.handle(71, [LeaseSubmitted(lease(1, Kind.IMMEDIATE, nodes=2))]).decisions, 1)[
            -1
        ]
        is State.REJECTED
    )


def test_a_restart_goes_on_with_it() -> None:
    made = scheduler(2)
    made.handle(
        0, [MaintenanceAsked(window(50, 80)), MaintenanceAsked(window(90, 95, (1,), window_id=2))]
    )
    made.handle(50)
    again = scheduler(2, now=60)
    again.restore([], made.site_record())
    assert again.site_record() == made.site_record()
    assert states(
        again.handle(60, [LeaseSubmitted(lease(1, Kind.IMMEDIATE, nodes=2))]).decisions, 1
    )[-1] is (State.REJECTED)
    ended = [d for d in played(again, 100) if isinstance(d, OperationEnded)]
    assert [(d.start, d.end) for d in ended] == [(50, 80), (90, 95)]


# --- in general ---------------------------------------------------------------------------


def any_request(number: int, now: int) -> st.SearchStrategy[LeaseRequest]:
    return requests(number, now, shortest=10, sizes=(100, 200, 400))


USES = st.builds(HostUsed, st.integers(0, 3), st.sampled_from([(0, 0), (100, 0), (400, 0)]))


@pytest.mark.slow
@tries(200)
@given(
    steps(any_request, others=(USES,)),
    st.sampled_from(list(Backfilling)),
    st.sampled_from(list(Suspension)),
    st.sampled_from(["no-preemption", "ar-preempts-everything"]),
    st.sampled_from(LOOKS),
)
def test_hosts_in_maintenance_are_empty(
    script: list[Step],
    backfilling: Backfilling,
    suspension: Suspension,
    preemption: str,
    looks: int,
) -> None:
    rules = Settings(
        backfilling=backfilling,
        backfilling_reservations=2,
        suspension=suspension,
        remapping_effort=looks,
    )
    made, now, decisions = on_hosts(4, preemption, rules), 0, []
    for step in script:
        now += step.after
        decisions += played(made, now - 1)
        if isinstance(step.event, MaintenanceAsked):
            decisions += made.handle(now).decisions
            decisions += asked_for(made, now, step.event)
        else:
            decisions += made.handle(now, [step.event]).decisions
        made.check()
    decisions += played(made, 10_000)
    check_by_the_second(decisions)
