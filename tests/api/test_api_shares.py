"""Each owner has a share of the interface: nobody takes so much that others get nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from api_service import Service, wanted
from own_loop import run_apart

from haizea.api.calls import ASKING, Calls
from haizea.api.problems import Refused
from haizea.api.settings import ApiSettings
from haizea.api.shares import Shares
from haizea.service_types import Role, TokenInfo


def token(owner: str, role: Role = Role.USER) -> TokenInfo:
    return TokenInfo(id=1, name=owner, role=role, owner=owner, created=0)


def refusal(shares: Shares, who: TokenInfo) -> Refused | None:
    try:
        with shares.request(who):
            return None
    except Refused as refused:
        return refused


# --- how often --------------------------------------------------------------------------


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    now = 0.0
    shares = Shares(ApiSettings(requests_per_second=2, requests_at_once=3), lambda: now)
    anna, bert, olga = token("anna"), token("bert"), token("olga", Role.OPERATOR)
    assert [refusal(shares, anna) for _ in range(3)] == [None] * 3
    refused = refusal(shares, anna)
    assert refused is not None
    assert (refused.status, refused.headers) == (429, {"Retry-After": "1"})
    assert refusal(shares, bert) is None
    assert [refusal(shares, olga) for _ in range(20)] == [None] * 20
    now = 1.0
    assert [refusal(shares, anna) is None for _ in range(3)] == [True, True, False]


def test_a_refusal_for_asking_too_often_has_the_shape_of_all_errors() -> None:
    with Service(ApiSettings(requests_per_second=0.1, requests_at_once=2)) as service:
        with service.client("anna") as anna:
            statuses = [anna.get("/v1/status").status_code for _ in range(3)]
            answer = anna.get("/v1/status")
        assert statuses == [200, 200, 429]
        assert answer.json()["error"]["code"] == "too-many"
        assert 0 < int(answer.headers["retry-after"]) <= 10
        with service.client("olga") as olga:
            assert [olga.get("/v1/status").status_code for _ in range(9)] == [200] * 9


# --- how much at once -------------------------------------------------------------------


@contextmanager
def waiting(service: Service, name: str, count: int) -> Iterator[None]:
    """Let so many requests of somebody's wait for a decision meanwhile."""

    def ask() -> None:
        with service.client(name) as client:
            client.post("/v1/leases", json=wanted())

    service.manager.paused.set()
    before = service.app.state.interface.meters.under_way
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while service.app.state.interface.meters.under_way < before + count:
        assert time.monotonic() < deadline, "they do not come"
        time.sleep(0.01)
    try:
        yield
    finally:
        service.manager.paused.clear()
        for thread in threads:
            thread.join(20)


def test_one_owner_s_requests_leave_room_for_others() -> None:
    with (
        Service(ApiSettings(most_requests=20, most_own_requests=3)) as service,
        ExitStack() as exits,
    ):
        exits.enter_context(waiting(service, "anna", 3))
        with service.client("anna") as anna:
            answer = anna.get("/v1/status")
        assert answer.status_code == 429
        assert "3 requests are under way for anna" in answer.json()["error"]["message"]
        for other in ("bert", "rita", "olga"):
            with service.client(other) as client:
                assert client.get("/v1/status").status_code == 200


def test_some_room_is_kept_for_operators() -> None:
    with Service(ApiSettings(most_requests=10)) as service, waiting(service, "anna", 9):
        with service.client("bert") as bert:
            assert bert.get("/v1/status").status_code == 503
        with service.client("olga") as olga:
            assert olga.get("/v1/status").status_code == 200


def test_one_owner_s_streams_leave_room_for_others_and_for_operators() -> None:
    settings = ApiSettings(most_streams=10, most_own_streams=5)
    with Service(settings) as service, ExitStack() as exits:

        def follow(name: str) -> int:
            client = exits.enter_context(service.client(name))
            answer = exits.enter_context(client.stream("GET", "/v1/events"))
            return answer.status_code

        assert [follow("anna") for _ in range(6)] == [200] * 5 + [429]
        assert [follow("bert") for _ in range(5)] == [200] * 4 + [503]
        assert [follow("olga") for _ in range(2)] == [200, 503]


