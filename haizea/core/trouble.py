"""When things go otherwise than planned: early ends, cancellations, failures, delays, hosts.

What can be repaired is: a best-effort lease starts over, an AR whose hosts are gone gets
others for the same time. What cannot fails, with the reason.
"""

from __future__ import annotations

from haizea.core.admission import Admission
from haizea.core.events import HostChanged, Purpose
from haizea.core.hosts import Host, HostSet, host_set
from haizea.core.lease import Kind
from haizea.core.lifecycle import State
from haizea.core.plan import Lease, Phase
from haizea.core.resources import FOREVER
from haizea.core.schedule import Schedule

#: How often a best-effort lease whose VMs failed starts over before it fails for good.
MOST_FAILURES = 3


class Trouble:
    """Changes a schedule to what really happened."""

    def __init__(self, schedule: Schedule, admission: Admission, hosts: list[Host]) -> None:
        self._schedule = schedule
        self._admission = admission
        self._hosts = hosts
        self._late: list[tuple[Lease, int]] = []

    # --- leases -----------------------------------------------------------------------

    def ended_early(self, lease_id: int) -> None:
        """The VMs of an active lease ended by themselves."""
        lease = self._schedule.leases.get(lease_id)
        if lease is not None and lease.state is State.ACTIVE:
            self._schedule.finish(
                lease, State.DONE, "ended before its duration was over", "early-end"
            )

    def cancelled(self, lease_id: int, reason: str) -> None:
        """Somebody who may does not want the lease any more."""
        lease = self._schedule.leases.get(lease_id)
        if lease is not None:
            self._schedule.finish(lease, State.CANCELLED, reason, "user")
            self._schedule.freed = True

    def failed(self, lease_id: int, purpose: Purpose, reason: str) -> None:
        """What was under way for a lease did not work."""
        lease = self._schedule.leases.get(lease_id)
        if lease is None:
            return
        if purpose is Purpose.TRANSFER:
            self._transfer_failed(lease, reason)
            return
        under_way = lease.under_way
        if under_way is None or under_way.purpose is not purpose:
            return
        if purpose is Purpose.MIGRATE:
            self._not_moved(lease, f"migrating failed: {reason}")
        elif purpose is Purpose.RUN:
            self._stopped(lease, reason)
        else:
            self._give_up(lease, f"{purpose} failed: {reason}")

    def _stopped(self, lease: Lease, reason: str) -> None:
        """An active lease does not run any more."""
        lease.failures += 1
        if lease.request.kind is Kind.BEST_EFFORT and lease.failures <= MOST_FAILURES:
            self._schedule.start_over(lease, reason, "failure")
        else:
            self._give_up(lease, reason)

    def _give_up(self, lease: Lease, reason: str) -> None:
        self._schedule.finish(lease, State.FAILED, reason, "failure")
        self._schedule.freed = True

    def _not_moved(self, lease: Lease, reason: str) -> None:
        """A migration failed: what is saved of the lease is where it was."""
        self._schedule.change(lease, State.SUSPENDED_SCHEDULED, reason, "failure")
        self._schedule.drop_plan(lease)
        self._schedule.enqueue(lease, reason, "failure")

    def _transfer_failed(self, lease: Lease, reason: str) -> None:
        """An image did not arrive: send it again, if there is time."""
        schedule = self._schedule
        if schedule.preparation is None or not schedule.preparation.pending(lease.id):
            return
        self._prepare_again(lease, f"image transfer failed: {reason}")

    def _prepare_again(self, lease: Lease, reason: str) -> None:
        """Plan a lease that has not started anew, images and all."""
        schedule = self._schedule
        schedule.forget_images(lease)
        lease.bound = None
        if lease.request.kind is Kind.BEST_EFFORT:
            if lease.plan is not None:
                schedule.back_to_queue(lease, reason, "failure")
            return
        self._move(lease, reason)

    def _move(self, lease: Lease, reason: str) -> None:
        """Give a lease that has not started other hosts for the same time, or let it fail."""
        schedule = self._schedule
        schedule.forget_images(lease)
        schedule.drop_plan(lease)
        refusal = self._admission.place_again(lease)
        if refusal is not None:
            self._give_up(lease, f"{reason}; {refusal.reason}")

    # --- delays -----------------------------------------------------------------------

    def delayed(self, lease_id: int, purpose: Purpose, end: int) -> None:
        """What is under way for a lease ends later than planned; all that follows shifts.

        To be told before the slot table lets that time pass, and :meth:`clear_ways` after.
        """
        lease = self._schedule.leases.get(lease_id)
        if lease is None:
            return
        if purpose is Purpose.TRANSFER:
            self._transfer_delayed(lease, end)
            return
        under_way, plan = lease.under_way, lease.plan
        if plan is None or under_way is None or under_way.purpose is not purpose:
            return
        late = end - under_way.end
        if late <= 0 or under_way.end >= FOREVER:
            return
        old_end = plan.end
        plan.phases = _shifted(plan.phases, lease.at, late)
        if self._schedule.planner.shares_files and purpose in {Purpose.SUSPEND, Purpose.RESUME}:
            self._schedule.channel.release(under_way.start, under_way.end)
            plan.exclusive = [i for i in plan.exclusive if i != (under_way.start, under_way.end)]
        self._schedule.table.change_end(lease.hold, plan.end)
        self._schedule.again(lease)
        if plan.end > old_end:
            self._late.append((lease, old_end))

    def clear_ways(self) -> None:
        """Take what has not started off the hosts that delayed leases need longer."""
        late, self._late = self._late, []
        for lease, old_end in late:
            if lease.plan is not None:
                self._clear_way(lease, old_end, lease.plan.end)

    def _clear_way(self, lease: Lease, start: int, end: int) -> None:
        """Take what has not started off the lease's hosts, now that it needs them longer."""
        table = self._schedule.table
        for host, _ in lease.hold.use:
            while min(table.least_free(host, start, end)) < 0:
                last = max(
                    (h for h in table.holds_on(host) if start <= h.start < end),
                    key=lambda h: (h.start, h.serial),
                )
                reason = f"{self._hosts[host].name} is still held by lease {lease.id}"
                self.displace(self._schedule.leases[last.owner], reason, 1 << host)

    def _transfer_delayed(self, lease: Lease, end: int) -> None:
        schedule = self._schedule
        preparation = schedule.preparation
        if preparation is None:
            return
        for transfer in list(preparation.transfers):
            if lease.id in transfer.waiting and transfer.begun and transfer.end < end:
                schedule.delay_transfer(transfer, end)
                break
        late = {i for t in preparation.transfers for i in t.waiting}
        for lease_id in sorted(late):
            other = schedule.leases[lease_id]
            arrival = preparation.arrival(lease_id)
            if other.plan is not None and other.plan.start < arrival:
                self._late_images(other, arrival)

    def _late_images(self, lease: Lease, arrival: int) -> None:
        reason = f"its image arrives at @{arrival} only"
        if lease.request.kind is Kind.BEST_EFFORT:
            self._schedule.back_to_queue(lease, reason, "failure")
        else:
            self._give_up(lease, reason)

    # --- hosts ------------------------------------------------------------------------

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

    def host_restored(self, host_id: int) -> None:
        """The host takes leases again."""
        self._schedule.table.shut &= ~(1 << host_id)
        self._schedule.freed = True
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
            if lease is not None and lease.plan is not None:
                self._lost_host(lease, host_id, f"{name}: {reason}")
        for lease in list(schedule.leases.values()):
            images_there = lease.bound is not None and not lease.saved and host_id in lease.bound
            if images_there and not lease.started:
                self._prepare_again(lease, f"{name}: {reason}")
        self._say(self._hosts[host_id], "down", reason)

    def _lost_host(self, lease: Lease, host_id: int, reason: str) -> None:
        if not lease.started:
            self.displace(lease, reason, keep_off=1 << host_id)
            return
        match lease.state:
            case State.ACTIVE:
                self._stopped(lease, reason)
            case State.MIGRATING:
                self._not_moved(lease, reason)
            case State.SUSPENDED_SCHEDULED:
                self._schedule.drop_plan(lease)
                self._schedule.enqueue(lease, reason, "failure")
            case _:
                self._give_up(lease, reason)

    def displace(self, lease: Lease, reason: str, keep_off: HostSet) -> None:
        """A lease that has not started cannot have its hosts: it waits, or gets others."""
        schedule = self._schedule
        if lease.request.kind is Kind.BEST_EFFORT:
            if lease.bound is not None and not lease.saved and host_set(lease.bound) & keep_off:
                self._prepare_again(lease, reason)
            else:
                schedule.back_to_queue(lease, reason, "failure")
            return
        table = schedule.table
        before = table.shut
        table.shut |= keep_off
        try:
            self._move(lease, reason)
        finally:
            table.shut = before

    def _say(self, host: Host, status: str, reason: str = "") -> None:
        self._schedule.out.append(HostChanged(self._schedule.now, host, status, reason))


def _shifted(phases: list[Phase], at: int, late: int) -> list[Phase]:
    """The phases with the one at ``at`` longer, and what follows later.

    Where a suspension follows, a run in between is cut short rather than shifted, as long
    as something is left of it: the suspension's end is what others count on.
    """
    result = phases[:at]
    phase = phases[at]
    result.append(Phase(phase.purpose, phase.start, phase.end + late))
    rest = phases[at + 1 :]
    shift = late
    for i, later in enumerate(rest):
        if (
            later.purpose is Purpose.RUN
            and i + 1 < len(rest)
            and rest[i + 1].purpose is Purpose.SUSPEND
            and later.end - later.start > shift
        ):
            result.append(Phase(later.purpose, later.start + shift, later.end))
            shift = 0
        else:
            end = later.end if later.end >= FOREVER else later.end + shift
            result.append(Phase(later.purpose, later.start + shift, end))
    return result
