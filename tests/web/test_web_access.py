"""Everybody gets in: each page in each state under axe-core, and all by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from browser import Visit, WebService
from playwright.sync_api import Page, expect

Begin = Callable[..., Visit]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}


def in_hours(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")


@pytest.fixture(scope="module", autouse=True)
def something(service: WebService) -> int:
    """A lease that runs, one that is planned, and maintenance; the number of the second."""
    service.ask("olga", 2, start="now", label="runs")
    planned = service.ask("olga", 3, start="+3h", label="planned")["lease"]["id"]
    with service.client("olga") as olga:
        times = {"start": in_hours(5), "end": in_hours(9)}
        window = {"hosts": ["host-8"], "reason": "new fans", **times}
        assert olga.post("/v1/maintenance", json=window).status_code == 201
    return int(planned)


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)]
)
def test_nothing_keeps_anybody_out(
    visit: Begin, something: int, scheme: str, size: dict[str, int]
) -> None:
    small = size is PHONE
    name = f"{scheme}-{'phone' if small else 'desk'}"
    someone = visit("olga", "#/timeline?by=lease", color_scheme=scheme, viewport=size)
    page = someone.page

    def look(what: str) -> None:
        someone.check_access()
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], what
        someone.picture(f"{what}-{name}")

    expect(page.locator(".under")).to_contain_text("lease")
    look("by-lease")
    unfold = page.get_by_role("button", name="Filter and view")
    if small:
        unfold.click()
        expect(page.get_by_label("How high rows are")).to_be_visible()
        look("tools")
    else:
        expect(unfold).to_be_hidden()
    page.get_by_label("You and settings").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    look("menu")
    for view, sign in {
        "ask": ".answer .verdict",
        "leases": "table.list tbody tr",
        "site/maintenance": "table.list tbody tr",
        "site/events": ".story li",
        "site/tokens": "table.list tbody tr",
    }.items():
        someone.go(f"#/{view}")
        expect(page.locator(f"main {sign}").first).to_be_visible()
        look(view.replace("/", "-"))
    someone.go(f"#/leases/{something}")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_label("Change the lease")).to_be_visible()
    look("lease-form")
    page.get_by_role("button", name="Cancel lease").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look("dialog")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".title-row .mark")).to_have_text("Scheduled")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this name, or these words, has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        found = page.evaluate("""(() => {
          const at = document.activeElement;
          return at.labels?.[0]?.textContent || at.ariaLabel || at.textContent;
        })()""")
        if found == name:
            return
    raise AssertionError(f"the focus never came to {name}")


def test_a_lease_is_asked_for_and_cancelled_by_keyboard_alone(
    visit: Begin, service: WebService
) -> None:
    someone = visit(None)
    page = someone.page
    expect(page.get_by_label("Token")).to_be_visible()
    if not page.evaluate("document.activeElement.name === 'token'"):
        tab_to(page, "Token")
    page.keyboard.type(service.secrets["anna"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="My leases")).to_be_visible()
    tab_to(page, "Ask")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ask for machines")).to_be_visible()
    tab_to(page, "Label")
    page.keyboard.type("by keys")
    expect(page.locator(".answer .verdict")).to_be_visible()
    tab_to(page, "Ask for them")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("by keys")
    tab_to(page, "Cancel lease")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    # The harmless answer has the focus; the other one is next.
    assert page.evaluate("document.activeElement.textContent") == "Keep it"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".title-row .mark")).to_have_text("Cancelled")


def test_maintenance_is_told_beside_leases_too(visit: Begin, service: WebService) -> None:
    someone = visit("anna", "#/timeline?by=lease")
    page = someone.page
    expect(page.locator(".under")).to_contain_text("lease")
    someone.until("document.querySelector('canvas.plot').height > 150")
    box = page.locator("canvas.plot").bounding_box()
    assert box is not None
    # Rows: a heading, the window. Now is at an eighth of a day.
    x = box["x"] + 200 + (box["width"] - 200) * 10 / 24
    page.mouse.move(x, box["y"] + 40 + 24 + 12)
    expect(page.locator(".tip")).to_contain_text("new fans")
    expect(page.locator(".tip")).to_contain_text("host-8")


#: A call of each method, with parameters of each kind.
CALLS = ["list_leases", "ask_for_lease", "change_lease", "cancel_lease"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_description_keeps_nobody_out(visit: Begin, scheme: str) -> None:
    """Swagger UI's own page has some 80 violations, and is white whatever one prefers."""
    someone = visit("olga", "docs", color_scheme=scheme)
    page = someone.page
    expect(page.get_by_text("/v1/leases/{lease_id}").first).to_be_visible()
    ground = page.locator(".swagger-ui").evaluate("at => getComputedStyle(at).backgroundColor")
    assert ground == {"light": "rgb(246, 247, 249)", "dark": "rgb(17, 22, 28)"}[scheme]
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_label("Value")).to_be_visible()
    someone.check_access(".dialog-ux")
    page.get_by_role("button", name="Close", exact=True).last.click()
    for name in CALLS:
        call = page.locator(f"#operations-leases-{name}")
        call.get_by_role("button").first.click()
        expect(call.locator(".responses-table").first).to_be_visible()
    someone.check_access()
    for name in CALLS:
        page.locator(f"#operations-leases-{name} .try-out__btn").click()
    listed = page.locator("#operations-leases-list_leases")
    listed.get_by_role("button", name="Execute").click()
    status = listed.locator(".live-responses-table tbody .response-col_status").first
    expect(status).to_contain_text("200")
    listed.get_by_role("tab", name="Schema").first.click()
    page.get_by_role("button", name="Expand all").last.click()
    # What else there is, it has seen.
    someone.check_access(*(f"#operations-leases-{name}" for name in CALLS), "section.models")
    someone.picture(f"docs-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_is_not_signed_in_reads_where_to(visit: Begin, scheme: str) -> None:
    someone = visit(None, "docs", color_scheme=scheme)
    expect(someone.page.get_by_role("link", name="Sign in first")).to_be_visible()
    someone.check_access()
    someone.picture(f"docs-signed-out-{scheme}")


def test_the_description_has_the_colours_that_were_chosen(visit: Begin) -> None:
    someone = visit("olga", "docs", color_scheme="dark")
    someone.page.evaluate("localStorage.setItem('haizea-theme', 'light')")
    someone.page.reload()
    someone.until("document.documentElement.dataset.theme === 'light'")
    assert not someone.page.evaluate("document.documentElement.classList.contains('dark-mode')")
