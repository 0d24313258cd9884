"""A busy hour in which everything goes wrong, again and again: nothing is lost or doubled."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from effort import EFFORT
from opennebula_chaos_people import HOUR, People
from opennebula_chaos_rules import check
from opennebula_chaos_world import BEGIN, QUIET, Trouble, World, grounded

from haizea.sandbox.faults import Chances

pytestmark = pytest.mark.slow

BUSY = Trouble(
    chances=Chances(
        fail=0.03,
        slow=0.05,
        hang=0.005,
        refuse=0.02,
        web_error=0.005,
        web_close=0.005,
        web_lose=0.005,
    ),
    lose_event=0.05,
    repeat_event=0.05,
    garbage=0.003,
    kills=2,
    outages=1,
    store_failures=0.0005,
)
#: Nothing goes wrong by chance, so that what has an end is to come to it in time.
KILLS = Trouble(longest_delay_seconds=0.5, kills=4, oned_kills=8, broken_drivers=4)
#: And everything at once.
EVERYTHING = replace(BUSY, oned_kills=4, broken_drivers=3)


_LONG = bool(os.environ.get("HAIZEA_LONG_TESTS"))
#: As many hours as are asked for, each from the seed that is its number.
_HOURS = 500 if _LONG else 4 * max(EFFORT, 1)
#: Haizea was killed in the moment in which a lease lost its host and failed; a host was drained
#: while what a waiting lease had claimed was late; a VM that its owner had undeployed was ended.
_ONCE_WRONG = (281, 214, 157)
#: What could not be booted stayed on its host, and counted as another's after a restart.
_KILLED_WRONG = (2013,)
_VERSIONS = ("6.10.5", "7.4.0", "1.4.0")


def _seeds(once_wrong: tuple[int, ...]) -> list[int]:
    """The seeds whose hours were wrong once, and as many others as are asked for.

    By default these are those of versions that none of these has.
    """
    if _LONG or EFFORT:
        return sorted({*range(_HOURS), *once_wrong})
    seen = {seed % len(_VERSIONS) for seed in once_wrong}
    return sorted({*once_wrong, *(seed for seed in range(len(_VERSIONS)) if seed not in seen)})


def hour(
    directory: Path, monkeypatch: pytest.MonkeyPatch, seed: int, trouble: Trouble, **words: Any
) -> None:
    """One hour and what comes after, and what must be true then."""
    print(f"seed {seed}")
    world = World(directory, seed, trouble, version=_VERSIONS[seed % 3])
    people = People(world, **words)
    ends = BEGIN + HOUR + 900

    def finished() -> bool:
        return world.now() > ends + 30 and (world.is_idle() or world.now() > ends + 4 * HOUR)

    with grounded(world, monkeypatch):
        world.run(finished)
    world.sandbox.close()
    check(world, people)


@pytest.mark.parametrize("seed", range(3))
def test_an_hour_without_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    hour(tmp_path, monkeypatch, seed, QUIET, interference=0, deaths=0)


@pytest.mark.parametrize("seed", _seeds(_KILLED_WRONG))
def test_an_hour_in_which_haizea_and_oned_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    hour(tmp_path, monkeypatch, seed, KILLS, interference=0, deaths=0)


@pytest.mark.parametrize("seed", range(max(3, _HOURS // 2)))
def test_an_hour_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    hour(tmp_path, monkeypatch, seed, EVERYTHING)


@pytest.mark.parametrize("seed", _seeds(_ONCE_WRONG))
def test_an_hour_full_of_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    hour(tmp_path, monkeypatch, seed, BUSY)
