"""Table 1 and figure 2 of the study, beside what was published, and whether its shape holds.

    python studies/hpdc2008/compare.py RESULTS [OUTPUT]

RESULTS is the directory that ``haizea study run`` made of study.yaml. It may be
unfinished: what cannot be told yet is said to be open. Writes table1.csv, figure2.csv,
figure2.svg and figure2.pdf to OUTPUT (by default RESULTS/comparison) and prints all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

import haizea.study
from haizea.study.frames import Frames
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

SHORT_SECONDS, LONG_SECONDS = 3600, 36000


def growth(frames: Frames) -> pd.DataFrame:
    """The finished runs beside reservations, with the growth of the last end (%) in a column."""
    runs = frames.runs[frames.runs["status"] == "complete"]
    base = runs[(runs["profile"] == WITHOUT) & runs["percent"].isna()]["all-best-effort"]
    if base.empty:
        raise SystemExit("the run without reservations is not finished: nothing to compare with")
    found = runs[runs["percent"].notna()].copy()
    found["growth"] = 100 * (found["all-best-effort"] / base.iloc[0] - 1)
    return found


def table1(runs: pd.DataFrame) -> pd.DataFrame:
    """Growth and wait of the runs that have published figures."""
    rows = []
    for (profile, percent), (published_growth, published_wait) in PUBLISHED.items():
        same = (runs["profile"] == profile) & (runs["percent"] == percent)
        run = runs[same & (runs["length"] == "3h") & (runs["size"] == "2medium")]
        ours = [None, None]
        if not run.empty:
            ours = [run["growth"].iloc[0], run["first-wait-mean"].iloc[0] / 1000]
        rows.append([profile, percent, published_growth, ours[0], published_wait, ours[1]])
    columns = ["profile", "percent", "end_published", "end_ours", "wait_published", "wait_ours"]
    return pd.DataFrame(rows, columns=columns)


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


def gates(frames: Frames, runs: pd.DataFrame) -> Iterator[tuple[str, bool | None, str]]:
    """The shape: each claim, whether it holds (``None``: not known yet), and the numbers."""
    keys = ["length", "size", "percent"]
    ends = runs.pivot_table(index=keys, columns="profile", values="growth")
    for profile in ORDER:
        if {profile, WITHOUT} <= set(ends.columns):
            both = ends[ends.index.get_level_values("percent") >= 10][[WITHOUT, profile]].dropna()
            sooner = int((both[profile] < both[WITHOUT]).sum())
            claim = f"{profile} ends before {WITHOUT}, at 10 % and more"
            yield claim, sooner == len(both) if len(both) else None, f"{sooner} of {len(both)}"
    many = ends[ends.index.get_level_values("percent") >= 20].reindex(columns=ORDER).dropna()
    means = [many[profile].mean() for profile in ORDER]
    strictly = [True, True, False, True]
    holds = all(
        a < b if strict else a <= b
        for a, b, strict in zip(means, means[1:], strictly, strict=False)
    )
    told = ", ".join(f"{p} {m:+.2f} %" for p, m in zip(ORDER, means, strict=True))
    claim = "mean ends at 20 % and more: in place after suspension, then skewed, uniform, multicast"
    yield claim, holds if len(many) else None, f"{told} ({len(many)} workloads)"
    yield from waits_by_length(frames, runs)
    rejected = runs["ar-rejected-share"].max()
    claim = "at most 1 % of reservations are rejected in any run"
    yield claim, None if runs.empty else bool(rejected <= 0.01), f"at most {rejected:.2%}"


def waits_by_length(frames: Frames, runs: pd.DataFrame) -> Iterator[tuple[str, bool | None, str]]:
    """Mean waits of long requests over those of short ones, without and with suspension."""
    profile_of = dict(zip(runs["run"], runs["profile"], strict=True))
    sums: dict[tuple[str, str], list[int]] = {}
    for batch in frames.batches(["kind", "duration", "started", "submitted"]):
        found = batch[(batch["kind"] == "best-effort") & batch["started"].notna()].copy()
        found["profile"] = found["run"].map(profile_of)
        found["wait"] = found["started"] - found["submitted"]
        for name, part in (
            ("short", found[found["duration"] <= SHORT_SECONDS]),
            ("long", found[found["duration"] >= LONG_SECONDS]),
        ):
            for profile, waits in part.groupby("profile")["wait"]:
                total = sums.setdefault((str(profile), name), [0, 0])
                total[0] += int(waits.sum())
                total[1] += len(waits)
    for profile, claim, is_right in (
        (WITHOUT, "grow tenfold or more", lambda times: times >= 10),
        ("suspension", "grow less than fivefold", lambda times: times < 5),
    ):
        short, long = sums.get((profile, "short")), sums.get((profile, "long"))
        text = f"{profile}: mean waits from requests up to 1 h to those of 10 h and more {claim}"
        if not short or not long or not short[0]:
            yield text, None, ""
            continue
        times = (long[0] / long[1]) / (short[0] / short[1])
        yield text, is_right(times), f"{times:.1f} times"


def main(words: list[str]) -> None:
    """Print and write the comparison."""
    if not words:
        raise SystemExit(__doc__)
    frames = haizea.study.load(words[0])
    to = Path(words[1]) if len(words) > 1 else Path(words[0]) / "comparison"
    to.mkdir(parents=True, exist_ok=True)
    runs = growth(frames)
    table = table1(runs)
    (to / "table1.csv").write_text(csv_of(table), encoding="utf-8")
    save(figure2(runs), to)
    print(f"{len(runs)} of {len(frames.runs) - 1} runs beside reservations are finished\n")
    print(table.to_string(index=False, float_format="{:.2f}".format, na_rep="open"), "\n")
    for claim, holds, told in gates(frames, runs):
        print(f"{ {True: 'holds', False: 'FAILS', None: 'open'}[holds]:6} {claim}: {told}")
    print(f"\nFigure 2 and table 1: {to}")


if __name__ == "__main__":
    main(sys.argv[1:])
