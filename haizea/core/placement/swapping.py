"""Room on equal hosts that nodes take whole, found by counting over time.

Where enough hosts are free at every moment, though not the same ones throughout, hosts swap
what is planned on them over some interval: one that is taken at a moment gives what begins
there to another that is free just then. Such intervals never need more hosts than their
peak, so room is found wherever there is any, as long as all that begins later may be moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from haizea.core.model.hosts import HostSet, hosts_in, lowest
from haizea.core.model.resources import Capacity
from haizea.core.placement.canvas import Canvas, Unit
from haizea.core.placement.mapper import Hosts


class Swapping:
    """Frees hosts throughout ``[start, end)`` on a canvas of equal hosts.

    It is given up after so many exchanges, ``most``, if that is not ``None``.
    """

    def __init__(
        self, canvas: Canvas, size: Capacity, start: int, end: int, most: int | None
    ) -> None:
        self._canvas = canvas
        self._size = size
        self._start = start
        self._end = end
        self._touched: HostSet = 0
        #: Exchanges that it may still take.
        self.left = most

    def hosts(self, count: int, allowed: HostSet) -> Hosts | None:
        """Find so many hosts, free throughout; ``None`` if that is not possible."""
        table, start = self._canvas.table, self._start
        free = table.room(self._size, start, self._end, allowed)[0]
        chosen = lowest(free, count)
        missing = count - chosen.bit_count()
        if missing:
            others = table.room(self._size, start, start + 1, allowed)[0] & ~chosen
            if others.bit_count() < missing:
                return None
            for hosts in table.by_next_start(others, start):
                chosen |= lowest(hosts, missing)
                missing = count - chosen.bit_count()
                if not missing:
                    break
        conflicts = [(self._canvas.next_start(host, start), host) for host in hosts_in(chosen)]
        heapify(conflicts)
        while conflicts:
            moment, host = heappop(conflicts)
            if moment >= self._end:
                break
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    return None
            if not self._hand_over(host, moment, chosen):
                return None
            heappush(conflicts, (self._canvas.next_start(host, moment), host))
        return tuple(hosts_in(chosen))

    def _hand_over(self, host: int, moment: int, chosen: HostSet) -> bool:
        """Let another host have what begins on this one at ``moment``."""
        for partner in self._partners(moment, chosen):
            until = self._common_end(host, partner, moment)
            if until is not None:
                self._swap(host, partner, moment, until)
                return True
        return False

    def _partners(self, moment: int, chosen: HostSet) -> Iterator[int]:
        """Hosts that are free at the moment, those that stay so for longest first."""
        table, keep = self._canvas.table, ~chosen & ~self._touched
        yield from hosts_in(lowest(table.room(self._size, moment, self._end)[0] & keep, 1))
        free = table.room(self._size, moment, moment + 1)[0] & keep
        for hosts in table.by_next_start(free, moment):
            yield from hosts_in(hosts)
        for host in hosts_in(self._touched & ~chosen & ~table.shut):
            if not self._canvas.overlapping(host, moment, moment + 1):
                yield host

    def _common_end(self, host: int, partner: int, moment: int) -> int | None:
        """The first later moment at which nothing goes on on either host.

        ``None`` where something that begins before then may not be on the other host.
        """
        units = sorted(
            [u for h in (host, partner) for u in self._canvas.row(h) if u.end > moment],
            key=lambda u: u.start,
        )
        until = moment + 1
        for unit in units:
            if unit.start >= until:
                break
            other = partner if unit.host == host else host
            if not unit.nodes or not unit.allowed >> other & 1:
                return None
            until = max(until, unit.end)
        return until

    def _swap(self, host: int, partner: int, moment: int, until: int) -> None:
        """Return what is on either host in ``[moment, until)`` goes to the other one."""
        canvas = self._canvas
        here = canvas.overlapping(host, moment, until)
        there = canvas.overlapping(partner, moment, until)
        for unit in (*here, *there):
            canvas.take(unit)
        _put_all(canvas, here, partner)
        _put_all(canvas, there, host)
        self._touched |= 1 << host | 1 << partner


def _put_all(canvas: Canvas, units: list[Unit], host: int) -> None:
    for unit in units:
        canvas.put(unit, host)
