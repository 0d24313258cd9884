"""Requested times as the users of a trace ask for them: a few popular ones, with much to spare.

After D. Tsafrir, Y. Etsion, D. G. Feitelson, "Modeling User Runtime Estimates", Job Scheduling
Strategies for Parallel Processing, 2005: requests are few different values; which of them a job
has depends on little but that it must be long enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from haizea.workloads.model import WorkloadLease


@dataclass(frozen=True, slots=True)
class RequestedTimes:
    """Times that are asked for (s, ascending), and how often each is."""

    seconds: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, leases: Iterable[WorkloadLease]) -> RequestedTimes:
        """The times that these leases ask for; those without end are left out."""
        counted = Counter(x.duration for x in leases if x.duration is not None)
        pairs = sorted(counted.items())
        return cls(tuple(s for s, _ in pairs), tuple(count for _, count in pairs))

    def drawn(self, runs: Sequence[int], rng: Random) -> list[int]:
        """A requested time (s) for each job that runs so long, none shorter than its run.

        As many are drawn as there are jobs; the longest job gets one of those that are long
        enough for it by chance, then the next. A job that none is left for asks for what it
        runs. O(n log n).
        """
        drawn = sorted(rng.choices(self.seconds, self.counts, k=len(runs))) if self.seconds else []
        long_enough: list[int] = []
        wanted = list(runs)
        for index in sorted(range(len(runs)), key=lambda i: (-runs[i], i)):
            while drawn and drawn[-1] >= runs[index]:
                long_enough.append(drawn.pop())
            if long_enough:
                chosen = int(rng.random() * len(long_enough))
                long_enough[chosen], long_enough[-1] = long_enough[-1], long_enough[chosen]
                wanted[index] = long_enough.pop()
        return wanted
