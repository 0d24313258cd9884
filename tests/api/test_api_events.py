"""The stream of events: complete, resumable, bounded, and no burden on anybody else."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import httpx
import pytest
from api_service import Service, wanted

from haizea.api import feed
from haizea.api.calls import Calls
from haizea.api.feed import Feed
from haizea.api.manager import Manager
from haizea.api.settings import ApiSettings
from haizea.service_types import Event, Role

QUICK = ApiSettings(heartbeat_seconds=0.2, stream_pause_seconds=0.01, most_streams=3)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(QUICK) as running:
        yield running


def ask(service: Service, name: str = "anna", **fields: object) -> int:
    with service.client(name) as client:
        lease: int = client.post("/v1/leases", json=wanted(1, **fields)).json()["lease"]["id"]
    return lease


def told(lines: Iterator[str], count: int) -> list[dict[str, Any]]:
    """Read so many events of a stream."""
    found = []
    for line in lines:
        if line.startswith("data: "):
            found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == count:
                break
    return found


def all_events(service: Service, name: str, **query: int) -> list[dict[str, Any]]:
    with service.client(name) as client:
        answer = client.get("/v1/events", params={"follow": False, "after": 0, **query})
    assert answer.headers["content-type"].startswith("text/event-stream")
    return told(iter(answer.text.splitlines()), 1 << 30)


def test_what_happens_is_told_as_it_happens(service: Service) -> None:
    with (
        service.client("anna") as anna,
        anna.stream("GET", "/v1/events", params={"after": 0}) as stream,
    ):
        lines = stream.iter_lines()
        first = ask(service)
        events = told(lines, 5)
        assert [e["kind"] for e in events] == [
            "accepted",
            "state",
            "state",
            "state",
            "state",
        ]
        assert [e["state"] for e in events[1:]] == ["Pending", "Queued", "Scheduled", "Ready"]
        assert {e["lease"] for e in events} == {first}
        assert events[2]["text"] == f"lease {first} is Queued: waiting for 1 node"


def test_a_stream_goes_on_where_it_broke_off(service: Service) -> None:
    for _ in range(40):
        ask(service)
    everything = all_events(service, "olga")
    ids = [e["id"] for e in everything]
    assert ids == sorted(set(ids))
    assert len(ids) > 100
    with service.client("olga") as olga:
        for middle in (ids[0], ids[len(ids) // 2], ids[-1]):
            rest = olga.get(
                "/v1/events", params={"follow": False}, headers={"Last-Event-ID": str(middle)}
            )
            assert told(iter(rest.text.splitlines()), 1 << 30) == [
                e for e in everything if e["id"] > middle
            ]
        assert olga.get("/v1/events", params={"follow": False}).text.count("data:") == 0


def test_an_event_is_read_once_for_all_who_follow(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(service)
    read: list[int] = []
    events = service.manager.events

    def counted(after: int, limit: int, lease_id: int | None, owner: str | None) -> list[Event]:
        found = events(after, limit, lease_id, owner)
        read.extend(event.id for event in found)
        return found

    with service.client("olga") as olga, ExitStack() as streams:
        lines = [
            streams.enter_context(olga.stream("GET", "/v1/events")).iter_lines() for _ in range(3)
        ]
        monkeypatch.setattr(service.manager, "events", counted)
        lease = ask(service)
        seen = [told(stream, 5) for stream in lines]
    assert seen[0] == seen[1] == seen[2]
    assert {event["lease"] for event in seen[0]} == {lease}
    assert sorted(read) == sorted(set(read)), "an event was read twice"


def test_who_is_far_behind_is_told_everything(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than the latest events are kept for all; older ones are read for who wants them."""
    monkeypatch.setattr(feed, "_KEPT", 20)
    for name in ("anna", "bert") * 10:
        ask(service, name)
        everything = all_events(service, "olga")
        assert [e["id"] for e in everything] == [
            e.id for e in service.manager.events(0, 10_000, None, None)
        ]
    assert len(everything) > 40
    for lease in (1, 20):
        assert {e["lease"] for e in all_events(service, "olga", lease=lease)} == {lease}
    own = [e["id"] for e in everything if e["owner"] == "bert"]
    assert [e["id"] for e in all_events(service, "bert")] == own


def test_events_of_one_lease_and_of_own_leases(service: Service) -> None:
    mine, other, theirs = ask(service), ask(service), ask(service, "bert")
    assert {e["lease"] for e in all_events(service, "anna")} == {mine, other}
    assert {e["lease"] for e in all_events(service, "rita")} == {mine, other, theirs}
    assert {e["lease"] for e in all_events(service, "rita", lease=other)} == {other}


def test_hosts_are_the_business_of_who_sees_all(service: Service) -> None:
    service.manager.drain(2)
    with service.client("olga") as olga:
        while olga.get("/v1/hosts").json()["hosts"][2]["status"] != "drained":
            time.sleep(0.02)
    found = [e for e in all_events(service, "olga") if e["kind"] == "host"]
    assert [(e["hosts"], e["status"]) for e in found] == [(["host-3"], "drained")]
    assert all_events(service, "anna") == []


def test_an_event_that_never_was_is_no_place_to_begin(service: Service) -> None:
    with service.client("anna") as anna:
        answer = anna.get("/v1/events", params={"after": 1000})
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "unknown-event"
        assert anna.get("/v1/events", headers={"Last-Event-ID": "x"}).status_code == 422


