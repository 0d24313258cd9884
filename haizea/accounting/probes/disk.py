"""The probe of the disk space that images take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from haizea.accounting.counter import Counter
from haizea.accounting.leases import LeaseRecord
from haizea.core.model.events import Decision, HostChanged, ImageStored
from haizea.core.model.hosts import Site


class DiskUsageProbe:
    """MB of disk that images take: on all hosts together, and on each that ever has any."""

    wants = (ImageStored, HostChanged)

    def __init__(self) -> None:
        self._all = Counter("Disk usage")
        self.counters = [self._all]
        self._by_host: dict[int, Counter] = {}
        self._used: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._start = 0
        self._most = 0
        self._most_on_one = 0

    def begin(self, start: int, site: Site, leases: Mapping[int, LeaseRecord]) -> None:
        """No images are anywhere."""
        self._start = start
        self._names = {host.id: host.name for host in site.hosts}
        self._all.set(start, 0)

    def note(self, now: int, decisions: Sequence[Decision]) -> None:
        """See what is stored after all that was decided."""
        changed: dict[int, int] = {}
        for decision in decisions:
            if isinstance(decision, ImageStored):
                changed[decision.host_id] = decision.used_mb
            elif isinstance(decision, HostChanged):
                self._names[decision.host.id] = decision.host.name
        if not changed:
            return
        self._used.update(changed)
        for host, used_mb in changed.items():
            self._counter(host).set(now, used_mb)
        total = sum(self._used.values())
        self._all.set(now, total)
        self._most = max(self._most, total)
        self._most_on_one = max(self._most_on_one, *changed.values())

    def figures(self, now: int) -> Mapping[str, float]:
        """The most MB at any time, in all and on one host."""
        return {"disk-usage-max": self._most, "disk-usage-host-max": self._most_on_one}

    def _counter(self, host: int) -> Counter:
        counter = self._by_host.get(host)
        if counter is None:
            counter = self._by_host[host] = Counter(f"Disk usage ({self._names[host]})")
            counter.set(self._start, 0)
            self.counters.append(counter)
        return counter
