"""Results as other programs read them: the jobs table of Batsim, and SWF with our waits.

Neither format knows leases that are suspended and go on. In Batsim's table each stretch of running
is a row of its own, so that charts and loads drawn from it are right; SWF has one line a lease
with the time that it ran in all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from haizea.accounting.reader import Results, Row

#: The columns of Batsim's ``_jobs.csv``, in its order.
BATSIM_COLUMNS = [
    *("job_id", "workload_name", "profile", "submission_time", "requested_number_of_resources"),
    *("requested_time", "success", "final_state", "starting_time", "execution_time"),
    *("finish_time", "waiting_time", "turnaround_time", "stretch", "allocated_resources"),
    *("consumed_energy", "metadata"),
]

_BATSIM_STATES = {
    "Done": "COMPLETED_SUCCESSFULLY",
    "Cancelled": "COMPLETED_KILLED",
    "Failed": "COMPLETED_FAILED",
}

#: SWF's status, and its queue for each kind of lease.
_SWF_STATUS = {"Done": 1, "Failed": 0, "Cancelled": 5, "Rejected": 5}
_SWF_QUEUES = {"best-effort": 1, "ar": 2, "immediate": 3}


class _Stretch(NamedTuple):
    """A time in which a lease ran without a break, and its hosts."""

    start: int
    end: int
    hosts: list[int]


def batsim_rows(results: Results) -> Iterator[Row]:
    """The rows of Batsim's table, by lease: one for each stretch in which it ran.

    Times count from the start of the run. The first stretch waits from the submission, each
    other one from the end of the one before; it is called ``7#2``. Leases that never ran are
    left out, as there is no place in a chart for them.
    """
    started = int(results.run["started"])
    leases = results.rows(
        "SELECT lease, kind, state, nodes, submitted, duration FROM leases"
        " WHERE started IS NOT NULL ORDER BY lease"
    )
    stretches = _Stretches(results)
    for lease, kind, state, nodes, submitted, duration in leases:
        since = submitted
        found = stretches.of(lease)
        for number, stretch in enumerate(found, 1):
            is_last = number == len(found)
            length = stretch.end - stretch.start
            turnaround = stretch.end - since
            yield [
                str(lease) if number == 1 else f"{lease}#{number}",
                results.run.get("workload") or "haizea",
                kind,
                since - started,
                nodes,
                -1 if duration is None else duration,
                int(state == "Done"),
                _BATSIM_STATES.get(state, "RUNNING") if is_last else "COMPLETED_WALLTIME_REACHED",
                stretch.start - started,
                length,
                stretch.end - started,
                stretch.start - since,
                turnaround,
                turnaround / length if length else 1.0,
                intervals(stretch.hosts),
                -1,
                "",
            ]
            since = stretch.end


class _Stretches:
    """The stretches of leases that are asked for in order."""

    def __init__(self, results: Results) -> None:
        rows = results.rows(
            'SELECT lease, start, "end", hosts FROM reservation_sets'
            " WHERE purpose = 'run' ORDER BY lease, start"
        )
        self._groups = groupby(rows, key=lambda row: int(row[0]))
        self._next = next(self._groups, None)

    def of(self, lease: int) -> list[_Stretch]:
        """The stretches of a lease, which is after all those asked for before."""
        while self._next is not None and self._next[0] < lease:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != lease:
            return []
        found: list[_Stretch] = []
        for _, start, end, hosts in self._next[1]:
            if found and found[-1].start == start:
                # Nodes of several sizes are rows of their own.
                found[-1].hosts.extend(json.loads(hosts))
            else:
                found.append(_Stretch(start, end, list(json.loads(hosts))))
        return found


def intervals(numbers: Iterable[int]) -> str:
    """Numbers as Batsim writes a set of them: ``0-3 5 8-9``."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _by_lease(rows: Iterable[Row]) -> dict[int, int]:
    return {int(lease): int(value) for lease, value in rows}


def swf_lines(results: Results) -> Iterator[str]:
    """The run in the Standard Workload Format: what was asked for, and the waits that came of it.

    Jobs are numbered by lease. Wait is the time until the first start, run time all that it
    ran; memory, users' groups and think times are not known. The queue is the kind of lease.
    """
    started = int(results.run["started"])
    hosts = next(iter(results.rows("SELECT COUNT(*) FROM hosts")))[0]
    yield "; Version: 2.2\n"
    yield f"; Note: a run of Haizea {results.run.get('haizea_version', '')}"
    yield f" on {results.run.get('workload') or 'a workload'}\n"
    yield f"; UnixStartTime: {started}\n; MaxNodes: {hosts}\n; MaxProcs: {hosts}\n"
    yield "; Queues: 1 best-effort, 2 advance reservation, 3 immediate\n"
    leases = results.rows(
        "SELECT lease, kind, state, nodes, submitted, duration, started, owner"
        " FROM leases ORDER BY submitted, lease"
    )
    ran = _by_lease(
        results.rows(
            'SELECT lease, SUM("end" - start) FROM (SELECT DISTINCT lease, start, "end" FROM'
            " reservation_sets WHERE purpose = 'run') GROUP BY lease"
        )
    )
    for lease, kind, state, nodes, submitted, duration, start, owner in leases:
        wait = -1 if start is None else start - submitted
        asked = -1 if duration is None else duration
        user = owner if owner and owner.isascii() and owner.isdecimal() else -1
        yield (
            f"{lease} {submitted - started} {wait} {ran.get(lease, -1)} {nodes} -1 -1 {nodes}"
            f" {asked} -1 {_SWF_STATUS.get(state, -1)} {user} -1 -1 {_SWF_QUEUES[kind]}"
            " -1 -1 -1\n"
        )
