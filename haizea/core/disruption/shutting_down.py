"""Leases whose VMs take otherwise to shut down than was planned, as was learned of others.

That is the last part of a lease's time on its hosts. So when it begins depends on it, and
nothing else: the lease keeps its hosts until then, and no other is concerned.
"""

from __future__ import annotations

from haizea.core.model.members import SHUTDOWN
from haizea.core.schedule.schedule import Schedule


class ShuttingDown:
    """Has leases shut down in time to be off their hosts when others have them."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def learn(self, lease_id: int, seconds: int) -> None:
        """Plan so much for shutting a lease's VMs down, unless they are being shut down."""
        lease = self._schedule.leases.get(lease_id)
        if lease is None or seconds == lease.shutdown_seconds:
            return
        under_way = lease.under_way
        if under_way is not None and under_way.purpose is SHUTDOWN:
            return
        self._schedule.book.plan_shutdown(lease, seconds)
        if lease.plan is not None:
            self._schedule.holdings.plan_shutdown(lease)

    def learn_leaving(self, lease_id: int, seconds: int) -> None:
        """From now on a lease's VMs take so long to make room for others without being saved.

        What is planned already stays.
        """
        lease = self._schedule.leases.get(lease_id)
        if lease is not None:
            self._schedule.book.know_leaving(lease, seconds)
