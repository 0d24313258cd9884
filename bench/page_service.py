"""Parts of ``docs/performance.md`` on a large OpenNebula, and on a service with a deep queue."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from bench.tables import spread, table

_OPENNEBULA = """\
## A large OpenNebula

What Haizea takes to decide what becomes of VMs that wait, all of which it sees for the first time,
and of an event of one VM afterwards, in CPU time: medians of {runs} runs, with the least and the
most in brackets, by `python -m bench.opennebula`; load average {load_average} at the end, other
work on the machine included. The time to decide grows with exponent {exponent:.2f}.
"""

_DEEP = """\
## A deep queue

A service with {hosts} hosts where {waiting:,} leases of {sizes} sizes wait, by `python -m
bench.deep`; load average {load_average} at the end, other work on the machine included. Time is the
processor's that the service takes until there is an answer, reading the request and writing the
answer included.

One more lease that waits takes {median:.1f} ms, and {most:.1f} ms at most of {count} (aim: below
20 ms). Those that follow are as hard as the [bounds](api.md#bounds) let them be, and include the
answer to a small request of somebody else that comes next (aim: below 250 ms).
"""

_MANY = """\
Somebody asks for so many leases at once, each of as many sets of nodes as are taken. When has
somebody else an answer, who asks just then for one node?
"""


def large_opennebula(figures: Path) -> str:
    """The part on OpenNebula, if there are figures."""
    if not figures.exists():
        return ""
    result = json.loads(figures.read_text(encoding="utf-8"))
    rows = []
    for size in result["sizes"]:
        runs = size["runs"]
        decided = [run["decided_seconds"] for run in runs]
        events = [1000 * run["event_seconds"] for run in runs]
        rows.append(
            (
                f"{size['vms']:,}",
                f"{size['hosts']:,}",
                spread(median(decided), decided),
                spread(median(events), events, 1),
                f"{max(run['slowest_event_seconds'] for run in runs) * 1000:.0f}",
                f"{max(run['peak_mb'] for run in runs):.0f}",
            )
        )
    head = ("VMs", "hosts", "decided, s", "an event, ms", "the first one, ms", "MB")
    text = _OPENNEBULA.format(runs=len(result["sizes"][0]["runs"]), **result)
    return text + "\n" + table(head, rows)


def deep_queue(figures: Path) -> str:
    """The part on a deep queue, if there are figures."""
    if not figures.exists():
        return ""
    result = json.loads(figures.read_text(encoding="utf-8"))
    used = result["submissions_ms"]
    text = _DEEP.format(median=median(used), most=max(used), count=len(used), **result)
    hard = [
        (one["name"], one["outcome"], spread(median(one["runs_ms"]), one["runs_ms"], 0))
        for one in result["hard"]
    ]
    many = [
        (
            f"{one['count']}",
            spread(median(one["runs_ms"]), one["runs_ms"], 0),
            spread(median(one["runs_wall_ms"]), one["runs_wall_ms"], 0),
        )
        for one in result["many"]
    ]
    return "\n".join(
        [
            text,
            table(("request", "answer", "ms"), hard),
            _MANY,
            table(("requests at once", "ms of the processor", "ms by the clock"), many),
        ]
    )
