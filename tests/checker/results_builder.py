"""Writes results files by hand: rows as the schema has them, nothing of the scheduler."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

Change = tuple[int, str, str, str]
Row = tuple[int | None, str, int, int, int, int, int]

TABLES = (
    "CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    "CREATE TABLE configuration (section TEXT, option TEXT, value TEXT)",
    "CREATE TABLE hosts (id INTEGER PRIMARY KEY, name TEXT, CPU INTEGER, Memory INTEGER)",
    "CREATE TABLE host_states (host INTEGER, time INTEGER, status TEXT, reason TEXT)",
    "CREATE TABLE leases (lease INTEGER PRIMARY KEY, label TEXT, kind TEXT, state TEXT,"
    " nodes INTEGER, submitted INTEGER, requested_start INTEGER, duration INTEGER,"
    " started INTEGER, ended INTEGER, waiting_time INTEGER, slowdown REAL,"
    " suspensions INTEGER, migrations INTEGER, restarts INTEGER, reason TEXT,"
    " preemptible INTEGER, owner TEXT, image TEXT, image_mb INTEGER, code TEXT,"
    " after INTEGER, deadline INTEGER)",
    "CREATE TABLE node_sets (lease INTEGER, position INTEGER, count INTEGER,"
    " CPU INTEGER, Memory INTEGER)",
    "CREATE TABLE reservation_sets (lease INTEGER, purpose TEXT, start INTEGER,"
    " end INTEGER, hosts TEXT, CPU INTEGER, Memory INTEGER)",
    "CREATE TABLE states (lease INTEGER, time INTEGER, state TEXT, reason TEXT, code TEXT,"
    " reason_parameters TEXT)",
)

CAPACITY = (100, 1024)


@dataclass
class Lease:
    """A lease of ``nodes`` nodes, each ``node``."""

    id: int
    kind: str
    submitted: int
    duration: int | None
    nodes: int = 1
    start: int | None = None
    preemptible: bool = False
    node: tuple[int, int] = CAPACITY
    image: str | None = None
    image_mb: int | None = None
    after: int | None = None
    deadline: int | None = None
    story: list[Change] = field(default_factory=list)
    sets: list[tuple[int, int, int]] = field(default_factory=list)

    def then(self, time: int, *states: str, code: str = "", reason: str = "") -> Lease:
        """Bring it to these states at that time; to the last for this reason."""
        for state in states[:-1]:
            self.story.append((time, state, "", ""))
        self.story.append((time, states[-1], reason or code, code))
        return self


@dataclass
class Results:
    """A results file to be. Whole hosts of CPU 100, Memory 1024, unless changed."""

    hosts: int = 2
    options: dict[tuple[str, str], str] = field(default_factory=dict)
    run: dict[str, str] = field(
        default_factory=lambda: {
            "schema_version": "1",
            "status": "complete",
            "started": "0",
            "ended": "100000",
            "resource_types": "CPU Memory",
        }
    )
    leases: list[Lease] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    host_states: list[tuple[int, int, str]] = field(default_factory=list)

    def option(self, **values: str) -> Results:
        """Set options of [scheduling]; underscores stand for hyphens."""
        for name, value in values.items():
            self.options["scheduling", name.replace("_", "-")] = value
        return self

    def lease(self, lease: Lease) -> Lease:
        """Add a lease that becomes known when it is submitted."""
        lease.then(lease.submitted, "New", "Pending")
        self.leases.append(lease)
        return lease

    def work(self, lease: Lease, purpose: str, start: int, end: int, *hosts: int) -> None:
        """A reservation of one node on each of ``hosts``."""
        for host in hosts:
            self.rows.append((lease.id, purpose, host, start, end, *lease.node))

    def best_effort(
        self,
        number: int,
        submitted: int,
        start: int,
        duration: int,
        *hosts: int,
        code: str = "duration-over",
        asked: int | None = None,
        preemptible: bool = True,
    ) -> Lease:
        """A lease that waits until ``start``, runs for ``duration`` and is done."""
        lease = self.lease(
            Lease(
                number,
                "best-effort",
                submitted,
                asked or duration,
                len(hosts),
                preemptible=preemptible,
            )
        )
        lease.then(submitted, "Queued").then(start, "Scheduled", "Ready", "Active")
        lease.then(start + duration, "Done", code=code)
        self.work(lease, "run", start, start + duration, *hosts)
        return lease

    def reserved(
        self, number: int, submitted: int, start: int, duration: int, *hosts: int
    ) -> Lease:
        """An AR that runs as it was asked for."""
        lease = self.lease(Lease(number, "ar", submitted, duration, len(hosts), start))
        lease.then(submitted, "Scheduled").then(start, "Ready", "Active")
        lease.then(start + duration, "Done", code="duration-over")
        self.work(lease, "run", start, start + duration, *hosts)
        return lease

    def suspended(
        self, number: int, starts: tuple[int, int], host: int, *, suspend: int, code: str
    ) -> Lease:
        """A lease of one node and 1000 s that runs from ``starts[0]`` on, is suspended from
        ``suspend`` on for 32 s, resumes at ``starts[1]`` in 32 s, and runs to its end."""
        first, again = starts
        lease = self.lease(Lease(number, "best-effort", first, 1000, preemptible=True))
        lease.then(first, "Queued", "Scheduled", "Ready", "Active")
        lease.then(suspend, "Suspending", code=code, reason="its hosts go to lease 9")
        lease.then(suspend + 32, "Suspended-Pending", "Suspended-Queued")
        lease.then(again, "Suspended-Scheduled", "Resuming")
        lease.then(again + 32, "Resumed-Ready", "Active")
        end = again + 32 + 1000 - (suspend - first)
        lease.then(end, "Done", code="duration-over")
        self.work(lease, "run", first, suspend, host)
        self.work(lease, "suspend", suspend, suspend + 32, host)
        self.work(lease, "resume", again, again + 32, host)
        self.work(lease, "run", again + 32, end, host)
        return lease

    def write(self, path: Path) -> Path:
        """Write the file."""
        with closing(sqlite3.connect(path)) as db, db:
            for statement in TABLES:
                db.execute(statement)
            db.executemany("INSERT INTO run VALUES (?, ?)", self.run.items())
            options = [(s, o, v) for (s, o), v in self.options.items()]
            db.executemany("INSERT INTO configuration VALUES (?, ?, ?)", options)
            hosts = [(i, f"host-{i + 1}", *CAPACITY) for i in range(self.hosts)]
            db.executemany("INSERT INTO hosts VALUES (?, ?, ?, ?)", hosts)
            states = [(*state, "") for state in self.host_states]
            db.executemany("INSERT INTO host_states VALUES (?, ?, ?, ?)", states)
            for lease in self.leases:
                _write_lease(db, lease)
            db.executemany(
                "INSERT INTO reservation_sets VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (lease, purpose, start, end, f"[{host}]", cpu, memory)
                    for lease, purpose, host, start, end, cpu, memory in self.rows
                ],
            )
        return path


def _write_lease(db: sqlite3.Connection, lease: Lease) -> None:
    last = lease.story[-1]
    db.execute(
        f"INSERT INTO leases VALUES ({', '.join('?' * 23)})",
        (
            lease.id,
            "",
            lease.kind,
            last[1],
            lease.nodes,
            lease.submitted,
            lease.start,
            lease.duration,
            next((t for t, state, _, _ in lease.story if state == "Active"), None),
            last[0] if last[1] in ("Done", "Rejected", "Cancelled", "Failed") else None,
            None,
            None,
            0,
            0,
            0,
            last[2],
            int(lease.preemptible),
            "",
            lease.image,
            lease.image_mb,
            last[3],
            lease.after,
            lease.deadline,
        ),
    )
    for i, (count, *node) in enumerate(lease.sets or [(lease.nodes, *lease.node)]):
        db.execute("INSERT INTO node_sets VALUES (?, ?, ?, ?, ?)", (lease.id, i, count, *node))
    story = [(lease.id, *change, _parameters(change[2])) for change in lease.story]
    db.executemany("INSERT INTO states VALUES (?, ?, ?, ?, ?, ?)", story)


def _parameters(reason: str) -> str:
    """The parameters of a reason: in these files, at most the lease that hosts go to."""
    lease = reason.removeprefix("its hosts go to lease ")
    return f'{{"lease": {lease}}}' if lease.isdecimal() else "{}"
