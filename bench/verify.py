"""Tests of a run's schedule, before its speed is believed and reported."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from bench.measure import ChildFailed, Usage, run

#: The checker tests this many reservations a second at the very least.
CHECK_SECONDS = 1800


def fault_by_rules(datafile: Path) -> tuple[str, Usage | None]:
    """Return what ``check-schedule`` finds in a results file, and what it takes.

    That is in a few words; empty if it finds nothing.
    """
    try:
        usage, printed = run([sys.executable, "-m", "bench.verify", str(datafile)], CHECK_SECONDS)
    except ChildFailed as error:
        return f"check-schedule failed: {error}", None
    found = json.loads(printed)
    if not found["violations"]:
        return "", usage
    said = f"check-schedule finds {found['violations']} violations, first: {found['first']}"
    return said, usage


def fault_by_starts(datafile: Path, expected: dict[str, int], of: str) -> str:
    """Return what is wrong with the start times, compared with those expected; or empty."""
    found = starts_in(datafile)
    if found.keys() != expected.keys():
        return f"the leases are not the {len(expected)} jobs of {of}"
    others = [label for label, start in expected.items() if found[label] != start]
    if not others:
        return ""
    first = others[0]
    return (
        f"{len(others)} of {len(expected)} leases start at another time than {of} says;"
        f" {first} at {found[first]} s rather than {expected[first]} s"
    )


def starts_in(datafile: Path) -> dict[str, int | None]:
    """Return when each lease started, by label, in seconds after the start of the run."""
    with closing(sqlite3.connect(datafile)) as db:
        (begun,) = db.execute("SELECT value FROM run WHERE key = 'started'").fetchone()
        rows = db.execute("SELECT label, started FROM leases").fetchall()
    return {label: None if start is None else start - int(begun) for label, start in rows}


def reference_starts(path: Path) -> dict[str, int]:
    """The reference's start times, by job."""
    with path.open(newline="", encoding="utf-8") as lines:
        return {row["job"]: int(row["start"]) for row in csv.DictReader(lines)}


def yardstick_starts(path: Path, trace: Path) -> dict[str, int]:
    """The start times that a yardstick wrote, by job of the trace."""
    with trace.open(encoding="ascii") as lines:
        jobs = [line.split(maxsplit=1)[0] for line in lines if not line.startswith(";")]
    starts = path.read_text(encoding="ascii").split()
    return {job: int(start) for job, start in zip(jobs, starts, strict=True)}


def _main(datafile: str) -> None:
    """Check in this process, and print what was found as JSON."""
    from haizea.checker import check_file

    violations = check_file(Path(datafile)).violations
    first = str(violations[0]) if violations else ""
    print(json.dumps({"violations": len(violations), "first": first}))


if __name__ == "__main__":
    _main(sys.argv[1])
