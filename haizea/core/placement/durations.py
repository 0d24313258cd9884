"""Durations of a lease's operations on the hosts that it is given.

Rates of suspending and resuming are those of the settings, until other ones are learned of
a host; from then on, what is planned there goes by these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from haizea.core.model import overheads
from haizea.core.model.settings import Exclusion, Settings
from haizea.core.placement.mapper import Hosts
from haizea.core.placement.plan import Lease


class Rates(NamedTuple):
    """Rates at which a host suspends and resumes, MB/s; ``None``: as the settings say."""

    suspend_mb_s: float | None = None
    resume_mb_s: float | None = None

    def describe(self) -> str:
        """In words."""
        suspend, resume = self
        return f"suspends at {_rate_in_words(suspend)}, resumes at {_rate_in_words(resume)}"


def _rate_in_words(rate_mb_s: float | None) -> str:
    return "the configured rate" if rate_mb_s is None else f"{rate_mb_s:g} MB/s"


class Durations:
    """The seconds of everything that a plan consists of.

    ``memory`` is where Memory stands in a capacity; ``rates`` are those that were learned,
    by host, and change as more is learned.
    """

    def __init__(self, settings: Settings, memory: int | None, rates: dict[int, Rates]) -> None:
        self.settings = settings
        self.rates = rates
        self.shares_files = settings.exclusion is Exclusion.GLOBAL
        self._memory = memory
        self._rows: dict[int, Hosts] = {}
        self._shuts_down = settings.shutdown_seconds > 0 or settings.enactment_overhead_seconds > 0

    def memory_mb(self, lease: Lease) -> list[int]:
        """The memory of each node."""
        if self._memory is None:
            return [0] * lease.demand.count
        return [capacity[self._memory] for capacity in lease.demand.capacities]

    def suspend_seconds(self, lease: Lease, hosts: Hosts) -> int:
        """To suspend the lease on these hosts."""
        if self.rates:
            return self._learned_suspend_seconds(lease, hosts)
        return self._lease_seconds(lease, hosts, overheads.suspend_vm_seconds)

    def resume_seconds(self, lease: Lease, hosts: Hosts) -> int:
        """To resume the lease on these hosts; 0 if nothing of it is saved."""
        if not lease.saved:
            return 0
        if self.rates:
            return self._learned_resume_seconds(lease, hosts)
        return self._lease_seconds(lease, hosts, overheads.resume_vm_seconds)

    def _lease_seconds(
        self, lease: Lease, hosts: Hosts, vm_seconds: Callable[[Settings, int], int]
    ) -> int:
        size = lease.demand.size
        if size is None:
            each = [vm_seconds(self.settings, memory_mb) for memory_mb in self.memory_mb(lease)]
            return overheads.lease_seconds(self.settings, hosts, each)
        seconds = vm_seconds(self.settings, 0 if self._memory is None else size[self._memory])
        if self.shares_files or not lease.demand.spread(hosts).apart:
            return overheads.lease_seconds(self.settings, hosts, [seconds] * len(hosts))
        # Every VM on a host of its own: the last command is given last and over last.
        return seconds + (len(hosts) - 1) * self.settings.enactment_overhead_seconds

    def shutdown_seconds(self, lease: Lease) -> int:
        """To shut the lease down: part of what remains of it."""
        if not self._shuts_down and lease.shutdown_seconds is None:
            return 0
        return self.shutdown_seconds_of(lease, max(lease.remaining, 0))

    def shutdown_seconds_of(self, lease: Lease, seconds: int) -> int:
        """To shut the lease down, as part of so many seconds on its hosts."""
        count, learned = lease.demand.count, lease.shutdown_seconds
        return overheads.shutdown_seconds(self.settings, count, seconds, learned)

    def leaving_seconds(self, lease: Lease, hosts: Hosts) -> int:
        """To be off these hosts without being saved: what was learned, or what saving takes."""
        if lease.leaving_seconds is not None:
            return lease.leaving_seconds
        return max(self.suspend_seconds(lease, hosts), self.shutdown_seconds(lease))

    def migration_seconds(self, lease: Lease, hosts: Hosts) -> int:
        """To move what is saved of the lease to these hosts."""
        if lease.bound is None or hosts == lease.bound:
            return 0
        image = lease.request.image
        disk_mb = image.size_mb if image and self.settings.images else 0
        sizes = [m + disk_mb for m in self.memory_mb(lease)]
        return overheads.migration_seconds(self.settings, lease.bound, hosts, sizes)

    def threshold_seconds(self, lease: Lease, hosts: Hosts) -> int:
        """The least running time that is worth starting the lease for on these hosts."""
        return overheads.threshold_seconds(
            self.settings, self.suspend_seconds(lease, hosts), self.resume_seconds(lease, hosts)
        )

    def apart(self, count: int) -> Hosts:
        """Some hosts for so many nodes, a host for each."""
        row = self._rows.get(count)
        if row is None:
            row = self._rows[count] = tuple(range(count))
        return row

    def least_stay_seconds(self, lease: Lease, hosts: Hosts, *, elsewhere: bool) -> int:
        """The shortest stay in a hole that is worth while, there or (``elsewhere``) anywhere."""
        if self.rates and elsewhere:
            suspend, resume = self._fastest_seconds(lease, hosts)
        else:
            suspend = self.suspend_seconds(lease, hosts)
            resume = self.resume_seconds(lease, hosts)
        least = overheads.threshold_seconds(self.settings, suspend, resume)
        return resume + lease.start_seconds + max(1, least) + suspend

    # --- at rates that were learned -----------------------------------------------------

    def _learned_suspend_seconds(self, lease: Lease, hosts: Hosts) -> int:
        own, other = self.settings.suspend_rate_mb_s, self.rates
        at = [(other[host].suspend_mb_s if host in other else own) or own for host in hosts]
        return self._learned_seconds(lease, hosts, overheads.suspend_vm_seconds, at)

    def _learned_resume_seconds(self, lease: Lease, hosts: Hosts) -> int:
        own, other = self.settings.resume_rate_mb_s, self.rates
        at = [(other[host].resume_mb_s if host in other else own) or own for host in hosts]
        return self._learned_seconds(lease, hosts, overheads.resume_vm_seconds, at)

    def _fastest_seconds(self, lease: Lease, hosts: Hosts) -> tuple[int, int]:
        """To suspend and to resume the lease if every host were as fast as the fastest."""
        settings, learned = self.settings, self.rates.values()
        save = max([settings.suspend_rate_mb_s, *(r.suspend_mb_s or 0 for r in learned)])
        load = max([settings.resume_rate_mb_s, *(r.resume_mb_s or 0 for r in learned)])
        count = len(hosts)
        suspend = self._learned_seconds(lease, hosts, overheads.suspend_vm_seconds, [save] * count)
        if not lease.saved:
            return suspend, 0
        return suspend, self._learned_seconds(
            lease, hosts, overheads.resume_vm_seconds, [load] * count
        )

    def _learned_seconds(
        self,
        lease: Lease,
        hosts: Hosts,
        vm_seconds: Callable[[Settings, int, float], int],
        rates_mb_s: list[float],
    ) -> int:
        each = [
            vm_seconds(self.settings, memory_mb, rate)
            for memory_mb, rate in zip(self.memory_mb(lease), rates_mb_s, strict=True)
        ]
        return overheads.lease_seconds(self.settings, hosts, each)
