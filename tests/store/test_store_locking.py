"""One manager at a time: a second waits or is refused, and one that lost the store cannot write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import shared_server
from sqlalchemy import Engine, event
from store_places import PLACES, place
from store_stories import opened, record, save_in_the_end, submission

from haizea.core.model.lifecycle import State
from haizea.store import KeptTurn, Store, StoreLost, StoreUnavailable

HOLDER = """
import sys, time
from haizea.store import Store, KeptTurn
store = Store.open(sys.argv[1])
assert store.lock(wait=True)
store.save(KeptTurn(now=1))
print("locked", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that is not there yet."""
    return place(request.param, tmp_path)


@pytest.fixture
def other(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the store's lock."""
    command = [sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_manager_is_refused_but_may_ask(url: str) -> None:
    first, second = opened(url), Store.open(url)
    first.save(submission(1))
    assert not second.lock(wait=False)
    assert second.lease(1) == record(1)
    assert f"process {os.getpid()} on" in second.holder()
    first.close()
    assert second.lock(wait=False)
    assert second.save(submission(2)) == 10
    second.close()


def test_locking_twice_is_locking_once(url: str) -> None:
    store = opened(url)
    store.save(submission(1))
    assert store.lock(wait=False)
    assert store.save(submission(2)) == 10
    store.close()


def test_nobody_saves_without_the_lock(url: str) -> None:
    store = Store.open(url)
    with pytest.raises(AssertionError, match="lock"):
        store.save(KeptTurn(now=1))
    store.close()


def test_a_standby_that_is_stopped_stops_waiting(url: str) -> None:
    first, second = opened(url), Store.open(url)
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) == 3

    assert not second.lock(wait=True, stopped=stopped)
    assert len(asked) == 3
    first.close()
    second.close()


def test_a_standby_takes_over_from_one_that_closes(url: str) -> None:
    first, second = opened(url), Store.open(url)
    had: list[bool] = []
    waiting = threading.Thread(target=lambda: had.append(second.lock(wait=True)))
    waiting.start()
    first.save(submission(1))
    first.close()
    waiting.join(timeout=60)
    assert had == [True]
    assert second.load().records == [record(1)]
    assert second.save(submission(2)) == 10
    second.close()


def test_a_standby_takes_over_from_one_that_was_killed(
    url: str, other: subprocess.Popen[str]
) -> None:
    standby = Store.open(url)
    assert not standby.lock(wait=False)
    assert f"process {other.pid} " in standby.holder()
    other.send_signal(signal.SIGKILL)
    assert standby.lock(wait=True)
    assert standby.load().now == 1
    standby.save(KeptTurn(now=2))
    standby.close()


@pytest.mark.parametrize("went_on", [True, False])
def test_who_lost_the_store_unnoticed_cannot_write(url: str, went_on: bool) -> None:
    """Its lock is gone without its doing, another manager has begun, and perhaps gone on."""
    first = opened(url)
    first.save(submission(1))
    if url.startswith("postgresql"):
        server, database = shared_server(), url.split("@/")[1].split("?")[0]
        with server.connect(database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
    else:
        Path(f"{url}.lock").unlink()
    second = Store.open(url)
    assert second.lock(wait=True)
    if went_on:
        second.save(KeptTurn(now=2, records=[record(1, State.ACTIVE)]))
    for _ in range(2):
        with pytest.raises(StoreLost, match="another manager"):
            save_in_the_end(first, KeptTurn(now=3, records=[record(1, State.DONE)]))
    assert second.lease(1) == record(1, State.ACTIVE if went_on else State.SCHEDULED)
    second.save(KeptTurn(now=4))
    assert second.load().now == 4
    # Closing must not touch what is the other's now either.
    first.enacted()
    first.close()
    assert len(second.load().last_decisions) == 5
    second.close()


def test_a_file_that_was_replaced_underneath_is_noticed(tmp_path: Path) -> None:
    """Notice that the file has no name any more: what is saved into it would be lost."""
    path, copy = tmp_path / "store.db", tmp_path / "copy.db"
    store = opened(str(path))
    store.save(submission(1))
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    with pytest.raises(StoreLost, match="replaced"):
        store.save(submission(2))
    path.unlink()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.save(submission(2))
    store.close()


def test_many_processes_may_open_a_new_store_at_once(url: str) -> None:
    script = "import sys; from haizea.store import Store; Store.open(sys.argv[1]).close()"
    command = [sys.executable, "-c", script, url]
    started = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        for _ in range(4)
    ]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    store = opened(url)
    assert store.save(submission(1)) == 5
    store.close()


@pytest.mark.parametrize("text", ["application_id", "sqlite_master"])
def test_another_may_make_the_store_while_it_is_looked_at(tmp_path: Path, text: str) -> None:
    """Whichever of the statements that look at it comes just after."""
    url = place("sqlite", tmp_path)
    left = [text]

    @event.listens_for(Engine, "before_cursor_execute")
    def make_it_in_between(_connection: object, _cursor: object, said: str, *_: object) -> None:
        if left and left[0] in said:
            left.clear()
            Store.open(url).close()

    try:
        store = Store.open(url)
    finally:
        event.remove(Engine, "before_cursor_execute", make_it_in_between)
    assert not left, "nobody made it"
    assert store.lock(wait=False)
    assert store.save(submission(1)) == 5
    store.close()
