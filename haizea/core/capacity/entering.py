"""Holds to come, entered into the future by the hosts that they touch and close."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.upcoming import Future
from haizea.core.model.hosts import HostSet, hosts_in
from haizea.core.model.resources import Capacity, fills


class Entering:
    """Enters holds of hosts of these capacities, which are shared, and takes them out again."""

    def __init__(self, future: Future, timelines: Timelines, capacities: list[Capacity]) -> None:
        self._future = future
        self._timelines = timelines
        self._capacities = capacities
        #: True while hosts are to be renewed afterwards.
        self._waits = False

    def enter(self, hold: Hold, uniform: Capacity | None) -> None:
        """The hold is to come; all hosts have the same capacity, or ``None``."""
        if hold.end > hold.start and not self._waits:
            closed = hold.closes(self._capacities, uniform)
            self._future.add(hold.start, hold.end, hold.hosts, closed)

    def leave(self, hold: Hold, now: int) -> None:
        """The hold is not to come any more; it is still listed on its hosts."""
        if hold.end <= hold.start or self._waits:
            return
        self._future.remove(hold.start, hold.end, hold.hosts)
        for host in hosts_in(hold.hosts & self._future.crowded):
            for other, start, end in self._timelines.beside(hold, host, now):
                closed = fills(other.amount(host), self._capacities[host]) << host
                self._future.add(start, end, 1 << host, closed)

    def check(self, holds: Iterable[Hold], uniform: Capacity | None) -> None:
        """Assert that these are all that were entered."""
        capacities = self._capacities
        self._future.check(
            [(h.start, h.end, h.hosts, h.closes(capacities, uniform)) for h in holds]
        )

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let holds leave and enter for nothing; :meth:`renew` their hosts before any question."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def renew(self, hosts: HostSet, now: int, span: tuple[int, int]) -> None:
        """Enter anew what is to come on these hosts within a span. O(their holds + slices there).

        Nothing changed outside of it.
        """
        touched: dict[int, HostSet] = {}
        closed: dict[int, HostSet] = {}
        crowded: HostSet = 0
        for host in hosts_in(hosts):
            bit, capacity = 1 << host, self._capacities[host]
            holds = [h for h in self._timelines.on(host) if h.start > now and h.end > h.start]
            holds.sort(key=lambda hold: hold.start)
            spans = _flip(touched, bit, holds, span)
            _flip(closed, bit, [h for h in holds if fills(h.amount(host), capacity)], span)
            crowded |= bit if spans < len(holds) else 0
        self._future.renew(hosts, touched, closed, crowded, span)


def _flip(
    changes: dict[int, HostSet], bit: HostSet, holds: Sequence[Hold], span: tuple[int, int]
) -> int:
    """Flip a bit where the first of some holds, in order, starts, and where the last one ends.

    Only what of it lies in the ``span``. Return how often it is set in all.
    """
    first, last = span
    spans: list[list[int]] = []
    for hold in holds:
        if spans and hold.start < spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], hold.end)
        else:
            spans.append([hold.start, hold.end])
    for start, end in spans:
        if start < last and end > first:
            for moment in (max(start, first), min(end, last)):
                changes[moment] = changes.get(moment, 0) ^ bit
    return len(spans)