def test_there_is_a_sign_of_life_and_it_ends_with_the_token(service: Service) -> None:
    with service.client("olga") as olga:
        made = olga.post("/v1/tokens", json={"name": "eve", "role": "user"}).json()
    with (
        service.client(None, made["secret"]) as eve,
        eve.stream("GET", "/v1/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith(":")) == ": nothing new"
        service.manager.revoke_token("eve")
        for _ in lines:
            pass


@pytest.mark.parametrize("lease", [None, 1])
def test_a_stream_says_where_to_go_on_before_anything_happens(
    service: Service, lease: int | None
) -> None:
    ask(service)
    query = {} if lease is None else {"lease": lease}
    last = all_events(service, "anna")[-1]["id"]
    with (
        service.client("anna") as anna,
        anna.stream("GET", "/v1/events", params=query) as stream,
    ):
        ids = (line for line in stream.iter_lines() if line.startswith("id: "))
        assert int(next(ids).removeprefix("id: ")) >= last
        # Of another's lease nothing is told, but the place to go on from is a later one.
        ask(service, "bert")
        newest = all_events(service, "olga")[-1]["id"]
        while int(next(ids).removeprefix("id: ")) < newest:
            pass


def test_no_more_streams_than_are_allowed(service: Service) -> None:
    clients = [service.client("anna") for _ in range(3)]
    streams = [client.stream("GET", "/v1/events") for client in clients]
    # Kept, for a stream is closed as soon as nobody reads it any more.
    readers = [stream.__enter__().iter_lines() for stream in streams]
    for reader in readers:
        next(reader)
    with service.client("anna") as anna:
        answer = anna.get("/v1/events")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert anna.get("/v1/leases").status_code == 200
    with service.client("rita") as rita:
        assert "haizea_event_streams 3.0\n" in rita.get("/metrics").text
        for stream, client in zip(streams, clients, strict=True):
            stream.__exit__(None, None, None)
            client.close()
        while "haizea_event_streams 0.0\n" not in rita.get("/metrics").text:
            time.sleep(0.05)


def test_streams_end_when_the_service_ends(service: Service) -> None:
    ended = threading.Event()

    def follow() -> None:
        with service.client("anna") as anna, anna.stream("GET", "/v1/events") as stream:
            for _ in stream.iter_lines():
                following.set()
        ended.set()

    following = threading.Event()
    thread = threading.Thread(target=follow)
    thread.start()
    assert following.wait(10)
    assert service.server.stop()
    assert ended.wait(10)
    thread.join(10)


def test_who_does_not_listen_holds_up_nobody(service: Service) -> None:
    """A client that asks for everything and reads nothing: others are served, it alone waits."""
    request = (
        f"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {service.secrets['olga']}\r\n\r\n"
    )
    deaf = socket.create_connection(("127.0.0.1", service.server.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(request.encode())
    try:
        with service.client("bert") as bert:
            for _ in range(300):
                assert bert.post("/v1/leases", json=wanted()).status_code == 201
            assert bert.get("/v1/queue").json()["length"] > 200
    finally:
        deaf.close()


def test_when_events_cannot_be_read_the_stream_ends_rather_than_fails(service: Service) -> None:
    with service.client("anna") as anna, anna.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        service.manager.away = True
        assert any("cannot read events" in line for line in lines)
    service.manager.away = False
    assert httpx.get(f"{service.url}/health").status_code == 200


def ends(service: Service, secret: str, end: Callable[[], object]) -> float:
    """Return how long after ``end`` the stream of this token ends, in seconds."""
    with service.client(None, secret) as client, client.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        ended = threading.Timer(0.3, end)
        began = time.monotonic()
        ended.start()
        for _ in lines:
            assert time.monotonic() < began + 14, "the stream goes on"
    return time.monotonic() - began


def test_a_stream_ends_at_once_when_its_token_is_revoked() -> None:
    """End it at once: it used to go on until the next sign of life, up to 15 s later."""
    with Service() as service:
        secret = service.manager.make_token("lost", Role.USER, "anna", None)[1]
        with service.client("olga") as olga:
            took = ends(service, secret, lambda: olga.delete("/v1/tokens/lost"))
        assert took < 5


def test_a_stream_ends_at_once_when_its_token_expires() -> None:
    with Service() as service:
        expires = service.manager.now() + 2
        secret = service.manager.make_token("short", Role.USER, "anna", expires)[1]
        assert ends(service, secret, lambda: None) < 6


def test_an_empty_last_event_id_is_none(service: Service) -> None:
    """A client that has seen no event may send the header all the same."""
    with service.client("anna") as anna:
        anna.post("/v1/leases", json=wanted())
        query = {"follow": "false"}
        answer = anna.get("/v1/events", params=query, headers={"Last-Event-ID": ""})
        assert answer.status_code == 200
        assert answer.text == anna.get("/v1/events", params=query).text


class _Numbers:
    """A manager of which the last event alone is asked for."""

    def __init__(self) -> None:
        self.last = 1

    def last_event_id(self) -> int:
        return self.last


def test_who_comes_just_after_events_were_read_has_them_read_anew() -> None:
    """One who would wait for what is over holds up the event loop, and with it everybody."""
    manager = _Numbers()

    async def both() -> list[int]:
        gate = asyncio.Event()

        async def read(*asked: object) -> list[object]:
            await gate.wait()
            return []

        feed = Feed(cast(Manager, manager), cast(Calls, read))

        async def later() -> int:
            await gate.wait()
            manager.last = 2  # it happened while events were read
            return (await feed.after(1, 10, None, None))[1]

        first = asyncio.create_task(feed.after(0, 10, None, None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.create_task(later())
        await asyncio.sleep(0)
        gate.set()
        return [(await first)[1], await second]

    found: list[list[int]] = []
    waiting = threading.Thread(target=lambda: found.append(asyncio.run(both())), daemon=True)
    waiting.start()
    waiting.join(60)
    assert found == [[2, 2]]
