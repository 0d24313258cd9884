"""Killed, full, cut off, restarted: what was acknowledged is there, whole, and once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cut_proxy import CutProxy
from postgres_server import PostgresServer, shared_server
from store_places import PLACES, place
from store_stories import ending, opened, pages, record, save_in_the_end, submission

from haizea.core.model.lifecycle import State
from haizea.store import KeptTurn, LeaseQuery, Store, StoreError, StoreUnavailable

PATH = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run_script(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PATH
    )


def check_whole(store: Store) -> int:
    """KeptTurn *n* was the submission of leases 3 n - 2 to 3 n; the last turn there is."""
    saved = store.load()
    turns = 0 if saved.now is None else saved.now
    assert [lease.id for lease in saved.records] == list(range(1, 3 * turns + 1))
    assert saved.next_lease_id == 3 * turns + 1
    events = pages(lambda after: store.events(after, 1000))
    assert [event.id for event in events] == list(range(1, 15 * turns + 1))
    assert set(Counter(event.lease_id for event in events).values()) <= {5}
    for lease in range(1, 3 * turns + 1):
        assert store.lease_for_key("ann", f"key {lease}") == lease
    assert store.lease_for_key("ann", f"key {3 * turns + 1}") is None
    return turns


def numbered(turn: int) -> KeptTurn:
    return submission(3 * turn - 2, 3 * turn - 1, 3 * turn, now=turn)


# --- kill -9 ------------------------------------------------------------------------------

SAVING = """
import sys
from store_stories import opened, submission
store = opened(sys.argv[1])
turn = store.load().now or 0
while True:
    turn += 1
    store.save(submission(3 * turn - 2, 3 * turn - 1, 3 * turn, now=turn))
    print(turn, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLACES)
def test_what_was_acknowledged_survives_kill_9(kind: str, tmp_path: Path) -> None:
    url = place(kind, tmp_path)
    chance = random.Random(4)
    for _ in range(6):
        with run_script(SAVING, url) as process:
            assert process.stdout is not None
            acknowledged = 0
            for _ in range(chance.randrange(1, 40)):
                acknowledged = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                acknowledged = int(line) if line.endswith("\n") else acknowledged
            process.wait()
        store = Store.open(url)
        assert store.lock(wait=True)
        reached = check_whole(store)
        assert acknowledged <= reached <= acknowledged + 1
        store.close()


# --- no room --------------------------------------------------------------------------------

FULL = """
import pathlib, resource, sys
from haizea.store import LeaseQuery, StoreUnavailable
from store_stories import opened, submission

path, how = sys.argv[1:]
store = opened(path)
ballast = pathlib.Path(path).with_name("ballast")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
if how == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
else:
    ballast.write_bytes(bytes(1 << 20))
turn = 0
try:
    while turn < 5000:
        turn += 1
        next_turn = submission(3 * turn - 2, 3 * turn - 1, 3 * turn, now=turn)
        store.save(next_turn)
except StoreUnavailable as error:
    print(error)
else:
    sys.exit("it never became full")
for _ in range(3):
    try:
        store.save(next_turn)
        sys.exit("it was saved though there is no room")
    except StoreUnavailable:
        pass
assert store.load().now == turn - 1
assert store.count(LeaseQuery()) == 3 * (turn - 1)
if how == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
else:
    ballast.unlink()
store.save(next_turn)
turn += 1
store.save(submission(3 * turn - 2, 3 * turn - 1, 3 * turn, now=turn))
store.close()
"""


