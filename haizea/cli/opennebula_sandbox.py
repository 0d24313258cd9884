"""``haizea opennebula sandbox``: an OpenNebula on this machine, and all that goes with it."""

from __future__ import annotations

import re
import secrets
import shlex
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haizea.cli.access import DEFAULT_PORT
from haizea.cli.errors import WrongInput
from haizea.cli.help import HELP
from haizea.files import write_private

if TYPE_CHECKING:
    from haizea.sandbox.server import Options, Sandbox

#: The versions that the sandbox's answers were compared with.
_SHORT_VERSIONS = {"1.4": "1.4.0", "6.10": "6.10.5", "7.4": "7.4.0"}
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST_HOSTS = 10_000

_MARK = "# Written by 'haizea opennebula sandbox', anew at each start; without this line it stays."

_CONFIGURATION = """\
{mark}
[general]
mode: opennebula
loglevel: INFO
persistence-file: {directory}/leases.db

[scheduling]
# Reservations preempt best-effort leases, which are suspended and go on later.
policy-preemption: ar-preempts-everything
suspension: all
migration: yes
backfilling: aggressive
backfilling-reservations: 1
wakeup-interval: 10
non-schedulable-interval: 2

[opennebula]
host: 127.0.0.1
port: {port}
{more}
[service]
listen: 127.0.0.1:{service_port}
state-directory: {directory}/service
"""

_ENVIRONMENT = """\
export ONE_AUTH={auth}
export ONE_XMLRPC={url}
export HAIZEA_SERVER=http://127.0.0.1:{service_port}
"""


def _version(text: str) -> str:
    version = _SHORT_VERSIONS.get(text, text)
    if not re.fullmatch(r"(1\.4|[567]\.\d{1,3})(\.\d{1,3})?", version):
        raise click.BadParameter(f"{text!r}: write 1.4, 6.10, 7.4, or another from 5 to 7")
    return version


def _users(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if not _USER.fullmatch(name) or name in ("oneadmin", "serveradmin", "one"):
            raise click.BadParameter(f"{name!r} cannot be the name of a user")
    return names


@click.command("sandbox", context_settings=HELP)
@click.option(
    "--version",
    default="6.10",
    show_default=True,
    callback=lambda ctx, param, text: _version(text),
    metavar="VERSION",
    help="Version of OpenNebula: 1.4, 6.10, 7.4, or another from 5 to 7.",
)
@click.option(
    "--hosts",
    default=4,
    show_default=True,
    type=click.IntRange(0, _MOST_HOSTS),
    metavar="N",
    help="Number of hosts.",
)
@click.option(
    "--cpu", default=8, show_default=True, type=click.IntRange(1, 10**4), help="Cores of a host."
)
@click.option(
    "--memory",
    default=16384,
    show_default=True,
    type=click.IntRange(1, 10**8),
    help="MB of a host.",
)
@click.option(
    "--users",
    default="alice,bob",
    show_default=True,
    callback=lambda ctx, param, text: _users(text),
    metavar="NAMES",
    help="Its users beside oneadmin.",
)
@click.option(
    "--port",
    default=2633,
    show_default=True,
    type=click.IntRange(0, 65535),
    envvar="HAIZEA_SANDBOX_PORT",
    help="Port of XML-RPC; 0 for any that is free.",
)
@click.option(
    "--events-port",
    default=2101,
    show_default=True,
    type=click.IntRange(0, 65535),
    envvar="HAIZEA_SANDBOX_EVENTS_PORT",
    help="Port of its events; 0 for any that is free.",
)
@click.option("--no-events", is_flag=True, help="Publish no events.")
@click.option(
    "--service-port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    envvar="HAIZEA_SANDBOX_SERVICE_PORT",
    help="Address at which Haizea will listen.",
)
@click.option(
    "--speed", default=1.0, show_default=True, help="Seconds that pass in it in a real second."
)
@click.option("--pace", default=1.0, show_default=True, help="Factor on the time of operations.")
@click.option(
    "--image-rate",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0, max=1e6),
    metavar="MB/S",
    help="Rate at which images are copied to hosts; 0: they are there at once.",
)
@click.option(
    "--spread",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0, max=90),
    metavar="PERCENT",
    help="Images are copied and VMs boot faster or slower by up to so much, by chance.",
)
@click.option(
    "--fail",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0, max=100),
    metavar="PERCENT",
    help="Part of the steps of operations that fail, by chance.",
)
@click.option("--hold", is_flag=True, help="VMs wait in HOLD, as with VM_SUBMIT_ON_HOLD.")
@click.option("--stock-scheduler", is_flag=True, help="Have its own scheduler place VMs, too.")
@click.option("--keep", is_flag=True, help="Go on at the next start where this one ends.")
@click.option(
    "-d",
    "--directory",
    default="haizea-sandbox",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of its files: credentials and a configuration.",
)
def sandbox(directory: Path, service_port: int, keep: bool, **given: Any) -> None:
    """Play an OpenNebula on this machine, until Ctrl-C.

    It speaks OpenNebula's XML-RPC and publishes its events; there are no real VMs. What Haizea
    needs to be its scheduler is written into a directory, and what to type next is printed.

    \b
    Examples:
      haizea opennebula sandbox
      haizea opennebula sandbox --hosts 20 --cpu 16 --version 7.4 --hold
    """
    from haizea.sandbox.events import EventsError
    from haizea.sandbox.saved import StateFileError
    from haizea.sandbox.server import Sandbox

    if given["pace"] <= 0:
        raise click.UsageError(f"--pace must be above 0, not {given['pace']:g}.")
    files = _Files(directory.absolute())
    files.prepare(keep=keep)
    try:
        _serve(Sandbox(_options(files, keep=keep, **given)), files, service_port)
    except OSError as error:
        raise click.ClickException(_cannot_start(error, given["port"])) from None
    except (EventsError, StateFileError, ValueError) as error:
        raise click.ClickException(f"the sandbox cannot start: {error}") from None


