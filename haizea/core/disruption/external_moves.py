"""VMs of leases that others take to other hosts while they run: their reservations follow."""

from __future__ import annotations

from haizea.core.disruption.external_load import Others
from haizea.core.disruption.replanning import Repair
from haizea.core.model.allocation import Use
from haizea.core.model.events import OperationStarted
from haizea.core.model.hosts import Host
from haizea.core.model.members import ACTIVE, RUN
from haizea.core.model.resources import add, fits
from haizea.core.placement.mapper import Hosts
from haizea.core.placement.plan import Phase
from haizea.core.schedule.schedule import Schedule


class Moved:
    """Has what is held follow what runs."""

    def __init__(
        self, schedule: Schedule, repair: Repair, others: Others, hosts: list[Host]
    ) -> None:
        self._schedule = schedule
        self._repair = repair
        self._others = others
        self._hosts = hosts

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
        table = schedule.table
        table.withdraw(lease.hold)
        has_room = self._has_room(use)
        table.restore(lease.hold)
        if not has_room:
            return
        schedule.ended(lease, RUN)
        table.release(lease.hold)
        plan.hosts, plan.use = hosts, use
        plan.phases[lease.at] = Phase(RUN, schedule.now, under_way.end)
        lease.since = schedule.now
        plan.hold = table.reserve(schedule.now, plan.end, use, lease_id)
        schedule.out.append(OperationStarted(schedule.now, lease_id, RUN, under_way.end, hosts))
        schedule.touched[lease_id] = lease
        for host, _ in use:
            reason = f"others gave {self._hosts[host].name} to lease {lease.id}"
            self._repair.clear(lease, host, schedule.now, reason)
        # It may be where no lease would have been put.
        schedule.picky.add(lease_id)
        schedule.freed = True

    def _has_room(self, use: Use) -> bool:
        """Tell whether so much is free at present, but for what has not started and can go."""
        now = self._schedule.now
        for host, amount in use:
            self._others.make_way(host)
            free = self._schedule.table.free_now(host)
            for hold in self._repair.planned(host, now, now + 1):
                free = add(free, hold.amount(host))
            if not fits(amount, free):
                return False
        return True
