"""The report as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

#: Tables on the page end here; the CSV file has all rows.
MOST_ROWS = 60

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
figure { margin: 1rem 0; } figure img { width: 100%; max-width: 52rem; height: auto; }
figcaption, .note { color: #444; font-size: 0.9rem; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid #ccc; padding: 0.2rem 0.5rem; text-align: right; }
th { background: #f0f0f0; } th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; } nav ul { columns: 2; } a { color: #00558a; }
details { margin: 0.5rem 0 0; } summary { cursor: pointer; color: #00558a; }
@media print { nav, details { display: none; } figure { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A figure on the page: its picture, its words, and its numbers as CSV."""

    name: str
    title: str
    alt: str
    note: str
    svg: bytes
    numbers: str


def page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """The page. ``facts`` are said of the study as a whole, each with its name."""
    links = "".join(f'<li><a href="#{s.name}">{escape(s.title)}</a></li>' for s in sections)
    told = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in facts)
    body = "".join(map(_section, sections))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<main><h1>{escape(title)}</h1><table>{told}</table>"
        f'<nav aria-label="Figures"><ul>{links}</ul></nav>{body}</main></body></html>\n'
    )


def _section(section: Section) -> str:
    picture = base64.b64encode(section.svg).decode()
    numbers = base64.b64encode(section.numbers.encode()).decode()
    note = f"<figcaption>{escape(section.note)}</figcaption>" if section.note else ""
    return (
        f'<section id="{section.name}"><h2>{escape(section.title)}</h2><figure>'
        f'<img alt="{escape(section.alt)}" src="data:image/svg+xml;base64,{picture}">'
        f"{note}</figure>"
        f"<details><summary>Numbers</summary>{_table(section.numbers)}</details>"
        f'<p class="note"><a download="{section.name}.csv"'
        f' href="data:text/csv;base64,{numbers}">{section.name}.csv</a></p></section>'
    )


def _table(numbers: str) -> str:
    """The rows of the CSV as they are, the first :data:`MOST_ROWS`."""
    head, *rows = csv.reader(io.StringIO(numbers))
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in rows[:MOST_ROWS]
    )
    more = len(rows) - MOST_ROWS
    told = f'<p class="note">{more} more rows are in the CSV.</p>' if more > 0 else ""
    return f'<div class="scroll"><table class="numbers"><tr>{cells}</tr>{lines}</table></div>{told}'
