"""The web interface of a service that drives an OpenNebula, whose users sign in there."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Iterator

import pytest
from browser import Visit
from opennebula_service import Site, at_work
from playwright.sync_api import Browser, BrowserContext, expect


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An OpenNebula in which alice has a VM that runs and one that waits."""
    folder = tmp_path_factory.mktemp("site")
    with (
        pytest.MonkeyPatch.context() as environment,
        at_work(Site, folder, environment, listen="127.0.0.1:0", speed=1, hosts=2) as running,
    ):
        running.call("one.user.allocate", "bob", "bobpass", "core")
        submit(running, "alice", cpu=8, words='DURATION="2h", START="best_effort"')
        submit(running, "alice", cpu=8, words='DURATION="2h", START="+05:00:00"')
        submit(running, "bob", cpu=8, words='DURATION="1h", START="best_effort"')
        yield running


def submit(site: Site, user: str, cpu: int, words: str) -> int:
    """A new VM of somebody, with these words in its HAIZEA."""
    text = f'NAME="{user}-vm"\nCPU="{cpu}"\nMEMORY="1024"\nHAIZEA=[ {words} ]\n'
    with xmlrpc.client.ServerProxy(site.sandbox.url) as proxy:
        answer = proxy.one.vm.allocate(f"{user}:{user}pass", text)
    assert isinstance(answer, list)
    assert answer[0] is True, answer
    return int(answer[1])


class Served:
    """The service of a site, in which nobody has a token."""

    def __init__(self, site: Site) -> None:
        assert site.service is not None
        self.url = site.service.url
        self.secrets: dict[str, str] = {}


@pytest.fixture
def visit(chromium: Browser, site: Site) -> Iterator[Visit]:
    context: BrowserContext = chromium.new_context()
    made = Visit(context, Served(site))
    made.go("#/leases")
    yield made
    made.check()
    context.close()


def sign_in(visit: Visit, user: str, password: str) -> None:
    page = visit.page
    page.get_by_role("button", name="With OpenNebula").click()
    page.get_by_label("Name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_user_of_opennebula_signs_in_and_sees_own_vms(visit: Visit) -> None:
    page = visit.page
    sign_in(visit, "alice", "wrong")
    expect(page.get_by_role("alert")).to_have_text("Name and password do not belong together.")
    visit.check_access()
    visit.picture("sign-in-opennebula")
    page.get_by_label("Password").fill("alicepass")
    page.keyboard.press("Enter")
    rows = page.locator(".leases tbody tr")
    expect(rows).to_have_count(2)
    expect(page.get_by_text("bob")).to_have_count(0)
    assert "alicepass" not in page.content()
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(rows).to_have_count(2)
    visit.picture("leases-opennebula")
    rows.first.get_by_role("link").first.click()
    expect(page.locator(".facts")).to_contain_text("VMs")
    visit.check_access()


def test_a_user_of_opennebula_has_no_tokens_to_make(visit: Visit) -> None:
    page = visit.page
    sign_in(visit, "bob", "bobpass")
    expect(page.get_by_role("link", name="My leases")).to_be_visible()
    visit.go("#/site/tokens")
    expect(page.get_by_label("Health")).to_contain_text("of 2 are up")
    expect(page.get_by_role("link", name="Tokens")).to_have_count(0)
    page.get_by_label("You and settings").click()
    expect(page.get_by_text("Signed in as bob, user")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_an_administrator_of_opennebula_is_an_operator(visit: Visit) -> None:
    page = visit.page
    sign_in(visit, "oneadmin", "onepass")
    rows = page.locator(".leases tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_role("link", name="Site").click()
    expect(page.get_by_role("link", name="Tokens")).to_be_visible()
    visit.go("#/timeline?show=table")
    expect(page.get_by_text("bob").first).to_be_visible()
    visit.picture("timeline-opennebula")
