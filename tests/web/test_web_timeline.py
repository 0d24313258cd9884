"""The timeline and the site's page, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from browser import Visit, WebService
from playwright.sync_api import Browser, expect

from haizea.api.answers import EventOut
from haizea.core.model.events import Purpose

Begin = Callable[..., Visit]


@pytest.fixture(scope="module", autouse=True)
def leases(service: WebService) -> dict[str, int]:
    """Some of each kind, on eight hosts."""
    answers = {
        "now": service.ask("anna", 2, start="now", label="mine now"),
        "bert's": service.ask("bert", 3, start="now", label="bert's run"),
        "later": service.ask("anna", 8, start="+3h", label="mine later"),
        "waits": service.ask("bert", 8, label="bert waits"),
    }
    return {name: answer["lease"]["id"] for name, answer in answers.items()}


def drawn(visit: Visit) -> None:
    """Wait until the timeline is there."""
    expect(visit.page.locator("canvas.plot")).to_have_attribute("aria-label", VISIBLE)


VISIBLE = re.compile(r"^Timeline: \d+ rows")


def is_painted(visit: Visit) -> None:
    """Wait until the picture has many colours, as it has where something is drawn.

    A copy of it is read: a browser warns where the page's own canvas is read again and again.
    """
    visit.until("""(() => {
      const plot = document.querySelector("canvas.plot");
      if (!plot.width || !plot.height) return false;
      const copy = Object.assign(document.createElement("canvas"), {
        width: plot.width, height: plot.height});
      const context = copy.getContext("2d", {willReadFrequently: true});
      context.drawImage(plot, 0, 0);
      const {data} = context.getImageData(0, 0, copy.width, copy.height);
      return new Set(new Uint32Array(data.buffer)).size > 10;
    })()""")


def point_at(visit: Visit, row: int, hours: float, window: float = 24) -> tuple[float, float]:
    """The place on the picture of so many hours from its beginning, in a row."""
    box = visit.page.locator("canvas.plot").bounding_box()
    assert box is not None
    left = 150
    x = box["x"] + left + (box["width"] - left) * hours / window
    return x, box["y"] + 40 + 24 * row + 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_bar_tells_whose_it_is_and_why(visit: Begin, leases: dict[str, int], scheme: str) -> None:
    someone = visit("olga", "#/timeline", color_scheme=scheme)
    page = someone.page
    drawn(someone)
    is_painted(someone)
    someone.picture(f"timeline-{scheme}")
    someone.check_access()
    # Rows: a heading, who waits, a heading, the hosts. Now is at the third hour.
    page.mouse.move(*point_at(someone, 3, 3.3))
    expect(page.locator(".tip")).to_contain_text("mine now")
    page.mouse.click(*point_at(someone, 3, 3.3))
    expect(page.locator(".details")).to_contain_text(f"Lease {leases['now']}")
    expect(page.locator(".details")).to_contain_text("2 × 4 cores, 8 GB")
    someone.check_access()
    page.get_by_role("link", name=f"Lease {leases['now']}").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("mine now")


def test_every_purpose_has_words_and_preparing_its_own_look(visit: Begin) -> None:
    page = visit("olga", "#/timeline").page
    folder = "document.querySelector('script[type=module]').src.replace('main.js', '')"
    found = page.evaluate(
        f"""async (purposes) => {{
          const {{ t }} = await import({folder} + "texts.js");
          const {{ look }} = await import({folder} + "timeline/paint.js");
          const entry = (purpose) => ({{ purpose, start: 0, end: 2, firm: true }});
          return purposes.map((purpose) =>
            [purpose, t(`purpose_${{purpose}}`), look(entry(purpose), 1)]);
        }}""",
        [purpose.value for purpose in Purpose],
    )
    looks = {purpose: look for purpose, words, look in found if words != f"purpose_{purpose}"}
    assert looks.keys() == set(Purpose), "a purpose has no words"
    assert looks["prepare"] == looks["transfer"] == "prepare"
    assert looks["run"] == "run"
    assert looks["suspend"] == "work"


def test_every_kind_of_event_is_followed(visit: Begin) -> None:
    """Changes that somebody else made were shown when something else happened."""
    page = visit("olga", "#/timeline").page
    folder = "document.querySelector('script[type=module]').src.replace('main.js', '')"
    text = page.evaluate(f"fetch({folder} + 'live.js').then((found) => found.text())")
    kinds = get_args(EventOut.model_fields["kind"].annotation)
    assert kinds
    assert [kind for kind in kinds if f'"{kind}"' not in text] == []


def test_a_user_sees_own_leases_and_how_full_hosts_are(visit: Begin) -> None:
    someone = visit("anna", "#/timeline?show=table")
    page = someone.page
    expect(page.get_by_role("link", name="mine now").first).to_be_visible()
    expect(page.get_by_text("bert")).to_have_count(0)
    someone.check_access()
    page.get_by_role("button", name="As a table").click()
    drawn(someone)
    is_painted(someone)
    someone.picture("timeline-user")


def test_every_view_has_its_own_address(visit: Begin) -> None:
    someone = visit("rita", "#/timeline")
    page = someone.page
    drawn(someone)
    page.get_by_role("button", name="Week").click()
    page.get_by_role("button", name="By lease").click()
    page.get_by_label("Search").fill("bert")
    expect(page.locator(".under")).to_contain_text("1 lease")
    someone.until("location.hash.includes('search=bert')")
    assert "hours=168" in page.url
    page.reload()
    expect(page.locator(".under")).to_contain_text("1 lease")
    expect(page.get_by_role("button", name="By lease")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Ask by dragging")).to_have_count(0)


def test_the_timeline_moves_by_pointer_and_by_keys(visit: Begin) -> None:
    someone = visit("olga", "#/timeline")
    page = someone.page
    drawn(someone)
    window = "new URLSearchParams(location.hash.split('?')[1]).get('from')"
    page.locator("canvas.plot").focus()
    page.keyboard.press("ArrowRight")
    someone.until(f"{window} !== null")
    before = page.evaluate(window)
    page.mouse.move(*point_at(someone, 12, 12))
    page.mouse.down()
    page.mouse.move(*point_at(someone, 12, 6), steps=5)
    page.mouse.up()
    someone.until(f"{window} > '{before}'")
    page.keyboard.press("+")
    someone.until("location.hash.includes('hours=16.8')")
    page.keyboard.press("n")
    page.keyboard.press("]")
    expect(page.locator(".details")).to_contain_text("Lease")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Lease")


def test_a_time_is_asked_for_by_dragging(visit: Begin, service: WebService) -> None:
    someone = visit("anna", "#/timeline")
    page = someone.page
    drawn(someone)
    page.get_by_role("button", name="Ask by dragging").click()
    page.mouse.move(*point_at(someone, 2, 12))
    page.mouse.down()
    page.mouse.move(*point_at(someone, 4, 14), steps=5)
    page.mouse.up()
    expect(page.get_by_role("heading", name="Ask for machines")).to_be_visible()
    expect(page.get_by_label("How many")).to_have_value("3")
    expect(page.locator(".answer")).to_contain_text("Fits: runs from")
    page.get_by_role("button", name="Ask for them").click()
    expect(page.locator(".title-row .mark")).to_have_text("Scheduled")
    expect(page.locator(".facts")).to_contain_text("3 × 4 cores, 8 GB")


def test_the_timeline_follows_what_others_do(visit: Begin, service: WebService) -> None:
    someone = visit("rita", "#/timeline?show=table")
    page = someone.page
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    lease = service.ask("anna", 1, start="+8h", label="just asked for")["lease"]["id"]
    expect(page.get_by_role("link", name="just asked for")).to_be_visible()
    with service.client("anna") as anna:
        anna.delete(f"/v1/leases/{lease}")
    expect(page.get_by_role("link", name="just asked for")).to_have_count(0)


def test_the_timeline_is_on_a_phone(visit: Begin) -> None:
    phone = {"width": 390, "height": 800}
    someone = visit("anna", "#/timeline", viewport=phone, has_touch=True)
    drawn(someone)
    someone.check_access()
    someone.picture("timeline-phone")
    assert someone.page.evaluate("document.documentElement.scrollWidth") <= phone["width"]


@pytest.mark.parametrize("name", ["anna", "olga"])
def test_the_site_shows_hosts_and_who_is_on_them(visit: Begin, name: str) -> None:
    someone = visit(name, "#/site")
    page = someone.page
    expect(page.get_by_role("rowheader", name="host-1", exact=True)).to_be_visible()
    expect(page.get_by_label("Health")).to_contain_text("of 8 are up")
    page.get_by_role("button", name="Over time").first.click()
    expect(page.locator(".steps li").first).to_be_visible()
    someone.check_access()
    someone.picture(f"site-{name}")
    expect(page.get_by_role("link", name="Tokens")).to_have_count(1 if name == "olga" else 0)


def test_events_are_shown_as_they_happen(visit: Begin, service: WebService) -> None:
    someone = visit("olga", "#/site/events")
    page = someone.page
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    lease = service.ask("bert", 1, start="+9h")["lease"]["id"]
    expect(page.get_by_text(f"lease {lease} of bert asked for: ar")).to_be_visible()
    someone.check_access()


def test_an_operator_makes_and_revokes_tokens(visit: Begin, service: WebService) -> None:
    someone = visit("olga", "#/site/tokens")
    page = someone.page
    page.get_by_label("Name").fill("new one")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator(".secret")).to_have_count(0)
    page.get_by_label("Name").fill("carla")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator(".secret code")).to_contain_text("hz_")
    someone.check_access()
    someone.go("#/leases")
    someone.go("#/site/tokens")
    page.get_by_role("row", name="carla").get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="carla")).to_contain_text("revoked")


def test_of_many_hosts_those_that_are_seen_are_drawn(chromium: Browser) -> None:
    """The picture was as tall as all rows together, and slow in proportion."""
    with WebService(hosts=300) as many:
        context = chromium.new_context(viewport={"width": 1200, "height": 800})
        someone = Visit(context, many)
        someone.sign_in("rita")
        someone.go("#/timeline")
        drawn(someone)
        someone.until("document.querySelector('canvas.plot').height > 150")
        assert someone.page.evaluate("document.querySelector('canvas.plot').height") < 800
        scroller = "document.querySelector('.plot-scroller')"
        assert someone.page.evaluate(f"{scroller}.scrollHeight") > 300 * 24
        someone.check()
        context.close()


def test_all_that_waits_is_reached_and_has_a_link(chromium: Browser) -> None:
    """Only the first 200 of a queue were ever on the page, and nothing said so."""
    with WebService() as busy:
        whole = {"count": 8, "resources": {"CPU": 400, "Memory": 8192}}
        with busy.client("olga") as olga:
            for number in range(231):
                draft = {"nodes": [whole], "duration": 3600, "label": f"number {number}"}
                assert olga.post("/v1/leases", json=draft).status_code == 201
        context = chromium.new_context(viewport={"width": 1200, "height": 800})
        someone = Visit(context, busy)
        someone.sign_in("rita")
        page = someone.go("#/timeline?by=lease")
        bar = page.get_by_role("group", name="Waiting")
        # One runs, twelve stand above, the others are told of.
        expect(bar).to_contain_text("218 that wait are not shown")
        bar.get_by_role("button", name="Show what waits").click()
        expect(bar).to_contain_text("Places 1 to 200 of 230 in the queue · 30 that wait are not")
        bar.get_by_role("button", name="Next 200").click()
        expect(bar).to_contain_text("Places 201 to 230 of 230 in the queue · 200 that wait are not")
        expect(bar.get_by_role("button", name="Next 200")).to_be_disabled()
        someone.until("location.hash.includes('queue=200')")
        someone.check_access()
        scroller = "document.querySelector('.plot-scroller')"
        page.evaluate(f"{scroller}.scrollTop = 24 * 6")
        # Rows: a heading, then places from 201 on; the lease that runs is number 1.
        someone.until("location.hash.includes('top=waits+207')")
        someone.picture("timeline-queue")
        page.reload()
        expect(bar).to_contain_text("Places 201 to 230")
        someone.until(f"{scroller}.scrollTop === 24 * 6")
        page.get_by_role("button", name="As a table").click()
        expect(page.get_by_role("link", name="number 230")).to_be_visible()
        bar.get_by_role("button", name="Previous 200").click()
        expect(page.get_by_role("link", name="number 200")).to_be_visible()
        expect(page.get_by_role("link", name="number 230")).to_have_count(0)
        someone.check()
        context.close()


def test_the_row_that_was_scrolled_to_is_in_the_link(chromium: Browser) -> None:
    with WebService(hosts=300) as many:
        context = chromium.new_context(viewport={"width": 1200, "height": 800})
        someone = Visit(context, many)
        someone.sign_in("rita")
        someone.go("#/timeline?top=host-250&rows=small")
        drawn(someone)
        scroller = "document.querySelector('.plot-scroller')"
        someone.until(f"{scroller}.scrollTop === 10 * 249")
        someone.page.evaluate(f"{scroller}.scrollTop = 10 * 99")
        someone.until("location.hash.includes('top=host-100')")
        someone.page.get_by_label("Search").fill("host-7")
        someone.until("!location.hash.includes('top=')")
        someone.check()
        context.close()


def test_hosts_in_use_are_counted_for_those_who_see_only_their_own(visit: Begin) -> None:
    """Hosts that others have to themselves were neither in use nor free."""
    for name in ("anna", "olga"):
        page = visit(name, "#/timeline?hours=2&hosts=used").page
        said = page.locator(".under [role=status]")
        expect(said).to_have_text("5 hosts")
        page.get_by_label("Which hosts").select_option("Free")
        expect(said).to_have_text("3 hosts")
        page.get_by_label("Show less time").click(click_count=3)
        expect(said).to_have_text("3 hosts")


def past_hours(more: str) -> str:
    """The address of twelve hours that end in a minute; what comes next is loaded with them.

    A view that ended now would be over before leases that begin in this second.
    """
    from_ = datetime.now(UTC) - timedelta(hours=12, minutes=-1)
    return f"#/timeline?hours=12&from={from_:%Y-%m-%dT%H:%M:%SZ}&{more}"


def test_a_filter_of_hosts_follows_the_time_that_is_seen(visit: Begin) -> None:
    page = visit("olga", past_hours("hosts=used")).page
    said = page.locator(".under [role=status]")
    expect(said).to_have_text("5 hosts")
    page.get_by_label("Later").click()
    expect(said).to_have_text("8 hosts")


def test_leases_are_found_by_their_hosts_wherever_they_are_shown(visit: Begin) -> None:
    """Only rows of hosts were; there all bars were pale, and by lease nothing was left."""
    someone = visit("olga", "#/timeline?hours=2&by=lease&search=host-1")
    page = someone.page
    # All that is loaded has a row, which is more than is seen.
    expect(page.locator(".under [role=status]")).to_have_text(re.compile("^[1-9] lease"))
    page.get_by_role("button", name="As a table").click()
    table = page.locator(".table-box")
    expect(table.get_by_role("link")).to_have_text([re.compile("mine now")])
    page.get_by_label("Search").fill("bert waits")
    expect(table.get_by_role("link")).to_have_text([re.compile("bert waits")])


def test_a_table_follows_the_time_that_is_seen(visit: Begin) -> None:
    """Show, with data that are loaded, what is seen: it stayed as it was."""
    page = visit("olga", past_hours("show=table")).page
    table = page.locator(".table-box")
    expect(table).to_contain_text("mine now")
    expect(table).not_to_contain_text("mine later")
    page.get_by_label("Later").click()
    expect(table).to_contain_text("mine later")
    page.get_by_label("Earlier").click()
    expect(table).not_to_contain_text("mine later")
