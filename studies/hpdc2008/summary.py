"""Figures of each run that the comparison needs, as one small table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

import haizea.study
from haizea.study.frames import Frames

FACTORS = ["length", "size", "percent"]

#: The percent of the run without reservations.
BASE = 0

HOSTS = 144
SHORT_SECONDS, LONG_SECONDS = 3600, 36000

#: What an image of a reservation takes over the link: 600 MB at 100 Mbit/s.
AR_IMAGE_SECONDS = 48

_LEASES = (
    *("lease", "kind", "state", "nodes", "submitted", "requested_start", "duration", "started"),
    "code",
)


def summary(directory: Path) -> pd.DataFrame:
    """A row for each finished run of the study, from its results."""
    frames = haizea.study.load(directory)
    runs = frames.runs[frames.runs["status"] == "complete"].set_index("run")
    found = runs[["profile"]].copy()
    for name in FACTORS:
        found[name] = runs[name]
    found["percent"] = found["percent"].fillna(BASE).astype(int)
    found["last_end_seconds"] = runs["all-best-effort"].astype(int)
    found["mean_wait_seconds"] = runs["first-wait-mean"].round(3)
    counts = pd.DataFrame(dict(of_run(number, leases)) for number, leases in by_run(frames))
    return found.join(counts.set_index("run")).reset_index(drop=True)


def read_summary(path: Path) -> pd.DataFrame:
    """The same from a file that the comparison wrote."""
    return pd.read_csv(path, keep_default_na=False)


def by_run(frames: Frames) -> Iterator[tuple[int, pd.DataFrame]]:
    """The leases of each run. They come run by run, but a part may end within one."""
    rest = pd.DataFrame()
    for batch in frames.batches(_LEASES):
        both = pd.concat([rest, batch])
        last = both["run"].iloc[-1]
        for number, leases in both[both["run"] != last].groupby("run"):
            yield int(number), leases
        rest = both[both["run"] == last]
    if not rest.empty:
        yield int(rest["run"].iloc[0]), rest


def of_run(number: int, leases: pd.DataFrame) -> Iterator[tuple[str, int]]:
    """Counts and sums of one run, by name."""
    yield "run", number
    batch = leases[(leases["kind"] == "best-effort") & leases["started"].notna()]
    waits = batch["started"] - batch["submitted"]
    for name, part in (
        ("short", batch["duration"] <= SHORT_SECONDS),
        ("long", batch["duration"] >= LONG_SECONDS),
    ):
        yield f"{name}_jobs", int(part.sum())
        yield f"{name}_wait_seconds", int(waits[part].sum())
    ars = leases[leases["kind"] == "ar"]
    rejected = ars[ars["state"] == "Rejected"]
    yield "ars", len(ars)
    yield "ars_rejected", len(rejected)
    yield "ars_rejected_needlessly", sum(not is_impossible(ar, ars) for ar in rejected.itertuples())


def is_impossible(ar: Any, ars: pd.DataFrame) -> bool:
    """Tell whether nobody could have accepted this reservation.

    It was asked for too late, for its start or for its image, or those that were accepted
    before it leave too few hosts at some moment.
    """
    lead = ar.requested_start - ar.submitted
    if lead < 0 or (ar.code == "image-late" and lead < AR_IMAGE_SECONDS):
        return True
    start, end = ar.requested_start, ar.requested_start + ar.duration
    before = ars[(ars["lease"] < ar.lease) & (ars["state"] != "Rejected")]
    ends = before["requested_start"] + before["duration"]
    beside = before[(before["requested_start"] < end) & (ends > start)]
    ends = ends[beside.index]
    moments = [start, *beside["requested_start"][beside["requested_start"] > start]]
    held = (beside["nodes"][(beside["requested_start"] <= t) & (ends > t)].sum() for t in moments)
    return bool(max(held, default=0) + ar.nodes > HOSTS)
