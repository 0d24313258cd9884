"""From a workload to lease requests: numbers, times, and the changes that options ask for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.hosts import Host
from haizea.core.model.lease import DiskImage, Kind, NodeSet
from haizea.core.model.resources import ResourceTypes
from haizea.workloads import (
    ImageList,
    LeftOut,
    Nodes,
    Workload,
    WorkloadError,
    WorkloadLease,
    WorkloadSite,
    bind,
    merge,
    site_of,
    with_images,
    with_memory,
    with_overheads,
)

NODES = (Nodes(2, {"CPU": 100}), Nodes(1, {"Memory": 512, "CPU": 50}))


def lease(arrival: int = 0, **changes: object) -> WorkloadLease:
    base = WorkloadLease(
        arrival_seconds=arrival,
        kind=Kind.BEST_EFFORT,
        nodes=NODES,
        duration=100,
        real_duration_seconds=60,
        preemptible=True,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def workload(*leases: WorkloadLease) -> Workload:
    return Workload("w", leases, source="w.lwf")


def test_bind() -> None:
    image = DiskImage("a", 1)
    reserved = lease(7, kind=Kind.AR, start=50, preemptible=False, label="x", image=image)
    endless = lease(9, duration=None, real_duration_seconds=None, owner="me")
    bound = bind(workload(reserved, endless), ResourceTypes(), 1000)
    first, second = bound.requests
    assert (first.id, first.submitted, first.start, first.duration) == (1, 1007, 1050, 100)
    assert first.nodes == (NodeSet(2, (100, 0)), NodeSet(1, (50, 512)))
    assert (first.kind, first.preemptible, first.label, first.image) == (
        Kind.AR,
        False,
        "x",
        image,
    )
    assert (second.id, second.start, second.duration, second.owner) == (2, None, None, "me")
    assert bound.real_durations == {1: 60}


def test_numbers() -> None:
    def ids(*given: int | None, first_id: int = 1) -> list[int]:
        leases = [lease(id=number) for number in given]
        return [r.id for r in bind(workload(*leases), ResourceTypes(), 0, first_id).requests]

    assert ids(None, None) == [1, 2]
    assert ids(None, None, first_id=10) == [10, 11]
    assert ids(5, 3) == [5, 3]
    assert ids(None, 5, None) == [6, 5, 7]
    assert ids() == []


def test_a_type_that_the_site_lacks() -> None:
    odd = lease(nodes=(Nodes(1, {"GPU": 1}),), label="job 9")
    with pytest.raises(WorkloadError) as caught:
        bind(workload(lease(), odd), ResourceTypes(), 0)
    assert str(caught.value) == (
        "w.lwf, lease 2 (in the file: job 9): the site has no resource type 'GPU'"
        " (it has CPU, Memory)"
    )


def test_merge_keeps_main_numbers_and_sorts() -> None:
    main = workload(lease(0, label="a"), lease(10, label="b"))
    injected = Workload(
        "i", (lease(0, label="c", id=1), lease(5, label="d", id=2)), notes=(LeftOut(1, "x"),)
    )
    merged = merge(main, injected)
    requests = bind(merged, ResourceTypes(), 0).requests
    assert [(r.label, r.id, r.submitted) for r in requests] == [
        ("a", 1, 0),
        ("c", 3, 0),
        ("d", 4, 5),
        ("b", 2, 10),
    ]
    assert merged.notes == (LeftOut(1, "x"),)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.none() | st.integers(1, 9)), max_size=6),
    st.lists(st.tuples(st.integers(0, 20), st.none() | st.integers(1, 9)), max_size=6),
)
def test_merged_numbers_never_collide(
    main: list[tuple[int, int | None]], injected: list[tuple[int, int | None]]
) -> None:
    def made(rows: list[tuple[int, int | None]]) -> Workload:
        seen: set[int | None] = set()
        leases = []
        for arrival, number in sorted(rows, key=lambda row: row[0]):
            leases.append(lease(arrival, id=None if number in seen else number))
            seen.add(number)
        return workload(*leases)

    alone = bind(made(main), ResourceTypes(), 0).requests
    merged = bind(merge(made(main), made(injected)), ResourceTypes(), 0).requests
    ids = [r.id for r in merged]
    assert len(set(ids)) == len(ids) == len(main) + len(injected)
    assert [r.submitted for r in merged] == sorted(r.submitted for r in merged)
    assert {(r.id, r.submitted) for r in alone} <= {(r.id, r.submitted) for r in merged}


def test_images_go_to_leases_in_order() -> None:
    a, b = DiskImage("a", 1), DiskImage("b", 2)
    changed = with_images(workload(lease(), lease(5)), ImageList((b, a, a)))
    assert [x.image for x in changed.leases] == [b, a]
    with pytest.raises(WorkloadError, match="gives images to 1 leases, but the workload has 2"):
        with_images(workload(lease(), lease()), ImageList((a,)))


def test_memory_replaces_what_the_file_says() -> None:
    changed = with_memory(workload(lease(), lease()), 64)
    assert changed.leases[0].nodes == (
        Nodes(2, {"CPU": 100, "Memory": 64}),
        Nodes(1, {"CPU": 50, "Memory": 64}),
    )
    assert changed.leases[0].nodes is changed.leases[1].nodes
    assert NODES[0].amounts == {"CPU": 100}


def durations(changed: Workload) -> list[tuple[int | None, int | None]]:
    return [(x.duration, x.real_duration_seconds) for x in changed.leases]


def test_overheads() -> None:
    reserved = lease(kind=Kind.AR, start=5)
    given = workload(lease(), reserved, lease(duration=None, real_duration_seconds=None))
    assert with_overheads(given, "none", 5, 10) == given
    assert durations(with_overheads(given, "besteffort", 5, 10)) == [
        (115, 73),
        (100, 60),
        (None, None),
    ]
    assert durations(with_overheads(given, "all", 0.1, 0)) == [(101, 61), (101, 61), (None, None)]


def test_exact_percentages_are_not_rounded_up() -> None:
    given = workload(lease(duration=1000, real_duration_seconds=500))
    assert durations(with_overheads(given, "all", 0.2, 0)) == [(1002, 501)]


@given(st.integers(1, 10**6), st.integers(0, 300), st.integers(0, 99))
def test_overheads_round_up(seconds: int, percent: int, boot: int) -> None:
    given = workload(lease(duration=seconds, real_duration_seconds=seconds))
    expected = math.ceil(seconds * (100 + percent) / 100) + boot
    assert durations(with_overheads(given, "all", percent, boot)) == [(expected, expected)]


def test_site_of() -> None:
    site = site_of(
        WorkloadSite(
            ("CPU", "Memory"),
            (Nodes(2, {"CPU": 100, "Memory": 1024}), Nodes(1, {"Memory": 2048})),
        )
    )
    assert site.types == ResourceTypes(("CPU", "Memory"))
    assert site.hosts == (
        Host(0, "host-1", (100, 1024)),
        Host(1, "host-2", (100, 1024)),
        Host(2, "host-3", (0, 2048)),
    )
