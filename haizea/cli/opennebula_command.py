"""``haizea opennebula``: a sandbox to try things on, its VMs, and help with a real cloud."""

from __future__ import annotations

import importlib
from typing import cast

import click

from haizea.cli.help import HELP
from haizea.plugins import nearest

#: Where each command is and what it does; a module is imported when it is used.
_COMMANDS = {
    "sandbox": ("opennebula_sandbox", "sandbox", "Play an OpenNebula to try things on."),
    "submit": ("opennebula_vms", "submit", "Submit VMs that ask for a lease."),
    "vms": ("opennebula_vms", "list_vms", "List VMs and what Haizea says of them."),
    "check": ("opennebula_setup", "check", "Say what is right and wrong in a set-up."),
    "install-driver": (
        "opennebula_setup",
        "install_driver",
        "Have OpenNebula 7 wake Haizea when a VM waits.",
    ),
}


class _Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        return cast(
            click.Command, getattr(importlib.import_module(f"haizea.cli.{module}"), attribute)
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a name that was mistyped."""
        if args and args[0] not in _COMMANDS:
            guess = nearest(args[0], _COMMANDS)
            hint = f"Did you mean {guess!r}?" if guess else "'haizea opennebula --help' has them."
            ctx.fail(f"there is no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in _COMMANDS.items()])


@click.group("opennebula", cls=_Commands, context_settings=HELP)
def opennebula() -> None:
    """Haizea as the scheduler of an OpenNebula: try it, check it, set it up.

    'haizea -c FILE' with 'mode: opennebula' runs it.
    """
