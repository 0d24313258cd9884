"""The world itself: it goes on, tells what should not be, forgets, and survives wrong use."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from haizea.backends.world import (
    Command,
    HostState,
    IncidentKind,
    Stretch,
    Verb,
    VmState,
    World,
    WorldError,
    WorldOptions,
    WorldUnavailable,
    rows,
)
from haizea.backends.world.audit import audit
from haizea.backends.world.file import WorldFile
from haizea.core.model.events import Purpose
from haizea.core.model.hosts import Host
from haizea.core.model.resources import Capacity

HOSTS = (Host(0, "one", (100, 1024)), Host(1, "two", (100, 1024)))
DAY = 86_400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.open(tmp_path / "world.db", HOSTS, 0)
    yield made
    made.close()


def start(due: int, lease: int = 1, host: int = 0, life_seconds: int | None = None) -> Command:
    return Command(
        lease=lease,
        node=1,
        verb=Verb.START,
        due=due,
        host=host,
        seconds=1000,
        capacity=(60, 512),
        life_seconds=life_seconds,
    )


def tell(verb: Verb, due: int, seconds: int = 0, host: int = 0) -> Command:
    return Command(lease=1, node=1, verb=verb, due=due, seconds=seconds, host=host)


def kinds(world: World) -> list[IncidentKind]:
    return [incident.kind for incident in world.incidents()]


# --- it goes on ---------------------------------------------------------------------------


def test_it_goes_on_while_nobody_looks(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    world = World.open(path, HOSTS, 0)
    world.give(10, start(10))
    world.give(100, tell(Verb.SUSPEND, 100, seconds=30))
    world.give(100, start(100, lease=2, host=1, life_seconds=500))
    world.close()

    again = World.open(path)
    again.look(10_000)
    assert [vm.state for vm in again.vms()] == [VmState.SAVED, VmState.ENDED]
    assert [(s.lease, s.start, s.end) for s in again.history()] == [(1, 10, 130), (2, 100, 600)]
    assert [(h.what, h.moment) for h in again.happenings()] == [("ended", 600)]
    assert [(e.outcome, e.finished) for e in again.journal(1)] == [
        ("running", 10),
        ("saved", 130),
    ]
    again.close()


def test_another_process_sees_it_and_kills_a_host(world: World, tmp_path: Path) -> None:
    world.give(10, start(10))
    script = (
        "import sys; from haizea.backends.world import World\n"
        "w = World.open(sys.argv[1]); w.host_down(0, 50, 'the plug'); print(w.vms(1)[0].why)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "world.db")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout == "one: the plug\n"
    assert [h.what for h in world.happenings()] == ["host-down", "failed"]
    assert [vm.state for vm in world.vms()] == [VmState.FAILED]


def test_what_is_saved_outlives_its_host(world: World) -> None:
    world.give(0, start(0))
    world.give(10, tell(Verb.SUSPEND, 10, seconds=5))
    world.host_down(0, 20)
    assert world.vms()[0].state is VmState.SAVED
    world.host_up(0, 30)
    world.give(40, tell(Verb.RESUME, 40, seconds=5))
    world.look(50)
    assert world.vms()[0].state is VmState.RUNNING
    assert kinds(world) == []


def test_a_lease_that_was_suspended_ends_when_it_has_run_enough(world: World) -> None:
    world.give(0, start(0, life_seconds=100))
    world.give(60, tell(Verb.SUSPEND, 60, seconds=10))
    world.give(500, tell(Verb.RESUME, 500, seconds=20))
    world.look(1000)
    assert (world.vms()[0].state, world.vms()[0].since) == (VmState.ENDED, 560)


def test_hosts_die_and_return_by_configuration(tmp_path: Path) -> None:
    options = WorldOptions(host_failure_seconds=1000, host_repair_seconds=50)
    world = World.open(tmp_path / "world.db", HOSTS, 0, options)
    world.look(100_000)
    downs = [h for h in world.happenings() if h.what == "host-down"]
    ups = [h for h in world.happenings() if h.what == "host-up"]
    assert 100 < len(downs) < 300
    assert len(downs) - len(ups) in {0, 1, 2}
    world.close()


def test_the_past_is_not_changed_by_a_clock_that_is_behind(world: World) -> None:
    world.give(100, start(100))
    assert world.look(50) == 100
    world.give(60, tell(Verb.KILL, 160))
    assert [(s.start, s.end) for s in world.history()] == [(100, 100)]


# --- what should never be -----------------------------------------------------------------


def test_a_vm_that_runs_is_not_started_again(world: World) -> None:
    world.give(0, start(0))
    world.give(0, start(0))
    assert kinds(world) == []
    world.give(5, start(5, host=1))
    assert kinds(world) == [IncidentKind.RAN_TWICE]
    assert [s.host for s in world.history()] == [0]


def test_saved_memory_is_not_started_over(world: World) -> None:
    world.give(0, start(0))
    world.give(10, tell(Verb.SUSPEND, 10))
    world.give(20, start(20))
    assert kinds(world) == [IncidentKind.LOST_MEMORY]


@pytest.mark.parametrize("host", [0, 1])
def test_nothing_resumes_without_memory(world: World, host: int) -> None:
    world.give(0, start(0))
    if host:
        world.give(10, tell(Verb.SUSPEND, 10))
    world.give(20, tell(Verb.RESUME, 20, host=host))
    assert kinds(world) == [IncidentKind.NO_MEMORY]
    assert [h.what for h in world.happenings()] == ["failed"]


def test_a_host_has_room_for_so_much(world: World) -> None:
    world.give(0, start(0))
    world.give(0, start(0, lease=2))
    assert kinds(world) == [IncidentKind.OVER_CAPACITY]


def test_a_dead_host_starts_nothing(world: World) -> None:
    world.host_down(0, 10)
    world.give(10, start(10))
    assert kinds(world) == [], "it died in that second: nobody can know yet"
    world.give(11, start(11, lease=2))
    assert kinds(world) == [IncidentKind.DEAD_HOST]
    world.give(12, start(12, lease=3, host=7))
    assert kinds(world)[1:] == [IncidentKind.DEAD_HOST], "there is no such host"


def test_what_the_history_shows_is_found_without_being_noticed() -> None:
    hosts = [HostState(0, "one", (100, 1024), True, 0, None, "")]

    def shown(*history: Stretch, outages: tuple[tuple[int, int, int | None], ...] = ()) -> set[str]:
        return {incident.kind for incident in audit(history, hosts, outages)}

    first = Stretch(1, 1, 1, 0, (60, 512), 0, 100)
    assert shown(first, Stretch(1, 1, 2, 0, (40, 512), 100, None)) == set()
    assert shown(first, Stretch(1, 1, 2, 0, (40, 512), 99, 110)) == {IncidentKind.RAN_TWICE}
    assert shown(first, Stretch(2, 1, 1, 0, (41, 512), 99, None)) == {IncidentKind.OVER_CAPACITY}
    assert shown(first, outages=((0, 100, 200),)) == set()
    assert shown(first, outages=((0, 99, None),)) == {IncidentKind.DEAD_HOST}


def test_a_manager_that_lags_behind_is_not_heard(world: World) -> None:
    world.give(0, start(0))
    world.give(50, tell(Verb.KILL, 50))
    world.give(60, start(0))
    assert [vm.state for vm in world.vms()] == [VmState.GONE]
    assert "later command" in world.journal()[-1].outcome
    assert kinds(world) == []


# --- upkeep and wrong use -----------------------------------------------------------------


def test_what_has_long_been_over_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    world = World.open(path, HOSTS, 0, WorldOptions(keep_days=2))
    sizes = []
    for lease in range(1, 1201):
        now = lease * 600
        world.give(now, start(now, lease=lease))
        world.give(now + 500, Command(lease=lease, node=1, verb=Verb.KILL, due=now + 500))
        if lease % 300 == 0:
            sizes.append(path.stat().st_size)
    last = 1200 * 600
    assert min(s.start for s in world.history()) >= last - 2 * DAY - 3700
    assert len(world.vms()) == len(world.history()) < 310
    assert len(world.journal()) < 620
    assert sizes[-1] <= sizes[0] + 65_536
    assert kinds(world) == []
    world.close()


def test_what_lasts_is_not_forgotten(tmp_path: Path) -> None:
    world = World.open(tmp_path / "world.db", HOSTS, 0, WorldOptions(keep_days=1))
    world.give(0, start(0))
    world.give(0, start(0, lease=2, host=1))
    world.give(10, Command(lease=2, node=1, verb=Verb.SUSPEND, due=10))
    world.prune(100 * DAY)
    assert [vm.state for vm in world.vms()] == [VmState.RUNNING, VmState.SAVED]
    assert [s.lease for s in world.history()] == [1]
    world.close()


def test_nobody_else_may_read_it(world: World, tmp_path: Path) -> None:
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_managers_of_one_store_alone_have_a_world(tmp_path: Path) -> None:
    """A store may have passed from one to another, and the first has not noticed yet."""
    path = tmp_path / "world.db"
    first, second = World.open(path, HOSTS, store="a"), World.open(path, store="a")
    for world in (first, second):
        with pytest.raises(WorldError, match=r"has its leases in a: .* set file in \[world\]"):
            World.open(path, (Host(2, "three", (1, 1)),), store="b")
        with closing(World.open(path)) as seen:
            assert len(seen.hosts()) == len(HOSTS), "who only looks may, and nothing was changed"
        world.close()
    with closing(World.open(path, store="b")), pytest.raises(WorldError, match="leases in b"):
        World.open(path, store="a")
    assert stat.S_IMODE((tmp_path / "world.db.lock").stat().st_mode) == 0o600


def test_a_file_that_is_damaged_while_it_is_open_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    with closing(World.open(path, HOSTS)):
        pass
    with closing(World.open(path)) as world:
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)
        with pytest.raises(WorldError, match="damaged") as caught:
            world.hosts()
        assert not isinstance(caught.value, WorldUnavailable), "trying again does not help"


def test_what_is_no_world_is_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("a shopping list, rather long, so that it may pass for a header " * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    connection.close()
    for path, words in ((text, "not a simulated world"), (other, "another kind of database")):
        before = path.read_bytes()
        with pytest.raises(WorldError, match=words) as caught:
            World.open(path, HOSTS)
        assert f"{path} is not" in str(caught.value)
        assert "set file in [world]" in str(caught.value)
        assert path.read_bytes()[100:] == before[100:]
    with pytest.raises(WorldError, match="cannot be opened"):
        World.open(tmp_path / "nowhere" / "world.db", HOSTS)
    with pytest.raises(WorldError, match="cannot be opened"):
        World.open(tmp_path, HOSTS)


def test_a_later_format_is_refused(world: World, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "world.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(WorldError, match="later version"):
        World.open(tmp_path / "world.db")


def test_the_site_grows(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    World.open(path, HOSTS[:1], 0).close()
    world = World.open(path, (Host(0, "one", (200, 1024)), HOSTS[1]), 10)
    assert [(h.name, h.capacity) for h in world.hosts()] == [
        ("one", (200, 1024)),
        ("two", (100, 1024)),
    ]
    world.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": {Purpose.RUN: 1.1}},
        {"delays": {Purpose.SUSPEND: -0.1}},
        {"delays": {Purpose.RUN: 0.1}},
        {"early_ends": 2.0},
        {"longest_delay_seconds": 0},
        {"keep_days": 0},
        {"host_failure_seconds": -1},
        {"host_repair_seconds": 0},
    ],
    ids=str,
)
def test_options_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"probability|delayed|at least|never"):
        WorldOptions(**wrong)  # type: ignore[arg-type]


def test_what_is_drawn_depends_on_the_command_alone() -> None:
    options = WorldOptions(failures={Purpose.RESUME: 0.5}, delays={Purpose.RESUME: 1}, seed=5)
    drawn = [options.fate(lease, Purpose.RESUME, 100, 30, 4) for lease in range(200)]
    assert drawn == [options.fate(lease, Purpose.RESUME, 100, 30, 4) for lease in range(200)]
    failed = [lot for lot in drawn if lot.fate.fails_after_seconds is not None]
    assert 60 < len(failed) < 140
    assert all(1 <= (lot.fate.fails_after_seconds or 0) < 30 for lot in failed)
    assert all(lot.fate.late_seconds >= 1 for lot in drawn if lot not in failed)
    assert {lot.node for lot in drawn} == {1, 2, 3, 4}


def test_a_host_is_read_and_added_up_once_for_a_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start once read all VMs of its host again: 900 of one lease took 100 ms and more."""
    asked: list[int] = []
    used, select_hosts = rows.used, rows.select_hosts

    def counted(file: WorldFile, host: int) -> Capacity:
        asked.append(host)
        return used(file, host)

    def read(file: WorldFile, where: str = "", *values: object) -> list[HostState]:
        asked.append(-1)
        return select_hosts(file, where, *values)

    monkeypatch.setattr(rows, "used", counted)
    monkeypatch.setattr(rows, "select_hosts", read)
    world.look(0)
    commands = [
        replace(start(0, host=node % 2), node=node, capacity=(1, 1)) for node in range(1, 31)
    ]
    given = world.give_all(0, commands)
    assert [vm.host for vm in given if vm is not None] == [c.host for c in commands]
    assert sorted(asked) == [-1, -1, 0, 1]
    assert kinds(world) == []
    world.give_all(0, [replace(start(0, lease=2), node=n) for n in range(1, 4)])
    assert set(kinds(world)) == {IncidentKind.OVER_CAPACITY}


def test_of_commands_that_are_given_together_all_are_kept_or_none(world: World) -> None:
    """Whoever is killed, or finds the disk full, in the middle has given none of them."""

    class Broken(Exception):
        pass

    def commands() -> Iterator[Command]:
        yield start(0)
        raise Broken

    with pytest.raises(Broken):
        world.give_all(0, commands())  # type: ignore[arg-type]
    assert world.vms() == []
    assert world.journal() == []
