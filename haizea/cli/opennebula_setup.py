"""``haizea opennebula check`` and ``install-driver``: for administrators of a real cloud."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haizea.cli.errors import WrongInput
from haizea.cli.help import HELP
from haizea.cli.opennebula_access import DEFAULT_ENDPOINT, session_from
from haizea.cli.tables import clean, coloured

if TYPE_CHECKING:
    from haizea.backends.opennebula.site.setup_check import Finding, Setup
    from haizea.config import Config

_CONF = click.option(
    "-c",
    "--conf",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The configuration that Haizea runs with.",
)


@click.command("check", context_settings=HELP)
@_CONF
@click.option(
    "--endpoint",
    envvar="ONE_XMLRPC",
    metavar="URL",
    help=f"Without --conf: where OpenNebula is. Also: ONE_XMLRPC.  [default: {DEFAULT_ENDPOINT}]",
)
@click.option(
    "--one-auth",
    envvar="ONE_AUTH",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The credentials, as Haizea will have them. Also: ONE_AUTH.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(conf: Path | None, endpoint: str | None, one_auth: Path | None, output: str) -> None:
    """Say what is right and wrong in a set-up of Haizea with OpenNebula.

    Run it as the user that Haizea runs as, on the machine that it runs on. It changes nothing.
    The exit status is 1 if something is wrong.

    \b
    Example:
      haizea opennebula check -c /etc/haizea.conf
    """
    from haizea.backends.opennebula.model.errors import OpenNebulaError
    from haizea.backends.opennebula.site.setup_check import Verdict, check_setup
    from haizea.backends.opennebula.wire.client import Client
    from haizea.backends.opennebula.wire.connection import ConnectionSettings, RetrySettings

    setup = _setup(conf, endpoint)
    session = session_from(one_auth)
    retry = RetrySettings(attempts=2, backoff_seconds=0.2)
    findings = []
    try:
        connection = ConnectionSettings(connect_seconds=5.0, certificates=setup.certificates)
        with Client(setup.url, session, connection=connection, retry=retry) as client:
            for finding in check_setup(client, setup, time.time):
                findings.append(finding)
                if output == "text":
                    click.echo(_told(finding))
    except OpenNebulaError as error:
        raise WrongInput(str(error)) from None
    if output == "json":
        click.echo(json.dumps(_as_json(findings), indent=2))
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        raise click.exceptions.Exit(1)


def _setup(conf: Path | None, endpoint: str | None) -> Setup:
    from haizea.backends.opennebula.site.setup_check import Setup
    from haizea.backends.opennebula.wire.address import address_of
    from haizea.config import load

    if conf is not None:
        return _configured(load(conf))
    where = address_of(url=endpoint or DEFAULT_ENDPOINT)
    return Setup(url=where.url, events=where.events, processes=_processes(where.host))


def _configured(config: Config) -> Setup:
    from haizea.backends.opennebula.site.setup_check import Setup
    from haizea.config.opennebula import PreemptWith
    from haizea.service.opennebula_section import address, waits_in

    section = config.opennebula
    if section.host is None and section.url is None:
        raise WrongInput(f"{config.path}: [opennebula] has no host: this is of no OpenNebula")
    where = address(section)
    processes = _processes(where.host)
    return Setup(
        url=where.url,
        events=where.events,
        suspends=section.preempt_with is PreemptWith.SUSPEND,
        waits_in=waits_in(section),
        processes=processes,
        placers=None if processes is None else _placers(),
        wake=_wake(config.service.state_directory),
        certificates=None if section.certificates is None else str(section.certificates),
    )


def _processes(host: str) -> Path | None:
    """Return the directory of this machine's processes, if ``host`` is this machine."""
    directory = Path("/proc")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return directory if local and (directory / "self/comm").exists() else None


def _placers() -> Path:
    """Return the directory of the placers of OpenNebula on this machine."""
    home = os.environ.get("ONE_LOCATION")
    return (Path(home) / "var" if home else Path("/var/lib/one")) / "remotes/scheduler"


def _wake(state_directory: Path) -> Path:
    """The socket at which a placer knocks."""
    from haizea.backends.opennebula.site.placer import SOCKET_NAME

    return state_directory.expanduser().absolute() / SOCKET_NAME


def _told(finding: Finding) -> str:
    text = f"{coloured(f'{finding.verdict.value:<8}')}  {finding.what}: {clean(finding.text)}"
    return f"{text}\n          {clean(finding.advice)}" if finding.advice else text


def _as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "what": finding.what,
            "verdict": finding.verdict.value,
            "text": finding.text,
            "advice": finding.advice,
        }
        for finding in findings
    ]


# --- install-driver -------------------------------------------------------------------------


@click.command("install-driver", context_settings=HELP)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@_CONF
def install_driver(directory: Path, conf: Path | None) -> None:
    """Write a placer for OpenNebula 7 into DIR; it wakes Haizea and places nothing.

    DIR is a new directory below OpenNebula's remotes/scheduler; its name is the placer's. What
    has to be in oned.conf is printed. Haizea and OpenNebula must run on the same machine, as
    the same user.

    \b
    Example:
      haizea opennebula install-driver /var/lib/one/remotes/scheduler/haizea \\
          -c /etc/haizea.conf
    """
    from haizea.backends.opennebula.site.placer import (
        PlacerError,
        install_placer,
        lines_for_oned,
    )
    from haizea.config import load

    if conf is None:
        state = Path("~/.haizea")
    else:
        state = load(conf).service.state_directory
    wake = _wake(state)
    directory = directory.absolute()
    try:
        install_placer(directory, wake)
    except PlacerError as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{directory} has the placer; it knocks at {wake}.\n\n"
        "In oned.conf, write in the place of SCHED_MAD:\n\n"
        f"{lines_for_oned(directory.name)}\n"
        "and restart OpenNebula: systemctl restart opennebula. VMs are then pending until Haizea"
        " starts them:\nits own configuration needs vm-states: pending in [opennebula]."
    )
