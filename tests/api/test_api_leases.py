"""Asking for leases over HTTP, and what is told of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from api_service import wanted
from live_service import LiveService

from haizea.api.settings import MOST_NODE_SETS, MOST_NODES


@pytest.fixture
def service() -> Iterator[LiveService]:
    with LiveService() as running:
        yield running


@pytest.fixture
def anna(service: LiveService) -> Iterator[httpx.Client]:
    with service.client("anna") as client:
        yield client


def hence(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_lease_that_fits_is_accepted_with_its_times_and_hosts(anna: httpx.Client) -> None:
    start = hence(hours=2)
    answer = anna.post("/v1/leases", json=wanted(2, start=start, label="course"))
    decision = answer.json()
    lease = decision["lease"]
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/leases/{lease['id']}"
    assert decision["outcome"] == "accepted"
    assert decision["place"] is None
    assert len(set(decision["hosts"])) == 2
    assert lease["kind"] == "ar"
    assert lease["owner"] == "anna"
    assert lease["start"] == lease["planned_start"] == start
    assert lease["label"] == "course"


def test_a_lease_that_waits_is_told_its_place_and_when_it_may_start(anna: httpx.Client) -> None:
    assert anna.post("/v1/leases", json=wanted(8)).json()["outcome"] == "accepted"
    first = anna.post("/v1/leases", json=wanted(8)).json()
    second = anna.post("/v1/leases", json=wanted(8)).json()
    assert [first["outcome"], second["outcome"]] == ["queued", "queued"]
    assert [first["place"], second["place"]] == [1, 2]
    assert first["expected"] is not None
    queue = anna.get("/v1/queue").json()
    assert queue["length"] == 2
    assert [entry["lease"]["id"] for entry in queue["queue"]] == [
        first["lease"]["id"],
        second["lease"]["id"],
    ]


def test_a_rejected_lease_has_a_reason_and_an_offer(anna: httpx.Client) -> None:
    start = hence(hours=1)
    assert anna.post("/v1/leases", json=wanted(8, start=start)).status_code == 201
    answer = anna.post("/v1/leases", json=wanted(1, start=start))
    decision = answer.json()
    assert answer.status_code == 409
    assert decision["outcome"] == "rejected"
    assert decision["lease"]["state"] == "Rejected"
    assert decision["lease"]["code"] == "no-room"
    assert "@" not in decision["lease"]["reason"]
    again = anna.post("/v1/leases", json=wanted(1, start=decision["offer"]))
    assert again.status_code == 201


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/yaml", "start: 02:00:00\nduration: 01:30:00\nnodes: {count: 2, CPU: 100}\n"),
        (
            "application/xml",
            '<lease><nodes><node-set numnodes="2"><res type="CPU" amount="100"/></node-set></nodes>'
            '<start><exact time="02:00:00"/></start><duration time="01:30:00"/></lease>',
        ),
        ("text/yaml; charset=utf-8", "duration: 5400\nnodes: {count: 2, CPU: 100}\n"),
    ],
)
def test_other_forms_mean_the_same(anna: httpx.Client, media: str, body: str) -> None:
    answer = anna.post("/v1/leases", content=body, headers={"Content-Type": media})
    lease = answer.json()["lease"]
    assert answer.status_code == 201
    assert lease["duration"] == 5400
    assert lease["nodes"] == [{"count": 2, "resources": {"CPU": 100, "Memory": 0}}]
    assert lease["kind"] == ("ar" if "02:00" in body else "best-effort")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("01:30:00", 5400),
        ("1:00:00:00", 86400),
        ("90m", 5400),
        ("1d12h", 129600),
        ("45", 45),
        (45, 45),
        ("unlimited", None),
        (None, None),
    ],
)
def test_durations_are_taken_in_every_form(
    anna: httpx.Client, given: object, seconds: int | None
) -> None:
    answer = anna.post("/v1/leases", json=wanted(duration=given))
    assert answer.json()["lease"]["duration"] == seconds


@pytest.mark.parametrize(
    "start", ["2100-01-01T12:00:00+01:00", "2100-01-01T11:00:00Z", "2100-01-01 11:00"]
)
def test_starts_are_taken_in_any_zone(anna: httpx.Client, start: str) -> None:
    lease = anna.post("/v1/leases", json=wanted(start=start)).json()["lease"]
    assert lease["start"] == "2100-01-01T11:00:00Z"


HUGE = {"count": 1, "resources": {"CPU": 1 << 40}}


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("duration", wanted(duration=0)),
        ("duration", wanted(duration=-5)),
        ("duration", wanted(duration=1.5)),
        ("duration", wanted(duration=True)),
        ("duration", wanted(duration=1 << 40)),
        ("duration", wanted(duration=10**400)),
        ("duration", wanted(duration="soon")),
        ("duration", wanted(duration="9" * 5000)),
        ("duration", {"nodes": wanted()["nodes"]}),
        ("start", wanted(start="yesterday")),
        ("start", wanted(start="1999-12-31T23:59:59Z")),
        ("start", wanted(start="2500-01-01T00:00:00Z")),
        ("start", wanted(start=1e9)),
        ("start", wanted(kind="ar")),
        ("start", wanted(kind="immediate", start="2100-01-01T00:00:00Z")),
        ("kind", wanted(kind="soon")),
        ("nodes", wanted(nodes=[])),
        ("nodes", wanted(nodes=[{"count": MOST_NODES // 2 + 1, "resources": {"CPU": 1}}] * 2)),
        ("nodes.0.count", wanted(count=0)),
        ("nodes.0.count", wanted(count=1 << 70)),
        ("nodes.0.resources.CPU", wanted(nodes=[HUGE])),
        ("nodes.0.resources", wanted(nodes=[{"count": 1, "resources": {}}])),
        ("nodes", wanted(nodes=[{"count": 1, "resources": {"GPU": 1}}])),
        ("nodes.0.resources.CPU", wanted(nodes=[{"resources": {"CPU": "1"}}])),
        ("label", wanted(label="a\x00b")),
        ("label", wanted(label="x" * 201)),
        ("image.size_mb", wanted(image={"name": "a", "size_mb": -1})),
        ("owner", wanted(owner="bert")),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    anna: httpx.Client, field: str, body: dict[str, object]
) -> None:
    answer = anna.post("/v1/leases", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid"
    assert error["field"] == field
    assert error["message"].startswith(f"{field}: ")
    assert anna.get("/v1/leases?all=true").json()["leases"] == []


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ("application/json", b"", 422),
        ("application/json", b"[" * 60_000, 422),
        ("application/json", b'{"label": "\\ud800"}', 422),
        ("application/json", b"\xff\xfe", 422),
        ("application/yaml", b"&a [*a]", 422),
        ("application/yaml", b"- {duration: 1, nodes: {CPU: 1}}\n" * 2, 422),
        ("application/yaml", b"{duration: 99999999999999, nodes: {CPU: 1}}", 422),
        ("application/yaml", b"{duration: 10, nodes: {CPU: 1, count: 200000}}", 422),
        ("application/xml", b'<!DOCTYPE x [<!ENTITY a "b">]><lease>&a;</lease>', 422),
        ("text/html", b"<p>", 415),
    ],
)
def test_bodies_that_are_no_request_are_refused(
    anna: httpx.Client, media: str, body: bytes, status: int
) -> None:
    answer = anna.post("/v1/leases", content=body, headers={"Content-Type": media})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_the_same_key_gives_the_same_lease(anna: httpx.Client, service: LiveService) -> None:
    headers = {"Idempotency-Key": "once"}
    first = anna.post("/v1/leases", json=wanted(), headers=headers)
    second = anna.post("/v1/leases", json=wanted(), headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["repeated"]
    assert first.json()["lease"]["id"] == second.json()["lease"]["id"]
    other = anna.post("/v1/leases", json=wanted(2), headers=headers)
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "key-reused"
    with service.client("bert") as bert:
        theirs = bert.post("/v1/leases", json=wanted(), headers=headers)
    assert theirs.status_code == 201
    assert theirs.json()["lease"]["id"] != first.json()["lease"]["id"]


RELATIVE = {
    "application/yaml": "start: '{}'\nduration: 600\nnodes: {{count: 1, CPU: 100}}\n",
    "application/xml": '<lease><nodes><node-set numnodes="1"><res type="CPU" amount="100"/>'
    '</node-set></nodes><start><exact time="{}"/></start><duration time="00:10:00"/></lease>',
}


@pytest.mark.parametrize("media", RELATIVE)
def test_a_start_that_counts_from_now_is_the_same_when_sent_again(
    anna: httpx.Client, media: str
) -> None:
    def send(start: str) -> httpx.Response:
        headers = {"Content-Type": media, "Idempotency-Key": "later"}
        return anna.post("/v1/leases", content=RELATIVE[media].format(start), headers=headers)

    first = send("02:00:00")
    second = first.json()["lease"]["submitted"]
    while hence() <= second:
        time.sleep(0.1)
    again = send("02:00:00")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["lease"]["id"] == first.json()["lease"]["id"]
    assert again.json()["lease"]["start"] == first.json()["lease"]["start"]
    assert send("01:30:00").json()["error"]["code"] == "key-reused"
    assert send("2100-01-01 00:00:00").json()["error"]["code"] == "key-reused"


def test_a_lease_is_shown_with_its_story(anna: httpx.Client) -> None:
    lease_id = anna.post("/v1/leases", json=wanted(2)).json()["lease"]["id"]
    shown = anna.get(f"/v1/leases/{lease_id}").json()
    assert [entry["state"] for entry in shown["story"]][:2] == ["New", "Pending"]
    assert shown["story"][-1]["state"] == shown["state"] == "Active"
    assert len(shown["hosts"]) == 2
    assert next((r["when"], r["purpose"]) for r in shown["reservations"]) == ("now", "run")
    assert anna.delete(f"/v1/leases/{lease_id}").json()["state"] == "Cancelled"
    shown = anna.get(f"/v1/leases/{lease_id}").json()
    assert [(r["when"], r["purpose"]) for r in shown["reservations"]] == [("past", "run")]
    assert shown["story"][-1]["reason"] == "cancelled by its owner"


def test_of_what_is_over_it_is_told_when_it_ran(anna: httpx.Client) -> None:
    def ask(count: int = 8) -> int:
        lease_id: int = anna.post("/v1/leases", json=wanted(count)).json()["lease"]["id"]
        return lease_id

    ran, waits = ask(), ask()
    never, rejected = ask(), ask(99)
    while anna.get(f"/v1/leases/{ran}").json()["started"] is None:
        time.sleep(0.05)
    before = anna.get(f"/v1/leases/{ran}").json()
    assert before["ended"] is None
    assert before["started"] == before["planned_start"]
    for lease_id in (never, ran):
        anna.delete(f"/v1/leases/{lease_id}")
    listed = {lease["id"]: lease for lease in anna.get("/v1/leases?all=true").json()["leases"]}
    assert listed[ran]["started"] == before["started"]
    assert listed[ran]["ended"] == listed[ran]["changed"]
    for lease_id in (never, rejected):
        assert listed[lease_id]["started"] is None
        assert listed[lease_id]["ended"] is not None
    assert listed[waits]["ended"] is None
    for lease_id, lease in listed.items():
        shown = anna.get(f"/v1/leases/{lease_id}").json()
        if lease_id != waits:
            assert {name: shown[name] for name in lease} == lease


def test_cancelling_twice_is_no_error_but_what_is_over_stays(
    anna: httpx.Client, service: LiveService
) -> None:
    lease_id = anna.post("/v1/leases", json=wanted()).json()["lease"]["id"]
    assert anna.delete(f"/v1/leases/{lease_id}").status_code == 200
    assert anna.delete(f"/v1/leases/{lease_id}").status_code == 200
    rejected = anna.post("/v1/leases", json=wanted(99)).json()["lease"]["id"]
    answer = anna.delete(f"/v1/leases/{rejected}")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "over"
    assert anna.delete("/v1/leases/99999").status_code == 404
    with service.client("olga") as olga:
        other = anna.post("/v1/leases", json=wanted()).json()["lease"]["id"]
        assert olga.delete(f"/v1/leases/{other}").json()["reason"] == "cancelled by operator olga"


def test_lists_come_in_pages_and_filtered(anna: httpx.Client) -> None:
    ids = [
        anna.post("/v1/leases", json=wanted(label=f"l{i % 2}")).json()["lease"]["id"]
        for i in range(7)
    ]
    anna.delete(f"/v1/leases/{ids[0]}")

    def listed(**filters: str | bool) -> list[int]:
        found: list[int] = []
        page = anna.get("/v1/leases", params={"limit": 2, **filters}).json()
        while True:
            found += [lease["id"] for lease in page["leases"]]
            if page["next"] is None:
                return found
            assert len(page["leases"]) == 2
            page = anna.get(
                "/v1/leases", params={"limit": 2, "after": page["next"], **filters}
            ).json()

    assert listed() == ids[1:]
    assert listed(all=True) == ids
    assert listed(order="newest", all=True) == ids[::-1]
    assert listed(state="Cancelled") == ids[:1]
    assert listed(label="l1") == ids[1::2]
    assert listed(kind="ar") == []
    assert listed(since=hence(hours=1)) == []
    assert listed(until=hence(hours=1), all=True) == ids


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "after=-1",
        "state=Bored",
        "since=soon",
        "onwer=anna",
        "after=1e9",
        f"after={1 << 80}",
        "label=%00",
    ],
)
def test_wrong_filters_are_refused(anna: httpx.Client, query: str) -> None:
    answer = anna.get(f"/v1/leases?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"].startswith(query.split("=")[0])


def test_a_request_is_bounded_in_nodes_and_in_sets_of_them(anna: httpx.Client) -> None:
    """One user's 48 requests of 900 sets once held everybody up for 20 s."""
    nothing = {"count": 1, "resources": {"CPU": 0}}
    one = {"count": 1, "resources": {"CPU": 1}}

    def refused(nodes: list[dict[str, object]]) -> str:
        answer = anna.post("/v1/leases", json={"duration": 86400, "nodes": nodes})
        assert answer.status_code == 422
        assert answer.json()["error"]["field"].startswith("nodes")
        return str(answer.json()["error"]["message"])

    assert f"at most {MOST_NODE_SETS} items" in refused([nothing] * 900)
    assert "more than 0" in refused([nothing])
    assert f"{MOST_NODES} are the most" in refused([{**one, "count": MOST_NODES}, one])
    assert f"less than or equal to {MOST_NODES}" in refused([{**one, "count": MOST_NODES + 1}])
    yaml = "duration: 60\nnodes:\n" + "- {count: 1, CPU: 1}\n" * (MOST_NODE_SETS + 1)
    answer = anna.post("/v1/leases", content=yaml, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 422
    assert f"{MOST_NODE_SETS} are the most" in answer.json()["error"]["message"]
