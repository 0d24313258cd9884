"""``haizea opennebula``: a sandbox to try things on, its VMs, and help with a real cloud."""

from __future__ import annotations

import click

from haizea.cli.groups import LazyGroup, Place
from haizea.cli.help import HELP

_COMMANDS = {
    "sandbox": Place("opennebula_sandbox", "sandbox", "Play an OpenNebula to try things on."),
    "submit": Place("opennebula_vms", "submit", "Submit VMs that ask for a lease."),
    "vms": Place("opennebula_vms", "list_vms", "List VMs and what Haizea says of them."),
    "check": Place("opennebula_setup", "check", "Say what is right and wrong in a set-up."),
    "install-driver": Place(
        "opennebula_setup", "install_driver", "Have OpenNebula 7 wake Haizea when a VM waits."
    ),
}


@click.group("opennebula", cls=LazyGroup, places=_COMMANDS, context_settings=HELP)
def opennebula() -> None:
    """Haizea as the scheduler of an OpenNebula: try it, check it, set it up.

    'haizea -c FILE' with 'mode: opennebula' runs it.
    """
