"""Starting, ending and rereading a service as a person or systemd does; and doing it wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from quick_service import QuickService
from service_process import Client, ServiceProcess, command, until, written

from haizea.service.recovery import describe

ONE_NODE = {"duration": 60, "nodes": [{"resources": {"CPU": 100, "Memory": 64}}]}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_ends_cleanly_and_its_own_files_are_private(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as service:
        service.start()
        assert mode(service.state_directory) == 0o700
        assert mode(service.state_directory / "token") == 0o600
        pid = service.state_directory / "haizea.pid"
        assert service.process is not None
        assert int(pid.read_text()) == service.process.pid
        for number in (signal.SIGTERM, signal.SIGINT):
            assert service.kill(number) == 0, service.log
            assert "Haizea ended" in service.log
            assert not pid.exists()
            token = service.token
            service.start()
            assert service.token == token, "a token is made once"


@pytest.mark.parametrize(
    ("commands", "told"), [(0, ""), (1, "1 command that may not have been given is given again")]
)
def test_one_command_is_told_as_one(commands: int, told: str) -> None:
    found = describe(2, [], commands)
    assert found.removeprefix("2 leases of an earlier run").removeprefix("; ") == told


def test_a_secret_is_in_no_log(tmp_path: Path) -> None:
    with QuickService(tmp_path, {"general": {"loglevel": "VDEBUG"}}) as service:
        service.start()
        client = service.client()
        client.submit(ONE_NODE, "a-key")
        client.close()
        assert service.kill(signal.SIGTERM) == 0
        assert "is asked for" in service.log
        assert service.token not in service.log


def test_who_waits_when_it_ends_is_told_to_come_later(tmp_path: Path) -> None:
    """The store is locked by somebody else, so that a decision cannot be kept meanwhile."""
    with QuickService(tmp_path) as service:
        service.start()
        client = service.client()
        assert client.submit(ONE_NODE)[0] == 201
        answers: list[tuple[int, Any]] = []
        waits = threading.Thread(target=lambda: answers.append(client.submit(ONE_NODE, "a")))
        with closing(sqlite3.connect(service.store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waits.start()
            until(lambda: "nothing can be kept" in service.log, "it cannot write")
            assert service.kill(signal.SIGTERM) == 0, service.log
        waits.join(30)
        client.close()
        ((status, body),) = answers
        assert status == 503, body
        service.start()
        client = service.client()
        assert len(client.leases()) == 1, "what was not answered was not taken"
        assert client.submit(ONE_NODE, "a")[0] == 201
        client.close()


def test_it_reads_its_configuration_again(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as service:
        service.start()
        service.configure(
            {
                "general": {"loglevel": "DEBUG"},
                "service": {"log-format": "json"},
                "simulation": {"resources": "9 CPU:100 Memory:1024"},
            }
        )
        hang_up(service, 1)
        lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
        assert "[simulation] resources" in lines[-1]["message"], "it says what needs a restart"
        client = service.client()
        assert len(client.get("/v1/hosts")["hosts"]) == 4
        until(lambda: '"level": "DEBUG"' in service.log, "debugging is logged")
        client.close()

        service.configuration.write_text("[general]\nmode: nonsense\n", encoding="utf-8")
        hang_up(service, 2)
        assert "was not read again" in service.log
        client = service.client()
        assert client.submit(ONE_NODE)[0] == 201, "it goes on"
        client.close()
        service.configuration.unlink()
        hang_up(service, 3)
        assert service.kill(signal.SIGTERM) == 0, service.log


def hang_up(service: ServiceProcess, times: int) -> None:
    """Have it read its configuration again, the so-manieth time."""
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    until(lambda: service.log.count("read again") == times, "it has read its file")


def test_every_line_of_a_json_log_is_an_object(tmp_path: Path) -> None:
    options = {"service": {"log-format": "json"}, "general": {"loglevel": "VDEBUG"}}
    with QuickService(tmp_path, options) as service:
        service.start()
        client = service.client()
        _, body = client.submit({**ONE_NODE, "label": 'quotes " and \\ and é'})
        client.cancel(body["lease"]["id"])
        client.close()
        service.kill(signal.SIGTERM)
        lines = [json.loads(line) for line in service.log.splitlines()]
        assert {"time", "level", "message"} <= set.intersection(*map(set, lines))
        states = [line["state"] for line in lines if line.get("lease") == 1 and "state" in line]
        assert states[-1] == "Cancelled"


def test_a_second_one_is_refused_in_words(tmp_path: Path) -> None:
    with QuickService(tmp_path / "one") as first:
        first.start()
        second = command("--fg", "-c", str(first.configuration))
        assert second.returncode == 2
        assert f"process {pid_of(first)}" in second.stderr
        assert "state-directory" in second.stderr
        check_words(second.stderr)

        with QuickService(tmp_path / "two", store=first.store) as other:
            other.begin()
            assert other.wait() == 2
            assert "another manager has the leases" in other.log
            assert "standby" in other.log
            check_words(other.log)

        listen = {"service": {"listen": f"127.0.0.1:{first.port}"}}
        with QuickService(tmp_path / "three", listen) as other:
            other.begin()
            assert other.wait() == 2
            assert f"port {first.port}" in other.log
            check_words(other.log)


def pid_of(service: ServiceProcess) -> int:
    assert service.process is not None
    return service.process.pid


def check_words(text: str) -> None:
    """A user is told in words, not by a traceback."""
    assert "Error" in text
    assert "Traceback" not in text


def test_detached_it_can_be_stopped(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path)
    path = str(service.configuration)
    started = command("-c", path)
    assert started.returncode == 0, started.stderr
    url = started.stdout.split(" on ")[1].split(";")[0]
    pid = int((service.state_directory / "haizea.pid").read_text())
    try:
        assert os.getsid(pid) != os.getsid(0), "it left the session"
        client = Client(lambda: int(url.rpartition(":")[2]), service.token)
        assert client.submit(ONE_NODE)[0] == 201
        client.close()
        again = command("-c", path)
        assert again.returncode == 2
        assert str(pid) in again.stderr
        check_words(again.stderr)
    finally:
        stopped = command("-c", path, "--stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not (service.state_directory / "haizea.pid").exists()
    log = (service.state_directory / "haizea.log").read_text()
    assert "lease 1 is asked for" in log
    assert "Haizea ended" in log
    nobody = command("-c", path, "--stop")
    assert nobody.returncode == 1
    assert "nothing to stop" in nobody.stderr


def test_it_can_be_stopped_though_its_configuration_became_wrong(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path)
    path = service.configuration
    good = path.read_text(encoding="utf-8")
    wrong = good.replace("mode = simulated", "mode = x\nlogfil = y")
    doubtful = [
        good.replace("state-directory = ", "state-dirctory = "),
        good.replace("state-directory = ", "state-directory = a\nstate-directory = "),
        good.replace("state-directory = ", "state-directory =\n#"),
        f"[multi]\n{good}",
    ]
    assert not {good, wrong} & set(doubtful)
    started = command("-c", str(path))
    assert started.returncode == 0, started.stderr
    try:
        for text in doubtful:
            path.write_text(text, encoding="utf-8")
            unsure = command("-c", str(path), "--stop")
            assert (unsure.returncode, unsure.stdout) == (2, ""), text
            check_words(unsure.stderr)
    finally:
        path.write_text(wrong, encoding="utf-8")
        stopped = command("-c", str(path), "--stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "has ended" in stopped.stdout
    assert stopped.stderr.startswith("Warning: ")
    for words in ("[general] mode: 'x' is not one of", "[general] logfil: there is no such"):
        assert words in stopped.stderr
    assert not (service.state_directory / "haizea.pid").exists()


def test_what_keeps_a_detached_one_from_starting_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = ServiceProcess(tmp_path, {"service": {"listen": f"127.0.0.1:{port}"}})
        started = command("-c", str(service.configuration))
    assert started.returncode == 2
    assert f"port {port}" in started.stderr
    check_words(started.stderr)
    assert not (service.state_directory / "haizea.pid").exists()


def test_a_pid_file_of_one_that_was_killed_stops_nobody(tmp_path: Path) -> None:
    """Its number may be somebody else's by now."""
    with QuickService(tmp_path) as service:
        service.start()
        service.kill()
        pid = service.state_directory / "haizea.pid"
        assert pid.exists(), "nobody could remove it"
        pid.write_text(f"{os.getpid()}\n")
        stopped = command("-c", str(service.configuration), "--stop")
        assert stopped.returncode == 1, "this process still runs"
        assert "nothing to stop" in stopped.stderr
        service.start()


@pytest.mark.parametrize("left", ["3 CPU:100 Memory:1024", "4 CPU:50 Memory:1024"])
def test_hosts_that_leases_run_on_cannot_be_taken_away(tmp_path: Path, left: str) -> None:
    with QuickService(tmp_path) as service:
        service.start()
        client = service.client()
        start = written(time.time() + 3600)
        all_hosts = [{"count": 4, "resources": {"CPU": 100, "Memory": 64}}]
        draft = {"start": start, "duration": 60, "nodes": all_hosts}
        assert client.submit(draft)[0] == 201
        client.close()
        service.kill(signal.SIGTERM)
        service.configure({"simulation": {"resources": left}})
        service.begin()
        assert service.wait() == 2
        assert "lease 1" in service.log
        assert "put the hosts back" in service.log
        check_words(service.log)
        service.configure({})
        service.start()
