"""Images sent ahead: what the link carries next, for leases that wait.

Where images are multicast, one transfer takes as long to all hosts as to a few. So the image
of a lease that waits goes to all of them, before its hosts are known or free, and the lease
starts on any. What goes next is decided whenever the link comes free: the image of the first
lease that could start at once if it had it, then those of others in the order of the queue.
"""

from __future__ import annotations

from collections.abc import Iterator

from haizea.core.images.transfers import Preparation
from haizea.core.model.hosts import EVERYWHERE, HostSet
from haizea.core.model.lease import DiskImage
from haizea.core.placement.plan import Lease
from haizea.core.queue.fit_cache import Glance
from haizea.core.schedule.due import send_ahead
from haizea.core.schedule.schedule import Schedule


class Sending:
    """Sends images of leases that wait, and tells where these may start."""

    def __init__(self, schedule: Schedule, preparation: Preparation) -> None:
        self._schedule = schedule
        self._preparation = preparation

    def missing(self, lease: Lease) -> HostSet:
        """Hosts where the lease cannot start for want of its image; ``EVERYWHERE``: nowhere."""
        image = lease.request.image
        if image is None or lease.saved:
            return 0
        if self._preparation.pending(lease.id):
            return EVERYWHERE
        store = self._preparation.store
        there = store.kept_for(lease.id) | store.hosts_with(image)
        return self._all_hosts() & ~there if there else EVERYWHERE

    def arrival(self, lease: Lease) -> int:
        """Return when the lease may start, as far as its image is concerned."""
        now, image, preparation = self._schedule.now, lease.request.image, self._preparation
        if preparation.pending(lease.id):
            return preparation.arrival(lease.id)
        usable, missing = self._usable(lease), self.missing(lease)
        if image is None or (usable & ~missing).bit_count() >= lease.demand.count:
            return now
        arrival = preparation.soonest_arrival(image, now)
        for begin in [arrival - preparation.seconds(image), *preparation.closures.ends()]:
            open_then = usable & ~(missing & self._closed_to(image, begin))
            if open_then.bit_count() >= lease.demand.count:
                return max(arrival, begin + preparation.seconds(image))
        return arrival

    def look(self) -> None:
        """Send an image, if the link is free and some lease that waits has none. O(waiting)."""
        preparation = self._preparation
        if any(transfer.begun for transfer in preparation.transfers):
            return
        for lease in self._by_urgency():
            image = lease.request.image
            if image is not None and self._lacks(lease):
                now = self._schedule.now
                if preparation.soonest_arrival(image, now) == now + preparation.seconds(image):
                    self._send(lease, image)
                return

    # --- who has what ---------------------------------------------------------------------

    def _lacks(self, lease: Lease) -> bool:
        """Tell whether its image has to be sent to a host where the lease might run."""
        if self._preparation.pending(lease.id):
            return False
        return bool(self._wanting(lease))

    def _wanting(self, lease: Lease) -> HostSet:
        """Hosts where the lease might run, and to which its image can be sent now."""
        image, wanting = lease.request.image, self.missing(lease) & self._usable(lease)
        if image is not None and wanting:
            wanting &= ~self._closed_to(image, self._schedule.now)
        return wanting

    def _closed_to(self, image: DiskImage, begin: int) -> HostSet:
        """Hosts to which an image cannot be sent then."""
        preparation = self._preparation
        return preparation.closures.hosts(begin, begin + preparation.seconds(image))

    def _usable(self, lease: Lease) -> HostSet:
        return self._all_hosts() & lease.demand.allowed & ~self._schedule.table.shut

    def _all_hosts(self) -> HostSet:
        return (1 << len(self._schedule.table.capacities)) - 1

    def _shares(self) -> bool:
        settings = self._preparation.settings
        return settings.avoid_redundant or settings.cache_mb > 0

    def share(self) -> bool:
        """Let leases that came later use what stays on hosts for others that wait.

        Tell whether any does: it may start at once then. O(waiting).
        """
        if not self._shares():
            return False
        shared, store = False, self._preparation.store
        holders: dict[str, Lease] = {}
        for image, lease in self._holding():
            holders.setdefault(image.name, lease)
        for lease in self._schedule.waiting if holders else ():
            wanted = lease.request.image
            if wanted is not None and wanted.name in holders and self._lacks(lease):
                before = store.kept_for(lease.id)
                self._schedule.share_images(lease, holders[wanted.name])
                shared |= store.kept_for(lease.id) != before
        return shared

    def _holding(self) -> Iterator[tuple[DiskImage, Lease]]:
        """Leases that wait and for which images were sent ahead, in the order of the queue."""
        store = self._preparation.store
        for lease in self._schedule.waiting:
            image = lease.request.image
            if image is not None and not lease.saved and store.kept_for(lease.id):
                yield image, lease

    # --- what goes next -------------------------------------------------------------------

    def _by_urgency(self) -> Iterator[Lease]:
        """Leases that wait: those that may start at once, then all, in the queue's order."""
        schedule = self._schedule
        claim = schedule.claim
        if claim is not None:
            holder = schedule.leases[claim.lease_id]
            yield holder
            glance = Glance(schedule.table, claim)
            length = claim.start - schedule.now
            yield from schedule.waiting.behind(holder.key, glance.free, glance.spare, length)
        yield from schedule.waiting

    def _send(self, lease: Lease, image: DiskImage) -> None:
        """Send a lease's image, if need be in the place of others that are less urgent."""
        if not self._make_room(lease, image):
            return
        hosts = self._wanting(lease)
        riders = {lease.id: hosts}
        if self._shares():
            for other in self._schedule.waiting:
                if other.request.image == image and self._lacks(other):
                    riders[other.id] = hosts
        send_ahead(self._schedule, image, riders)

    def _make_room(self, lease: Lease, image: DiskImage) -> bool:
        """Drop images that were sent for leases less urgent; tell if there is room for this one.

        One more has to find room beside them: that of a lease that runs.
        """
        held: dict[str, list[Lease]] = {}
        left_mb = self._preparation.settings.ahead_mb - 2 * image.size_mb
        for other_image, other in self._holding():
            name = other_image.name if self._shares() else f"{other_image.name} of {other.id}"
            if name not in held:
                left_mb -= other_image.size_mb
            held.setdefault(name, []).append(other)
        order = list(self._by_urgency())
        rank = {other.id: i for i, other in reversed(list(enumerate(order)))}
        while left_mb < 0 and held:
            name = max(held, key=lambda n: min(rank[other.id] for other in held[n]))
            dropped = held.pop(name)
            if min(rank[other.id] for other in dropped) < rank[lease.id]:
                break
            for other in dropped:
                self._schedule.forget_images(other)
            freed = dropped[0].request.image
            left_mb += 0 if freed is None else freed.size_mb
        return left_mb >= 0 or rank[lease.id] == 0
