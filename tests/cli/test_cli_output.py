"""Output with --output json: the interface's answer, and errors in its shape, too."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from real_service import RealService, haizea, real_service

from haizea.cli.access import Token, parse_server
from haizea.cli.client import Client


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("service")) as running:
        yield running


def error(result: Result, status: int) -> dict[str, Any]:
    assert result.exit_code == status, result.output
    assert len(result.stdout.splitlines()) == 1
    told: dict[str, Any] = json.loads(result.stdout)["error"]
    assert set(told) == {"code", "message", "field"}
    assert "Error" not in result.stderr
    return told


def test_lists_are_what_the_interface_answers(service: RealService) -> None:
    """They once were bare arrays, which did not tell whether there is more."""
    for _ in range(3):
        service.json("request", "-t", "+10:00", "-d", "1h")
    client = service.client()
    newest = client.get("/v1/leases", {"order": "newest", "limit": 2})
    assert service.json("list", "--limit", "2") == newest
    assert newest["next"] is not None
    assert service.json("list")["next"] is None
    assert set(service.json("queue")) == set(client.get("/v1/queue"))
    assert service.json("hosts") == client.get("/v1/hosts")
    assert set(service.json("token", "list")) == {"tokens"}


def test_what_is_cancelled_and_what_is_not_are_told_apart(service: RealService) -> None:
    lease = service.json("request", "-t", "+10:00", "-d", "1h")["lease"]["id"]
    answer = service.json("cancel", str(lease), "99999", status=1)
    assert [found["id"] for found in answer["leases"]] == [lease]
    assert [(e["lease"], e["code"]) for e in answer["errors"]] == [(99999, "not-found")]


def test_what_the_service_refuses_is_told_as_it_answers_it(service: RealService) -> None:
    told = error(service.run("show", "99999", "--output", "json"), 1)
    assert (told["code"], told["message"]) == ("not-found", "there is no lease 99999")
    told = error(service.run("request", "-d", "1h", "-L", "x" * 300, "--output", "json"), 2)
    assert (told["code"], told["field"]) == ("invalid", "label")
    assert told["message"].startswith("label: ")


def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = error(haizea(f"127.0.0.1:{port}", tmp_path / "none", "list", "--output", "json"), 2)
    assert "none" in told["message"], "there is no such file"
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("hz_x\n")
    told = error(haizea(f"127.0.0.1:{port}", token, "list", "--output", "json"), 1)
    assert told["code"] == "no-answer"
    assert "connection was refused" in told["message"]


def test_wrong_use_of_a_command_is_told(service: RealService) -> None:
    told = error(service.run("cancel", "--output", "json"), 2)
    assert told["code"] == "wrong-use"
    told = error(service.run("request", "-f", "/nowhere/lease.yaml", "--output", "json"), 2)
    assert "/nowhere/lease.yaml" in told["message"]
    # What is wrong with an option is found before there is a session, and was told as text.
    for wrong, words in (
        (["list", "--state", "Nope"], "'Nope' is not one of"),
        (["list", "--since", "mondey"], "'mondey' is not a time that is known here"),
        (["list", "--limt", "3"], "No such option"),
        (["show", "x"], "'x' is not the number of a lease"),
        (["token", "revoke"], "Missing argument"),
    ):
        for output in (["--output", "json"], ["--output=json"]):
            told = error(service.run(*wrong, *output), 2)
            assert told["code"] == "wrong-use"
            assert words in told["message"], told
    assert "Error" in service.run("list", "--state", "Nope").stderr


def test_a_rejection_is_one_object(service: RealService) -> None:
    result = service.run("request", "-t", "now", "-d", "1h", "-n", "99", "--output", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["outcome"] == "rejected"
    assert result.stderr == ""


def test_who_asks_too_often_is_asked_again_later() -> None:
    """A refusal with 429 once ended the command."""
    answers = [
        b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nConnection: close\r\n\r\n"
        b'{"error": {"code": "too-many", "message": "later", "field": null}}',
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        b'{"hosts": []}',
    ]
    slept: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        client = Client(
            server=parse_server(f"http://127.0.0.1:{server.getsockname()[1]}"),
            token=Token(secret="hz_x", source="a test"),
            sleep=slept.append,
        )
        assert client.get("/v1/hosts") == {"hosts": []}
        thread.join(10)
    assert slept == [3.0]
