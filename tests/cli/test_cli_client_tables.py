"""Tables: aligned, as wide as they may be, harmless whatever is in them."""

from __future__ import annotations

from typing import Any

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.cli.tables import Column, bar, clean, cut, listing, table, width_of
from haizea.cli.words import local, moment_of, reason_in_words
from haizea.times.zones import SystemZone

COLUMNS = [
    Column("ID", right=True),
    Column("LABEL", flexible=True),
    Column("REASON", flexible=True),
]
texts = st.text(max_size=60)


@tries(100)
@given(st.lists(st.tuples(st.integers(0, 10**9), texts, texts), max_size=5), st.integers(40, 200))
def test_a_table_is_no_wider_than_it_may_be(rows: list[tuple[int, str, str]], width: int) -> None:
    lines = table(COLUMNS, rows, width).split("\n")
    assert len(lines) == len(rows) + 1
    for line in lines:
        assert width_of(line) <= width
        assert line.isprintable()


ascii_texts = st.text(st.characters(max_codepoint=127), max_size=9)


@given(st.lists(st.tuples(st.integers(), *[st.one_of(ascii_texts, texts)] * 2), max_size=5))
def test_a_table_in_a_file_is_as_on_a_wide_terminal(rows: list[tuple[int, str, str]]) -> None:
    assert table(COLUMNS, rows) == table(COLUMNS, rows, 1000)


@given(st.lists(st.tuples(st.integers(), texts, texts), max_size=5))
def test_nothing_is_cut_where_nobody_says_how_wide(rows: list[tuple[int, str, str]]) -> None:
    lines = table(COLUMNS, rows).split("\n")[1:]
    for line, row in zip(lines, rows, strict=True):
        for cell in row:
            assert clean(cell).rstrip() in line


columns = st.builds(
    Column, st.text("ABC", min_size=1, max_size=15), st.booleans(), st.booleans(), st.booleans()
)


@st.composite
def any_tables(draw: st.DrawFn) -> tuple[list[Column], list[list[str]]]:
    """Columns, and rows of as many cells; none is blank."""
    heads = draw(st.lists(columns, min_size=1, max_size=12))
    cells = st.text("ab日c-", min_size=1, max_size=30)
    rows = st.lists(st.lists(cells, min_size=len(heads), max_size=len(heads)), max_size=4)
    return heads, draw(rows)


@given(any_tables(), st.integers(40, 120))
def test_any_table_goes_into_a_narrow_terminal(
    made: tuple[list[Column], list[list[str]]], width: int
) -> None:
    heads, rows = made
    lines = table(heads, rows, width).split("\n")
    assert all(width_of(line) <= width for line in lines)
    starts = [number for number, line in enumerate(lines) if not line.startswith("  ")]
    right = any(head.right for head in heads)
    assert right or len(starts) == len(rows) + 1, "what goes on is indented, nothing else is"
    each, left = divmod(len(lines), len(rows) + 1)
    assert left == 0, "every row has as many lines as the headings"
    for number, row in enumerate(rows, start=1):
        shown = " ".join(lines[number * each : (number + 1) * each])
        for cell, head in zip(row, heads, strict=True):
            assert head.flexible or cell in shown, "only flexible columns are cut"
            assert cut(cell, 12).rstrip("…") in shown, "no column is left out"


def test_a_table_that_fits_has_a_line_for_each_row() -> None:
    rows = [(1, "a label that is long", "r" * 30)]
    assert table(COLUMNS, rows, 40) == (
        "ID  LABEL              REASON\n 1  a label that is…   rrrrrrrrrrrrrrrr…"
    )
    more = [*COLUMNS, Column("START"), Column("END", right=True)]
    assert table(more, [(*rows[0], "2026-11-25 14:00:00 CET", 7)], 40) == (
        "ID  LABEL              REASON\n"
        "  START                    END\n"
        " 1  a label that is…   rrrrrrrrrrrrrrrr…\n"
        "  2026-11-25 14:00:00 CET    7"
    )
    assert table(more, [(*rows[0], "", "")], 40).count("\n") == 2, "no line is blank"


@given(st.lists(st.tuples(st.text("abc", max_size=9), st.text("日ab c", max_size=90)), max_size=4))
def test_a_listing_goes_into_a_narrow_terminal(entries: list[tuple[str, str]]) -> None:
    lines = listing(entries, 12, 40).split("\n")
    assert all(width_of(line) <= 40 for line in lines)
    whole = "".join(f"{name}:{text}" for name, text in entries if text)
    assert "".join(lines).replace(" ", "") == whole.replace(" ", "")
    assert "\n" not in listing([("a", "b c " * 50)], 12, None)


def test_a_listing_breaks_between_words() -> None:
    entries = [("Lease", "1 " + "long " * 7), ("Owner", None), ("Store", "/a/path/" + "x" * 30)]
    assert listing(entries, 8, 32) == (
        "Lease:  1 long long long long\n"
        "        long long long\n"
        "Store:  /a/path/xxxxxxxxxxxxxxxx\n"
        "        xxxxxxxxxxxxxx"
    )


def test_columns_are_aligned() -> None:
    rows = [(1, "a", "x"), (10, "日本語", "y"), (100, None, "z")]
    assert table(COLUMNS, rows) == (
        " ID  LABEL   REASON\n  1  a       x\n 10  日本語  y\n100  -       z"
    )


def test_what_controls_a_terminal_is_taken_out() -> None:
    assert clean("a\x1b[2Jb\nc\u202ed") == "a�[2Jb�c�d"


@pytest.mark.parametrize(
    ("text", "width", "left"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 5, "日本…"), ("ab cd", 4, "ab…")],
)
def test_cut(text: str, width: int, left: str) -> None:
    assert cut(text, width) == left


@pytest.mark.parametrize(
    ("share", "picture"),
    [(0, "....."), (0.001, "#...."), (0.5, "##..."), (1, "#####"), (7, "#####")],
)
def test_bars(share: float, picture: str) -> None:
    assert bar(share, 5) == picture


def test_times_in_reasons_are_local() -> None:
    zone = SystemZone()
    there = local("2026-11-25T14:00:00Z", zone)
    told = {
        "reason": "expected to start 2026-11-25 14:00:00",
        "reason_code": "start-expected",
        "reason_parameters": {"start": moment_of("2026-11-25T14:00:00Z")},
    }
    assert reason_in_words(told, zone) == f"expected to start {there}"


@pytest.mark.parametrize("more", [{}, {"reason_code": "of-later", "reason_parameters": {"x": 1}}])
def test_reasons_of_other_versions_are_shown_as_the_service_says_them(more: dict[str, Any]) -> None:
    told = {"reason": "no\x1broom until 2026-11-25 14:00:00", **more}
    assert (
        reason_in_words(told, SystemZone())
        == "no\N{REPLACEMENT CHARACTER}room until 2026-11-25 14:00:00"
    )
