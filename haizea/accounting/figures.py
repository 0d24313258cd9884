"""The standard figures of a run, which need no probe."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence

from haizea.core.events import Purpose
from haizea.core.hosts import Site
from haizea.core.lease import Kind
from haizea.core.lifecycle import State

#: Purposes that count as use of CPUs, in the order in which they are shown.
USES = (Purpose.RUN, Purpose.SUSPEND, Purpose.RESUME, Purpose.MIGRATE, Purpose.SHUTDOWN)

#: Outcomes by which leases are counted, each with the states that it covers.
OUTCOMES = {
    "completed": (State.DONE,),
    "rejected": (State.REJECTED,),
    "cancelled": (State.CANCELLED,),
    "failed": (State.FAILED,),
}


class Work:
    """How much CPU was held for each purpose, in percent × seconds, and what there was."""

    __slots__ = ("cpu", "cpu_index", "seconds")

    def __init__(self, site: Site) -> None:
        names = site.types.names
        #: Where CPU is in a capacity; a site without it counts its first type instead.
        self.cpu_index = names.index("CPU") if "CPU" in names else 0
        self.cpu = sum(host.capacity[self.cpu_index] for host in site.hosts)
        self.seconds = dict.fromkeys(Purpose, 0)


def standard(db: sqlite3.Connection, work: Work, start: int, end: int) -> dict[str, float]:
    """The figures of the run ``[start, end)`` whose leases are in ``db``.

    A figure of nothing, such as the mean waiting time where no lease was completed, is
    left out.
    """
    figures: dict[str, float] = {"run-seconds": end - start}
    figures.update(_counts(db))
    figures.update(_best_effort(db, start))
    figures.update(_utilization(work, end - start))
    return figures


def _counts(db: sqlite3.Connection) -> dict[str, float]:
    found = {
        (kind, state): count
        for kind, state, count in db.execute(
            "SELECT kind, state, COUNT(*) FROM leases GROUP BY kind, state"
        )
    }
    figures: dict[str, float] = {}
    for kind in Kind:
        by_state = {state: found.get((kind.value, state.value), 0) for state in State}
        every = sum(by_state.values())
        refused = sum(by_state[s] for s in (State.NEW, State.PENDING, State.REJECTED))
        figures[f"accepted-{kind}"] = every - refused
        for outcome, states in OUTCOMES.items():
            figures[f"{outcome}-{kind}"] = sum(by_state[s] for s in states)
        ended = sum(by_state[s] for states in OUTCOMES.values() for s in states)
        figures[f"unfinished-{kind}"] = every - ended
    sums = "SELECT TOTAL(suspensions), TOTAL(migrations), TOTAL(restarts) FROM leases"
    names = ("suspensions", "migrations", "restarts")
    figures.update(zip(names, db.execute(sums).fetchone(), strict=True))
    return figures


def _best_effort(db: sqlite3.Connection, start: int) -> dict[str, float]:
    rows = db.execute(
        "SELECT waiting_time, slowdown, ended FROM leases WHERE kind = ? AND state = ?",
        (Kind.BEST_EFFORT.value, State.DONE.value),
    ).fetchall()
    if not rows:
        return {}
    return {
        **_spread("waiting-time", sorted(row[0] for row in rows)),
        **_spread("slowdown", sorted(row[1] for row in rows)),
        "all-best-effort": max(row[2] for row in rows) - start,
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
