"""The yardstick for full records: EASY on hosts, and every row that Haizea would write of it.

``python -m bench.records TRACE HOSTS DATAFILE`` reads a trace, simulates EASY backfilling with
each job on hosts of its own, the lowest that are free, and writes the tables that a run of Haizea
fills, row for row. It knows nothing else: no reservations, no suspension, no other sizes of hosts,
no overheads, faults, policies or observers, no log. So it shows what such a run costs in Python
when nothing is decided that need not be; :mod:`bench.yardsticks` show what the problem costs.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import accumulate, repeat
from operator import mul, sub, truediv
from pathlib import Path

from bench.traces import read_jobs
from bench.yardsticks import Job

#: Each host's CPU and memory, all of which a job's node takes.
CAPACITY = (100, 1024)
#: When a run begins where nothing else is said.
START = 1_164_459_600

TABLES = (
    "leases (lease INTEGER PRIMARY KEY, label, kind, state, nodes, submitted, duration, started,"
    " ended, waiting_time, slowdown, suspensions, migrations, restarts, reason, preemptible,"
    " owner, code)",
    "node_sets (lease, position, count, CPU, Memory)",
    "reservation_sets (lease, purpose, start, end, hosts, CPU, Memory)",
    "states (lease, time, state, reason, reason_code, reason_parameters, code)",
    "counters (counter, time, lease, value, average, weighted)",
)
_ROWS = 200
_BUFFERED = 100_000
_OVER = ("its duration is over", "duration-over", "{}", "duration-over")
_EARLY = ("ended before its duration was over", "ended-early", "{}", "early-end")


class Table:
    """Rows of one table, written many at a time; ``values`` is flat, row after row."""

    def __init__(self, db: sqlite3.Connection, definition: str) -> None:
        db.execute(f"CREATE TABLE {definition}")
        self.values: list[object] = []
        self._db = db
        self._name = definition.split(" ", 1)[0]
        self._width = definition.count(",") + 1

    def write(self, rows: int = _ROWS) -> None:
        """Write what makes whole blocks of so many rows."""
        block, values = rows * self._width, self.values
        row = "(" + ",".join("?" * self._width) + ")"
        statement = f"INSERT INTO {self._name} VALUES " + ",".join([row] * rows)
        whole = len(values) - len(values) % block
        for first in range(0, whole, block):
            self._db.execute(statement, values[first : first + block])
        del values[:whole]

    def finish(self) -> None:
        """Write all that is left."""
        self.write()
        self.write(1)


class Counter:
    """A quantity over time: what it was when, and of which job."""

    def __init__(self, *first: float) -> None:
        self.times: list[int] = [START for _ in first]
        self.values: list[float] = list(first)
        self.jobs: list[int] = []

    def add(self, now: int, value: float) -> None:
        """Note that it is this much from now on, if that is news."""
        if value != self.values[-1]:
            self.times.append(START + now)
            self.values.append(value)

    def rows(self, name: str) -> list[object]:
        """The rows of the table of counters, one after the other."""
        times, values = self.times, self.values
        averages = map(truediv, accumulate(values), range(1, len(values) + 1))
        held = map(mul, values, map(sub, times[1:], times))
        areas, passed = accumulate(held, initial=0), map(sub, times, repeat(times[0]))
        weighted = [a / p if p else v for a, p, v in zip(areas, passed, values, strict=True)]
        jobs = self.jobs or repeat(None)
        rows = zip(repeat(name), times, jobs, values, averages, weighted, strict=False)
        return [value for row in rows for value in row]


class Machine:
    """A machine of equal hosts, and what becomes of ``jobs``, in order of submission, on it."""

    def __init__(self, jobs: Sequence[Job], hosts: int, db: sqlite3.Connection) -> None:
        self._jobs = jobs
        tables = [Table(db, definition) for definition in TABLES]
        self._leases, self._node_sets, self._reserved, self._states, self._counters = tables
        self._accepted, self._completed = Counter(0), Counter(0)
        self._queue, self._used = Counter(0), Counter(0)
        self._waits, self._slowdowns = Counter(), Counter()
        self._texts = [str(host) for host in range(hosts)]
        self._free = list(range(hosts))
        self._places: dict[int, list[int]] = {}
        self._starts: dict[int, int] = {}
        # (real end, whether it is the requested one, how many had begun, job), a heap
        self._ends: list[tuple[int, bool, int, int]] = []
        self._planned: list[tuple[int, int]] = []  # (requested end, job), sorted
        self._waiting: list[int] = []
        self._submitted = self._begun = self._done = 0
        # When the first that waits can begin, beside whom, and who was told so already.
        self._shadow = self._extra = 0
        self._claimed = -1

    def run(self) -> None:
        """Simulate, from one moment at which something happens to the next."""
        jobs, ends, hosts = self._jobs, self._ends, len(self._texts)
        while self._submitted < len(jobs) or ends:
            now = ends[0][0] if ends else jobs[self._submitted].submitted
            if self._submitted < len(jobs):
                now = min(now, jobs[self._submitted].submitted)
            done, waiting = self._done, len(self._waiting)
            self._end(now)
            self._submit(now)
            if self._done > done or not waiting:
                waiting = 1
                self._start_first(now)
            self._backfill(now, waiting)
            self._accepted.add(now, self._submitted)
            self._completed.add(now, self._done)
            self._queue.add(now, len(self._waiting))
            self._used.add(now, (hosts - len(self._free)) / hosts)
            if len(self._states.values) > _BUFFERED:
                for table in (self._leases, self._node_sets, self._reserved, self._states):
                    table.write()
        self._finish()

    def _tell(self, job: int, now: int, state: str) -> None:
        self._states.values += (job + 1, START + now, state, "", "", "", "")

    def _end(self, now: int) -> None:
        """Let those end that do by now, and write what became of them."""
        ends, free = self._ends, self._free
        while ends and ends[0][0] == now:
            job = heappop(ends)[3]
            arrived, size, requested, run = self._jobs[job]
            start, place = self._starts.pop(job), self._places.pop(job)
            hosts = "[" + ",".join([self._texts[host] for host in place]) + "]"
            row = (job + 1, "run", START + start, START + now, hosts, *CAPACITY)
            self._reserved.values += row
            free += place
            free.sort()
            del self._planned[bisect_left(self._planned, (start + requested, job))]
            why = _EARLY if run < requested else _OVER
            self._states.values += (job + 1, START + now, "Done", *why)
            wait, slowdown = start - arrived, max(1.0, (now - arrived) / max(10, run))
            self._leases.values += (
                *(job + 1, str(job + 1), "best-effort", "Done", size, START + arrived),
                *(requested, START + start, START + now, wait, slowdown),
                *(0, 0, 0, why[0], 1, "", why[3]),
            )
            self._node_sets.values += (job + 1, 0, size, *CAPACITY)
            for counter, value in (self._waits, wait), (self._slowdowns, slowdown):
                counter.times.append(START + now)
                counter.values.append(value)
                counter.jobs.append(job + 1)
            self._done += 1

    def _submit(self, now: int) -> None:
        """Let those wait that come now."""
        jobs = self._jobs
        while self._submitted < len(jobs) and jobs[self._submitted].submitted == now:
            job, size = self._submitted, jobs[self._submitted].nodes
            self._tell(job, now, "New")
            self._tell(job, now, "Pending")
            words = f"waiting for {size} node" + "s" * (size > 1)
            row = (job + 1, START + now, "Queued", words, "waits", f'{{"nodes": {size}}}', "")
            self._states.values += row
            self._waiting.append(job)
            self._submitted += 1

    def _begin(self, job: int, now: int) -> None:
        """Start a job on the lowest hosts that are free."""
        _, size, requested, run = self._jobs[job]
        self._starts[job] = now
        self._places[job] = self._free[:size]
        del self._free[:size]
        heappush(self._ends, (now + run, run == requested, self._begun, job))
        insort(self._planned, (now + requested, job))
        self._begun += 1
        if job != self._claimed:
            self._tell(job, now, "Scheduled")
        self._tell(job, now, "Ready")
        self._tell(job, now, "Active")

    def _start_first(self, now: int) -> None:
        """Start those that wait, as far as they fit one after another, and promise the next."""
        jobs, waiting, begun = self._jobs, self._waiting, 0
        while begun < len(waiting) and jobs[waiting[begun]].nodes <= len(self._free):
            self._begin(waiting[begun], now)
            begun += 1
        del waiting[:begun]
        if not waiting:
            return
        extra, needed, shadow = len(self._free), jobs[waiting[0]].nodes, now
        for end, job in self._planned:
            # All that end at the shadow time are free by then.
            if extra >= needed and end > shadow:
                break
            shadow = end
            extra += jobs[job].nodes
        self._shadow, self._extra = shadow, extra - needed
        if waiting[0] != self._claimed:
            self._claimed = waiting[0]
            moment = datetime.fromtimestamp(START + shadow, UTC)
            words = f"expected to start {moment:%Y-%m-%d %H:%M:%S}"
            why = (words, "start-expected", json.dumps({"start": START + shadow}), "")
            self._states.values += (self._claimed + 1, START + now, "Scheduled", *why)

    def _backfill(self, now: int, first: int) -> None:
        """Start those from the ``first`` on that fit and do not delay whoever was promised."""
        waiting, left = self._waiting, list[int]()
        for position in range(first, len(waiting)):
            if not self._free:
                left += waiting[position:]
                break
            job = waiting[position]
            _, size, requested, _ = self._jobs[job]
            late = now + requested > self._shadow
            if size <= (min(self._extra, len(self._free)) if late else len(self._free)):
                if late:
                    self._extra -= size
                self._begin(job, now)
            else:
                left.append(job)
        waiting[first:] = left

    def _finish(self) -> None:
        """Write the rest."""
        for name, counter in (
            ("Accepted best-effort leases", self._accepted),
            ("Completed best-effort leases", self._completed),
            ("Queue size", self._queue),
            ("CPU utilization", self._used),
            ("CPU utilization (run)", self._used),
            ("Best-effort waiting time", self._waits),
            ("Best-effort bounded slowdown", self._slowdowns),
        ):
            self._counters.values += counter.rows(name)
        for table in (self._leases, self._node_sets, self._reserved, self._states, self._counters):
            table.finish()


def main(trace: str, hosts: str, datafile: str) -> None:
    """Read, simulate, write."""
    Path(datafile).unlink(missing_ok=True)
    db = sqlite3.connect(datafile, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("BEGIN")
    Machine(read_jobs(Path(trace)), int(hosts), db).run()
    db.execute("COMMIT")
    db.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
