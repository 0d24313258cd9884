"""The standard figures of a run, which need no probe."""

from __future__ import annotations

import math
from collections.abc import Sequence

from haizea.accounting.leases import LeaseRecord
from haizea.core.model.events import Purpose
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State

#: Purposes that count as use of CPUs, in the order in which they are shown.
USES = (
    Purpose.RUN,
    Purpose.PREPARE,
    Purpose.SUSPEND,
    Purpose.RESUME,
    Purpose.MIGRATE,
    Purpose.SHUTDOWN,
)

#: Outcomes by which leases are counted, each with the states that it covers.
OUTCOMES = {
    "completed": (State.DONE,),
    "rejected": (State.REJECTED,),
    "cancelled": (State.CANCELLED,),
    "failed": (State.FAILED,),
}


class Work:
    """The quantities that the standard figures are made of.

    ``seconds`` has how much CPU was held for each purpose, in percent × seconds, and
    ``cpu`` what there was; the rest is of the leases.
    """

    __slots__ = (
        "_leases",
        "_slowdowns",
        "_waits",
        "cpu",
        "cpu_index",
        "last_ended",
        "migrations",
        "restarts",
        "seconds",
        "suspensions",
    )

    def __init__(self, site: Site) -> None:
        names = site.types.names
        #: Where CPU is in a capacity; a site without it counts its first type instead.
        self.cpu_index = names.index("CPU") if "CPU" in names else 0
        self.cpu = sum(host.capacity[self.cpu_index] for host in site.hosts)
        self.seconds = dict.fromkeys(Purpose, 0)
        self.suspensions = self.migrations = self.restarts = 0
        #: When the last best-effort lease that was completed ended.
        self.last_ended = 0
        self._leases: dict[Kind, dict[State, int]] = {kind: {} for kind in Kind}
        self._waits: list[int] = []
        self._slowdowns: list[float] = []

    def count(self, record: LeaseRecord) -> None:
        """Take a lease in that has ended, or is what it will be at the end of the run."""
        kind, state = record.request.kind, record.last.new
        by_state = self._leases[kind]
        by_state[state] = by_state.get(state, 0) + 1
        self.suspensions += record.suspensions
        self.migrations += record.migrations
        self.restarts += record.restarts
        if state is State.DONE and kind is Kind.BEST_EFFORT:
            wait, slowdown, ended = record.waiting_time, record.slowdown, record.ended
            assert wait is not None, "it has run"
            assert slowdown is not None, "it is done"
            assert ended is not None, "it has ended"
            self._waits.append(wait)
            self._slowdowns.append(slowdown)
            self.last_ended = max(self.last_ended, ended)

    def leases(self) -> dict[str, float]:
        """The figures of all leases."""
        figures: dict[str, float] = {}
        for kind, by_state in self._leases.items():
            every = sum(by_state.values())
            refused = sum(by_state.get(s, 0) for s in (State.NEW, State.PENDING, State.REJECTED))
            figures[f"accepted-{kind}"] = every - refused
            for outcome, states in OUTCOMES.items():
                figures[f"{outcome}-{kind}"] = sum(by_state.get(s, 0) for s in states)
            ended = sum(by_state.get(s, 0) for states in OUTCOMES.values() for s in states)
            figures[f"unfinished-{kind}"] = every - ended
        figures["suspensions"] = self.suspensions
        figures["migrations"] = self.migrations
        figures["restarts"] = self.restarts
        return figures

    def best_effort(self, start: int) -> dict[str, float]:
        """The figures of the best-effort leases that were completed; none if none was."""
        if not self._waits:
            return {}
        return {
            **_spread("waiting-time", sorted(self._waits)),
            **_spread("slowdown", sorted(self._slowdowns)),
            "all-best-effort": self.last_ended - start,
        }


def standard(work: Work, start: int, end: int) -> dict[str, float]:
    """The figures of the run ``[start, end)``.

    A figure of nothing, such as the mean waiting time where no lease was completed, is
    left out.
    """
    return {
        "run-seconds": end - start,
        **work.leases(),
        **work.best_effort(start),
        **_utilization(work, end - start),
    }


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Mean, median, 95th percentile (nearest rank) and maximum of sorted values."""
    count = len(values)
    return {
        f"{name}-mean": math.fsum(values) / count,
        f"{name}-median": (values[(count - 1) // 2] + values[count // 2]) / 2,
        f"{name}-p95": values[math.ceil(count * 95 / 100) - 1],
        f"{name}-max": values[-1],
    }


def _utilization(work: Work, seconds: int) -> dict[str, float]:
    whole = work.cpu * seconds
    if whole <= 0:
        return {}
    figures = {f"cpu-utilization-{use}": work.seconds[use] / whole for use in USES}
    used = sum(work.seconds[use] for use in USES)
    return {"cpu-utilization": used / whole, **figures}
