"""One run, from its recipe to its figures, leases and levels over time.

Nothing but the recipe goes in, so the bytes that come out are the same on any worker.
"""

from __future__ import annotations

import io
import itertools
import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from haizea.accounting.reader import Results
from haizea.config import Config, loads
from haizea.loop import collecting_rarely
from haizea.runtime import RunError, Simulation, Status
from haizea.study.recipe import InputFile, Recipe
from haizea.study.workload import generate_options, scale_options
from haizea.workloads import ReadOptions, Workload, WorkloadError, read
from haizea.workloads.generate import generate
from haizea.workloads.scaling import scaled

#: So many moments of each level are kept, evenly over the run.
LEVELS = 240

#: Levels over time: the name in our tables, and the counter.
_LEVELS = {"utilization": "CPU utilization", "queue": "Queue size"}

#: The share of best-effort leases, by first start, that figures of the steady state leave out:
#: the site is empty at first, and nobody waits.
_WARM_UP = 0.05

#: The columns of leases.
LEASES = pa.schema(
    [
        ("lease", pa.int64()),
        ("label", pa.string()),
        ("kind", pa.string()),
        ("state", pa.string()),
        ("nodes", pa.int32()),
        ("submitted", pa.int64()),
        ("requested_start", pa.int64()),
        ("duration", pa.int64()),
        ("started", pa.int64()),
        ("ended", pa.int64()),
        ("waiting_time", pa.int64()),
        ("slowdown", pa.float64()),
        ("suspensions", pa.int32()),
        ("migrations", pa.int32()),
        ("restarts", pa.int32()),
        ("code", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run: its figures (JSON), its leases (Parquet), and its results file.

    The results file is in the place that the run was given.
    """

    figures: bytes
    leases: bytes
    results: Path


def perform(recipe: Recipe, place: Path, find: Callable[[InputFile], Path]) -> Outcome:
    """Make the run in the empty directory ``place``; ``find`` tells where an input is.

    Raises :class:`RunError` where it cannot run or does not come to its end, and whatever a
    policy of the user's raises.
    """
    datafile = place / "results"
    paths = {file.option: str(find(file)) for file in recipe.files}
    config = loads(recipe.configuration(paths, str(datafile)), "study")
    with collecting_rarely():
        simulation = Simulation(config, workload=_workload(recipe, config))
    with collecting_rarely():
        outcome = simulation.run()
    if outcome.status is not Status.COMPLETE:
        raise RunError(outcome.message or f"the run is {outcome.status}")
    with Results(datafile) as results:
        leases = _leases(results)
        figures = {**results.figures(), **_more_figures(leases, results)}
        told = {"figures": dict(sorted(figures.items())), "levels": _levels(results)}
    return Outcome(json.dumps(told).encode(), _as_parquet(leases), datafile)


def _workload(recipe: Recipe, config: Config) -> Workload | None:
    """The workload that is made for this run; ``None`` where it is the trace as it is."""
    if recipe.generated:
        return generate(generate_options(dict(recipe.generated)))
    if not recipe.scaled:
        return None
    trace = config.tracefile
    assert trace.tracefile is not None, "a trace is scaled"
    swf = ReadOptions(trace.processors_per_node, dict(trace.node_capacity))
    try:
        workload = read(trace.tracefile, swf, config.simulation.starttime)
    except WorkloadError as error:
        raise RunError(str(error)) from None
    factor, by, seed = scale_options(dict(recipe.scaled))
    return replace(scaled(workload, factor, by, seed), name=workload.name)


def _leases(results: Results) -> Any:
    """The table of leases, by number."""
    query = f"SELECT {', '.join(LEASES.names)} FROM leases ORDER BY lease"
    columns = list(zip(*results.rows(query), strict=True)) or [()] * len(LEASES.names)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, LEASES, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=LEASES)


def _more_figures(leases: Any, results: Results) -> dict[str, float]:
    """Figures of a study beside the standard ones."""
    found: dict[str, float] = {}
    figures = results.figures()
    asked = figures.get("accepted-ar", 0) + figures.get("rejected-ar", 0)
    if asked:
        found["ar-rejected-share"] = figures.get("rejected-ar", 0) / asked
    columns = (leases[name].to_pylist() for name in ("kind", "started", "submitted"))
    rows = zip(*columns, strict=True)
    starts = sorted(
        (started, submitted)
        for kind, started, submitted in rows
        if kind == "best-effort" and started is not None
    )
    waits = [started - submitted for started, submitted in starts[int(len(starts) * _WARM_UP) :]]
    if waits:
        found["first-wait-mean"] = math.fsum(waits) / len(waits)
    return found


def _levels(results: Results) -> dict[str, Any]:
    """Levels over time: the mean of each in equal parts of the run; empty without its probe."""
    start, end = int(results.run["started"]), int(results.run["ended"])
    found: dict[str, Any] = {"part_seconds": (end - start) / LEVELS}
    for name, counter in _LEVELS.items():
        rows = results.rows(
            "SELECT time, value FROM counters WHERE counter = ? ORDER BY rowid", [counter]
        )
        found[name] = _means(((int(t), float(v)) for t, v in rows), start, end)
    return found


def _means(changes: Iterable[tuple[int, float]], start: int, end: int) -> list[float]:
    """The mean of a level in each of :data:`LEVELS` parts of a run; empty where none is known."""
    times: list[int] = []
    areas: list[float] = []
    levels: list[float] = []
    for time, value in changes:
        area = areas[-1] + levels[-1] * (time - times[-1]) if times else 0.0
        times.append(time)
        areas.append(area)
        levels.append(value)
    if not times or end <= start:
        return []

    def area_at(moment: float) -> float:
        index = bisect_right(times, moment) - 1
        return areas[index] + levels[index] * (moment - times[index]) if index >= 0 else 0.0

    part = (end - start) / LEVELS
    edges = [area_at(start + part * index) for index in range(LEVELS + 1)]
    return [round((b - a) / part, 6) for a, b in itertools.pairwise(edges)]


def _as_parquet(table: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_statistics=False)
    return buffer.getvalue()
