"""The names that a study's file may set: options of a configuration, and what a study adds."""

from __future__ import annotations

import re

from haizea.config.option import options_of
from haizea.config.sections import SECTIONS
from haizea.plugins import nearest

#: Of the sections, those that a simulation heeds.
_SECTIONS = ("general", "scheduling", "simulation", "tracefile", "deploy-imagetransfer")

#: Input files, and the option that each stands for.
FILES = {
    "trace": ("tracefile", "tracefile"),
    "injection": ("tracefile", "injectionfile"),
    "images": ("tracefile", "imagefile"),
}

#: Parameters of a generated workload, called as the options of ``haizea generate-workload``.
GENERATED = (
    "jobs",
    "load",
    "estimate",
    "estimate-factor",
    "ar-share",
    "ar-duration",
    "ar-size",
    "ar-lead",
    "node-capacity",
)

#: The rest of what a study adds.
PROFILE = "profile"
SEED = "seed"
HOSTS = "hosts"
HOST_CAPACITY = "host-capacity"
SCALE = "scale"
SCALE_BY = "scale-by"

ADDED = (*FILES, *GENERATED, PROFILE, SEED, HOSTS, HOST_CAPACITY, SCALE, SCALE_BY)

#: Options that a study sets itself, and what to write in their place.
_OURS = {
    ("tracefile", "tracefile"): "write trace",
    ("tracefile", "injectionfile"): "write injection",
    ("tracefile", "imagefile"): "write images",
    ("general", "logfile"): "the runs of a study write no log",
    ("general", "persistence-file"): "it is of a service",
    ("general", "mode"): "a study simulates",
    ("simulation", "clock"): "a study simulates",
}

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _options() -> dict[str, tuple[str, str]]:
    known: dict[str, tuple[str, str]] = {}
    for section in (*_SECTIONS, "accounting"):
        for _, option in options_of(SECTIONS[section]):
            place = (section, option.name)
            if place in _OURS or (section == "accounting" and option.name != "probes"):
                continue
            known[f"{section}.{option.name}"] = place
            if option.name not in ADDED:
                known.setdefault(option.name, place)
    return known


#: Section and option, by the name that a file may use: ``suspension``, ``scheduling.suspension``.
OPTIONS = _options()


def problem_of(name: str, labels: frozenset[str]) -> str:
    """Tell why this cannot be set; empty if it can. ``labels`` are names of the file's own."""
    if name in ADDED or name in OPTIONS or name in labels:
        return ""
    plain = name.rpartition(".")[2]
    for (_, option), instead in _OURS.items():
        if option == plain:
            return f"is not set here: {instead}"
    guess = nearest(name, [*ADDED, *OPTIONS, *labels])
    hint = f"did you mean {guess!r}?" if guess else "docs/studies.md lists them"
    return f"is neither an option nor a part of a study, nor used in a file's name; {hint}"


def placeholders(text: str) -> list[str]:
    """The names in braces in the name of a file."""
    return _PLACEHOLDER.findall(text)


def filled(text: str, values: dict[str, str]) -> str:
    """The name of a file with values in place of names; :class:`KeyError` for one without."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
