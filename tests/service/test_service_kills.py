"""Killed at any moment of a busy hour, the service loses nothing and does nothing twice.

``HAIZEA_LONG_TESTS=1`` kills it 200 times; by default a few times. ``HAIZEA_SEED`` repeats
an hour.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from busy_hour import Hour, check, describe, live_through, options
from effort import EFFORT, SEED
from service_process import ServiceProcess

LONG = os.environ.get("HAIZEA_LONG_TESTS") == "1"


def the_seed() -> int:
    """By chance for a long run, else the same each time."""
    return SEED if LONG or EFFORT or os.environ.get("HAIZEA_SEED") else 1


def test_killed_again_and_again(tmp_path: Path) -> None:
    seed = the_seed()
    hour = Hour(kills=200 if LONG else 12, seed=seed, speed=10 if LONG else 40)
    began = time.monotonic()
    with ServiceProcess(tmp_path / "site", options(seed, hour.speed)) as service:
        found = live_through(service, hour)
    print(f"HAIZEA_SEED={seed}: {describe(found, time.monotonic() - began)}")
    check(found)
