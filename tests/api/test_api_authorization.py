"""Rights: every route of the description, with every kind of token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from api_service import described, wanted
from live_service import LiveService

from haizea.service_types import Role


@dataclass(frozen=True)
class Route:
    """A route, a request that fits it, and what it answers each kind of token."""

    path: str
    user: int
    operator: int
    reader: int
    body: dict[str, object] | None = None


#: JSON is YAML, too.
DOCUMENT: dict[str, object] = {"duration": "60", "nodes": {"count": "1", "CPU": "1"}}

#: Far enough ahead that no lease of a test is there.
UPKEEP: dict[str, object] = {"hosts": ["host-64"], "start": "2099-01-01T00:00:00Z"}

#: Every route of the interface is here, or the first test fails. ``{mine}`` is a lease of
#: the user who asks.
ROUTES = {
    "GET /health": Route("/health", 200, 200, 200),
    "GET /metrics": Route("/metrics", 403, 200, 200),
    "POST /v1/leases": Route("/v1/leases", 201, 201, 403, wanted()),
    "POST /v1/leases/document": Route("/v1/leases/document", 201, 201, 403, DOCUMENT),
    "POST /v1/leases/trial": Route("/v1/leases/trial", 200, 200, 403, wanted()),
    "GET /v1/leases": Route("/v1/leases", 200, 200, 200),
    "GET /v1/leases/{lease_id}": Route("/v1/leases/{mine}", 200, 200, 200),
    "PATCH /v1/leases/{lease_id}": Route("/v1/leases/{mine}", 200, 200, 403, {"preemptible": True}),
    "DELETE /v1/leases/{lease_id}": Route("/v1/leases/{mine}", 200, 200, 403),
    "GET /v1/queue": Route("/v1/queue", 200, 200, 200),
    "GET /v1/hosts": Route("/v1/hosts", 200, 200, 200),
    "GET /v1/hosts/{host}/use": Route("/v1/hosts/host-1/use", 200, 200, 200),
    "GET /v1/maintenance": Route("/v1/maintenance", 200, 200, 200),
    "POST /v1/maintenance": Route("/v1/maintenance", 403, 201, 403, UPKEEP),
    "PATCH /v1/maintenance/{window_id}": Route(
        "/v1/maintenance/1", 403, 200, 403, {"reason": "fans"}
    ),
    "DELETE /v1/maintenance/{window_id}": Route("/v1/maintenance/1", 403, 200, 403),
    "GET /v1/schedule": Route("/v1/schedule", 200, 200, 200),
    "GET /v1/timeline": Route("/v1/timeline", 200, 200, 200),
    "GET /v1/status": Route("/v1/status", 200, 200, 200),
    "GET /v1/events": Route("/v1/events?follow=false&after=0", 200, 200, 200),
    "GET /v1/tokens": Route("/v1/tokens", 403, 200, 403),
    "POST /v1/tokens": Route("/v1/tokens", 403, 201, 403, {"name": "new", "role": "operator"}),
    "DELETE /v1/tokens/{which}": Route("/v1/tokens/spare", 403, 200, 403),
    "POST /v1/session": Route("/v1/session", 401, 401, 401, {"token": "hz_nobody"}),
    "GET /v1/session": Route("/v1/session", 200, 200, 200),
    "DELETE /v1/session": Route("/v1/session", 204, 204, 204),
}
#: Those that anybody may ask, without a token.
OPEN = {"GET /health", "POST /v1/session"}
BAD_SECRETS = {
    "missing": None,
    "unknown": "hz_nobody",
    "revoked": "revoked",
    "expired": "expired",
    "long": "x" * 5000,
}


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    with LiveService(hosts=64) as running:
        running.make_token("revoked", Role.OPERATOR)
        running.make_token("expired", Role.OPERATOR, expires=1)
        running.manager.revoke_token("revoked")
        yield running


def asked(client: httpx.Client, name: str, mine: int = 1) -> httpx.Response:
    route, method = ROUTES[name], name.split()[0]
    return client.request(method, route.path.format(mine=mine), json=route.body)


def lease_of(service: LiveService, name: str, count: int = 1, **fields: object) -> int:
    with service.client(name) as client:
        lease: int = client.post("/v1/leases", json=wanted(count, **fields)).json()["lease"]["id"]
    return lease


def test_no_route_is_forgotten(service: LiveService) -> None:
    with service.client("rita") as rita:
        described = rita.get("/v1/openapi.json").json()["paths"]
    found = {f"{method.upper()} {path}" for path in described for method in described[path]}
    assert found == set(ROUTES)


@pytest.mark.parametrize("name", ROUTES)
def test_what_is_described_is_whom_it_is_for(name: str) -> None:
    method, path = name.split()
    told = described()["paths"][path][method.lower()]
    route = ROUTES[name]
    answers = {"user": route.user, "operator": route.operator, "reader": route.reader}
    if told.get("security") == []:
        assert told["x-roles"] == []
    else:
        assert set(told["x-roles"]) == {r for r, status in answers.items() if status < 400}


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("who", ["anna", "olga", "rita"])
def test_each_role_may_do_what_it_may(service: LiveService, name: str, who: str) -> None:
    mine = lease_of(service, "anna")
    if "spare" in ROUTES[name].path:
        service.manager.revoke_token("spare")
        service.make_token("spare", Role.USER)
    service.manager.revoke_token("new")
    route = ROUTES[name]
    expected = {"anna": route.user, "olga": route.operator, "rita": route.reader}[who]
    with service.client(who) as client:
        answer = asked(client, name, mine)
    assert answer.status_code == expected, answer.text
    if expected == 403:
        assert answer.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize("bad", BAD_SECRETS)
@pytest.mark.parametrize(
    "target",
    [*(name for name in ROUTES if name not in OPEN), "openapi", "no-route", "wrong-method"],
)
def test_no_good_token_learns_nothing(service: LiveService, target: str, bad: str) -> None:
    secret = BAD_SECRETS[bad]
    with service.client(None, service.secrets.get(bad, secret)) as client:
        if target in ROUTES:
            answer = asked(client, target)
        elif target == "openapi":
            answer = client.get("/v1/openapi.json")
        elif target == "no-route":
            answer = client.get("/v1/secret-things")
        else:
            answer = client.put("/v1/leases")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthorized"
    assert answer.json() == httpx.get(f"{service.url}/v1/leases").json()


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "bearer x y", "Bearer \xff", "token {}"]
)
def test_other_authorization_is_none(service: LiveService, header: str) -> None:
    shown = header.format(service.secrets["olga"]).encode("latin-1")
    answer = httpx.get(f"{service.url}/v1/leases", headers={b"Authorization": shown})
    assert answer.status_code == 401


def test_two_tokens_are_none(service: LiveService) -> None:
    good = f"Bearer {service.secrets['olga']}"
    headers = [("Authorization", "Bearer hz_other"), ("Authorization", good)]
    assert httpx.get(f"{service.url}/v1/leases", headers=headers).status_code == 401


def test_an_unknown_route_is_not_found_for_who_has_a_token(service: LiveService) -> None:
    with service.client("anna") as client:
        assert client.get("/v1/secret-things").json()["error"]["code"] == "not-found"
        answer = client.put("/v1/leases")
        assert answer.status_code == 405
        assert answer.json()["error"]["code"] == "method"
        assert client.get("/v1/openapi.json").json()["openapi"].startswith("3.")


def test_no_token_is_made_that_is_never_good(service: LiveService) -> None:
    with service.client("olga") as olga:
        wanted = {"name": "stale", "role": "user", "expires": "2020-01-01T00:00:00Z"}
        answer = olga.post("/v1/tokens", json=wanted)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "expires")
        assert "is past" in answer.json()["error"]["message"]
        assert "stale" not in olga.get("/v1/tokens").text


def test_a_token_is_good_for_nothing_once_it_is_revoked_or_expires(service: LiveService) -> None:
    soon = int(time.time()) + 2
    secret = service.make_token("short", Role.USER, soon)
    with service.client(None, secret) as client:
        assert client.get("/v1/leases").status_code == 200
        while time.time() < soon:
            time.sleep(0.05)
        assert client.get("/v1/leases").status_code == 401
    secret = service.make_token("fleeting", Role.USER)
    with service.client(None, secret) as client, service.client("olga") as olga:
        assert client.get("/v1/leases").status_code == 200
        assert olga.delete("/v1/tokens/fleeting").json()["revoked"]
        assert client.get("/v1/leases").status_code == 401


def test_a_user_finds_anothers_lease_by_no_route(service: LiveService) -> None:
    running = lease_of(service, "bert", label="bert's own")
    planned = lease_of(service, "bert", label="bert's own", start="2100-01-01T00:00:00Z")
    waiting = lease_of(service, "bert", label="bert's own", count=64)
    theirs = {running, planned, waiting}
    period = {"since": "2000-01-01T00:00:00Z", "until": "2000-12-31T00:00:00Z"}
    far = {"since": "2099-12-31T00:00:00Z", "until": "2100-01-02T00:00:00Z"}
    answers = {}
    with service.client("anna") as anna:
        for lease in theirs:
            shown = anna.get(f"/v1/leases/{lease}")
            assert shown.status_code == 404
            assert shown.json() == {
                "error": {
                    "code": "not-found",
                    "message": f"there is no lease {lease}",
                    "field": None,
                }
            }
            assert anna.get("/v1/leases/99999").status_code == 404
            assert anna.delete(f"/v1/leases/{lease}").status_code == 404
            assert anna.get(f"/v1/events?follow=false&after=0&lease={lease}").status_code == 404
        for path, query in (
            ("/v1/leases", {"all": "true", "limit": "500"}),
            ("/v1/leases", {"all": "true", "owner": "bert"}),
            ("/v1/leases", {"label": "bert's own", "all": "true"}),
            ("/v1/queue", {}),
            ("/v1/hosts", {}),
            ("/v1/hosts/host-1/use", {}),
            ("/v1/schedule", {}),
            ("/v1/schedule", period),
            ("/v1/schedule", far),
            ("/v1/timeline", {}),
            ("/v1/timeline", far),
            ("/v1/status", {}),
            ("/v1/events", {"follow": "false", "after": "0"}),
        ):
            answer = anna.get(path, params=query)
            assert answer.status_code == 200
            answers[path, str(query)] = answer
    for where, answer in answers.items():
        assert "bert" not in answer.text, where
        if answer.headers["content-type"] == "application/json":
            assert not theirs & set(numbers(answer.json())), where
    with service.client("olga") as olga:
        for lease in theirs:
            assert olga.delete(f"/v1/leases/{lease}").status_code == 200


def numbers(body: object) -> Iterator[int]:
    """Everything that is called a lease, or is the id of one, in a body."""
    match body:
        case dict():
            for name, value in body.items():
                if name in {"lease", "id"} and isinstance(value, int) and "name" not in body:
                    yield value
                elif name == "leases" and isinstance(value, list):
                    yield from (entry for entry in value if isinstance(entry, int))
                yield from numbers(value)
        case list():
            for value in body:
                yield from numbers(value)


def test_the_owner_of_a_token_owns_the_lease(service: LiveService) -> None:
    with service.client("olga") as olga:
        made = olga.post(
            "/v1/tokens", json={"name": "anna-laptop", "role": "user", "owner": "anna"}
        )
        secret = made.json()["secret"]
        listed = olga.get("/v1/tokens")
        assert "anna-laptop" in listed.text
        assert secret not in listed.text
        again = olga.post("/v1/tokens", json={"name": "anna-laptop", "role": "user"})
        assert again.status_code == 409
    with service.client(None, secret) as laptop:
        lease = laptop.post("/v1/leases", json=wanted()).json()["lease"]
    assert lease["owner"] == "anna"
    with service.client("anna") as anna:
        assert anna.get(f"/v1/leases/{lease['id']}").status_code == 200


def test_no_secret_is_logged(service: LiveService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = service.secrets["anna"]
    with service.client("anna") as anna:
        anna.get("/v1/leases", params={"label": secret})
        anna.get("/v1/nowhere")
    httpx.get(f"{service.url}/v1/leases", headers={"Authorization": "Bearer hz_wrong_one"})
    told = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("haizea"))
    assert "/v1/leases" in told
    assert secret not in told
    assert "hz_wrong_one" not in told
