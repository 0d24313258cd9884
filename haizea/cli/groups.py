"""Groups of commands that are imported when they are used, so that Haizea starts quickly."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import click

from haizea.cli.interrupts import ending_at_once
from haizea.plugins import nearest


class Place(NamedTuple):
    """Location of a command, and what it does in a few words."""

    module: str
    attribute: str
    summary: str

    def load(self) -> click.Command:
        """The command, imported now."""
        # Importing makes many objects and next to no garbage, which is not looked for meanwhile.
        collecting = gc.isenabled()
        gc.disable()
        try:
            with ending_at_once():
                module = importlib.import_module(f"haizea.cli.{self.module}")
        finally:
            if collecting:
                gc.enable()
        return cast(click.Command, getattr(module, self.attribute))


class LazyGroup(click.Group):
    """A group whose commands are at these places, in the order of help."""

    def __init__(self, *args: Any, places: Mapping[str, Place], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of help."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        place = self._places.get(cmd_name)
        return None if place is None else place.load()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, with a suggestion for a name that was mistyped."""
        if args and args[0] not in self._places:
            guess = nearest(args[0], self._places)
            called = "haizea" if ctx.parent is None else f"haizea {self.name}"
            hint = f"Did you mean {guess!r}?" if guess else f"'{called} --help' lists them all."
            ctx.fail(f"there is no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in self._places.items()])
