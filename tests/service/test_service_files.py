"""Files that were emptied, are something else, or are another service's."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from quick_service import QuickService
from service_process import ServiceProcess, command, until

from haizea.service.paths import Paths
from haizea.service.service import make_first_token
from haizea.store import Store

TEXT = "a shopping list, rather long, so that it may pass for a header " * 20
ONE_NODE = {"duration": 3600, "nodes": [{"resources": {"CPU": 100, "Memory": 64}}]}


@pytest.mark.parametrize("left", [b"", b"\n", bytes(48)], ids=["nothing", "a line", "zeros"])
def test_a_token_file_that_was_emptied_is_made_anew(tmp_path: Path, left: bytes) -> None:
    with QuickService(tmp_path) as service:
        service.start()
        token = service.state_directory / "token"
        assert service.kill(signal.SIGTERM) == 0
        token.write_bytes(left)
        service.start()
        asked = command("status", "-s", service.url, "--token-file", str(token))
        assert asked.returncode == 0, asked.stderr
        assert "operator" in asked.stdout


def test_a_token_file_is_made_anew_within_the_same_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haizea.service.service.time", SimpleNamespace(time=lambda: 1000.5))
    paths = Paths(tmp_path / "state")
    paths.prepare()
    store = Store.open(str(tmp_path / "leases.db"))
    assert store.lock(wait=False, stopped=lambda: False)
    secrets = []
    for _ in range(3):
        make_first_token(store, paths, logging.getLogger("haizea"))
        secrets.append(paths.token.read_text(encoding="ascii"))
        paths.token.unlink()
    assert len({info.name for info in store.tokens.list()}) == len(set(secrets)) == 3
    store.close()


def test_a_world_is_one_services(tmp_path: Path) -> None:
    """The managers of two stores would give the same hosts away twice."""
    shared = {"world": {"file": str(tmp_path / "site" / "world.db")}}
    with (
        QuickService(tmp_path / "one", shared) as first,
        QuickService(tmp_path / "two", shared) as second,
    ):
        first.start()
        client = first.client()
        assert client.submit(ONE_NODE)[0] == 201
        until(lambda: client.get("/v1/leases/1")["state"] == "Active", "it runs")
        second.begin()
        assert second.wait() == 2
        for words in (shared["world"]["file"], first.store, "set file in [world]"):
            assert words in second.log
        assert "Traceback" not in second.log
        assert client.get("/v1/leases/1")["state"] == "Active"
        client.close()

        first.kill()
        second.start("--new-store")
        first.begin()
        assert first.wait() == 2
        assert second.store in first.log
        assert second.kill(signal.SIGTERM) == 0
        first.start()


def test_a_world_of_many_names_is_one_services(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "site")
    files = [{"world": {"file": str(tmp_path / name / "world.db")}} for name in ("site", "link")]
    with (
        QuickService(tmp_path / "one", files[0]) as first,
        QuickService(tmp_path / "two", files[1]) as second,
    ):
        first.start()
        second.begin()
        assert second.wait() == 2
        assert "in use by another Haizea" in second.log


@pytest.mark.parametrize(
    ("file", "should_be", "advice"),
    [
        ("store", "not a store of Haizea", "name another file"),
        ("world", "not a simulated world", "set file in [world]"),
    ],
)
def test_a_file_that_is_something_else_is_told(
    tmp_path: Path, file: str, should_be: str, advice: str
) -> None:
    with QuickService(tmp_path) as service:
        wrong = Path(getattr(service, file))
        wrong.write_text(TEXT)
        service.begin()
        assert service.wait() == 2
        for words in (f"{wrong} is {should_be}", advice):
            assert words in service.log
        assert "Traceback" not in service.log
        assert wrong.read_text() == TEXT


def test_a_place_where_nothing_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    nowhere = tmp_path / "file" / "folder"
    for section, option in (("world", "file"), ("service", "state-directory")):
        options = {section: {option: str(nowhere / "more")}}
        with QuickService(tmp_path / section, options) as service:
            service.begin()
            assert service.wait() == 2
            for words in (f"{nowhere}", "Not a directory", option, f"[{section}]"):
                assert words in service.log
            assert "Traceback" not in service.log


def test_a_pid_file_that_was_emptied_is_told_and_made_anew(tmp_path: Path) -> None:
    with QuickService(tmp_path) as service:
        service.start()
        pid = service.state_directory / "haizea.pid"
        pid.write_bytes(b"")
        unsure = command("-c", str(service.configuration), "--stop")
        assert unsure.returncode == 1
        assert f"{pid} does not say which process" in unsure.stderr
        assert not service.ended
        service.kill()
        # One that a killed service left may be another process's number by now.
        pid.write_text("1\n", encoding="ascii")
        service.begin()
        until(lambda: service.serving or service.ended, "it serves")
        assert service.process is not None
        assert pid.read_text(encoding="ascii") == f"{service.process.pid}\n"


def test_results_that_are_something_else_are_told(tmp_path: Path) -> None:
    wrong = tmp_path / "list.txt"
    wrong.write_text(TEXT)
    for name in ("summary", "gantt", "check-schedule"):
        told = command(name, str(wrong))
        assert told.returncode == 2
        for words in (str(wrong), "not a results file", "the datafile of a run"):
            assert words in told.stderr, name


def test_the_state_directory_is_one_s_own(tmp_path: Path) -> None:
    """Whoever can write there can put a token there, or a link to what is to be overwritten."""
    with QuickService(tmp_path) as service:
        directory = service.state_directory
        directory.mkdir(parents=True)
        directory.chmod(0o777)
        precious = tmp_path / "precious"
        precious.write_text("precious", encoding="ascii")
        (directory / "haizea.pid").symlink_to(precious)
        service.start()
        assert f"others can write in the state directory {directory} (mode 0777)" in service.log
        assert f"chmod 700 {directory}" in service.log
        pid = directory / "haizea.pid"
        assert not pid.is_symlink()
        assert precious.read_text(encoding="ascii") == "precious"
        assert service.kill(signal.SIGTERM) == 0
        directory.chmod(0o700)
        service.start()
        assert "others can write" not in service.log


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    with QuickService(tmp_path) as service:
        service.state_directory.mkdir(parents=True)
        elsewhere = tmp_path / "elsewhere"
        (service.state_directory / "lock").symlink_to(elsewhere)
        service.begin()
        assert service.wait() == 2
        assert f"{service.state_directory / 'lock'} cannot be written: it is a link" in service.log
        assert not elsewhere.exists()


def test_files_are_one_s_own_whatever_the_umask(tmp_path: Path) -> None:
    """A pid file that anybody can write makes --stop end any process of its reader's."""
    before = os.umask(0)
    try:
        with ServiceProcess(tmp_path) as service:
            service.start()
            for path in [*service.state_directory.iterdir(), Path(service.store)]:
                assert not path.stat().st_mode & 0o022, path
    finally:
        os.umask(before)


def test_where_the_store_is_operators_are_told(tmp_path: Path) -> None:
    with QuickService(tmp_path) as service:
        service.start()
        operator = service.client()
        assert operator.get("/v1/status")["store"] == service.store
        _, made = operator.call("POST", "/v1/tokens", {"name": "anna", "role": "user"})
        operator.close()
        (tmp_path / "anna").touch(mode=0o600)
        (tmp_path / "anna").write_text(made["secret"], encoding="ascii")
        asked = command("status", "-s", service.url, "--token-file", str(tmp_path / "anna"))
        assert asked.returncode == 0, asked.stderr
        assert "SQLite" in asked.stdout
        assert str(tmp_path) not in asked.stdout
