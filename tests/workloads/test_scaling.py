"""Scaling: the load is multiplied, and each way keeps what it says it keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.lease import Kind
from haizea.workloads.generate import ArOptions, GenerateOptions, generate, load_of
from haizea.workloads.model import Workload
from haizea.workloads.scaling import ScaleBy, scaled

MANY = generate(GenerateOptions(jobs=3000, hosts=128, load=0.5))
MIXED = generate(GenerateOptions(jobs=50, hosts=32, load=0.5, ars=ArOptions(share=0.3)))


def work(workload: Workload) -> float:
    """Node-seconds of all leases."""
    return sum(x.node_count * (x.real_duration_seconds or 0) for x in workload.leases)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.3, 2.0])
@pytest.mark.parametrize("by", list(ScaleBy))
def test_the_load_is_multiplied(by: ScaleBy, factor: float) -> None:
    # Sizes end at the largest job, so that growing by size gives somewhat less.
    less = 0.75 if by is ScaleBy.SIZE and factor > 1 else 0.93
    grown = load_of(scaled(MANY, factor, by)) / load_of(MANY)
    assert less * factor <= grown <= 1.07 * factor


@given(st.sampled_from(list(ScaleBy)), st.floats(0.1, 5), st.integers(0, 5))
def test_the_same_seed_gives_the_same(by: ScaleBy, factor: float, seed: int) -> None:
    assert scaled(MIXED, factor, by, seed) == scaled(MIXED, factor, by, seed)


@given(st.floats(0.1, 10))
def test_arrival_keeps_jobs_and_the_time_to_a_start(factor: float) -> None:
    other = scaled(MIXED, factor, ScaleBy.ARRIVAL)
    assert len(other.leases) == len(MIXED.leases)
    assert work(other) == work(MIXED)
    leads = sorted(x.start - x.arrival_seconds for x in MIXED.leases if x.start)
    assert leads == sorted(x.start - x.arrival_seconds for x in other.leases if x.start)


@given(st.floats(0.1, 10))
def test_size_keeps_arrivals_and_the_largest_job(factor: float) -> None:
    other = scaled(MIXED, factor, ScaleBy.SIZE)
    assert [x.arrival_seconds for x in other.leases] == [x.arrival_seconds for x in MIXED.leases]
    most = max(x.node_count for x in MIXED.leases)
    assert all(1 <= x.node_count <= most for x in other.leases)


def test_repetition_keeps_jobs_and_numbers_each_once() -> None:
    numbered = replace(MIXED, leases=tuple(replace(x, id=i) for i, x in enumerate(MIXED.leases, 1)))
    other = scaled(numbered, 3, ScaleBy.REPETITION)
    assert len(other.leases) == 3 * len(MIXED.leases)
    assert {x.node_count for x in other.leases} == {x.node_count for x in MIXED.leases}
    known = [x.id for x in other.leases if x.id is not None]
    assert sorted(known) == list(range(1, len(MIXED.leases) + 1))
    ars = [x for x in other.leases if x.kind is Kind.AR]
    assert all(x.start is not None and x.start >= x.arrival_seconds for x in ars)
