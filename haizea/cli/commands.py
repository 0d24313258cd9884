"""The ``haizea`` command: sub-commands, and the old spelling ``haizea -c FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from haizea import __version__
from haizea.cli.errors import explained
from haizea.cli.groups import LazyGroup, Place
from haizea.cli.help import HELP
from haizea.cli.interrupts import ending_at_once

#: Modules are imported when their command is used, so that Haizea starts quickly.
COMMANDS = {
    "run": Place("run_command", "run", "Run a configuration."),
    "request": Place("request_command", "request", "Ask for a lease."),
    "list": Place("lease_commands", "list_leases", "List leases."),
    "show": Place("lease_commands", "show_lease", "Show a lease and its story."),
    "change": Place("change_command", "change_lease", "Change a lease."),
    "cancel": Place("lease_commands", "cancel_leases", "Cancel leases."),
    "queue": Place("site_commands", "show_queue", "Show who waits, and for how long."),
    "hosts": Place("site_commands", "list_hosts", "List the hosts and what is in use."),
    "maintenance": Place(
        "maintenance_command", "maintenance", "Take hosts out of use for a time, or drain them."
    ),
    "watch": Place("watch_command", "watch", "Show what happens, as it happens."),
    "status": Place("site_commands", "status", "Show how the service is."),
    "token": Place("token_command", "token", "Make, list and revoke tokens."),
    "opennebula": Place(
        "opennebula_command", "opennebula", "Haizea and OpenNebula: try, check, set up."
    ),
    "study": Place("study_command", "study", "Many runs from one file, tables and a report."),
    "sample-config": Place(
        "config_commands", "sample_config", "Print a commented sample configuration."
    ),
    "generate-configs": Place(
        "config_commands", "generate_configs", "Write the configurations of a study."
    ),
    "generate-scripts": Place(
        "config_commands", "generate_scripts", "Write a script that runs a study."
    ),
    "convert-data": Place("results_commands", "convert_data", "Print results as CSV, JSON or SWF."),
    "save-results": Place(
        "service_command", "save_results", "Save what a service has done as a results file."
    ),
    "summary": Place("results_commands", "summary", "Print the figures of finished runs."),
    "plot": Place("plot_command", "plot", "Draw figures of a run as SVG, PDF or PNG."),
    "gantt": Place("results_commands", "gantt", "Draw the schedule of a run as SVG."),
    "check-schedule": Place(
        "check_command", "check_schedule", "Test the schedule of a run against every rule."
    ),
    "generate-workload": Place(
        "workload_commands", "generate_workload", "Write a workload of random leases."
    ),
    "scale-workload": Place("scale_command", "scale_workload", "Multiply the load of a workload."),
    "lwf2xml": Place("workload_commands", "lwf2xml", "Convert plain-text leases to LWF."),
    "csv2lwf": Place("workload_commands", "csv2lwf", "Convert CSV leases to LWF."),
}


def load_command(name: str) -> click.Command:
    """The command called ``name`` in :data:`COMMANDS`."""
    return COMMANDS[name].load()


class _Explaining(LazyGroup):
    """The commands, with what goes wrong in them told in words."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with errors explained."""
        with explained():
            return super().invoke(ctx)


@click.group(
    cls=_Explaining,
    places=COMMANDS,
    invoke_without_command=True,
    context_settings=HELP,
)
@click.option(
    "-c",
    "--conf",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Run this configuration (as 'run').",
)
@click.option(
    "--fg", is_flag=True, help="With -c: stay in the foreground, with the log on the terminal."
)
@click.option("--stop", is_flag=True, help="With -c: end the daemon that runs the configuration.")
@click.option(
    "--new-store",
    is_flag=True,
    help="With -c: begin with a new store, though the service had one that is not there now.",
)
@click.version_option(__version__, prog_name="haizea")
@click.pass_context
def cli(ctx: click.Context, conf: Path | None, fg: bool, stop: bool, new_store: bool) -> None:
    """Haizea, a lease manager with advance reservations.

    'haizea COMMAND --help' explains a command, 'haizea sample-config' prints a
    configuration to start from.
    """
    if ctx.invoked_subcommand is not None:
        if conf is not None or fg or stop or new_store:
            ctx.fail("-c, --fg, --stop and --new-store go without a command.")
    elif conf is not None:
        ctx.exit(_run_or_stop(conf, fg, stop, new_store))
    elif fg or stop or new_store:
        ctx.fail("--fg, --stop and --new-store need a configuration: add -c FILE.")
    else:
        click.echo(ctx.get_help())
        ctx.exit(2)


def _run_or_stop(conf: Path, foreground: bool, stop: bool, new_store: bool) -> int:
    """Run a configuration as the old command did: a service detaches, unless told not to."""
    with ending_at_once():
        from haizea.cli.service_command import start_service, stop_service
        from haizea.config import load

    if stop:
        return stop_service(conf)
    config = load(conf)
    if config.is_service:
        return start_service(config, foreground=foreground, new_store=new_store)
    with ending_at_once():
        from haizea.cli.run_command import run_configuration

    return run_configuration(conf)
