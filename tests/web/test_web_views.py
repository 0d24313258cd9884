"""Views say of themselves what is so, wherever one goes and comes from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import Visit, WebService
from playwright.sync_api import expect

Begin = Callable[..., Visit]
_FOLDER = "document.querySelector('script[type=module]').src.replace('main.js', '')"


@pytest.fixture(scope="module", autouse=True)
def leases(service: WebService) -> dict[str, int]:
    """One that runs without end until it makes room, what it makes room for, and others."""
    answers = {
        "endless": service.ask("anna", 8, duration="unlimited", label="without end"),
        "later": service.ask("bert", 8, start="+3h", label="all of them"),
    }
    return {name: answer["lease"]["id"] for name, answer in answers.items()}


def drawn(visit: Visit) -> None:
    """Wait until the timeline is there."""
    visit.until("/^Timeline: [0-9]/.test(document.querySelector('canvas.plot')?.ariaLabel)")


def hours_from(visit: Visit) -> float:
    """Hours by which the timeline begins after now, by its own account."""
    return float(
        visit.page.evaluate(
            "(Date.parse(new URLSearchParams(location.hash.split('?')[1]).get('from'))"
            " - Date.now()) / 3600000"
        )
    )


def test_what_has_no_end_has_no_time_left_either(visit: Begin, leases: dict[str, int]) -> None:
    """There were 0 s as long as it was to make room for something else."""
    page = visit("anna", "#/leases").page
    row = page.get_by_role("row", name="without end")
    expect(row.locator("td[data-label=Left]")).to_have_text("no end")
    page.get_by_role("link", name=str(leases["endless"]), exact=True).click()
    remaining = page.locator(".facts dt", has_text="Remaining").locator("+ dd")
    expect(remaining).to_have_text("no end")


def test_the_future_only_is_the_future_in_an_old_link_too(visit: Begin) -> None:
    """An old link showed the past until some seconds had gone by."""
    someone = visit("rita", "#/leases")
    asked: list[str] = []
    someone.page.on("request", lambda request: asked.append(request.url))
    someone.go("#/timeline?from=2025-06-01T00:00:00Z&hours=24&ahead=yes")
    drawn(someone)
    times = [url for url in asked if "v1/timeline" in url]
    assert times
    assert not [url for url in times if "since=2025" in url]


def test_controls_show_what_is_seen(visit: Begin) -> None:
    """Controls showed what had been chosen last, whatever was seen since."""
    someone = visit("rita", "#/timeline")
    page = someone.page
    drawn(someone)
    chosen = page.locator(".tools .segments [aria-pressed=true]")
    expect(chosen).to_have_text(["By host", "1 day"])
    jump = page.get_by_label("Go to a date and time")
    before = jump.input_value()
    page.locator("canvas.plot").focus()
    page.keyboard.press("ArrowRight")
    expect(jump).not_to_have_value(before)
    page.keyboard.press("+")
    expect(chosen).to_have_text(["By host"])
    page.get_by_role("button", name="Week").click()
    expect(chosen).to_have_text(["By host", "Week"])
    page.get_by_role("button", name="By lease").click()
    expect(chosen).to_have_text(["By lease", "Week"])
    expect(page.get_by_label("Which hosts")).to_be_hidden()


def test_who_shows_less_time_goes_on_seeing_now(visit: Begin) -> None:
    """Some clicks led to the middle of the night, where nothing was."""
    someone = visit("rita", "#/timeline")
    drawn(someone)
    for _ in range(5):
        someone.page.get_by_role("button", name="Show less time").click()
    someone.until("location.hash.includes('hours=1.87')")
    assert -1.87 < hours_from(someone) < 0


def test_how_full_the_site_is_now_is_told_where_it_is_known(visit: Begin) -> None:
    """Whoever looked at another day read that nothing was in use now."""
    page = visit("rita", "#/timeline").page
    told = page.evaluate(
        f"""async () => {{
          const {{ drawStrip }} = await import({_FOLDER} + "timeline/strip.js");
          const {{ Painter }} = await import({_FOLDER} + "timeline/paint.js");
          const said = [];
          for (const shift of [-1, 5, -9]) {{
            const painter = new Painter(document.createElement("canvas"));
            painter.resize(600, 44);
            painter.text = (text) => said.push(`${{shift}}: ${{text}}`);
            const since = Date.now() + shift * 3600000, until = since + 2 * 3600000;
            const load = {{ times: [since], parts: [0.5] }};
            drawStrip(painter, {{ since, until, load }}, {{ start: since, end: until, left: 150 }});
          }}
          return said;
        }}"""
    )
    assert told == ["-1: 50 % in use"]


def test_a_request_that_is_not_sent_yet_is_in_the_address(visit: Begin) -> None:
    """Loading the page anew began with an empty form."""
    someone = visit("anna", "#/ask")
    page = someone.page
    page.get_by_role("button", name="By a deadline").click()
    page.get_by_label("Length", exact=True).fill("37m")
    page.get_by_label("Label").fill('a "class" & more?')
    page.get_by_label("Not before").fill("2040-05-01T09:00")
    page.get_by_role("button", name="Other nodes too").click()
    page.get_by_label("How many").last.fill("3")
    someone.until("decodeURIComponent(location.hash).includes('more?')")
    someone.until("decodeURIComponent(location.hash).includes('\"count\":3')")
    page.reload()
    expect(page.get_by_label("Length", exact=True)).to_have_value("37m")
    expect(page.get_by_label("Label")).to_have_value('a "class" & more?')
    expect(page.get_by_label("Not before")).to_have_value("2040-05-01T09:00")
    expect(page.get_by_label("How many").last).to_have_value("3")
    pressed = page.locator(".ask .segments [aria-pressed=true]")
    expect(pressed).to_have_text("By a deadline")
    for junk in ("x", "null", "[]", '{"nodes":[]}', '{"nodes":[{}],"kind":"odd"}'):
        someone.go("#/leases")
        someone.go(f"#/ask?request={junk}")
        expect(page.get_by_label("Length", exact=True)).to_be_visible()


def test_the_lease_that_was_chosen_is_in_the_address(visit: Begin, leases: dict[str, int]) -> None:
    someone = visit("rita", f"#/timeline?lease={leases['later']}")
    page = someone.page
    expect(page.locator(".details")).to_contain_text("all of them")
    page.locator(".details").get_by_role("button", name="Close").click()
    someone.until("!location.hash.includes('lease=')")
    page.locator("canvas.plot").focus()
    page.keyboard.press("]")
    someone.until("location.hash.includes('lease=')")
    before = page.locator(".details h2")
    expect(before).to_contain_text("Lease")
    name = before.inner_text()
    page.reload()
    expect(page.locator(".details h2")).to_have_text(name)


def test_a_viewer_elsewhere_sees_what_time_it_is_at_the_site(visit: Begin) -> None:
    """Only a menu told, and what one pointed at with a mouse."""
    someone = visit("anna", "#/ask", timezone_id="Asia/Kathmandu")
    page = someone.page
    expect(page.locator(".top")).to_contain_text("Site ")
    page.get_by_role("button", name="At a time").click()
    page.get_by_label("Start").fill("2040-05-01T09:00")
    expect(page.get_by_text("Tue, 1 May 2040, 03:15 at the site, ")).to_be_visible()
    someone.check_access()
    someone.picture("ask-elsewhere")


def test_whoever_follows_a_link_goes_on_in_the_view(visit: Begin, leases: dict[str, int]) -> None:
    """The focus was lost with the link, and began at the top of the page again."""
    someone = visit("rita", "#/leases")
    page = someone.page
    page.get_by_role("link", name=str(leases["later"]), exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("all of them")
    someone.until("document.activeElement.id === 'main'")
    someone.go("#/leases/999999")
    expect(page.get_by_role("heading", level=1)).to_contain_text("There is no lease 999999")
    someone.check_access()


def test_nothing_of_a_lease_is_cut_off_on_a_small_phone(visit: Begin, service: WebService) -> None:
    """Half of each card was beside the screen."""
    service.ask("anna", 1, start="+9h", label="a label of many words, longer than a phone is wide")
    someone = visit("anna", "#/leases", viewport={"width": 320, "height": 640}, has_touch=True)
    expect(someone.page.get_by_text("longer than a phone")).to_be_visible()
    someone.picture("leases-small-phone")
    box = "document.querySelector('.table-box')"
    assert someone.page.evaluate(f"{box}.scrollWidth <= {box}.clientWidth")


def test_a_token_is_made_that_ends(visit: Begin, service: WebService) -> None:
    """The form offered none, though the interface does."""
    page = visit("olga", "#/site/tokens").page
    page.get_by_label("Name").fill("guest")
    page.get_by_label("Expires").fill("2040-05-01T09:00")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator(".secret code")).to_contain_text("hz_")
    with service.client("olga") as olga:
        made = {token["name"]: token for token in olga.get("/v1/tokens").json()["tokens"]}
    assert made["guest"]["expires"].startswith("2040-05-01")


def test_how_far_down_one_was_is_in_the_link(visit: Begin, service: WebService) -> None:
    """Only the timeline kept its place; a link to a list led to its top."""
    low = {"width": 900, "height": 180}
    for view in (
        "#/leases?which=all",
        "#/leases/1",
        "#/ask",
        "#/site/events",
        "#/site?search=host",
    ):
        someone = visit("olga", view, viewport=low)
        page = someone.page
        someone.until("document.documentElement.scrollHeight > innerHeight + 60")
        page.evaluate("scrollTo(0, 60)")
        someone.until("new URLSearchParams(location.hash.split('?')[1]).get('down') === '60'")
        assert view.partition("?")[2] in page.url, "the rest of the address stays"
        page.reload()
        someone.until("scrollY === 60")
        page.goto(f"{service.url}/#/nothing")
        expect(page.get_by_role("heading", name="There is no such page.")).to_be_visible()
        page.go_back()
        someone.until("scrollY === 60")
        page.evaluate("scrollTo(0, 0)")
        someone.until("!location.hash.includes('down')")


def test_hosts_that_are_looked_at_are_in_the_link(visit: Begin, service: WebService) -> None:
    someone = visit("olga", "#/site")
    page = someone.page
    page.get_by_label("Search").fill("host-3")
    page.get_by_role("button", name="Over time").click()
    expect(page.locator(".steps")).to_contain_text("4 cores")
    expect(page.locator(".over-time svg")).to_have_count(2)
    someone.until("location.hash.includes('search=host-3&over=host-3')")
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("host-3")
    expect(page.locator(".steps")).to_contain_text("4 cores")
    steps = page.locator(".steps li")
    count = steps.count()
    lease = service.ask("bert", 8, start="+10h", label="comes meanwhile")["lease"]["id"]
    # What is shown over time is what is so, not what was when somebody asked.
    expect(steps).to_have_count(count + 2)
    someone.check_access()
    someone.picture("site-over-time")
    with service.client("bert") as bert:
        bert.delete(f"/v1/leases/{lease}")


@pytest.mark.parametrize(
    "link",
    [
        "#/timeline?from=0001-01-01T00:00:00Z&hours=-5&queue=-1&lease=abc",
        "#/timeline?hours=1e9&from=9999-01-01&by=none&hosts=none&order=none&rows=toString",
        "#/leases?which=none&whose=none&kind=none&sort=toString&page=1.5&down=none",
        "#/ask?start=none&seconds=none&count=-3",
        "#/site/none?over=none",
        "#/%E0%A4%A",
    ],
)
def test_a_link_that_was_spoilt_leads_somewhere(visit: Begin, link: str) -> None:
    """Some led to an error that trying again did not mend, one to nothing at all."""
    page = visit("olga", link).page
    expect(page.locator("main .view")).not_to_be_empty()
    expect(page.locator("main h1")).to_have_count(1)
    expect(page.locator(".trouble")).to_have_count(0)
    chosen = "[...document.querySelectorAll('main select')].map((one) => one.selectedIndex)"
    assert -1 not in page.evaluate(chosen)
