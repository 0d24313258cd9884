"""Preemptible leases that leave for those who move for another lease, and others that stay."""

from __future__ import annotations

from played_leases import active_from, states

from haizea.core.model.events import LeaseSubmitted
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies


def asked(lease_id: int, cores: int, seconds: int, start: int | None = None) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=Kind.BEST_EFFORT if start is None else Kind.AR,
        nodes=(NodeSet(1, (100 * cores, 1024 * cores)),),
        duration=seconds,
        start=start,
        preemptible=start is None,
    )


def played(suspension: Suspension, first: int) -> tuple[Scheduler, dict[int, State]]:
    """Two hosts of 4 cores, one of 1; a job on a large and on the small one.

    From ``first`` on two ARs share the other large host. The last one has room there in the
    place of one of these, which has to be where the large job is then.
    """
    hosts = [Host(0, "h1", (400, 4096)), Host(1, "h2", (100, 1024)), Host(2, "h3", (400, 4096))]
    settings = Settings(suspension=suspension)
    policies = make_policies(preemption="ar-preempts-everything")
    scheduler = Scheduler(Site(ResourceTypes(), tuple(hosts)), settings, policies, 0)
    scheduler.handle(0, [LeaseSubmitted(asked(1, 4, 9000)), LeaseSubmitted(asked(2, 1, 9000))])
    end = first + 3000
    for request in (
        asked(3, 2, 1000, first),
        asked(4, 2, 3000, first),
        asked(5, 4, end - first - 1000, first + 1000),
    ):
        assert states(scheduler.handle(0, [LeaseSubmitted(request)]).decisions)[request.id] is (
            State.SCHEDULED
        )
    last = asked(6, 2, end - first - 500, first + 500)
    found = states(scheduler.handle(0, [LeaseSubmitted(last)]).decisions)
    scheduler.check()
    return scheduler, found


def test_a_job_leaves_as_soon_as_somebody_who_moved_comes() -> None:
    scheduler, found = played(Suspension.ALL, 2000)
    assert found[6] is State.SCHEDULED
    assert active_from(scheduler, 2000) == {3: 2000, 4: 2000}
    states_then = {lease.request.id: lease.state for lease in scheduler.leases()}
    assert states_then[1] is State.SUSPENDED_QUEUED
    assert states_then[2] is State.ACTIVE, "it is in nobody's way"
    active = active_from(scheduler, 3000)
    assert (active[6], active[5]) == (2500, 3000)


def test_a_job_that_cannot_be_saved_is_dropped_for_it() -> None:
    scheduler, found = played(Suspension.NONE, 2000)
    assert found[6] is State.SCHEDULED
    active = active_from(scheduler, 3000)
    assert (active[3], active[4], active[6], active[5]) == (2000, 2000, 2500, 3000)


def test_nobody_comes_before_a_job_can_be_saved() -> None:
    scheduler, found = played(Suspension.ALL, 10)
    assert found[6] is State.REJECTED
    assert active_from(scheduler, 10) == {3: 10, 4: 10}
