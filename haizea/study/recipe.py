"""Everything that goes into a run, and the hash that its result is known by."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import haizea
from haizea import plugins
from haizea.config import Config

#: What a simulation and its figures come from. A change of the rest makes no run anew.
_CODE = (
    *("accounting", "backends/base.py", "backends/simulated.py", "clock.py", "config", "core"),
    *("loop.py", "plugins.py", "policies", "runtime.py", "study/perform.py", "study/recipe.py"),
    *("times", "workloads"),
)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a run reads: the option that names it, its place, and the hash of its bytes."""

    option: str
    path: str
    digest: str

    @property
    def name(self) -> str:
        """Its name without the directory."""
        return Path(self.path).name


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a run is made from.

    ``options`` are those that the study sets, ``(section, option, text)``, without files.
    ``generated`` are the parameters of a workload that is made for the run, in place of a
    trace; ``scaled`` those of a change of the trace's load. Recipes with the same
    :attr:`digest` give the same result; that the results file is kept changes nothing of it.
    """

    options: tuple[tuple[str, str, str], ...]
    files: tuple[InputFile, ...] = ()
    generated: tuple[tuple[str, str], ...] = ()
    scaled: tuple[tuple[str, str], ...] = ()
    keep_results: bool = False
    code: str = ""

    @property
    def digest(self) -> str:
        """The hash of everything: options, bytes of files, parameters, version and code."""
        told = {
            "version": haizea.__version__,
            "code": self.code,
            "options": sorted(self.options),
            # The name may tell the format of a file; where it lies means nothing.
            "files": sorted(
                (f.option, f.digest, "".join(Path(f.path).suffixes)) for f in self.files
            ),
            "generated": sorted(self.generated),
            "scaled": sorted(self.scaled),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:40]

    def configuration(self, paths: Mapping[str, str], datafile: str) -> str:
        """The text of the run's configuration, with its files at ``paths``, by option."""
        lines: dict[str, list[str]] = {}
        for section, option, text in self.options:
            lines.setdefault(section, []).append(f"{option}: {text}")
        trace = lines.setdefault("tracefile", [])
        trace += [f"{option}: {path}" for option, path in paths.items()]
        if "tracefile" not in paths:
            trace.append("tracefile: generated")
        lines.setdefault("accounting", []).append(f"datafile: {datafile}")
        return "".join(f"[{name}]\n" + "\n".join(part) + "\n" for name, part in lines.items())

    def as_json(self) -> dict[str, Any]:
        """The same as what JSON can hold."""
        return {
            "options": self.options,
            "files": [[file.option, file.path, file.digest] for file in self.files],
            "generated": self.generated,
            "scaled": self.scaled,
            "keep_results": self.keep_results,
            "code": self.code,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Recipe:
        """The recipe that :meth:`as_json` told of."""
        return cls(
            options=tuple((s, o, t) for s, o, t in told["options"]),
            files=tuple(InputFile(*file) for file in told["files"]),
            generated=tuple((name, text) for name, text in told["generated"]),
            scaled=tuple((name, text) for name, text in told["scaled"]),
            keep_results=told["keep_results"],
            code=told["code"],
        )


@functools.cache
def code_digest() -> str:
    """The hash of the part of Haizea that a run's result depends on."""
    root = Path(__file__).parent.parent
    found = hashlib.sha256()
    for name in _CODE:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            found.update(path.read_bytes())
    return found.hexdigest()


def code_of(config: Config) -> str:
    """The hash of that part and of the user's own policies, mappers and probes."""
    scheduling = config.scheduling
    named = [
        (plugins.ADMISSION, scheduling.policy_admission),
        (plugins.PREEMPTION, scheduling.policy_preemption),
        (plugins.QUEUE_ORDER, scheduling.policy_queue_order),
        (plugins.HOST_SELECTION, scheduling.policy_host_selection),
        (plugins.MAPPER, scheduling.mapper),
        *((plugins.PROBES, name) for name in config.accounting.probes),
    ]
    modules = {plugins.find_class(kind, name).__module__ for kind, name in named}
    return _with_modules(frozenset(m for m in modules if not m.startswith("haizea.")))


@functools.cache
def _with_modules(modules: frozenset[str]) -> str:
    if not modules:
        return code_digest()
    found = hashlib.sha256(code_digest().encode())
    for name in sorted(modules):
        path = getattr(importlib.import_module(name), "__file__", None)
        found.update(Path(path).read_bytes() if path else name.encode())
    return found.hexdigest()
