"""The description of a study, as its file says it, before anything is combined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from haizea.config.ini import Entry

#: Values by name, with the line each stands on.
Entries = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Choices for the report; what is empty is chosen when the report is made.

    ``figures`` are drawn, by the factor ``by``, a line for each value of the factor ``lines``.
    The intervals are over the rest.
    """

    figures: tuple[str, ...] = ()
    by: str = ""
    lines: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """A study: what is the same in all runs, what differs, and what becomes of the results.

    Every combination of the factors' values is a run, except those that ``exclude`` matches;
    ``also`` are runs beside them. ``baseline`` has the values of what others are compared
    with. ``results`` is the directory of all results; with ``keep_results`` the results file
    of every run is kept there, too.
    """

    path: Path
    name: str
    results: Path
    keep_results: bool = False
    fixed: Entries = field(default_factory=dict)
    profiles: Mapping[str, Entries] = field(default_factory=dict)
    factors: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    exclude: tuple[Mapping[str, frozenset[str]], ...] = ()
    also: tuple[Entries, ...] = ()
    baseline: Entries = field(default_factory=dict)
    report: ReportOptions = ReportOptions()
