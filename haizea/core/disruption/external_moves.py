"""VMs of leases that others take to other hosts while they run: their reservations follow."""

from __future__ import annotations

from haizea.core.capacity.what_if import without
from haizea.core.disruption.external_load import Others
from haizea.core.disruption.replanning import Repair
from haizea.core.model.allocation import Use
from haizea.core.model.members import ACTIVE, RUN
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import add, fits
from haizea.core.placement.mapper import Hosts
from haizea.core.schedule.schedule import Schedule


class Moved:
    """Has what is held follow what runs."""

    def __init__(self, schedule: Schedule, repair: Repair, others: Others) -> None:
        self._schedule = schedule
        self._repair = repair
        self._others = others

    def follow(self, lease_id: int, hosts: Hosts) -> None:
        """The nodes of a lease run on these hosts now: its reservation is there from now on.

        What has not started there makes way, and others than leases use what there is beside
        it. Nothing changes where the lease does not run, or leases run that leave it no room.
        """
        schedule, lease = self._schedule, self._schedule.leases.get(lease_id)
        if lease is None or lease.plan is None or lease.state is not ACTIVE:
            return
        under_way, plan, use = lease.under_way, lease.plan, lease.demand.use(hosts)
        if under_way is None or under_way.purpose is not RUN or plan.hosts == hosts:
            return
        if plan.end <= schedule.now:
            return  # It is over in this moment.
        for host, _ in use:
            self._others.make_way(host)
        with without(schedule.table, lease.hold):
            has_room = self._has_room(use)
        if not has_room:
            return
        schedule.follow(lease, hosts)
        for host, _ in use:
            name = schedule.host_table.name(host)
            reason = because(Code.HOST_GIVEN_AWAY, host=name, lease=lease.id)
            self._repair.clear(lease, host, schedule.now, reason)

    def _has_room(self, use: Use) -> bool:
        """Tell whether so much is free at present, but for what has not started and can go."""
        now = self._schedule.now
        for host, amount in use:
            free = self._schedule.table.free_now(host)
            for hold in self._repair.movable(host, now, now + 1):
                free = add(free, hold.amount(host))
            if not fits(amount, free):
                return False
        return True
