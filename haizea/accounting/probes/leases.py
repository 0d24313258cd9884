"""Probes of the leases of one kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from haizea.accounting.counter import Counter
from haizea.accounting.leases import LeaseRecord
from haizea.core.model.events import Decision, StateChanged
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind
from haizea.core.model.members import (
    AR,
    BEST_EFFORT,
    DONE,
    IMMEDIATE,
    PENDING,
    QUEUED,
    REJECTED,
    SCHEDULED,
    SUSPENDED_QUEUED,
    SUSPENDED_SCHEDULED,
)

#: Where a lease of the queue waits for hosts, with a reservation to come or without.
WAITING: Final = frozenset({QUEUED, SCHEDULED, SUSPENDED_QUEUED, SUSPENDED_SCHEDULED})


class _KindProbe:
    """Counts the leases of one kind that were accepted, rejected and completed."""

    wants: ClassVar = (StateChanged,)

    def __init__(self, kind: Kind, title: str) -> None:
        self.kind = kind
        self._accepted = Counter(f"Accepted {title} leases")
        self._rejected = Counter(f"Rejected {title} leases")
        self._completed = Counter(f"Completed {title} leases")
        self.counters: list[Counter] = [self._accepted, self._rejected, self._completed]
        self._accepted_count = 0
        self._rejected_count = 0
        self._completed_count = 0
        self._waiting_count = 0
        self._leases: Mapping[int, LeaseRecord] = {}

    def begin(self, start: int, site: Site, leases: Mapping[int, LeaseRecord]) -> None:
        """Nothing has happened yet."""
        self._leases = leases
        for counter in self.counters[:3]:
            counter.set(start, 0)

    def note(self, now: int, decisions: Sequence[Decision]) -> None:
        """Count what became of leases of this kind."""
        accepted, rejected = self._accepted_count, self._rejected_count
        completed = self._completed_count
        for decision in decisions:
            if not isinstance(decision, StateChanged):
                continue
            old, new = decision.old, decision.new
            if new in WAITING:
                if old not in WAITING:
                    self._waiting_count += 1
            elif old in WAITING:
                self._waiting_count -= 1
            if old is PENDING:
                if new is REJECTED:
                    self._rejected_count += 1
                else:
                    self._accepted_count += 1
            elif new is DONE:
                self._completed_count += 1
                self._done(now, self._leases[decision.lease_id])
        if self._accepted_count != accepted:
            self._accepted.add(now, self._accepted_count)
        if self._rejected_count != rejected:
            self._rejected.add(now, self._rejected_count)
        if self._completed_count != completed:
            self._completed.add(now, self._completed_count)

    def figures(self, now: int) -> Mapping[str, float]:
        """None: the standard figures have these counts already."""
        return {}

    def _done(self, now: int, record: LeaseRecord) -> None:
        """A lease of this kind is done."""


class ArProbe(_KindProbe):
    """Advance reservations accepted, rejected and completed."""

    def __init__(self) -> None:
        super().__init__(AR, "AR")


class ImmediateProbe(_KindProbe):
    """Immediate leases accepted, rejected and completed."""

    def __init__(self) -> None:
        super().__init__(IMMEDIATE, "immediate")


class BestEffortProbe(_KindProbe):
    """Best-effort leases: counts, the queue, waiting time and slowdown.

    The queue is the leases that wait for hosts, suspended ones included, whether or not
    they hold a reservation to come. Waiting time and slowdown are added as leases are
    done, a value each.
    """

    def __init__(self) -> None:
        super().__init__(BEST_EFFORT, "best-effort")
        self._queue = Counter("Queue size")
        self._waiting_time = Counter("Best-effort waiting time")
        self._slowdown = Counter("Best-effort bounded slowdown")
        self.counters += [self._queue, self._waiting_time, self._slowdown]
        self._longest = 0

    def begin(self, start: int, site: Site, leases: Mapping[int, LeaseRecord]) -> None:
        """The queue is empty."""
        super().begin(start, site, leases)
        self._queue.set(start, 0)

    def note(self, now: int, decisions: Sequence[Decision]) -> None:
        """Count, and see how long the queue is after all of it."""
        before = self._waiting_count
        super().note(now, decisions)
        queued = self._waiting_count
        if queued != before:
            self._queue.add(now, queued)
            if queued > self._longest:
                self._longest = queued

    def figures(self, now: int) -> Mapping[str, float]:
        """Return the length of the queue, on average over time and at most."""
        mean = self._queue.weighted(now)
        return {"queue-size-mean": mean or 0, "queue-size-max": self._longest}

    def _done(self, now: int, record: LeaseRecord) -> None:
        lease = record.request.id
        wait, slowdown = record.waiting_time, record.slowdown
        if wait is not None:
            self._waiting_time.add(now, wait, lease)
        if slowdown is not None:
            self._slowdown.add(now, slowdown, lease)
