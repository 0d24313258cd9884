"""One file for a whole study: every profile with every trace and every injected trace.

A multi-configuration has a section ``[multi]`` with

* ``tracedir`` and ``tracefiles``, a directory and names of traces in it;
* ``injectiondir`` and ``injectionfiles`` (or ``injdir`` and ``injfiles``), the same for
  injected traces; the name ``none`` stands for a run without any; they may be left out;
* ``basedatadir``, where the results of the runs are put;

and the sections of a configuration, ``[common:SECTION]`` with what all profiles share and
``[PROFILE:SECTION]`` with what one of them adds or changes. A path is relative to the
current directory.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from haizea.config.ini import ConfigError, Entry, IniFile, Problem, Section, read_ini
from haizea.config.load import MULTI, check_section, interpret
from haizea.config.sections import SECTIONS, Config
from haizea.plugins import nearest

_COMMON = "common"
_PROFILE = re.compile(r"[\w.+-]+")
_NAMES = ("tracedir", "tracefiles", "injectiondir", "injectionfiles", "basedatadir")
_SHORT = {"injdir": "injectiondir", "injfiles": "injectionfiles"}

#: What [multi] sets in each configuration.
_OURS = {"tracefile": ("tracefile", "injectionfile"), "accounting": ("datafile",)}


@dataclass(frozen=True)
class Member:
    """One configuration of a study: its name, its text, and what the text means."""

    name: str
    text: str
    config: Config


@dataclass(frozen=True)
class _Run:
    """Parts that one member is made of."""

    profile: str
    trace: Path
    injection: Path | None

    @property
    def name(self) -> str:
        parts = [self.profile, self.trace.stem]
        return "_".join([*parts, self.injection.stem] if self.injection else parts)


def expand(path: str | Path) -> list[Member]:
    """The configurations of a study, profile by profile, in the order of the file.

    Raises :class:`ConfigError` with every problem of it, and :class:`OSError` where it
    cannot be read.
    """
    file = read_ini(Path(path))
    if MULTI not in file.sections:
        what = (
            f"has no section [{MULTI}], which says what traces are used: a configuration"
            " of one run needs no generating"
        )
        raise ConfigError(file.path, [Problem(what)])
    study = _Study(file)
    runs = study.runs()
    members = study.members(runs) if not study.problems else []
    if study.problems:
        unique = dict.fromkeys(study.problems)
        raise ConfigError(file.path, sorted(unique, key=lambda p: p.line or 1 << 30))
    return members


class _Study:
    """A multi-configuration being read, and the problems found so far."""

    def __init__(self, file: IniFile) -> None:
        self.path = file.path
        self.problems = list(file.problems)
        self.multi: dict[str, Entry] = {}
        self.profiles: dict[str, dict[str, Section]] = {_COMMON: {}}
        for name, section in file.sections.items():
            self._sort_in(name, section)
        self.names = [name for name in self.profiles if name != _COMMON]
        if not self.names:
            what = "there is no profile: add a section such as [easy:scheduling]"
            self._complain(what, "", "", 0)

    def _complain(self, what: str, section: str, option: str, line: int) -> None:
        self.problems.append(Problem(what, section, option, line))

    def _sort_in(self, name: str, section: Section) -> None:
        profile, colon, inner = (part.strip() for part in name.partition(":"))
        if name == MULTI:
            self._read_multi(section)
        elif not colon:
            what = f"write [{MULTI}], [{_COMMON}:SECTION] or [PROFILE:SECTION]"
            self._complain(what, name, "", section.line)
        elif not _PROFILE.fullmatch(profile):
            what = "a profile's name has letters, digits, and _ . + - only"
            self._complain(what, name, "", section.line)
        elif inner not in SECTIONS:
            guess = nearest(inner, SECTIONS)
            hint = (
                f"did you mean [{profile}:{guess}]?" if guess else f"known: {', '.join(SECTIONS)}"
            )
            self._complain(f"there is no section {inner!r}; {hint}", name, "", section.line)
        else:
            self.profiles.setdefault(profile, {})[inner] = section
            self.problems += [replace(p, section=name) for p in check_section(inner, section)]
            for option in _OURS.get(inner, ()):
                if option in section.entries:
                    line = section.entries[option].line
                    self._complain(f"comes from [{MULTI}]: leave it out", name, option, line)

    def _read_multi(self, section: Section) -> None:
        for name, entry in section.entries.items():
            known = _SHORT.get(name, name)
            if known not in _NAMES:
                guess = nearest(name, _NAMES)
                hint = f"did you mean {guess!r}?" if guess else f"known: {', '.join(_NAMES)}"
                self._complain(f"there is no such option; {hint}", MULTI, name, entry.line)
            elif known in self.multi:
                self._complain(f"is the same as {known}: keep one", MULTI, name, entry.line)
            else:
                self.multi[known] = entry
        for name in ("tracefiles", "basedatadir"):
            if name not in self.multi or not self.multi[name].text:
                self._complain("is missing", MULTI, name, section.line)

    def runs(self) -> list[_Run]:
        """Every combination, or what is wrong with the files it would take."""
        traces = list(self._files("tracedir", "tracefiles"))
        injections = list(self._files("injectiondir", "injectionfiles")) or [None]
        made = [
            _Run(profile, trace, injection)
            for profile, trace, injection in itertools.product(self.names, traces, injections)
            if trace is not None
        ]
        by_name: dict[str, _Run] = {}
        for run in made:
            if run.name in by_name:
                what = f"two configurations would be called {run.name}: rename a profile or a file"
                self._complain(what, MULTI, "", 0)
            by_name[run.name] = run
        return made

    def _files(self, directory: str, names: str) -> Iterator[Path | None]:
        if names not in self.multi:
            return
        where = Path(self.multi[directory].text) if directory in self.multi else Path()
        entry = self.multi[names]
        for name in entry.text.split():
            file = where.expanduser() / name
            if name.lower() == "none" and names == "injectionfiles":
                yield None
            elif file.is_file():
                yield file
            else:
                self._complain(f"there is no file {file}", MULTI, names, entry.line)

    def members(self, runs: list[_Run]) -> list[Member]:
        """The runs' configurations; their problems are added to those found so far."""
        members = []
        for run in runs:
            sections = self._sections(run)
            try:
                config = interpret(IniFile(self.path, sections))
            except ConfigError as error:
                self.problems += error.problems
                continue
            members.append(Member(run.name, self._text(run, sections), config))
        return members

    def _sections(self, run: _Run) -> dict[str, Section]:
        """Join what all profiles share, what this one says, and what [multi] sets."""
        sections: dict[str, Section] = {}
        for profile in (_COMMON, run.profile):
            for name, section in self.profiles[profile].items():
                there = sections.setdefault(name, Section(section.line))
                there.entries.update(section.entries)
        trace = sections.setdefault("tracefile", Section(0)).entries
        trace["tracefile"] = Entry(str(run.trace), self.multi["tracefiles"].line)
        if run.injection is not None:
            line = self.multi["injectionfiles"].line
            trace["injectionfile"] = Entry(str(run.injection), line)
        accounting = sections.setdefault("accounting", Section(0)).entries
        data = self.multi["basedatadir"]
        results = Path(data.text).expanduser() / f"{run.name}.results"
        accounting["datafile"] = Entry(str(results), data.line)
        accounting["attributes"] = _labels(run, accounting.get("attributes"))
        return sections

    def _text(self, run: _Run, sections: dict[str, Section]) -> str:
        lines = [f"# {run.name}: written by haizea generate-configs from {self.path.name}"]
        for name in SECTIONS:
            if name in sections:
                lines += ["", f"[{name}]"]
                lines += [f"{o}: {e.text}" for o, e in sections[name].entries.items()]
        return "\n".join(lines) + "\n"


def _labels(run: _Run, given: Entry | None) -> Entry:
    """The labels that tell this run from the others, after those that the file gives."""
    ours = [("profile", run.profile), ("tracefile", run.trace.name)]
    if run.injection is not None:
        ours.append(("injectionfile", run.injection.name))
    text = ",".join(f"{name}={value}" for name, value in ours)
    if given is None or given.text.lower() in ("", "none"):
        return Entry(text, given.line if given else 0)
    return Entry(f"{given.text},{text}", given.line)
