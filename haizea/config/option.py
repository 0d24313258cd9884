"""Definition of an option: the one declaration that everything about it comes from.

A section of the file is a frozen dataclass, each of its fields an option. From that come
parsing, checking, defaults, the sample configuration's comments and the reference page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from haizea.config.values import ValueType


@dataclass(frozen=True)
class Required:
    """Case where an option must be set: in words ("where …") and as a test of the configuration.

    ``depends_on`` are the sections and options that the test looks at.
    """

    where: str
    depends_on: tuple[tuple[str, str], ...]
    test: Callable[[Any], bool]


@dataclass(frozen=True)
class Option:
    """An option of the configuration file.

    ``default`` is what holds where the file does not set it, as the file would say it,
    ``None`` for nothing. ``example`` stands in the sample configuration, commented out
    unless ``in_sample``.
    """

    name: str
    type: ValueType
    help: str
    default: str | None
    required: Required | None
    example: str
    in_sample: bool

    def parse(self, text: str) -> Any:
        """The value of ``text``; nothing at all or ``none`` unsets what has no default.

        Raises :class:`ValueError` with what is wrong and what would be right.
        """
        if self.default is None and text.lower() in ("", "none"):
            return None
        if not text:
            raise ValueError(f"has no value; valid: {self.type.describe()}")
        return self.type.parse(text)

    def default_value(self) -> Any:
        """Value that holds where the file does not set it."""
        return None if self.default is None else self.type.parse(self.default)

    def format(self, value: Any) -> str:
        """Return what the file would say for ``value``, empty (or ``none``) for nothing."""
        if value is None:
            return "" if self.default is None else "none"
        return self.type.format(value)


def option(
    name: str,
    value_type: ValueType,
    text: str,
    *,
    default: str | None = None,
    required: Required | None = None,
    example: str = "",
    in_sample: bool = False,
) -> Any:
    """Declare a section's field as the option ``name``; see :class:`Option`.

    ``text`` is its help: what it does, in a sentence or two.
    """
    made = Option(name, value_type, text, default, required, example or default or "", in_sample)
    return dataclasses.field(default=made.default_value(), metadata={"option": made})


def options_of(section: Any) -> Iterator[tuple[str, Option]]:
    """The fields of a section (the class or an object of it), each with its option."""
    for field in dataclasses.fields(section):
        yield field.name, field.metadata["option"]
