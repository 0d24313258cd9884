"""Images sent ahead: what the link carries next, for leases that wait.

Where images are multicast, one transfer takes as long to all hosts as to a few. So the image
of a lease that waits goes to all of them, before its hosts are known or free, and the lease
starts on any. What goes next is decided whenever the link comes free: the image of the first
lease that could start at once if it had it, then those of others in the order of the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

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
        before: set[int] = set()
        for lease in self._by_urgency():
            image = lease.request.image
            if image is not None and self._lacks(lease):
                now = self._schedule.now
                if preparation.soonest_arrival(image, now) == now + preparation.seconds(image):
                    self._send(lease, image, before)
                return
            before.add(lease.id)

    # --- who has what ---------------------------------------------------------------------

    def _lacks(self, lease: Lease) -> bool:
        """Tell whether its image has to be sent to a host where the lease might run."""
        return bool(self._wanting(lease))

    def _wanting(self, lease: Lease) -> HostSet:
        """Hosts where the lease might run, and to which its image can be sent now."""
        image, store = lease.request.image, self._preparation.store
        if image is None or lease.saved:
            return 0
        there = store.kept_for(lease.id) | store.hosts_with(image)
        wanting = self._usable(lease) & ~there
        # Most leases that wait have their images everywhere: what takes longer comes after that.
        if not wanting or self._preparation.pending(lease.id):
            return 0
        return wanting & ~self._closed_to(image, self._schedule.now)

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
        without: list[tuple[DiskImage, Lease]] = []
        open_hosts = self._all_hosts() & ~self._schedule.table.shut
        for image, lease in self._with_image():
            there = store.kept_for(lease.id)
            if there:
                holders.setdefault(image.name, lease)
            if open_hosts & lease.demand.allowed & ~there:
                without.append((image, lease))
        for image, lease in without:
            if image.name in holders and self._lacks(lease):
                before = store.kept_for(lease.id)
                self._schedule.share_images(lease, holders[image.name])
                shared |= store.kept_for(lease.id) != before
        return shared

    def _with_image(self) -> list[tuple[DiskImage, Lease]]:
        """Leases that wait and start from an image, in the order of the queue."""
        return [
            (lease.request.image, lease)
            for lease in self._schedule.waiting.everyone()
            if lease.request.image is not None and not lease.saved
        ]

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

    def _send(self, lease: Lease, image: DiskImage, before: Set[int]) -> None:
        """Send a lease's image, if need be in the place of others that are less urgent.

        More urgent are those that come ``before`` it.
        """
        if not self._make_room(image, before):
            return
        hosts = self._wanting(lease)
        riders = {lease.id: hosts}
        if self._shares():
            for other in self._schedule.waiting:
                if other.request.image == image and self._lacks(other):
                    riders[other.id] = hosts
        send_ahead(self._schedule, image, riders)

    def _make_room(self, image: DiskImage, before: Set[int]) -> bool:
        """Drop images that were sent for leases less urgent; tell if there is room for this one.

        One more has to find room beside them: that of a lease that runs. The most urgent lease
        has its image at any rate.
        """
        store, shares = self._preparation.store, self._shares()
        held: dict[str, list[Lease]] = {}
        left_mb = self._preparation.settings.ahead_mb - 2 * image.size_mb
        for other_image, other in self._with_image():
            if store.kept_for(other.id):
                name = other_image.name if shares else f"{other_image.name} of {other.id}"
                if name not in held:
                    left_mb -= other_image.size_mb
                held.setdefault(name, []).append(other)
        if left_mb < 0:
            for dropped in self._less_urgent(held.values(), before):
                for other in dropped:
                    self._schedule.forget_images(other)
                freed = dropped[0].request.image
                left_mb += 0 if freed is None else freed.size_mb
                if left_mb >= 0:
                    break
        return left_mb >= 0 or not before

    def _less_urgent(self, held: Iterable[list[Lease]], before: Set[int]) -> list[list[Lease]]:
        """Return those who share images none of which is more urgent, the least urgent first."""
        others = [holders for holders in held if not any(x.id in before for x in holders)]
        if not others:
            return []
        rank = {x.id: i for i, x in reversed(list(enumerate(self._by_urgency())))}
        return sorted(others, key=lambda holders: min(rank[x.id] for x in holders), reverse=True)
