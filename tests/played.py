"""A trace run through the program, and what happened, from its log and its results file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from haizea.checker import check_file
from haizea.cli.run_command import run_configuration

START = 1_164_459_600  # 2006-11-25 13:00:00, the default of starttime

Sections = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Lease:
    """The outcome of a lease; times are seconds since the start of the run."""

    kind: str
    state: str
    nodes: int
    started: int | None
    ended: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """An operation of a lease, from ``start`` to ``end``, on these hosts (by number, from 1)."""

    purpose: str
    start: int
    end: int
    hosts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """A finished run. ``log`` has its decisions in words, one in a line."""

    log: str
    leases: dict[int, Lease]
    stretches: dict[int, list[Stretch]]

    def of(self, lease: int, purpose: str) -> list[Stretch]:
        """Return what a lease did of one kind, in order of time."""
        return [s for s in self.stretches.get(lease, []) if s.purpose == purpose]

    def times(self, lease: int) -> list[tuple[str, str, str]]:
        """Everything that a lease did, and when: hours, minutes, seconds from the start."""
        return [(s.purpose, clock(s.start), clock(s.end)) for s in self.stretches.get(lease, [])]

    def runs(self, lease: int) -> list[tuple[str, str]]:
        """Return when a lease ran."""
        return [(clock(s.start), clock(s.end)) for s in self.of(lease, "run")]

    def states(self) -> dict[str, int]:
        """Return how many leases ended in which state."""
        states = [lease.state for lease in self.leases.values()]
        return {state: states.count(state) for state in sorted(set(states))}


def clock(seconds: int) -> str:
    """``5430`` → ``1:30:30``."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def text(sections: Sections) -> str:
    """A configuration file with these sections."""
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{option}: {value}" for option, value in options.items()]
    return "\n".join(lines) + "\n"


def play(directory: Path, sections: Sections, loglevel: str = "VDEBUG") -> Played:
    """Run the configuration in ``directory``; the checker must find nothing in its results."""
    datafile, logfile = directory / "results", directory / "log"
    written = {name: dict(options) for name, options in sections.items()}
    written.setdefault("general", {}).update(loglevel=loglevel, logfile=str(logfile))
    written.setdefault("accounting", {})["datafile"] = str(datafile)
    path = directory / "haizea.conf"
    path.write_text(text(written), encoding="utf-8")
    assert run_configuration(path, quiet=True) == 0
    report = check_file(datafile)
    assert not report.violations, "\n".join(str(v) for v in report.violations)
    return Played(logfile.read_text(encoding="utf-8"), *_results(datafile))


def _results(datafile: Path) -> tuple[dict[int, Lease], dict[int, list[Stretch]]]:
    with closing(sqlite3.connect(datafile)) as db:
        leases = {
            number: Lease(kind, state, nodes, since_start(started), since_start(ended), reason)
            for number, kind, state, nodes, started, ended, reason in db.execute(
                "SELECT lease, kind, state, nodes, started, ended, reason FROM leases"
            )
        }
        hosts: dict[tuple[int, str, int, int], list[int]] = {}
        for lease, purpose, host, start, end in db.execute(
            'SELECT lease, purpose, host, start, "end" FROM reservations WHERE lease IS NOT NULL'
        ):
            hosts.setdefault((lease, purpose, start, end), []).append(host + 1)
    stretches: dict[int, list[Stretch]] = {}
    for (lease, purpose, start, end), where in sorted(
        hosts.items(), key=lambda item: (item[0][2], item[0][3])
    ):
        stretch = Stretch(purpose, start - START, end - START, tuple(sorted(where)))
        stretches.setdefault(lease, []).append(stretch)
    return leases, stretches


def since_start(seconds: int | None) -> int | None:
    """Seconds since the start of the run, of seconds since the epoch."""
    return None if seconds is None else seconds - START
