"""The figures of a study: what is drawn, from which numbers, and how it is told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from haizea.study.frames import Frames
from haizea.study.statistics import Distribution, interval
from haizea.study.style import Chart, legend, line_style, time_unit

#: Figures that are drawn unless the study names others.
DEFAULT_FIGURES = (
    *("waiting-time-mean", "slowdown-mean", "cpu-utilization", "all-best-effort"),
    "ar-accepted-share",
)

#: Words for figures: what it is, and whether it is a time or a share.
_WORDS = {
    "waiting-time-mean": ("mean waiting time of best-effort leases", "time"),
    "waiting-time-median": ("median waiting time of best-effort leases", "time"),
    "waiting-time-p95": ("95th percentile of the waiting time", "time"),
    "waiting-time-max": ("longest waiting time", "time"),
    "first-wait-mean": ("mean wait until the first start, without the first 5 %", "time"),
    "slowdown-mean": ("mean bounded slowdown", ""),
    "slowdown-median": ("median bounded slowdown", ""),
    "slowdown-p95": ("95th percentile of the bounded slowdown", ""),
    "cpu-utilization": ("CPU utilization", "share"),
    "all-best-effort": ("time until all best-effort leases are done", "time"),
    "run-seconds": ("length of the run", "time"),
    "ar-accepted-share": ("accepted advance reservations", "share"),
    "ar-rejected-share": ("rejected advance reservations", "share"),
    "queue-size-mean": ("mean length of the queue", ""),
}


@dataclass(frozen=True, slots=True)
class View:
    """The way in which a study is looked at: along which factor, and a line for each value of
    which. Either is empty where there is no such factor."""

    by: str
    lines: str

    @property
    def keys(self) -> list[str]:
        """The factors that are told apart; intervals are over the others."""
        return [name for name in (self.lines, self.by) if name]


def view_of(frames: Frames) -> View:
    """The view that the study asks for, else one that makes sense.

    Raises :class:`ValueError` where it asks for a factor that is none.
    """
    several = [name for name, values in frames.factors.items() if len(values) > 1]
    chosen = {"by": frames.report.get("by", ""), "lines": frames.report.get("lines", "")}
    for what, name in chosen.items():
        if name and name not in frames.factors:
            known = ", ".join(frames.factors)
            raise ValueError(f"report: {what}: {name!r} is not a factor: {known}")
    free = [name for name in several if name not in (*chosen.values(), "seed")]
    numeric = [name for name in free if all(map(_is_number, frames.factors[name]))]
    if not chosen["by"]:
        first = [name for name in free if name != "profile"]
        chosen["by"] = next(iter([*numeric, *first]), "")
    if not chosen["lines"]:
        rest = [name for name in free if name != chosen["by"]]
        chosen["lines"] = "profile" if "profile" in rest else next(iter(rest), "")
    return View(**chosen)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def words(figure: str) -> str:
    """A figure in words."""
    return _WORDS.get(figure, (figure.replace("-", " "), ""))[0]


def complete(frames: Frames) -> pd.DataFrame:
    """The runs that are finished, with the figures that are worked out here."""
    runs = frames.runs[frames.runs["status"] == "complete"].copy()
    if "ar-rejected-share" in runs:
        runs["ar-accepted-share"] = 1 - runs["ar-rejected-share"]
    return runs


def charts(frames: Frames) -> Iterator[Chart]:
    """All figures of a study but the Gantt chart, whose numbers are in no table."""
    view = view_of(frames)
    runs = complete(frames)
    for figure in _figures(frames, runs):
        yield by_factor(frames, runs, view, figure)
        if frames.baseline:
            compared = against_baseline(frames, runs, view, figure)
            if compared is not None:
                yield compared
    yield from distributions(frames, runs, view)
    yield from over_time(frames, runs, view)


def _figures(frames: Frames, runs: pd.DataFrame) -> list[str]:
    """The figures to draw; raises :class:`ValueError` for one that is none."""
    wanted = list(frames.report.get("figures", []))
    for name in wanted:
        if name not in runs.columns or name in frames.factors:
            raise ValueError(f"report: figures: there is no figure {name!r} in the table of runs")
    return wanted or [
        name for name in DEFAULT_FIGURES if name in runs.columns and runs[name].notna().any()
    ]


def _groups(
    frames: Frames, runs: pd.DataFrame, keys: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Runs with the same values of these factors, in the study's order."""
    if not keys:
        yield (), runs
        return
    rank = [{value: i for i, value in enumerate(frames.factors[key])} for key in keys]
    groups = [
        (key if isinstance(key, tuple) else (key,), group)
        for key, group in runs.groupby(list(keys), sort=False)
    ]
    groups = [(key, group) for key, group in groups if _is_known(key, rank)]
    yield from sorted(groups, key=lambda g: [r[v] for v, r in zip(g[0], rank, strict=True)])


