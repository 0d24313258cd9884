"""Departures from the plan: early ends, cancellations, failures, hosts."""

from __future__ import annotations

from haizea.core.disruption.replanning import Repair
from haizea.core.model.events import HostChanged, HostsLimited, Purpose, RatesChanged
from haizea.core.model.hostrules import Allowed, allowed_record
from haizea.core.model.hosts import Host
from haizea.core.model.lifecycle import State
from haizea.core.model.members import (
    ACTIVE,
    AR,
    BEST_EFFORT,
    DONE,
    MIGRATE,
    RUN,
    SUSPENDED_SCHEDULED,
)
from haizea.core.model.records import HostRecord, SiteRecord
from haizea.core.model.resources import FOREVER
from haizea.core.placement.durations import Rates
from haizea.core.placement.mapper import Demand
from haizea.core.placement.plan import Lease
from haizea.core.schedule.schedule import Schedule

#: How often a lease whose VMs failed starts over before it fails for good.
MOST_FAILURES = 3


class Trouble:
    """Changes a schedule to what really happened."""

    def __init__(self, schedule: Schedule, repair: Repair, hosts: list[Host]) -> None:
        self._schedule = schedule
        self._repair = repair
        self._hosts = hosts
        #: Hosts that are not simply up, by id.
        self.statuses: dict[int, HostRecord] = {}

    # --- leases -----------------------------------------------------------------------

    def ended_early(self, lease_id: int) -> None:
        """The VMs of an active lease ended by themselves, or shut down sooner than was planned."""
        lease = self._schedule.leases.get(lease_id)
        if lease is None or lease.state is not ACTIVE:
            return
        if lease.under_way is not None and lease.under_way.purpose is Purpose.SHUTDOWN:
            reason = "its duration is over, and its VMs have shut down"
            self._schedule.finish(lease, DONE, reason, "shut-down")
            return
        ran = 0 if lease.since is None else self._schedule.now - lease.since
        if ran >= lease.remaining:
            # It ended while nobody looked, and nobody knows when.
            self._schedule.finish(lease, DONE, "its duration is over", "duration-over")
            return
        reason = "ended before its duration was over"
        self._schedule.finish(lease, DONE, reason, "early-end")

    def cancelled(self, lease_id: int, reason: str) -> None:
        """Somebody who may does not want the lease any more."""
        lease = self._schedule.leases.get(lease_id)
        if lease is not None:
            self._schedule.finish(lease, State.CANCELLED, reason, "user")
            self._schedule.freed = True

    def failed(self, lease_id: int, purpose: Purpose, reason: str, *, tried: bool = True) -> None:
        """Note that what was under way for a lease did not work."""
        lease = self._schedule.leases.get(lease_id)
        if lease is None:
            return
        if purpose is Purpose.TRANSFER:
            self._transfer_failed(lease, reason)
            return
        under_way = lease.under_way
        if under_way is None or under_way.purpose is not purpose:
            return
        if purpose is MIGRATE:
            self._not_moved(lease, f"migrating failed: {reason}")
        elif purpose is RUN:
            self._stopped(lease, reason, counts=tried)
        else:
            self._repair.give_up(lease, f"{purpose} failed: {reason}")

    def _stopped(self, lease: Lease, reason: str, *, counts: bool = True) -> None:
        """An active lease does not run any more."""
        lease.failures += counts
        if lease.failures > MOST_FAILURES:
            self._repair.give_up(lease, reason)
        elif lease.request.kind is BEST_EFFORT:
            self._schedule.start_over(lease, reason, "failure")
        else:
            self._repair.restart(lease, reason)

    def _not_moved(self, lease: Lease, reason: str) -> None:
        """A migration failed: what is saved of the lease is where it was."""
        self._schedule.change(lease, SUSPENDED_SCHEDULED, reason, "failure")
        self._schedule.drop_plan(lease)
        self._schedule.enqueue(lease, reason, "failure")

    def _transfer_failed(self, lease: Lease, reason: str) -> None:
        """An image did not arrive, for whoever relied on it: send it again, if there is time."""
        schedule = self._schedule
        if schedule.preparation is None or not schedule.preparation.pending(lease.id):
            return
        for lease_id in [lease.id, *schedule.preparation.let_down(lease.id)]:
            self._repair.prepare_again(
                schedule.leases[lease_id], f"image transfer failed: {reason}"
            )

    # --- hosts ------------------------------------------------------------------------

    def allow(self, lease_id: int, hosts: Allowed) -> None:
        """Other hosts will do for a lease; one that has not started may have to move."""
        schedule, lease = self._schedule, self._schedule.leases.get(lease_id)
        if lease is None or lease.demand.where == hosts:
            return
        waits = lease in schedule.waiting
        if waits:
            schedule.waiting.discard(lease)
        lease.demand = Demand(lease.request, hosts)
        if waits:
            schedule.waiting.add(lease)
        lease.whole = False
        schedule.picky.add(lease_id)
        schedule.freed = True
        schedule.touched[lease_id] = lease
        schedule.out.append(HostsLimited(schedule.now, lease_id, allowed_record(hosts)))
        plan = lease.plan
        if plan is not None and not lease.started and not lease.demand.permits(plan.hosts):
            keep_off = ~lease.demand.allowed
            self._repair.displace(lease, "other hosts will do for it now", keep_off)

    def host_added(self, host: Host) -> None:
        """The site grows."""
        self._hosts.append(host)
        self._schedule.table.add_host(host)
        self._schedule.freed = True
        self._say(host, "up")

    def host_drained(self, host_id: int, reason: str) -> None:
        """The host takes nothing new."""
        self._schedule.table.shut |= 1 << host_id
        self._schedule.freed = True
        self._say(self._hosts[host_id], "drained", reason)

    def leave_drained(self) -> None:
        """Plan what was promised drained hosts on others, if there are any now.

        What finds none stays, and may start there. To be called whenever something came free.
        """
        if not self.statuses or not self._schedule.freed:
            return
        reasons: dict[int, str] = {}
        for record in self.statuses.values():
            if record.status == "drained":
                reason = f"{self._hosts[record.host].name} takes nothing new: {record.reason}"
                for lease in self._promised(record.host):
                    reasons.setdefault(lease.id, reason)
        for lease_id, reason in reasons.items():
            lease = self._schedule.leases[lease_id]
            # One of those before it may have taken its hosts, so that it waits.
            if lease.plan is not None:
                self._repair.leave(lease, reason)

    def _promised(self, host_id: int) -> list[Lease]:
        """The leases that are to start on a host, the first to start first."""
        holds = self._repair.planned(host_id, self._schedule.now, FOREVER)
        return [self._schedule.leases[hold.owner] for hold in holds]

    def host_restored(self, host_id: int) -> None:
        """The host takes leases again."""
        schedule = self._schedule
        schedule.table.shut &= ~(1 << host_id)
        schedule.freed = True
        for lease in self._promised(host_id):
            if lease.request.kind is AR and not lease.hold.hosts & schedule.table.shut:
                schedule.explain(lease, lease.hold.start, f"expected to start @{lease.hold.start}")
        self._say(self._hosts[host_id], "up")

    def host_failed(self, host_id: int, reason: str) -> None:
        """All that runs on the host is gone; what is planned there goes elsewhere."""
        schedule = self._schedule
        schedule.table.shut |= 1 << host_id
        schedule.freed = True
        name = self._hosts[host_id].name
        hit = {hold.owner for hold in schedule.table.holds_on(host_id)}
        for lease_id in sorted(hit):
            lease = schedule.leases.get(lease_id)
            # One of those before it may have sent it elsewhere.
            if lease is not None and lease.plan is not None and lease.hold.hosts >> host_id & 1:
                self._lost_host(lease, host_id, f"{name}: {reason}")
        for lease in list(schedule.leases.values()):
            images_there = lease.bound is not None and not lease.saved and host_id in lease.bound
            if images_there and not lease.started:
                self._repair.prepare_again(lease, f"{name}: {reason}")
        self._say(self._hosts[host_id], "down", reason)

    def _lost_host(self, lease: Lease, host_id: int, reason: str) -> None:
        if not lease.started:
            self._repair.displace(lease, reason, keep_off=1 << host_id)
            return
        match lease.state:
            case State.ACTIVE if lease.under_way and lease.under_way.purpose is Purpose.SHUTDOWN:
                self._schedule.finish(lease, DONE, "its duration is over", "duration-over")
            case State.ACTIVE:
                self._stopped(lease, reason)
            case State.MIGRATING:
                self._not_moved(lease, reason)
            case State.SUSPENDED_SCHEDULED:
                self._schedule.drop_plan(lease)
                self._schedule.enqueue(lease, reason, "failure")
            case _:
                self._repair.give_up(lease, reason)

    def rates_learned(self, host_id: int, rates: Rates) -> None:
        """Note the rates to plan with on the host from now on; existing plans there stay."""
        schedule, known = self._schedule, self._schedule.planner.rates
        if rates == known.get(host_id, Rates()):
            return
        if rates == Rates():
            del known[host_id]
        else:
            known[host_id] = rates
        schedule.freed = True
        schedule.out.append(RatesChanged(schedule.now, host_id, *rates))

    def restore(self, site: SiteRecord) -> None:
        """The hosts that are not simply up, and the rates that were learned."""
        for record in site.hosts:
            self.statuses[record.host] = record
            self._schedule.table.shut |= 1 << record.host
        for learned in site.rates:
            rates = Rates(learned.suspend_mb_s, learned.resume_mb_s)
            self._schedule.planner.rates[learned.host] = rates

    def _say(self, host: Host, status: str, reason: str = "") -> None:
        if status == "up":
            self.statuses.pop(host.id, None)
        else:
            self.statuses[host.id] = HostRecord(host=host.id, status=status, reason=reason)
        self._schedule.out.append(HostChanged(self._schedule.now, host, status, reason))
