"""Moving beside binding: suspensions and waits of a month of jobs with reservations in between.

Each workload is played with the default settings and with ``remapping-effort: 0``, by which
nothing that was planned is given other hosts.

    python -m bench.moving DIRECTORY/30days.swf DIRECTORY/injected-30days/*.lwf

With ``--no-migration`` leases that were suspended are tied to the hosts that have their files.
"""

from __future__ import annotations

import json
import sqlite3
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from haizea.config import loads
from haizea.runtime import Simulation, Status

_TEXT = """[general]
loglevel: STATUS
[scheduling]
backfilling: aggressive
suspension: all
migration: {migration}
policy-preemption: ar-preempts-everything
{effort}
[simulation]
resources: 144 CPU:100 Memory:1024
[tracefile]
tracefile: {jobs}
injectionfile: {reservations}
[accounting]
probes: none
datafile: {results}
"""
_FIGURES = """SELECT sum(kind = 'ar' AND state = 'Done'), sum(suspensions),
    avg(CASE WHEN kind = 'best-effort' THEN waiting_time END) FROM leases"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one run: reservations kept, suspensions, seconds that jobs waited on average."""

    reservations: int
    suspensions: int
    mean_wait_seconds: int


def play(jobs: Path, reservations: Path, effort: str, migration: str) -> Figures:
    """Play jobs with reservations in between; ``effort`` is a line of the configuration."""
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        text = _TEXT.format(
            effort=effort,
            migration=migration,
            jobs=jobs,
            reservations=reservations,
            results=results,
        )
        outcome = Simulation(loads(text)).run()
        if outcome.status is not Status.COMPLETE:
            raise SystemExit(f"{reservations}: {outcome.message}")
        with closing(sqlite3.connect(results)) as db:
            kept, suspensions, wait = db.execute(_FIGURES).fetchone()
    return Figures(int(kept or 0), int(suspensions or 0), round(wait or 0))


def main(say: Callable[[str], None] = print) -> None:
    """Compare each workload that is named; print a line of JSON for each, and the sums."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("jobs", type=Path, help="a trace of jobs (SWF)")
    parser.add_argument("reservations", type=Path, nargs="+", help="workloads put in between")
    parser.add_argument(
        "--no-migration", action="store_true", help="suspended leases stay on their hosts"
    )
    asked = parser.parse_args()
    jobs, files = asked.jobs.resolve(), [file.resolve() for file in asked.reservations]
    migration = "no" if asked.no_migration else "yes"
    more = longer = 0
    for file in files:
        bound = play(jobs, file, "remapping-effort: 0", migration)
        moving = play(jobs, file, "", migration)
        more += moving.suspensions > bound.suspensions
        longer += moving.mean_wait_seconds > bound.mean_wait_seconds
        say(json.dumps({"workload": file.stem, "bound": asdict(bound), "moving": asdict(moving)}))
    say(json.dumps({"workloads": len(files), "more suspensions": more, "longer waits": longer}))


if __name__ == "__main__":
    main()