def _is_known(key: Sequence[Any], rank: Sequence[dict[Any, int]]) -> bool:
    """Tell whether the run has a value of each factor: those beside the combinations may not."""
    return all(value in known for value, known in zip(key, rank, strict=True))


def by_factor(frames: Frames, runs: pd.DataFrame, view: View, figure: str) -> Chart:
    """A figure by a factor, with 95 % confidence intervals over the factors not shown."""
    rows = []
    for key, group in _groups(frames, runs, view.keys):
        values = group[figure].dropna().tolist()
        if values:
            found = interval(values)
            rows.append([*key, found.mean, found.low, found.high, found.count])
    data = pd.DataFrame(rows, columns=[*view.keys, "mean", "low", "high", "runs"])
    return Chart(
        name=f"{figure}-by-{view.by or 'nothing'}",
        title=_sentence(words(figure)),
        alt=_told(words(figure), data, view),
        data=data,
        draw=lambda axes: _draw_lines(axes, frames, data, view, figure),
        note=_over(data),
    )


def against_baseline(frames: Frames, runs: pd.DataFrame, view: View, figure: str) -> Chart | None:
    """The change of a figure from the baseline's, run by run with the same other factors.

    ``None`` where there is nothing to compare: the baseline is of no factor that is shown.
    """
    base_of = {name: value for name, value in frames.baseline.items() if name in frames.factors}
    same = [name for name in frames.factors if name not in base_of]
    is_base = pd.Series(True, index=runs.index)
    for name, value in base_of.items():
        is_base &= runs[name] == value
    base = runs[is_base].set_index(same)[figure] if same else runs[is_base][figure]
    others = runs[~is_base]
    if base.empty or others.empty or base.index.has_duplicates:
        return None
    if same:
        joined = others.join(base.rename("base"), on=same)
    else:
        joined = others.assign(base=float(base.iloc[0]))
    joined["change"] = (
        100 * (joined[figure] - joined["base"]) / joined["base"].where(joined["base"] != 0)
    )
    rows = []
    for key, group in _groups(frames, joined, view.keys):
        values = group["change"].dropna().tolist()
        if values:
            found = interval(values)
            rows.append([*key, found.mean, found.low, found.high, found.count])
    if not rows:
        return None
    data = pd.DataFrame(rows, columns=[*view.keys, "mean", "low", "high", "runs"])
    told = ", ".join(f"{name} {value}" for name, value in base_of.items())
    title = f"{words(figure)}, compared with {told}"

    def draw(axes: Axes) -> None:
        axes.axhline(0, color="#000000", linewidth=0.8)
        _draw_lines(axes, frames, data, view, "")
        axes.set_ylabel("change (%)")

    return Chart(
        name=f"{figure}-against-baseline",
        title=_sentence(title),
        alt=_told(f"change (%) of {title}", data, view),
        data=data,
        draw=draw,
        note=_over(data),
    )


