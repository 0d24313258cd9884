"""All texts of the web interface are in one file: none is missing there, and none too many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from haizea.api.answers import EventOut
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
from haizea.service_types import Role

STATIC = Path(__file__).parents[2] / "haizea" / "web" / "static"
TEXTS = STATIC / "texts.js"
_KEY = re.compile(r'(?:^|[{,])\s*(?:"([\w-]+)"|(\w+)):\s*(?=["{])', re.MULTILINE)
_FORMS = {"one", "other"}


def keys() -> set[str]:
    table = TEXTS.read_text(encoding="utf-8").split("const TEXTS = {")[1].split("\n};")[0]
    return {quoted or plain for quoted, plain in _KEY.findall(table)} - _FORMS


def scripts() -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for path in STATIC.rglob("*.js") if path != TEXTS
    )


def test_every_text_that_is_used_is_there() -> None:
    used = set(re.findall(r'\bt\("([\w-]+)"', scripts()))
    assert len(used) > 150
    assert used <= keys()


def test_every_text_that_is_there_is_used() -> None:
    code, known = scripts(), keys()
    begun = set(re.findall(r"\bt\(`(\w+_)\$\{", code))
    # Choices of the timeline's tools are named for their tool.
    begun |= {f"{key.removeprefix('tools_')}_" for key in known if key.startswith("tools_")}
    unused = {
        key
        for key in known
        if not re.search(rf'"{key}"', code) and not any(key.startswith(part) for part in begun)
    }
    assert not unused


@pytest.mark.parametrize(
    ("begin", "values"),
    [
        ("state", [str(state) for state in State]),
        ("kind", [str(kind) for kind in Kind]),
        ("role", [str(role) for role in Role]),
        ("event", list(get_args(EventOut.model_fields["kind"].annotation))),
        ("status", ["up", "down", "drained"]),
    ],
)
def test_every_value_of_the_interface_has_its_text(begin: str, values: list[str]) -> None:
    assert {f"{begin}_{value}" for value in values} <= keys()


def test_scripts_hold_no_sentences() -> None:
    """No text is put into a page but by its key."""
    shown = re.compile(r'h\("\w+", \{[^{}]*\}, "[A-Za-z]|textContent = "[A-Za-z]')
    assert not shown.findall(scripts())
