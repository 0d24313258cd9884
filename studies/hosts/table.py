"""Print the means of the study of host selection: a row for each load and policy."""

from __future__ import annotations

import sys
from pathlib import Path

import haizea.study

FIGURES = [
    "accepted-ar",
    "rejected-ar",
    "cpu-utilization",
    "waiting-time-mean",
    "slowdown-mean",
    "suspensions",
]


def main() -> None:
    """Read the study in the directory that is named."""
    runs = haizea.study.load(Path(sys.argv[1])).runs
    factors = ["asked", "policy-host-selection"]
    print(runs.groupby(factors)[FIGURES].mean().round(3).to_string())


if __name__ == "__main__":
    main()
