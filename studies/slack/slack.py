"""The worth of slack: a day of reservations that may begin later, by so many hours.

    python studies/slack/slack.py

makes days of requests, plays each with every slack, and writes results.csv beside this file, the
table of docs/deadlines.md and its picture. A request names hosts, a start and a duration; with a
slack of h hours it may begin up to h hours later. Without slack it is an advance reservation, else
a lease with a deadline. Nothing else is asked of the site.
"""

from __future__ import annotations

import csv
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from random import Random

from haizea.config import loads
from haizea.core.model.lease import Kind, Nodes
from haizea.runtime import Simulation
from haizea.workloads.model import (
    DEFAULT_AMOUNTS,
    Workload,
    WorkloadLease,
    WorkloadSite,
    by_arrival,
)

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
RESULTS = HERE / "results.csv"
PICTURE = "images/slack.svg"

HOSTS = 32
HOUR_SECONDS, DAY_SECONDS = 3600, 86400
SLACKS_HOURS = (0, 1, 4, 12)
#: What is asked for, as a share of all that the hosts can do in a day.
DEMANDS = (0.6, 0.9, 1.2)
DAYS = range(1, 11)
WIDTHS = (1, 2, 4, 8, 16)

_CONFIGURATION = """\
[general]
mode: simulated
[simulation]
clock: simulated
resources: in-tracefile
starttime: 2026-01-01 00:00:00
[tracefile]
tracefile: day
[accounting]
datafile: {datafile}
"""
_MARKS = ("<!-- the table of studies/slack -->\n", "<!-- the end of the table -->\n")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A day with one slack. ``utilization`` is that of its 24 hours; hours are nodes' hours."""

    demand: float
    day: int
    slack_hours: int
    asked: int
    accepted: int
    asked_hours: float
    accepted_hours: float
    utilization: float


