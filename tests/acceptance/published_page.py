"""The tables of the page of published results, which tests keep true."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "published-results.md"


def see_table(head: str, rows: Iterable[str], *, regenerate: bool) -> None:
    """See that below this head are these rows, or write them there."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(head)
    _, after = rest.split("\n\n", 1)
    expected = f"{before}{head}{''.join(rows)}\n{after}"
    if regenerate:
        PAGE.write_text(expected, encoding="utf-8")
    else:
        assert page == expected
