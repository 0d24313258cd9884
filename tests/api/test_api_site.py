"""The schedule between two times, and the use of a host over time: the same thing told twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from live_service import LiveService

HOSTS = 4
BASE = 4_102_444_800  # 2100-01-01T00:00:00Z
HOUR = 3600


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    with LiveService(hosts=HOSTS) as running:
        with running.client("anna") as anna, running.client("bert") as bert:
            for number in range(24):
                asker = (anna, bert)[number % 2]
                draft = {
                    "start": written(BASE + number * 1700),
                    "duration": 1000 + 1300 * (number % 5),
                    "label": f"number {number}",
                    "nodes": [{"count": 1 + number % 3, "resources": {"CPU": 100 + number}}],
                }
                assert asker.post("/v1/leases", json=draft).status_code == 201, draft
            over = {"start": "now", "duration": 60, "nodes": [{"resources": {"CPU": 400}}]}
            taken = anna.post("/v1/leases", json={**over, "label": "over"}).json()["lease"]["id"]
            while anna.get(f"/v1/leases/{taken}").json()["state"] != "Active":
                time.sleep(0.05)
            assert anna.delete(f"/v1/leases/{taken}").status_code == 200
        yield running


@pytest.fixture
def olga(service: LiveService) -> Iterator[httpx.Client]:
    with service.client("olga") as client:
        yield client


def written(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def asked(client: httpx.Client, path: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    period = {"since": written(start), "until": written(end), **more}
    answer = client.get(path, params=period)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


MOMENTS = st.integers(BASE - 2 * HOUR, BASE + 16 * HOUR)


@tries(40)
@given(st.tuples(MOMENTS, MOMENTS).filter(lambda two: two[0] != two[1]), st.integers(0, HOSTS - 1))
def test_the_use_of_a_host_is_what_is_reserved_there(
    service: LiveService, period: tuple[int, int], number: int
) -> None:
    start, end = sorted(period)
    with service.client("olga") as olga:
        entries = asked(olga, "/v1/schedule", start, end, limit=500)
        use = asked(olga, f"/v1/hosts/host-{number + 1}/use", start, end)
        assert use == asked(olga, f"/v1/hosts/{number}/use", start, end), "by name or number"
    assert entries["complete"]
    starts = [moment(entry["start"]) for entry in entries["reservations"]]
    assert starts == sorted(starts)
    times = [moment(entry["time"]) for entry in use["use"]]
    assert times[0] == start
    assert all(a < b for a, b in pairwise([*times, end]))
    for at, entry in zip(times, use["use"], strict=True):
        wanted = sum(
            place["resources"]["CPU"]
            for reserved in entries["reservations"]
            if moment(reserved["start"]) <= at < moment(reserved["end"])
            for place in reserved["places"]
            if place["host"] == f"host-{number + 1}"
        )
        assert entry["used"]["CPU"] == wanted
        assert wanted <= use["resources"]["CPU"]
    for reserved in entries["reservations"]:
        assert moment(reserved["start"]) < end
        assert moment(reserved["end"]) > start


def test_a_long_schedule_is_told_in_parts(olga: httpx.Client) -> None:
    whole = asked(olga, "/v1/schedule", BASE, BASE + 16 * HOUR, limit=500)
    assert len(whole["reservations"]) == 24
    part = asked(olga, "/v1/schedule", BASE, BASE + 16 * HOUR, limit=7)
    assert not part["complete"]
    assert part["reservations"] == whole["reservations"][:7]


def test_a_user_is_shown_own_reservations(service: LiveService, olga: httpx.Client) -> None:
    whole = asked(olga, "/v1/schedule", BASE, BASE + 16 * HOUR, limit=500)["reservations"]
    with service.client("anna") as anna:
        own = asked(anna, "/v1/schedule", BASE, BASE + 16 * HOUR, limit=500)["reservations"]
        used = asked(anna, "/v1/hosts/host-1/use", BASE, BASE + 16 * HOUR)
    assert own == [entry for entry in whole if entry["owner"] == "anna"]
    assert 0 < len(own) < len(whole)
    assert used == asked(olga, "/v1/hosts/host-1/use", BASE, BASE + 16 * HOUR)


def test_what_is_over_is_in_the_past_of_the_schedule(olga: httpx.Client) -> None:
    leases = olga.get("/v1/leases", params={"all": "true", "label": "over"}).json()["leases"]
    (lease,) = leases
    ended = moment(lease["ended"])
    found = asked(olga, "/v1/schedule", ended - HOUR, ended + 1)["reservations"]
    runs = [entry for entry in found if entry["lease"] == lease["id"]]
    assert [(entry["label"], entry["owner"], entry["purpose"]) for entry in runs] == [
        ("over", "anna", "run")
    ]
    assert moment(runs[0]["end"]) <= ended
    assert runs[0]["firm"]


@pytest.mark.parametrize("path", ["/v1/schedule", "/v1/hosts/host-1/use"])
def test_periods_that_make_no_sense(olga: httpx.Client, path: str) -> None:
    for start, end in [(BASE, BASE), (BASE + 1, BASE), (BASE, BASE + 401 * 24 * HOUR)]:
        period = {"since": written(start), "until": written(end)}
        answer = olga.get(path, params=period)
        assert answer.status_code == 422
        assert answer.json()["error"]["field"] == "until"
    # Without a period it is the day that begins now.
    day = olga.get(path).json()
    assert moment(day["until"]) - moment(day["since"]) == 24 * HOUR


@pytest.mark.parametrize("host", ["host-5", "4", "-1", "host-", "0x1", "1" * 100])
def test_a_host_that_is_not_there(olga: httpx.Client, host: str) -> None:
    assert olga.get(f"/v1/hosts/{host}/use").status_code == 404
