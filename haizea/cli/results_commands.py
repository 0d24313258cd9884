"""Commands on the results of runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from haizea.accounting import export, freshfile
from haizea.accounting.errors import ResultsError
from haizea.accounting.foreign import swf_lines
from haizea.accounting.reader import Results
from haizea.cli.help import HELP
from haizea.times import parse_time

#: Not a table, and of one run.
_SWF = "swf"

_FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True)


@click.command("convert-data", context_settings=HELP)
@click.option(
    "-t",
    "--type",
    "what",
    type=click.Choice([*export.EXPORTS, _SWF]),
    help="Kind of data to print.",
)
@click.option("-c", "--counter", metavar="COUNTER", help="With -t counter: this counter alone.")
@click.option("-l", "--list-counters", is_flag=True, help="List the counters and print no data.")
@click.option(
    "--output",
    "form",
    type=click.Choice(list(export.WRITERS)),
    default="csv",
    show_default=True,
    help="The form of the data.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write to this file instead of printing."
)
@_FILES
def convert_data(
    what: str | None,
    counter: str | None,
    list_counters: bool,
    form: str,
    out: Path | None,
    files: tuple[str, ...],
) -> None:
    """Print what is in results files, as CSV or JSON.

    Of several files, all rows are printed below one header. The labels of each run, and
    the name of its file if there are several, are the last columns.

    \b
    per-lease     what became of each lease
    per-run       the figures of each run
    counter       counters over time (-c chooses one)
    reservations  who held how much of which host, when, and for what
    states        the story of each lease
    changes       what leases that were changed had asked for, were granted and refused
    batsim        the jobs table of Batsim, which evalys draws
    swf           one run in the Standard Workload Format, with the waits that came of it
    """
    if counter is not None and what != "counter":
        raise click.UsageError("-c goes with -t counter.")
    if what is None and not list_counters:
        raise click.UsageError("Say what to print: -t per-lease, or -l for the counters' names.")
    if what == _SWF and (len(files) > 1 or form != "csv"):
        raise click.UsageError("-t swf is of one run, and no other --output.")
    with _explained(), _opened(files) as opened:
        if list_counters:
            names = export.counter_names(opened)
            _write(out, files, lambda to: _list(names, form, to))
            return
        assert what is not None
        if what == _SWF:
            _write(out, files, lambda to: to.writelines(swf_lines(opened[0])))
            return
        table = export.export(what, opened, counter)
        write = export.WRITERS[form]
        _write(out, files, lambda to: write(table, to))


@click.command("summary", context_settings=HELP)
@click.option(
    "--output",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, or JSON for programs.",
)
@_FILES
def summary(form: str, files: tuple[str, ...]) -> None:
    """Print the figures of finished runs: leases, waiting times, utilization."""
    from haizea.accounting.summary import render, summarise

    with _explained():
        found = [(name, summarise(name)) for name in files]
    if form == "json":
        click.echo(json.dumps([{"file": name, **s.as_dict()} for name, s in found], indent=2))
        return
    click.echo("\n".join(render(s) for _, s in found), nl=False)


@click.command("gantt", context_settings=HELP)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write to this file instead of printing."
)
@click.option("--from", "start", metavar="TIME", help="Begin at this date and time, UTC.")
@click.option("--to", "end", metavar="TIME", help="End at this time.")
@click.argument("file", metavar="FILE")
def gantt(out: Path | None, start: str | None, end: str | None, file: str) -> None:
    """Draw the schedule of a run as SVG: hosts by time."""
    from haizea.accounting.gantt import gantt as draw

    with _explained(), Results(file) as results:
        picture = draw(results, _time("--from", start), _time("--to", end))
        _write(out, (file,), lambda to: _print(picture, to))


def _time(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


def _print(text: str, to: TextIO) -> None:
    to.write(text)


def _list(names: list[str], form: str, to: TextIO) -> None:
    to.write(json.dumps(names) + "\n" if form == "json" else "".join(f"{n}\n" for n in names))


@contextmanager
def _explained() -> Iterator[None]:
    """One message and exit status 2, also where no group of commands sees to it."""
    from haizea.cli.errors import WrongInput

    try:
        yield
    except ResultsError as error:
        raise WrongInput(str(error)) from error


@contextmanager
def _opened(files: tuple[str, ...]) -> Iterator[list[Results]]:
    opened = export.open_all(files)
    try:
        yield opened
    finally:
        for results in opened:
            results.close()


def _write(out: Path | None, files: tuple[str, ...], write: Callable[[TextIO], None]) -> None:
    """To ``out``, which appears when it is whole, or to standard output."""
    if out is None:
        write(sys.stdout)
        return
    if any(out.exists() and os.path.samefile(out, name) for name in files):
        raise ResultsError(f"{out}: this is one of the results files; name another file with -o")
    temporary = freshfile.create_beside(out, "data")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as to:
            write(to)
        freshfile.give_name(temporary, out, "data")
    except OSError as error:
        raise ResultsError(f"{out}: data cannot be written there: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