def _draw_lines(axes: Axes, frames: Frames, data: pd.DataFrame, view: View, figure: str) -> None:
    """A line for each value of a factor, along another, with intervals as bars."""
    kind = _WORDS.get(figure, ("", ""))[1]
    unit, unit_name = time_unit(data["mean"].tolist()) if kind == "time" else (1.0, "")
    positions, ticks = _positions(frames, view.by)
    groups = (
        [(value, data[data[view.lines] == value]) for value in frames.factors[view.lines]]
        if (view.lines)
        else [("", data)]
    )
    groups = [(value, part) for value, part in groups if not part.empty]
    places = [place for place, _ in ticks]
    # Side by side, so that no interval hides another.
    apart = (max(places) - min(places) or 1) / 120
    for index, (value, part) in enumerate(groups):
        x = [positions(v) for v in part[view.by]] if view.by else [0.0] * len(part)
        x = [place + (index - (len(groups) - 1) / 2) * apart for place in x]
        mean = (part["mean"] / unit).tolist()
        below = ((part["mean"] - part["low"]) / unit).tolist()
        above = ((part["high"] - part["mean"]) / unit).tolist()
        axes.errorbar(
            x, mean, yerr=[below, above], capsize=3, label=str(value), **line_style(index)
        )
    axes.set_xlabel(view.by or "all runs")
    axes.set_xticks([x for x, _ in ticks], [text for _, text in ticks])
    axes.set_ylabel(f"{unit_name}" if unit_name else "")
    if kind == "share":
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    elif figure and data["mean"].min() >= 0:
        axes.set_ylim(bottom=0)
    legend(axes, view.lines, len(groups))


def _positions(frames: Frames, by: str) -> tuple[Callable[[Any], float], list[tuple[float, str]]]:
    """The place of each value along the axis: numbers where they are, others side by side."""
    values = frames.factors.get(by, [])
    if values and all(map(_is_number, values)):
        return float, [(float(value), f"{value:g}") for value in values]
    places = {value: float(index) for index, value in enumerate(values)}
    return places.__getitem__, [(place, str(value)) for value, place in places.items()] or [
        (0.0, "")
    ]


def distributions(frames: Frames, runs: pd.DataFrame, view: View) -> Iterator[Chart]:
    """The distribution of waiting time and slowdown, over all best-effort leases of a line."""
    group_of = dict(zip(runs["run"], runs[view.lines], strict=True)) if view.lines else {}
    values = frames.factors.get(view.lines, [""])
    for column, title, least, unit in (
        ("waiting_time", "waiting time of best-effort leases", 1.0, "seconds"),
        ("slowdown", "bounded slowdown of best-effort leases", 1.0, ""),
    ):
        found = {value: Distribution(least) for value in values}
        for batch in frames.batches(["kind", "state", column]):
            done = batch[(batch["kind"] == "best-effort") & (batch["state"] == "Done")]
            for value in values:
                part = done[done["run"].map(group_of) == value] if view.lines else done
                found[value].add(part[column].dropna().tolist())
        rows = [
            [value, upper, share]
            for value, distribution in found.items()
            for upper, share in distribution.shares()
        ]
        name = view.lines or "runs"
        data = pd.DataFrame(rows, columns=[name, f"{column}_up_to", "share"])
        if not data.empty:
            yield Chart(
                name=f"distribution-of-{column.replace('_', '-')}",
                title=_sentence(f"distribution of the {title}"),
                alt=_quantiles(title, data, name, unit),
                data=data,
                draw=_distribution_drawing(data, name, unit),
                note="Share of the leases that waited, or were slowed down, no more than this.",
            )


def _distribution_drawing(data: pd.DataFrame, name: str, unit: str) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        groups = list(data.groupby(name, sort=False))
        for index, (value, part) in enumerate(groups):
            style = {**line_style(index), "marker": ""}
            axes.step(part.iloc[:, 1], part["share"], where="post", label=str(value), **style)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel(unit or "slowdown")
        axes.set_ylabel("share of leases")
        legend(axes, name, len(groups))

    return draw


