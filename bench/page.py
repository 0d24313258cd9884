"""Writes ``docs/performance.md`` and its pictures from the figures, and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.cases import TARGETS
from bench.page_missed import missed
from bench.page_service import deep_queue, large_opennebula
from bench.page_tried import TRIED
from bench.plot import growth, speeds
from bench.report import FIGURES
from bench.speed import sentence, there, times_as_long
from bench.tables import spread, table

DOCS = Path(__file__).resolve().parent.parent / "docs"
_RESULTS = Path(__file__).resolve().parent / "results"
WEB, STUDY = _RESULTS / "web.json", _RESULTS / "study.json"
CHANGES, REMAPPING = _RESULTS / "changes.json", _RESULTS / "remapping.json"

_ABOUT = """\
# Performance

Written by `python -m bench` from [`bench/results/full.json`](../bench/results/full.json),
not by hand.

How many leases a second does a simulation get through? A *lease per CPU second* counts all that
the `haizea run` process takes, user and system time: starting Python, reading the trace, scheduling
on hosts, and saving every state, reservation and counter. Figures are medians of up to
{repeats}, with the least and the most in brackets. *Yardsticks* run in turn with it, on the
same machine. Two are simulators of EASY and conservative backfilling in plain Python that count
free nodes and know nothing else ([`bench/yardsticks.py`](../bench/yardsticks.py)); where nodes
differ, the latter counts what all hosts have free together of each type of resources. Their time is
that of the simulation alone, so that a ratio to them is the price of everything that a lease
manager is, start-up included; in brackets stands the ratio to their whole process, which starts
Python and reads the trace too. The third is for *full records*: it reads the trace, simulates EASY
on hosts and writes every row that Haizea writes, in one process that decides nothing else
([`bench/records.py`](../bench/records.py)). The target for it is a factor of 2.

No figure is shown of a run that `haizea check-schedule` faults, whose start times differ from the
shared reference or the yardstick's in a single lease, or that comes out different when repeated.

```
python -m bench --compile    # some hours: every case three times, the hard ones too
python -m bench --quick      # a minute or two
python -m bench --only ars-ahead --renew    # rows of this page anew: cases or axes
python -m bench.opennebula; python -m bench.deep; python -m bench --page    # parts of their own
python -m bench --help
```

*Compiled* are the figures of the [optional build](decisions/0008-compiling-the-core.md) whose
busiest modules are compiled; what it records is the same to the byte, or there is no figure.

*Recording* is the part of a run that goes where no results file is asked for; in brackets, with the
default probes, whose counters over time are recorded too.

*check-schedule* is what testing the results takes: CPU seconds, how many times the run's, and
memory.

Measured with Python {python} ({build}), SQLite {sqlite}, {system} {architecture},
{processors} processors, load average {load_average}.
"""

_TIME = """\
## Where the time goes

Shares of a run's time, by room, under Python's profiler. It makes small calls dearer than they
are, so this shows where to look rather than what could be saved. *Everything else* is mostly
importing modules.
"""

_CHANGES = """\
## Changes of leases

How long the core takes to decide on a change on {hosts} hosts that {leases:,} reservations fill, in
ms of processor time, and how many are granted, by `python -m bench.changes`; load average
{load_average} at the end, other work on the machine included. The aim is 20 ms, which
{within_percent} % meet: {median_ms} ms in the middle of all, {worst_ms} ms at worst.
"""

_CHANGES_BESIDE = """\
On {hosts} hosts with {leases:,} reservations {within_percent} % meet it: {median_ms} ms in the
middle, {worst_ms} ms at worst.
"""

_REMAPPING = """\
## Big reservations on a full site

How long the core takes to decide on one AR of 100 nodes on {hosts:,} hosts that some 50,000
reservations fill to 97 %, in ms of processor time, by `python -m bench.remapping`; load average
{load_average} at the end, other work on the machine included. The aims are 20 ms where there is
room as it is, and 250 ms in the worst case where others have to get other hosts for it.
"""

_WEB = """\
## The web interface

A service with {hosts:,} hosts and {reservations:,} advance reservations over a week, in Chromium
without a graphics processor, by `python -m bench.web`; load average {load_average} at the end,
other work on the machine included.

