"""Room that was found is taken: who makes way, whose images come, what the plan is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from haizea.core.images.shipments import Shipment
from haizea.core.model.hosts import HostSet
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.placement.mapper import Hosts
from haizea.core.placement.plan import Lease, Plan
from haizea.core.placement.preemption import Preemption
from haizea.core.requests.promises import Promises
from haizea.core.schedule.interruptions import Interruptions
from haizea.core.schedule.schedule import Schedule


class Refusal(NamedTuple):
    """The reason for a rejection, and its kind (``code`` of :class:`StateChanged`)."""

    code: str
    reason: Reason


def no_time_by_deadline(lease: Lease, first: int) -> Refusal:
    """Refuse what is left of a lease, for which there is no time from ``first`` to its deadline."""
    deadline = lease.request.deadline
    assert deadline is not None, "it has a deadline"
    reason = because(
        Code.NO_TIME_BY_DEADLINE,
        nodes=lease.demand.count,
        seconds=lease.remaining,
        start=first,
        end=deadline,
    )
    return Refusal("no-room", reason)


class Granted(NamedTuple):
    """A change that can be: its way to be carried out, and from when to when the lease then runs.

    Both moments are ``None`` where they are not known: of a lease that waits.
    """

    carry_out: Callable[[], None]
    start: int | None = None
    end: int | None = None


class Taking:
    """Gives leases the hosts that were found for them."""

    def __init__(self, schedule: Schedule, promises: Promises) -> None:
        self._schedule = schedule
        self._promises = promises

    def take(
        self,
        lease: Lease,
        found: Preemption,
        start: int,
        shipment: Shipment | None,
        begin: int | None = None,
    ) -> None:
        """Have others make room, and commit the lease to its hosts from ``start`` on.

        Its VMs are started from ``begin`` on, where that comes before it.
        """
        schedule, begin = self._schedule, start if begin is None else begin
        interruptions = Interruptions(schedule)
        interruptions.lift(found.rests)
        for clearing in found.clearings:
            schedule.clear(clearing, because(Code.HOSTS_GO_TO_FROM, lease=lease.id, start=begin))
        schedule.holdings.move(found.moves, because(Code.HOSTS_GO_TO, lease=lease.id))
        plan = Plan(found.hosts, lease.demand.use(found.hosts), [])
        schedule.planner.prepare(lease, plan, begin, start)
        schedule.commit(lease, plan, shipment)
        interruptions.go_on(found.rests)

    def with_images(self, lease: Lease, found: Preemption, start: int) -> Shipment | Refusal | None:
        """Return how its images come to be there by ``start``, or why they cannot.

        Planned transfers follow who moves for it, unless it is refused.
        """
        self._promises.reroute(found.moves)
        shipment = self._images_by(lease, found.hosts, start)
        if isinstance(shipment, Refusal):
            self._promises.reroute(found.moves, back=True)
        return shipment

    def closed_before(self, lease: Lease, start: int) -> HostSet:
        """Hosts that take no images at some moment before a lease starts that needs some."""
        schedule = self._schedule
        if schedule.preparation is None or lease.request.image is None:
            return 0
        return schedule.preparation.closures.hosts(schedule.now, start)

    def _images_by(self, lease: Lease, hosts: Hosts, start: int) -> Shipment | Refusal | None:
        schedule, image = self._schedule, lease.request.image
        preparation = schedule.preparation
        if preparation is None or image is None:
            return None
        wanted = lease.demand.spread(hosts).hosts
        shipment = preparation.by(lease.id, image, wanted, schedule.now, start)
        if shipment is not None:
            return shipment
        reason = because(
            Code.IMAGE_TOO_LATE,
            image=image.name,
            size_mb=image.size_mb,
            count=wanted.bit_count(),
            start=start,
        )
        return Refusal("image-late", reason)
