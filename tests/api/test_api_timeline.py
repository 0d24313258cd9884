"""The timeline in rows of numbers, and trials, over HTTP."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from api_service import wanted
from live_service import LiveService

from haizea.api import timelines


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    with LiveService(hosts=8) as running:
        yield running


def test_rows_say_what_the_schedule_says(service: LiveService) -> None:
    with service.client("anna") as anna, service.client("rita") as rita:
        asked = [anna.post("/v1/leases", json=wanted(n)).json()["lease"]["id"] for n in (2, 3)]
        shown = rita.get("/v1/timeline").json()
        listed = rita.get("/v1/schedule", params={"limit": 500}).json()["reservations"]
    assert shown["complete"]
    assert shown["use"] is None
    assert {lease["id"] for lease in shown["leases"]} >= set(asked)
    rows = shown["reservations"]
    assert len(rows) == len(listed)
    for row, entry in zip(rows, listed, strict=True):
        lease, purpose, start, end, firm, share, *runs = row
        assert (lease, shown["purposes"][purpose]) == (entry["lease"], entry["purpose"])
        assert (firm, share) == (int(entry["firm"]), 100)
        assert end - start <= 600
        hosts = [
            shown["hosts"][first + more]
            for first, count in zip(runs[::2], runs[1::2], strict=True)
            for more in range(count)
        ]
        assert hosts == [place["host"] for place in entry["places"]]


def test_a_user_is_told_how_full_hosts_are_and_not_by_whom(service: LiveService) -> None:
    with service.client("bert") as bert:
        lease = bert.post("/v1/leases", json=wanted(8, start="+2h")).json()["lease"]["id"]
    with service.client("anna") as anna:
        shown = anna.get("/v1/timeline").json()
    assert lease not in {row[0] for row in shown["reservations"]}
    at = 7200 // shown["step"] + 1
    assert all(len(row) * shown["step"] >= 86_400 for row in shown["use"])
    assert {row[at] for row in shown["use"]} == {"9"}
    assert {row[-1] for row in shown["use"]} == {"0"}


def test_what_is_too_much_is_left_out_and_said(
    service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timelines, "MOST_RESERVATIONS", 1)
    with service.client("anna") as anna, service.client("olga") as olga:
        anna.post("/v1/leases", json=wanted(1, start="+5h"))
        anna.post("/v1/leases", json=wanted(1, start="+6h"))
        shown = olga.get("/v1/timeline").json()
    assert not shown["complete"]
    assert len(shown["reservations"]) == 1


def test_who_has_a_timeline_already_is_told_so(service: LiveService) -> None:
    since = service.manager.now() // 3600 * 3600
    period = {"since": spelled(since), "until": spelled(since + 60 * 3600)}
    with service.client("anna") as anna, service.client("olga") as olga:

        def seen(tag: str = "") -> httpx.Response:
            return olga.get("/v1/timeline", params=period, headers={"If-None-Match": tag})

        whole = seen()
        plain = olga.get("/v1/timeline", params=period, headers={"Accept-Encoding": "identity"})
        assert whole.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert whole.json() == plain.json()
        tag = whole.headers["etag"]
        assert (seen(tag).status_code, seen(tag).content) == (304, b"")
        anna.post("/v1/leases", json=wanted(1, start="+99h"))
        assert seen(tag).status_code == 304, "nothing happened in the time that is looked at"
        lease = anna.post("/v1/leases", json=wanted(1, start="+55h")).json()["lease"]["id"]
        after = seen(tag)
        assert after.status_code == 200
        assert after.headers["etag"] != tag
        assert lease in {row[0] for row in after.json()["reservations"]}
        own = anna.get("/v1/timeline", params=period, headers={"If-None-Match": tag})
        assert own.status_code == 200, "another's is another one"


def spelled(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


@pytest.mark.parametrize("days", [-1, 401])
def test_a_time_that_is_none_is_refused(service: LiveService, days: int) -> None:
    ends = {-1: "2025-12-31T00:00:00Z", 401: "2027-02-06T00:00:00Z"}[days]
    with service.client("anna") as anna:
        answer = anna.get("/v1/timeline", params={"since": "2026-01-01T00:00:00Z", "until": ends})
    assert answer.status_code == 422


def tried_out(client: httpx.Client, body: dict[str, object]) -> httpx.Response:
    """The answer to a trial, asked for again as long as there is no time for one."""
    deadline = time.monotonic() + 60
    while (answer := client.post("/v1/leases/trial", json=body)).status_code == 503:
        assert answer.json()["error"]["code"] == "busy"
        assert time.monotonic() < deadline, "there never is time for it"
        time.sleep(0.1)
    return answer


@pytest.mark.parametrize(
    "body",
    [wanted(2, start="+9h"), wanted(8, start="+2h"), wanted(8, start="now"), wanted(1), wanted(9)],
    ids=["fits", "is taken", "not now", "waits or not", "is too much"],
)
def test_a_trial_says_what_a_request_leads_to(
    service: LiveService, body: dict[str, object]
) -> None:
    with service.client("anna") as anna:
        before = service.manager.last_event_id()
        tried = tried_out(anna, body)
        assert tried.status_code == 200, tried.text
        assert service.manager.last_event_id() == before, "nothing has happened"
        asked = anna.post("/v1/leases", json=body).json()
        anna.delete(f"/v1/leases/{asked['lease']['id']}")
    told = tried.json()
    assert told["lease"]["id"] == 0
    assert told["outcome"] == asked["outcome"]
    assert told["lease"]["code"] == asked["lease"]["code"]
    assert (told["offer"] is None) == (asked["offer"] is None)


def test_a_trial_takes_what_a_request_takes(service: LiveService) -> None:
    with service.client("anna") as anna:
        assert anna.post("/v1/leases/trial", json={"nodes": []}).status_code == 422
        assert anna.post("/v1/leases/trial", content=b"\xff").status_code == 422


@pytest.mark.parametrize("owner", [None, "anna"])
def test_what_was_told_before_is_told_as_it_is_now(service: LiveService, owner: str | None) -> None:
    """Rows of leases that are the same are not written anew, and those of others are."""
    manager, kept = service.manager, timelines.Timelines()
    start = manager.now() // 3600 * 3600
    end = start + 30 * 3600
    with service.client("anna") as anna, service.client("bert") as bert:
        asked = []
        for hour, someone in enumerate((anna, bert, anna), 20):
            answer = someone.post("/v1/leases", json=wanted(1, start=f"+{hour}h")).json()
            asked.append(answer["lease"]["id"])
            fresh = timelines.Timelines().told(manager, start, end, owner)
            assert kept.told(manager, start, end, owner) == fresh
        anna.delete(f"/v1/leases/{asked[0]}")
        fresh = timelines.Timelines().told(manager, start, end, owner)
        assert kept.told(manager, start, end, owner) == fresh
        assert f'"id":{asked[2]}'.encode() in fresh.body
        later = kept.told(manager, start + 3600, end, owner)
        assert later == timelines.Timelines().told(manager, start + 3600, end, owner)


def test_many_who_ask_at_once_share_a_timeline_and_hold_up_nobody(
    service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages ask for the timeline all at once; a request for a lease does not wait for them."""
    made, made_now, may_go_on = 0, threading.Event(), threading.Event()
    told = timelines.Timelines.told

    def slow(self: timelines.Timelines, *asked: Any) -> timelines.Told:
        nonlocal made
        made += 1
        made_now.set()
        assert may_go_on.wait(60)
        return told(self, *asked)

    monkeypatch.setattr(timelines.Timelines, "told", slow)
    period = {"since": "2031-01-01T00:00:00Z", "until": "2031-01-02T00:00:00Z"}
    with service.client("olga") as olga, ThreadPoolExecutor(20) as pages:
        first = pages.submit(olga.get, "/v1/timeline", params=period)
        assert made_now.wait(60)
        others = [pages.submit(olga.get, "/v1/timeline", params=period) for _ in range(19)]
        assert olga.post("/v1/leases", json=wanted(1, start="+9h")).status_code == 201
        under_way = re.compile(r"^haizea_http_requests_under_way (\d+)", re.MULTILINE)
        while int(under_way.findall(olga.get("/metrics").text)[0]) < 21:
            time.sleep(0.02)
        may_go_on.set()
        answers = [page.result() for page in (first, *others)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert made == 2, "the first one, and one for all who came meanwhile"
