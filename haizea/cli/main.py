"""Entry of the console scripts: from here on Ctrl-C ends a command without a traceback.

Imports take most of the time of a short command, so what is needed is imported only when
Ctrl-C is seen to.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The console script ``haizea``."""
    begin("haizea")


def begin(program: str, name: str = "") -> None:
    """Run the command called ``name``, or the one that has them all, as this console script.

    It ends the process with the command's status.
    """
    try:
        from haizea.cli import interrupts

        with interrupts.console_script():
            with interrupts.ending_at_once():
                from haizea.cli.commands import cli, load_command
                from haizea.cli.errors import run

                command = load_command(name) if name else cli
            run(command, program)
    except KeyboardInterrupt:
        sys.exit(130)  # INTERRUPTED, which may not have been imported yet.
