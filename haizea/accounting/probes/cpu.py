"""The probe of CPU utilization."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from haizea.accounting.counter import Counter
from haizea.accounting.figures import USES
from haizea.accounting.leases import LeaseRecord
from haizea.core.model.events import (
    Decision,
    HostChanged,
    OperationEnded,
    OperationStarted,
    Purpose,
)
from haizea.core.model.hosts import Site


class CpuUtilizationProbe:
    """The share of the site's CPUs that leases hold, from 0 to 1, in all and by purpose.

    Hosts that are down count as part of the site.
    """

    wants: ClassVar = (OperationStarted, OperationEnded, HostChanged)

    def __init__(self) -> None:
        self._all = Counter("CPU utilization")
        self._by_purpose = {use: Counter(f"CPU utilization ({use})") for use in USES}
        self.counters = [self._all, *self._by_purpose.values()]
        self._held = dict.fromkeys(USES, 0)
        self._held_in_all = 0
        self._operations: dict[tuple[int, Purpose, int], int] = {}
        self._leases: Mapping[int, LeaseRecord] = {}
        self._hosts: dict[int, int] = {}
        self._cpu_index = 0
        self._cpu = 0
        self._highest = 0.0

    def begin(self, start: int, site: Site, leases: Mapping[int, LeaseRecord]) -> None:
        """Nothing is used."""
        self._leases = leases
        names = site.types.names
        self._cpu_index = names.index("CPU") if "CPU" in names else 0
        self._hosts = {host.id: host.capacity[self._cpu_index] for host in site.hosts}
        self._cpu = sum(self._hosts.values())
        for counter in self.counters:
            counter.set(start, 0)

    def note(self, now: int, decisions: Sequence[Decision]) -> None:
        """See what is held after all that was decided."""
        changed: list[Purpose] = []
        operations, counters = self._operations, self._by_purpose
        for decision in decisions:
            if isinstance(decision, OperationEnded):
                lease_id, purpose, start, _, _ = decision
                if purpose in counters:
                    cpu = operations.pop((lease_id, purpose, start), 0)
                    self._held[purpose] -= cpu
                    self._held_in_all -= cpu
                    changed.append(purpose)
            elif isinstance(decision, OperationStarted):
                purpose = decision.purpose
                if purpose in counters:
                    cpu = self._wanted(decision.lease_id)
                    operations[decision.lease_id, purpose, decision.time] = cpu
                    self._held[purpose] += cpu
                    self._held_in_all += cpu
                    changed.append(purpose)
            elif isinstance(decision, HostChanged):
                host = decision.host
                self._hosts[host.id] = host.capacity[self._cpu_index]
                self._cpu = sum(self._hosts.values())
                changed += USES
        if changed and self._cpu:
            self._record(now, changed)

    def figures(self, now: int) -> Mapping[str, float]:
        """The highest utilization; the mean is among the standard figures."""
        return {"cpu-utilization-max": self._highest}

    def _record(self, now: int, changed: Iterable[Purpose]) -> None:
        whole = self._cpu
        for use in changed:
            level = self._held[use] / whole
            counter = self._by_purpose[use]
            if level != counter.value:
                counter.add(now, level)
        share = self._held_in_all / whole
        if share != self._all.value:
            self._all.add(now, share)
        if share > self._highest:
            self._highest = share

    def _wanted(self, lease_id: int) -> int:
        index = self._cpu_index
        wanted = 0
        for node_set in self._leases[lease_id].request.nodes:
            wanted += node_set.count * node_set.capacity[index]
        return wanted
