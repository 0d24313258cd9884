"""The rules of a schedule, over whole runs: judged by what was decided and nothing else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from math import ceil
from pathlib import Path

import pytest
from effort import tries
from hypothesis import given
from simulated_runs import Case, Run, Story, cases, play, queues

from haizea.core.model.events import OperationEnded, OperationStarted, Purpose, StateChanged
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.resources import Capacity, add, fits
from haizea.core.model.settings import Backfilling, Exclusion, Migration, Suspension

pytestmark = pytest.mark.slow

RUNNING = {Purpose.RUN, Purpose.SHUTDOWN}


# --- 1, 5: capacity and gangs ---------------------------------------------------------------


def check_capacity(run: Run) -> None:
    """Rule 1: at no moment is more held on a host than it has."""
    held: dict[int, list[tuple[int, int, Capacity]]] = {}
    for story in run.stories.values():
        for op in story.ended:
            for host, amount in op.use:
                held.setdefault(host, []).append((op.start, op.end, amount))
    for host, ops in held.items():
        for moment in {start for start, end, _ in ops if end > start}:
            total: Capacity = (0,) * len(run.capacities[host])
            for start, end, amount in ops:
                if start <= moment < end:
                    total = add(total, amount)
            assert fits(total, run.capacities[host]), f"host {host} at {moment}: {total}"


def check_gang(story: Story) -> None:
    """Rule 5: whatever is done, is done to all nodes at once, each with what it asked for."""
    wanted = story.request.node_capacities()
    for start in story.started:
        if start.purpose is not Purpose.TRANSFER:
            assert len(start.hosts) == len(wanted), start
            use: dict[int, Capacity] = {}
            for host, capacity in zip(start.hosts, wanted, strict=True):
                use[host] = add(use[host], capacity) if host in use else capacity
            end = next(
                e for e in story.ended if (e.start, e.purpose) == (start.time, start.purpose)
            )
            assert dict(end.use) == use


def check_no_overlap(story: Story) -> None:
    """One lease does one thing at a time."""
    ops = sorted((e.start, e.end) for e in story.ended if e.purpose is not Purpose.TRANSFER)
    assert all(end <= start for (_, end), (start, _) in pairwise(ops))


# --- 2, 3: ARs and immediate leases -----------------------------------------------------------


def final(story: Story) -> StateChanged:
    return story.changes[-1]


def check_ar(case: Case, story: Story) -> None:
    """Rule 2: an AR that is accepted runs from exactly its start, all the time, or not at all."""
    request = story.request
    if final(story).new is State.REJECTED:
        assert final(story).time == request.submitted
        assert not story.started
        return
    assert request.start is not None
    assert request.duration is not None
    runs = [e for e in story.ended if e.purpose in RUNNING]
    assert runs[0].start == request.start
    assert all(a.end == b.start and a.use == b.use for a, b in pairwise(runs))
    length = runs[-1].end - request.start
    if final(story).code == "early-end":
        assert length == case.real[request.id]
    else:
        assert length == request.duration
    assert all(e.purpose in {*RUNNING, Purpose.TRANSFER} for e in story.ended)


def check_deadline(case: Case, story: Story) -> None:
    """A lease with a deadline that is accepted runs once, in its window, all the time."""
    request = story.request
    if final(story).new is State.REJECTED:
        assert final(story).time == request.submitted
        assert not story.started
        return
    assert request.deadline is not None
    assert request.duration is not None
    runs = [e for e in story.ended if e.purpose in RUNNING]
    assert runs[0].start >= max(request.submitted, request.after or 0)
    assert runs[0].start + request.duration <= request.deadline
    assert all(a.end == b.start and a.use == b.use for a, b in pairwise(runs))
    length = runs[-1].end - runs[0].start
    early = final(story).code == "early-end"
    assert length == (case.real[request.id] if early else request.duration)
    assert all(e.purpose in {*RUNNING, Purpose.TRANSFER} for e in story.ended)


def check_immediate(case: Case, story: Story) -> None:
    """Rule 3: it starts at once (or when its images are there), or is rejected at once."""
    if final(story).new is State.REJECTED:
        assert final(story).time == story.request.submitted
        return
    ready = [e.end for e in story.ended if e.purpose is Purpose.TRANSFER]
    start = next(s.time for s in story.started if s.purpose is Purpose.RUN)
    if case.settings.images is None or story.request.image is None:
        assert start == story.request.submitted
    elif ready:
        assert start >= max(ready)
    assert not any(e.purpose in {Purpose.SUSPEND, Purpose.RESUME} for e in story.ended)


# --- 6, 7, 8, 9: suspension and what it takes -------------------------------------------------


def check_exclusions(run: Run) -> None:
    """Check that no two suspensions overlap where all share a file system."""
    if run.case.settings.exclusion is Exclusion.GLOBAL:
        ops = sorted(
            (e.start, e.end)
            for story in run.stories.values()
            for e in story.ended
            if e.purpose in {Purpose.SUSPEND, Purpose.RESUME} and e.end > e.start
        )
        assert all(end <= start for (_, end), (start, _) in pairwise(ops)), ops


def check_link(run: Run) -> None:
    """The link of the image repository serves one transfer at a time."""
    sent = {
        (e.start, e.end)
        for story in run.stories.values()
        for e in story.ended
        if e.purpose is Purpose.TRANSFER
    }
    assert all(end <= start for (_, end), (start, _) in pairwise(sorted(sent))), sorted(sent)


def suspend_seconds(case: Case, story: Story, hosts: tuple[int, ...]) -> int:
    """By the formulas that users are told."""
    settings, names = case.settings, case.site.types.names
    overhead = settings.enactment_overhead_seconds
    memory = names.index("Memory")
    vms = [
        ceil(c[memory] / settings.suspend_rate_mb_s) + overhead
        for c in story.request.node_capacities()
    ]
    if settings.exclusion is Exclusion.GLOBAL:
        return sum(vms)
    ends: dict[int, int] = {}
    for i, (host, seconds) in enumerate(zip(hosts, vms, strict=True)):
        ends[host] = max(ends.get(host, 0), i * overhead) + seconds
    return max(ends.values())


def check_suspensions(case: Case, story: Story) -> None:
    """Only who may be suspended is, for as long as it takes, and resumes where it may."""
    settings, request = case.settings, story.request
    saved_on: tuple[int, ...] | None = None
    resumed, ran = 0, 0
    for start in story.started:
        end = ended(story, start)
        match start.purpose:
            case Purpose.SUSPEND:
                assert request.preemptible
                assert settings.suspension is not Suspension.NONE
                assert settings.suspension is Suspension.ALL or request.node_count == 1
                assert end.end - end.start == suspend_seconds(case, story, start.hosts)
                check_threshold(case, story, end, ran, resumed)
                saved_on = start.hosts
            case Purpose.MIGRATE:
                assert settings.migration is not Migration.NO
                assert start.sources == saved_on
                if settings.migration is Migration.YES_NOTRANSFER:
                    assert end.end == end.start
                saved_on = start.hosts
            case Purpose.RESUME:
                assert start.hosts == saved_on
                resumed = end.end - end.start
            case Purpose.RUN:
                if saved_on is None:
                    resumed = 0
                else:
                    assert start.hosts == saved_on
                ran = end.end - end.start
                saved_on = None


def check_threshold(case: Case, story: Story, end: OperationEnded, ran: int, resumed: int) -> None:
    """Rules 7 and 8: it ran for the least time that is worth starting for."""
    settings = case.settings
    least = settings.force_scheduling_threshold_seconds
    if least is None:
        overheads = end.end - end.start + resumed
        least = ceil(overheads * (1 + settings.scheduling_threshold_factor))
    code = next(c.code for c in story.changes if c.time == end.start and c.new is State.SUSPENDING)
    if code == "hole":
        assert ran >= max(1, least)
    else:
        assert code == "preempted"


def ended(story: Story, start: OperationStarted) -> OperationEnded:
    return next(e for e in story.ended if (e.start, e.purpose) == (start.time, start.purpose))


def check_images(case: Case, story: Story) -> None:
    """Images are sent whole, and before the lease starts."""
    if case.settings.images is None:
        assert not any(s.purpose is Purpose.TRANSFER for s in story.started)


# --- 10, 11: early ends, and no loss ------------------------------------------------------------


def check_progress(case: Case, story: Story) -> None:
    """Rule 11: it comes to an end, having run for all its time since it last began anew."""
    last = final(story)
    assert last.new in {State.DONE, State.REJECTED}, last
    assert last.reason
    assert last.code
    if last.new is State.REJECTED:
        return
    again = max((c.time for c in story.changes if c.new is State.QUEUED), default=0)
    ran = sum(e.end - e.start for e in story.ended if e.purpose in RUNNING and e.start >= again)
    if last.code == "early-end":
        assert ran == case.real[story.request.id]
    else:
        assert ran == story.request.duration
    assert max(e.end for e in story.ended) == last.time


def check_story(story: Story) -> None:
    """Nothing follows a final state, and what starts ends."""
    assert story.changes[0].old is State.NEW
    for a, b in pairwise(story.changes):
        assert a.new == b.old
        assert a.new not in FINAL
        assert a.time <= b.time
    assert len(story.started) == len(story.ended)


# --- the rules together -------------------------------------------------------------------------


@tries(400)
@given(cases())
def test_rules_of_the_schedule(case: Case) -> None:
    run = play(case)
    assert set(run.stories) == {r.id for r in case.requests}
    check_capacity(run)
    check_exclusions(run)
    check_link(run)
    for story in run.stories.values():
        check_story(story)
        check_gang(story)
        check_no_overlap(story)
        check_progress(case, story)
        check_suspensions(case, story)
        check_images(case, story)
        if story.request.kind is Kind.AR:
            check_ar(case, story)
        if story.request.kind is Kind.DEADLINE:
            check_deadline(case, story)
        if story.request.kind is Kind.IMMEDIATE:
            check_immediate(case, story)
        if not story.request.preemptible or story.request.kind in (Kind.AR, Kind.DEADLINE):
            assert not any(c.code == "preempted" for c in story.changes)


# --- 4: the queue -------------------------------------------------------------------------------


def starts(run: Run) -> dict[int, int]:
    return {
        lease_id: next(s.time for s in story.started if s.purpose is Purpose.RUN)
        for lease_id, story in run.stories.items()
        if story.started
    }


@tries(100)
@given(queues(Backfilling.OFF))
def test_without_backfilling_nobody_overtakes(case: Case) -> None:
    began = starts(play(case))
    order = [began[r.id] for r in case.requests if r.id in began]
    assert order == sorted(order)


@tries(400)
@given(queues(Backfilling.AGGRESSIVE, Backfilling.INTERMEDIATE, Backfilling.CONSERVATIVE))
def test_reservations_of_waiting_leases_only_move_earlier(case: Case) -> None:
    run = play(case)
    for lease_id, began in starts(run).items():
        promised = [e.start for e in run.stories[lease_id].expected if e.start is not None]
        assert [*promised, began] == sorted([*promised, began], reverse=True)


@tries(400)
@given(queues(*Backfilling))
def test_the_first_in_the_queue_starts_as_soon_as_it_fits(case: Case) -> None:
    """Rule 10 too: whenever something ends early, the first that waits is looked at at once."""
    run = play(case)
    began = starts(run)
    moments = sorted({m for m, _ in run.decisions})
    for moment in moments:
        waiting = [
            r for r in case.requests if r.id in began and r.submitted <= moment < began[r.id]
        ]
        if waiting and len(waiting[0].nodes) == 1:
            nodes = waiting[0].nodes[0]
            assert copies_free(run, moment, nodes.capacity) < nodes.count, (moment, waiting[0])


def copies_free(run: Run, moment: int, size: Capacity) -> int:
    """Return how many copies of ``size`` are free on all hosts, with what runs at that moment."""
    free = [list(c) for c in run.capacities]
    for story in run.stories.values():
        for op in story.ended:
            if op.start <= moment < op.end:
                for host, amount in op.use:
                    free[host] = [f - a for f, a in zip(free[host], amount, strict=True)]
    return sum(
        min((f // s for f, s in zip(left, size, strict=True) if s), default=0) for left in free
    )


# --- 12: same input, same schedule ----------------------------------------------------------------


def fingerprint(run: Run) -> str:
    return hashlib.sha256(repr(run.decisions).encode()).hexdigest()


@tries(25)
@given(cases())
def test_the_same_input_has_the_same_schedule(case: Case) -> None:
    assert fingerprint(play(case)) == fingerprint(play(case))


SCRIPT = """
from hypothesis import given, settings
from simulated_runs import cases, play
from test_rules import fingerprint

@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(cases())
def show(case):
    print(fingerprint(play(case)))

show()
"""


def test_the_schedule_does_not_depend_on_the_order_of_hashing() -> None:
    here = Path(__file__).resolve().parent
    shown = []
    for hash_seed in ("1", "2"):
        path = os.pathsep.join([str(here), str(here.parent), str(here.parent.parent)])
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        shown.append(done.stdout.split())
    assert len(shown[0]) >= 25
    assert shown[0] == shown[1]
