"""Images of leases that wait are sent ahead: to all hosts, before any are chosen."""

from __future__ import annotations

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.events import (
    Decision,
    HostFailed,
    HostRestored,
    Input,
    LeaseCancelled,
    LeaseEnded,
    LeaseSubmitted,
    OperationStarted,
    Purpose,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, ImageSettings, Settings, Suspension, Transfer
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

#: Every image has 100 MB and takes 10 s.
SECONDS = 10


def lease(
    lease_id: int,
    image: str = "a",
    *,
    nodes: int = 1,
    duration: int = 100,
    start: int | None = None,
    submitted: int = 0,
) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=submitted,
        kind=Kind.BEST_EFFORT if start is None else Kind.AR,
        nodes=(NodeSet(nodes, (100, 10)),),
        duration=duration,
        start=start,
        preemptible=start is None,
        image=DiskImage(image, 100),
    )


def scheduler(
    hosts: int = 2, *, ahead_mb: int = 1000, cache_mb: int = 0, shares: bool = True
) -> Scheduler:
    images = ImageSettings(
        mechanism=Transfer.MULTICAST,
        avoid_redundant=shares,
        cache_mb=cache_mb,
        force_transfer_seconds=SECONDS,
        ahead_mb=ahead_mb,
    )
    settings = Settings(
        backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL, images=images
    )
    policies = make_policies(preemption="ar-preempts-everything")
    site = Site.uniform(ResourceTypes(), hosts, (100, 1024))
    return Scheduler(site, settings, policies, 0)


