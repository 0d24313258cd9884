"""The command that tests a run's schedule against every rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from haizea.checker import DiskFailed, Report, UnreadableResults, Violation, check_file
from haizea.cli.help import HELP
from haizea.times import format_utc

#: Exit status: a rule is broken; the file cannot be read.
BROKEN, UNREADABLE = 1, 2


@click.command("check-schedule", context_settings=HELP)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)
@click.pass_context
def check_schedule(context: click.Context, file: Path, form: str) -> None:
    """Test the results FILE of a run against every rule of the schedule.

    Reads the file alone, and changes nothing. Each violation is printed with rule, lease,
    host and time. Exit status: 0 if there is none, 1 if there is any, 2 if FILE is not a
    results file, or there is no room for temporary files.
    """
    try:
        report = check_file(file)
    except UnreadableResults as error:
        click.echo(f"Error: {file}: {error}. Give the datafile of a run.", err=True)
        context.exit(UNREADABLE)
    except DiskFailed as error:
        click.echo(f"Error: {file}: {error}.", err=True)
        context.exit(UNREADABLE)
    if form == "json":
        click.echo(json.dumps(_as_json(file, report), indent=2))
    else:
        for line in _lines(file, report):
            click.echo(line)
    if report.violations:
        context.exit(BROKEN)


def _lines(file: Path, report: Report) -> Iterable[str]:
    records = report.records
    for violation in report.violations:
        yield _line(violation, records.host_name(violation.host))
    for note in report.notes:
        yield f"note: {note}"
    count = len(report.violations)
    found = {0: "no violation", 1: "1 violation"}.get(count, f"{count} violations")
    yield f"{file}: {records.leases} leases, {found}"


def _line(violation: Violation, host: str | None) -> str:
    where = [violation.rule.value]
    if violation.lease is not None:
        where.append(f"lease {violation.lease}")
    if host is not None:
        where.append(f"host {host}")
    if violation.time is not None:
        where.append(_moment(violation.time))
    return f"{', '.join(where)}: {violation.message}"


def _moment(seconds: int) -> str:
    """The time in UTC, and in seconds since the epoch as the results file has it."""
    return f"{format_utc(seconds)} ({seconds})"


def _as_json(file: Path, report: Report) -> dict[str, Any]:
    return {
        "file": str(file),
        "leases": report.records.leases,
        "violations": [
            {
                "rule": violation.rule.value,
                "lease": violation.lease,
                "host": report.records.host_name(violation.host),
                "time": violation.time,
                "message": violation.message,
            }
            for violation in report.violations
        ],
        "notes": list(report.notes),
    }
