"""Table 1 and figure 2 of the study, beside what was published, and whether its shape holds.

    python studies/hpdc2008/compare.py RESULTS [OUTPUT]

RESULTS is the directory that ``haizea study run`` made of study.yaml. It may be unfinished: what
cannot be told yet is said to be open. Writes comparison.md, the tables and figures in it as CSV,
SVG and PDF, and runs.csv, which all of it is made from, to OUTPUT (by default
RESULTS/comparison), and prints the first. RESULTS may be such a runs.csv, too.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from summary import BASE, FACTORS, read_summary, summary

from haizea.study.style import Chart, csv_of, legend, line_style, save

WITHOUT = "no suspension"
ORDER = ["suspension", "images in place", "caches skewed", "caches uniform", "multicast"]

#: Configuration, percent of reservations: growth of the last end (%) and mean wait (ks), for
#: reservations of three hours and medium size. The last two are as told of the published runs.
PUBLISHED = {
    (WITHOUT, 10): (3.91, 16.91),
    (WITHOUT, 20): (8.66, 23.91),
    (WITHOUT, 30): (23.93, 68.95),
    ("suspension", 10): (-0.76, 6.18),
    ("suspension", 20): (0.10, 8.14),
    ("suspension", 30): (4.14, 14.84),
    ("multicast", 20): (3.95, 34.6),
    ("caches skewed", 20): (2.5, 22.9),
}

#: A claim of the study, whether it holds (``None``: not known yet), and the numbers.
Gate = tuple[str, bool | None, str]


def growth(runs: pd.DataFrame) -> pd.DataFrame:
    """The finished runs beside reservations, with the growth of the last end (%) in a column."""
    base = runs[runs["percent"] == BASE]["last_end_seconds"]
    if base.empty:
        raise SystemExit("the run without reservations is not finished: nothing to compare with")
    found = runs[runs["percent"] != BASE].copy()
    found["growth"] = 100 * (found["last_end_seconds"] / base.iloc[0] - 1)
    return found


def table1(runs: pd.DataFrame) -> pd.DataFrame:
    """Growth (%) and wait (ks) of the runs that have published figures."""
    rows = []
    for (profile, percent), (published_growth, published_wait) in PUBLISHED.items():
        same = (runs["profile"] == profile) & (runs["percent"] == percent)
        run = runs[same & (runs["length"] == "3h") & (runs["size"] == "2medium")]
        ours = [None, None]
        if not run.empty:
            ours = [run["growth"].iloc[0], run["mean_wait_seconds"].iloc[0] / 1000]
        rows.append([profile, percent, published_growth, ours[0], published_wait, ours[1]])
    columns = ["configuration", "percent", "end, published", "end", "wait, published", "wait"]
    return pd.DataFrame(rows, columns=columns)


def means(runs: pd.DataFrame, column: str, unit: float = 1) -> pd.DataFrame:
    """The mean of a column over lengths and sizes, by configuration and percent."""
    grouped = runs.assign(value=runs[column] / unit).groupby(["profile", "percent"])["value"]
    table = grouped.mean().unstack("percent").reindex([WITHOUT, *ORDER])
    return table.rename_axis("configuration").rename(columns=lambda p: f"{p} %").reset_index()


def figure2(runs: pd.DataFrame) -> Chart:
    """Growth of the last end by percent of reservations, a line for each configuration."""
    grouped = runs.groupby(["profile", "percent"])["growth"].agg(["mean", "count"]).reset_index()

    def draw(axes: Axes) -> None:
        axes.axhline(0, color="#000000", linewidth=0.8)
        for index, profile in enumerate([WITHOUT, *ORDER]):
            part = grouped[grouped["profile"] == profile].sort_values("percent")
            axes.plot(part["percent"], part["mean"], label=profile, **line_style(index))
        axes.set_xlabel("reservations (% of the site)")
        axes.set_ylabel("last end, growth (%)")
        legend(axes, count=6)

    return Chart(
        "figure2",
        "Growth of the time until all best-effort leases are done",
        "Growth of the last end by percent of reservations, for six configurations.",
        grouped,
        draw,
    )


def gates(runs: pd.DataFrame) -> Iterator[Gate]:
    """The shape of the study, claim by claim."""
    ends = runs.pivot_table(index=FACTORS, columns="profile", values="growth")
    for profile in ORDER:
        yield ends_sooner(ends, profile)
    yield from order_of_means(ends)
    yield waits_by_length(runs, WITHOUT, "grow tenfold or more", least=10)
    yield waits_by_length(runs, "suspension", "grow less than fivefold", below=5)
    yield from rejections(runs)


def ends_sooner(ends: pd.DataFrame, profile: str) -> Gate:
    """A configuration that suspends ends before the one without."""
    claim = f"{profile} ends before {WITHOUT}, at 10 % and more"
    if not {profile, WITHOUT} <= set(ends.columns):
        return claim, None, ""
    both = ends[ends.index.get_level_values("percent") >= 10][[WITHOUT, profile]].dropna()
    sooner = int((both[profile] < both[WITHOUT]).sum())
    return claim, sooner == len(both) if len(both) else None, f"{sooner} of {len(both)} workloads"


def order_of_means(ends: pd.DataFrame) -> Iterator[Gate]:
    """Of configurations that suspend, the mean ends come one after the other."""
    many = ends[ends.index.get_level_values("percent") >= 20].reindex(columns=ORDER).dropna()
    for first, second in itertools.pairwise(ORDER):
        may_equal = second == "caches uniform"
        claim = f"mean end at 20 % and more: {first} {'≤' if may_equal else '<'} {second}"
        a, b = many[first].mean(), many[second].mean()
        holds = a <= b if may_equal else a < b
        sooner = int((many[first] < many[second]).sum())
        told = f"{a:+.2f} % and {b:+.2f} %; {first} sooner in {sooner} of {len(many)} workloads"
        yield claim, bool(holds) if len(many) else None, told if len(many) else ""


def waits_by_length(
    runs: pd.DataFrame, profile: str, words: str, least: float = 0, below: float = float("inf")
) -> Gate:
    """Mean waits of long requests over those of short ones."""
    claim = f"{profile}: mean waits from requests up to 1 h to those of 10 h and more {words}"
    sums = runs[runs["profile"] == profile].sum(numeric_only=True)
    if not sums["short_jobs"] or not sums["long_jobs"] or not sums["short_wait_seconds"]:
        return claim, None, ""
    short = sums["short_wait_seconds"] / sums["short_jobs"]
    long = sums["long_wait_seconds"] / sums["long_jobs"]
    times = long / short
    told = f"{times:.1f} times: {short / 1000:.1f} and {long / 1000:.1f} ks"
    return claim, bool(least <= times < below), told


def rejections(runs: pd.DataFrame) -> Iterator[Gate]:
    """Reservations that are rejected: all, and those that could have been accepted."""
    for words, rejected in (
        ("are rejected", runs["ars_rejected"]),
        ("are rejected though there was time and room", runs["ars_rejected_needlessly"]),
    ):
        if runs.empty:
            yield f"at most 1 % of reservations {words} in any run", None, ""
            continue
        share = rejected / runs["ars"]
        worst = runs.loc[share.idxmax()]
        told = (
            f"at most {share.max():.2%}, {rejected[share.idxmax()]} of {worst['ars']};"
            f" {rejected.sum() / runs['ars'].sum():.3%} of all"
        )
        claim = f"at most 1 % of reservations {words} in any run"
        yield claim, bool(share.max() <= 0.01), told


def markdown(table: pd.DataFrame) -> str:
    """A table of a page; what is not known is open."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "open" if pd.isna(value) else f"{value:.2f}"
        return "open" if value is None else str(value)

    rows = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "".join(f"| {' | '.join(map(cell, row))} |\n" for row in rows)


