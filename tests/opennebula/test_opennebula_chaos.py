"""A busy hour in which everything goes wrong, again and again: nothing is lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest
from opennebula_chaos_people import HOUR, People
from opennebula_chaos_rules import check
from opennebula_chaos_world import BEGIN, QUIET, Trouble, World, grounded

from haizea.sandbox.faults import Chances

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


def hour(
    directory: Path, monkeypatch: pytest.MonkeyPatch, seed: int, trouble: Trouble, **words: object
) -> None:
    """One hour and what comes after, and what must be true then."""
    print(f"seed {seed}")
    version = ("6.10.5", "7.4.0", "1.4.0")[seed % 3]
    world = World(directory, seed, trouble, version=version)
    people = People(world, **words)
    ends = BEGIN + HOUR + 900

    def finished() -> bool:
        return world.now() > ends + 30 and (settled(world) or world.now() > ends + 4 * HOUR)

    with grounded(world, monkeypatch):
        world.run(finished)
    world.sandbox.close()
    check(world, people)


def settled(world: World) -> bool:
    """Nothing will change any more."""
    store = world.service._store
    from haizea.store import LeaseQuery

    return not store.leases(LeaseQuery(finished=False, limit=1))


@pytest.mark.parametrize("seed", range(3))
def test_an_hour_without_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    hour(tmp_path, monkeypatch, seed, QUIET, interference=0, deaths=0)


@pytest.mark.parametrize("seed", range(6))
def test_an_hour_full_of_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    hour(tmp_path, monkeypatch, seed, BUSY)
