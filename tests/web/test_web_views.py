"""What a view says of itself is so, wherever one goes and comes from."""

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
    """How many hours the timeline begins after now, by its own account."""
    return float(
        visit.page.evaluate(
            "(Date.parse(new URLSearchParams(location.hash.split('?')[1]).get('from'))"
            " - Date.now()) / 3600000"
        )
    )


def test_what_has_no_end_has_no_time_left_either(visit: Begin, leases: dict[str, int]) -> None:
    """It was 0 s as long as it was to make room for something else."""
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
    """They showed what had been chosen last, whatever was seen since."""
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
