"""From a configuration file to a :class:`Config`, or to all that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from haizea.config.combinations import combinations
from haizea.config.ini import ConfigError, Entry, IniFile, Problem, Section, parse_ini, read_ini
from haizea.config.option import Option, Required, options_of
from haizea.config.sections import SECTIONS, Config, attribute_of
from haizea.config.service import Service
from haizea.plugins import nearest

#: The section that makes a file a multi-configuration; see :mod:`haizea.config.multi`.
MULTI = "multi"


def load(path: str | Path) -> Config:
    """The configuration that the file says.

    Raises :class:`ConfigError` with every problem of it, and :class:`OSError` where it
    cannot be read.
    """
    return interpret(read_ini(Path(path)))


def loads(text: str, path: str | Path = "configuration") -> Config:
    """The same for text that is at hand; ``path`` is what messages call it."""
    return interpret(parse_ini(Path(path), text))


def interpret(file: IniFile) -> Config:
    """The configuration in a file that was read. Raises :class:`ConfigError`."""
    if MULTI in file.sections:
        what = "is a study of many runs: make its configurations with haizea generate-configs"
        raise ConfigError(file.path, [Problem(what)])
    reading = _Reading(file)
    reading.find_unknown_names()
    config = Config(
        path=file.path,
        **{attribute_of(name): reading.section(name) for name in SECTIONS},
    )
    reading.check_required(config)
    reading.check_combinations(config)
    if reading.problems:
        raise ConfigError(file.path, sorted(reading.problems, key=lambda p: p.line or 1 << 30))
    return config


def find_state_directory(path: str | Path) -> tuple[Path, ConfigError | None]:
    """Find where a configuration's service keeps its own files, and what is wrong elsewhere.

    Raises :class:`ConfigError` where what is wrong leaves that open, and :class:`OSError`
    where the file cannot be read.
    """
    file = read_ini(Path(path))
    try:
        return interpret(file).service.state_directory, None
    except ConfigError as error:
        directory = None if MULTI in file.sections else _state_directory(file)
        if directory is None:
            raise
        return directory, error


def _state_directory(file: IniFile) -> Path | None:
    """The state directory that a file with problems names, if there is no doubt about it."""
    reading = _Reading(file)
    reading.find_unknown_names()
    place = (Service.NAME, "state-directory")
    # A name that is not known may be meant for this one.
    if reading.problems and reading.entry(*place) is None:
        return None
    section: Service = reading.section(Service.NAME)
    doubtful = any((problem.section, problem.option) == place for problem in reading.problems)
    return None if doubtful else section.state_directory


def check_section(name: str, section: Section) -> list[Problem]:
    """List what is wrong with the names and values of one section, whatever the others say."""
    reading = _Reading(IniFile(Path(), {name: section}))
    reading.find_unknown_names()
    reading.section(name)
    return reading.problems


class _Reading:
    """One file being read, and the problems found so far."""

    def __init__(self, file: IniFile) -> None:
        self.file = file
        self.problems = list(file.problems)
        self.wrong: set[tuple[str, str]] = set()

    def find_unknown_names(self) -> None:
        for name, section in self.file.sections.items():
            if name not in SECTIONS:
                what = f"there is no such section; {_suggest(name, list(SECTIONS))}"
                self.problems.append(Problem(what, name, line=section.line))
                continue
            known = {o.name for _, o in options_of(SECTIONS[name])}
            for option, entry in section.entries.items():
                if option not in known:
                    what = f"there is no such option; {_suggest_option(name, option)}"
                    self.problems.append(Problem(what, name, option, entry.line))

    def section(self, name: str) -> Any:
        """The section as its dataclass; a value that is wrong is left at its default."""
        values = {}
        for field, option in options_of(SECTIONS[name]):
            entry = self.entry(name, option.name)
            if entry is None:
                continue
            try:
                values[field] = option.parse(entry.text)
            except ValueError as error:
                self.wrong.add((name, option.name))
                self.problems.append(Problem(str(error), name, option.name, entry.line))
        return SECTIONS[name](**values)

    def entry(self, section: str, option: str) -> Entry | None:
        there = self.file.sections.get(section)
        return None if there is None else there.entries.get(option)

    def check_required(self, config: Config) -> None:
        for section in config.sections():
            for field, option in options_of(section):
                if option.required is None or getattr(section, field) is not None:
                    continue
                places = {(section.NAME, option.name), *option.required.depends_on}
                if not self.wrong & places and option.required.test(config):
                    self.problems.append(self._missing(section.NAME, option, option.required))

    def _missing(self, section: str, option: Option, required: Required) -> Problem:
        what = (
            f"is missing, and needed {required.where}: set it to {option.type.describe()};"
            f" for example {option.name}: {option.example}"
        )
        there = self.file.sections.get(section)
        return Problem(what, section, option.name, there.line if there else 0)

    def check_combinations(self, config: Config) -> None:
        """Only of what could be read: nothing follows from a value that is wrong."""
        given = {(s, o) for s, section in self.file.sections.items() for o in section.entries}
        for (section, option), others, what in combinations(config, given):
            if not self.wrong.intersection([(section, option), *others]):
                entry = self.entry(section, option)
                line = entry.line if entry else 0
                self.problems.append(Problem(what, section, option, line))


def _suggest_option(section: str, name: str) -> str:
    elsewhere = [s for s in SECTIONS if name in _names(s)]
    if elsewhere:
        return f"it belongs to section [{elsewhere[0]}]"
    if nearest(name, _names(section)):
        return _suggest(name, _names(section))
    for other in SECTIONS:
        if guess := nearest(name, _names(other)):
            return f"did you mean {guess!r} in section [{other}]?"
    return _suggest(name, _names(section))


def _names(section: str) -> list[str]:
    return [o.name for _, o in options_of(SECTIONS[section])]


def _suggest(name: str, known: list[str]) -> str:
    guess = nearest(name, known)
    return f"did you mean {guess!r}?" if guess else f"known are {', '.join(known)}"