@pytest.fixture(params=["limit", "small disk"])
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Fill a disk."""
    if request.param == "limit":
        yield request.param, tmp_path
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode != 0:
        pytest.skip("only root may mount a small disk, and not everywhere")
    yield request.param, tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_is_waited_out(full: tuple[str, Path]) -> None:
    how, folder = full
    path = str(folder / "store.db")
    with run_script(FULL, path, how) as process:
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert path in out
    store = Store.open(path)
    assert check_whole(store) > 2
    store.close()


# --- others in the way ------------------------------------------------------------------------


def test_a_file_that_somebody_locks_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haizea.store.database.WAIT_SECONDS", 0.1)
    path = tmp_path / "store.db"
    store = opened(str(path))
    store.save(numbered(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        turn = numbered(2)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="locked"):
                store.save(turn)
        assert store.lease(1) == record(1)
        with pytest.raises(StoreUnavailable):
            store.set_setting("origin", "1")
        other.execute("ROLLBACK")
    store.save(turn)
    assert check_whole(store) == 2
    store.close()


def test_a_turn_that_was_not_saved_cannot_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haizea.store.database.WAIT_SECONDS", 0.1)
    path = tmp_path / "store.db"
    store = opened(str(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            store.save(numbered(1))
        other.execute("ROLLBACK")
    with pytest.raises(AssertionError, match="saved again"):
        store.save(numbered(2))
    store.save(numbered(1))
    assert check_whole(store) == 1
    store.close()


def test_a_damaged_file_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = opened(str(path))
    for turn in range(1, 40):
        store.save(numbered(turn))
    store.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 300_000)
    with (
        pytest.raises(StoreError, match="store") as caught,
        closing(opened(str(path))) as damaged,
    ):
        check_whole(damaged)
    assert not isinstance(caught.value, StoreUnavailable), "trying again does not help"
    assert "put a backup in its place" in str(caught.value)


def test_a_file_that_is_something_else_is_told_in_words_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a shopping list, rather long, so that it may pass for a header " * 20)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a store of Haizea") as caught:
        Store.open(str(path))
    assert str(path) in str(caught.value)
    assert "name another file" in str(caught.value)
    assert path.read_bytes() == before


# --- PostgreSQL ---------------------------------------------------------------------------------


def committed(server: PostgresServer, database: str, turn: int) -> bool:
    """Tell whether the server has a turn; it may still be busy with it when the wire is cut."""
    with server.connect(database) as connection:
        # Waits for whoever has the row locked.
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM state FOR UPDATE")
        found = connection.execute("SELECT now FROM state").fetchone()
        connection.execute("COMMIT")
    return found == (turn,)


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_connection_that_breaks_at_the_commit_doubles_nothing(cut: str) -> None:
    """Cut the wire at COMMIT: nobody is told whether the server still got it."""
    server = shared_server()
    database = server.new_database()
    with tempfile.TemporaryDirectory(prefix="hz-") as folder:
        proxy = CutProxy(Path(folder), server.folder)
        store = opened(f"postgresql://haizea@/{database}?host={folder}")
        for turn in range(1, 9):
            if turn % 3 == 0:
                proxy.cut = cut
                with pytest.raises(StoreUnavailable):
                    store.save(numbered(turn))
                assert committed(server, database, turn) == (cut == "after")
            assert save_in_the_end(store, numbered(turn)) == 15 * turn
        assert check_whole(store) == 8
        store.close()
        proxy.close()


def test_a_server_that_is_restarted_underneath_is_waited_out() -> None:
    server = PostgresServer()
    try:
        store = opened(server.url(server.new_database()))
        standby = Store.open(server.url("haizea_1"))
        stopped = threading.Event()
        waiting = threading.Thread(target=standby.lock, args=(True, stopped.is_set))
        saved = threading.Semaphore(0)

        def restart() -> None:
            for _ in range(3):
                for _ in range(10):
                    saved.acquire()
                server.restart()

        restarting = threading.Thread(target=restart)
        restarting.start()
        turn = 0
        while restarting.is_alive() or turn < 40:
            turn += 1
            assert save_in_the_end(store, numbered(turn)) == 15 * turn
            saved.release()
        restarting.join()
        assert check_whole(store) == turn
        # Only now does a standby wait: a restart frees the lock, and then it is anybody's.
        waiting.start()
        server.restart()
        stopped.set()
        waiting.join()
        store.close()
        standby.close()
    finally:
        server.close()


def test_questions_and_changes_say_that_the_server_is_away() -> None:
    server = PostgresServer()
    try:
        store = opened(server.url(server.new_database()))
        store.save(numbered(1))
        server.stop()
        turn = numbered(2)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                store.save(turn)
            with pytest.raises(StoreUnavailable):
                store.leases(LeaseQuery())
            with pytest.raises(StoreUnavailable):
                store.tokens.check("hz_" + "x" * 43)
            with pytest.raises(StoreUnavailable):
                store.prune(5)
        with pytest.raises(StoreUnavailable):
            Store.open(server.url("haizea_1"))
        server.start()
        assert store.lease(1) == record(1)
        save_in_the_end(store, turn)
        assert check_whole(store) == 2
        store.save(ending(1, now=3))
        assert store.lease(1) == record(1, State.DONE, changed=3, plan=None)
        store.close()
    finally:
        server.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hush@127.0.0.1:1/haizea",
        "postgresql://127.0.0.1:1/haizea?user=ann&password=hush",
        "postgres://ann:hush@127.0.0.1:1/haizea?connect_timeout=1",
        "postgresql://ann:hush@127.0.0.1:1/haizea?sslmode=nonsense",
        "postgresql://ann:hush@127.0.0.1:1/haizea?nonsense=1",
    ],
)
def test_no_error_tells_a_password(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert "127.0.0.1" in str(caught.value)
    assert "hush" not in "".join(traceback.format_exception(caught.value))
