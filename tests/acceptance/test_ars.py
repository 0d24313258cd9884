"""A month of advance reservations beside real batch jobs.

By default a sample that has each share of load, duration and size of the injected
reservations at least once, beside half a month of jobs; with ``HAIZEA_LONG_TESTS=1`` every file
there is, beside the month. Whole months of both are in :mod:`test_published`, and with images in
:mod:`test_published_images`.
"""

from __future__ import annotations

import math
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from blue import HOSTS, START, Results, Row, blue, simulate

pytestmark = pytest.mark.slow

LONG = os.environ.get("HAIZEA_LONG_TESTS") == "1"

SHARES = ("05", "10", "15", "20", "25", "30")
LENGTHS = ("1h", "2h", "3h", "4h")
SIZES = ("1small", "2medium", "3large")

BANDWIDTH_MBPS = 100


@dataclass(frozen=True, slots=True)
class Case:
    """Reservations beside the jobs, and the way in which the site is run."""

    share: str
    length: str
    size: str
    migration: str
    images: str = ""

    @property
    def jobs(self) -> str:
        return "30days.swf" if LONG else "15days.swf"

    @property
    def file(self) -> str:
        return f"work_{self.share}-dur_{self.length}-size_{self.size}.lwf"

    def __str__(self) -> str:
        beside = f"-{self.images}" if self.images else ""
        return f"{self.file.removesuffix('.lwf')}-migration_{self.migration}{beside}"


#: A share of load, a duration and a size each, and whether leases may migrate.
SAMPLE = {
    ("05", "2h", "2medium"): "yes",
    ("10", "3h", "2medium"): "no",
    ("15", "4h", "1small"): "yes",
    ("20", "1h", "3large"): "no",
    ("25", "4h", "2medium"): "no",
    ("30", "3h", "3large"): "yes",
}

#: With images: a dozen, that meet each share, duration and size.
IMAGES = [
    (share, LENGTHS[i % 4], size)
    for i, (share, size) in enumerate(
        [(share, SIZES[(j + k) % 3]) for j, share in enumerate(SHARES) for k in (0, 1)]
    )
]


def cases() -> list[Case]:
    both = [Case(*file, how) for file in product(SHARES, LENGTHS, SIZES) for how in ("no", "yes")]
    plain = both if LONG else [Case(*file, how) for file, how in SAMPLE.items()]
    with_images = [
        Case(
            *file, migration="yes" if i % 2 else "no", images="redundant" if i % 4 < 2 else "rides"
        )
        for i, file in enumerate(IMAGES)
    ]
    return plain + (with_images if LONG else [with_images[1], with_images[6]])


def sections(case: Case) -> dict[str, dict[str, str]]:
    result = {
        "scheduling": {
            "backfilling": "aggressive",
            "policy-preemption": "ar-preempts-everything",
            "suspension": "all",
            "migration": case.migration,
        },
        "tracefile": {
            "tracefile": blue(case.jobs),
            "injectionfile": blue(f"injected-30days/{case.file}"),
        },
    }
    if case.images:
        result["general"] = {"lease-preparation": "imagetransfer"}
        result["simulation"] = {"imagetransfer-bandwidth": str(BANDWIDTH_MBPS)}
        result["tracefile"]["imagefile"] = blue("37_uniform.images")
        result["deploy-imagetransfer"] = {
            "transfer-mechanism": "multicast",
            "avoid-redundant-transfers": "yes" if case.images == "rides" else "no",
            "diskimage-reuse": "image-caches",
            "diskimage-cache-size": "20480",
        }
    return result


@pytest.mark.parametrize("case", cases(), ids=str)
def test_reservations_are_kept_beside_real_load(case: Case, tmp_path: Path) -> None:
    results = simulate(tmp_path, {"simulation": {}, **sections(case)})
    reservations = results.of_kind("ar")
    accepted = [row for row in reservations if row.state != "Rejected"]
    rejected = [row for row in reservations if row.state == "Rejected"]
    assert accepted
    not_kept = [
        row for row in accepted if row.state != "Done" or row.started != row.requested_start
    ]
    assert not not_kept
    cut = [row for row in accepted if row.has_ended - row.has_started != row.duration]
    assert not cut
    unexplained = [row for row in rejected if not is_confirmed(row, accepted, results)]
    assert not unexplained
    left = [row for row in results.of_kind("best-effort") if row.state != "Done"]
    assert not left


def is_confirmed(row: Row, accepted: list[Row], results: Results) -> bool:
    """Tell whether the other leases show that the reservation had to be rejected."""
    assert row.requested_start is not None
    match row.code:
        case "in-the-past":
            return row.requested_start < row.submitted
        case "no-room":
            return row.nodes > HOSTS - most_reserved(row, accepted)
        case "image-late":
            return longest_gap(row, results) < transfer_seconds(row, results)
    return False


def most_reserved(row: Row, accepted: list[Row]) -> int:
    """The most hosts that reservations made before take, at any instant of its time."""
    assert row.requested_start is not None
    end = row.requested_start + row.duration
    beside = [
        other
        for other in accepted
        if other.submitted <= row.submitted
        and other.has_started < end
        and other.has_ended > row.requested_start
    ]
    instants = {row.requested_start, *(max(o.has_started, row.requested_start) for o in beside)}
    return max(
        sum(o.nodes for o in beside if o.has_started <= instant < o.has_ended)
        for instant in instants
    )


def transfer_seconds(row: Row, results: Results) -> int:
    """Return how long its image takes over the repository's link."""
    with closing(sqlite3.connect(results.datafile)) as db:
        query = "SELECT image_mb FROM leases WHERE lease = ?"
        (megabytes,) = db.execute(query, (row.lease,)).fetchone()
    return math.ceil(int(megabytes) * 8 / BANDWIDTH_MBPS)


def longest_gap(row: Row, results: Results) -> int:
    """The longest time without a transfer between its submission and its start."""
    assert row.requested_start is not None
    with closing(sqlite3.connect(results.datafile)) as db:
        transfers = db.execute(
            'SELECT DISTINCT start, "end" FROM reservations WHERE purpose = ? ORDER BY start',
            ("transfer",),
        ).fetchall()
    gap, free_from = 0, row.submitted
    for start, end in transfers:
        if end - START > free_from and start - START < row.requested_start:
            gap = max(gap, start - START - free_from)
            free_from = max(free_from, end - START)
    return max(gap, row.requested_start - free_from)
