"""Sessions of browsers: a cookie in the place of a token, and what keeps others from using it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_service import Service, client_of, wanted
from live_service import LiveService

from haizea.api.sessions import Attempts, Sessions
from haizea.service_types import Role, TokenInfo


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    with LiveService(hosts=8) as running:
        yield running


@pytest.fixture
def browser(service: LiveService) -> Iterator[httpx.Client]:
    """Somebody without a token, who keeps cookies."""
    with client_of(service.url, None) as client:
        yield client


def signed_in(client: httpx.Client, secret: str) -> dict[str, str]:
    """Headers that a page sends along after signing in."""
    answer = client.post("/v1/session", json={"token": secret})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf"]}


def test_a_cookie_takes_the_place_of_a_token(service: LiveService, browser: httpx.Client) -> None:
    assert browser.get("/v1/leases").status_code == 401
    headers = signed_in(browser, service.secrets["anna"])
    lease = browser.post("/v1/leases", json=wanted(), headers=headers).json()["lease"]
    assert lease["owner"] == "anna"
    who = browser.get("/v1/session").json()
    assert (who["owner"], who["role"]) == ("anna", "user")
    assert who["csrf"] == headers["X-CSRF-Token"], "a page that is loaded anew goes on with it"
    assert browser.delete(f"/v1/leases/{lease['id']}", headers=headers).status_code == 200


def test_the_cookie_is_for_this_site_and_no_script(
    service: LiveService, browser: httpx.Client
) -> None:
    answer = browser.post("/v1/session", json={"token": service.secrets["anna"]})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie, "a browser would not send it back without TLS"
    assert service.secrets["anna"] not in cookie
    proxied = browser.post(
        "/v1/session",
        json={"token": service.secrets["anna"]},
        headers={"X-Forwarded-Proto": "https"},
    )
    assert "Secure" in proxied.headers["set-cookie"]


@pytest.mark.parametrize("csrf", [None, "", "0" * 64])
def test_a_change_needs_more_than_the_cookie(
    service: LiveService, browser: httpx.Client, csrf: str | None
) -> None:
    signed_in(browser, service.secrets["anna"])
    headers = {} if csrf is None else {"X-CSRF-Token": csrf}
    for method, path in (
        ("POST", "/v1/leases"),
        ("DELETE", "/v1/leases/1"),
        ("DELETE", "/v1/session"),
        ("POST", "/v1/tokens"),
    ):
        answer = browser.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf"), path


def test_signing_out_ends_the_session_for_whoever_has_the_cookie(
    service: LiveService, browser: httpx.Client
) -> None:
    headers = signed_in(browser, service.secrets["anna"])
    stolen = dict(browser.cookies)
    assert browser.delete("/v1/session", headers=headers).status_code == 204
    assert not dict(browser.cookies)
    assert httpx.get(f"{service.url}/v1/session", cookies=stolen).status_code == 401


def test_a_revoked_token_ends_its_sessions(service: LiveService, browser: httpx.Client) -> None:
    signed_in(browser, service.make_token("fleeting", Role.USER))
    assert browser.get("/v1/leases").status_code == 200
    service.manager.revoke_token("fleeting")
    assert browser.get("/v1/leases").status_code == 401


def test_a_session_ends_with_its_token(service: LiveService, browser: httpx.Client) -> None:
    soon = int(time.time()) + 2
    signed_in(browser, service.make_token("short", Role.USER, soon))
    while time.time() < soon:
        time.sleep(0.05)
    assert browser.get("/v1/leases").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": ""},
        {"token": "a", "user": "b", "password": "c"},
        {"user": "b"},
        {"token": "x" * 300},
    ],
)
def test_half_of_credentials_are_none(browser: httpx.Client, body: dict[str, str]) -> None:
    assert browser.post("/v1/session", json=body).status_code == 422


def test_another_sites_page_cannot_sign_in(service: LiveService, browser: httpx.Client) -> None:
    text = f'{{"token": "{service.secrets["anna"]}"}}'
    for headers, statuses in (
        ({}, {415, 422}),
        ({"Content-Type": "text/plain"}, {415, 422}),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, {403}),
    ):
        answer = browser.post("/v1/session", content=text.encode(), headers=headers)
        assert answer.status_code in statuses
        assert "set-cookie" not in answer.headers


def test_who_guesses_has_to_wait() -> None:
    with Service() as small, client_of(small.url, None) as browser:
        for _ in range(10):
            assert browser.post("/v1/session", json={"token": "hz_x"}).status_code == 401
        answer = browser.post("/v1/session", json={"token": small.secrets["anna"]})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60


def test_attempts_are_forgotten_after_a_while_and_only_so_many_are_kept() -> None:
    clock = [0.0]
    attempts = Attempts(most=2, per_seconds=60, most_addresses=2, clock=lambda: clock[0])
    for _ in range(3):
        attempts.note_wrong("a")
        clock[0] += 1
    assert attempts.wait_seconds("a") == 58
    assert attempts.wait_seconds("b") == 0
    clock[0] += 58
    assert attempts.wait_seconds("a") == 0
    for address in "abc":
        attempts.note_wrong(address)
        attempts.note_wrong(address)
    assert attempts.wait_seconds("a") == 0, "the oldest was forgotten"
    assert attempts.wait_seconds("c") > 0


def test_sessions_outlive_a_restart_and_only_digests_of_them_are_kept() -> None:
    with Service() as small:
        token = small.manager.identify(small.secrets["anna"])
        assert token is not None
        secret, _ = Sessions(small.manager, 60).begin(token)
        again = Sessions(small.manager, 60)
        found = again.find(secret)
        assert found is not None
        assert (found.owner, found.role) == ("anna", Role.USER)
        assert secret not in (small.manager.kept_sessions() or "")
        again.end(secret)
        assert Sessions(small.manager, 60).find(secret) is None


def test_the_oldest_sessions_make_room() -> None:
    clock = [1000.0]
    token = TokenInfo(id=0, name="x", role=Role.USER, owner="x", created=0)
    with Service() as small:
        sessions = Sessions(small.manager, 60, most=3, most_own=2, now=lambda: clock[0])
        own = [sessions.begin(token)[0] for _ in range(3)]
        assert [sessions.find(secret) is not None for secret in own] == [False, True, True]
        others = [
            sessions.begin(TokenInfo(id=0, name=n, role=Role.USER, owner=n, created=0))[0]
            for n in "ab"
        ]
        assert sessions.find(own[1]) is None
        assert all(sessions.find(secret) for secret in others)
        clock[0] += 61
        assert not any(sessions.find(secret) for secret in [*own, *others])


def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(service: LiveService) -> None:
    for path in ("/", "/docs"):
        answer = httpx.get(service.url + path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "http:" not in answer.text
        assert "https:" not in answer.text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)
        for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            part = httpx.get(f"{service.url}/{address}")
            assert part.status_code == 200, address
            assert part.headers["x-content-type-options"] == "nosniff"


def test_files_may_be_kept_as_long_as_they_are_the_same(service: LiveService) -> None:
    page = httpx.get(service.url).text
    script = re.findall(r'src="(web/[^"]+)"', page)[0]
    assert "immutable" in httpx.get(f"{service.url}/{script}").headers["cache-control"]
    old = re.sub(r"web/\w+/", "web/old/", script)
    assert httpx.get(f"{service.url}/{old}").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nowhere.js", "index.html", "../files.py", "%2e%2e/files.py"])
def test_no_other_file_is_given_out(service: LiveService, name: str) -> None:
    assert httpx.get(f"{service.url}/web/x/{name}").status_code in {401, 404}


def test_what_is_installed_has_all_files_of_the_web_interface() -> None:
    from haizea.web import files

    static = Path(files.__file__).parent / "static"
    there = {str(p.relative_to(static)) for p in static.rglob("*") if p.is_file()}
    assert there == {name for name in there if files.web_file(name) is not None}
