"""Times in which hosts take no images, as they are in maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from haizea.core.capacity.channel import Channel
from haizea.core.images.shipments import ImageTransfer
from haizea.core.model.hosts import HostSet
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.core.model.resources import FOREVER

#: Intervals ``[start, end)``, which may overlap.
Periods = Sequence[tuple[int, int]]


class Closed(NamedTuple):
    """Hosts that take no images over a time; ``lenient``: but those that were planned before."""

    hosts: HostSet
    start: int
    end: int
    lenient: bool

    def overlaps(self, start: int, end: int) -> bool:
        """Tell whether some of ``[start, end)`` is within its time."""
        return self.start < end and self.end > start


class Closures:
    """The windows of maintenance, as transfers have to mind them. Questions are O(windows)."""

    __slots__ = ("_closed",)

    def __init__(self) -> None:
        self._closed: dict[int, Closed] = {}

    def close(self, window: Maintenance) -> None:
        """Mind a window, in the place of what had its id."""
        end = FOREVER if window.end is None else window.end
        hosts = sum(1 << host for host in window.hosts)
        lenient = window.leases is Leaving.STAY
        self._closed[window.id] = Closed(hosts, window.start, end, lenient)

    def open(self, window_id: int) -> None:
        """Mind a window no more."""
        del self._closed[window_id]

    def with_window(self, window: Maintenance) -> Closures:
        """Return them as they would be with a window, in the place of what has its id."""
        twin = Closures()
        twin._closed = self._closed.copy()
        twin.close(window)
        return twin

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._closed)

    def hosts(self, start: int, end: int) -> HostSet:
        """Hosts that are closed at some moment of ``[start, end)``."""
        found = 0
        for closed in self._closed.values():
            if closed.overlaps(start, end):
                found |= closed.hosts
        return found

    def ends(self) -> list[int]:
        """The moments at which hosts open again, in order."""
        return sorted({closed.end for closed in self._closed.values() if closed.end < FOREVER})

    def periods(self, hosts: HostSet) -> Periods:
        """Return when some of ``hosts`` take no image that is not planned yet."""
        return [(c.start, c.end) for c in self._closed.values() if c.hosts & hosts]

    def periods_for(self, transfer: ImageTransfer, hosts: HostSet | None = None) -> Periods:
        """Return when a transfer that is planned cannot be, or could not be to ``hosts``."""
        hosts = transfer.hosts if hosts is None else hosts
        return [
            (c.start, c.end)
            for c in self._closed.values()
            if c.hosts & hosts
            if not (c.lenient and c.overlaps(transfer.start, transfer.end))
        ]

    def forbidden(self, transfer: ImageTransfer) -> HostSet:
        """Hosts to which a transfer may not go when it does, though it is planned already."""
        found = 0
        for closed in self._closed.values():
            if not closed.lenient and closed.overlaps(transfer.start, transfer.end):
                found |= closed.hosts
        return found

    def bar(self, transfer: ImageTransfer, since: int) -> bool:
        """Tell whether hosts may come to be had at ``since`` that are closed to a transfer."""
        return any(
            c.end <= since and c.overlaps(transfer.start, transfer.end)
            for c in self._closed.values()
        )


def earliest(link: Channel, length: int, start: int, closed: Periods) -> int:
    """The first moment from ``start`` on from which the link is free for ``length``.

    No ``closed`` period overlaps that time; ``FOREVER`` or more if there is no such moment.
    """
    moment = link.earliest(length, start)
    while later := [end for since, end in closed if since < moment + length and end > moment]:
        moment = link.earliest(length, max(later))
    return moment


def latest(link: Channel, length: int, end: int, not_before: int, closed: Periods) -> int | None:
    """The last moment from which the link is free for ``length``, over by ``end``.

    No ``closed`` period overlaps that time. ``None`` if there is no such moment from
    ``not_before`` on.
    """
    moment = link.latest(length, end, not_before)
    while moment is not None:
        sooner = [since for since, to in closed if since < moment + length and to > moment]
        if not sooner:
            return moment
        moment = link.latest(length, min(sooner), not_before)
    return None
