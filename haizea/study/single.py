"""Figures of a single run, from its results file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from haizea.accounting.errors import ResultsError
from haizea.accounting.reader import Results
from haizea.study.statistics import Distribution
from haizea.study.style import COLOURS, Chart, time_unit
from haizea.times import format_utc

#: The most bars of a Gantt chart that can be told apart; of more, the first are drawn.
MOST_BARS = 4000

#: What a bar of the Gantt chart shows: colour, hatching that print shows, too, and words.
_BARS = {
    "best-effort": (COLOURS[2], "", "best-effort"),
    "ar": (COLOURS[0], "////", "AR"),
    "immediate": (COLOURS[4], "....", "immediate"),
    "suspend": (COLOURS[3], "", "suspending"),
    "resume": ("#F0E442", "", "resuming"),
    "migrate": (COLOURS[1], "", "migrating"),
    "transfer": (COLOURS[5], "", "image transfer"),
    "prepare": ("#A8D5F2", "", "starting VMs"),
    "shutdown": ("#7F7F7F", "", "shutting down"),
    "outage": ("#222222", "xxxx", "outage"),
}


def utilization(results: Results) -> Chart:
    """CPU utilization over time."""
    data = _counter(results, "CPU utilization")

    def draw(axes: Axes) -> None:
        _draw_steps(axes, data)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylim(0, 1.02)

    mean = results.figures().get("cpu-utilization", 0)
    alt = f"CPU utilization over time; {mean:.1%} on average."
    return Chart("utilization", _titled(results, "CPU utilization"), alt, data, draw)


def queue(results: Results) -> Chart:
    """The length of the queue over time."""
    data = _counter(results, "Queue size")

    def draw(axes: Axes) -> None:
        _draw_steps(axes, data)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("leases that wait")

    most = data["value"].max()
    alt = f"Length of the queue over time; {most:g} lease{'' if most == 1 else 's'} at most."
    return Chart("queue", _titled(results, "Length of the queue"), alt, data, draw)


def waits(results: Results) -> Chart:
    """The distribution of the waiting time of best-effort leases that were completed."""
    return _distribution(results, "waiting_time", "waiting time", "seconds")


def slowdown(results: Results) -> Chart:
    """The distribution of their bounded slowdown."""
    return _distribution(results, "slowdown", "bounded slowdown", "")


def gantt(results: Results) -> Chart:
    """Hosts by time, and what each is reserved for: all of it, or what can be told apart."""
    kinds = {row[0]: str(row[1]) for row in results.rows("SELECT lease, kind FROM leases")}
    rows = []
    for lease, purpose, host, start, end in results.rows(
        'SELECT lease, purpose, host, start, "end" FROM reservations'
        f' WHERE "end" > start ORDER BY start, host LIMIT {MOST_BARS + 1}'
    ):
        shown = kinds.get(lease, "best-effort") if purpose == "run" else str(purpose)
        rows.append([lease, shown, host, start, end])
    if not rows:
        raise ResultsError(f"{results.path}: no lease ever held a host: there is nothing to draw")
    start = int(results.run["started"])
    until = int(results.run["ended"])
    if len(rows) > MOST_BARS:
        until = rows.pop()[3]
    data = pd.DataFrame(rows, columns=["lease", "shown", "host", "start", "end"])
    data[["start", "end"]] -= start
    hosts = next(iter(results.rows("SELECT COUNT(*) FROM hosts")))[0]
    whole = until == int(results.run["ended"])
    alt = (
        f"Gantt chart of {hosts} hosts{'' if whole else ', the first part of the run'}:"
        f" {len(data)} reservations of {data['lease'].nunique()} leases, until"
        f" {format_utc(until)}."
    )
    return Chart(
        name="gantt",
        title=_titled(results, "Hosts by time"),
        alt=alt,
        data=data,
        draw=_gantt_drawing(data, int(hosts), until - start),
        height_inches=min(6.5, max(2.6, 1.4 + 0.16 * hosts)),
        note="" if whole else f"The first {MOST_BARS} reservations of the run.",
    )


#: The figures of a run, by the name that users see.
FIGURES: dict[str, Callable[[Results], Chart]] = {
    "utilization": utilization,
    "queue": queue,
    "waits": waits,
    "slowdown": slowdown,
    "gantt": gantt,
}


def _titled(results: Results, what: str) -> str:
    workload = results.run.get("workload")
    return f"{what}, {workload}" if workload else what


def _counter(results: Results, name: str) -> pd.DataFrame:
    rows = results.rows(
        "SELECT time, value FROM counters WHERE counter = ? ORDER BY rowid",
        [results.counter(name)],
    )
    start = int(results.run["started"])
    found: list[list[Any]] = []
    for time, value in rows:
        # Of several values at one moment, the last is what holds.
        if found and found[-1][0] == time - start:
            found[-1][1] = value
        else:
            found.append([time - start, value])
    end = int(results.run["ended"]) - start
    if found and found[-1][0] < end:
        found.append([end, found[-1][1]])
    return pd.DataFrame(found, columns=["seconds", "value"])


def _draw_steps(axes: Axes, data: pd.DataFrame) -> None:
    unit, name = time_unit(data["seconds"].tolist())
    x = data["seconds"] / unit
    axes.fill_between(x, data["value"], step="post", color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.step(x, data["value"], where="post", linewidth=0.9)
    axes.set_xlabel(f"time ({name})")
    axes.set_xlim(0, x.iloc[-1] or 1)


def _distribution(results: Results, column: str, title: str, unit: str) -> Chart:
    found = Distribution(1.0)
    query = (
        f"SELECT {column} FROM leases WHERE kind = 'best-effort' AND state = 'Done'"
        f" AND {column} IS NOT NULL"
    )
    found.add([row[0] for row in results.rows(query)])
    if not found.count:
        raise ResultsError(
            f"{results.path}: no best-effort lease was completed: there is nothing to draw"
        )
    data = pd.DataFrame(found.shares(), columns=[f"{column}_up_to", "share"])

    def draw(axes: Axes) -> None:
        axes.step(data.iloc[:, 0], data["share"], where="post")
        axes.set_xscale("log")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel(unit or title)
        axes.set_ylabel("share of leases")

    half = data[data["share"] >= 0.5].iloc[0, 0]
    alt = f"Distribution of the {title}; half of {found.count} leases up to {half:.3g} {unit}"
    return Chart(
        column.replace("_", "-"),
        _titled(results, f"Distribution of the {title}"),
        f"{alt.strip()}.",
        data,
        draw,
    )


def _gantt_drawing(data: pd.DataFrame, hosts: int, seconds: int) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        unit, name = time_unit([seconds])
        handles = []
        # Of many hosts, edges would take more ink than bars.
        half, edge = (0.45, 0.3) if hosts <= 64 else (0.5, 0.0)
        for shown, (colour, hatch, words) in _BARS.items():
            part = data[data["shown"] == shown]
            if part.empty:
                continue
            corners = [
                [(a, h - half), (b, h - half), (b, h + half), (a, h + half)]
                for a, b, h in zip(
                    part["start"] / unit,
                    part["end"].clip(upper=seconds) / unit,
                    part["host"],
                    strict=True,
                )
            ]
            look: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "linewidth": edge}
            axes.add_collection(
                PolyCollection(corners, hatch=hatch, rasterized=len(part) > 1500, **look)
            )
            handles.append(Patch(hatch=hatch, label=words, **look))
        axes.set_xlim(0, seconds / unit)
        axes.set_ylim(hosts - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"time ({name})")
        axes.set_ylabel("host")
        figure = axes.get_figure()
        assert figure is not None, "axes are of a figure"
        figure.legend(handles=handles, loc="outside lower center", ncols=4)

    return draw