def _options(
    files: _Files,
    *,
    keep: bool,
    version: str,
    hosts: int,
    cpu: int,
    memory: int,
    users: tuple[str, ...],
    port: int,
    events_port: int,
    no_events: bool,
    speed: float,
    pace: float,
    image_rate: float,
    spread: float,
    fail: float,
    hold: bool,
    stock_scheduler: bool,
) -> Options:
    from haizea.sandbox.faults import Chances
    from haizea.sandbox.operations import Durations
    from haizea.sandbox.server import HostSpec, Options

    width = max(2, len(str(hosts)))
    silent = no_events or version.startswith(("1.", "5."))
    return Options(
        version=version,
        host_count=0,
        hosts=tuple(
            HostSpec(name=f"node{number:0{width}}", cpu_percent=100 * cpu, memory_mb=memory)
            for number in range(1, hosts + 1)
        ),
        oneadmin_password=files.password("one", keep),
        users=tuple((name, files.password(name, keep)) for name in users),
        port=port,
        events_port=None if silent else events_port,
        speed=speed,
        durations=Durations(prolog_mbps=image_rate, spread=spread / 100).scaled(pace),
        chances=Chances(fail=fail / 100),
        submit_on_hold=hold,
        stock_scheduler_seconds=1.0 if stock_scheduler else None,
        state_file=files.cloud if keep else None,
    )


def _cannot_start(error: OSError, port: int) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"the sandbox cannot listen on port {port}: {reason}; choose another with --port"


def _serve(made: Sandbox, files: _Files, service_port: int) -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with made:
        kept = files.write(made, service_port)
        click.echo("\n".join(_told(made, files, kept)))
        done.wait()
    click.echo("The sandbox has ended.")


def _told(made: Sandbox, files: _Files, kept: bool) -> list[str]:
    shown, options = files.shown, made.options
    auth = ", ".join(f"{name} in {shown}/{name}_auth" for name, _ in options.users)
    count = len(made.cloud.hosts)
    return [
        f"OpenNebula {options.version}, a sandbox with {count} host{'' if count == 1 else 's'}",
        f"  XML-RPC      {made.url}",
        f"  events       {made.events_url or 'none'}",
        f"  credentials  oneadmin in {shown}/one_auth{auth and ', ' + auth}",
        *([f"  {shown}/haizea.conf was changed by somebody, and stays as it is"] if kept else []),
        "",
        "Next, in another terminal:",
        f"  . {shown}/environment              # where all is, for this terminal",
        f"  haizea -c {shown}/haizea.conf      # Haizea becomes its scheduler",
        "  haizea opennebula submit --start +00:01:00 --duration 00:05:00",
        "  haizea opennebula vms",
        f"  haizea -c {shown}/haizea.conf --stop",
        "",
        "Ctrl-C ends the sandbox.",
    ]


class _Files:
    """Files in the sandbox's directory, which its user alone can read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.cloud = directory / "cloud.db"
        here = Path.cwd()
        inside = directory.is_relative_to(here)
        self.shown = str(directory.relative_to(here)) if inside else str(directory)

    def prepare(self, *, keep: bool) -> None:
        """Make the directory. Leases of VMs that are forgotten are forgotten, too."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not keep:
                for path in self._directory.glob("leases.db*"):
                    path.unlink()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise WrongInput(f"{error.filename}: {reason}") from None

    def password(self, name: str, keep: bool) -> str:
        """The user's password: where the cloud is kept, the one that it knows."""
        path = self._auth(name)
        if keep and self.cloud.exists() and path.exists():
            return path.read_text(encoding="utf-8").strip().partition(":")[2]
        password = secrets.token_hex(8)
        user = "oneadmin" if name == "one" else name
        write_private(path, f"{user}:{password}\n")
        return password

    def write(self, made: Sandbox, service_port: int) -> bool:
        """Configuration and environment; whether the configuration stayed as it was."""
        here = self._directory
        environment = _ENVIRONMENT.format(
            auth=shlex.quote(str(self._auth("one"))), url=made.url, service_port=service_port
        )
        write_private(here / "environment", environment)
        path = here / "haizea.conf"
        if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
            return True
        configuration = _CONFIGURATION.format(
            mark=_MARK,
            directory=here,
            port=made.port,
            more=_more(made),
            service_port=service_port,
        )
        write_private(path, configuration)
        return False

    def _auth(self, name: str) -> Path:
        return self._directory / f"{name}_auth"


def _more(made: Sandbox) -> str:
    """Return what ``[opennebula]`` says beside where it is."""
    states = "hold" if made.options.submit_on_hold else "pending"
    lines = [f"events: {made.events_url or 'none'}", f"vm-states: {states}"]
    return "\n".join(lines) + "\n"
