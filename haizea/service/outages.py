"""Hosts that were, are and will be out of use, and why: failed, drained, or in maintenance."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from haizea.core.model.events import Decision, HostChanged, MaintenanceChanged
from haizea.core.model.maintenance import Maintenance, MaintenanceRecord
from haizea.core.model.reasons import stated
from haizea.core.model.records import SiteRecord
from haizea.service_types import Outage

#: So many that are over are remembered, the last ones.
_MOST_OVER = 10_000
#: What began before everything that is kept began at this moment, as far as is known.
_LONG_AGO = 0


class Outages:
    """Times in which hosts are out of use; the loop's thread writes, any thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over: deque[Outage] = deque(maxlen=_MOST_OVER)
        self._hosts: dict[int, Outage] = {}
        self._windows: dict[int, Outage] = {}

    def start(self, history: Iterable[Decision], site: SiteRecord) -> None:
        """Begin with what was decided earlier, and with what lasts by the last turn."""
        self.update(history)
        for host in site.hosts:
            if host.status != "up" and host.host not in self._hosts:
                self._hosts[host.host] = Outage(
                    status=host.status, hosts=(host.host,), start=_LONG_AGO, reason=host.reason
                )
        for record in site.maintenance:
            if record.begun and record.window.id not in self._windows:
                self._windows[record.window.id] = _of_window(record.window, record.window.start)

    def update(self, decisions: Iterable[Decision]) -> None:
        """Take notice of a turn."""
        with self._lock:
            for decision in decisions:
                if isinstance(decision, HostChanged):
                    self._host_changed(decision)
                elif isinstance(decision, MaintenanceChanged):
                    self._window_changed(decision)

    def _host_changed(self, change: HostChanged) -> None:
        host = change.host.id
        self._end(self._hosts.pop(host, None), change.time)
        if change.status != "up":
            self._hosts[host] = Outage(
                status=change.status, hosts=(host,), start=change.time, reason=change.reason
            )

    def _window_changed(self, change: MaintenanceChanged) -> None:
        window = change.window
        old = self._windows.get(window.id)
        if change.status == "begun":
            self._windows[window.id] = _of_window(window, change.time)
        elif old is not None and change.status == "over":
            self._end(self._windows.pop(window.id), change.time)
        elif old is not None and change.status == "planned":
            self._changed_while_begun(old, window, change.time)

    def _changed_while_begun(self, old: Outage, window: Maintenance, now: int) -> None:
        if window.hosts == old.hosts and window.start <= now:
            self._windows[window.id] = _of_window(window, old.start)
            return
        self._end(self._windows.pop(window.id), now)
        if window.start <= now:
            self._windows[window.id] = _of_window(window, now)

    def _end(self, outage: Outage | None, now: int) -> None:
        if outage is not None and outage.start < now:
            self._over.append(replace(outage, end=now))

    def between(self, start: int, end: int, windows: Sequence[MaintenanceRecord]) -> list[Outage]:
        """List what overlaps ``[start, end)``, by start; hosts with the same fate are one entry.

        ``windows`` are those that are not over. O(n log n) in what is remembered.
        """
        with self._lock:
            found = [*self._over, *self._hosts.values(), *self._windows.values()]
            begun = set(self._windows)
        found += [_of_window(r.window, r.window.start) for r in windows if r.window.id not in begun]
        alike: dict[Outage, list[int]] = {}
        for outage in found:
            if outage.start < end and (outage.end is None or outage.end > start):
                alike.setdefault(replace(outage, hosts=()), []).extend(outage.hosts)
        return sorted(
            (replace(one, hosts=tuple(sorted(hosts))) for one, hosts in alike.items()),
            key=lambda outage: (outage.start, outage.hosts),
        )


def _of_window(window: Maintenance, start: int) -> Outage:
    return Outage(
        status="maintenance",
        hosts=window.hosts,
        start=start,
        end=window.end,
        reason=stated(window.reason),
        window_id=window.id,
    )
