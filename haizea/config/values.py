"""Types of options: from the text in the file to a value, and back.

Each type says in words what is valid, and raises :class:`ValueError` with what is wrong
and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from haizea import times
from haizea.plugins import Kind, check, nearest


class ValueType(Protocol):
    """Type of an option's value."""

    def parse(self, text: str) -> Any:
        """The value that ``text`` stands for."""

    def format(self, value: Any) -> str:
        """Return what the file would say for ``value``: ``parse`` gives it back."""

    def describe(self) -> str:
        """Describe what is valid, in words."""


@dataclass(frozen=True)
class Choice(ValueType):
    """One of an enumeration's values, whatever the case; ``synonyms`` are taken too."""

    values: type[StrEnum]
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def parse(self, text: str) -> StrEnum:
        wanted = self.synonyms.get(text.lower(), text).lower()
        for value in self.values:
            if value.lower() == wanted:
                return value
        guess = nearest(text, [str(v) for v in self.values])
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise ValueError(f"{text!r} is not one of {self.describe()}{hint}")

    def format(self, value: StrEnum) -> str:
        return str(value)

    def describe(self) -> str:
        return ", ".join(self.values)


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True}
_BOOLEANS |= {"false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class Boolean(ValueType):
    """Yes or no."""

    def parse(self, text: str) -> bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError(f"{text!r} is neither yes nor no")
        return _BOOLEANS[text.lower()]

    def format(self, value: bool) -> str:
        return "yes" if value else "no"

    def describe(self) -> str:
        return "yes, no"


@dataclass(frozen=True)
class Integer(ValueType):
    """A whole number of something, ``unit``."""

    unit: str = ""
    least: int = 0
    most: int = 10**12

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            raise ValueError(f"{text!r} is not a whole number{_of(self.unit)}")
        # No bound has as many digits, and Python makes no numbers of very many.
        value = int(text[:40])
        if not self.least <= value <= self.most:
            raise ValueError(f"{text} is out of range: it goes from {self.least} to {self.most}")
        return value

    def format(self, value: int) -> str:
        return str(value)

    def describe(self) -> str:
        return f"a whole number{_of(self.unit)}, at least {self.least}"


@dataclass(frozen=True)
class Number(ValueType):
    """A number of something, with a fraction if need be; ``positive``: 0 is too little."""

    unit: str = ""
    positive: bool = False

    def parse(self, text: str) -> float:
        if not re.fullmatch(r"[+-]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})", text, re.ASCII):
            raise ValueError(f"{text!r} is not a number{_of(self.unit)}, such as 32 or 0.5")
        value = float(text)
        if value < 0 or (self.positive and value == 0):
            raise ValueError(f"{text} is too small: it is {self._least()}")
        return value

    def format(self, value: float) -> str:
        # repr() has as many digits as it takes; Decimal writes them without an exponent.
        return f"{Decimal(repr(value)):f}".removesuffix(".0")

    def describe(self) -> str:
        return f"a number{_of(self.unit)}, {self._least()}"

    def _least(self) -> str:
        return "more than 0" if self.positive else "at least 0"


def _of(unit: str) -> str:
    return f" of {unit}" if unit else ""


@dataclass(frozen=True)
class Duration(ValueType):
    """A time span, in seconds."""

    least: int = 0

    def parse(self, text: str) -> int:
        seconds = times.parse_duration(text)
        if seconds < self.least:
            raise ValueError(f"{text!r} is too short: it is at least {self.least} s")
        return seconds

    def format(self, value: int) -> str:
        return str(value)

    def describe(self) -> str:
        least = f", at least {self.least} s" if self.least else ""
        return f"a duration: seconds, HH:MM:SS, 90m, 1h30m or PT1H{least}"


@dataclass(frozen=True)
class Moment(ValueType):
    """A date and time, UTC where no zone is given; in seconds since the epoch."""

    def parse(self, text: str) -> int:
        return times.parse_time(text)

    def format(self, value: int) -> str:
        return times.format_time(value)

    def describe(self) -> str:
        return "a date and time, YYYY-MM-DD HH:MM:SS (UTC, or in a zone: +01:00, Europe/Madrid)"


@dataclass(frozen=True)
class FilePath(ValueType):
    """A file's path, relative to the current directory; ``~`` is the home directory."""

    def parse(self, text: str) -> Path:
        if "\0" in text:
            raise ValueError(f"{text!r} is not a path")
        try:
            return Path(text).expanduser()
        except RuntimeError:
            raise ValueError(f"{text!r}: there is no such home directory") from None

    def format(self, value: Path) -> str:
        return str(value)

    def describe(self) -> str:
        return "a path"


@dataclass(frozen=True)
class OwnPath(FilePath):
    """The path of a file of the service's own; ``~`` is expanded when it is used.

    So a configuration says the same whoever reads it.
    """

    def parse(self, text: str) -> Path:
        super().parse(text)
        return Path(text)


@dataclass(frozen=True)
class Text(ValueType):
    """A word or more; ``what`` says of what."""

    what: str

    def parse(self, text: str) -> str:
        return text

    def format(self, value: str) -> str:
        return value

    def describe(self) -> str:
        return self.what


@dataclass(frozen=True)
class PluginName(ValueType):
    """The name of something that can be plugged in."""

    kind: Kind

    def parse(self, text: str) -> str:
        check(self.kind, text)
        return text

    def format(self, value: str) -> str:
        return value

    def describe(self) -> str:
        return ", ".join([*self.kind.builtin, "package.module.Class", "a plug-in's name"])


@dataclass(frozen=True)
class PluginNames(ValueType):
    """Several such names, separated by spaces or commas."""

    kind: Kind

    def parse(self, text: str) -> tuple[str, ...]:
        if text.lower() == "none":
            return ()
        one, wrong = PluginName(self.kind), []
        names = tuple(dict.fromkeys(text.replace(",", " ").split()))
        for name in names:
            try:
                one.parse(name)
            except ValueError as error:
                wrong.append(str(error))
        if wrong:
            raise ValueError("; ".join(wrong))
        return names

    def format(self, value: tuple[str, ...]) -> str:
        return " ".join(value) or "none"

    def describe(self) -> str:
        return f"any of {PluginName(self.kind).describe()}, separated by spaces; or none"


@dataclass(frozen=True)
class Labels(ValueType):
    """Names and values: ``name=value,name=value``."""

    def parse(self, text: str) -> tuple[tuple[str, str], ...]:
        if text.lower() == "none":
            return ()
        labels: dict[str, str] = {}
        for part in text.split(","):
            name, equals, value = (p.strip() for p in part.partition("="))
            if not equals or not name:
                raise ValueError(f"{part.strip()!r} is not name=value; commas separate them")
            if name in labels:
                raise ValueError(f"the label {name!r} is there twice")
            labels[name] = value
        return tuple(labels.items())

    def format(self, value: tuple[tuple[str, str], ...]) -> str:
        return ",".join(f"{name}={label}" for name, label in value) or "none"

    def describe(self) -> str:
        return "name=value, several separated by commas; or none"


@dataclass(frozen=True)
class Address(ValueType):
    """Address of a server: ``address:port``, IPv6 addresses in brackets."""

    def parse(self, text: str) -> tuple[str, int] | None:
        if text.lower() == "none":
            return None
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):(\d{1,5})", text, re.ASCII)
        if found is None or not int(found[2]) <= 65535:
            raise ValueError(f"{text!r} is not an address and a port, such as 127.0.0.1:42493")
        return found[1].strip("[]"), int(found[2])

    def format(self, value: tuple[str, int]) -> str:
        host, port = value
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def describe(self) -> str:
        return "an address and a port, such as 127.0.0.1:42493 or [::1]:42493; or none"


