"""Clients that ask for too much, take too long, or go away; and a manager that is slow or away."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from api_service import Service, SmallManager, wanted
from own_loop import run_apart
from prometheus_client.parser import text_string_to_metric_families

from haizea.api.app import make_app
from haizea.api.calls import settled
from haizea.api.server import Server, ServerError
from haizea.api.settings import ApiSettings

QUICK = ApiSettings(
    decision_seconds=0.5, body_seconds=0.5, request_seconds=1.0, stalled_seconds=1.0
)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(QUICK, most_waiting=3) as running:
        yield running
        running.manager.paused.clear()


def connect(service: Service, text: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", service.server.port), timeout=20)
    client.sendall(text.encode())
    return client


def rest_of(client: socket.socket) -> bytes:
    """All that comes until the other side ends it."""
    found = b""
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    client.close()
    return found


def head(service: Service, name: str, **headers: object) -> str:
    lines = [
        "POST /v1/leases HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {service.secrets[name]}",
        *(f"{key.replace('_', '-')}: {value}" for key, value in headers.items()),
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def test_a_decision_that_does_not_come_leaves_nothing_open(service: Service) -> None:
    headers = {"Idempotency-Key": "k"}
    with service.client("anna") as anna:
        service.manager.paused.set()
        answer = anna.post("/v1/leases", json=wanted(), headers=headers)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "no-decision-yet"
        assert "retry-after" in answer.headers
        service.manager.paused.clear()
        while anna.get("/v1/leases").json()["leases"] == []:
            time.sleep(0.02)
        again = anna.post("/v1/leases", json=wanted(), headers=headers)
        assert again.status_code == 200
        assert len(anna.get("/v1/leases?all=true").json()["leases"]) == 1


def test_nobody_waits_for_long_while_nothing_can_be_kept() -> None:
    """On a full disk the first who asked used to wait for as long as a decision may take."""

    async def ask(hopeless: bool) -> None:
        decision: Future[None] = Future()
        if not hopeless:
            asyncio.get_running_loop().call_later(0.1, decision.set_result, None)
        await settled(decision, 3600, asyncio.Event(), lambda: hopeless)

    run_apart(ask(hopeless=False))
    with pytest.raises(TimeoutError):
        run_apart(ask(hopeless=True))


def test_too_many_who_wait_are_turned_away(service: Service) -> None:
    service.manager.paused.set()

    def ask(_: int) -> str:
        with service.client("anna") as anna:
            code: str = anna.post("/v1/leases", json=wanted()).json()["error"]["code"]
        return code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(ask, range(8)))
    assert sorted(set(codes)) == ["busy", "no-decision-yet"]
    assert codes.count("no-decision-yet") == 3


def test_a_client_that_goes_away_takes_nothing_with_it(service: Service) -> None:
    service.manager.paused.set()
    body = '{"nodes": [{"resources": {"CPU": 100}}], "duration": 60}'
    client = connect(service, head(service, "anna", Content_Length=len(body)) + body)
    time.sleep(0.1)
    client.close()
    service.manager.paused.clear()
    with service.client("anna") as anna:
        deadline = time.monotonic() + 10
        while not anna.get("/v1/leases").json()["leases"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(anna.get("/v1/leases").json()["leases"]) == 1


def test_a_manager_without_its_store_is_told_in_words(service: Service) -> None:
    with service.client("anna") as anna:
        assert httpx.get(f"{service.url}/health").json() == {"status": "up"}
        service.manager.away = True
        answer = anna.get("/v1/leases")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "unavailable"
        health = httpx.get(f"{service.url}/health")
        assert (health.status_code, health.json()) == (503, {"status": "not up"})
        service.manager.away = False
        assert anna.get("/v1/leases").status_code == 200


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_not_taken_in(service: Service, announced: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 1000

    with service.client("anna") as anna:
        content = b" " * 200_000 if announced else pieces()
        answer = anna.post("/v1/leases", content=content)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too-large"


def test_a_body_that_does_not_come_is_not_waited_for(service: Service) -> None:
    client = connect(service, head(service, "anna", Content_Length=100) + "{")
    answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("text", ["", "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_come_is_not_waited_for(service: Service, text: str) -> None:
    client = connect(service, text)
    assert rest_of(client) == b""


def test_a_connection_in_use_is_kept(service: Service) -> None:
    """One connection, for longer than a silent one is kept."""
    with service.client("anna") as anna:
        anna.get("/health")
        (connection,) = service.server._server.server_state.connections
        deadline = time.monotonic() + 2.5 * QUICK.request_seconds
        while time.monotonic() < deadline:
            assert anna.get("/health").status_code == 200
            assert service.server._server.server_state.connections == {connection}
            time.sleep(0.1)


def test_a_head_that_is_too_large_is_refused(service: Service) -> None:
    client = connect(service, "GET /health HTTP/1.1\r\nX: " + "x" * 40_000)
    assert_not_http(rest_of(client))


@pytest.mark.parametrize(
    "text",
    [
        "\x16\x03\x01 hello\r\n\r\n",
        "GET /health\r\n\r\n",
        "GET /he alth HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_in_the_one_shape(service: Service, text: str) -> None:
    assert_not_http(rest_of(connect(service, text)))


def test_a_body_in_broken_pieces_is_refused(service: Service) -> None:
    """The request is under way already when what follows cannot be read."""
    pieces = head(service, "anna", Transfer_Encoding="chunked") + "not a number\r\n"
    assert_not_http(rest_of(connect(service, pieces)))
    assert httpx.get(f"{service.url}/health").status_code == 200


def assert_not_http(answer: bytes) -> None:
    lines, _, body = answer.partition(b"\r\n\r\n")
    assert lines.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in lines.lower()
    assert json.loads(body)["error"]["code"] == "not-http"


def test_a_body_sent_without_a_token_is_not_waited_for(service: Service) -> None:
    client = connect(service, "POST /v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    assert rest_of(client).startswith(b"HTTP/1.1 401 ")


def test_an_answer_that_nobody_takes_in_is_given_up(service: Service) -> None:
    asked = (
        f"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {service.secrets['olga']}\r\n\r\n"
    )
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", service.server.port))
    client.settimeout(20)
    client.sendall((asked * 300).encode())
    with service.client("rita") as rita:
        deadline = time.monotonic() + 20
        while "requests_under_way 1.0\n" not in rita.get("/metrics").text:
            assert time.monotonic() < deadline, "the connection is kept"
            time.sleep(0.1)
    rest_of(client)


def test_more_requests_than_there_is_room_for_are_turned_away() -> None:
    settings = ApiSettings(most_requests=2)
    with Service(settings) as service:
        service.manager.paused.set()
        answers: list[int] = []

        def ask() -> None:
            with service.client("anna") as anna:
                answers.append(anna.post("/v1/leases", json=wanted()).status_code)

        waiting = [threading.Thread(target=ask) for _ in range(2)]
        for thread in waiting:
            thread.start()
        with service.client("rita") as rita:
            # Watched from within: whoever asks takes one of the two places.
            deadline = time.monotonic() + 10
            while service.app.state.interface.meters.under_way < 2:
                assert time.monotonic() < deadline, "they do not come"
                time.sleep(0.01)
            assert rita.get("/v1/status").status_code == 503
            service.manager.paused.clear()
            for thread in waiting:
                thread.join(20)
            assert answers == [201, 201]
            assert rita.get("/v1/status").status_code == 200


def test_many_at_once_all_get_an_answer() -> None:
    with Service(hosts=64) as service:

        def ask(client: int) -> list[int]:
            with service.client("anna") as anna:
                return [
                    anna.post("/v1/leases", json=wanted(label=str(client))).status_code
                    for _ in range(10)
                ]

        with ThreadPoolExecutor(20) as pool:
            answers = [status for found in pool.map(ask, range(20)) for status in found]
        assert answers == [201] * 200
        with service.client("olga") as olga:
            page = olga.get("/v1/leases", params={"limit": 500, "all": True}).json()
            ids = [lease["id"] for lease in page["leases"]]
        assert ids == list(range(1, 201))


def test_waiting_requests_are_answered_when_the_service_ends(service: Service) -> None:
    with Service(ApiSettings(decision_seconds=60)) as other:
        other.manager.paused.set()
        answers: list[httpx.Response] = []

        def ask() -> None:
            with other.client("anna") as anna:
                answers.append(anna.post("/v1/leases", json=wanted()))

        thread = threading.Thread(target=ask)
        thread.start()
        while other.app.state.interface.meters.under_way == 0:
            time.sleep(0.01)
        time.sleep(0.2)
        assert other.server.stop()
        thread.join(20)
        assert answers[0].status_code == 503
        assert answers[0].json()["error"]["code"] == "no-decision-yet"
        other.manager.paused.clear()


# --- headers, the page, the server ----------------------------------------------------


def test_answers_say_little_of_who_gives_them(service: Service) -> None:
    with service.client("anna") as anna:
        for path in ("/v1/leases", "/v1/nowhere", "/", "/docs", "/health"):
            headers = anna.get(path).headers
            assert "server" not in headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert headers["content-security-policy"].startswith("default-src 'none'")


def test_figures_are_in_the_format_of_prometheus(service: Service) -> None:
    with service.client("rita") as rita:
        assert rita.get("/health").status_code == 200
        answer = rita.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "# TYPE haizea_queue_length gauge" in lines
    assert "# HELP haizea_odd Every \\\\ form\\nof a number." in lines
    assert 'haizea_odd_bucket{le="a\\"b\\\\c\\nd"} 0.5' in lines
    assert "haizea_odd_sum +Inf" in lines
    assert answer.text.endswith("\n")
    read = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert read["haizea_queue_length"].type == "gauge"
    # The reader knows a counter by its name alone.
    requests = read["haizea_http_requests"]
    assert (requests.type, {sample.name for sample in requests.samples}) == (
        "counter",
        {"haizea_http_requests_total"},
    )


def certificate(folder: Path) -> tuple[Path, Path]:
    key, made = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True
    )
    return made, key


def test_it_talks_tls(tmp_path: Path) -> None:
    made, key = certificate(tmp_path)
    app = make_app(SmallManager())
    server = Server(app, "127.0.0.1", 0, certificate=made, key=key)
    server.start()
    try:
        assert server.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(made))
        assert httpx.get(f"{server.url}/health", verify=trusting).json() == {"status": "up"}
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{server.port}/health")
    finally:
        assert server.stop()


def test_a_server_that_cannot_listen_says_why(service: Service, tmp_path: Path) -> None:
    second = Server(make_app(SmallManager()), "127.0.0.1", service.server.port)
    with pytest.raises(ServerError, match=f"port {service.server.port}: Address already in use"):
        second.start()
    assert second.stop()
    with pytest.raises(ServerError, match="no certificate"):
        Server(make_app(SmallManager()), "127.0.0.1", 0, key=tmp_path / "key")
    with pytest.raises(ServerError, match=r"nowhere\.pem"):
        Server(make_app(SmallManager()), "127.0.0.1", 0, certificate=tmp_path / "nowhere.pem")


def test_answers_are_sent_without_delay(service: Service) -> None:
    """An answer is written in two parts; the second must not wait until the first is seen."""
    with service.client("anna") as anna:
        anna.get("/health")
        connections = list(service.server._server.server_state.connections)
        told = [c.transport.get_extra_info("socket") for c in connections]
        assert told
        assert all(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in told)


def test_stopping_twice_is_no_error(service: Service) -> None:
    assert service.server.running
    assert service.server.stop()
    assert service.server.stop()
    assert not service.server.running


# --- heads ----------------------------------------------------------------------------


def test_a_head_that_is_too_large_is_refused_where_it_comes_in_one_piece(service: Service) -> None:
    """The bound once held only for a head of which a part was missing."""
    text = "GET /health HTTP/1.1\r\nHost: x\r\nX: " + "x" * 17_000 + "\r\n\r\n"
    assert_not_http(rest_of(connect(service, text)))
    text = "GET /health?" + "x" * 17_000 + " HTTP/1.1\r\nHost: x\r\n\r\n"
    assert_not_http(rest_of(connect(service, text)))
    text = "GET /health HTTP/1.1\r\nHost: x\r\nX: " + "x" * 16_000 + "\r\n\r\n"
    client = connect(service, text)
    assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    client.close()


def test_a_request_that_says_twice_where_its_body_ends_is_refused(service: Service) -> None:
    """Refuse it, since so a request is smuggled past a proxy that believes the other header."""
    body = "0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    text = head(service, "anna", Content_Length=len(body), Transfer_Encoding="chunked")
    assert_not_http(rest_of(connect(service, text + body)))


@pytest.mark.parametrize(
    "path", ["/health", "/", "/docs", "/v1/leases", "/v1/openapi.json", "/v1/events"]
)
def test_the_head_of_an_answer_can_be_asked_for(service: Service, path: str) -> None:
    with service.client("anna") as anna:
        answer = anna.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        if path != "/v1/events":
            whole = anna.get(path)
            assert answer.headers["content-length"] == str(len(whole.content))
            assert answer.headers["content-type"] == whole.headers["content-type"]
        # The connection goes on, and no stream is left behind.
        assert anna.head("/v1/nowhere").status_code == 404
    deadline = time.monotonic() + 10
    while service.app.state.interface.shares.streams:
        assert time.monotonic() < deadline, "a stream was left open"
        time.sleep(0.01)
    assert httpx.head(f"{service.url}/v1/leases").status_code == 401


def test_an_idempotency_key_is_any_text_on_one_line(service: Service) -> None:
    with service.client("anna") as anna:
        for key in ("any text of mine", "Grüße", "x" * 200):
            headers = {"Idempotency-Key": key.encode("latin-1")}
            assert anna.post("/v1/leases", json=wanted(), headers=headers).status_code == 201  # type: ignore[arg-type]
            assert anna.post("/v1/leases", json=wanted(), headers=headers).status_code == 200  # type: ignore[arg-type]
        for key in ("x" * 201, "", "a\tb"):
            answer = anna.post("/v1/leases", json=wanted(), headers={"Idempotency-Key": key})
            assert answer.status_code == 422
            error = answer.json()["error"]
            assert error["field"] == "idempotency-key", "which of its parts is wrong is told"
            assert error["message"].startswith("idempotency-key: ")


@pytest.mark.parametrize("label", ["a\u2028b", "a\u202eb", "a\u2066b", "a\x85b"])
def test_what_cannot_be_shown_on_one_line_is_no_label(service: Service, label: str) -> None:
    with service.client("anna") as anna:
        answer = anna.post("/v1/leases", json=wanted(label=label))
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "label")
        assert answer.json()["error"]["message"] == (
            "label: it is text on one line, without control characters and marks for the direction"
            " of text"
        )
        assert anna.post("/v1/leases", json=wanted(label="Ünï ☃ 👩‍🔬")).status_code == 201
