"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

# Older versions of click do not know that it is generic.
if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType


class ParsedOption(_ParamType):
    """An option whose text is read by a function that raises :class:`ValueError` in words.

    The function never answers ``None``: that is an option that was not given.
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


def limit_option(which: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--limit`` of a list; ``which`` entries those are, in words."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 10**6),
        default=100,
        show_default=True,
        metavar="N",
        help=f"At most so many, {which}.",
    )
