"""docs/architecture.md names every room and every file of the core, in the rows that are tested."""

from __future__ import annotations

import re

from test_tidy import INNER_LAYERS, LAYERS, ROOT

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
    core = PACKAGE / "core"
    files = {
        str(path.relative_to(core)) for path in core.rglob("*.py") if path.name != "__init__.py"
    }
    section = PAGE.split("## Reading the core")[1].split("\n## ")[0]
    listed = re.findall(r"^\| [^|]*\| ((?:`[\w/]+\.py` ?)+)\|", section, re.MULTILINE)
    named = [name for cell in listed for name in re.findall(r"`([\w/]+\.py)`", cell)]
    assert sorted(named) == sorted(files), (
        f"add to the reading list: {sorted(files - set(named))};"
        f" take out: {sorted(set(named) - files)}"
    )


def test_the_rooms_of_the_core_are_those_that_imports_are_tested_against() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("`scheduler` →"))
    rows = [set(re.findall(r"`(\w+)`", row)) for row in line.split("→")]
    assert rows == list(INNER_LAYERS["haizea.core"])


def test_every_room_of_the_opennebula_backend_is_told() -> None:
    section = PAGE.split("## Reading the OpenNebula backend")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    layers = INNER_LAYERS["haizea.backends.opennebula"]
    assert told == {room for layer in layers for room in layer} - {"backend"}


def test_every_place_to_add_things_exists() -> None:
    section = PAGE.split("## Where to add things")[1].split("\n## ")[0]
    places = [
        place
        for place in re.findall(r"`([\w/]+(?:\.py|/))`", section)
        if not place.startswith("tests/")
    ]
    assert len(places) > 30
    missing = [place for place in places if not (PACKAGE / place).exists()]
    assert not missing
