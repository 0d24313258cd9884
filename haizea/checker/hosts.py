"""Hosts that come and go: nothing is held on one that is down; nothing new starts on one that
is down or drained."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from haizea.checker.history import History, Stretch
from haizea.checker.records import AR, DEADLINE, FOREVER, HostChange, Records, ReservationSet
from haizea.checker.violation import Rule, Violation

Periods = list[tuple[int, int]]


class HostTimes:
    """The times at which each host was down, and those at which it took nothing new."""

    def __init__(self, records: Records) -> None:
        self._records = records
        changes = records.host_changes
        self.down = {host: _periods(of, {"down"}) for host, of in changes.items()}
        self.closed = {host: _periods(of, {"down", "drained"}) for host, of in changes.items()}
        self._ever_down = any(self.down.values())

    def absent(self, host: int, time: int) -> bool:
        """Tell whether the host can take nothing new then, as far as the records tell.

        A host whose first change is to be up may have been added to the site then.
        """
        changes = self._records.host_changes.get(host)
        if not changes:
            return False
        new = changes[0].status == "up" and time < changes[0].time
        return new or _within(self.closed[host], time, time)

    def openings(self) -> Iterator[tuple[int, int, bool]]:
        """Moment, host, and whether it takes new leases from then on."""
        for host, changes in self._records.host_changes.items():
            if changes[0].status == "up":
                yield -1, host, False
                yield changes[0].time, host, True
            for start, end in self.closed[host]:
                yield start, host, False
                if end < FOREVER:
                    yield end, host, True

    def held_while_down(self, sets: Iterable[ReservationSet]) -> Iterator[Violation]:
        """Reservations on a host that is down."""
        if not self._ever_down:
            return
        for held in sets:
            for host in held.hosts:
                time = first_overlap(self.down.get(host, ()), held.start, held.end)
                if time is not None:
                    message = f"its {held.purpose} reservation goes on, though the host is down"
                    yield Violation(Rule.HOSTS, held.lease, host, time, message)

    def started_while_closed(self, history: History) -> Iterator[Violation]:
        """Stays that began on a host that was down or drained ever since they could be planned."""
        if not self.closed:
            return
        for stay in history.stretches:
            planned = self._planned(history, stay)
            for host in sorted(stay.use):
                # In the second in which a host closes, it may have been promised before that.
                periods = [(since + 1, until) for since, until in self.closed.get(host, [])]
                if stay.start < stay.end and _within(periods, planned, stay.start):
                    message = "it starts there, though the host takes nothing new"
                    yield Violation(Rule.HOSTS, history.lease.id, host, stay.start, message)

    def _planned(self, history: History, stay: Stretch) -> int:
        """The first moment at which its hosts may have been promised to the stay."""
        options = self._records.options
        if history.lease.kind in (AR, DEADLINE):
            return history.admitted
        at_once = options.reservations in (0, 1) and not options.images_managed
        if at_once and options.simulated_clock and not (stay.resumed and options.global_exclusion):
            return stay.start
        return history.waits_since(stay.start)


def _periods(changes: Iterable[HostChange], statuses: set[str]) -> Periods:
    """Return when the status was one of ``statuses``, in order; without moments of no duration."""
    periods: Periods = []
    since: int | None = None
    for change in changes:
        if change.status in statuses:
            since = change.time if since is None else since
        elif since is not None:
            if since < change.time:
                periods.append((since, change.time))
            since = None
    if since is not None:
        periods.append((since, FOREVER))
    return periods


def _within(periods: Periods, start: int, end: int) -> bool:
    """Tell whether one of ``periods`` has all moments from ``start`` to ``end``, both included."""
    at = bisect_right(periods, start, key=lambda p: p[0]) - 1
    return at >= 0 and end < periods[at][1]


def first_overlap(periods: Iterable[tuple[int, int]], since: int, until: int) -> int | None:
    """The first moment of a time that is in one of ``periods``, which are in order."""
    for start, end in periods:
        if since < end and start < until:
            return max(start, since)
    return None