| what | figure | target |
| --- | --- | --- |
| the timeline of a week is there, the first time | {first_seconds} s | < 1 s |
| the same again, while nothing has changed | {again_seconds} s | < 1 s |
| pictures a second while it is dragged | {frames} | ≥ 30 |
| with low rows, of which more than twice as many are seen | {low_frames} | ≥ 30 |
| answer to a request for a lease, nobody looking | {alone_ms} ms | |
| the same with {pages} clients that do what open pages do | {beside_ms} ms | |
| how much slower that is: the middle of {pairs} pairs | {slower_percent} % | < 10 % |
| where it lies with a certainty of 95 % | {slower_low_percent} to {slower_high_percent} % | |
| how far two turns of the same kind differ, in the middle | {same_kind_percent} % | |
| processor time of the service for each answer, nobody looking | {cpu_alone_ms} ms | |
| the same with these clients, all that they are given included | {cpu_beside_ms} ms | |
| share of a processor, without and with them | {cpu_alone_percent} %, {cpu_beside_percent} % | |
| timelines that these clients had asked for and got, a second | {loads_per_second} | |

Turns of four seconds with pages and without follow each other, {answers:,} answers in all, so that
other work on the machine counts on both sides; the service and the pages are processes of their
own. A difference smaller than that between two turns of the same kind means nothing. Where the
interval reaches beyond the target, it is open whether the target is met; only an idle machine can
tell. Processor time does not depend on what else the machine does.
"""

_STUDY = """\
## Studies

Studies of {few:,} and {many:,} small runs, of five jobs each, one at a time, by
`python -m bench.study`; load average {load_average} at the end, other work on the machine
included. CPU time is that of the command and its worker together.

| what | figure | target |
| --- | --- | --- |
| a run, all told | {each_ms} ms | |
| the same simulation without a study | {itself_ms} ms | |
| what the study adds to each | {beside_ms} ms | < 50 ms |
| memory of the largest process, {few:,} runs | {few_peak_mb} MB | |
| the same, {many:,} runs | {many_peak_mb} MB | bounded |
"""

_GROWTH = """\
## How it grows

The exponent is the slope of CPU time over size, both logarithmic, with the time to start up
taken off: 1 is in proportion, 0 is no growth. More happens to a lease the more there are beside it,
which may be suspended for each of them; *over states* is the slope over all the states that
leases came into.
"""

_WORKLOADS = """\
## What is measured

