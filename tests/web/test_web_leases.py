"""The list of leases and a lease's page, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import Visit, WebService
from playwright.sync_api import expect

from haizea.core.model.lease import Draft, Kind, Nodes

Begin = Callable[..., Visit]


@pytest.fixture(scope="module", autouse=True)
def leases(service: WebService) -> dict[str, int]:
    """Some of each kind."""
    answers = {
        "now": service.ask("anna", 2, start="now", label="now"),
        "later": service.ask("anna", 3, start="+2h", label="later"),
        "another's": service.ask("bert", 1, duration=7200, label="another's"),
        "waits": service.ask("anna", 8, label="waits"),
        "too many": service.ask("anna", 9, start="now", label="too many"),
    }
    return {name: answer["lease"]["id"] for name, answer in answers.items()}


def rows(visit: Visit) -> list[str]:
    return visit.page.locator(".leases tbody td[data-label=Label]").all_inner_texts()


def test_leases_are_filtered_sorted_and_found(visit: Begin) -> None:
    someone = visit("olga", "#/leases")
    page = someone.page
    expect(page.get_by_role("status").filter(has_text="4 leases")).to_be_visible()
    assert rows(someone) == ["waits", "another's", "later", "now"]
    someone.check_access()
    someone.picture("leases")
    page.get_by_role("button", name="Label").click()
    assert rows(someone) == ["another's", "later", "now", "waits"]
    page.get_by_label("Which").select_option("over")
    expect(page.get_by_text("too many")).to_be_visible()
    page.get_by_label("Which").select_option("all")
    page.get_by_label("Search").fill("anna")
    expect(page.get_by_role("status").filter(has_text="4 leases")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("anna")
    expect(page.get_by_role("status").filter(has_text="4 leases")).to_be_visible()
    assert rows(someone) == ["later", "now", "too many", "waits"], "the address says it all"
    page.get_by_label("Search").fill("nobody")
    expect(page.get_by_text("No lease is like that.")).to_be_visible()


def test_a_list_is_right_in_the_dark_and_on_a_phone(visit: Begin) -> None:
    phone = {"width": 390, "height": 800}
    someone = visit("anna", "#/leases", viewport=phone, color_scheme="dark", has_touch=True)
    page = someone.page
    expect(page.get_by_text("later")).to_be_visible()
    someone.check_access()
    someone.picture("leases-phone-dark")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= phone["width"], "nothing is beside the screen"


def test_a_lease_tells_its_story(visit: Begin, leases: dict[str, int]) -> None:
    someone = visit("anna", f"#/leases/{leases['now']}")
    page = someone.page
    expect(page.get_by_role("heading", name="now")).to_be_visible()
    expect(page.get_by_text("ends in 0:59:").or_(page.get_by_text("ends in 0:5"))).to_be_visible()
    expect(page.locator(".story .mark").last).to_have_text("Active")
    expect(page.locator(".facts")).to_contain_text("2 × 4 cores, 8 GB")
    someone.check_access()
    someone.picture("lease")


def test_a_lease_is_cancelled_after_a_question(visit: Begin, service: WebService) -> None:
    lease = service.ask("anna", 1, start="+20h")["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}")
    page = someone.page
    page.get_by_role("button", name="Cancel lease").click()
    someone.check_access()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator(".title-row .mark")).to_have_text("Scheduled")
    page.get_by_role("button", name="Cancel lease").click()
    page.get_by_role("button", name="Cancel the lease").click()
    expect(page.locator(".title-row .mark")).to_have_text("Cancelled")
    with service.client("anna") as anna:
        assert anna.get(f"/v1/leases/{lease}").json()["state"] == "Cancelled"


def test_a_page_shows_what_another_client_does(visit: Begin, service: WebService) -> None:
    lease = service.ask("anna", 1, start="+30h", label="soon gone")["lease"]["id"]
    listed, shown = visit("anna", "#/leases"), visit("anna", f"#/leases/{lease}")
    expect(listed.page.get_by_text("soon gone")).to_be_visible()
    expect(listed.page.get_by_text("Live", exact=True)).to_be_visible()
    expect(shown.page.get_by_text("Live", exact=True)).to_be_visible()
    with service.client("anna") as anna:
        assert anna.delete(f"/v1/leases/{lease}").status_code == 200
    expect(listed.page.get_by_text("soon gone")).to_have_count(0)
    expect(shown.page.locator(".title-row .mark")).to_have_text("Cancelled")


@pytest.mark.parametrize("part", ["99999", "nonsense", "-1"])
def test_a_lease_that_there_is_not_says_so(visit: Begin, part: str) -> None:
    someone = visit("anna", f"#/leases/{part}")
    expect(someone.page.get_by_text(f"There is no lease {part}")).to_be_visible()


def test_markup_in_a_label_is_text(visit: Begin, service: WebService) -> None:
    label = '<img src=x onerror="document.title=1">'
    lease = service.ask("anna", 1, start="+40h", label=label)["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}")
    expect(someone.page.get_by_role("heading", level=1)).to_contain_text(label)
    assert someone.page.title().startswith(f"Lease {lease}")


def test_the_page_goes_on_after_the_service_was_away(visit: Begin, service: WebService) -> None:
    lease = service.ask("anna", 1, start="+50h")["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}")
    page = someone.page
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    service.real.stop()
    expect(page.get_by_text("The service does not answer.")).to_be_visible()
    service.real.start()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text("The service does not answer.")).to_be_hidden()
    with service.client("anna") as anna:
        anna.delete(f"/v1/leases/{lease}")
    expect(page.locator(".title-row .mark")).to_have_text("Cancelled")


def test_what_is_older_than_the_newest_thousands_is_found(
    visit: Begin, service: WebService, leases: dict[str, int]
) -> None:
    """The page said so, and looked among the newest alone."""
    manager = service.real.manager
    nodes = (Nodes(9, {"CPU": 400}),)
    draft = Draft(kind=Kind.IMMEDIATE, nodes=nodes, duration=60, label="crowd", owner="carla")
    for _ in range(4):
        for answer in [manager.submit(draft, None) for _ in range(501)]:
            assert answer.result().record.state == "Rejected"
    someone = visit("olga", "#/leases?which=all")
    page = someone.page
    expect(page.locator(".count")).to_contain_text("2000 leases among the newest 2000.")
    search = page.get_by_label("Search")
    for words in (str(leases["now"]), "another's", "bert"):
        search.fill(words)
        expect(page.locator(".leases tbody tr").first).to_be_visible()
        expect(page.locator(".leases tbody")).not_to_contain_text("crowd")
    search.fill("")
    page.get_by_label("Kind").select_option("ar")
    expect(page.locator(".leases tbody")).to_contain_text("later")
    expect(page.get_by_role("button", name="Look further back")).to_be_hidden()
    page.get_by_label("Kind").select_option("")
    page.get_by_role("button", name="Look further back").click()
    expect(page.get_by_role("button", name="Look further back")).to_be_hidden()
    search.fill("nobody's label")
    expect(page.get_by_text("No lease is like that.")).to_be_visible()
    someone.check_access()
