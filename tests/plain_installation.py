"""Environments in which only what some installation of Haizea brings can be imported."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from haizea.extras import MODULES

ROOT = Path(__file__).resolve().parent.parent


def requirements(*extras: str) -> set[str]:
    """The distributions that these extras name, and those that they refer to."""
    return set(_requirements(extras))


def _requirements(extras: tuple[str, ...]) -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            name, more = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", requirement).groups()  # type: ignore[union-attr]
            if name == "haizea":
                yield from _requirements(tuple(more.split(",")))
            else:
                yield name.lower()


def only(directory: Path, *extras: str) -> dict[str, str]:
    """Variables with which Python finds nothing of what other extras than these bring."""
    # Part of setuptools is imported whenever this Python starts.
    others = requirements("test") - requirements(*extras) - {"setuptools"}
    hidden = {
        module
        for module, distributions in packages_distributions().items()
        if others & {name.lower() for name in distributions}
    }
    # Some come with what another brings.
    if not extras:
        hidden.update(*MODULES.values())
    directory.mkdir()
    for module in hidden:
        text = f"raise ModuleNotFoundError('not installed: {module}', name='{module}')\n"
        (directory / f"{module}.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": str(directory)}