def day_of(demand: float, day: int, slack_hours: int) -> Workload:
    """A day's requests: the same for every slack but for that."""
    rng, leases, asked = Random(f"{demand} {day}"), [], 0
    while asked < demand * HOSTS * DAY_SECONDS:
        count = rng.choice(WIDTHS)
        duration = rng.randrange(HOUR_SECONDS // 2, 6 * HOUR_SECONDS, 300)
        start = rng.randrange(0, DAY_SECONDS, 300)
        arrival = max(0, start - rng.randrange(HOUR_SECONDS // 2, 12 * HOUR_SECONDS))
        asked += count * duration
        slack = slack_hours * HOUR_SECONDS
        leases.append(
            WorkloadLease(
                arrival_seconds=arrival,
                kind=Kind.DEADLINE if slack else Kind.AR,
                start=None if slack else start,
                after=start if slack else None,
                deadline=start + duration + slack if slack else None,
                nodes=(Nodes(count, DEFAULT_AMOUNTS),),
                duration=duration,
            )
        )
    site = WorkloadSite(tuple(DEFAULT_AMOUNTS), (Nodes(HOSTS, DEFAULT_AMOUNTS),))
    return Workload("day", by_arrival(leases), site=site)


def play(demand: float, day: int, slack_hours: int) -> Outcome:
    """Play a day; the same each time."""
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "day.results"
        config = loads(_CONFIGURATION.format(datafile=data), Path(directory) / "haizea.conf")
        Simulation(config, workload=day_of(demand, day, slack_hours)).run()
        with closing(sqlite3.connect(data)) as db:
            leases = db.execute("SELECT nodes, duration, state FROM leases").fetchall()
            begin = int(db.execute("SELECT value FROM run WHERE key = 'started'").fetchone()[0])
            query = "SELECT start, \"end\" FROM reservations WHERE purpose = 'run'"
            runs = [(start - begin, end - begin) for start, end in db.execute(query)]
    taken = [lease for lease in leases if lease[2] == "Done"]
    busy = sum(max(0, min(end, DAY_SECONDS) - start) for start, end in runs)
    return Outcome(
        demand=demand,
        day=day,
        slack_hours=slack_hours,
        asked=len(leases),
        accepted=len(taken),
        asked_hours=round(sum(n * d for n, d, _ in leases) / HOUR_SECONDS, 2),
        accepted_hours=round(sum(n * d for n, d, _ in taken) / HOUR_SECONDS, 2),
        utilization=round(busy / (HOSTS * DAY_SECONDS), 4),
    )


def read_outcomes(path: Path) -> list[Outcome]:
    """The outcomes that were written."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Outcome(
                demand=float(row["demand"]),
                day=int(row["day"]),
                slack_hours=int(row["slack_hours"]),
                asked=int(row["asked"]),
                accepted=int(row["accepted"]),
                asked_hours=float(row["asked_hours"]),
                accepted_hours=float(row["accepted_hours"]),
                utilization=float(row["utilization"]),
            )
            for row in csv.DictReader(file)
        ]


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes as a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        names = [field.name for field in fields(Outcome)]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(outcome) for outcome in outcomes)


def means(outcomes: Sequence[Outcome], demand: float, slack_hours: int) -> tuple[float, ...]:
    """Shares of the requests and of the hours that are accepted, and utilization, over all days."""
    mine = [x for x in outcomes if (x.demand, x.slack_hours) == (demand, slack_hours)]
    return (
        sum(x.accepted for x in mine) / sum(x.asked for x in mine),
        sum(x.accepted_hours for x in mine) / sum(x.asked_hours for x in mine),
        sum(x.utilization for x in mine) / len(mine),
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """The table of the page, in Markdown."""
    lines = [
        "| asked for | slack | requests accepted | hours accepted | utilization of the day |",
        "| --- | --- | --- | --- | --- |",
    ]
    for demand in DEMANDS:
        for slack in SLACKS_HOURS:
            shares = [f"{share:.1%}" for share in means(outcomes, demand, slack)]
            name = f"{slack} h" if slack else "none (ARs)"
            lines.append(f"| {demand:.0%} | {name} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


def picture(outcomes: Sequence[Outcome]) -> bytes:
    """The same as a figure, SVG."""
    import pandas as pd
    from matplotlib.axes import Axes

    from haizea.study.style import COLOURS, DASHES, MARKERS, Chart, rendered

    def draw(axes: Axes) -> None:
        for index, demand in enumerate(DEMANDS):
            accepted, _, busy = zip(
                *(means(outcomes, demand, s) for s in SLACKS_HOURS), strict=True
            )
            for values, dash, what in ((accepted, 0, "accepted"), (busy, 2, "utilization")):
                axes.plot(
                    SLACKS_HOURS,
                    [100 * value for value in values],
                    color=COLOURS[index],
                    marker=MARKERS[index],
                    linestyle=DASHES[dash],
                    label=f"{what}, {demand:.0%} asked for",
                )
        axes.set_xticks(SLACKS_HOURS)
        axes.set_xlabel("slack (hours)")
        axes.set_ylabel("%")
        axes.set_ylim(0, 100)
        axes.legend(ncols=len(DEMANDS), loc="lower center", fontsize=7)

    data = pd.DataFrame([asdict(outcome) for outcome in outcomes])
    title = "A day of reservations: accepted, and utilization"
    return rendered(Chart("slack", title, title, data, draw), "svg")


def with_table(page: str, outcomes: Sequence[Outcome]) -> str:
    """The page with this table in the place of the one that it has."""
    begin, end = _MARKS
    found = re.escape(begin) + ".*?" + re.escape(end)
    text, count = re.subn(
        found, lambda _: begin + "\n" + table(outcomes) + "\n" + end, page, flags=re.S
    )
    assert count == 1, "the page has one place for the table"
    return text


def write(docs: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the table into the page, and the picture, below ``docs``."""
    page = docs / "deadlines.md"
    page.write_text(with_table(page.read_text(encoding="utf-8"), outcomes), encoding="utf-8")
    (docs / "images").mkdir(exist_ok=True)
    (docs / PICTURE).write_bytes(picture(outcomes))


if __name__ == "__main__":
    if sys.argv[1:]:
        raise SystemExit(__doc__)
    write_outcomes(
        RESULTS, [play(demand, day, s) for demand in DEMANDS for day in DAYS for s in SLACKS_HOURS]
    )
    write(DOCS, read_outcomes(RESULTS))
