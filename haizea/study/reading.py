"""Reading a study's file: YAML whose every value is text with a line, or all that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from haizea.config.ini import ConfigError, Entry, Problem
from haizea.plugins import nearest
from haizea.study import names
from haizea.study.description import Entries, ReportOptions, Study
from haizea.workloads.source import Source
from haizea.workloads.yaml_nodes import compose

MAX_BYTES = 1_000_000
#: The most values of a factor.
MOST_VALUES = 100_000

_FIELDS = (
    *("name", "results", "keep-results", "fixed", "profiles", "factors", "repetitions"),
    *("exclude", "also", "baseline", "report"),
)
_REPORT_FIELDS = ("figures", "by", "lines")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_PROFILE_NAME = re.compile(r"[\w.+-][\w.+ -]*")


def read_study(path: Path) -> Study:
    """The study that a YAML file describes.

    Raises :class:`ConfigError` with every problem of it, each with its line, and
    :class:`haizea.workloads.WorkloadError` for what is not YAML or cannot be read.
    """
    root = compose(Source(path).whole(MAX_BYTES), str(path))
    reader = _Reader()
    study = reader.study(path, root)
    if reader.problems:
        raise ConfigError(path, sorted(set(reader.problems), key=lambda p: p.line))
    return study


class _Reader:
    """One file being read, and the problems found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._labels: frozenset[str] = frozenset()

    def study(self, path: Path, root: yaml.Node | None) -> Study:
        """The study; where there are problems, what is left of it."""
        empty = Study(path, path.stem, path.with_suffix(".study"))
        if not isinstance(root, yaml.MappingNode):
            what = "a study has fields: factors, and fixed, profiles and others as needed"
            self.problems.append(Problem(what, line=1))
            return empty
        fields = self._fields(root, "", _FIELDS)
        self._labels = _labels_in(root)
        profiles = self._profiles(fields.get("profiles"))
        factors = self._factors(fields.get("factors"))
        if "repetitions" in fields:
            self._repeat(fields["repetitions"], factors)
        if profiles and names.PROFILE not in factors:
            line = _line(fields["profiles"])
            factors = {names.PROFILE: tuple(Entry(name, line) for name in profiles), **factors}
        self._check_profiles(profiles, factors)
        if not factors and "also" not in fields:
            what = "a study varies something: add factors, as in factors: {load: [0.6, 0.8]}"
            self._complain(root, "factors", what)
        where = self._one(fields, "results")
        return Study(
            path=path,
            name=self._one(fields, "name") or path.stem,
            results=path.parent / Path(where).expanduser() if where else empty.results,
            keep_results=self._boolean(fields.get("keep-results"), "keep-results"),
            fixed=self._settings(fields.get("fixed"), "fixed"),
            profiles=profiles,
            factors=factors,
            exclude=self._excluded(fields.get("exclude"), factors),
            also=tuple(
                self._settings(node, "also") for node in self._list(fields.get("also"), "also")
            ),
            baseline=self._baseline(fields.get("baseline"), factors),
            report=self._report(fields.get("report")),
        )

    def _complain(self, node: yaml.Node, field: str, what: str) -> None:
        self.problems.append(Problem(what, option=field, line=_line(node)))

    def _fields(self, node: yaml.Node, what: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The fields of a mapping; with ``known``, no others."""
        found: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            self._complain(node, what, "expected names and values, as in suspension: all")
            return found
        for key, value in node.value:
            name = self._text(key, what)
            if known and name not in known:
                guess = nearest(name, known)
                hint = f"did you mean {guess!r}?" if guess else f"known: {', '.join(known)}"
                self._complain(key, name, f"there is no such field; {hint}")
            elif name in found:
                self._complain(key, name, f"is set already, on line {_line(found[name])}")
            else:
                found[name] = value
        return found

    def _text(self, node: yaml.Node, what: str) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value).strip()
        self._complain(node, what, "a single value is expected here")
        return ""

    def _list(self, node: yaml.Node | None, what: str) -> list[yaml.Node]:
        if node is None:
            return []
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._complain(node, what, "a list is expected here, as in [a, b]")
        return []

    def _one(self, fields: dict[str, yaml.Node], name: str) -> str:
        return self._text(fields[name], name) if name in fields else ""

    def _boolean(self, node: yaml.Node | None, what: str) -> bool:
        text = "no" if node is None else self._text(node, what).lower()
        if node is not None and text not in ("yes", "no", "true", "false"):
            self._complain(node, what, f"{text!r} is neither yes nor no")
        return text in ("yes", "true")

    def _settings(self, node: yaml.Node | None, what: str) -> Entries:
        """Names of what can be set, each with one value."""
        if node is None:
            return {}
        found: dict[str, Entry] = {}
        for name, value in self._fields(node, what, ()).items():
            if self._is_known(name, value):
                found[name] = Entry(self._text(value, name), _line(value))
        return found

    def _is_known(self, name: str, node: yaml.Node) -> bool:
        problem = names.problem_of(name, self._labels)
        if problem:
            self._complain(node, name, problem)
        return not problem

    def _profiles(self, node: yaml.Node | None) -> dict[str, Entries]:
        found: dict[str, Entries] = {}
        for name, inner in ({} if node is None else self._fields(node, "profiles", ())).items():
            if not _PROFILE_NAME.fullmatch(name):
                self._complain(inner, name, "a profile's name has letters, digits and _ . + - only")
            found[name] = self._settings(inner, name)
        return found

    def _factors(self, node: yaml.Node | None) -> dict[str, tuple[Entry, ...]]:
        found: dict[str, tuple[Entry, ...]] = {}
        for name, inner in ({} if node is None else self._fields(node, "factors", ())).items():
            if self._is_known(name, inner):
                values = self._values(inner, name)
                found[name] = tuple({entry.text: entry for entry in values}.values())
                if not values:
                    self._complain(inner, name, "has no value: a factor has one at least")
        return found

    def _values(self, node: yaml.Node, name: str) -> list[Entry]:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: list[Entry] = []
        for item in items:
            text = self._text(item, name)
            match = _RANGE.fullmatch(text)
            if match is None:
                found.append(Entry(text, _line(item)))
                continue
            first, last = int(match[1]), int(match[2])
            if not first <= last < first + MOST_VALUES:
                self._complain(item, name, f"{text} is empty or longer than {MOST_VALUES} values")
                continue
            found += [Entry(str(number), _line(item)) for number in range(first, last + 1)]
        return found

    def _repeat(self, node: yaml.Node, factors: dict[str, tuple[Entry, ...]]) -> None:
        text = self._text(node, "repetitions")
        if names.SEED in factors:
            self._complain(node, "repetitions", "seed is a factor already: keep one of them")
        elif not text.isdecimal() or not 1 <= int(text) <= MOST_VALUES:
            self._complain(node, "repetitions", f"{text!r} is not a number from 1 to {MOST_VALUES}")
        else:
            line = _line(node)
            factors[names.SEED] = tuple(Entry(str(n), line) for n in range(1, int(text) + 1))

    def _check_profiles(
        self, profiles: dict[str, Entries], factors: dict[str, tuple[Entry, ...]]
    ) -> None:
        for entry in factors.get(names.PROFILE, ()):
            if entry.text not in profiles:
                guess = nearest(entry.text, profiles)
                hint = f"did you mean {guess!r}?" if guess else "name it below profiles"
                what = f"there is no profile {entry.text!r}; {hint}"
                self.problems.append(Problem(what, option=names.PROFILE, line=entry.line))
        for profile, settings in profiles.items():
            for name, entry in settings.items():
                if name in factors or name == names.PROFILE:
                    what = f"profile {profile} sets it, and so does a factor: keep one of them"
                    self.problems.append(Problem(what, option=name, line=entry.line))

    def _excluded(
        self, node: yaml.Node | None, factors: dict[str, tuple[Entry, ...]]
    ) -> tuple[dict[str, frozenset[str]], ...]:
        found = []
        for item in self._list(node, "exclude"):
            matched: dict[str, frozenset[str]] = {}
            for name, inner in self._fields(item, "exclude", tuple(factors)).items():
                values = self._values(inner, name)
                for entry in values:
                    self._check_value(name, entry, factors)
                matched[name] = frozenset(entry.text for entry in values)
            if not matched:
                self._complain(item, "exclude", "would exclude every run: name a factor's value")
            found.append(matched)
        return tuple(found)

    def _baseline(
        self, node: yaml.Node | None, factors: dict[str, tuple[Entry, ...]]
    ) -> dict[str, Entry]:
        if node is None:
            return {}
        found: dict[str, Entry] = {}
        for name, inner in self._fields(node, "baseline", tuple(factors)).items():
            found[name] = Entry(self._text(inner, name), _line(inner))
            self._check_value(name, found[name], factors)
        return found

    def _check_value(self, name: str, entry: Entry, factors: dict[str, tuple[Entry, ...]]) -> None:
        known = [value.text for value in factors[name]]
        # What stands for many files is known only when they are looked for.
        if entry.text not in known and not any("*" in text for text in known):
            what = f"{entry.text!r} is not a value of the factor: {', '.join(known[:10])}"
            self.problems.append(Problem(what, option=name, line=entry.line))

    def _report(self, node: yaml.Node | None) -> ReportOptions:
        if node is None:
            return ReportOptions()
        fields = self._fields(node, "report", _REPORT_FIELDS)
        figures = self._list(fields.get("figures"), "figures")
        return ReportOptions(
            figures=tuple(self._text(figure, "figures") for figure in figures),
            by=self._one(fields, "by"),
            lines=self._one(fields, "lines"),
        )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _labels_in(node: yaml.Node) -> frozenset[str]:
    """The names in braces in anything that is written below."""
    if isinstance(node, yaml.ScalarNode):
        return frozenset(names.placeholders(str(node.value)))
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        parts = [value for _, value in node.value]
    return frozenset().union(*map(_labels_in, parts))
