"""Asking for machines in a real browser: the live answer, wrong input, and the same in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from browser import Visit, WebService
from playwright.sync_api import expect

from haizea.service.drafts import parse_lease

Begin = Callable[..., Visit]


def test_the_answer_is_there_while_one_types(visit: Begin, service: WebService) -> None:
    service.ask("bert", 8, start="now", duration=7200)
    someone = visit("anna", "#/ask")
    page = someone.page
    answer = page.locator(".answer")
    expect(answer).to_contain_text("is expected to start about")
    page.get_by_label("Length").fill("two moons")
    expect(answer).to_contain_text("two moons")
    page.get_by_label("Length").fill("30m")
    page.get_by_role("button", name="Now or never").click()
    expect(answer).to_contain_text("Does not fit.")
    page.get_by_role("button", name="At a time").click()
    page.get_by_label("How many").fill("9")
    expect(answer).to_contain_text("Does not fit.")
    page.get_by_label("How many").fill("1")
    start = page.get_by_label("Start")
    start.fill(page.evaluate("new Date(Date.now() + 36e5).toISOString().slice(0, 16)"))
    expect(answer).to_contain_text("The nearest start that fits:")
    someone.check_access()
    someone.picture("ask")
    page.get_by_role("button", name="Take it").click()
    expect(answer).to_contain_text("Fits: runs from")
    page.get_by_label("Label").fill("from a page")
    with service.client("anna") as anna:
        assert anna.get("/v1/leases").json()["leases"] == [], "nothing was asked for yet"
    page.get_by_role("button", name="Ask for them").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("from a page")
    expect(page.locator(".title-row .mark")).to_have_text("Scheduled")


def test_what_is_wrong_is_said_and_nothing_is_asked_for(visit: Begin, service: WebService) -> None:
    someone = visit("anna", "#/ask")
    page = someone.page
    page.get_by_label("Length").fill("")
    page.get_by_role("button", name="Ask for them").click()
    expect(page.get_by_role("alert").filter(has_text="duration")).to_be_visible()
    page.get_by_label("Length").fill("1h")
    page.get_by_label("How many").fill("0")
    page.get_by_role("button", name="Ask for them").click()
    expect(page.get_by_role("alert").filter(has_text="count")).to_be_visible()


def test_the_same_can_be_copied(visit: Begin, service: WebService) -> None:
    someone = visit("anna", "#/ask", timezone_id="Asia/Tokyo")
    page = someone.page
    page.get_by_label("How many").fill("2")
    page.get_by_label("Label").fill("it's mine: yes")
    text = page.locator("pre.code")
    expect(text).to_have_text(
        f"haizea request -s {service.url}"
        " -t best_effort -d 1h -n 2 -c 100% -m 1024 -L 'it'\\''s mine: yes'"
    )
    page.get_by_text("More terms").click()
    page.get_by_label("Hosts", exact=True).select_option("fixed")
    expect(text).to_contain_text("-m 1024 --hosts fixed -L")
    page.get_by_role("button", name="curl").click()
    expect(text).to_contain_text("/v1/leases -H 'Content-Type: application/json'")
    page.get_by_role("button", name="Other nodes too").click()
    page.get_by_role("button", name="At a time").click()
    page.get_by_label("Start").fill("2031-05-06T09:00")
    page.get_by_role("button", name="YAML").click()
    draft = parse_lease(text.inner_text().encode(), "application/yaml", 0)
    assert [nodes.count for nodes in draft.nodes] == [2, 2]
    assert draft.label == "it's mine: yes"
    assert draft.fixed_hosts
    page.get_by_role("button", name="Command").click()
    assert '"label": "it\'s mine: yes"' in text.inner_text()
    assert draft.start == datetime(2031, 5, 6, tzinfo=UTC).timestamp(), "nine o'clock in Tokyo"


def test_a_reader_has_no_form(visit: Begin) -> None:
    someone = visit("rita", "#/ask")
    expect(someone.page.get_by_text("A reader sees all")).to_be_visible()
    expect(someone.page.get_by_role("link", name="Ask", exact=True)).to_have_count(0)


_NODES = [{"count": 2, "resources": {"CPU": 100, "Memory": 512}}]
_TERMS: dict[str, dict[str, Any]] = {
    "reservation": {
        "kind": "ar",
        "start": "2031-05-06T09:00:00Z",
        "duration": "unlimited",
        "nodes": [*_NODES, {"count": 1, "resources": {"CPU": 50, "Memory": 64}}],
        "preemptible": True,
        "hosts": "fixed",
        "image": {"name": "x'y, {z}: 1", "size_mb": 2048},
        "label": "it's \"Anna's\" $HOME; `ls` # ü",
    },
    "deadline": {
        "kind": "deadline",
        "deadline": "2031-05-06T12:00:00Z",
        "after": "2031-05-05T12:00:00Z",
        "duration": "90m",
        "nodes": _NODES,
        "preemptible": True,
        "label": "-rf",
    },
    "best-effort": {
        "kind": "best-effort",
        "duration": 3600,
        "nodes": _NODES,
        "preemptible": False,
        "hosts": "fixed",
        "label": "yes",
    },
    "immediate": {"kind": "immediate", "duration": "10m", "nodes": _NODES, "label": "a: b #c"},
}


@pytest.mark.parametrize("name", _TERMS)
def test_what_is_copied_asks_for_just_that(
    visit: Begin, service: WebService, tmp_path: Path, name: str
) -> None:
    """Each is typed into a shell. The one in YAML had lost the label, the command the site."""
    request = _TERMS[name]
    someone = visit("anna", f"#/ask?{urlencode({'request': json.dumps(request)})}")
    page = someone.page
    (tmp_path / ".haizea").mkdir()
    (tmp_path / ".haizea" / "token").write_text(service.secrets["anna"])
    (tmp_path / ".haizea" / "token").chmod(0o600)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"HOME": str(tmp_path), "PATH": path, "HAIZEA_SERVER": "http://127.0.0.1:1"}
    with service.client("anna") as anna:
        wanted = anna.post("/v1/leases/trial", json=request).json()["lease"]
        for way in ["Command", "YAML", "curl"]:
            page.get_by_role("button", name=way).click()
            typed = page.locator("pre.code").inner_text()
            if way == "YAML":
                (tmp_path / "lease.yaml").write_text(typed)
                typed = f"haizea request -s {service.url} -f {tmp_path}/lease.yaml"
            before = anna.get("/v1/leases?all=true&order=newest&limit=1").json()["leases"]
            ran = subprocess.run(
                ["bash", "-c", typed], env=environment, capture_output=True, text=True
            )
            (made,) = anna.get("/v1/leases?all=true&order=newest&limit=1").json()["leases"]
            assert before != [made], (way, typed, ran)
            for term in _ASKED:
                assert made[term] == wanted[term], (way, term, typed)
            anna.delete(f"/v1/leases/{made['id']}")


_ASKED = (
    "kind",
    "label",
    "start",
    "after",
    "deadline",
    "duration",
    "nodes",
    "preemptible",
    "fixed_hosts",
    "image",
)


def test_something_is_asked_for_by_a_deadline(visit: Begin, service: WebService) -> None:
    someone = visit("anna", "#/ask")
    page = someone.page
    page.get_by_role("button", name="By a deadline").click()
    answer, text = page.locator(".answer"), page.locator("pre.code")
    expect(answer).to_contain_text("Fits: runs from")
    page.get_by_label("Length").fill("3h")
    page.get_by_label("Not before").fill("2031-05-06T06:00")
    deadline = page.get_by_label("Deadline", exact=True)
    deadline.fill("2031-05-06T08:00")
    expect(answer).not_to_contain_text("Fits")
    deadline.fill("2031-05-06T12:00")
    expect(answer).to_contain_text("Fits: runs from")
    expect(text).to_contain_text(
        " --deadline 2031-05-06T12:00:00Z --after 2031-05-06T06:00:00Z -d 3h"
    )
    page.get_by_role("button", name="YAML").click()
    draft = parse_lease(text.inner_text().encode(), "application/yaml", 0)
    assert draft.deadline == datetime(2031, 5, 6, 12, tzinfo=UTC).timestamp()
    assert draft.after == datetime(2031, 5, 6, 6, tzinfo=UTC).timestamp()
    someone.check_access()
    someone.picture("ask-deadline")
    page.get_by_role("button", name="Ask for them").click()
    expect(page.locator(".facts")).to_contain_text("with a deadline")
    expect(page.locator(".facts")).to_contain_text("12:00")
    page.get_by_role("button", name="Change").click()
    form = page.get_by_label("Change the lease")
    form.get_by_label("Deadline", exact=True).fill("2031-05-06T10:00")
    form.get_by_role("button", name="Change").click()
    expect(page.locator(".messages")).to_contain_text("is changed")
    expect(page.locator(".facts")).to_contain_text("10:00")
    page.get_by_role("link", name="Ask for one like it").click()
    expect(page.get_by_label("Deadline", exact=True)).to_have_value("2031-05-06T10:00")
    expect(answer).to_contain_text("Fits: runs from")