def started(decisions: list[Decision], purpose: Purpose) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return which leases start to do it, when and where."""
    return [
        (d.lease_id, d.time, d.hosts)
        for d in decisions
        if isinstance(d, OperationStarted) and d.purpose is purpose
    ]


def played(made: Scheduler, until: int) -> list[Decision]:
    """All that is decided until then, nothing else happening."""
    decisions: list[Decision] = []
    while (moment := made.next_wakeup()) is not None and moment <= until:
        decisions += made.handle(moment).decisions
        made.check()
    return decisions


def test_a_lease_that_waits_starts_wherever_hosts_come_free() -> None:
    made = scheduler()
    made.handle(0, [LeaseSubmitted(lease(1)), LeaseSubmitted(lease(2))])
    assert len(started(played(made, 10), Purpose.RUN)) == 2
    sent = made.handle(20, [LeaseSubmitted(lease(3, "b"))]).decisions
    assert started(sent, Purpose.TRANSFER) == [(3, 20, (0, 1))]
    played(made, 30)
    ended_early = made.handle(40, [LeaseEnded(2)]).decisions
    assert started(ended_early, Purpose.RUN) == [(3, 40, (1,))]


def test_what_is_not_run_from_goes_when_the_lease_starts() -> None:
    made = scheduler()
    made.handle(0, [LeaseSubmitted(lease(1))])
    played(made, 10)
    assert [(c.host, c.image.name) for c in made.site_record().copies] == [(0, "a")]


def test_one_transfer_serves_all_that_wait_for_the_image() -> None:
    made = scheduler(hosts=1)
    decisions = made.handle(0, [LeaseSubmitted(lease(number)) for number in (1, 2, 3)]).decisions
    decisions += played(made, 400)
    assert {time for _, time, _ in started(decisions, Purpose.TRANSFER)} == {0}
    assert [time for _, time, _ in started(decisions, Purpose.RUN)] == [10, 110, 210]


def test_each_has_a_transfer_of_its_own_where_none_is_to_be_shared() -> None:
    made = scheduler(hosts=1, shares=False)
    decisions = made.handle(0, [LeaseSubmitted(lease(number)) for number in (1, 2, 3)]).decisions
    decisions += played(made, 400)
    assert [time for _, time, _ in started(decisions, Purpose.TRANSFER)] == [0, 10, 20]


def test_what_could_start_at_once_is_sent_before_what_is_first_in_line() -> None:
    made = scheduler(hosts=2)
    made.handle(0, [LeaseSubmitted(lease(1, nodes=1, duration=300))])
    played(made, 10)
    # The second has to wait for both hosts; the third fits beside the first, until then.
    news: list[Input] = [
        LeaseSubmitted(lease(2, "b", nodes=2)),
        LeaseSubmitted(lease(3, "c")),
        LeaseSubmitted(lease(4, "d", nodes=2)),
    ]
    decisions = made.handle(20, news).decisions + played(made, 60)
    assert [i for i, _, _ in started(decisions, Purpose.TRANSFER)] == [2, 3, 4]
    assert started(decisions, Purpose.RUN) == [(3, 40, (1,))]


def test_the_least_urgent_image_goes_for_one_that_could_be_used_at_once() -> None:
    # Room for what runs and one image beside it.
    made = scheduler(hosts=2, ahead_mb=300)
    made.handle(0, [LeaseSubmitted(lease(1, nodes=2, duration=500))])
    played(made, 10)
    waiting = [LeaseSubmitted(lease(n, f"image-{n}", nodes=2)) for n in (2, 3, 4)]
    decisions = made.handle(20, waiting).decisions + played(made, 100)
    assert [i for i, _, _ in started(decisions, Purpose.TRANSFER)] == [2, 3]
    kept = {i for copy in made.site_record().copies for i in copy.needed_by}
    assert kept == {1, 2, 3}
    # Who is first in the queue gets its image at any rate, in the place of the last.
    made.handle(110, [LeaseCancelled(2)])
    made.handle(120, [LeaseCancelled(3)])
    played(made, 140)
    kept = {i for copy in made.site_record().copies for i in copy.needed_by}
    assert kept == {1, 4}


@pytest.mark.parametrize("cache_mb", [0, 1000])
def test_a_lease_whose_image_is_larger_than_the_room_starts_all_the_same(cache_mb: int) -> None:
    made = scheduler(ahead_mb=50, cache_mb=cache_mb)
    decisions = made.handle(0, [LeaseSubmitted(lease(1)), LeaseSubmitted(lease(2, "b"))]).decisions
    decisions += played(made, 1000)
    assert [i for i, _, _ in started(decisions, Purpose.RUN)] == [1, 2]


def test_a_transfer_that_would_be_in_the_way_of_an_ar_waits() -> None:
    made = scheduler()
    made.handle(0, [LeaseSubmitted(lease(1, "ar", start=25, duration=5))])
    decisions = made.handle(8, [LeaseSubmitted(lease(2, submitted=8))]).decisions + played(made, 60)
    assert [(i, time) for i, time, _ in started(decisions, Purpose.TRANSFER)] == [(1, 15), (2, 25)]
    assert [(i, time) for i, time, _ in started(decisions, Purpose.RUN)] == [(1, 25), (2, 35)]


def test_a_transfer_to_a_host_that_fails_is_made_again() -> None:
    made = scheduler()
    made.handle(0, [LeaseSubmitted(lease(1))])
    decisions = made.handle(5, [HostFailed(0)]).decisions + played(made, 50)
    assert started(decisions, Purpose.TRANSFER) == [(1, 5, (1,))]
    assert started(decisions, Purpose.RUN) == [(1, 15, (1,))]


def test_a_restart_goes_on_with_what_is_on_its_way_and_what_is_there() -> None:
    made = scheduler()
    records = {}
    for now, news in ((0, [LeaseSubmitted(lease(1, nodes=2))]), (10, []), (15, [])):
        if now == 15:
            news = [LeaseSubmitted(lease(2, "b"))]
        records.update({record.id: record for record in made.handle(now, news).records})
    again = scheduler()
    again.restore(records.values(), made.site_record())
    decisions = again.handle(18).decisions + played(again, 200)
    assert started(decisions, Purpose.TRANSFER) == []
    assert [(i, time) for i, time, _ in started(decisions, Purpose.RUN)] == [(2, 110)]


WANTED = st.tuples(st.integers(1, 3), st.integers(1, 60), st.integers(0, 4), st.integers(0, 30))
TROUBLE = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=4)


@tries(60)
@given(st.lists(WANTED, min_size=1, max_size=10), TROUBLE, st.sampled_from([0, 250, 1000]))
def test_every_lease_starts_where_its_image_is(
    wanted: list[tuple[int, int, int, int]], trouble: list[tuple[int, bool]], cache_mb: int
) -> None:
    made = scheduler(3, ahead_mb=350, cache_mb=cache_mb)
    now, decisions = 0, list[Decision]()
    for number, (nodes, duration, which, seconds) in enumerate(wanted, 1):
        decisions += played(made, now)
        asked = lease(number, f"{which}", nodes=nodes, duration=duration, submitted=now)
        news: list[Input] = [LeaseSubmitted(asked)]
        if number <= len(trouble):
            host, fails = trouble[number - 1]
            news.append(HostFailed(host) if fails else HostRestored(host))
        decisions += made.handle(now, news).decisions
        for running in (record for record in made.leases() if record.state is State.ACTIVE):
            there = {c.host for c in made.site_record().copies if running.id in c.needed_by}
            assert running.plan is not None
            assert not there or there == set(running.plan.hosts), running.id
        made.check()
        now += seconds
    decisions += made.handle(now, [HostRestored(host) for host in range(3)]).decisions
    decisions += played(made, 100_000)
    assert made.waiting() == 0
    assert {i for i, _, _ in started(decisions, Purpose.RUN)} == set(range(1, len(wanted) + 1))
