"""The kinds of plug-ins, and how a name in the configuration becomes an object.

A name is one of three things, looked for in this order: the short name of something that
comes with Haizea; a dotted path, ``package.module.Class``, to a class of your own; the
name of an entry point that an installed package registers in the kind's group. The class
is checked to have the methods that its kind asks for, and made without arguments (a
mapper: with the host selection policy).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class PluginError(ValueError):
    """A name stands for nothing that can be plugged in; says why, and what would be right."""


@dataclass(frozen=True)
class Kind:
    """One kind of plug-in.

    ``title`` is what people call it, ``group`` its entry point group, ``methods`` what a
    class of this kind must have, ``builtin`` the short names of what comes with Haizea,
    each with the dotted path of its class. ``takes_arguments``: objects are made with
    arguments, by whoever uses them.
    """

    title: str
    group: str
    methods: tuple[str, ...]
    builtin: Mapping[str, str]
    takes_arguments: bool = False


ADMISSION = Kind(
    "admission policy",
    "haizea.admission_policies",
    ("refusal",),
    {
        "accept-all": "haizea.policies.admission.AcceptAll",
        "no-ARs": "haizea.policies.admission.NoAdvanceReservations",
    },
)
PREEMPTION = Kind(
    "preemption policy",
    "haizea.preemption_policies",
    ("victims",),
    {
        "no-preemption": "haizea.policies.preemption.NoPreemption",
        "ar-preempts-everything": "haizea.policies.preemption.ArPreemptsEverything",
    },
)
HOST_SELECTION = Kind(
    "host selection policy",
    "haizea.host_selection_policies",
    ("tiers",),
    {
        "greedy": "haizea.policies.host_selection.Greedy",
        "no-policy": "haizea.policies.host_selection.NoPolicy",
    },
)
QUEUE_ORDER = Kind(
    "queue order policy",
    "haizea.queue_order_policies",
    ("key",),
    {
        "submission": "haizea.policies.queue_order.Submission",
        "seniority": "haizea.policies.queue_order.Seniority",
        "shortest-first": "haizea.policies.queue_order.ShortestFirst",
    },
)


#: Made with the host selection policy; see :class:`haizea.core.placement.mapper.Mapper`.
MAPPER = Kind(
    "mapper",
    "haizea.mappers",
    ("choose", "pack"),
    {"greedy": "haizea.core.placement.mapper.GreedyMapper"},
    takes_arguments=True,
)
PROBES = Kind(
    "probe",
    "haizea.probes",
    ("begin", "note", "figures"),
    {
        "ar": "haizea.accounting.probes.leases.ArProbe",
        "best-effort": "haizea.accounting.probes.leases.BestEffortProbe",
        "immediate": "haizea.accounting.probes.leases.ImmediateProbe",
        "cpu-utilization": "haizea.accounting.probes.cpu.CpuUtilizationProbe",
        "disk-usage": "haizea.accounting.probes.disk.DiskUsageProbe",
    },
)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that is most like ``name``, whatever the case; ``None`` if none is."""
    by_lower = {k.lower(): k for k in sorted(known)}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return by_lower[close[0]] if close else None


def find(kind: Kind, name: str) -> object:
    """A new object of the class that ``name`` stands for, made without arguments.

    Raises :class:`PluginError` as :func:`find_class` does, and where making it fails.
    """
    found = find_class(kind, name)
    try:
        return found()
    except Exception as error:  # a class of the user's may raise anything
        raise PluginError(
            f"the {kind.title} {name!r} cannot be made: {found.__name__}()"
            f" raised {type(error).__name__}: {error}"
        ) from error


def find_class(kind: Kind, name: str) -> type[Any]:
    """The class that ``name`` stands for.

    Raises :class:`PluginError` where there is none, it cannot be imported, or it lacks a
    method of its kind.
    """
    found = _look_up(kind, name)
    if not isinstance(found, type):
        raise PluginError(f"{name!r} is not a {kind.title}: it is not a class")
    for method in kind.methods:
        if not callable(getattr(found, method, None)):
            raise PluginError(f"{name!r} is not a {kind.title}: it has no method {method}()")
    return found


def check(kind: Kind, name: str) -> None:
    """Raise :class:`PluginError` where ``name`` cannot be used.

    What comes with Haizea is known to be there: it is imported only when it is used.
    """
    if name in kind.builtin:
        return
    if kind.takes_arguments:
        find_class(kind, name)
    else:
        find(kind, name)


def _look_up(kind: Kind, name: str) -> object:
    if name in kind.builtin:
        return _import(kind, name, kind.builtin[name])
    if "." in name:
        return _import(kind, name, name)
    # Imported when it is needed: it takes longer than the rest of the start.
    from importlib.metadata import entry_points

    installed = entry_points(group=kind.group)
    if name in installed.names:
        return _load(kind, installed[name])
    known = list(dict.fromkeys([*kind.builtin, *sorted(installed.names)]))
    raise PluginError(_unknown(kind, name, known))


def _unknown(kind: Kind, name: str, known: list[str]) -> str:
    guess = nearest(name, known)
    hint = f"did you mean {guess!r}? " if guess else ""
    names = ", ".join(known)
    return (
        f"there is no {kind.title} {name!r}; {hint}"
        f"Known are {names}; a class of your own is written package.module.Class"
    )


def _import(kind: Kind, name: str, path: str) -> object:
    module_name, _, class_name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")):
        raise PluginError(f"{name!r} is not a {kind.title}: write package.module.Class")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of the user's may raise anything
        hint = "; is its folder on PYTHONPATH?" if isinstance(error, ModuleNotFoundError) else ""
        raise PluginError(
            f"the {kind.title} {name!r} cannot be imported:"
            f" importing {module_name} raised {type(error).__name__}: {error}{hint}"
        ) from error
    try:
        return getattr(module, class_name)
    except AttributeError:
        guess = nearest(class_name, vars(module))
        hint = f"; did you mean {module_name}.{guess}?" if guess else ""
        raise PluginError(
            f"there is no {kind.title} {name!r}: module {module_name}"
            f" has no class {class_name}{hint}"
        ) from None


def _load(kind: Kind, entry_point: EntryPoint) -> object:
    try:
        return entry_point.load()
    except Exception as error:  # as for dotted paths
        raise PluginError(
            f"the {kind.title} {entry_point.name!r} ({entry_point.value}) cannot be imported:"
            f" {type(error).__name__}: {error}"
        ) from error
