"""Hosts of a simulated site die and come back as the configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from haizea.backends.world import World, WorldOptions
from haizea.config import ConfigError, load
from haizea.core.model.hosts import Host
from haizea.service.world import world_options

HOSTS = (Host(0, "one", (100, 1024)), Host(1, "two", (100, 1024)))
MORTAL = WorldOptions(host_failure_seconds=1000, host_repair_seconds=50)
SITE = "[simulation]\nclock: real\nresources: 2 CPU:100 Memory:1024\n[world]\n"


def deaths(world: World, until: int) -> int:
    world.look(until)
    return sum(happening.what == "host-down" for happening in world.happenings())


def opened(path: Path, now: int, options: WorldOptions) -> World:
    return World.open(path, HOSTS, now, options)


def test_a_world_that_is_there_follows_other_options(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    world = opened(path, 0, WorldOptions())
    assert deaths(world, 20_000) == 0
    world.close()
    world = opened(path, 20_000, MORTAL)
    some = deaths(world, 60_000)
    assert some > 10
    # Nothing that was drawn for later happens after this, but who is down comes back.
    world.close()
    world = opened(path, 60_000, WorldOptions())
    assert deaths(world, 200_000) == some
    assert all(host.up for host in world.hosts())
    world.close()


def test_the_same_options_again_change_nothing(tmp_path: Path) -> None:
    once, often = (opened(tmp_path / name, 0, MORTAL) for name in ("once.db", "often.db"))
    for now in range(0, 20_000, 700):
        often.look(now)
        often.close()
        often = opened(tmp_path / "often.db", now, MORTAL)
    assert deaths(once, 20_000) == deaths(often, 20_000) > 0
    told = [[(h.moment, h.what, h.host) for h in world.happenings()] for world in (once, often)]
    assert told[0] == told[1]
    once.close()
    often.close()


def test_looking_on_without_hosts_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    opened(path, 0, MORTAL).close()
    onlooker = World.open(path)
    before = onlooker.hosts()
    assert all(host.until is not None for host in before)
    onlooker.close()
    world = opened(path, 0, MORTAL)
    assert world.hosts() == before
    world.close()


def test_the_configuration_says_how(tmp_path: Path) -> None:
    file = tmp_path / "site.conf"
    file.write_text(f"{SITE}seed: 7\n", encoding="utf-8")
    assert world_options(load(file)) == WorldOptions(seed=7)
    text = "host-failures: 2:00:00\nhost-repair: 90\nkeep-days: 3\n"
    file.write_text(SITE + text, encoding="utf-8")
    wanted = WorldOptions(host_failure_seconds=7200, host_repair_seconds=90, keep_days=3)
    assert world_options(load(file)) == wanted


@pytest.mark.parametrize("wrong", ["host-failures: 0", "host-repair: -1", "keep-days: 0"])
def test_what_makes_no_sense_is_refused(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "site.conf"
    file.write_text(f"{SITE}{wrong}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=wrong.partition(":")[0]):
        load(file)
