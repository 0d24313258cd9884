"""Reading an INI file: its sections and options, each with the line it stands on.

The format is configparser's: ``[section]``, ``option: value`` or ``option = value``,
lines that go on where they are indented, comments after ``#`` or ``;`` at the start of a
line and after `` #`` within one (not after ``;``, which separates groups of hosts).
Option names do not depend on case. It is read here rather than with configparser so that
every problem, of the format too, is told with its line and all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: A configuration is a few kilobytes; what is larger is some other file.
MAX_BYTES = 1_000_000

_SECTION = re.compile(r"\[([^\]]+)\]$")
_OPTION = re.compile(r"([^:=]*?)\s*[:=]\s*(.*)$")
_INLINE_COMMENT = re.compile(r"(?:^|\s)#.*$")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a configuration file, and what would be right.

    ``section``, ``option`` and ``line`` (from 1) are empty or 0 where there is none.
    """

    what: str
    section: str = ""
    option: str = ""
    line: int = 0

    def describe(self, path: Path) -> str:
        """One line for people: file, line, section, option and what is wrong."""
        where = f"{path}:{self.line}" if self.line else f"{path}"
        if self.section:
            where += f": [{self.section}]"
        return f"{where} {self.option}: {self.what}" if self.option else f"{where}: {self.what}"


class ConfigError(Exception):
    """A configuration cannot be used: the file and everything that is wrong in it."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(p.describe(path) for p in self.problems))


@dataclass
class Entry:
    """Text that an option is set to, and its line."""

    text: str
    line: int


@dataclass
class Section:
    """A section's options by name, in the order of the file."""

    line: int
    entries: dict[str, Entry] = field(default_factory=dict)


@dataclass
class IniFile:
    """Content of a file, and what is wrong with the way it is written."""

    path: Path
    sections: dict[str, Section] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_ini(path: Path) -> IniFile:
    """Read the file. Problems of its format are in the result.

    Raises :class:`ConfigError` where it is not UTF-8 text of a sensible size, and
    :class:`OSError` where it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConfigError(path, [Problem(f"is larger than {MAX_BYTES} bytes: no configuration")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            path, [Problem("is not UTF-8 text; save it as UTF-8", line=line)]
        ) from None
    return parse_ini(path, text)


def parse_ini(path: Path, text: str) -> IniFile:
    """The same for text that is at hand; ``path`` is what messages call it."""
    result = IniFile(path)
    section: tuple[str, Section] | None = None
    entry: Entry | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        if raw.lstrip().startswith(("#", ";")):
            continue
        line = _INLINE_COMMENT.sub("", raw).strip()
        if not line:
            entry = None
        elif raw[0].isspace() and entry is not None:
            entry.text = f"{entry.text} {line}".strip()
        elif header := _SECTION.match(line):
            section, entry = _open_section(result, header[1].strip(), number), None
        else:
            entry = _read_option(result, section, line, number)
    return result


def _open_section(result: IniFile, name: str, number: int) -> tuple[str, Section]:
    if name in result.sections:
        first = result.sections[name].line
        what = f"the section is there already, from line {first}; keep one of them"
        result.problems.append(Problem(what, section=name, line=number))
        return name, result.sections[name]
    section = Section(number)
    result.sections[name] = section
    return name, section


def _read_option(
    result: IniFile, section: tuple[str, Section] | None, line: str, number: int
) -> Entry | None:
    match = _OPTION.match(line)
    if match is None or not match[1]:
        what = f"{line!r} is neither [section] nor option: value"
        result.problems.append(Problem(what, line=number))
        return None
    if section is None:
        what = "stands before the first [section]"
        result.problems.append(Problem(what, option=match[1], line=number))
        return None
    title, entries = section[0], section[1].entries
    name = match[1].lower()
    if name in entries:
        what = f"is set already, on line {entries[name].line}; keep one of them"
        result.problems.append(Problem(what, title, name, number))
        return None
    entries[name] = Entry(match[2], number)
    return entries[name]
