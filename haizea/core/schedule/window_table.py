"""Maintenance windows that are not over, and what they hold of their hosts.

A window holds all that is free of its hosts over its time. Where somebody stays there, or
others than leases use something, that is taken as soon as it comes free.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.images.closures import Closures
from haizea.core.model.events import MaintenanceChanged, OperationEnded, OperationStarted
from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.maintenance import Maintenance, MaintenanceRecord
from haizea.core.model.members import OUTAGE
from haizea.core.model.reasons import Reason, stated
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.schedule.instant import Instant
from haizea.core.schedule.lease_table import Book

#: The owner of holds of maintenance.
MAINTENANCE = -3


class Window:
    """A window, and what it holds; ``partly``: somebody else has a part of it.

    It is ``in_force`` once it has begun in the form that it has now.
    """

    __slots__ = ("asked", "begun", "holds", "hosts", "in_force", "out", "partly")

    def __init__(self, asked: Maintenance) -> None:
        self.asked = asked
        self.hosts: HostSet = host_set(asked.hosts)
        self.begun = self.in_force = False
        self.holds: list[Hold] = []
        self.partly = True
        #: Since when each host that is empty has been out of use.
        self.out: dict[int, int] = {}

    @property
    def end(self) -> int:
        """The moment at which it is over."""
        return FOREVER if self.asked.end is None else self.asked.end


class WindowTable:
    """Windows by their ids, as the slot table has them."""

    def __init__(
        self, table: SlotTable, book: Book, instant: Instant, closures: Closures | None
    ) -> None:
        self._table = table
        self._closures = closures
        self._book = book
        self._instant = instant
        self.windows: dict[int, Window] = {}
        #: Whether what is held was given up for a moment, and what was shut for that.
        self._aside = False
        self._shut_aside: HostSet = 0

    # --- windows ------------------------------------------------------------------------

    def say(self, asked: Maintenance, status: str, reason: Reason | None = None) -> None:
        """Have everybody told what became of a window."""
        self._instant.say(MaintenanceChanged(self._instant.now, asked, status, reason))

    def plan(self, asked: Maintenance) -> Window:
        """Have a window in the place of what had its id; it holds nothing yet."""
        old = self.windows.get(asked.id)
        window = self.windows[asked.id] = Window(asked)
        if old is not None:
            self._release(old)
            stays = asked.start <= self._instant.now
            window.begun = old.begun and stays
            window.out = {h: t for h, t in old.out.items() if stays and window.hosts >> h & 1}
            self._give_back({h: t for h, t in old.out.items() if h not in window.out})
        self._note(asked)
        self._instant.freed = True
        self.say(asked, "planned", stated(asked.reason))
        return window

    def _note(self, asked: Maintenance) -> None:
        """Have leases and images that are placed from now on mind a window."""
        self._book.picky.add(MAINTENANCE)
        if self._closures is not None:
            self._closures.close(asked)

    def begin(self, window: Window) -> None:
        """The window's time has come; for one that had begun and was changed, once more."""
        if not window.begun:
            self.say(window.asked, "begun", stated(window.asked.reason))
        window.begun = window.in_force = True

    def take_out(self, window: Window, hosts: list[int]) -> None:
        """These hosts of a window that has begun are empty now."""
        now = self._instant.now
        for host in hosts:
            window.out[host] = now
        if hosts:
            self._instant.say(OperationStarted(now, 0, OUTAGE, window.end, tuple(hosts)))

    def take_back(self, window: Window, hosts: list[int]) -> None:
        """These hosts are not out of use, as they are to have leases yet."""
        self._give_back({host: window.out.pop(host) for host in hosts})

    def end(self, window: Window) -> None:
        """The window gives its hosts back."""
        self._release(window)
        self._give_back(window.out)
        del self.windows[window.asked.id]
        if self._closures is not None:
            self._closures.open(window.asked.id)
        if not self.windows:
            self._book.picky.discard(MAINTENANCE)
        self._instant.freed = True
        self.say(window.asked, "over")

    def _give_back(self, out: dict[int, int]) -> None:
        capacities, now = self._table.capacities, self._instant.now
        by_since: dict[int, list[int]] = {}
        for host, since in out.items():
            by_since.setdefault(since, []).append(host)
        for since, hosts in sorted(by_since.items()):
            use = tuple([(host, capacities[host]) for host in sorted(hosts)])
            self._instant.say(OperationEnded(0, OUTAGE, since, now, use))

    # --- holds --------------------------------------------------------------------------

    def step_aside(self) -> None:
        """Give up what is held until :meth:`settle`: what is real may need it.

        Nothing new is put there meanwhile.
        """
        self._aside = True
        for window in self.windows.values():
            self._release(window)
            window.partly = True
            closing = window.hosts & ~self._table.shut
            self._shut_aside |= closing
            self._table.close(closing)

    def settle(self) -> None:
        """Hold whatever came free of hosts in maintenance."""
        if not self._aside and not self._instant.freed:
            return
        if self._shut_aside:
            self._table.open(self._shut_aside)
        self._shut_aside, self._aside = 0, False
        for window in self.windows.values():
            if window.partly:
                self._release(window)
                self.take(window)

    def take(self, window: Window) -> None:
        """Hold all that is free of the window's hosts over its time."""
        start = max(window.asked.start, self._instant.now)
        spans: dict[tuple[int, int], list[tuple[int, Capacity]]] = {}
        window.partly = False
        for host in window.asked.hosts:
            for since, until in self._spans(host, start, window.end):
                free = self._table.least_free(host, since, until)
                window.partly |= free != self._table.capacities[host]
                if any(free):
                    spans.setdefault((since, until), []).append((host, free))
        for (since, until), use in sorted(spans.items()):
            window.holds.append(self._table.reserve(since, until, tuple(use), MAINTENANCE))

    def _spans(self, host: int, start: int, end: int) -> Iterable[tuple[int, int]]:
        """The parts of a time in which nothing changes on a host."""
        cuts = {start, end}
        for hold in self._table.holds_on(host):
            cuts |= {moment for moment in (hold.start, hold.end) if start < moment < end}
        return pairwise(sorted(cuts))

    def _release(self, window: Window) -> None:
        for hold in window.holds:
            self._table.release(hold)
        window.holds = []

    # --- going on -----------------------------------------------------------------------

    def records(self) -> tuple[MaintenanceRecord, ...]:
        """The windows that are not over, by id."""
        return tuple(
            MaintenanceRecord(window=w.asked, begun=w.begun, out=tuple(sorted(w.out.items())))
            for _, w in sorted(self.windows.items())
        )

    def restore(self, records: Iterable[MaintenanceRecord]) -> None:
        """Go on with windows; to be called when leases hold what they held."""
        for record in records:
            window = self.windows[record.window.id] = Window(record.window)
            window.begun = window.in_force = record.begun
            window.out = dict(record.out)
            self._note(record.window)
            self.take(window)
