"""A workload to measure, an axis of them, and the ways of scheduling that they differ in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.workloads import SUSPENSION, Prepared, Scheduling

EASY = Scheduling()
CONSERVATIVE = Scheduling(backfilling="conservative")
FOUR_RESERVATIONS = Scheduling(
    backfilling="intermediate", more={"scheduling": {"backfilling-reservations": "4"}}
)
LEASE_MANAGER = Scheduling(more=SUSPENSION)
NO_MIGRATION = Scheduling(
    more={"scheduling": {**SUSPENSION["scheduling"], "migration": "no"}},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One workload to run.

    ``yardstick`` counts the same jobs: nodes that are whole hosts, or what is needed in sums.
    ``recording`` says that it is also run without a results file. ``quick`` says that it is part
    of a quick bench.
    """

    name: str
    title: str
    make: Callable[[Path], Prepared]
    yardstick: str | None = None
    recording: bool = False
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """Something that grows while the rest stays as it is: cases, and how much of it each has."""

    name: str
    title: str
    cases: tuple[tuple[Case, int], ...]