PURPOSES = ("transfer", "run", "suspend", "migrate", "resume", "shutdown")


@dataclass(frozen=True)
class Chances(ValueType):
    """Probabilities by purpose: ``suspend:0.1 run:0.02``."""

    def parse(self, text: str) -> tuple[tuple[str, float], ...]:
        if text.lower() == "none":
            return ()
        chances: dict[str, float] = {}
        for part in text.replace(",", " ").split():
            name, colon, chance = part.partition(":")
            if not colon or name not in PURPOSES:
                guess = nearest(name, PURPOSES)
                hint = f"; did you mean {guess!r}?" if guess else ""
                raise ValueError(f"{part!r} is not purpose:probability, such as suspend:0.1{hint}")
            value = float(Number().parse(chance))
            if value > 1:
                raise ValueError(f"{part!r}: a probability goes from 0 to 1")
            chances[name] = value
        return tuple(chances.items())

    def format(self, value: tuple[tuple[str, float], ...]) -> str:
        return " ".join(f"{name}:{Number().format(chance)}" for name, chance in value) or "none"

    def describe(self) -> str:
        return f"purpose:probability, separated by spaces ({', '.join(PURPOSES)}); or none"


@dataclass(frozen=True)
class StorePlace(ValueType):
    """Place of a service's leases: a file, or a database on a PostgreSQL server."""

    def parse(self, text: str) -> Path | str | None:
        if text.lower() == "none":
            return None
        scheme, separator, rest = text.partition("://")
        if not separator:
            return OwnPath().parse(text)
        if scheme not in ("postgresql", "postgres"):
            raise ValueError(f"{text!r} is neither a file nor a URL such as {self._EXAMPLE}")
        user, at, _ = rest.partition("@")
        if (at and ":" in user) or "password=" in rest:
            raise ValueError(
                "a password does not belong here, where others may read it: put it into the"
                " password file of PostgreSQL (~/.pgpass, or what PGPASSFILE names)"
            )
        return f"postgresql://{rest}"

    def format(self, value: Path | str) -> str:
        return str(value)

    def describe(self) -> str:
        return f"a path, or a URL such as {self._EXAMPLE}; or none"

    _EXAMPLE = "postgresql://haizea@db.example.org/haizea"