def gate_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The gates as a table."""
    words = {True: "holds", False: "**fails**", None: "open"}
    rows = [[claim, words[holds], told] for claim, holds, told in gates(runs)]
    return pd.DataFrame(rows, columns=["claim", "", "measured"])


def sections(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All tables of the comparison, by the words above them."""
    return {
        "The shape": gate_table(runs),
        "Table 1: last end, growth (%), and mean wait (ks)": table1(runs),
        "Figure 2: last end, growth (%), means over lengths and sizes": means(runs, "growth"),
        "Mean waits (ks), means over lengths and sizes": means(runs, "mean_wait_seconds", 1000),
    }


def main(words: list[str]) -> None:
    """Print and write the comparison."""
    if not words:
        raise SystemExit(__doc__)
    source = Path(words[0])
    summed = read_summary(source) if source.is_file() else summary(source)
    to = Path(words[1]) if len(words) > 1 else source / "comparison"
    to.mkdir(parents=True, exist_ok=True)
    runs = growth(summed)
    text = f"{len(runs)} of 432 runs beside reservations are finished.\n"
    for title, table in sections(runs).items():
        text += f"\n## {title}\n\n{markdown(table)}"
    (to / "runs.csv").write_text(csv_of(summed), encoding="utf-8")
    (to / "table1.csv").write_text(csv_of(table1(runs)), encoding="utf-8")
    (to / "comparison.md").write_text(text, encoding="utf-8")
    save(figure2(runs), to)
    print(f"{text}\nFigure 2 and tables: {to}")


if __name__ == "__main__":
    main(sys.argv[1:])
