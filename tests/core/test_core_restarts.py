"""A scheduler made from what was kept of another one decides as that would have."""

from __future__ import annotations

import pytest
from played_leases import lease, on_hosts, played

from haizea.core.model.events import LeaseSubmitted
from haizea.core.model.lease import Kind
from haizea.core.scheduler import Scheduler
from haizea.store.codec import read_lease, read_site, write_lease, write_site


def made_again(made: Scheduler, hosts: int, now: int) -> Scheduler:
    """A scheduler that has nothing but what was kept of another one."""
    records = [read_lease(write_lease(record)) for record in made.leases()]
    again = on_hosts(hosts, "ar-preempts-everything", now=now)
    again.restore(records, read_site(write_site(made.site_record())))
    again.check()
    return again


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)], ids=["by id", "not by id"])
def test_what_starts_and_ends_together_does_so_in_the_same_order(order: tuple[int, ...]) -> None:
    made = on_hosts(3, "ar-preempts-everything")
    made.handle(0, [LeaseSubmitted(lease(i, Kind.AR, start=50)) for i in order])
    again = made_again(made, 3, now=10)
    assert played(again, 1000) == played(made, 1000)
