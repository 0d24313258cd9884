"""Starts in every form that people write, and requests that are repeated later."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from api_service import wanted
from hypothesis import given
from hypothesis import strategies as st
from live_service import LiveService

from haizea.api.manager import digest_of
from haizea.service.drafts import parse_lease
from haizea.times.moments import changing_words, parse_moment
from haizea.times.zones import SystemZone

DAY = 86_400


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    with LiveService(hosts=64) as running:
        yield running


@pytest.fixture
def anna(service: LiveService) -> Iterator[httpx.Client]:
    with service.client("anna") as client:
        yield client


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def as_yaml(start: str) -> str:
    return f"start: {json.dumps(start)}\nduration: 600\nnodes: {{count: 1, CPU: 10}}\n"


def ask(client: httpx.Client, start: str, media: str, key: str = "") -> httpx.Response:
    headers = {"Content-Type": media, **({"Idempotency-Key": key} if key else {})}
    form = wanted(1, start=start, duration=600)
    body = json.dumps(form) if media == "application/json" else as_yaml(start)
    return client.post("/v1/leases", content=body, headers=headers)


MEDIA = ("application/json", "application/yaml")


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize(
    ("start", "kind"),
    [
        ("now", "immediate"),
        ("NOW", "immediate"),
        ("best_effort", "best-effort"),
        ("best-effort", "best-effort"),
        ("+00:30", "ar"),
        ("+2d", "ar"),
        ("in 90m", "ar"),
        ("tomorrow 9:00", "ar"),
        ("monday 9:00", "ar"),
        ("2pm", "ar"),
        ("2100-01-01 11:00", "ar"),
        ("2100-01-01 12:00 +01:00", "ar"),
    ],
)
def test_a_start_says_the_kind(anna: httpx.Client, media: str, start: str, kind: str) -> None:
    answer = ask(anna, start, media)
    assert answer.status_code == 201, answer.text
    assert answer.json()["lease"]["kind"] == kind
    assert (answer.json()["lease"]["start"] is None) == (kind != "ar")


@pytest.mark.parametrize("media", MEDIA)
def test_a_span_counts_from_when_it_is_sent(anna: httpx.Client, media: str) -> None:
    before = int(time.time())
    lease = ask(anna, "+01:30", media).json()["lease"]
    assert before + 5400 <= moment(lease["start"]) <= moment(lease["submitted"]) + 5400


def test_a_time_without_a_zone_is_utc_in_json(anna: httpx.Client) -> None:
    before = int(time.time())
    lease = ask(anna, "tomorrow 9:00", "application/json").json()["lease"]
    start = moment(lease["start"])
    assert datetime.fromtimestamp(start, UTC).strftime("%H:%M:%S") == "09:00:00"
    assert 0 <= start // DAY - (before + DAY) // DAY <= 1


def test_kind_and_start_go_together(anna: httpx.Client) -> None:
    assert anna.post("/v1/leases", json=wanted(kind="immediate", start="now")).status_code == 201
    assert anna.post("/v1/leases", json=wanted(kind="ar", start="+01:00")).status_code == 201
    for kind, start in [
        ("ar", "now"),
        ("best-effort", "now"),
        ("immediate", "+00:30"),
        ("immediate", "best-effort"),
    ]:
        error = anna.post("/v1/leases", json=wanted(kind=kind, start=start)).json()["error"]
        assert (error["code"], error["field"]) == ("invalid", "start")
        assert kind in error["message"]


@pytest.mark.parametrize(
    "start",
    ["", " ", "soon", "tomorrow", "+", "+1.5s", "25:00", "2026-02-30 9:00", "+99999999d", "x" * 65],
)
@pytest.mark.parametrize("media", MEDIA)
def test_what_is_no_start_is_refused(anna: httpx.Client, media: str, start: str) -> None:
    answer = ask(anna, start, media)
    assert answer.status_code == 422
    assert "start" in answer.json()["error"]["message"]


# --- the same request again ---------------------------------------------------------------


@pytest.mark.parametrize("media", MEDIA)
def test_the_same_words_later_are_the_same_request(anna: httpx.Client, media: str) -> None:
    key = f"words {media}".replace(" ", "-")
    first = ask(anna, "+01:00", media, key)
    submitted = moment(first.json()["lease"]["submitted"])
    while time.time() < submitted + 1.1:
        time.sleep(0.1)
    again = ask(anna, "+01:00", media, key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["lease"]["start"] == first.json()["lease"]["start"]
    # A longer one is another request, and so is a moment, be it the very same.
    for other in ("+02:00", "+00:59", "now", "tomorrow 9:00", first.json()["lease"]["start"]):
        refused = ask(anna, other, media, key)
        assert refused.status_code == 422, other
        error = refused.json()["error"]
        assert (error["code"], error["field"]) == ("key-reused", "Idempotency-Key")
        assert f"lease {first.json()['lease']['id']}" in error["message"]


def test_the_form_in_which_it_is_sent_does_not_matter(anna: httpx.Client) -> None:
    start = "2100-01-01T11:00:00Z"
    first = ask(anna, start, "application/json", "forms")
    in_yaml = as_yaml("2100-01-01 12:00:00+01:00").replace("CPU: 10", "CPU: 400, Memory: 8192")
    asked = wanted(1, start=start, duration=600)
    assert asked["nodes"] == [{"count": 1, "resources": {"CPU": 400, "Memory": 8192}}]
    headers = {"Content-Type": "application/yaml", "Idempotency-Key": "forms"}
    again = anna.post("/v1/leases", content=in_yaml, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200), again.text


def test_two_at_once_with_one_key_are_one_lease_or_a_conflict(anna: httpx.Client) -> None:
    starts = ["+03:00", "+04:00"] * 8
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda s: ask(anna, s, "application/json", "race"), starts))
    assert sorted({answer.status_code for answer in answers}) == [200, 201, 422]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert [answer.status_code for answer in answers].count(422) == 8
    taken = {answer.json()["lease"]["id"] for answer in answers if answer.status_code != 422}
    assert len(taken) == 1


def test_a_key_is_remembered_beyond_the_request(anna: httpx.Client) -> None:
    lease: dict[str, Any] = ask(anna, "now", "application/json", "cancelled").json()["lease"]
    assert anna.delete(f"/v1/leases/{lease['id']}").status_code == 200
    assert ask(anna, "now", "application/json", "cancelled").json()["lease"]["id"] == lease["id"]
    assert ask(anna, "+01:00", "application/json", "cancelled").status_code == 422


# --- words and moments --------------------------------------------------------------------

SPANS = st.integers(0, 10**7).map(lambda seconds: f"+{seconds}")
CLOCKS = st.times().map(lambda t: t.strftime("%H:%M:%S"))
DAYS = st.sampled_from(["today", "tomorrow", "monday", "fri"])
DATES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2400, 1, 1)).map(
    lambda d: d.strftime("%Y-%m-%d %H:%M:%S")
)


@given(SPANS | CLOCKS | st.builds("{} {}".format, DAYS, CLOCKS))
def test_words_that_count_from_now_are_told_from_moments(words: str) -> None:
    assert changing_words(f" {words.upper()} ", UTC) == words


@given(DATES, st.integers(0, 4 * 10**9))
def test_a_date_and_time_is_the_same_whenever_it_is_said(text: str, now: int) -> None:
    assert changing_words(text, UTC) == ""
    assert parse_moment(text, now, UTC) == moment(f"{text}+00:00")


@given(st.integers(10**9, 2 * 10**9), st.integers(0, 10**6))
def test_drafts_of_the_same_words_have_one_digest(now: int, later: int) -> None:
    def digest(start: str, at: int) -> str:
        return digest_of(parse_lease(as_yaml(start).encode(), "application/yaml", at))

    assert digest("+01:00", now) == digest("+01:00", now + later)
    assert digest("01:00:00", now) == digest("01:00:00", now + later)
    assert digest("+01:00", now) != digest("+02:00", now)
    assert digest("2400-01-01 00:00", now) == digest("2400-01-01 00:00", now + later)
    assert digest("2400-01-01 00:00", now) != digest("+02:00", now)
    local = datetime.fromtimestamp(now).astimezone(SystemZone())
    assert digest(f"{local:%Y-%m-%d %H:%M:%S}", now) != digest("now", now)
