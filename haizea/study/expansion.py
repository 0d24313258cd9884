"""From the description of a study to its runs: every combination, each with its recipe."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from haizea.config import Config, ConfigError, Problem
from haizea.config.ini import Entry, IniFile, Section, parse_ini, read_ini
from haizea.config.load import MULTI, interpret
from haizea.config.multi import Member, expand
from haizea.study import names
from haizea.study.description import Entries, Study
from haizea.study.reading import read_study
from haizea.study.recipe import InputFile, Recipe, code_of
from haizea.study.workload import ParameterError, generate_options, scale_options
from haizea.workloads.model import DEFAULT_AMOUNTS

#: The most runs of a study. What has more was hardly meant.
MOST_RUNS = 1_000_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a study: its number (from 1), the value of each factor, and its recipe."""

    number: int
    values: tuple[tuple[str, str], ...]
    recipe: Recipe
    digest: str

    @property
    def name(self) -> str:
        """The factors and their values, in words."""
        return ", ".join(f"{name} {value}" for name, value in self.values) or "the only run"


def read_runs(path: Path) -> tuple[Study, list[Run]]:
    """The study in a file, YAML or a multi-configuration, and its runs.

    Raises :class:`ConfigError` with all that is wrong, :class:`haizea.workloads.WorkloadError`
    for what is not YAML, and :class:`OSError` where a file cannot be read.
    """
    if path.suffix.lower() not in (".yaml", ".yml") and MULTI in _sections_of(path):
        return _of_multi(path)
    study = read_study(path)
    return study, _Expansion(study).runs()


def _sections_of(path: Path) -> Mapping[str, Section]:
    return read_ini(path).sections


class _Expansion:
    """A study being combined, and the problems found so far."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._problems: dict[Problem, None] = {}
        self._digests: dict[Path, str] = {}

    def runs(self) -> list[Run]:
        """All runs, in the order of the factors; raises :class:`ConfigError`."""
        factors = self._with_files()
        self._raise()
        found: list[Run] = []
        for values in self._combinations(factors):
            run = self._run(len(found) + 1, values)
            if run is not None:
                found.append(run)
            if len(found) > MOST_RUNS:
                self._complain("factors", f"make more than {MOST_RUNS} runs", 1)
                break
        if not found and not self._problems:
            self._complain("exclude", "leaves no run at all", 1)
        self._raise()
        return found

    def _raise(self) -> None:
        if self._problems:
            raise ConfigError(self._study.path, sorted(self._problems, key=lambda p: p.line))

    def _complain(self, name: str, what: str, line: int) -> None:
        self._problems[Problem(what, option=name, line=line)] = None

    def _with_files(self) -> dict[str, list[Entry]]:
        """The factors, with all files that a pattern (``*.lwf``) stands for."""
        found: dict[str, list[Entry]] = {}
        for name, entries in self._study.factors.items():
            if name in names.FILES:
                found[name] = [file for entry in entries for file in self._matching(name, entry)]
            else:
                found[name] = list(entries)
        return found

    def _matching(self, name: str, entry: Entry) -> list[Entry]:
        if "*" not in entry.text and "?" not in entry.text:
            return [entry]
        base = self._study.path.parent
        matching = sorted(path for path in base.glob(entry.text) if path.is_file())
        if not matching:
            self._complain(name, f"no file is called like {base / entry.text}", entry.line)
        return [Entry(str(path.relative_to(base)), entry.line) for path in matching]

    def _combinations(self, factors: Mapping[str, list[Entry]]) -> Iterator[Entries]:
        if factors:
            for combination in itertools.product(*factors.values()):
                values = dict(zip(factors, combination, strict=True))
                if not any(
                    all(values[name].text in texts for name, texts in matched.items())
                    for matched in self._study.exclude
                ):
                    yield values
        yield from self._study.also

    def _run(self, number: int, values: Entries) -> Run | None:
        """One run; nothing where there are problems, which are kept."""
        profile = values.get(names.PROFILE)
        settings = {
            **self._study.fixed,
            **(self._study.profiles.get(profile.text, {}) if profile else {}),
            **values,
        }
        settings.pop(names.PROFILE, None)
        before = len(self._problems)
        recipe = self._recipe(settings)
        if recipe is None or len(self._problems) > before:
            return None
        shown = tuple((name, entry.text) for name, entry in values.items())
        return Run(number, shown, recipe, recipe.digest)

    def _recipe(self, settings: Entries) -> Recipe | None:
        files = self._files(settings)
        generated, scaled = self._made(settings)
        sections: dict[str, Section] = {}
        for name, entry in settings.items():
            if place := names.OPTIONS.get(name):
                sections.setdefault(place[0], Section(0)).entries[place[1]] = entry
        if names.HOSTS in settings:
            self._set_hosts(settings, sections)
        config = self._config(sections, files)
        if config is None:
            return None
        options = tuple(
            (section, option, entry.text)
            for section, found in sections.items()
            for option, entry in found.entries.items()
        )
        made = (InputFile(names.FILES[n][1], str(p), self._digest(p)) for n, p in files.items())
        return Recipe(
            options=options,
            files=tuple(made),
            generated=generated,
            scaled=scaled,
            keep_results=self._study.keep_results,
            code=code_of(config),
        )

    def _files(self, settings: Entries) -> dict[str, Path]:
        """The input files by name; those that are not there are problems."""
        found: dict[str, Path] = {}
        texts = {name: entry.text for name, entry in settings.items()}
        for name in names.FILES:
            entry = settings.get(name)
            if entry is None or entry.text.lower() == "none":
                continue
            try:
                text = names.filled(entry.text, texts)
            except KeyError as missing:
                what = f"{entry.text} has {missing} in it, which this run has no value of"
                self._complain(name, what, entry.line)
                continue
            path = (self._study.path.parent / Path(text).expanduser()).absolute()
            if path.is_file():
                found[name] = path
            else:
                self._complain(name, f"there is no file {path}", entry.line)
        return found

    def _made(
        self, settings: Entries
    ) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """Parameters of a workload that is generated, and of a trace that is scaled."""
        asked = [name for name in names.GENERATED if name in settings]
        with_seed = (*names.GENERATED, names.SEED, names.HOSTS, names.HOST_CAPACITY)
        if "trace" in settings:
            for name in asked:
                what = "goes with a generated workload, not with a trace; scale changes its load"
                self._complain(name, what, settings[name].line)
            texts = _texts(settings, (names.SCALE, names.SCALE_BY, names.SEED))
            if names.SCALE not in texts and names.SEED in texts:
                what = "changes nothing: a trace gives the same run each time"
                self._complain(names.SEED, what, settings[names.SEED].line)
            scaled = tuple(texts.items()) if names.SCALE in texts else ()
            self._try(settings, lambda: scale_options(texts))
            return (), scaled
        for name in ("jobs", names.HOSTS):
            if name not in settings:
                what = "is missing: name a trace, or say jobs and hosts of a generated workload"
                self._complain(name, what, 1)
        if names.SCALE in settings:
            what = "goes with a trace; a generated workload has a load"
            self._complain(names.SCALE, what, settings[names.SCALE].line)
        texts = _texts(settings, with_seed)
        self._try(settings, lambda: generate_options(texts))
        return tuple(texts.items()), ()

    def _try(self, settings: Entries, check: Callable[[], object]) -> None:
        try:
            check()
        except ParameterError as wrong:
            self._complain(wrong.name, wrong.what, settings[wrong.name].line)

    def _set_hosts(self, settings: Entries, sections: dict[str, Section]) -> None:
        entry = settings[names.HOSTS]
        there = sections.setdefault("simulation", Section(0)).entries
        if "resources" in there:
            what = "is set by hosts and host-capacity, too: keep one of them"
            self._complain("resources", what, there["resources"].line)
        plain = " ".join(f"{name}:{amount}" for name, amount in DEFAULT_AMOUNTS.items())
        capacity = settings.get(names.HOST_CAPACITY) or settings.get("node-capacity")
        each = capacity.text if capacity is not None else plain
        there["resources"] = Entry(f"{entry.text} {each}", entry.line)

    def _config(self, sections: dict[str, Section], files: Mapping[str, Path]) -> Config | None:
        """The configuration, to see what is wrong with it."""
        whole = {name: Section(found.line, dict(found.entries)) for name, found in sections.items()}
        trace = whole.setdefault("tracefile", Section(0)).entries
        trace["tracefile"] = Entry("generated", 1)
        for name, path in files.items():
            trace[names.FILES[name][1]] = Entry(str(path), 1)
        try:
            return interpret(IniFile(self._study.path, whole))
        except ConfigError as error:
            self._problems.update(dict.fromkeys(error.problems))
            return None

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = file_digest(path)
        return self._digests[path]


def values_of(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The factors of all runs, each with its values, empty where a run has none, in order."""
    by_name: dict[str, dict[str, None]] = {name: {} for run in runs for name, _ in run.values}
    for run in runs:
        values = dict(run.values)
        for name, found in by_name.items():
            found[values.get(name, "")] = None
    return {name: list(found) for name, found in by_name.items()}


