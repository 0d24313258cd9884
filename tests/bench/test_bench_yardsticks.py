"""The yardsticks give the reference's start times, and those of the rule written plainly."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared

from bench.traces import read_jobs, read_sums
from bench.yardsticks import YARDSTICKS, Job, conservative, conservative_in_sums, easy

NODES = 8


@pytest.mark.parametrize("trace", ["1000requests", "15days", "30days"])
@pytest.mark.parametrize("name", YARDSTICKS)
def test_every_job_starts_when_the_reference_says(trace: str, name: str) -> None:
    source = shared(f"reference/{trace}.normalised.swf")
    with shared(f"reference/{trace}.{name}.csv").open(newline="") as lines:
        expected = [int(row["start"]) for row in csv.DictReader(lines)]
    assert YARDSTICKS[name](read_jobs(source), 144) == expected


@st.composite
def traces(draw: st.DrawFn) -> list[Job]:
    """Up to a dozen jobs that crowd a small machine."""
    jobs = []
    submitted = 0
    for _ in range(draw(st.integers(0, 12))):
        submitted += draw(st.sampled_from([0, 0, 1, 3]))
        requested = draw(st.integers(1, 9))
        run = draw(st.integers(1, requested))
        jobs.append(Job(submitted, draw(st.integers(1, NODES)), requested, run))
    return jobs


@settings(max_examples=300, deadline=None)
@given(traces())
def test_easy_follows_the_rule(jobs: list[Job]) -> None:
    assert easy(jobs, NODES) == plain_easy(jobs)


@settings(max_examples=300, deadline=None)
@given(traces())
def test_conservative_follows_the_rule(jobs: list[Job]) -> None:
    assert conservative(jobs, NODES) == plain_conservative(jobs)


@settings(max_examples=300, deadline=None)
@given(traces(), st.data())
def test_conservative_follows_the_rule_in_sums(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[Job], data: st.DataObject
) -> None:
    memory = [data.draw(st.integers(0, 40), "memory") for _ in jobs]
    rows = [
        f"{j.submitted} {j.requested_seconds} {j.run_seconds} {j.nodes} {amount}\n"
        for j, amount in zip(jobs, memory, strict=True)
    ]
    sums = Path(tmp_path_factory.mktemp("sums"), "sums")
    sums.write_text("".join([f"{NODES} 40\n", *rows]), encoding="ascii")
    expected = plain_conservative(jobs, memory, 40)
    assert conservative_in_sums(*read_sums(sums)) == expected


def plain_easy(jobs: list[Job]) -> list[int]:
    """Second by second, from the words of the rule."""
    starts: dict[int, int] = {}
    now = 0
    while len(starts) < len(jobs):
        waiting = [i for i, j in enumerate(jobs) if j.submitted <= now and i not in starts]
        head: int | None = None
        shadow = extra = 0
        for i in waiting:
            running = [k for k, start in starts.items() if start + jobs[k].run_seconds > now]
            free = NODES - sum(jobs[k].nodes for k in running)
            job = jobs[i]
            if head is None and job.nodes <= free:
                starts[i] = now
            elif head is None:
                head = i
                ends = {k: starts[k] + jobs[k].requested_seconds for k in running}
                shadow = min(
                    end
                    for end in ends.values()
                    if free + sum(jobs[k].nodes for k in running if ends[k] <= end) >= job.nodes
                )
                there = free + sum(jobs[k].nodes for k in running if ends[k] <= shadow)
                extra = there - job.nodes
            elif job.nodes <= free:
                if now + job.requested_seconds <= shadow:
                    starts[i] = now
                elif job.nodes <= extra:
                    starts[i] = now
                    extra -= job.nodes
        now += 1
    return [starts[i] for i in range(len(jobs))]


def plain_conservative(
    jobs: list[Job], memory: list[int] | None = None, memory_there: int = 0
) -> list[int]:
    """Second by second, a reservation being a start for each job that was submitted."""
    needs = memory or [0] * len(jobs)
    starts: dict[int, int] = {}

    def fits(i: int, start: int, now: int) -> bool:
        for second in range(start, start + jobs[i].requested_seconds):
            taken = memory_taken = 0
            for k, begin in starts.items():
                over = begin <= now and begin + jobs[k].run_seconds <= now
                if k != i and not over and begin <= second < begin + jobs[k].requested_seconds:
                    taken += jobs[k].nodes
                    memory_taken += needs[k]
            if taken + jobs[i].nodes > NODES or memory_taken + needs[i] > memory_there:
                return False
        return True

    def place(i: int, now: int) -> None:
        start = now
        while not fits(i, start, now):
            start += 1
        starts[i] = start

    for now in range(1000):
        ended = [k for k, start in starts.items() if start + jobs[k].run_seconds == now]
        if any(jobs[k].run_seconds < jobs[k].requested_seconds for k in ended):
            for i in sorted(k for k, start in starts.items() if start >= now):
                place(i, now)
        for i, job in enumerate(jobs):
            if job.submitted == now:
                place(i, now)
    return [starts[i] for i in range(len(jobs))]
