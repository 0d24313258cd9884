"""``haizea plot``: figures of a single run."""

from __future__ import annotations

from pathlib import Path

import click

from haizea.accounting.errors import ResultsError
from haizea.accounting.reader import Results
from haizea.cli.errors import WrongInput, missing_extra
from haizea.cli.help import HELP

#: As :data:`haizea.study.single.FIGURES` has them, which needs an extra.
KINDS = ("utilization", "queue", "waits", "slowdown", "gantt")


@click.command("plot", context_settings=HELP)
@click.argument("file", metavar="FILE")
@click.argument("kinds", metavar="KIND...", nargs=-1, required=True, type=click.Choice(KINDS))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write, by its ending: .svg, .pdf, .png, or .csv for the numbers."
    "  [default: KIND.svg]",
)
def plot(file: str, kinds: tuple[str, ...], out: Path | None) -> None:
    """Draw figures of the run whose results file FILE is.

    \b
    utilization  CPU utilization over time
    queue        length of the queue over time
    waits        distribution of the waiting time of best-effort leases
    slowdown     distribution of their bounded slowdown
    gantt        hosts by time

    Colours, dashes and hatching are fit for print and for colour-blind readers.
    """
    if out is not None and len(kinds) > 1:
        raise click.UsageError("-o names one file: draw one figure at a time.")
    form = "svg" if out is None else out.suffix.lower().removeprefix(".")
    if form not in ("svg", "pdf", "png", "csv"):
        raise click.UsageError(f"-o {out}: name it .svg, .pdf, .png or .csv.")
    try:
        from haizea.study.single import FIGURES
        from haizea.study.style import csv_of, rendered
    except ModuleNotFoundError as error:
        told = missing_extra(error, "haizea plot")
        if told is None:
            raise
        raise told from error
    try:
        with Results(file) as results:
            for kind in kinds:
                chart = FIGURES[kind](results)
                to = out or Path(f"{kind}.svg")
                content = csv_of(chart.data).encode() if form == "csv" else rendered(chart, form)
                to.write_bytes(content)
                click.echo(f"{to}: {chart.alt}")
    except ResultsError as error:
        raise WrongInput(str(error)) from error
