"""Tables for people: aligned, no wider than the terminal, coloured only where that is welcome."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import click

_GAP = "  "
_LEAST_WIDTH = 12

#: How states and other words are shown, where colours are.
_COLOURS = {
    "Active": "green",
    "Done": "blue",
    "up": "green",
    "yes": "green",
    "Rejected": "red",
    "Failed": "red",
    "down": "red",
    "not healthy": "red",
    "Cancelled": "yellow",
    "drained": "yellow",
    "Queued": "cyan",
    "Suspended-Queued": "cyan",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, whether numbers stand to the right, whether it may be cut short."""

    heading: str
    right: bool = False
    flexible: bool = False
    coloured: bool = False


def clean(text: object) -> str:
    """``text`` on one line without what would control a terminal.

    Labels and reasons are written by whoever asks for leases.
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def width_of(text: str) -> int:
    """How many places of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def cut(text: str, width: int) -> str:
    """``text``, or as much of it as goes into ``width`` places with an ellipsis."""
    if width_of(text) <= width:
        return text
    taken, used = "", 0
    for character in text:
        used += width_of(character)
        if used > width - 1:
            break
        taken += character
    return taken.rstrip() + "…"


def terminal_width() -> int | None:
    """How wide a table may be; ``None`` where it goes into a file or another program."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def has_colours() -> bool:
    """Whether standard output shows colours, and its user has nothing against them."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def coloured(text: str, word: str | None = None) -> str:
    """``text`` in the colour that ``word`` (by default itself) has, where there are colours."""
    colour = _COLOURS.get(text.strip() if word is None else word)
    return click.style(text, fg=colour) if colour and has_colours() else text


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], width: int | None = None
) -> str:
    """The rows below their headings, in ``width`` places where that is given.

    What does not fit is cut out of the flexible columns, the widest first.
    """
    cells = [[clean("-" if cell is None else cell) for cell in row] for row in rows]
    heads = [column.heading for column in columns]
    widths = [max(width_of(row[i]) for row in [heads, *cells]) for i in range(len(columns))]
    if width is not None:
        _narrow(widths, columns, width)
    lines = [_line(heads, columns, widths, lambda text, _: _heading(text))]
    lines += [_line(row, columns, widths, _styled) for row in cells]
    return "\n".join(lines)


def _narrow(widths: list[int], columns: Sequence[Column], width: int) -> None:
    flexible = [i for i, column in enumerate(columns) if column.flexible]
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while over > 0 and flexible:
        widest = max(flexible, key=lambda i: widths[i])
        if widths[widest] <= _LEAST_WIDTH:
            return
        widths[widest] -= 1
        over -= 1


def _line(
    cells: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    style: Callable[[str, Column], str],
) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        text = cut(cell, width)
        space = " " * (width - width_of(text))
        styled = style(text, column)
        parts.append(space + styled if column.right else styled + space)
    return _GAP.join(parts).rstrip()


def _heading(text: str) -> str:
    return click.style(text, bold=True) if has_colours() else text


def _styled(text: str, column: Column) -> str:
    return coloured(text) if column.coloured else text


def bar(share: float, places: int = 10) -> str:
    """A small picture of a share from 0 to 1."""
    full = max(0, min(places, round(share * places)))
    if share > 0:
        full = max(full, 1)
    return "#" * full + "." * (places - full)
