"""Figures for print and for every reader: one look, saved as SVG, PDF and CSV.

Colours are those of Okabe and Ito (2008), which people with any colour vision tell apart; each
line has a marker and a dash of its own besides, so that black-and-white print does, too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1)),
    (0, (5, 1, 1.5, 1)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (1, 2)),
)

#: So wide are two columns of a journal, and a page of this report.
WIDTH_INCHES = 6.6

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.dpi": 150,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    # The same figure is the same bytes, and its words are words in PDF.
    "pdf.fonttype": 42,
    "svg.hashsalt": "haizea",
}

FORMATS = ("svg", "pdf", "png")


@dataclass(frozen=True)
class Chart:
    """A figure: its file's name, its title, its description for who cannot see it, its numbers.

    ``draw`` draws the numbers of ``data``, nothing else.
    """

    name: str
    title: str
    alt: str
    data: pd.DataFrame
    draw: Callable[[Axes], None]
    height_inches: float = 3.4
    note: str = ""


@contextmanager
def styled() -> Iterator[None]:
    """Draw in our style, whatever that of the user's own configuration is."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def rendered(chart: Chart, form: str) -> bytes:
    """The figure as ``svg``, ``pdf`` or ``png``; the same bytes each time."""
    with styled():
        figure = Figure(figsize=(WIDTH_INCHES, chart.height_inches), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(chart.title)
        chart.draw(axes)
        buffer = io.BytesIO()
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[form]
        figure.savefig(buffer, format=form, metadata=metadata)
    return buffer.getvalue()


def csv_of(data: pd.DataFrame) -> str:
    """The numbers of a figure; what is not known is empty."""
    return str(data.to_csv(index=False, lineterminator="\n"))


def save(chart: Chart, directory: Path) -> bytes:
    """Write the figure as SVG, PDF and CSV, and return the SVG."""
    svg = rendered(chart, "svg")
    (directory / f"{chart.name}.svg").write_bytes(svg)
    (directory / f"{chart.name}.pdf").write_bytes(rendered(chart, "pdf"))
    (directory / f"{chart.name}.csv").write_text(csv_of(chart.data), encoding="utf-8")
    return svg


def line_style(index: int) -> dict[str, Any]:
    """The look of line number ``index``, from 0: colour, marker and dash."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index % len(DASHES)],
    }


def legend(axes: Axes, title: str = "", count: int = 2) -> None:
    """A legend above the plot, where it hides nothing."""
    if count > 1:
        axes.figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=min(count, 3),
            title=title or None,
        )


def time_unit(seconds: Sequence[float]) -> tuple[float, str]:
    """The unit in which these times are read best: its seconds, and its name."""
    most = max((abs(value) for value in seconds), default=0)
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if most >= 3 * unit:
            return unit, name
    return 1, "seconds"
