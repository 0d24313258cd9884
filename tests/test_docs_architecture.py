"""docs/architecture.md names every room and every file of the core, in the rows that are tested."""

from __future__ import annotations

import re

from test_tidy import LAYERS, ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "haizea"


def exists(room: str) -> bool:
    return (PACKAGE / f"{room}.py").exists() or (PACKAGE / room / "__init__.py").exists()


def test_the_rows_are_those_that_imports_are_tested_against() -> None:
    rows = [
        set(re.findall(r"`(\w+)`", row))
        for row in re.findall(r"^\| \d+ \| (.*) \|$", PAGE, re.MULTILINE)
    ]
    assert rows == [{room for room in layer if exists(room)} for layer in LAYERS]
    missing = {room for layer in LAYERS for room in layer if not exists(room)}
    said = re.findall(r"^(`\w+`(?: and `\w+`)*), for the service,.* do not exist", PAGE, re.M)
    assert missing == {room for text in said for room in re.findall(r"\w+", text)} - {"and"}


def test_every_file_of_the_core_is_in_the_reading_list() -> None:
    files = {path.name for path in (PACKAGE / "core").glob("*.py")} - {"__init__.py"}
    listed = re.findall(r"^\| [^|]*\| ((?:`\w+\.py` ?)+)\|", PAGE, re.MULTILINE)
    named = [name for cell in listed for name in re.findall(r"`(\w+\.py)`", cell)]
    assert sorted(named) == sorted(files), (
        f"add to the reading list: {sorted(files - set(named))};"
        f" take out: {sorted(set(named) - files)}"
    )
