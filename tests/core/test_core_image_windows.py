"""Images and maintenance: nothing is sent to a host while it is in maintenance.

One host's image of 100 MB takes ten seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from drawn_windows import Step, asked_for, requests, steps
from effort import LOOKS, tries
from hypothesis import given
from hypothesis import strategies as st
from played_leases import lease, played
from played_windows import check_by_the_second, window

from haizea.core.model.events import (
    Decision,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceChanged,
    OperationDelayed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest
from haizea.core.model.maintenance import Leaving
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, ImageSettings, Settings, Suspension, Transfer
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

SITE_OF_4 = Site.uniform(ResourceTypes(), 4, (400, 4096))
UNICAST = ImageSettings(force_transfer_seconds=10)
AHEAD = ImageSettings(mechanism=Transfer.MULTICAST, force_transfer_seconds=10, ahead_mb=1000)


def scheduler(hosts: int, images: ImageSettings = UNICAST) -> Scheduler:
    site = Site.uniform(ResourceTypes(), hosts, (400, 4096))
    rules = Settings(images=images, backfilling=Backfilling.AGGRESSIVE)
    return Scheduler(site, rules, make_policies(preemption="no-preemption"), 0)


def with_image(request: LeaseRequest, name: str = "a") -> LeaseSubmitted:
    return LeaseSubmitted(replace(request, image=DiskImage(name, 100)))


def sent(decisions: Iterable[Decision], lease_id: int) -> list[tuple[int, tuple[int, ...]]]:
    return _started(decisions, lease_id, Purpose.TRANSFER)


def runs(decisions: Iterable[Decision], lease_id: int) -> list[tuple[int, tuple[int, ...]]]:
    return _started(decisions, lease_id, Purpose.RUN)


def _started(
    decisions: Iterable[Decision], lease_id: int, purpose: Purpose
) -> list[tuple[int, tuple[int, ...]]]:
    return [
        (d.time, d.hosts)
        for d in decisions
        if isinstance(d, OperationStarted) and (d.lease_id, d.purpose) == (lease_id, purpose)
    ]


def statuses(decisions: Iterable[Decision]) -> list[str]:
    return [d.status for d in decisions if isinstance(d, MaintenanceChanged)]


# --- leases that are asked for after a window -----------------------------------------------------


def test_an_image_comes_before_a_window_that_leaves_no_time_after_it() -> None:
    made = scheduler(1)
    made.handle(0, [MaintenanceAsked(window(50, 100))])
    made.handle(0, [with_image(lease(1, Kind.AR, 105))])
    decisions = played(made, 300)
    assert sent(decisions, 1) == [(40, (0,))]
    assert runs(decisions, 1) == [(105, (0,))]


def test_a_reservation_gets_a_host_to_which_its_image_can_come() -> None:
    made = scheduler(2)
    made.handle(0, [MaintenanceAsked(window(0, 100))])
    made.handle(0, [with_image(lease(1, Kind.AR, 105))])
    assert runs(played(made, 300), 1) == [(105, (1,))]


def test_a_reservation_is_refused_where_its_image_can_come_to_no_host_in_time() -> None:
    made = scheduler(1)
    made.handle(0, [MaintenanceAsked(window(0, 100))])
    request = with_image(lease(1, Kind.AR, 105)).request
    decisions = made.handle(0, [LeaseSubmitted(request)]).decisions
    assert [d.code for d in decisions if isinstance(d, StateChanged)][-1] == "image-late"
    nearest = made.offer(request)
    assert nearest is None or nearest >= 110


@pytest.mark.parametrize("kind", [Kind.BEST_EFFORT, Kind.DEADLINE, Kind.IMMEDIATE])
def test_a_lease_goes_where_its_image_can_come_sooner(kind: Kind) -> None:
    made = scheduler(2)
    made.handle(0, [MaintenanceAsked(window(5, 1000))])
    deadline = 5000 if kind is Kind.DEADLINE else None
    asked = with_image(lease(1, kind, duration=5, deadline=deadline))
    decisions = [*made.handle(0, [asked]).decisions, *played(made, 300)]
    assert sent(decisions, 1) == [(0, (1,))]
    assert runs(decisions, 1) == [(10, (1,))]


def test_images_are_sent_ahead_to_open_hosts_alone_and_to_others_afterwards() -> None:
    made = scheduler(2, AHEAD)
    made.handle(0, [MaintenanceAsked(window(5, 100))])
    decisions = list(made.handle(0, [with_image(lease(1, Kind.BEST_EFFORT, nodes=2))]).decisions)
    decisions += played(made, 400)
    assert sent(decisions, 1) == [(0, (1,)), (100, (0,))]
    assert runs(decisions, 1) == [(110, (0, 1))]


# --- windows that are asked for after leases ------------------------------------------------------


def test_an_image_comes_sooner_for_a_window() -> None:
    made = scheduler(1)
    made.handle(0, [with_image(lease(1, Kind.AR, 60))])
    assert statuses(made.handle(0, [MaintenanceAsked(window(45, 55))]).decisions) == ["planned"]
    decisions = played(made, 300)
    assert sent(decisions, 1) == [(35, (0,))]
    assert runs(decisions, 1) == [(60, (0,))]


def test_a_window_is_refused_if_an_image_can_come_at_no_other_time() -> None:
    made = scheduler(1)
    made.handle(0, [with_image(lease(1, Kind.AR, 60))])
    made.handle(40)
    asked = window(41, 55)
    assert made.impact(asked).refusal is not None
    turn = made.handle(40, [MaintenanceAsked(asked)])
    assert statuses(turn.decisions) == ["refused"]
    assert not turn.records
    assert sent(played(made, 300), 1) == [(50, (0,))]


def test_who_is_ended_for_want_of_images_gets_another_host() -> None:
    made = scheduler(2)
    made.handle(0, [with_image(lease(1, Kind.AR, 60))])
    asked = window(41, 55, leases=Leaving.END)
    made.handle(40)
    assert [(x.lease_id, x.stuck) for x in made.impact(asked).leases] == [(1, True)]
    made.handle(40, [MaintenanceAsked(asked)])
    decisions = played(made, 300)
    assert sent(decisions, 1) == [(50, (1,))]
    assert runs(decisions, 1) == [(60, (1,))]


def test_a_host_is_drained_once_the_images_are_there_that_were_to_come() -> None:
    made = scheduler(1)
    made.handle(0, [with_image(lease(1, Kind.AR, 60, duration=10))])
    asked = MaintenanceAsked(window(40, 55, leases=Leaving.STAY))
    decisions = [*made.handle(0, [asked]).decisions, *played(made, 300)]
    assert sent(decisions, 1) == [(50, (0,))]
    assert runs(decisions, 1) == [(60, (0,))]
    check_by_the_second(decisions)


def test_a_transfer_under_way_is_given_up_on_a_host_that_is_taken_now() -> None:
    made = scheduler(2)
    decisions = list(made.handle(0, [with_image(lease(1, Kind.BEST_EFFORT))]).decisions)
    assert sent(decisions, 1) == [(0, (0,))]
    decisions = list(made.handle(4, [MaintenanceAsked(window(4, 100))]).decisions)
    assert statuses(decisions)[0] == "planned"
    decisions += played(made, 300)
    assert sent(decisions, 1) == [(4, (1,))]
    assert runs(decisions, 1) == [(14, (1,))]


def test_an_image_that_comes_late_is_kept_out_of_a_window() -> None:
    made = scheduler(2)
    made.handle(0, [with_image(lease(1, Kind.IMMEDIATE, duration=5), "b")])
    made.handle(0, [with_image(lease(2, Kind.AR, 20, duration=5))])
    made.handle(0, [MaintenanceAsked(window(25, 60, (0, 1)))])
    made.handle(5, [OperationDelayed(1, Purpose.TRANSFER, 18)])
    decisions = played(made, 300)
    assert all(not 15 < start < 60 for start, _ in sent(decisions, 2))


# --- whole lives ----------------------------------------------------------------------------------


@st.composite
def with_images(draw: st.DrawFn, number: int, now: int) -> LeaseRequest:
    request = draw(requests(number, now, shortest=3, sizes=(200, 400)))
    return replace(request, image=draw(st.sampled_from([None, *map(image, "aab")])))


def image(name: str) -> DiskImage:
    return DiskImage(name, 100)


IMAGES = st.builds(
    ImageSettings,
    mechanism=st.sampled_from(Transfer),
    avoid_redundant=st.booleans(),
    cache_mb=st.sampled_from([0, 150, 1000]),
    force_transfer_seconds=st.sampled_from([3, 10, 30]),
    ahead_mb=st.sampled_from([0, 150, 1000]),
)

RULES = st.builds(
    Settings,
    backfilling=st.sampled_from(Backfilling),
    backfilling_reservations=st.just(2),
    suspension=st.sampled_from(Suspension),
    remapping_effort=st.sampled_from(LOOKS),
    images=IMAGES,
)


@pytest.mark.slow
@tries(200)
@given(
    steps(with_images, restarts=(False, False, True)),
    RULES,
    st.sampled_from(["no-preemption", "ar-preempts-everything"]),
)
def test_no_image_comes_to_a_host_in_maintenance(
    script: list[Step], rules: Settings, preemption: str
) -> None:
    policies = make_policies(preemption=preemption)
    made, now = Scheduler(SITE_OF_4, rules, policies, 0), 0
    decisions: list[Decision] = []
    for step in script:
        now += step.after
        decisions += played(made, now - 1)
        if isinstance(step.event, MaintenanceAsked):
            decisions += made.handle(now).decisions
            decisions += asked_for(made, now, step.event)
        else:
            decisions += made.handle(now, [step.event]).decisions
        made.check()
        if step.restarts:
            records, site = made.leases(), made.site_record()
            made = Scheduler(SITE_OF_4, rules, policies, now)
            made.restore(records, site)
            decisions += made.handle(now).decisions
            made.check()
    decisions += played(made, 10_000)
    check_by_the_second(decisions)
