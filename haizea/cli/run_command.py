"""``haizea run``: run what a configuration file describes."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from haizea.accounting.errors import ResultsError
from haizea.cli.errors import WrongInput
from haizea.cli.help import HELP
from haizea.cli.progress import ProgressBar
from haizea.cli.service_command import start_service
from haizea.clock import Clock
from haizea.config import Config, load
from haizea.config.combinations import combinations
from haizea.config.words import LogLevel
from haizea.loop import Observer, collecting_rarely
from haizea.report import LEVELS, STATUS, ClockFormatter, DecisionLog, StatusLog
from haizea.runtime import RunError, RunOutcome, Simulation, Status
from haizea.times import format_utc


@click.command("run", context_settings=HELP)
@click.argument("configuration", type=click.Path(path_type=Path))
@click.option(
    "--datafile",
    type=click.Path(path_type=Path),
    help="Save the results here rather than where the configuration says.",
)
@click.option(
    "--loglevel",
    type=click.Choice(list(LEVELS)),
    help="Log this much rather than what the configuration says.",
)
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output when the run is over.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def run(
    ctx: click.Context,
    configuration: Path,
    datafile: Path | None,
    loglevel: str | None,
    output: str,
    quiet: bool,
) -> None:
    """Run what the file CONFIGURATION describes.

    A service stays in the foreground until Ctrl-C; 'haizea -c CONFIGURATION' detaches it.
    On a terminal, a bar shows how far a simulation is. Ctrl-C ends it in good order: the
    results so far are saved, and marked as interrupted. Exit status: 0 the run is
    complete, 1 it failed, 2 it could not begin, 130 it was interrupted.
    """
    ctx.exit(
        run_configuration(
            configuration, datafile=datafile, loglevel=loglevel, output=output, quiet=quiet
        )
    )


def run_configuration(
    path: Path,
    *,
    datafile: Path | None = None,
    loglevel: str | None = None,
    output: str = "table",
    quiet: bool = False,
) -> int:
    """Run the configuration in the file and return the exit status of the command.

    ``datafile`` and ``loglevel`` take the place of what the file says. A run that fails
    tells why on standard error.

    Raises :class:`haizea.cli.errors.WrongInput`, :class:`haizea.config.ConfigError` or
    :class:`OSError` where the run cannot begin. What a run raises with
    ``lease-failure-handling: exit-raise`` passes through, for whoever looks for a bug.
    """
    config = _load(path, datafile, loglevel)
    if config.is_service:
        return start_service(config, foreground=True)
    try:
        with collecting_rarely():
            simulation = Simulation(config)
        for note in simulation.notes:
            click.echo(f"Note: {note}", err=True)
        with _log(config, simulation.clock, quiet) as logger:
            return _run(simulation, config, logger, output, quiet)
    except RunError as error:
        raise WrongInput(str(error)) from error
    except ResultsError as error:
        click.echo(f"Error: {error}", err=True)
        return 1


def _load(path: Path, datafile: Path | None, loglevel: str | None) -> Config:
    config = load(path)
    if loglevel is not None:
        config = replace(config, general=replace(config.general, loglevel=LogLevel(loglevel)))
    if datafile is not None:
        config = replace(config, accounting=replace(config.accounting, datafile=datafile))
        for conflict in combinations(config, ()):
            if conflict.place == ("accounting", "datafile"):
                raise WrongInput(f"--datafile {datafile}: {conflict.what}")
    return config


def _run(
    simulation: Simulation, config: Config, logger: logging.Logger, output: str, quiet: bool
) -> int:
    observers: list[Observer] = []
    if logger.isEnabledFor(logging.INFO):
        observers.append(DecisionLog(logger, simulation.site))
    minutes = config.simulation.status_message_minutes
    if minutes is not None:
        start = config.simulation.starttime
        observers.append(StatusLog(logger, simulation.tally, simulation.total, start, minutes * 60))
    bar = None
    if not quiet and sys.stderr.isatty() and _leaves_terminal_alone(config):
        bar = ProgressBar(sys.stderr, simulation.tally, simulation.total)
        observers.append(bar)
    with _interruptible(simulation) as caught, collecting_rarely():
        try:
            outcome = simulation.run(observers)
        finally:
            if bar is not None:
                bar.erase()
    logger.log(STATUS, "the run is %s; %s", outcome.status, _leases(outcome))
    if not quiet:
        click.echo(_as_json(outcome) if output == "json" else _as_table(outcome))
    if outcome.message:
        click.echo(f"Error: {outcome.message}", err=True)
    return 128 + caught[0] if outcome.status is Status.INTERRUPTED else outcome.exit_status


def _leaves_terminal_alone(config: Config) -> bool:
    """Tell whether the log has no lines that would run into a progress bar."""
    if config.general.logfile is not None:
        return True
    quiet = config.general.loglevel is LogLevel.STATUS
    return quiet and config.simulation.status_message_minutes is None


@contextmanager
def _interruptible(simulation: Simulation) -> Iterator[list[int]]:
    """End the simulation in good order when a signal asks for it; yields the signals caught."""
    caught: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        caught.append(number)
        simulation.interrupt()

    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread may set handlers
        return
    before = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _log(config: Config, clock: Clock, quiet: bool) -> Iterator[logging.Logger]:
    """The logger of a run: to the log file or, unless ``quiet``, to standard error."""
    handler: logging.Handler
    path = config.general.logfile
    if path is not None:
        try:
            handler = logging.FileHandler(path, mode="w", encoding="utf-8")
        except OSError as error:
            raise WrongInput(
                f"{config.path}: [general] logfile: {path} cannot be written: {error.strerror}"
            ) from None
    elif quiet:
        handler = logging.NullHandler()
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ClockFormatter(clock))
    logger = logging.getLogger("haizea")
    before = logger.level, logger.propagate
    logger.setLevel(LEVELS[config.general.loglevel])
    if quiet and path is None:
        logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.setLevel(before[0])
        logger.propagate = before[1]


def _as_table(outcome: RunOutcome) -> str:
    """The figures in the results file; without one, what the run itself knows."""
    if outcome.datafile is not None:
        from haizea.accounting.summary import render, summarise

        return f"{render(summarise(outcome.datafile))}\nResults: {outcome.datafile}"
    return (
        f"Run: {outcome.status}\n"
        f"{format_utc(outcome.started)} to {format_utc(outcome.ended)}\n"
        f"Leases: {_leases(outcome)}\n"
        "No results were saved: the configuration names no datafile"
    )


def _as_json(outcome: RunOutcome) -> str:
    from haizea.accounting.summary import summarise

    datafile = outcome.datafile
    return json.dumps(
        {
            "status": outcome.status.value,
            "started": outcome.started,
            "ended": outcome.ended,
            "leases": outcome.total,
            "states": {state.value: count for state, count in outcome.states.items()},
            "message": outcome.message,
            "datafile": None if datafile is None else str(datafile),
            "summary": None if datafile is None else summarise(datafile).as_dict(),
        },
        indent=2,
    )


def _leases(outcome: RunOutcome) -> str:
    submitted = sum(outcome.states.values())
    states = ", ".join(f"{count} {state}" for state, count in outcome.states.items())
    return f"{submitted} of {outcome.total} submitted" + (f": {states}" if states else "")
