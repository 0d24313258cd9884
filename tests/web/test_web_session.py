"""Signing in, what each role sees, and what ends a session, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import Visit, WebService
from playwright.sync_api import expect

from haizea.service_types import Role

Begin = Callable[..., Visit]


def test_a_token_opens_the_page(visit: Begin, service: WebService) -> None:
    someone = visit(None, "#/leases?which=all")
    page = someone.page
    someone.check_access()
    someone.picture("sign-in")
    page.get_by_label("Token").fill("hz_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not a good token.")
    page.get_by_label("Token").fill(service.secrets["anna"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="My leases")).to_be_visible()
    assert page.url.endswith("#/leases?which=all"), "it goes on where the address leads"
    assert service.secrets["anna"] not in page.evaluate("JSON.stringify({...localStorage})")
    assert page.evaluate("document.cookie") == "", "no script can read the cookie"


def test_a_page_that_is_loaded_anew_is_still_signed_in(visit: Begin) -> None:
    someone = visit("anna", "#/leases")
    someone.page.reload()
    expect(someone.page.get_by_role("link", name="My leases")).to_be_visible()


def test_signing_out_ends_it(visit: Begin) -> None:
    someone = visit("anna", "#/leases")
    page = someone.page
    page.get_by_label("You and settings").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()


def test_a_session_that_is_over_says_so_and_goes_on_after(
    visit: Begin, service: WebService
) -> None:
    service.secrets["kim"] = service.make_token("kim", Role.USER)
    someone = visit("kim", "#/leases?which=over")
    page = someone.page
    expect(page.get_by_role("combobox", name="Which")).to_have_value("over")
    service.real.manager.revoke_token("kim")
    page.evaluate("location.hash = '#/leases?which=waiting'")
    expect(page.get_by_text("Your session is over.")).to_be_visible()
    page.get_by_label("Token").fill(service.secrets["anna"])
    page.evaluate("location.hash = '#/leases?which=all'")
    expect(page.get_by_text("Your session is over.")).to_be_visible()
    expect(page.get_by_label("Token")).to_have_value(service.secrets["anna"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Which")).to_have_value("all")


@pytest.mark.parametrize("name", ["anna", "olga", "rita"])
def test_each_role_sees_what_it_may(visit: Begin, service: WebService, name: str) -> None:
    service.ask("bert", label="bert's secret plan")
    mine = service.ask("anna", label="anna's own")["lease"]["id"]
    someone = visit(name, "#/leases?which=all")
    page = someone.page
    expect(page.get_by_text("anna's own").first).to_be_visible()
    others = page.get_by_text("bert's secret plan")
    if name == "anna":
        expect(others).to_have_count(0)
    else:
        expect(others.first).to_be_visible()
    someone.go(f"#/leases/{mine}")
    expect(page.get_by_role("heading", name=f"Lease {mine}")).to_be_visible()
    cancel = page.get_by_role("button", name="Cancel lease")
    expect(cancel).to_have_count(0 if name == "rita" else 1)


def test_the_description_can_be_tried_with_the_session(visit: Begin) -> None:
    someone = visit("olga", "docs")
    page = someone.page
    expect(page.get_by_text("/v1/leases/{lease_id}").first).to_be_visible()
    page.locator("#operations-service-show_status").get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute", exact=True).click()
    status = page.locator(".live-responses-table tbody .response-col_status").first
    expect(status).to_contain_text("200")
    someone.picture("docs")
