"""The page about the HTTP interface says what the interface is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from api_service import SmallManager, described, parse_lease

from haizea.api.app import description, make_app
from haizea.api.forms import LeaseForm, check_draft
from haizea.api.problems import Refused
from haizea.api.reference import placed, reference
from haizea.api.settings import ApiSettings

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_reference_is_that_of_the_interface() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == placed(page), "write it anew: python -m haizea.api.reference docs/api.md"


def test_the_description_does_not_depend_on_the_manager() -> None:
    assert make_app(SmallManager()).openapi() == description()


def test_everything_is_described() -> None:
    interface = described()
    for path, methods in interface["paths"].items():
        for method, route in methods.items():
            assert route["summary"], (method, path)
            assert route["description"], (method, path)
            for parameter in route.get("parameters", ()):
                assert parameter.get("description"), (method, path, parameter["name"])
    for name, schema in interface["components"]["schemas"].items():
        assert schema.get("description"), name


def test_all_references_lead_somewhere() -> None:
    text = json.dumps(described())
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names <= set(described()["components"]["schemas"])
    anchors = set(re.findall(r"\(#(\w+)\)", reference()))
    headings = {h.lower() for h in re.findall(r"^#### (\w+)$", reference(), re.MULTILINE)}
    assert anchors <= headings


def test_examples_of_requests_are_taken() -> None:
    site = SmallManager().site
    body = described()["paths"]["/v1/leases"]["post"]["requestBody"]["content"]
    forms = described()["components"]["schemas"]["LeaseForm"]["examples"]
    for example in forms:
        check_draft(LeaseForm.model_validate_json(json.dumps(example)).draft(0), site)
    for media in ("application/yaml", "application/xml"):
        for example in body[media]["schema"]["examples"]:
            check_draft(parse_lease(example.encode(), media), site)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("| body | 64 kB, within 20 s |", (64 * 1024, 20)),
        ("| head of a request | 16 kB, within 15 s |", (16 * 1024, 15)),
    ],
)
def test_the_page_names_the_bounds_that_there_are(text: str, value: tuple[int, int]) -> None:
    settings = ApiSettings()
    bounds = [
        (settings.most_body_bytes, settings.body_seconds),
        (settings.most_head_bytes, settings.request_seconds),
    ]
    assert text in PAGE.read_text(encoding="utf-8")
    assert value in bounds


def test_kind_and_start_go_together() -> None:
    with pytest.raises(Refused):
        LeaseForm.model_validate(
            {"kind": "ar", "duration": 1, "nodes": [{"resources": {"CPU": 1}}]}
        ).draft(0)
