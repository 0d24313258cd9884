"""Measurements as JSON, and the targets beside them."""

from __future__ import annotations

import os
import platform
import sqlite3
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from bench.case import Axis
from bench.cases import AXES, TARGETS, Target, every_case
from bench.suite import Figures, Yardstick, exponent, exponent_over_states

#: How figures are called and written for people.
FIGURES = {
    "leases_per_second": ("leases per CPU second", "{:,.0f}"),
    "yardstick_ratio": ("times the yardstick's simulation alone", "{:.1f}"),
    "records_ratio": ("times the yardstick for full records", "{:.1f}"),
    "process_ratio": ("times the yardstick's whole process", "{:.1f}"),
    "cpu_seconds": ("CPU seconds", "{:.2f}"),
    "check_ratio": ("check-schedule, times the run", "{:.1f}"),
    "check_peak_mb": ("MB at most of check-schedule", "{:,.0f}"),
    "peak_mb": ("MB at most", "{:,.0f}"),
    "recording_share": ("share of recording, with probes", "{:.0%}"),
    "plain_recording_share": ("share of recording, without probes", "{:.0%}"),
    "exponent": ("growth exponent", "{:.2f}"),
    "decision_ms": ("ms for the slowest decision", "{:.1f}"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, what was measured (``None``: nothing was), and whether that is good enough.

    ``compiled`` is what was measured of a compiled build, if anything was.
    """

    target: Target
    measured: float | None
    compiled: float | None = None

    @property
    def met(self) -> bool:
        """True if the target is met."""
        if self.measured is None:
            return False
        if self.target.at_least:
            return self.measured >= self.target.limit
        return self.measured <= self.target.limit

    def words(self) -> dict[str, str]:
        """For people: what, target, measured, and met or how far off."""
        what, form = FIGURES[self.target.figure]
        limit = ("≥ " if self.target.at_least else "≤ ") + form.format(self.target.limit)
        compiled = "" if self.compiled is None else form.format(self.compiled)
        if self.measured is None:
            return {
                "what": what,
                "target": limit,
                "measured": "–",
                "verdict": "not measured",
                "compiled": compiled,
            }
        verdict = "met"
        if not self.met:
            high, low = sorted((self.measured, self.target.limit), reverse=True)
            verdict = f"missed by a factor of {high / low:.2f}" if low > 0 else "missed"
        return {
            "what": what,
            "target": limit,
            "measured": form.format(self.measured),
            "verdict": verdict,
            "compiled": compiled,
        }


def report(
    figures: Sequence[Figures],
    decision: Mapping[str, float] | None,
    profiles: Mapping[str, Any],
    quick: bool,
) -> dict[str, Any]:
    """All of it, as it is written to the JSON file."""
    by_name = {f.name: f for f in figures}
    start_up = by_name.get("start-up")
    start_up_seconds = start_up.cpu_seconds if start_up and not start_up.refused else 0.0
    axes = [_axis(axis, by_name, start_up_seconds) for axis in AXES]
    exponents = {axis["name"]: axis["exponent"] for axis in axes}
    verdicts = [
        Verdict(t, _measured(t, by_name, exponents, decision), _compiled(t, by_name))
        for t in TARGETS
    ]
    return {
        "machine": machine(),
        "quick": quick,
        "cases": [_case(f) for f in figures],
        "axes": axes,
        "decision": None if decision is None else dict(decision),
        "targets": [
            {
                "subject": v.target.subject,
                "figure": v.target.figure,
                "limit": v.target.limit,
                "value": v.measured,
                "met": v.met,
                **v.words(),
            }
            for v in verdicts
        ],
        "profiles": dict(profiles),
    }


def figures_of(case: Mapping[str, Any]) -> Figures:
    """The figures that a case in a file of figures has."""
    named = {field.name for field in fields(Figures)}
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in case.items()
        if name in named
    }
    if found.get("yardstick") is not None:
        found["yardstick"] = Yardstick(**found["yardstick"])
    return Figures(**found)


def renewed(before: Mapping[str, Any], figures: Sequence[Figures]) -> list[Figures]:
    """The figures of a file, these in place of those of the same cases, in the cases' order.

    Cases that there are no more are left out.
    """
    found = {c["name"]: figures_of(c) for c in before["cases"]}
    found |= {anew.name: anew for anew in figures}
    return [found[name] for name in every_case() if name in found]


def machine() -> dict[str, Any]:
    """Return what the figures depend on, beside Haizea."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": python_build(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def python_build() -> str:
    """Return how this Python was compiled, as far as it matters for speed."""
    flags = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    how = [
        "profile-guided" if "--enable-optimizations" in flags else "not profile-guided",
        "link-time optimized" if "--with-lto" in flags else "not link-time optimized",
    ]
    if sysconfig.get_config_var("Py_DEBUG"):
        how.append("for debugging")
    return f"{platform.python_compiler()}, {', '.join(how)}"


def _case(figures: Figures) -> dict[str, Any]:
    if figures.refused:
        return {"name": figures.name, "title": figures.title, "refused": figures.refused}
    return {
        **asdict(figures),
        "cpu_seconds": figures.cpu_seconds,
        "leases_per_second": figures.leases_per_second,
        "yardstick_ratio": figures.yardstick_ratio,
        "process_ratio": figures.process_ratio,
        "records_ratio": figures.records_ratio,
        "check_ratio": figures.check_ratio,
        "compiled_cpu_seconds": figures.compiled_cpu_seconds,
        "compiled_leases_per_second": figures.compiled_leases_per_second,
    }


def _axis(axis: Axis, by_name: Mapping[str, Figures], start_up_seconds: float) -> dict[str, Any]:
    found = {name: f for name, f in by_name.items() if not f.refused}
    return {
        "name": axis.name,
        "title": axis.title,
        "exponent": exponent(axis, dict(by_name), start_up_seconds),
        "exponent_over_states": exponent_over_states(axis, dict(by_name), start_up_seconds),
        "points": [
            {"case": case.name, "amount": amount, "cpu_seconds": found[case.name].cpu_seconds}
            for case, amount in axis.cases
            if case.name in found
        ],
    }


def _compiled(target: Target, by_name: Mapping[str, Figures]) -> float | None:
    """The same of a compiled build, for what is measured of one."""
    figures = by_name.get(target.subject)
    if figures is None or figures.refused:
        return None
    value = getattr(figures, f"compiled_{target.figure}", None)
    return None if value is None else float(value)


def _measured(
    target: Target,
    by_name: Mapping[str, Figures],
    exponents: Mapping[str, float | None],
    decision: Mapping[str, float] | None,
) -> float | None:
    if target.figure == "exponent":
        return exponents[target.subject]
    if target.figure == "decision_ms":
        return None if decision is None else decision["worst_ms"]
    figures = by_name.get(target.subject)
    if figures is None or figures.refused:
        return None
    value = getattr(figures, target.figure)
    return None if value is None else float(value)
