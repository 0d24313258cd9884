"""Tables and figures as they are written on the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def spread(median: float, runs: Sequence[float], digits: int = 2) -> str:
    """The median, and the least and the most of several runs."""
    if len(runs) < 2:
        return f"{median:.{digits}f}"
    return f"{median:.{digits}f} ({min(runs):.{digits}f}–{max(runs):.{digits}f})"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
