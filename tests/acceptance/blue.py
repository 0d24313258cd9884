"""Runs on Blue Horizon's 144 hosts, and what the tests want to know of them.

Everything is read from the results file, as a user would.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shared_data import shared

from haizea.checker import check_file
from haizea.config import loads
from haizea.runtime import Simulation, Status

START = 1_164_459_600  # 2006-11-25 13:00:00, the default of starttime
HOSTS = 144

Sections = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Row:
    """A lease as the results file has it; times are seconds since the start of the run."""

    lease: int
    label: str
    kind: str
    state: str
    nodes: int
    submitted: int
    requested_start: int | None
    started: int | None
    ended: int | None
    duration: int
    reason: str
    code: str

    @property
    def has_ended(self) -> int:
        """The moment at which it ended, which it must have."""
        assert self.ended is not None, f"lease {self.lease} has not ended"
        return self.ended

    @property
    def has_started(self) -> int:
        """The moment at which it first started, which it must have."""
        assert self.started is not None, f"lease {self.lease} has not started"
        return self.started


@dataclass(frozen=True, slots=True)
class Results:
    """A finished run."""

    datafile: Path
    leases: tuple[Row, ...]

    def of_kind(self, kind: str) -> list[Row]:
        """The leases of a kind, by number."""
        return [row for row in self.leases if row.kind == kind]


def configuration(sections: Sections) -> str:
    """The text of a configuration for 144 hosts, with these options beside."""
    written: dict[str, dict[str, str]] = {
        "general": {"loglevel": "STATUS"},
        "simulation": {"resources": f"{HOSTS} CPU:100 Memory:1024"},
        "accounting": {"probes": "none"},
    }
    for section, options in sections.items():
        written.setdefault(section, {}).update(options)
    lines = []
    for section, options in written.items():
        lines.append(f"[{section}]")
        lines += [f"{option}: {value}" for option, value in options.items()]
    return "\n".join(lines) + "\n"


def blue(path: str) -> str:
    """A file of Blue Horizon's traces, for a configuration."""
    return str(shared(f"blue/{path}"))


def simulate(directory: Path, sections: Sections) -> Results:
    """Run to the end and read the results; the checker must find nothing in them."""
    datafile = directory / "results"
    accounting = {"probes": "none", "datafile": str(datafile)}
    config = loads(configuration({**sections, "accounting": accounting}))
    outcome = Simulation(config).run()
    assert outcome.status is Status.COMPLETE, outcome.message
    report = check_file(datafile)
    assert not report.violations, "\n".join(str(v) for v in report.violations[:20])
    return Results(datafile, tuple(leases_in(datafile)))


def leases_in(datafile: Path) -> list[Row]:
    """Every lease of the results file, by number."""
    with closing(sqlite3.connect(datafile)) as db:
        rows = db.execute(
            "SELECT lease, label, kind, state, nodes, submitted, requested_start,"
            " started, ended, duration, reason, code FROM leases ORDER BY lease"
        ).fetchall()
    return [Row(*row[:5], *map(_since_start, row[5:9]), *row[9:]) for row in rows]


def _since_start(seconds: int | None) -> int | None:
    return None if seconds is None else seconds - START
