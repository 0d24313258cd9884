"""Managers that are killed anywhere: nothing runs twice, nothing is lost, nothing is too much."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from effort import EFFORT, SEED
from mortal_managers import Outcome, live_and_die, unfinished
from random_workloads import ONCE, crowded_case, random_case
from simulated_runs import Story

from haizea.backends.world import VmState, WorldOptions
from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.wording import in_words

SEEDS = (*range(40), ONCE) if not EFFORT else range(SEED, SEED + 40 * EFFORT)


def options_by(seed: int) -> WorldOptions:
    chance = random.Random(seed)
    slow = [p for p in Purpose if p is not Purpose.RUN]
    return WorldOptions(
        failures=dict.fromkeys(Purpose, chance.choice([0.0, 0.05, 0.2])),
        delays=dict.fromkeys(slow, chance.choice([0.0, 0.3])),
        longest_delay_seconds=chance.choice([1, 30]),
        early_ends=chance.choice([0.0, 0.3]),
        host_failure_seconds=chance.choice([0, 0, 300]),
        host_repair_seconds=40,
        seed=seed,
    )


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}-")
def test_killed_at_any_moment(seed: int, tmp_path: Path) -> None:
    outcome = live_and_die(random_case(seed), tmp_path / "world.db", options_by(seed), seed)
    check(outcome)
    outcome.world.close()


def slow_options_by(seed: int) -> WorldOptions:
    chance = random.Random(seed)
    slow = [p for p in Purpose if p is not Purpose.RUN]
    return WorldOptions(
        failures=dict.fromkeys(Purpose, chance.choice([0.0, 0.05, 0.1])),
        delays=dict.fromkeys(slow, chance.choice([0.3, 0.6])),
        longest_delay_seconds=chance.choice([5, 30, 80]),
        early_ends=chance.choice([0.0, 0.3]),
        seed=seed,
    )


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}-")
def test_killed_where_all_is_full_and_late(seed: int, tmp_path: Path) -> None:
    case = crowded_case(seed)
    outcome = live_and_die(case, tmp_path / "world.db", slow_options_by(seed), seed)
    check(outcome)
    outcome.world.close()


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}-")
def test_without_faults_nothing_fails_but_what_came_too_late(seed: int, tmp_path: Path) -> None:
    case = random_case(seed)
    outcome = live_and_die(case, tmp_path / "world.db", WorldOptions(), seed)
    check(outcome)
    for story in outcome.run.stories.values():
        last = story.changes[-1]
        if last.new is State.FAILED:
            assert any(
                because in in_words(last.reason)
                for because in ("not at work", "still held", "image arrives")
            ), last
        if last.new is State.DONE:
            check_length(outcome, story.request)
    outcome.world.close()


def check(outcome: Outcome) -> None:
    assert outcome.kills > 0, "managers were killed"
    assert outcome.world.incidents() == []
    assert unfinished(outcome) == []
    assert not [vm for vm in outcome.world.vms() if vm.there], "nothing is left"
    for lease, story in outcome.run.stories.items():
        begun = {s.start for s in outcome.world.history(lease) if s.generation == 1}
        if story.request.kind is Kind.AR and begun:
            late = min(begun) - (story.request.start or 0)
            assert late >= 0, story.request
            assert late <= downtime(outcome) or says_what_took_longer(story), story
        if story.changes[-1].new is State.DONE:
            # A VM may have broken after the lease was over, before somebody could stop it.
            broken = [v for v in outcome.world.vms(lease) if v.state is VmState.FAILED]
            assert all(vm.since >= story.changes[-1].time for vm in broken), lease


def says_what_took_longer(story: Story) -> bool:
    """Tell whether an AR waited for an operation that the world delayed, or for hosts, and said so.

    Its last word may be that it could not begin then either, as nobody was there.
    """
    active = next(change for change in story.changes if change.new is State.ACTIVE)
    said = [active.reason, *(told.reason for told in story.expected)]
    words = [in_words(reason) for reason in said]
    known = ("still held by lease", "its image arrives", "it waits for hosts")
    because = any(why in told for told in words for why in known)
    return active.code == "late" and because


def check_length(outcome: Outcome, request: LeaseRequest) -> None:
    """Every VM ran as long as was asked for, save for what a manager's absence cost it."""
    history = outcome.world.history(request.id)
    last = max(s.generation for s in history)
    for node in range(1, request.node_count + 1):
        ran = [s for s in history if (s.node, s.generation) == (node, last)]
        seconds = sum((s.end or 0) - s.start for s in ran)
        assert seconds + downtime(outcome) >= (request.duration or 0), request


def downtime(outcome: Outcome) -> int:
    return sum(end - start for start, end in outcome.kept.downtimes)


def test_the_same_life_twice(tmp_path: Path) -> None:
    """Draw faults by what is asked, not by when somebody looks."""
    case, options = random_case(7), replace(options_by(7), seed=3)
    first = live_and_die(case, tmp_path / "one.db", options, 11)
    second = live_and_die(case, tmp_path / "two.db", options, 11)
    assert first.run.decisions == second.run.decisions
    assert first.world.history() == second.world.history()
    first.world.close()
    second.world.close()
