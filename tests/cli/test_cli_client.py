"""Asking the service: where it is, with which token, and every way in which it does not answer."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from real_service import BadNetwork, RealService, Role, haizea, real_service

from haizea.cli.access import Token, WrongAccess, find_token, parse_server
from haizea.cli.client import Body, Client, NotReached, Refusal
from haizea.cli.stream import ServerEvent, read_events


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HAIZEA_TOKEN", raising=False)
    return tmp_path


# --- servers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost", "http://localhost:42493"),
        (" localhost\n", "http://localhost:42493"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:42493"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("http://localhost:42493/", "http://localhost:42493"),
        ("haizea.example.org", "https://haizea.example.org:42493"),
        ("192.0.2.7:80", "https://192.0.2.7:80"),
        ("http://haizea.example.org", "http://haizea.example.org:42493"),
        ("HTTPS://haizea.example.org:443/leases/", "https://haizea.example.org:443/leases"),
    ],
)
def test_forms_of_a_server(text: str, url: str) -> None:
    assert str(parse_server(text)) == url
    assert parse_server(url) == parse_server(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://x",
        "a b",
        "http://",
        "host:0",
        "host:99999",
        "host:x",
        "http://x/?a=b",
        "http://anna:secret@host",
        "host/\r\nX: y",
        "/a/path",
        ":::",
        "http://[::1",
        "http://[127.0.0.1]",
        "host..example",
        f"{64 * 'a'}.example",
    ],
)
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(WrongAccess, match=r"write HOST, HOST:PORT|a port is a number") as caught:
        parse_server(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "secure"),
    [("localhost", True), ("127.0.0.2", True), ("http://x", False), ("https://x", True)],
)
def test_who_may_read_what_is_sent(text: str, secure: bool) -> None:
    assert parse_server(text).is_secure is secure


def test_a_token_that_goes_in_the_clear_is_warned_of(service: RealService) -> None:
    result = haizea("http://nowhere.invalid:1", service.token_file, "status")
    assert "Warning: the token goes to nowhere.invalid without encryption" in result.stderr
    assert "there is no host called 'nowhere.invalid'" in result.stderr
    assert service.secret not in result.output


# --- tokens -------------------------------------------------------------------------------


def test_a_token_is_looked_for_in_three_places(home: Path) -> None:
    assert find_token(None, {}).secret is None
    assert "~/.haizea/token (not there)" in find_token(None, {}).source
    usual = home / ".haizea/token"
    usual.parent.mkdir()
    usual.write_text("hz_usual\n")
    usual.chmod(0o600)
    assert find_token(None, {}) == Token(secret="hz_usual", source="~/.haizea/token")
    assert find_token(None, {"HAIZEA_TOKEN": "hz_environment"}).secret == "hz_environment"
    other = home / "other"
    other.write_text(" hz_other ")
    other.chmod(0o400)
    found = find_token(other, {"HAIZEA_TOKEN": "hz_environment"})
    assert (found.secret, found.warning) == ("hz_other", "")
    assert "hz_other" not in repr(found)


def test_a_token_that_others_can_read_is_warned_of(service: RealService, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(service.secret)
    path.chmod(0o644)
    result = haizea(service.url, path, "status")
    assert result.exit_code == 0
    assert result.stderr == (
        f"Warning: {path}: others may read this token (mode 0644): chmod 600 {path}\n"
    )


@pytest.mark.parametrize("content", ["", "two words", "a\nb", "hz_\x00", "ä", "x" * 2000])
def test_what_is_no_token_is_wrong_use_and_not_repeated(
    service: RealService, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(0o600)
    result = haizea(service.url, path, "list")
    assert result.exit_code == 2
    assert f"{path}: not a valid token" in result.stderr
    assert not content or content not in result.stderr


def test_a_token_file_that_cannot_be_read(service: RealService, tmp_path: Path) -> None:
    result = haizea(service.url, tmp_path / "none", "list")
    assert result.exit_code == 2
    assert "the token cannot be read: no such file or directory; name another" in result.stderr
    result = haizea(service.url, tmp_path, "list")
    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = haizea(service.url, pipe, "list")
    assert result.exit_code == 2
    assert "not a regular file" in result.stderr


@pytest.mark.usefixtures("home")
def test_a_service_that_needs_a_token_and_there_is_none(service: RealService) -> None:
    result = haizea(service.url, None, "list")
    assert result.exit_code == 1
    assert "needs a token, and there is none: looked for in --token-file" in result.stderr
    assert "'haizea token make' makes others" in result.stderr


def test_a_token_that_is_not_taken(service: RealService, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("hz_of_another_service")
    path.chmod(0o600)
    result = haizea(service.url, path, "list")
    assert result.exit_code == 1
    assert f"does not take the token from {path}" in result.stderr
    assert "expired or revoked" in result.stderr
    assert "hz_of_another_service" not in result.output


def test_a_token_that_does_not_allow_it(service: RealService) -> None:
    token = service.token("reader-only", Role.READER)
    result = service.run("request", "-d", "1h", token=token)
    assert result.exit_code == 1
    assert "this is for a user or an operator; the token is that of a reader" in result.stderr
    assert f"the token is from {token}" in result.stderr


# --- no answer ----------------------------------------------------------------------------


@contextmanager
def foreign(answer: bytes | None) -> Iterator[str]:
    """Something that listens and is no Haizea; it says ``answer``, or nothing at all."""
    listening = socket.create_server(("127.0.0.1", 0))

    def say() -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            with near:
                near.recv(65536)
                if answer is not None:
                    near.sendall(answer)
                else:
                    near.recv(1)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listening.close()


def client_of(url: str, **options: float) -> Client:
    token = Token(secret="hz_x", source="a test")
    return Client(server=parse_server(url), token=token, **options)  # type: ignore[arg-type]


def test_nobody_listens(service: RealService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = haizea(f"localhost:{port}", service.token_file, "list")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: no service runs at http://localhost:{port}: the connection was refused. Start it"
        " with 'haizea -c FILE'. Say where it is with --server or HAIZEA_SERVER.\n"
    )


def test_nobody_answers() -> None:
    with foreign(None) as url, pytest.raises(NotReached, match="did not answer in") as caught:
        client_of(url, timeout_seconds=0.2).get("/v1/status")
    assert caught.value.sent


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "was closed before an answer came"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "is not a Haizea service: its answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is not a Haizea service: its answer is not JSON"),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<html>",
            "is not a Haizea service: it answers with HTTP status 404",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1]",
            "is not a Haizea service: its answer is JSON of another kind",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b"[" * 100_000,
            "is not a Haizea service: its answer is not JSON",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
            "it is of another version",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{",
            "broke off in the middle of an answer",
        ),
        (
            b'HTTP/1.1 301 Moved\r\nLocation: http://other/\r\n\r\n{"error": 1}',
            "is not a Haizea service: it answers with HTTP status 301",
        ),
    ],
)
def test_something_else_answers(service: RealService, answer: bytes, told: str) -> None:
    with foreign(answer) as url:
        result = haizea(url, service.token_file, "list")
    assert result.exit_code == 1
    assert told in result.stderr


def test_what_a_stranger_says_does_not_control_the_terminal(service: RealService) -> None:
    body = b'{"error": {"code": "x", "message": "\\u001b[2Jgone"}}'
    head = b"HTTP/1.1 422 No\r\nContent-Type: application/json\r\n\r\n"
    with foreign(head + body) as url:
        result = haizea(url, service.token_file, "list")
    assert result.exit_code == 1
    assert "gone" in result.stderr
    assert "\x1b" not in result.stderr


def test_the_list_says_when_a_lease_ran_that_is_over(service: RealService) -> None:
    ran = service.json("request", "-d", "1h", "--wait", "active")["lease"]["id"]
    never = service.json("request", "-t", "+10:00", "-d", "1h")["lease"]["id"]
    service.run("cancel", str(ran), str(never))
    started = {lease["id"]: lease["started"] for lease in service.json("list", "--all")["leases"]}
    assert started[never] is None
    head, *rows = service.run("list", "--all").stdout.splitlines()
    place = head.index("START")
    told = {int(row.split()[0]): row[place:].split()[:2] for row in rows}
    assert told[never][0] == "-"
    moment = datetime.fromisoformat(started[ran]).astimezone()
    assert moment.strftime("%H:%M") in " ".join(told[ran])


# --- answers that get lost ----------------------------------------------------------------


def test_a_request_whose_answer_gets_lost_is_made_once(service: RealService) -> None:
    before = service.json("list", "--all")["leases"]
    with BadNetwork(service.url, [0, 10]) as network:
        client = Client(
            server=parse_server(network.url),
            token=Token(secret=service.secret, source="a test"),
            timeout_seconds=10,
            sleep=lambda seconds: None,
        )
        form = {"duration": 60, "nodes": [{"resources": {"CPU": 100}}], "label": "just one"}
        answer = client.ask_until_answered(
            "POST", "/v1/leases", body=Body.of(form), headers={"Idempotency-Key": "a-key"}
        ).body
        assert network.connections == 3
    assert answer["repeated"]
    after = service.json("list", "--all")["leases"]
    assert [lease["label"] for lease in after[: len(after) - len(before)]] == ["just one"]


def test_what_may_have_arrived_is_told_with_the_key_to_ask_again(service: RealService) -> None:
    with BadNetwork(service.url, [None, *[0] * 20]) as network:  # type: ignore[list-item]
        slept: list[float] = []
        client = Client(
            server=parse_server(network.url),
            token=Token(secret=service.secret, source="a test"),
            timeout_seconds=10,
            sleep=slept.append,
        )
        client.get("/v1/status")
        form = {"duration": 60, "nodes": [{"resources": {"CPU": 100}}]}
        with pytest.raises(NotReached, match="closed before an answer came") as caught:
            client.ask_until_answered(
                "POST", "/v1/leases", body=Body.of(form), headers={"Idempotency-Key": "b-key"}
            )
    assert caught.value.sent
    assert slept == sorted(slept)
    assert len(slept) > 2


def test_a_refusal_after_an_answer_was_lost_says_that_it_may_have_been_taken(
    service: RealService,
) -> None:
    form = {"duration": 60, "nodes": [{"resources": {"CPU": 100}}]}
    passing = service.json("token", "make", "passing", "--role", "user")["secret"]
    with BadNetwork(service.url, [0]) as network:
        client = Client(
            server=parse_server(network.url),
            token=Token(secret=passing, source="a test"),
            timeout_seconds=10,
            sleep=lambda seconds: service.json("token", "revoke", "passing"),
        )
        with pytest.raises(Refusal, match="does not take the token") as caught:
            client.ask_until_answered(
                "POST", "/v1/leases", body=Body.of(form), headers={"Idempotency-Key": "c-key"}
            )
    assert caught.value.sent
    assert len(service.json("list", "--all", "--owner", "passing")["leases"]) == 1


def test_who_waits_is_told_why(service: RealService) -> None:
    with BadNetwork(service.url, [0]) as network:
        result = service.run("request", "-d", "1h", "--server", network.url)
    assert result.exit_code == 0
    assert result.stderr.startswith("Not answered yet: the connection to ")
    assert result.stderr.endswith(". Trying again ...\n")
    assert result.stdout.startswith("Lease ")


def test_a_key_stands_for_one_request(service: RealService) -> None:
    first = service.json("request", "-d", "1h", "--key", "mine")
    again = service.json("request", "-d", "1h", "--key", "mine")
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["lease"]["id"] == again["lease"]["id"]
    other = service.run("request", "-d", "2h", "--key", "mine")
    assert other.exit_code == 1
    assert "this Idempotency-Key was used for another request" in other.stderr
    assert service.run("request", "-d", "2h", "--key", "a\nb").exit_code == 2


def test_a_refusal_is_not_tried_again(service: RealService) -> None:
    client = service.client(sleep=lambda seconds: pytest.fail("it waits"))
    with pytest.raises(Refusal) as caught:
        client.ask_until_answered("POST", "/v1/leases", body=Body.of({}), headers={})
    assert (caught.value.status, caught.value.code) == (422, "invalid")


# --- TLS ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
            *["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            *["-keyout", str(path.with_name("key.pem")), "-out", str(path)],
        ],
        check=True,
        capture_output=True,
    )
    return path


def test_tls(certificate: Path, tmp_path: Path) -> None:
    key = certificate.with_name("key.pem")
    with real_service(tmp_path, tls_certificate=certificate, tls_key=key) as service:
        port = service.url.rpartition(":")[2]
        trusted = ["--ca-file", str(certificate)]
        there = f"https://localhost:{port}"
        good = haizea(there, service.token_file, "status", *trusted)
        assert good.exit_code == 0, good.output
        unknown = haizea(there, service.token_file, "status")
        assert unknown.exit_code == 1
        assert f"the certificate of {there} is not trusted: " in unknown.stderr
        assert "--ca-file or HAIZEA_CA_FILE" in unknown.stderr
        other_name = haizea(f"https://127.0.0.1:{port}", service.token_file, "status", *trusted)
        assert other_name.exit_code == 1
        assert "is not trusted: " in other_name.stderr
        plain = haizea(f"http://localhost:{port}", service.token_file, "status")
        assert plain.exit_code == 1
        assert "https://" in plain.stderr
        empty = tmp_path / "empty.pem"
        empty.touch()
        no_authority = haizea(there, service.token_file, "status", "--ca-file", str(empty))
        assert no_authority.exit_code == 1
        assert f"{empty}: the certificates cannot be read" in no_authority.stderr


def test_tls_to_a_service_without(service: RealService) -> None:
    port = service.url.rpartition(":")[2]
    result = haizea(f"https://127.0.0.1:{port}", service.token_file, "status")
    assert result.exit_code == 1
    assert f"write --server http://127.0.0.1:{port}" in result.stderr


# --- events in lines ----------------------------------------------------------------------


def test_events_are_read_as_the_standard_says() -> None:
    lines = [
        b"retry: 3000\n",
        b"\n",
        b": a comment\n",
        b"\n",
        b"id: 7\n",
        b"event: state\n",
        b'data: {"a":\n',
        b"data:  1}\n",
        b"\n",
        b"data: 2\r\n",
        b"\r\n",
        b"id: 9\n",
        b"\n",
        b'data: "cut short"\n',
    ]
    assert list(read_events(iter(lines))) == [
        ServerEvent("7", "state", {"a": 1}),
        ServerEvent("7", "message", 2),
        ServerEvent("9", "message", None),
    ]