Blue Horizon's traces are the normalised extracts of the shared data. The *60-day-like* one is the
30-day trace and, 30 days on, the same trace again: 10,216 jobs. The others are generated, from a
fixed seed, by the Lublin–Feitelson model, with run times rounded up to what people ask for
(`haizea generate-workload --estimate round`). VM requests have 1 to 128 nodes of one of 20 sizes,
on hosts of three sizes (half of 16 cores, the rest of 32 and 64), and come so much faster on more
hosts that the load is the same. For the depth of the queue, the same jobs come in groups. *One AR*
of 100 nodes is asked for where 10,000 hosts hold 50,000 reservations: 5,000 ARs of 10 hosts each
over two days.
"""


def write_page(result: Mapping[str, Any]) -> None:
    """Write the page and its pictures."""
    shown = [c for c in result["cases"] if "refused" not in c or not c["refused"]]
    limits = {t.subject: t.limit for t in TARGETS if t.figure == "leases_per_second"}
    images = DOCS / "images"
    images.mkdir(exist_ok=True)
    main = [c for c in shown if c["leases"] > 1]
    _write(images / "performance.svg", speeds(main, limits))
    _write(images / "performance-growth.svg", growth(result["axes"]))
    repeats = max((len(c["runs_cpu_seconds"]) for c in shown), default=0)
    times = times_as_long(shown)
    parts = [
        _ABOUT.format(
            repeats=f"{repeats} runs", **{"build": "build not noted", **result["machine"]}
        ),
        "## Targets\n",
        sentence(times),
        _targets(result["targets"], times),
        "## Workloads\n",
        "![Leases per CPU second](images/performance.svg)\n",
        _cases(shown, times),
        _refusals(result["cases"]),
        _GROWTH,
        "![Growth](images/performance-growth.svg)\n",
        _axes(result["axes"]),
        missed(shown, result["axes"], times),
        _TIME,
        _profiles(result["profiles"]),
        TRIED,
        _remapping(REMAPPING),
        _changes(CHANGES),
        large_opennebula(_RESULTS / "opennebula.json"),
        deep_queue(_RESULTS / "deep.json"),
        _more(_WEB, WEB),
        _more(_STUDY, STUDY),
        _WORKLOADS,
    ]
    _write(DOCS / "performance.md", "\n".join(part for part in parts if part))


def _more(text: str, figures: Path) -> str:
    """A part whose figures are measured by themselves, if there are any."""
    if not figures.exists():
        return ""
    return text.format(**json.loads(figures.read_text(encoding="utf-8")))


def _changes(figures: Path) -> str:
    """A part on changes of leases, by the kind of change, of which the figures are there."""
    if not figures.exists():
        return ""
    result, parts = json.loads(figures.read_text(encoding="utf-8")), list[str]()
    for site in result["sites"]:
        text = _CHANGES if not parts else _CHANGES_BESIDE
        rows = [
            (
                k["kind"],
                f"{k['granted']} of {k['changes']}",
                f"{k['median_ms']}",
                f"{k['worst_ms']}",
            )
            for k in site["kinds"]
        ]
        parts.append(text.format(load_average=result["load_average"], **site))
        parts.append(table(("the lease", "granted", "median ms", "worst ms"), rows))
    return "\n".join(parts)


def _remapping(figures: Path) -> str:
    """A part on big reservations, by site and outcome, of which the figures are there."""
    if not figures.exists():
        return ""
    result = json.loads(figures.read_text(encoding="utf-8"))
    rows = [
        (
            f"{site['site']}; {site['reservations']:,} reservations",
            found["outcome"],
            f"{found['count']}",
            f"{found['median_ms']}",
            f"{found['worst_ms']}",
        )
        for site in result["sites"]
        for found in site["outcomes"]
        if found["count"]
    ]
    head = ("site", "outcome", "requests", "median ms", "worst ms")
    return "\n".join([_REMAPPING.format(**result), table(head, rows)])


def _targets(entries: Iterable[Mapping[str, Any]], times: float | None) -> str:
    rows = []
    for entry in entries:
        value, figure = entry["value"], entry["figure"]
        elsewhere = None if times is None or value is None else there(figure, value, times)
        rows.append(
            (
                *[entry[name] for name in ("subject", "what", "target", "measured")],
                "" if elsewhere is None else FIGURES[figure][1].format(elsewhere),
                *[entry.get(name, "") for name in ("verdict", "compiled")],
            )
        )
    head = ("what", "figure", "target", "measured", "there", "", "compiled")
    return table(head, rows)


def _cases(cases: Iterable[Mapping[str, Any]], times: float | None) -> str:
    rows = []
    for case in cases:
        yardstick, records = case["yardstick"], case.get("records_ratio")
        fast = case.get("compiled_leases_per_second")
        recording, plain = case["recording_share"], case["plain_recording_share"]
        rows.append(
            (
                f"`{case['name']}`: {case['title']}",
                f"{case['leases']:,}",
                spread(case["cpu_seconds"], case["runs_cpu_seconds"]),
                f"{case['leases_per_second']:,.0f}",
                "" if times is None else f"{case['leases_per_second'] * times:,.0f}",
                "" if fast is None else f"{fast:,.0f}",
                f"{case['yardstick_ratio']:.1f} ({case['process_ratio']:.1f})" if yardstick else "",
                "" if records is None else f"{records:.1f}",
                "" if recording is None else f"{plain:.0%} ({recording:.0%})",
                f"{case['peak_mb']:,.0f}",
                _check(case),
            )
        )
    head = (
        "workload",
        "leases",
        "CPU s",
        "leases/s",
        "there",
        "compiled",
        "× yardstick (× its process)",
        "× full records",
        "recording (with probes)",
        "MB",
        "check-schedule",
    )
    return table(head, rows)


def _check(case: Mapping[str, Any]) -> str:
    """Return what testing the results takes."""
    seconds = case.get("check_cpu_seconds")
    if seconds is None:
        return ""
    return f"{seconds:.2f} s, {case['check_ratio']:.1f} ×, {case['check_peak_mb']:,.0f} MB"


def _refusals(cases: Iterable[Mapping[str, Any]]) -> str:
    rows = [(f"`{c['name']}`", c["refused"]) for c in cases if c.get("refused")]
    return "No figures of:\n\n" + table(("workload", "because"), rows) if rows else ""


def _axes(axes: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for axis in axes:
        points = ", ".join(f"{p['amount']:,}: {p['cpu_seconds']:.2f} s" for p in axis["points"])
        slopes = (axis["exponent"], axis.get("exponent_over_states"))
        rows.append(
            (axis["title"], points, *["–" if slope is None else f"{slope:.2f}" for slope in slopes])
        )
    return table(("what grows", "CPU seconds", "exponent", "over states"), rows)


def _profiles(profiles: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    names = dict.fromkeys(room for found in profiles.values() for room in found["rooms"])
    rows = [
        (room, *(f"{found['rooms'].get(room, 0):.0%}" for found in profiles.values()))
        for room in names
    ]
    parts = [table(("", *(f"`{name}`" for name in profiles)), rows)]
    for name, found in profiles.items():
        most = ", ".join(f"`{f}` {share:.0%}" for f, share in found["functions"].items())
        parts.append(f"Functions that themselves take most of `{name}`: {most}.\n")
    return "\n".join(parts)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
