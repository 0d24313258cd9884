"""Leases whose nodes may not run everywhere, among others, through the whole simulator.

Which hosts will do changes while they wait and run, and the scheduler is replaced by one that
goes on from its records. The checker tells who was where it may not be.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import effort
import pytest
from test_checked_runs import wrong
from test_restarts import Restarting

from haizea import runtime
from haizea.core.model.events import HostsAllowed, Input, LeaseSubmitted, StateChanged
from haizea.core.model.hostrules import Allowed, allowed_hosts
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.lifecycle import FINAL
from haizea.core.model.turn import Turn

RUNS = 150


def some(rng: random.Random, count: int) -> tuple[int, ...]:
    return tuple(rng.sample(range(count), rng.randint(1, count)))


def rules(rng: random.Random, count: int) -> Allowed:
    """Rules for so many nodes, on sites of three or four hosts; one set of hosts at times."""
    sets = [rng.choice([EVERYWHERE, EVERYWHERE, 0b111, 0b1011, 0b110]) for _ in range(count)]
    if rng.random() < 0.2:
        sets = sets[:1] * count
    together = [some(rng, count)] if rng.random() < 0.3 else []
    apart = [some(rng, count)] if rng.random() < 0.3 else []
    return allowed_hosts(sets, together, apart)


class Limiting(Restarting):
    """A scheduler that is told of hosts that will not do for half of its leases."""

    def __init__(self, *parts: Any, whole_turns: bool) -> None:
        super().__init__(*parts, whole_turns=whole_turns)
        self._rng = random.Random(7)
        self._counts: dict[int, int] = {}

    def handle(self, now: int, inputs: Sequence[Input] = ()) -> Turn:
        told: list[Input] = []
        for arrival in inputs:
            if isinstance(arrival, LeaseSubmitted) and self._rng.random() < 0.5:
                count = arrival.request.node_count
                told.append(LeaseSubmitted(arrival.request, rules(self._rng, count)))
                self._counts[arrival.request.id] = count
            else:
                told.append(arrival)
        for lease_id, count in self._counts.items():
            if self._rng.random() < 0.05 and not any(
                isinstance(i, LeaseSubmitted) and i.request.id == lease_id for i in told
            ):
                told.append(HostsAllowed(lease_id, rules(self._rng, count)))
        turn = super().handle(now, told)
        for decision in turn.decisions:
            if isinstance(decision, StateChanged) and decision.new in FINAL:
                self._counts.pop(decision.lease_id, None)
        return turn


@pytest.mark.parametrize("disturbed", [False, True], ids=["as planned", "with faults"])
def test_nodes_are_only_where_they_may_be(
    disturbed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "Scheduler", Limiting)
    first = effort.SEED if effort.EFFORT else 0
    found: list[str] = []
    ran = 0
    for seed in range(first, first + RUNS * max(effort.EFFORT, 1)):
        violations = wrong(seed, tmp_path, disturbed=disturbed)
        # As in test_restarts.
        found += [v for v in violations if "the transfer of its image takes" not in v][:3]
        with closing(sqlite3.connect(tmp_path / "results.db")) as results:
            ran += results.execute("SELECT count(*) FROM node_hosts").fetchone()[0]
        if len(found) > 20:
            break
    assert not found, "\n".join(found)
    assert ran > RUNS, "such leases run"


@pytest.mark.parametrize("seed", [5168, 5556])
def test_a_restart_remembers_that_images_did_not_arrive(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "Scheduler", Limiting)
    assert wrong(seed, tmp_path, disturbed=True, looks=effort.DEFAULT_LOOKS) == []


def test_a_lease_that_need_not_be_suspended_any_more_runs_for_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reservations are counted then as long as it really runs."""
    monkeypatch.setattr(runtime, "Scheduler", Limiting)
    assert wrong(4078, tmp_path, disturbed=True, looks=effort.DEFAULT_LOOKS) == []