def file_digest(path: Path) -> str:
    """The hash of a file's bytes. Raises :class:`OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _texts(settings: Entries, wanted: tuple[str, ...]) -> dict[str, str]:
    return {name: settings[name].text for name in wanted if name in settings}


def _of_multi(path: Path) -> tuple[Study, list[Run]]:
    """The runs of a multi-configuration; their factors are profile, trace and injected trace."""
    members = expand(path)
    digests: dict[Path, str] = {}
    runs = [_of_member(number, member, digests) for number, member in enumerate(members, 1)]
    datafile = members[0].config.accounting.datafile
    assert datafile is not None, "a study's configurations have datafiles"
    factors = {
        name: tuple(Entry(text, 0) for text in texts) for name, texts in values_of(runs).items()
    }
    return Study(path, path.stem, datafile.parent.absolute(), factors=factors), runs


def _of_member(number: int, member: Member, digests: dict[Path, str]) -> Run:
    trace = member.config.tracefile
    files = []
    for option in ("tracefile", "injectionfile", "imagefile"):
        path = getattr(trace, option)
        if path is not None:
            whole = path.absolute()
            digests[whole] = digests.get(whole) or file_digest(whole)
            files.append(InputFile(option, str(whole), digests[whole]))
    taken = {file.option for file in files} | {"datafile", "attributes", "logfile"}
    options = tuple(
        (section, option, entry.text)
        for section, found in parse_ini(Path(member.name), member.text).sections.items()
        for option, entry in found.entries.items()
        if option not in taken
    )
    recipe = Recipe(options, tuple(files), code=code_of(member.config))
    injection = trace.injectionfile
    values = {
        "profile": dict(member.config.accounting.attributes)["profile"],
        "trace": "" if trace.tracefile is None else trace.tracefile.name,
        "injection": "none" if injection is None else injection.name,
    }
    return Run(number, tuple(values.items()), recipe, recipe.digest)
