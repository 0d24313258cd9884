"""The figures of a finished run, for people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from haizea.accounting.figures import OUTCOMES, USES
from haizea.accounting.reader import Results
from haizea.accounting.results import ResultsFile
from haizea.core.model.lease import Kind
from haizea.times import format_utc

#: How each kind is called in a table.
_KINDS = {
    Kind.AR: "AR",
    Kind.BEST_EFFORT: "best-effort",
    Kind.IMMEDIATE: "immediate",
    Kind.DEADLINE: "deadline",
}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Numbers of leases of one kind, by outcome."""

    kind: str
    accepted: int
    rejected: int
    completed: int
    cancelled: int
    failed: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The distribution of a quantity over the completed best-effort leases."""

    mean: float
    median: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The standard figures of one run.

    Times are seconds since the epoch. ``waiting_time`` (seconds), ``slowdown`` (bounded)
    and ``all_best_effort_seconds`` are ``None`` where no best-effort lease was completed.
    ``utilization`` is the share of the site's CPUs, 0 to 1, by purpose, over the run.
    """

    status: str
    workload: str
    started: int
    ended: int
    labels: Mapping[str, str]
    outcomes: tuple[Outcomes, ...]
    waiting_time: Spread | None
    slowdown: Spread | None
    all_best_effort_seconds: int | None
    cpu_utilization: float
    utilization: Mapping[str, float]
    suspensions: int
    migrations: int
    restarts: int

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


def summarise(results: str | os.PathLike[str] | ResultsFile) -> Summary:
    """The summary of the results file at a path, or of one that has just been finished.

    Raises :class:`haizea.accounting.errors.ResultsError` for one that cannot be read.
    """
    path = results.path if isinstance(results, ResultsFile) else results
    with Results(path) as file:
        figures = file.figures()
        run = file.run
        labels = file.labels
    last = figures.get("all-best-effort")
    return Summary(
        status=run.get("status", ""),
        workload=run.get("workload", ""),
        started=int(run.get("started", 0)),
        ended=int(run.get("ended", 0)),
        labels=labels,
        outcomes=tuple(_outcomes(kind, figures) for kind in Kind),
        waiting_time=_spread("waiting-time", figures),
        slowdown=_spread("slowdown", figures),
        all_best_effort_seconds=None if last is None else int(last),
        cpu_utilization=figures.get("cpu-utilization", 0),
        utilization={str(use): figures.get(f"cpu-utilization-{use}", 0) for use in USES},
        suspensions=int(figures.get("suspensions", 0)),
        migrations=int(figures.get("migrations", 0)),
        restarts=int(figures.get("restarts", 0)),
    )


def _outcomes(kind: Kind, figures: Mapping[str, float]) -> Outcomes:
    names = ("accepted", *OUTCOMES, "unfinished")
    return Outcomes(
        kind=str(kind), **{name: int(figures.get(f"{name}-{kind}", 0)) for name in names}
    )


def _spread(name: str, figures: Mapping[str, float]) -> Spread | None:
    if f"{name}-mean" not in figures:
        return None
    return Spread(**{of: figures[f"{name}-{of}"] for of in ("mean", "median", "p95", "max")})


def render(summary: Summary) -> str:
    """The summary as plain text, to be read in a terminal; ends with a line end."""
    blocks = [_heading(summary), _leases(summary), _best_effort(summary), _use(summary)]
    return "\n".join(block for block in blocks if block)


def duration(seconds: float) -> str:
    """``2 d 03:04:05``, or ``03:04:05``, to the nearest second."""
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def _heading(summary: Summary) -> str:
    length = summary.ended - summary.started
    lines = [
        f"{summary.workload or 'Run'}: {summary.status}",
        f"{format_utc(summary.started)} to {format_utc(summary.ended)} ({duration(length)})",
    ]
    if summary.labels:
        lines.append(", ".join(f"{name}={value}" for name, value in summary.labels.items()))
    return "".join(line + "\n" for line in lines)


def _leases(summary: Summary) -> str:
    names = ("accepted", "rejected", "completed", "cancelled", "failed", "unfinished")
    rows: list[Sequence[str]] = [("Leases", *names)]
    rows.extend(
        (_KINDS[Kind(o.kind)], *(str(getattr(o, name)) for name in names))
        for o in summary.outcomes
        if o.accepted or o.rejected or o.unfinished or o.cancelled or o.failed
    )
    if len(rows) == 1:
        return "No leases\n"
    return _table(rows)


def _best_effort(summary: Summary) -> str:
    if summary.waiting_time is None or summary.slowdown is None:
        return ""
    last = summary.all_best_effort_seconds
    rows: list[Sequence[str]] = [
        ("Best-effort", "mean", "median", "95 %", "most"),
        ("waiting time", *(duration(value) for value in asdict(summary.waiting_time).values())),
        ("slowdown", *(f"{value:.2f}" for value in asdict(summary.slowdown).values())),
    ]
    text = _table(rows)
    return text if last is None else text + f"all done after {duration(last)}\n"


def _use(summary: Summary) -> str:
    shares = [f"{purpose} {share:.2%}" for purpose, share in summary.utilization.items() if share]
    use = f"CPU utilization {summary.cpu_utilization:.2%}"
    lines = [use + (f" ({', '.join(shares)})" if shares else "")]
    if summary.suspensions or summary.migrations or summary.restarts:
        lines.append(
            f"Suspensions {summary.suspensions}, migrations {summary.migrations},"
            f" restarts {summary.restarts}"
        )
    return "".join(line + "\n" for line in lines)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)