def over_time(frames: Frames, runs: pd.DataFrame, view: View) -> Iterator[Chart]:
    """Utilization and queue over time, of one run for each line: where most is asked for."""
    chosen = runs
    if view.by and not runs.empty:
        known = [value for value in frames.factors[view.by] if (runs[view.by] == value).any()]
        numbers = all(map(_is_number, known))
        most = max(known) if numbers else known[-1]
        chosen = runs[runs[view.by] == most]
    picked = [
        group.iloc[0] for _, group in _groups(frames, chosen, [view.lines] if view.lines else [])
    ]
    levels = frames.levels()
    name = view.lines or "runs"
    for column, title in (
        ("utilization", "CPU utilization over time"),
        ("queue", "length of the queue over time"),
    ):
        parts = []
        for row in picked:
            part = levels[levels["run"] == row["run"]][["run", "seconds", column]].dropna()
            parts.append(part.assign(**{name: row[view.lines] if view.lines else ""}))
        data = pd.concat(parts) if parts else pd.DataFrame()
        if data.empty:
            continue
        told = ", ".join(str(row["run"]) for row in picked)
        yield Chart(
            name=f"{column}-over-time",
            title=_sentence(title),
            alt=f"{_sentence(title)}, of run {told}. " + _means(data, name, column),
            data=data[[name, "run", "seconds", column]],
            draw=_level_drawing(data, name, column),
            note=f"Of run {told}; each point is the mean over a 240th part of the run.",
        )


def _level_drawing(data: pd.DataFrame, name: str, column: str) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        unit, unit_name = time_unit(data["seconds"].tolist())
        groups = list(data.groupby(name, sort=False))
        for index, (value, part) in enumerate(groups):
            style = {**line_style(index), "marker": "", "linewidth": 1.1}
            axes.plot(part["seconds"] / unit, part[column], label=str(value), **style)
        axes.set_xlabel(f"time ({unit_name})")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        if column == "utilization":
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        else:
            axes.set_ylabel("leases")
        legend(axes, name, len(groups))

    return draw


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _over(data: pd.DataFrame) -> str:
    least, most = int(data["runs"].min()), int(data["runs"].max())
    each = f"{least}" if least == most else f"{least} to {most}"
    if most == 1:
        return "Each point is one run."
    return f"Each point is the mean of {each} runs, with its 95 % confidence interval."


def _told(title: str, data: pd.DataFrame, view: View) -> str:
    """The first and the last point of each line, in words."""
    parts = []
    groups = data.groupby(view.lines, sort=False) if view.lines else [("all runs", data)]
    for value, part in groups:
        first, last = part.iloc[0], part.iloc[-1]
        if view.by and len(part) > 1:
            parts.append(
                f"{value}: from {first['mean']:.4g} at {view.by} {first[view.by]}"
                f" to {last['mean']:.4g} at {view.by} {last[view.by]}"
            )
        else:
            parts.append(f"{value}: {first['mean']:.4g}")
    return f"{_sentence(title)}{f' by {view.by}' if view.by else ''}. " + "; ".join(parts) + "."


def _quantiles(title: str, data: pd.DataFrame, name: str, unit: str) -> str:
    parts = []
    for value, part in data.groupby(name, sort=False):
        half = part[part["share"] >= 0.5].iloc[0, 1]
        most = part[part["share"] >= 0.95].iloc[0, 1]
        parts.append(f"{value}: half up to {half:.3g} {unit}, 95 % up to {most:.3g} {unit}".strip())
    return f"Distribution of the {title}. " + "; ".join(parts) + "."


def _means(data: pd.DataFrame, name: str, column: str) -> str:
    groups = data.groupby(name, sort=False)[column].mean()
    return "; ".join(f"{value}: {mean:.3g} on average" for value, mean in groups.items()) + "."
