"""Killed at any moment of busy hours, with failures, delays and early ends, the service loses
nothing, does nothing twice, and comes back each time.

``HAIZEA_LONG_TESTS=1`` has ten hours of 200 kills with each kind of store, each hour with a seed
of its own; by default there is a short one. ``HAIZEA_SEED`` is that of the first hour, and
``HAIZEA_HOURS`` says how many there are.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from busy_hour import Hour, check, describe, live_through, options
from effort import EFFORT, SEED
from quick_service import QuickService
from store_places import PLACES, place

LONG = os.environ.get("HAIZEA_LONG_TESTS") == "1"
HOURS = int(os.environ.get("HAIZEA_HOURS", "10" if LONG else "1"))


#: Starts are quick here, so that lives can be short at a higher speed: as long in its own time.
LONG_HOUR = Hour(
    kills=200,
    seed=0,
    speed=20,
    longest_life_seconds=1.25,
    longest_start_seconds=0.4,
    last_speed=60,
)
SHORT_HOUR = Hour(kills=8, seed=0, speed=40)


def the_seed(hour: int) -> int:
    """By chance for a long run, else the same each time."""
    return hour + (SEED if LONG or EFFORT or os.environ.get("HAIZEA_SEED") else 1)


@pytest.mark.parametrize("hour", range(HOURS))
@pytest.mark.parametrize("kind", PLACES)
def test_killed_again_and_again(kind: str, hour: int, tmp_path: Path) -> None:
    seed = the_seed(hour)
    busy = replace(LONG_HOUR if LONG else SHORT_HOUR, seed=seed)
    began = time.monotonic()
    store = place(kind, tmp_path)
    with QuickService(tmp_path / "site", options(seed, busy.speed), store) as service:
        try:
            found = live_through(service, busy)
            print(f"HAIZEA_SEED={seed}, {kind}: {describe(found, time.monotonic() - began)}")
            check(found)
        except BaseException as error:
            error.add_note(f"HAIZEA_SEED={seed} HAIZEA_HOURS=1 with {kind} repeats this hour")
            error.add_note(f"{time.monotonic() - began:.0f} s after its begin: {service.account}")
            raise
