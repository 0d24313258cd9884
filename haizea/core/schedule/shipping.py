"""Transfers of images in the schedule: planned, begun, over, and who is told."""

from __future__ import annotations

from collections.abc import Sequence

from haizea.core.capacity.slottable import SlotTable
from haizea.core.images.shipments import ImageTransfer, Move, Shipment
from haizea.core.images.transfers import Preparation
from haizea.core.model.events import ImageStored, OperationEnded, OperationStarted, Purpose
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.lease import DiskImage, Kind
from haizea.core.model.members import PREPARING, READY, SCHEDULED
from haizea.core.model.reasons import Code, because, waits_for
from haizea.core.model.records import SiteRecord
from haizea.core.placement.plan import Lease
from haizea.core.schedule.agenda import END, START, Agenda
from haizea.core.schedule.instant import Instant
from haizea.core.schedule.lease_table import Book


class Shipping:
    """Has images sent as ``preparation`` has planned it."""

    def __init__(
        self,
        preparation: Preparation,
        book: Book,
        agenda: Agenda,
        instant: Instant,
        table: SlotTable,
    ) -> None:
        self._preparation = preparation
        self._book = book
        self._agenda = agenda
        self._instant = instant
        self._table = table

    # --- plans --------------------------------------------------------------------------

    def ship(self, lease: Lease, shipment: Shipment) -> None:
        """Apply the plan for the images of a lease that has a plan.

        A best-effort lease may be planned anew, but not where its images do not go.
        """
        assert lease.request.image is not None, "it has an image"
        assert lease.plan is not None, "it has a plan"
        for transfer in self._preparation.apply(lease.id, lease.request.image, shipment):
            self._agenda.add(transfer.start, START, transfer)
        if lease.request.kind is Kind.BEST_EFFORT:
            lease.bound = lease.plan.hosts
        self._say_stored()

    def send_ahead(self, image: DiskImage, riders: dict[int, HostSet]) -> None:
        """Send an image now, for leases that wait, to where each of them may start."""
        store = self._preparation.store
        for lease_id in riders:
            store.need(image, store.hosts_with(image), lease_id)
        transfer = self._preparation.at_once(image, riders, self._instant.now)
        self._agenda.add(transfer.start, START, transfer)

    def settle(self, lease: Lease, hosts: HostSet) -> None:
        """A lease that waited starts on ``hosts``, which have its image: it needs no others."""
        image, now = lease.request.image, self._instant.now
        if image is None:
            return
        store = self._preparation.store
        store.need(image, hosts & ~store.kept_for(lease.id), lease.id)
        store.done(image, lease.id, now, but=hosts)
        self._say_stored()

    def forget(self, lease: Lease) -> None:
        """The lease needs its images and their transfers no more."""
        image = lease.request.image
        if image is None:
            return
        withdrawal = self._preparation.withdraw(lease.id, self._instant.now)
        for transfer, hosts in withdrawal.left:
            self._say_ended(lease.id, transfer, hosts)
        for transfer, other, hosts in withdrawal.joined:
            self._say_started(other, transfer, hosts)
        self._preparation.store.done(image, lease.id, self._instant.now)
        self._say_stored()

    def restore(self, site: SiteRecord) -> None:
        """Go on with the copies there are, and the transfers that an earlier scheduler planned."""
        self._preparation.restore(site)
        for transfer in self._preparation.transfers:
            if transfer.begun:
                self._agenda.add(transfer.end, END, transfer)
            else:
                self._agenda.add(transfer.start, START, transfer)

    def retime(self, moves: Sequence[Move]) -> None:
        """Have transfers that have not begun come at other times."""
        for transfer in self._preparation.move(moves):
            self._agenda.add(transfer.start, START, transfer)

    # --- what is late -------------------------------------------------------------------

    def delay(self, transfer: ImageTransfer, end: int) -> None:
        """A transfer under way takes longer, and those behind it begin later."""
        for other in self._preparation.delay(transfer, end):
            self._agenda.add(other.start, START, other)
        self._agenda.add(transfer.end, END, transfer)

    def begin_late(self, transfer: ImageTransfer) -> None:
        """A transfer that should have begun begins as soon as it can; those behind it follow."""
        length = transfer.end - transfer.start
        begun = [t.end for t in self._preparation.transfers if t.begun]
        start = max([self._instant.now, *begun])
        for other in self._preparation.delay(transfer, start + length, start):
            self._agenda.add(other.start, START, other)
        self._agenda.add(start, START, transfer)

    # --- carrying out -------------------------------------------------------------------

    def begin(self, transfer: ImageTransfer) -> None:
        """Begin a transfer that is due."""
        transfer.begun = True
        self._agenda.add(transfer.end, END, transfer)
        for lease_id in transfer.waiting:
            lease = self._book.leases[lease_id]
            if lease.state is SCHEDULED and lease.plan is not None:
                reason = because(Code.IMAGE_ON_ITS_WAY, image=transfer.image.name)
                self._book.change(lease, PREPARING, reason)
        for lease_id, hosts in sorted(transfer.riders.items()):
            self._say_started(lease_id, transfer, hosts)

    def end(self, transfer: ImageTransfer) -> None:
        """A transfer is over; leases that waited for nothing else are ready."""
        preparation = self._preparation
        preparation.finish(transfer, self._instant.now)
        for lease_id, hosts in sorted(transfer.riders.items()):
            self._say_ended(lease_id, transfer, hosts)
        for lease_id in transfer.waiting:
            lease = self._book.leases[lease_id]
            if lease.state is PREPARING and not preparation.pending(lease_id):
                nowhere = lease.plan is None and lease.expected is None
                waits = waits_for(lease.demand.count) if nowhere else None
                self._book.change(lease, READY, waits)
        if preparation.settings.sends_ahead:
            # Leases may start where it is now, and the link is free for another.
            self._instant.freed = True
        self._say_stored()

    def _say_started(self, lease_id: int, transfer: ImageTransfer, hosts: HostSet) -> None:
        receivers = tuple(hosts_in(hosts))
        self._instant.say(
            OperationStarted(transfer.start, lease_id, Purpose.TRANSFER, transfer.end, receivers)
        )

    def _say_ended(self, lease_id: int, transfer: ImageTransfer, hosts: HostSet) -> None:
        nothing = (0,) * len(self._table.capacities[0])
        use = tuple([(host, nothing) for host in hosts_in(hosts)])
        now = self._instant.now
        start = min(transfer.start, now)
        self._instant.say(OperationEnded(lease_id, Purpose.TRANSFER, start, now, use))

    def _say_stored(self) -> None:
        now, say = self._instant.now, self._instant.say
        for host, used_mb in self._preparation.store.changes():
            say(ImageStored(now, host, used_mb))
