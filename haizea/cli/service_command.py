"""``haizea -c FILE`` for a service: start it, detached or not, and end it."""

from __future__ import annotations

from pathlib import Path

import click

from haizea.cli.errors import WrongInput, missing_extra
from haizea.cli.help import HELP
from haizea.config import Config, find_state_directory, load
from haizea.config.words import Mode
from haizea.loop import collecting_rarely
from haizea.service.stopping import NotStopped, stop


def start_service(config: Config, *, foreground: bool, new_store: bool = False) -> int:
    """Run the service of a configuration, or start it in a process of its own.

    With ``new_store``, also where the one that it had is not there any more.

    Raises :class:`haizea.cli.errors.WrongInput` where it cannot begin.
    """
    try:
        # There is no garbage in what is imported, and looking for it took a sixth of the time.
        with collecting_rarely():
            from haizea.service import daemon
    except ModuleNotFoundError as error:
        told = missing_extra(error, f"{config.path}: a service", _extras(config))
        if told is None:
            raise
        raise told from error
    from haizea.runtime import RunError

    try:
        if not foreground:
            return daemon.detach(config, new_store=new_store)
        log = config.general.logfile
        return daemon.serve(config, log=log, ready=_nothing, new_store=new_store)
    except RunError as error:
        raise WrongInput(str(error)) from error


def stop_service(path: Path) -> int:
    """End the service of the configuration in this file; the exit status.

    What is wrong in the file keeps it from that only where it leaves open which service it is.
    """
    directory, problem = find_state_directory(path)
    if problem is not None:
        click.echo(f"Warning: the service could not be started again:\n{problem}", err=True)
    try:
        click.echo(f"Haizea: {stop(path, directory)}")
    except NotStopped as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    return 0


@click.command("save-results", context_settings=HELP)
@click.argument("configuration", type=click.Path(path_type=Path))
@click.argument("datafile", type=click.Path(path_type=Path))
def save_results(configuration: Path, datafile: Path) -> None:
    """Save what a service has done so far as the results file DATAFILE.

    CONFIGURATION is the service's, which may run meanwhile. All that reads the results of a
    simulation reads such a file: 'haizea summary', 'gantt', 'convert-data' and
    'check-schedule'.
    """
    from haizea.accounting.errors import ResultsError
    from haizea.runtime import RunError
    from haizea.service.results import save
    from haizea.store import StoreError

    config = load(configuration)
    if not config.is_service:
        raise WrongInput(f"{configuration} is of a simulation, which saves its results itself")
    try:
        count = save(config, datafile)
    except (RunError, StoreError, ResultsError) as error:
        raise WrongInput(str(error)) from error
    click.echo(f"{count} decisions are in {datafile}")


def _extras(config: Config) -> list[str]:
    """The extras that the service of a configuration needs, so that they are told at once."""
    wanted = []
    if config.general.mode is Mode.OPENNEBULA:
        wanted.append("opennebula")
    if str(config.general.persistence_file).startswith("postgresql"):
        wanted.append("postgresql")
    return wanted or ["service"]


def _nothing(url: str) -> None:
    """The log says it."""
