"""Preparation: getting disk images to the hosts before a lease starts.

All images come over one link, one transfer at a time. An AR's transfers are planned as
late as they can be, earliest deadline first; those of other leases as soon as possible.
A plan is made first (:class:`Shipment`) and applied only if all else about it works out.
"""

from __future__ import annotations

from collections.abc import Sequence

from haizea.core.capacity.channel import Channel
from haizea.core.images.cache import ImageStore
from haizea.core.images.closures import Closures, Periods, earliest
from haizea.core.images.riders import by_hosts, by_lease, hand_on
from haizea.core.images.shipments import ImageTransfer, Move, Shipment, Withdrawal
from haizea.core.images.timing import Wanted, late_as_possible
from haizea.core.model.hosts import HostSet, host_set, hosts_in
from haizea.core.model.lease import DiskImage
from haizea.core.model.overheads import transfer_seconds
from haizea.core.model.records import SiteRecord, TransferRecord
from haizea.core.model.resources import FOREVER
from haizea.core.model.settings import ImageSettings, Transfer


class Preparation:
    """The link, the transfers that are planned or under way, and what is on the hosts."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = settings
        self.store = ImageStore(settings.cache_mb)
        self.transfers: list[ImageTransfer] = []
        self.closures = Closures()
        self._link = Channel()

    def seconds(self, image: DiskImage) -> int:
        """Return how long one transfer of the image takes."""
        if self.settings.force_transfer_seconds is not None:
            return self.settings.force_transfer_seconds
        return transfer_seconds(image.size_mb, self.settings.bandwidth_mbps)

    def at_hand(self, image: DiskImage) -> HostSet:
        """Hosts that have the image, or will soon have it by a transfer for other leases."""
        if not self.settings.cache_mb:
            return 0
        hosts = self.store.hosts_with(image)
        for transfer in self.transfers:
            if transfer.image == image and transfer.soon:
                hosts |= transfer.hosts
        return hosts

    def soon(
        self, lease_id: int, image: DiskImage, hosts: HostSet, now: int, start: int
    ) -> Shipment:
        """Get the image to ``hosts`` as soon as possible, for a lease that wants ``start``.

        It arrives after ``FOREVER`` if it never can, as hosts are closed.
        """
        seconds, closures = self.seconds(image), self.closures
        present, missing, arrival = self._present(image, hosts, now, soon=True)
        rides: list[tuple[ImageTransfer, HostSet]] = []
        if missing and (ride := self._ride(image, missing, now)) is not None:
            own = earliest(self._link, seconds, now, closures.periods(missing)) + seconds
            if ride.end <= own or ride.end <= start:
                rides.append((ride, missing))
                arrival, missing = max(arrival, ride.end), 0
        new: list[ImageTransfer] = []
        link = self._link.fork()
        for group in self._groups(missing):
            begin = earliest(link, seconds, now, closures.periods(group))
            end = begin + seconds
            link.reserve(begin, end)
            transfer = ImageTransfer(image, begin, end, max(start, end), movable=False)
            transfer.riders[lease_id] = group
            new.append(transfer)
            arrival = max(arrival, end)
        return Shipment(arrival, new, rides, [], present)

    def by(
        self, lease_id: int, image: DiskImage, hosts: HostSet, now: int, deadline: int
    ) -> Shipment | None:
        """Get the image to ``hosts`` by ``deadline``, as late as possible; ``None`` if in vain."""
        present, missing, arrival = self._present(image, hosts, now, soon=False)
        if arrival > deadline:
            missing |= present
            present, arrival = self.store.hosts_with(image) & hosts, now
            missing &= ~present
        rides: list[tuple[ImageTransfer, HostSet]] = []
        if missing and (ride := self._ride(image, missing, now, deadline)) is not None:
            rides.append((ride, missing))
            arrival, missing = max(arrival, ride.end), 0
        new = []
        for group in self._groups(missing):
            transfer = ImageTransfer(image, 0, 0, deadline, movable=True)
            transfer.riders[lease_id] = group
            new.append(transfer)
        moves = self._late_as_possible(new, now, repack=False)
        if moves is None:
            moves = self._late_as_possible(new, now, repack=True)
        if moves is None:
            return None
        return Shipment(deadline if new else arrival, new, rides, moves, present)

    def at_once(self, image: DiskImage, riders: dict[int, HostSet], now: int) -> ImageTransfer:
        """A multicast that begins now, when the link is free for it, for leases that wait."""
        end = now + self.seconds(image)
        transfer = ImageTransfer(image, now, end, end, movable=False)
        transfer.riders.update(riders)
        self._link.reserve(now, end)
        self.transfers.append(transfer)
        return transfer

    def soonest_arrival(self, image: DiskImage, now: int) -> int:
        """The moment at which the image can have come over the link."""
        seconds = self.seconds(image)
        return self._link.earliest(seconds, now) + seconds

    def apply(self, lease_id: int, image: DiskImage, shipment: Shipment) -> list[ImageTransfer]:
        """Carry a shipment's plan out; answers the transfers that are new or were moved."""
        moved = self.move(shipment.moves)
        for transfer in shipment.new:
            self._link.reserve(transfer.start, transfer.end)
            self.transfers.append(transfer)
        for transfer, hosts in shipment.rides:
            transfer.riders[lease_id] = transfer.riders.get(lease_id, 0) | hosts
            transfer.deadline = min(transfer.deadline, max(shipment.arrival, transfer.end))
        self.store.need(image, shipment.present, lease_id)
        # What is there already, or comes sooner, is not waited for once more.
        missing = shipment.present & ~self.store.hosts_with(image)
        for transfer in sorted(self.transfers, key=lambda t: t.end):
            coming = missing & transfer.hosts
            if transfer.image != image or not coming:
                continue
            if lease_id in transfer.riders:
                # It is on board, and nobody else's leaving may cost it a host.
                transfer.riders[lease_id] |= coming
            else:
                transfer.relying[lease_id] = coming
                transfer.deadline = min(transfer.deadline, max(shipment.arrival, transfer.end))
            missing &= ~coming
        return [*shipment.new, *moved]

    def move(self, moves: Sequence[Move]) -> list[ImageTransfer]:
        """Have transfers that have not begun come at other times; answers which."""
        for transfer, start, end in moves:
            self._link.release(transfer.start, transfer.end)
            transfer.start, transfer.end = start, end
            transfer.token += 1
        for _, start, end in moves:
            self._link.reserve(start, end)
        return [transfer for transfer, _, _ in moves]

    def finish(self, transfer: ImageTransfer, now: int) -> None:
        """A transfer is over: its image is where it went."""
        self.transfers.remove(transfer)
        for hosts, leases in by_hosts(transfer.riders):
            self.store.arrived(transfer.image, hosts, leases, now)
        for lease_id, hosts in sorted(transfer.relying.items()):
            self.store.need(transfer.image, hosts, lease_id)

    def pending(self, lease_id: int) -> bool:
        """Tell whether something for the lease is still to come."""
        return any(lease_id in t.riders or lease_id in t.relying for t in self.transfers)

    def comes_to(self, host: int, end: int) -> bool:
        """Tell whether something comes to a host before ``end``, or is on its way there."""
        return any(t.start < end and t.hosts >> host & 1 for t in self.transfers)

    def carrying(self, lease_id: int) -> list[ImageTransfer]:
        """The transfers that are planned or under way to hosts of a lease."""
        return [t for t in self.transfers if lease_id in t.riders]

    def coming(self, lease_id: int) -> HostSet:
        """Hosts to which something for the lease is still to come."""
        hosts = 0
        for transfer in self.transfers:
            hosts |= transfer.riders.get(lease_id, 0)
        return hosts

    def arrival(self, lease_id: int) -> int:
        """Return when the last thing that is still to come for the lease does; something is."""
        return max(t.end for t in self.transfers if lease_id in t.riders or lease_id in t.relying)

    def withdraw(self, lease_id: int, now: int) -> Withdrawal:
        """The lease needs no transfers any more; they go on for others that count on them."""
        result = Withdrawal([], [])
        for transfer in list(self.transfers):
            transfer.relying.pop(lease_id, None)
            hosts = transfer.riders.pop(lease_id, 0)
            if not hosts:
                continue
            if transfer.begun:
                result.left.append((transfer, hosts))
            for other, given in hand_on(transfer.riders, transfer.relying, hosts):
                if transfer.begun:
                    result.joined.append((transfer, other, given))
            if not transfer.riders:
                self.transfers.remove(transfer)
                transfer.token += 1
                self._link.release(transfer.start, transfer.end)
                if transfer.begun:
                    self._link.reserve(transfer.start, now)
        return result

    def let_down(self, lease_id: int) -> list[int]:
        """Note that what comes for a lease does not arrive; answers who relied on it, by id.

        They rely on it no more.
        """
        found: set[int] = set()
        for transfer in self.transfers:
            hosts = transfer.riders.get(lease_id, 0) if transfer.begun else 0
            found |= {other for other, wanted in transfer.relying.items() if wanted & hosts}
        for transfer in self.transfers:
            for other in found:
                transfer.relying.pop(other, None)
        return sorted(found)

    def delay(
        self, transfer: ImageTransfer, end: int, start: int | None = None
    ) -> list[ImageTransfer]:
        """A transfer takes longer, or begins at ``start`` only; answers those behind it.

        The link serves nothing else until ``end``; what was planned by then follows, in
        its order, begins later and may miss its deadline.
        """
        self._link.release(transfer.start, transfer.end)
        if start is not None:
            transfer.start = start
        transfer.end = end
        transfer.token += 1
        self._link.reserve(transfer.start, end)
        behind = sorted(
            (t for t in self.transfers if t is not transfer and not t.begun and t.start < end),
            key=lambda t: (t.start, t.deadline),
        )
        for other in behind:
            self._link.release(other.start, other.end)
        for other in behind:
            length = other.end - other.start
            other.start = self._link.earliest(length, end)
            other.end = other.start + length
            other.token += 1
            self._link.reserve(other.start, other.end)
        return behind

    def forget(self, now: int) -> None:
        """Drop what is over."""
        self._link.forget(now)

    def records(self) -> tuple[TransferRecord, ...]:
        """The transfers that are planned or under way, in the order in which they were made."""
        return tuple(
            TransferRecord(
                image=t.image,
                start=t.start,
                end=t.end,
                deadline=t.deadline,
                movable=t.movable,
                begun=t.begun,
                riders=by_lease(t.riders),
                relying=by_lease(t.relying),
            )
            for t in self.transfers
        )

    def restore(self, site: SiteRecord) -> None:
        """Go on with transfers and images as they were; there are none yet."""
        for copy in site.copies:
            self.store.restore(copy)
        for record in site.transfers:
            transfer = ImageTransfer(
                record.image, record.start, record.end, record.deadline, record.movable
            )
            transfer.begun = record.begun
            transfer.riders = {lease: host_set(hosts) for lease, hosts in record.riders}
            transfer.relying = {lease: host_set(hosts) for lease, hosts in record.relying}
            self._link.reserve(transfer.start, transfer.end)
            self.transfers.append(transfer)

    def check(self) -> None:
        """Assert that the link serves one at a time, and no cache is over its size."""
        self._link.check()
        self.store.check()

    # --- inside -----------------------------------------------------------------------

    def _present(
        self, image: DiskImage, hosts: HostSet, now: int, *, soon: bool
    ) -> tuple[HostSet, HostSet, int]:
        """Hosts that have the image or will have it anyway, the others, and when they all do.

        With ``soon``, what comes as late as an AR allows does not count.
        """
        present = self.store.hosts_with(image) & hosts
        arrival = now
        if self.settings.cache_mb:
            for transfer in self.transfers:
                coming = transfer.hosts & hosts & ~present
                if transfer.image == image and coming and (transfer.soon or not soon):
                    present |= coming
                    arrival = max(arrival, transfer.end)
        return present, hosts & ~present, arrival

    def _groups(self, hosts: HostSet) -> list[HostSet]:
        """The sets of hosts that one transfer each serves."""
        if not hosts:
            return []
        if self.settings.mechanism is Transfer.MULTICAST:
            return [hosts]
        return [1 << host for host in hosts_in(hosts)]

    def _ride(
        self, image: DiskImage, hosts: HostSet, now: int, deadline: int = FOREVER
    ) -> ImageTransfer | None:
        """The next multicast of the image that has not begun, if leases may join it to ``hosts``.

        It is over by ``deadline``.
        """
        if not self.settings.avoid_redundant or self.settings.mechanism is Transfer.UNICAST:
            return None
        waiting = [
            t
            for t in self.transfers
            if t.image == image and not t.begun and t.start >= now and t.end <= deadline
            if not hosts & self.closures.hosts(t.start, t.end)
        ]
        return min(waiting, key=lambda t: (t.end, t.start), default=None)

    def _late_as_possible(
        self, new: Sequence[ImageTransfer], now: int, *, repack: bool
    ) -> list[Move] | None:
        """Times for ``new``, and with ``repack`` new times for ARs' transfers not yet begun."""
        closures = self.closures
        wanted = [self._wanted(t, closures.periods(t.hosts)) for t in new]
        old = self.retimed([], now, closures, new=wanted, repack=repack)
        if old is None:
            return None
        for transfer, start, end in old:
            if transfer in new:
                transfer.start, transfer.end = start, end
        return [move for move in old if move[0] not in new]

    def retimed(
        self,
        again: Sequence[Wanted],
        now: int,
        closures: Closures,
        *,
        new: Sequence[Wanted] = (),
        repack: bool,
    ) -> list[Move] | None:
        """Other times for transfers that are planned and are to come ``again``; or ``None``.

        With ``repack``, ARs' transfers that have not begun may come at other times, too.
        """
        link = self._link.fork()
        taken = [wanted.transfer for wanted in again]
        others = [t for t in self.transfers if t.movable and not t.begun and t not in taken]
        old = [self._wanted(t, closures.periods_for(t)) for t in others] if repack else []
        old += again
        for transfer, *_ in old:
            link.release(transfer.start, transfer.end)
        moves = late_as_possible(link, [*old, *new], now)
        return None if moves is None else [m for m in moves if m[1:] != (m[0].start, m[0].end)]

    def _wanted(self, transfer: ImageTransfer, closed: Periods) -> Wanted:
        return Wanted(transfer, self.seconds(transfer.image), transfer.deadline, closed)
