"""Changing a lease on its page, in a real browser: by form, by one click, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from browser import Visit, WebService
from playwright.sync_api import Route, expect

Begin = Callable[..., Visit]

#: Several times as long as a form waits before it finds out what would come of it.
QUIET_MILLISECONDS = 2000


@pytest.fixture(autouse=True)
def nothing_remains(service: WebService) -> Iterator[None]:
    yield
    with service.client("olga") as olga:
        for lease in olga.get("/v1/leases").json()["leases"]:
            olga.delete(f"/v1/leases/{lease['id']}")


def lease_of(service: WebService, lease: int) -> dict[str, Any]:
    with service.client("olga") as olga:
        return dict(olga.get(f"/v1/leases/{lease}").json())


def test_a_running_lease_gets_two_hours_more_with_one_click(
    visit: Begin, service: WebService
) -> None:
    lease = service.ask("anna", 1, start="now", label="longer")["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}")
    page = someone.page
    page.get_by_role("button", name="2 h longer").click()
    expect(page.locator(".messages")).to_contain_text(f"Lease {lease} is changed, and runs until")
    expect(page.locator(".facts")).to_contain_text("3 h")
    expect(page.locator(".clock")).to_contain_text("ends in 2:")
    assert lease_of(service, lease)["duration"] == 3 * 3600


def test_what_cannot_be_is_refused_and_the_latest_end_is_one_click_away(
    visit: Begin, service: WebService
) -> None:
    lease = service.ask("bert", 1, start="now", label="until then")["lease"]["id"]
    shown = lease_of(service, lease)
    end = datetime.fromisoformat(shown["planned_end"])
    service.ask("anna", 8, start=(end + timedelta(minutes=30)).isoformat())
    someone = visit("bert", f"#/leases/{lease}")
    page = someone.page
    page.get_by_role("button", name="2 h longer").click()
    refusal = page.get_by_role("alert").filter(has_text="It stays as it is:")
    expect(refusal).to_be_visible()
    expect(page.get_by_text("The latest end that would do:")).to_be_visible()
    someone.check_access()
    someone.picture("lease-refused")
    page.get_by_role("button", name="Take it").click()
    expect(page.locator(".messages")).to_contain_text("is changed, and runs until")
    assert lease_of(service, lease)["duration"] == 5400


def test_a_reservation_is_changed_by_form(visit: Begin, service: WebService) -> None:
    lease = service.ask("anna", 2, start="+40h", label="to change")["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}")
    page = someone.page
    page.get_by_role("button", name="Change").click()
    form = page.get_by_label("Change the lease")
    form.get_by_role("button", name="Change").click()
    expect(form).to_contain_text("This is how it is already.")
    form.get_by_label("Length in all").fill("nonsense")
    form.get_by_role("button", name="Change").click()
    expect(form.get_by_role("alert")).to_contain_text("duration")
    form.get_by_label("Length in all").fill("2h30m")
    form.get_by_label("How many").fill("3")
    form.get_by_label("Start").fill(
        page.evaluate("new Date(Date.now() + 50 * 36e5).toISOString().slice(0, 16)")
    )
    someone.check_access()
    someone.picture("lease-change")
    form.get_by_role("button", name="Change").click()
    expect(page.locator(".facts")).to_contain_text("3 × 4 cores, 8 GB")
    expect(page.locator(".facts")).to_contain_text("2 h 30 min")
    now = lease_of(service, lease)
    assert (now["duration"], now["nodes"][0]["count"]) == (9000, 3)
    expect(page.get_by_label("Change the lease")).to_be_hidden()


def test_a_start_that_is_taken_is_answered_with_the_nearest(
    visit: Begin, service: WebService
) -> None:
    service.ask("bert", 8, start="+60h", duration=7200)
    lease = service.ask("anna", 2, start="+70h")["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}")
    page = someone.page
    page.get_by_role("button", name="Change").click()
    page.get_by_label("Start").fill(
        page.evaluate("new Date(Date.now() + 60.5 * 36e5).toISOString().slice(0, 16)")
    )
    form = page.get_by_label("Change the lease")
    form.get_by_role("button", name="Change").click()
    expect(form).to_contain_text("The nearest start that fits:")
    before = lease_of(service, lease)["start"]
    form.get_by_role("button", name="Take it").click()
    expect(page.locator(".messages")).to_contain_text("is changed")
    assert lease_of(service, lease)["start"] < before


def test_whoever_was_overtaken_sees_what_it_is_now(visit: Begin, service: WebService) -> None:
    lease = service.ask("anna", 1, start="+80h")["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}")
    page = someone.page
    page.get_by_role("button", name="Change").click()
    form = page.get_by_label("Change the lease")
    form.get_by_label("Length in all").fill("5h")

    def be_quicker(route: Route) -> None:
        # The page knows of what another does by its events: they come after its request.
        if route.request.method == "PATCH":
            with service.client("anna") as anna:
                done = anna.patch(f"/v1/leases/{lease}", json={"extend": "1h"})
            assert done.status_code == 200
            route.continue_(headers={**route.request.headers, "if-match": '"0000"'})
        else:
            route.continue_()

    page.route(f"**/v1/leases/{lease}", be_quicker)
    form.get_by_role("button", name="Change").click()
    expect(form.get_by_role("alert")).to_contain_text("Somebody changed this lease")
    expect(page.locator(".facts")).to_contain_text("2 h")
    assert lease_of(service, lease)["duration"] == 7200
    page.unroute(f"**/v1/leases/{lease}")
    # What is asked stays, though the page meanwhile knows of the other change.
    page.wait_for_timeout(QUIET_MILLISECONDS)
    expect(form.get_by_role("alert")).to_contain_text("Somebody changed this lease")
    form.get_by_role("button", name="Change it all the same").click()
    expect(page.locator(".messages")).to_contain_text("is changed")
    assert lease_of(service, lease)["duration"] == 5 * 3600


def test_the_form_says_while_one_types_what_would_come_of_it(
    visit: Begin, service: WebService
) -> None:
    service.ask("bert", 8, start="+60h", duration=7200)
    lease = service.ask("anna", 2, start="+70h", label="live")["lease"]["id"]
    before = lease_of(service, lease)
    someone = visit("anna", f"#/leases/{lease}")
    page = someone.page
    page.get_by_role("button", name="Change").click()
    form = page.get_by_label("Change the lease")
    expect(form).to_contain_text("What would come of it is shown here")
    form.get_by_label("Length in all").fill("two")
    expect(form.get_by_role("alert")).to_contain_text("two")
    form.get_by_label("Length in all").fill("2h")
    expect(form).to_contain_text("Fits: runs from")
    expect(form.get_by_role("alert")).to_have_count(0)
    form.get_by_label("Start").fill(
        page.evaluate("new Date(Date.now() + 60.5 * 36e5).toISOString().slice(0, 16)")
    )
    expect(form).to_contain_text("Does not fit.")
    expect(form).to_contain_text("The nearest start that fits:")
    someone.check_access()
    someone.picture("lease-change-live")
    form.get_by_label("How many").fill("9")
    expect(form).to_contain_text("this site never has room for 9 nodes")
    form.get_by_label("How many").fill("2")
    form.get_by_label("Start").fill(
        page.evaluate("new Date(Date.now() + 62.5 * 36e5).toISOString().slice(0, 16)")
    )
    expect(form).to_contain_text("Fits: runs from")
    assert lease_of(service, lease) == before, "nothing is changed by typing"
    form.get_by_role("button", name="Change").click()
    expect(page.locator(".messages")).to_contain_text("is changed")


def test_what_waits_can_be_changed_and_the_queue_says_when(
    visit: Begin, service: WebService
) -> None:
    service.ask("bert", 8, start="now", duration=7200)
    lease = service.ask("anna", 2, label="waits")["lease"]["id"]
    someone = visit("anna", f"#/leases/{lease}", viewport={"width": 390, "height": 800})
    page = someone.page
    page.get_by_role("button", name="Change").click()
    form = page.get_by_label("Change the lease")
    form.get_by_label("May be suspended").select_option("no")
    expect(form).to_contain_text("Can be changed; when it runs, the queue says.")
    form.get_by_label("May be suspended").select_option("yes")
    expect(form).to_contain_text("This is how it is already.")
    someone.check()


@pytest.mark.parametrize("name", ["rita", "olga"])
def test_operators_change_others_leases_and_readers_none(
    visit: Begin, service: WebService, name: str
) -> None:
    lease = service.ask("anna", 1, start="+90h")["lease"]["id"]
    someone = visit(name, f"#/leases/{lease}")
    page = someone.page
    expect(page.get_by_role("heading", name=f"Lease {lease}")).to_be_visible()
    expect(page.get_by_role("button", name="2 h longer")).to_have_count(int(name == "olga"))
    with service.client("anna") as anna:
        anna.delete(f"/v1/leases/{lease}")
    expect(page.locator(".title-row .mark")).to_have_text("Cancelled")
    expect(page.get_by_role("button", name="2 h longer")).to_have_count(0)


def test_reasons_have_their_times_in_the_viewers_zone(visit: Begin, service: WebService) -> None:
    lease = service.ask("anna", 1, start="2030-06-01T12:00:00Z")["lease"]
    assert "2030-06-01 12:00:00" in lease_of(service, lease["id"])["reason"]
    someone = visit("anna", f"#/leases/{lease['id']}", timezone_id="Asia/Tokyo")
    page = someone.page
    expect(page.locator(".facts")).to_contain_text("21:00")
    expect(page.locator(".reason")).to_contain_text("21:00")
    expect(page.locator(".story")).not_to_contain_text("12:00:00")


def test_a_moment_before_which_it_must_not_begin_can_go(visit: Begin, service: WebService) -> None:
    """Emptying the field was no change at all."""
    window = {"after": "2031-05-05T12:00:00Z", "deadline": "2031-05-06T12:00:00Z"}
    lease = service.ask("anna", 1, kind="deadline", **window)["lease"]["id"]
    page = visit("anna", f"#/leases/{lease}").page
    page.get_by_role("button", name="Change").click()
    form = page.get_by_label("Change the lease")
    form.get_by_label("Deadline", exact=True).fill("")
    expect(form.get_by_role("alert")).to_contain_text("can be moved but not left out")
    form.get_by_role("button", name="Change").click()
    expect(form.get_by_role("alert")).to_contain_text("Say by when it is done")
    form.get_by_label("Deadline", exact=True).fill("2031-05-06T12:00")
    form.get_by_label("Not before").fill("")
    expect(form).to_contain_text("Fits: runs from")
    form.get_by_role("button", name="Change").click()
    expect(page.locator(".messages")).to_contain_text("is changed")
    with service.client("anna") as anna:
        now = anna.get("/v1/status").json()["now"]
        assert anna.get(f"/v1/leases/{lease}").json()["after"] <= now
        anna.delete(f"/v1/leases/{lease}")
