"""Departures from the plan: early ends, cancellations, failures, hosts."""

from __future__ import annotations

from haizea.core.disruption.replanning import Repair
from haizea.core.model.events import Purpose
from haizea.core.model.hostrules import Allowed
from haizea.core.model.hosts import Host
from haizea.core.model.lifecycle import State
from haizea.core.model.members import (
    ACTIVE,
    BEST_EFFORT,
    DONE,
    FIRM,
    MIGRATE,
    PREPARE,
    RUN,
    SHUTDOWN,
    SUSPENDED_SCHEDULED,
)
from haizea.core.model.reasons import DRAINED, DURATION_OVER, ENDED_EARLY, Code, Reason, because
from haizea.core.model.resources import FOREVER
from haizea.core.placement.plan import Lease
from haizea.core.schedule.schedule import Schedule

#: How often a lease whose VMs failed starts over before it fails for good.
MOST_FAILURES = 3


class Trouble:
    """Changes a schedule to what really happened."""

    def __init__(self, schedule: Schedule, repair: Repair) -> None:
        self._schedule = schedule
        self._repair = repair

    # --- leases -----------------------------------------------------------------------

    def ended_early(self, lease_id: int) -> None:
        """The VMs of an active lease ended by themselves, or shut down sooner than was planned."""
        lease = self._schedule.leases.get(lease_id)
        if lease is None or lease.state is not ACTIVE:
            return
        under_way = lease.under_way
        if under_way is not None and under_way.purpose is SHUTDOWN:
            self._schedule.finish(lease, DONE, because(Code.SHUT_DOWN), "shut-down")
            return
        ran = 0 if lease.since is None else self._schedule.now - lease.since
        if ran >= lease.remaining:
            # It ended while nobody looked, and nobody knows when.
            self._schedule.finish(lease, DONE, DURATION_OVER, "duration-over")
            return
        self._schedule.finish(lease, DONE, ENDED_EARLY, "early-end")

    def cancelled(self, lease_id: int, reason: Reason) -> None:
        """Somebody who may does not want the lease any more."""
        lease = self._schedule.leases.get(lease_id)
        if lease is not None:
            self._schedule.finish(lease, State.CANCELLED, reason, "user")

    def failed(self, lease_id: int, purpose: Purpose, why: Reason, *, tried: bool = True) -> None:
        """Note that what was under way for a lease did not work, and why."""
        lease = self._schedule.leases.get(lease_id)
        if lease is None:
            return
        reason = because(Code.OPERATION_FAILED, purpose=purpose.value, cause=why)
        if purpose is Purpose.TRANSFER:
            self._transfer_failed(lease, reason)
            return
        under_way = lease.under_way
        if under_way is None or under_way.purpose is not purpose:
            return
        if purpose is MIGRATE:
            self._not_moved(lease, reason)
        elif purpose is RUN or purpose is PREPARE:
            self._stopped(lease, because(Code.RUN_FAILED, cause=why), counts=tried)
        else:
            self._repair.give_up(lease, reason)

    def never_ran(self, lease: Lease) -> None:
        """Note that the lease's VMs did not run in all of the time that its hosts were free."""
        under_way = lease.under_way
        if under_way is not None and under_way.purpose in (PREPARE, RUN):
            self._stopped(lease, because(Code.NEVER_RAN))

    def _stopped(self, lease: Lease, reason: Reason, *, counts: bool = True) -> None:
        """An active lease does not run any more, or one that is being prepared cannot."""
        failures = self._schedule.book.fail_again(lease) if counts else lease.failures
        if failures > MOST_FAILURES:
            self._repair.give_up(lease, reason)
        elif lease.request.kind is BEST_EFFORT:
            self._schedule.start_over(lease, reason, "failure")
        else:
            self._repair.restart(lease, reason)

    def _not_moved(self, lease: Lease, reason: Reason) -> None:
        """A migration failed: what is saved of the lease is where it was."""
        self._schedule.book.change(lease, SUSPENDED_SCHEDULED, reason, "failure")
        self._schedule.drop_plan(lease)
        self._schedule.book.enqueue(lease, reason, "failure")

    def _transfer_failed(self, lease: Lease, reason: Reason) -> None:
        """An image did not arrive, for whoever relied on it: send it again, if there is time."""
        schedule = self._schedule
        if schedule.preparation is None or not schedule.preparation.pending(lease.id):
            return
        for lease_id in [lease.id, *schedule.preparation.let_down(lease.id)]:
            self._repair.prepare_again(schedule.leases[lease_id], reason)

    # --- hosts ------------------------------------------------------------------------

    def allow(self, lease_id: int, hosts: Allowed) -> None:
        """Other hosts will do for a lease; one that has not started may have to move."""
        schedule, lease = self._schedule, self._schedule.leases.get(lease_id)
        if lease is None or lease.demand.where == hosts:
            return
        schedule.limit(lease, hosts)
        plan = lease.plan
        if plan is not None and not lease.started and not lease.demand.permits(plan.hosts):
            keep_off = ~lease.demand.allowed
            self._repair.displace(lease, because(Code.OTHER_HOSTS_ALLOWED), keep_off)

    def host_added(self, host: Host) -> None:
        """The site grows."""
        self._schedule.host_table.add(host)
        self._schedule.host_table.note(host.id, "up")
        for lease in self._schedule.waiting:
            self._schedule.say_whether_it_fits(lease)

    def host_drained(self, host_id: int, why: Reason) -> None:
        """The host takes nothing new."""
        self._schedule.host_table.shut(host_id)
        self._schedule.host_table.note(host_id, "drained", why)

    def leave_drained(self) -> None:
        """Plan what was promised drained hosts on others, if there are any now.

        What finds none stays, and may start there. To be called whenever something came free.
        """
        host_table = self._schedule.host_table
        if not host_table.statuses or not self._schedule.instant.freed:
            return
        reasons: dict[int, Reason] = {}
        for record in host_table.statuses.values():
            if record.status == "drained":
                name = host_table.name(record.host)
                reason = because(Code.HOST_DRAINED, host=name, cause=record.reason or DRAINED)
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
        schedule.host_table.open(host_id)
        for lease in self._promised(host_id):
            if lease.request.kind in FIRM and not lease.hold.hosts & schedule.table.shut:
                assert lease.plan is not None, "it is promised hosts"
                start = lease.plan.runs_from
                schedule.book.explain(lease, start, because(Code.START_EXPECTED, start=start))
        schedule.host_table.note(host_id, "up")

    def host_failed(self, host_id: int, why: Reason) -> None:
        """All that runs on the host is gone; what is planned there goes elsewhere."""
        schedule = self._schedule
        schedule.host_table.shut(host_id)
        name = schedule.host_table.name(host_id)
        reason = because(Code.HOST_FAILED, host=name, cause=why)
        hit = {hold.owner for hold in schedule.table.holds_on(host_id)}
        for lease_id in sorted(hit):
            lease = schedule.leases.get(lease_id)
            # One of those before it may have sent it elsewhere.
            if lease is not None and lease.plan is not None and lease.hold.hosts >> host_id & 1:
                self.lost_host(lease, host_id, reason)
            elif lease is not None:
                # What is left of it was to go on there.
                schedule.holdings.drop_rest(lease)
        for lease in list(schedule.leases.values()):
            if lease.started or lease.saved:
                continue
            images_there = lease.bound is not None and host_id in lease.bound
            if images_there or (lease.plan is None and self._is_coming(lease, host_id)):
                self._repair.prepare_again(lease, reason)
        schedule.host_table.note(host_id, "down", why)

    def _is_coming(self, lease: Lease, host_id: int) -> bool:
        """Tell whether an image is on its way to the host for a lease that waits."""
        preparation = self._schedule.preparation
        return preparation is not None and bool(preparation.coming(lease.id) >> host_id & 1)

    def lost_host(self, lease: Lease, host_id: int, reason: Reason) -> None:
        """A lease cannot have a host any more, from now on."""
        if not lease.started:
            self._repair.displace(lease, reason, keep_off=1 << host_id)
            return
        match lease.state:
            case State.ACTIVE if lease.under_way and lease.under_way.purpose is Purpose.SHUTDOWN:
                self._schedule.finish(lease, DONE, DURATION_OVER, "duration-over")
            case State.ACTIVE | State.PREPARING | State.READY:
                self._stopped(lease, reason)
            case State.MIGRATING:
                self._not_moved(lease, reason)
            case State.SUSPENDED_SCHEDULED:
                self._schedule.drop_plan(lease)
                self._schedule.book.enqueue(lease, reason, "failure")
            case _:
                self._repair.give_up(lease, reason)
