"""``haizea study``: many runs from one file, and what comes of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haizea.accounting.summary import duration
from haizea.cli.errors import WrongInput
from haizea.cli.groups import LazyGroup, Place
from haizea.cli.help import HELP
from haizea.cli.interrupts import INTERRUPTED
from haizea.cli.progress import RunsBar

if TYPE_CHECKING:
    from haizea.study.description import Study
    from haizea.study.directory import StudyDirectory
    from haizea.study.execution import Executor
    from haizea.study.expansion import Run
    from haizea.study.running import Plan, Report

FILE = click.Path(path_type=Path)

#: So many of the runs that failed are told of; all are in the study's directory.
_MOST_TOLD = 5


@click.command("run", context_settings=HELP)
@click.argument("file", type=FILE)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 1024),
    help="Runs at the same time.  [default: one for each processor]",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Make the runs on a Dask cluster: the address of its scheduler, as in"
    " tcp://head:8786, or local for one that is started for it here.",
)
@click.option("-d", "--dir", "directory", type=FILE, help="Keep the results here instead.")
@click.option("-n", "--dry-run", is_flag=True, help="Tell how many runs, how long, how large.")
@click.pass_context
def study_run(
    ctx: click.Context,
    file: Path,
    jobs: int | None,
    dask: str | None,
    directory: Path | None,
    dry_run: bool,
) -> None:
    """Make the runs of the study that FILE describes, and write its tables.

    FILE is YAML (docs/studies.md), or a multi-configuration with a section [multi].
    Runs that are finished are not made again, whatever ended the command: type it
    once more and it goes on. A run that fails is told of, and stops no other. Exit
    status: 0 all runs are finished, 1 some failed, 2 wrong input, 130 interrupted.
    """
    with _explained():
        from haizea.study.directory import StudyDirectory
        from haizea.study.expansion import read_runs
        from haizea.study.processes import processors
        from haizea.study.running import plan

        study, runs = read_runs(file)
        kept = StudyDirectory(directory or study.results)
        workers = jobs or processors()
        if dry_run:
            click.echo(_as_words(plan(kept, runs), workers))
            return
        ctx.exit(_run(study, runs, kept, workers, dask))


def _run(
    study: Study, runs: list[Run], kept: StudyDirectory, workers: int, dask: str | None
) -> int:
    from haizea.study.running import run_study

    bar = RunsBar(sys.stderr) if sys.stderr.isatty() else None
    began = time.monotonic()
    with kept.alone(), _executor(kept, runs, workers, dask) as executor:
        try:
            told = bar.tell if bar is not None else _silent
            report = run_study(study, kept, runs, executor, told)
        except KeyboardInterrupt:
            if bar is not None:
                bar.erase()
            click.echo("interrupted; the same command goes on with the rest", err=True)
            return INTERRUPTED
    if bar is not None:
        bar.erase()
    _tell(report, runs, kept, time.monotonic() - began)
    return 1 if report.failed else 0


@contextmanager
def _executor(
    kept: StudyDirectory, runs: list[Run], workers: int, dask: str | None
) -> Iterator[Executor]:
    """Whoever makes the runs: processes here, or a cluster."""
    if dask is None:
        from haizea.study.processes import Processes

        yield Processes(kept, workers)
        return
    from haizea.study.cluster import Cluster, connected

    with connected(dask, workers) as client:
        yield Cluster(kept, client, runs)


def _silent(over: int, total: int, failed: int, seconds: float) -> None:
    """Nobody looks."""


def _tell(report: Report, runs: list[Run], kept: StudyDirectory, seconds: float) -> None:
    whole = len(runs) - len(report.failed)
    click.echo(
        f"{whole} of {len(runs)} runs are finished, {report.made} of them made now,"
        f" in {duration(seconds)}"
    )
    click.echo(f"Tables: {kept.path}: runs.parquet, leases.parquet, levels.parquet")
    for run, failure in report.failed[:_MOST_TOLD]:
        click.echo(f"\nRun {run.number} failed ({run.name}): {failure.message}", err=True)
        if failure.output.strip():
            click.echo("".join(f"    {x}\n" for x in failure.output.splitlines()[-15:]), err=True)
    if report.failed:
        place = kept.file(report.failed[0][0].digest, "failed")
        click.echo(
            (
                f"1 run failed; its output is beside the results, in {place}. The same command"
                " tries it again"
                if len(report.failed) == 1
                else f"{len(report.failed)} runs failed; their output is beside the results, as in"
                f" {place}. The same command tries them again"
            ),
            err=True,
        )


def _as_words(plan: Plan, workers: int) -> str:
    """The plan, for --dry-run."""
    missing = len(plan.missing)
    lines = [f"{len(plan.runs)} runs, {plan.different} of them different"]
    lines.append(f"{plan.different - missing} are finished, {missing} are to be made")
    if missing and plan.seconds_per_run is None:
        lines.append("How long and how large they are is known once one is finished")
    elif missing:
        assert plan.seconds_per_run is not None
        assert plan.bytes_per_run is not None
        seconds = plan.seconds_per_run * missing / min(workers, missing)
        size = plan.bytes_per_run * missing / 1e6
        each = f"{plan.seconds_per_run:.2f} s and {plan.bytes_per_run / 1e6:.2f} MB each"
        lines.append(
            f"About {duration(seconds)} on {workers} processors, and {size:.1f} MB ({each})"
        )
    return "\n".join(lines)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what is wrong with a study, or missing for one, into one message."""
    try:
        from haizea.study.directory import StudyError

        try:
            yield
        except StudyError as error:
            raise WrongInput(str(error)) from error
    except ModuleNotFoundError as error:
        from haizea.cli.errors import missing_extra

        told = missing_extra(error, "haizea study")
        if told is None:
            raise
        raise told from error


@click.command("report", context_settings=HELP)
@click.argument("file", type=FILE)
@click.option("-d", "--dir", "directory", type=FILE, help="Folder of the results of 'study run'.")
@click.option(
    "-o",
    "--out",
    type=FILE,
    help="The directory to write to.  [default: report/ in that of the results]",
)
def study_report(file: Path, directory: Path | None, out: Path | None) -> None:
    """Draw the figures of the study that FILE describes, from its finished runs.

    report.html has all of them and needs no network; figures/ has each as SVG, PDF
    and CSV.
    """
    with _explained():
        from haizea.study.expansion import read_runs
        from haizea.study.reporting import write_report

        study, runs = read_runs(file)
        kept = directory or study.results
        to = out or kept / "report"
        figures = write_report(kept, runs, to)
        click.echo(f"{len(figures)} figures: {to / 'report.html'}, and in {to / 'figures'}")


#: The commands of the group.
COMMANDS = {
    "run": Place("study_command", "study_run", "Make the runs of a study."),
    "report": Place("study_command", "study_report", "Draw the figures of a study, on one page."),
}


@click.group("study", cls=LazyGroup, places=COMMANDS, context_settings=HELP)
def study() -> None:
    """Make the runs of one file, and report on them."""
