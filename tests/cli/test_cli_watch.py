"""Following what happens: each event once and in order, whatever becomes of the connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_service import BadNetwork, RealService, real_service

from haizea.cli.access import Token, parse_server
from haizea.cli.client import Client, ServiceProblem
from haizea.cli.stream import follow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("service"), speed=60) as running:
        yield running


def finished(service: RealService) -> int:
    """The number of a lease that is over."""
    answer = service.json("request", "-d", "1m", "--wait", "done")
    number: int = answer["lease"]["id"]
    return number


def test_a_lease_is_watched_until_it_is_over(service: RealService) -> None:
    lease = service.json("request", "-t", "+00:01", "-d", "1m")["lease"]["id"]
    result = service.run("watch", str(lease))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert f"lease {lease} of operator asked for: ar" in lines[0]
    assert lines[-1].endswith(f"lease {lease} is Done") or f"lease {lease} is Done:" in lines[-1]
    events = service.run("watch", str(lease), "--output", "json").stdout.splitlines()
    told = [json.loads(line) for line in events]
    assert len(told) == len(lines)
    assert [event["id"] for event in told] == sorted({event["id"] for event in told})


@pytest.mark.parametrize("every", [250, 700, 1500])
def test_nothing_is_left_out_where_connections_break_off(service: RealService, every: int) -> None:
    lease = finished(service)
    whole = [
        json.loads(line)
        for line in service.run("watch", str(lease), "--output", "json").stdout.splitlines()
    ]
    lost: list[str] = []
    with BadNetwork(service.url, [every] * 4) as network:
        client = Client(
            server=parse_server(network.url),
            token=Token(secret=service.secret, source="a test"),
            sleep=lambda seconds: None,
        )
        found: list[Any] = []
        events = follow(client, "/v1/events", {"lease": lease}, after=0, lost=lost.append)
        for event in events:
            found.append(event.data)
            if event.data["state"] == "Done":
                break
        events.close()
        assert network.connections > 2
    assert found == whole
    assert lost


def test_a_service_that_is_started_again(tmp_path: Path) -> None:
    with real_service(tmp_path, speed=60) as service:
        lease = service.json("request", "-t", "+00:05", "-d", "1m")["lease"]["id"]
        lost: list[str] = []
        restarted = threading.Event()
        states = []
        for event in follow(
            service.client(), "/v1/events", {"lease": lease}, after=0, lost=lost.append
        ):
            if event.kind == "state":
                states.append(event.data["state"])
            if not restarted.is_set():
                service.stop()
                service.start()
                restarted.set()
            if states and states[-1] == "Done":
                break
    assert states == ["Pending", "Scheduled", "Ready", "Active", "Done"]
    assert len(lost) == 1


def test_a_token_that_is_revoked_ends_it(tmp_path: Path) -> None:
    with real_service(tmp_path) as service:
        service.json("request", "-d", "1h")
        client = service.client(sleep=lambda seconds: None)
        events = follow(client, "/v1/events", {}, after=0, lost=lambda reason: None)
        next(events)
        assert service.run("token", "make", "other", "--role", "operator").exit_code == 0
        first = service.json("token", "list")["tokens"][0]
        assert service.run("token", "revoke", str(first["id"])).exit_code == 0
        events.close()
        with pytest.raises(ServiceProblem, match="expired or revoked"):
            next(follow(client, "/v1/events", {}, after=0, lost=lambda reason: None))


def test_an_event_that_is_not_there_yet(service: RealService) -> None:
    result = service.run("watch", "--after", "999999")
    assert result.exit_code == 1
    assert "there is no event 999999; the last one is" in result.stderr
