"""``haizea opennebula submit`` and ``vms``: VMs for those who have no other tools at hand."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haizea.cli.errors import WrongInput
from haizea.cli.help import HELP
from haizea.cli.opennebula_access import client_of, reaches_opennebula
from haizea.cli.tables import Column, table, terminal_width

if TYPE_CHECKING:
    from haizea.backends.opennebula.model.vm import VirtualMachine

_MOST_TEMPLATE_BYTES = 1 << 20
_MOST_VMS = 1000


@click.command("submit", context_settings=HELP)
@click.argument(
    "template",
    required=False,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="[TEMPLATE]",
)
@click.option("--name", metavar="NAME", help="Its name; several are numbered.")
@click.option("--cpu", type=click.FloatRange(min=0, min_open=True), help="Cores.  [default: 1]")
@click.option("--memory", type=click.IntRange(min=1), help="MB.  [default: 512]")
@click.option(
    "--start", metavar="START", help="best_effort, now, +1h, 'tomorrow 9:00', '2027-01-04 08:00'."
)
@click.option(
    "--deadline", metavar="TIME", help="Instead of a start: done by then, at some time before."
)
@click.option("--after", metavar="TIME", help="With --deadline: not to begin before then.")
@click.option("--duration", metavar="DURATION", help="1h30m, HH:MM:SS, seconds or unlimited.")
@click.option(
    "--preemptible/--non-preemptible",
    default=None,
    help="Permit suspending it for a reservation.",
)
@click.option(
    "--hosts",
    type=click.Choice(["any", "fixed"]),
    help="Keep the hosts that it is given first (fixed), or permit others until it begins.",
)
@click.option("--group", metavar="NAME", help="VMs with the same group are one lease.")
@click.option(
    "-n",
    "--count",
    default=1,
    show_default=True,
    type=click.IntRange(1, _MOST_VMS),
    help="Number of VMs; with --group they are one lease.",
)
@click.option("--hold", is_flag=True, help="Submit on hold, as OpenNebula 7 wants it by default.")
@reaches_opennebula
def submit(
    template: Path | None,
    name: str | None,
    cpu: float | None,
    memory: int | None,
    start: str | None,
    deadline: str | None,
    after: str | None,
    duration: str | None,
    preemptible: bool | None,
    hosts: str | None,
    group: str | None,
    count: int,
    hold: bool,
    endpoint: str,
    one_auth: Path | None,
) -> None:
    """Submit VMs to OpenNebula, with a HAIZEA attribute that says when they are wanted.

    TEMPLATE is a file with an OpenNebula VM template; options are added to what it says.
    Without --start and --duration a VM has no HAIZEA: it waits until it fits, and has no end.

    \b
    Examples:
      haizea opennebula submit --start +01:00:00 --duration 02:00:00
      haizea opennebula submit --duration 08:00:00 --preemptible --start best_effort
      haizea opennebula submit --deadline 'tomorrow 8:00' --duration 4h
      haizea opennebula submit web.template --group shop -n 3 --start '2027-01-04 08:00:00'
    """
    given = {"START": start, "DEADLINE": deadline, "AFTER": after, "DURATION": duration}
    given |= {"HOSTS": hosts, "GROUP": group}
    words = _words(given, preemptible, count)
    text = _read(template)
    if template is None or cpu is not None:
        text += _line("CPU", f"{1.0 if cpu is None else cpu:g}")
    if template is None or memory is not None:
        text += _line("MEMORY", str(512 if memory is None else memory))
    with client_of(endpoint, one_auth) as client:
        legacy = client.version().is_legacy
        if hold and legacy:
            raise click.UsageError("OpenNebula 1.4 has no submission on hold.")
        for number in range(1, count + 1):
            label = name if name is None or count == 1 else f"{name}-{number}"
            whole = text + ("" if label is None else _line("NAME", label)) + words
            rest = () if legacy else (hold,)
            [vm_id, *_] = client.command("one.vm.allocate", whole, *rest)
            click.echo(f"VM {vm_id}")


def _read(template: Path | None) -> str:
    if template is None:
        return ""
    content = template.read_bytes()
    if len(content) > _MOST_TEMPLATE_BYTES:
        raise WrongInput(f"{template}: this is too large for a template of a VM")
    try:
        return content.decode() + "\n"
    except UnicodeDecodeError:
        raise WrongInput(f"{template}: not a template: it is not text") from None


def _line(name: str, value: str) -> str:
    from haizea.backends.opennebula.model.template import write_template

    return write_template({name: value}) + "\n"


def _words(given: Mapping[str, str | None], preemptible: bool | None, count: int) -> str:
    """The ``HAIZEA`` attribute, empty where nothing is asked for. What is wrong is wrong use."""
    from haizea.backends.opennebula.model.template import write_template
    from haizea.backends.opennebula.requests.haizea_attribute import Start, parse_words
    from haizea.core.model.lease import Kind

    words = {name: text for name, text in given.items() if text is not None}
    if preemptible is not None:
        words["PREEMPTIBLE"] = "yes" if preemptible else "no"
    if "GROUP" in words:
        words["GROUP_SIZE"] = str(count)
    if not words:
        return ""
    try:
        now = int(time.time())
        parse_words(words, default=Start(Kind.BEST_EFFORT), zone=None, submitted=now)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    return write_template({"HAIZEA": words}) + "\n"


# --- vms ------------------------------------------------------------------------------------


@click.command("vms", context_settings=HELP)
@click.argument("vm_ids", metavar="[VM]...", type=click.IntRange(min=0), nargs=-1)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@reaches_opennebula
def list_vms(vm_ids: tuple[int, ...], output: str, endpoint: str, one_auth: Path | None) -> None:
    """List OpenNebula's VMs: their states, hosts, and what Haizea says in them.

    LEASE and HAIZEA are from the VM's HAIZEA_STATUS, MESSAGE is its SCHED_MESSAGE.
    """
    with client_of(endpoint, one_auth) as client:
        vms = client.vms_by_id(vm_ids) if vm_ids else client.vms()
    entries = [_entry(vm) for vm in vms]
    if output == "json":
        click.echo(json.dumps(entries, indent=2))
        return
    if not entries:
        click.echo("There are no VMs.")
        return
    columns = [
        Column("VM", right=True),
        Column("NAME", flexible=True),
        Column("OWNER", flexible=True),
        Column("CPU", right=True),
        Column("MEMORY", right=True),
        Column("STATE"),
        Column("HOST", flexible=True),
        Column("LEASE", right=True),
        Column("HAIZEA", coloured=True),
        Column("MESSAGE", flexible=True),
    ]
    names = ("id", "name", "owner", "cpu", "memory_mb", "state", "host", "lease", "haizea")
    rows = [[entry[name] for name in (*names, "message")] for entry in entries]
    click.echo(table(columns, rows, terminal_width()))


def _entry(vm: VirtualMachine) -> dict[str, Any]:
    status = vm.user_template.vector("HAIZEA_STATUS")
    cores = vm.cpu_percent / 100
    return {
        "id": vm.id,
        "name": vm.name,
        "owner": vm.uname,
        "cpu": math.floor(cores) if cores.is_integer() else cores,
        "memory_mb": vm.memory_mb,
        "state": state_in_words(vm.state, vm.lcm_state),
        "host": vm.history[-1].host_name if vm.host_id is not None else None,
        "lease": status.get("LEASE"),
        "haizea": status.get("STATE"),
        "start": status.get("START"),
        "end": status.get("END"),
        "message": vm.user_template.text("SCHED_MESSAGE") or None,
    }


def state_in_words(state: int, lcm_state: int) -> str:
    """``pending``, or while it is active what it does: ``running``, ``save stop``."""
    from haizea.backends.opennebula.model.vm import LcmState, VmState

    if state == VmState.ACTIVE and lcm_state in list(LcmState):
        name = LcmState(lcm_state).name
    elif state in list(VmState):
        name = VmState(state).name
    else:
        return f"state {state}, {lcm_state}"
    return name.lower().replace("_", " ")