def test_one_owner_s_questions_take_some_of_the_threads() -> None:
    """Slow questions of one owner once took all threads, and everybody waited behind them."""

    async def ask() -> list[str]:
        calls = Calls("test", 4, 2)
        done: list[str] = []
        going_on = threading.Event()

        async def slow(owner: str) -> None:
            ASKING.set(owner)
            await calls(going_on.wait, 20)
            done.append(owner)

        async def quick(owner: str) -> None:
            ASKING.set(owner)
            await calls(lambda: None)
            done.append(owner)

        tasks = [asyncio.create_task(slow("anna")) for _ in range(20)]
        await asyncio.sleep(0.05)
        await asyncio.wait_for(asyncio.create_task(quick("bert")), 10)
        going_on.set()
        await asyncio.gather(*tasks)
        calls.close()
        return done

    assert run_apart(ask()) == ["bert", *["anna"] * 20]


# --- connections ------------------------------------------------------------------------

CROWDED = ApiSettings(most_connections=30, most_unknown_connections=20, most_own_connections=5)


def connect(service: Service, text: str = "") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", service.server.port), timeout=20)
    client.sendall(text.encode())
    return client


def open_connections(service: Service) -> int:
    return len(service.server._server.server_state.connections)


def test_slow_connections_without_a_token_lock_nobody_out() -> None:
    """Eight hundred of them once kept everybody out for 16 s."""
    with Service(CROWDED) as service, ExitStack() as exits:
        for _ in range(100):
            exits.enter_context(connect(service, "GET /v1/status HTTP/1.1\r\nHost: "))
        for name in ("anna", "olga"):
            with service.client(name) as client:
                assert client.get("/v1/status").status_code == 200
        assert open_connections(service) <= CROWDED.most_unknown_connections + 2


def test_one_owner_s_connections_lock_nobody_out() -> None:
    request = "GET /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n"
    with Service(CROWDED) as service, ExitStack() as exits:
        for _ in range(60):
            for name in ("anna", "bert", "rita"):
                client = exits.enter_context(
                    connect(service, request.format(service.secrets[name]))
                )
                assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        assert open_connections(service) <= 3 * CROWDED.most_own_connections
        with service.client("olga") as olga:
            assert olga.get("/v1/status").status_code == 200


def test_a_connection_in_use_is_not_the_one_that_goes() -> None:
    settings = ApiSettings(most_connections=6, most_unknown_connections=6, most_own_connections=3)
    request = "GET /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n"
    with Service(settings) as service, ExitStack() as exits:
        client = exits.enter_context(service.client("anna"))
        stream = exits.enter_context(client.stream("GET", "/v1/events"))
        lines = stream.iter_lines()
        next(lines)
        for _ in range(10):
            more = exits.enter_context(connect(service, request.format(service.secrets["anna"])))
            assert more.recv(100).startswith(b"HTTP/1.1 200 ")
        with service.client("bert") as bert:
            bert.post("/v1/leases", json=wanted())
        with service.client("anna") as again:
            lease = again.post("/v1/leases", json=wanted()).json()["lease"]["id"]
        assert any(f'"lease":{lease}' in line for line in lines), "the stream goes on"


def test_a_rate_is_kept_by_owner_not_by_token() -> None:
    with Service(ApiSettings(requests_per_second=0.1, requests_at_once=2)) as service:
        second = service.manager.make_token("anna-laptop", Role.USER, "anna", None)[1]
        with service.client("anna") as anna, service.client(None, second) as laptop:
            clients: list[httpx.Client] = [anna, laptop, anna]
            assert [c.get("/v1/status").status_code for c in clients] == [200, 200, 429]


@pytest.mark.parametrize("size", [1000, 40_000])
def test_yaml_is_taken_as_far_as_it_is_quickly_read(size: int) -> None:
    with Service() as service, service.client("anna") as anna:
        text = "duration: 60\nnodes: {count: 1, CPU: 1}\n"
        answer = anna.post(
            "/v1/leases",
            content=text + "# " + "x" * (size - len(text)),
            headers={"Content-Type": "application/yaml"},
        )
        assert answer.status_code == (201 if size == 1000 else 413)
        if answer.status_code == 413:
            assert "16384 bytes are the most in YAML" in answer.json()["error"]["message"]
