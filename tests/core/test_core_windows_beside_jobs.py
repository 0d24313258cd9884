"""Leases with deadlines beside jobs that make room: for them, or for others that move for them."""

from __future__ import annotations

from played_leases import active_from, lease, states

from haizea.core.model.events import LeaseSubmitted
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

LATER = 4000


def one_large_host() -> Scheduler:
    hosts = Host(0, "h1", (400, 4096)), Host(1, "h2", (100, 1024))
    site = Site(ResourceTypes(), hosts)
    settings = Settings(backfilling=Backfilling.AGGRESSIVE, suspension=Suspension.ALL)
    return Scheduler(site, settings, make_policies(preemption="ar-preempts-everything"), 0)


def window(lease_id: int, after: int, deadline: int, seconds: int) -> LeaseRequest:
    return lease(lease_id, Kind.DEADLINE, after=after, deadline=deadline, duration=seconds, cpu=400)


def job(lease_id: int) -> LeaseRequest:
    return lease(lease_id, Kind.BEST_EFFORT, duration=1000, cpu=400, preemptible=True)


def asked(scheduler: Scheduler, *requests: LeaseRequest) -> dict[int, State]:
    """Ask for all of them now, one by one."""
    found: dict[int, State] = {}
    for request in requests:
        found.update(states(scheduler.handle(0, [LeaseSubmitted(request)]).decisions))
    scheduler.check()
    return found


def test_a_job_leaves_before_the_window_for_one_that_moves_ahead_of_it() -> None:
    scheduler = one_large_host()
    found = asked(scheduler, job(1), window(2, 0, 1700, 500), window(3, 1100, 1550, 400))
    assert found[3] is State.SCHEDULED
    began = active_from(scheduler, LATER)
    assert 0 < began[2] <= began[3] - 500, "once the job is saved"
    assert 1100 <= began[3] <= 1150
    assert not list(scheduler.leases()), "the job was done, too"


def test_what_a_waiting_job_is_kept_leaves_effort_for_doing_without() -> None:
    scheduler = one_large_host()
    found = asked(
        scheduler,
        lease(1, Kind.AR, 0, duration=1000, cpu=400),
        job(2),
        window(3, 1000, 2700, 400),
        window(4, 1900, 2500, 400),
    )
    assert found[4] is State.SCHEDULED, "where the job waits, the other has no other time"
    began = active_from(scheduler, LATER)
    assert 1000 <= began[3] <= 2300
    assert 1900 <= began[4] <= 2100
