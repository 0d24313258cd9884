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
    """A column: its heading, whether numbers stand to the right, whether it may be cut short.

    One that is ``optional`` is left out where no row has anything in it.
    """

    heading: str
    right: bool = False
    flexible: bool = False
    coloured: bool = False
    optional: bool = False


def clean(text: object) -> str:
    """``text`` on one line without what would control a terminal.

    Labels and reasons are written by whoever asks for leases.
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def width_of(text: str) -> int:
    """Return the number of places of a terminal that ``text`` takes."""
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
    """Return how wide a table may be; ``None`` where it goes into a file or another program."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def has_colours() -> bool:
    """Tell whether standard output shows colours, and its user has nothing against them."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def coloured(text: str) -> str:
    """``text`` in its colour, if it has one and there are colours."""
    colour = _COLOURS.get(text.strip())
    return click.style(text, fg=colour) if colour and has_colours() else text


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], width: int | None = None
) -> str:
    """The rows below their headings, in ``width`` places where that is given.

    What does not fit is cut out of the flexible columns, the widest first. Where that is not
    enough, headings and rows go on in further lines, which are indented.
    """
    rows = list(rows)
    shown = [i for i, c in enumerate(columns) if not c.optional or any(row[i] for row in rows)]
    columns = [columns[i] for i in shown]
    cells = [_cleaned([row[i] for row in rows]) for i in shown]
    heads = [column.heading for column in columns]
    widths = [_widest([head, *column]) for head, column in zip(heads, cells, strict=True)]
    parts = _parts(widths, columns, width)
    if width is not None:
        for number, part in enumerate(parts):
            _narrow(widths, part, columns, width - (len(_GAP) if number else 0))
    lines = _lines(heads, columns, widths, parts, lambda text, _: _heading(text))
    in_short = None if width is not None else _pattern(columns, cells, widths)
    for row in zip(*cells, strict=True):
        if in_short is not None:
            lines.append(in_short(*row).rstrip())
        else:
            lines += _lines(row, columns, widths, parts, _styled)
    return "\n".join(lines)


def _cleaned(column: Sequence[object]) -> list[str]:
    texts = ["-" if cell is None else str(cell) for cell in column]
    return texts if "".join(texts).isprintable() else [clean(text) for text in texts]


def _widest(texts: Sequence[str]) -> int:
    return max(map(len if "".join(texts).isascii() else width_of, texts))


def _pattern(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], widths: Sequence[int]
) -> Callable[..., str] | None:
    """Return a quick way to make a line of a row; ``None`` where there is more to it."""
    if has_colours() or not all("".join(column).isascii() for column in cells):
        return None
    sides = [">" if column.right else "<" for column in columns]
    return _GAP.join(
        f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True)
    ).format


def _parts(widths: Sequence[int], columns: Sequence[Column], width: int | None) -> list[list[int]]:
    """Choose the columns for each line of a row: as many as there is room for."""
    if width is None:
        return [list(range(len(columns)))]
    parts: list[list[int]] = []
    used = 0
    for i, column in enumerate(columns):
        least = min(widths[i], _LEAST_WIDTH) if column.flexible else widths[i]
        used += len(_GAP) + least
        if parts and used <= width:
            parts[-1].append(i)
        else:
            used = least + (len(_GAP) if parts else 0)
            parts.append([i])
    return parts


def _narrow(widths: list[int], part: Sequence[int], columns: Sequence[Column], room: int) -> None:
    """Have the columns of a line fit into it."""
    flexible = [i for i in part if columns[i].flexible]
    over = sum(widths[i] for i in part) + len(_GAP) * (len(part) - 1) - room
    if len(part) == 1:
        widths[part[0]] = min(widths[part[0]], room)
    else:
        for _ in range(over):
            widths[max(flexible, key=lambda i: widths[i])] -= 1


def _lines(
    cells: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    parts: Sequence[Sequence[int]],
    style: Callable[[str, Column], str],
) -> list[str]:
    """A row, in a line for each part that has something to show."""
    first, *more = [_line([(cells[i], columns[i], widths[i]) for i in p], style) for p in parts]
    return [first, *(_GAP + line for line in more if line)]


def _line(cells: Sequence[tuple[str, Column, int]], style: Callable[[str, Column], str]) -> str:
    parts = []
    for cell, column, width in cells:
        text, taken = cell, width_of(cell)
        if taken > width:
            text = cut(cell, width)
            taken = width_of(text)
        space = " " * (width - taken)
        styled = style(text, column)
        parts.append(space + styled if column.right else styled + space)
    return _GAP.join(parts).rstrip()


def _heading(text: str) -> str:
    return click.style(text, bold=True) if has_colours() else text


def _styled(text: str, column: Column) -> str:
    return coloured(text) if column.coloured else text


def listing(entries: Iterable[tuple[str, str | None]], indent: int, width: int | None) -> str:
    """Entries that have a text as lines of name and text; the texts begin after ``indent`` places.

    A text that does not fit into ``width``, where that is given, goes on below itself.
    """
    lines = []
    for name, text in entries:
        if text:
            first, *more = [text] if width is None else _wrapped(text, width - indent)
            lines.append(f"{name + ':':<{indent}}{first}")
            lines += [f"{'':{indent}}{line}" for line in more]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most so many places, broken between words where that is possible."""
    lines: list[str] = []
    for word in text.split():
        if lines and _shown_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines += _chopped(word, width)
    return lines or [""]


def _chopped(word: str, width: int) -> list[str]:
    """A word, in pieces if it is too long for a line."""
    if _shown_width(word) <= width:
        return [word]
    pieces = [""]
    for character in click.unstyle(word):
        if pieces[-1] and width_of(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _shown_width(text: str) -> int:
    return width_of(click.unstyle(text))


def bar(share: float, places: int = 10) -> str:
    """A small picture of a share from 0 to 1."""
    full = max(0, min(places, round(share * places)))
    if share > 0:
        full = max(full, 1)
    return "#" * full + "." * (places - full)
