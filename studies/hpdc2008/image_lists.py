"""Compare uniform caches and multicast over three lists of images, not one.

    python studies/hpdc2008/image_lists.py draw           # writes two more lists, to traces/
    haizea study run studies/hpdc2008/image_lists.yaml
    python studies/hpdc2008/image_lists.py sum            # writes results/image_lists.csv

The last end hangs on a few long jobs, so that with one list the two configurations differ by
chance as much as in truth. The other lists are drawn by the rule of the first one, evenly.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from compare import growth
from month import image_list
from summary import FACTORS, read_summary

import haizea.study
from haizea.files import write_whole
from haizea.study.style import csv_of

HERE = Path(__file__).parent
PAIR = ["caches uniform", "multicast"]
SEEDS = (2, 3)


def draw(traces: Path) -> None:
    """Write a list for each seed."""
    for seed in SEEDS:
        write_whole(traces / f"37_uniform-{seed}.images", image_list("uniform", seed))


def ends(directory: Path) -> pd.DataFrame:
    """When the last best-effort lease was done, for each finished run of image_lists.yaml."""
    runs = haizea.study.load(directory).runs
    runs = runs[runs["status"] == "complete"]
    found = runs[["list", "profile", *FACTORS]].astype({"list": int, "percent": int})
    return found.assign(last_end_seconds=runs["all-best-effort"].astype(int))


def both(log: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Growth of the last end (%): a row for each list and workload, a column for each of the pair.

    ``log`` has the runs with the first list, and that without reservations; ``more`` the others.
    """
    known = growth(pd.concat([log.assign(list=1), more]))
    same = known["profile"].isin(PAIR) & (known["percent"] >= 20)
    return (
        known[same]
        .pivot_table(index=["list", *FACTORS], columns="profile", values="growth")
        .dropna()
    )


def table(found: pd.DataFrame) -> Iterator[str]:
    """The means, and in how many workloads caches end sooner, as rows of Markdown."""
    yield "| list | workloads | caches uniform | multicast | caches sooner in |\n"
    yield "| --- | --- | --- | --- | --- |\n"
    parts = [(str(name), part) for name, part in found.groupby(level="list")]
    for name, part in [*parts, ("all", found)]:
        first, second = (part[profile] for profile in PAIR)
        means = f"{first.mean():.2f} | {second.mean():.2f}"
        yield f"| {name} | {len(part)} | {means} | {(first < second).sum()} |\n"


def main(words: list[str]) -> None:
    """Draw the lists, or sum up their runs."""
    if words == ["draw"]:
        draw(HERE / "traces")
    elif words == ["sum"]:
        found = ends(HERE / "image_lists.study")
        write_whole(HERE / "results/image_lists.csv", [csv_of(found)])
        print("".join(table(both(read_summary(HERE / "results/log.csv"), found))), end="")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
