"""The site's page of operators, and what it leads to on the timeline, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import Visit, WebService
from playwright.sync_api import expect

Begin = Callable[..., Visit]


def test_an_operator_plans_changes_and_ends_maintenance(visit: Begin, service: WebService) -> None:
    promised = service.ask("anna", 8, start="+4h", label="a class")["lease"]["id"]
    someone = visit("olga", "#/site")
    page = someone.page
    page.get_by_role("row", name="host-3").get_by_role("link", name="Take out").click()
    expect(page.get_by_label("Hosts", exact=True)).to_have_value("host-3")
    expect(page.locator(".preview")).to_contain_text("This cannot be")
    page.get_by_label("Start").fill(later(someone, 20))
    page.get_by_label("End").fill(later(someone, 22))
    page.get_by_label("Why", exact=True).fill("new disks")
    expect(page.locator(".preview")).to_contain_text("No lease runs into it on host-3.")
    someone.check_access()
    someone.picture("maintenance-planning")
    page.get_by_role("button", name="Plan it").click()
    row = page.get_by_role("row", name="new disks")
    expect(row).to_contain_text("host-3")
    expect(row).to_contain_text("planned")

    row.get_by_role("button", name="Change").click()
    page.get_by_label("Hosts", exact=True).fill("host-3 host-[45]")
    page.get_by_label("Start").fill(later(someone, 3))
    page.get_by_label("Leases", exact=True).select_option("stay")
    expect(page.locator(".preview")).to_contain_text("1 lease runs into it on host-3 to host-5:")
    expect(page.locator(".preview")).to_contain_text("cannot leave")
    expect(page.get_by_role("link", name=f"Lease {promised}")).to_be_visible()
    page.locator("form").get_by_role("button", name="Change").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Leases that make room: {promised}.")
    someone.check_access()
    page.get_by_role("dialog").get_by_role("button", name="Plan it").click()
    expect(row).to_contain_text("host-3 to host-5")
    with service.client("olga") as olga:
        [window] = olga.get("/v1/maintenance").json()["maintenance"]
    assert (window["hosts"], window["leases"]) == (["host-3", "host-4", "host-5"], "stay")

    row.get_by_role("button", name="Call off").click()
    page.get_by_role("dialog").get_by_role("button", name="Call off").click()
    expect(page.get_by_text("No maintenance is planned.")).to_be_visible()


def later(visit: Visit, hours: int) -> str:
    """A moment as a control for dates and times takes it."""
    return str(
        visit.page.evaluate(f"new Date(Date.now() + {hours} * 36e5).toISOString().slice(0, 16)")
    )


def test_hosts_are_drained_and_the_timeline_shows_it(visit: Begin, service: WebService) -> None:
    someone = visit("olga", "#/site/maintenance")
    page = someone.page
    page.get_by_role("button", name="Drain from now on").click()
    expect(page.get_by_role("alert").filter(has_text="Say which hosts.")).to_be_visible()
    page.get_by_label("Hosts", exact=True).fill("no-such-host")
    expect(page.locator(".preview")).to_contain_text("no-such-host")
    page.get_by_label("Hosts", exact=True).fill("host-7")
    page.get_by_label("Why", exact=True).fill("<b>rack</b> moves")
    page.get_by_role("button", name="Drain from now on").click()
    confirm = page.get_by_role("dialog").get_by_role("button", name="Plan it")
    row = page.get_by_role("row", name="rack")
    expect(confirm.or_(row)).to_be_visible()
    if confirm.is_visible():
        confirm.click()
    expect(row).to_contain_text("under way")
    expect(row).to_contain_text("until it is ended")
    someone.picture("maintenance")
    someone.go("#/timeline?show=table")
    expect(page.get_by_text("maintenance: <b>rack</b> moves")).to_be_visible()
    page.get_by_role("button", name="As a table").click()
    page.get_by_label("Which hosts").select_option("trouble")
    expect(page.locator(".under")).to_contain_text("1 host")
    expect(page.get_by_role("img")).to_be_visible()
    someone.picture("timeline-maintenance")
    box = page.locator("canvas.plot").bounding_box()
    assert box is not None
    # The last row, for there may be leases that wait above it: now is at an eighth.
    at = box["x"] + 150 + (box["width"] - 150) / 2
    rows = page.evaluate("document.querySelector('canvas.plot').ariaLabel.match(/\\d+ waiting/)[0]")
    assert rows == "0 waiting"
    page.mouse.move(at, box["y"] + 40 + 12)
    expect(page.locator(".tip")).to_contain_text("<b>rack</b> moves")
    page.mouse.click(at, box["y"] + 40 + 12)
    expect(page.locator(".details")).to_contain_text("host-7")
    someone.check_access()


@pytest.mark.parametrize("name", ["anna", "rita"])
def test_others_see_maintenance_and_cannot_change_it(
    visit: Begin, service: WebService, name: str
) -> None:
    with service.client("olga") as olga:
        hosts = {"hosts": ["host-8"], "start": "2031-01-01T00:00:00Z", "reason": "new roof"}
        assert olga.post("/v1/maintenance", json=hosts).status_code == 201
    someone = visit(name, "#/site/maintenance")
    page = someone.page
    expect(page.get_by_role("row", name="new roof").first).to_contain_text("host-8")
    expect(page.get_by_role("button", name="Plan it")).to_have_count(0)
    for button in ("Call off", "End now"):
        expect(page.get_by_role("button", name=button)).to_have_count(0)
    someone.check_access()
    with service.client("olga") as olga:
        for window in olga.get("/v1/maintenance").json()["maintenance"]:
            olga.delete(f"/v1/maintenance/{window['id']}")


@pytest.mark.parametrize("width", [1280, 390])
def test_what_somebody_looks_at_stays_while_hosts_change(
    visit: Begin, service: WebService, width: int
) -> None:
    someone = visit("olga", "#/site", viewport={"width": width, "height": 800})
    page = someone.page
    search = page.get_by_label("Search")
    search.fill("host-1")
    unfold = page.get_by_role("button", name="Over time")
    expect(unfold).to_have_count(1)
    unfold.click()
    expect(page.locator(".steps")).to_contain_text("0 cores")
    search.focus()
    lease = service.ask("anna", 1, start="now", label="comes meanwhile")["lease"]["id"]
    expect(page.get_by_role("link", name=str(lease), exact=True)).to_be_visible()
    expect(page.locator(".steps")).to_be_visible()
    expect(search).to_be_focused()
    someone.check_access()
    someone.picture(f"site-hosts-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    with service.client("anna") as anna:
        anna.delete(f"/v1/leases/{lease}")
