"""Whole simulations in a world: the real scheduler and loop, random sites and workloads."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from effort import EFFORT, SEED, tries
from hypothesis import given
from hypothesis import strategies as st
from simulated_runs import Case, Run, Watched, cases, play

from haizea.backends.world import VmState, World, WorldBackend, WorldOptions
from haizea.clock import SimulatedClock
from haizea.core.events import OperationEnded, Purpose
from haizea.core.hosts import Site
from haizea.core.lifecycle import FINAL, State
from haizea.core.resources import FOREVER, ResourceTypes
from haizea.core.scheduler import Scheduler
from haizea.loop import TraceArrivals, run_loop


def play_in(world: World, case: Case) -> Run:
    """Run the case to its end in a world."""
    run = Run(case)
    run_loop(
        Watched(Scheduler(case.site, case.settings, case.policies(), 0), None),
        SimulatedClock(0),
        WorldBackend(world, case.real),
        TraceArrivals(case.requests),
        [run],
        lambda due: due >= FOREVER,
    )
    return run


def test_todo() -> None: ...
