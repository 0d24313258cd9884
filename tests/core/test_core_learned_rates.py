"""Rates that are learned of hosts: what is planned from then on goes by them."""

from __future__ import annotations

import pytest

from haizea.core.model.events import (
    Decision,
    HostRates,
    Input,
    LeaseSubmitted,
    OperationEnded,
    OperationStarted,
    Purpose,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.records import RatesRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Exclusion, Migration, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

#: 1024 MB are saved in 16 s, restored in 8 s.
PLAIN = Settings(
    suspension=Suspension.ALL,
    suspend_rate_mb_s=64,
    resume_rate_mb_s=128,
    scheduling_threshold_factor=0,
)
FULL = NodeSet(1, (100, 1024))


def scheduler(settings: Settings = PLAIN, hosts: int = 1) -> Scheduler:
    site = Site.uniform(ResourceTypes(), hosts, (100, 1024))
    return Scheduler(site, settings, make_policies(preemption="ar-preempts-everything"), 0)


def best_effort(number: int, duration: int = 1000, nodes: int = 1) -> LeaseSubmitted:
    return LeaseSubmitted(
        LeaseRequest(
            id=number,
            submitted=0,
            kind=Kind.BEST_EFFORT,
            nodes=(NodeSet(nodes, (100, 1024)),),
            duration=duration,
            preemptible=True,
        )
    )


def reservation(
    number: int, start: int, *, submitted: int = 0, duration: int = 50, nodes: int = 1
) -> LeaseSubmitted:
    return LeaseSubmitted(
        LeaseRequest(
            id=number,
            submitted=submitted,
            kind=Kind.AR,
            nodes=(NodeSet(nodes, (100, 1024)),),
            duration=duration,
            start=start,
        )
    )


def run(made: Scheduler, told: dict[int, list[Input]], until: int = 3000) -> list[Decision]:
    """Everything that is decided, ``told`` at these moments."""
    decisions: list[Decision] = []
    while True:
        due = min([m for m in (made.next_wakeup(), *told) if m is not None], default=until)
        if due >= until:
            return decisions
        decisions += made.handle(due, told.pop(due, [])).decisions
        made.check()


def spans(decisions: list[Decision], purpose: Purpose) -> list[tuple[int, int]]:
    return [
        (d.start, d.end)
        for d in decisions
        if isinstance(d, OperationEnded) and d.purpose is purpose
    ]


def begins(decisions: list[Decision], lease: int) -> list[int]:
    return [
        d.time
        for d in decisions
        if isinstance(d, OperationStarted) and d.lease_id == lease and d.purpose is Purpose.RUN
    ]


def test_suspensions_begin_earlier_on_a_host_that_is_slower() -> None:
    told: dict[int, list[Input]] = {
        0: [best_effort(1)],
        10: [HostRates(0, 32.0, 64.0)],
        20: [reservation(2, 200, submitted=20)],
    }
    decisions = run(scheduler(), told)
    assert spans(decisions, Purpose.SUSPEND) == [(168, 200)]
    assert spans(decisions, Purpose.RESUME) == [(250, 266)]
    assert begins(decisions, 2) == [200]


def test_what_is_planned_already_stays() -> None:
    told: dict[int, list[Input]] = {
        0: [best_effort(1)],
        10: [reservation(2, 200, submitted=10)],
        20: [HostRates(0, 32.0, 64.0)],
    }
    decisions = run(scheduler(), told)
    assert spans(decisions, Purpose.SUSPEND) == [(184, 200)]
    assert spans(decisions, Purpose.RESUME) == [(250, 266)], "that was planned later"


def test_none_is_the_rate_of_the_settings() -> None:
    told: dict[int, list[Input]] = {
        0: [best_effort(1), HostRates(0, None, 256.0)],
        10: [reservation(2, 200, submitted=10)],
    }
    decisions = run(scheduler(), told)
    assert spans(decisions, Purpose.SUSPEND) == [(184, 200)]
    assert spans(decisions, Purpose.RESUME) == [(250, 254)]


def test_what_was_learned_can_be_forgotten() -> None:
    told: dict[int, list[Input]] = {
        0: [best_effort(1), HostRates(0, 8.0, 8.0)],
        5: [HostRates(0)],
        10: [reservation(2, 200, submitted=10)],
    }
    made = scheduler()
    decisions = run(made, told)
    assert spans(decisions, Purpose.SUSPEND) == [(184, 200)]
    assert made.site_record().rates == ()


def test_a_change_is_said_once() -> None:
    made = scheduler()
    news = [HostRates(0, 32.0, None)]
    assert made.handle(5, news).decisions == [RatesChanged(5, 0, 32.0, None)]
    assert made.handle(6, news).decisions == []
    assert made.handle(7, [HostRates(0)]).decisions == [RatesChanged(7, 0, None, None)]


@pytest.mark.parametrize(
    ("exclusion", "suspend"), [(Exclusion.LOCAL, (136, 200)), (Exclusion.GLOBAL, (120, 200))]
)
def test_the_slowest_host_governs(exclusion: Exclusion, suspend: tuple[int, int]) -> None:
    settings = Settings(
        suspension=Suspension.ALL,
        suspend_rate_mb_s=64,
        exclusion=exclusion,
        scheduling_threshold_factor=0,
    )
    told: dict[int, list[Input]] = {
        0: [best_effort(1, nodes=2), HostRates(1, 16.0)],
        20: [reservation(2, 200, submitted=20, nodes=2)],
    }
    assert spans(run(scheduler(settings, 2), told), Purpose.SUSPEND) == [suspend]


def test_an_override_stays() -> None:
    settings = Settings(
        suspension=Suspension.ALL, override_suspend_seconds=5, override_resume_seconds=3
    )
    told: dict[int, list[Input]] = {
        0: [best_effort(1), HostRates(0, 1.0, 1.0)],
        10: [reservation(2, 200, submitted=10)],
    }
    decisions = run(scheduler(settings), told)
    assert spans(decisions, Purpose.SUSPEND) == [(195, 200)]
    assert spans(decisions, Purpose.RESUME) == [(250, 253)]


def test_where_there_is_no_time_to_save_it_starts_over() -> None:
    told: dict[int, list[Input]] = {
        0: [best_effort(1), HostRates(0, 4.0)],
        100: [reservation(2, 200, submitted=100)],
    }
    decisions = run(scheduler(), told)
    assert not spans(decisions, Purpose.SUSPEND)
    assert begins(decisions, 1) == [0, 250]


def test_a_hole_is_used_by_the_rates_of_its_host() -> None:
    """A hole of 60 s is too short to be saved in 64 s, and long enough for 16 s."""
    settings = Settings(suspension=Suspension.ALL, suspend_rate_mb_s=16)
    fast = scheduler(settings)
    slow = scheduler(settings)
    learned: list[Input] = [HostRates(0, 64.0, 64.0)]
    asked: list[Input] = [reservation(1, 60), best_effort(2)]
    with_rates = run(fast, {0: [*learned, *asked]})
    without = run(slow, {0: list(asked)})
    assert begins(with_rates, 2) == [0, 126]
    assert spans(with_rates, Purpose.SUSPEND) == [(44, 60)]
    assert begins(without, 2) == [110]


def test_a_lease_that_is_to_be_suspended_anyway_is_not_dropped_for_a_faster_host() -> None:
    """Save it by 95 rather than by 100: there is time, as its host is fast."""
    settings = Settings(
        suspension=Suspension.ALL, suspend_rate_mb_s=32, scheduling_threshold_factor=0
    )
    told: dict[int, list[Input]] = {
        0: [best_effort(2), reservation(1, 100)],
        10: [HostRates(0, 1024.0)],
        20: [reservation(3, 95, submitted=20, duration=5)],
    }
    decisions = run(scheduler(settings), told)
    assert spans(decisions, Purpose.SUSPEND)[0] == (68, 69)
    assert begins(decisions, 3) == [95]
    assert not [
        d
        for d in decisions
        if isinstance(d, StateChanged)
        and d.new is State.QUEUED
        and d.lease_id == 2
        and d.code == "preempted"
    ]


def test_a_restart_knows_them() -> None:
    made = scheduler()
    made.handle(0, [best_effort(1), HostRates(0, 32.0, 64.0)])
    site, records = made.site_record(), made.leases()
    assert site.rates == (RatesRecord(host=0, suspend_mb_s=32.0, resume_mb_s=64.0),)
    again = scheduler()
    again.restore(records, site)
    decisions = run(again, {20: [reservation(2, 200, submitted=20)]})
    assert spans(decisions, Purpose.SUSPEND) == [(168, 200)]
    assert spans(decisions, Purpose.RESUME) == [(250, 266)]
    assert again.site_record().rates == site.rates


def test_another_host_may_be_the_faster_one() -> None:
    """Resume what moves at the rate of where it goes."""
    settings = Settings(
        suspension=Suspension.ALL,
        migration=Migration.YES_NOTRANSFER,
        suspend_rate_mb_s=64,
        resume_rate_mb_s=64,
        scheduling_threshold_factor=0,
    )
    told: dict[int, list[Input]] = {
        0: [best_effort(1), HostRates(0, None, 8.0), HostRates(1, None, 128.0)],
        5: [reservation(2, 100, submitted=5, duration=500, nodes=2)],
        10: [reservation(3, 600, submitted=10, duration=500)],
    }
    decisions = run(scheduler(settings, 2), told)
    (resumed,) = spans(decisions, Purpose.RESUME)
    started = next(
        d for d in decisions if isinstance(d, OperationStarted) and d.purpose is Purpose.RESUME
    )
    assert (resumed[1] - resumed[0]) == {0: 128, 1: 8}[started.hosts[0]]
