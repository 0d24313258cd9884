"""Tables: aligned, as wide as they may be, harmless whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.cli.tables import Column, bar, clean, cut, table, width_of
from haizea.cli.words import local, told_locally
from haizea.times.moments import SystemZone

COLUMNS = [
    Column("ID", right=True),
    Column("LABEL", flexible=True),
    Column("REASON", flexible=True),
]
texts = st.text(max_size=60)


@given(st.lists(st.tuples(st.integers(0, 10**9), texts, texts), max_size=5), st.integers(40, 200))
def test_a_table_is_no_wider_than_it_may_be(rows: list[tuple[int, str, str]], width: int) -> None:
    lines = table(COLUMNS, rows, width).split("\n")
    assert len(lines) == len(rows) + 1
    for line in lines:
        assert width_of(line) <= width
        assert line.isprintable()


@given(st.lists(st.tuples(st.integers(), texts, texts), max_size=5))
def test_nothing_is_cut_where_nobody_says_how_wide(rows: list[tuple[int, str, str]]) -> None:
    lines = table(COLUMNS, rows).split("\n")[1:]
    for line, row in zip(lines, rows, strict=True):
        for cell in row:
            assert clean(cell).rstrip() in line


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
    for text in ("2026-11-25 14:00:00", "2026-11-25 14:00:00+00:00", "2026-11-25T14:00:00Z"):
        assert told_locally(f"from {text}, on", zone) == f"from {there}, on"
    for text in ("2026-99-25 14:00:00", "12026-11-25 14:00:00", "14:00:00", "2026-11-25"):
        assert told_locally(text, zone) == text
