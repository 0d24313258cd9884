"""Round trips: what is written is read back as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haizea.core.model.lease import DiskImage, Kind
from haizea.files import write_whole
from haizea.workloads import (
    Nodes,
    Workload,
    WorkloadError,
    WorkloadLease,
    WorkloadSite,
    read,
    values,
)
from haizea.workloads.lwf_writer import lwf_text
from haizea.workloads.model import by_arrival
from haizea.workloads.swf_writer import swf_text

ONE_FILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SECONDS = st.integers(0, 10**7)
#: Any text that XML can hold; blanks at the ends of names have no meaning.
NAMES = (
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=9)
    .map(str.strip)
    .filter(lambda name: name and "\ufffe" not in name and "\uffff" not in name)
)
TYPES = ("CPU", "Memory", "GPU")
AMOUNTS = st.dictionaries(st.sampled_from(TYPES), st.integers(0, 10**6), min_size=1)
NODES = st.lists(st.builds(Nodes, st.integers(1, 500), AMOUNTS), min_size=1, max_size=3).map(tuple)
JOB = WorkloadLease(
    arrival_seconds=0,
    kind=Kind.BEST_EFFORT,
    nodes=(Nodes(1, {"CPU": 1}),),
    duration=5,
    real_duration_seconds=5,
    preemptible=True,
)
SITES = st.none() | st.builds(WorkloadSite, st.just(TYPES), NODES)


@st.composite
def leases(draw: st.DrawFn) -> WorkloadLease:
    kind = draw(st.sampled_from(list(Kind)))
    windowed = kind is Kind.DEADLINE
    duration = draw(st.integers(1, 10**7) if windowed else st.none() | st.integers(1, 10**7))
    real = draw(st.none() | st.integers(1, duration or 10**7))
    return WorkloadLease(
        arrival_seconds=draw(SECONDS),
        kind=kind,
        start=draw(st.integers(-5000, 10**7)) if kind is Kind.AR else None,
        nodes=draw(NODES),
        duration=duration,
        real_duration_seconds=real,
        preemptible=draw(st.booleans()),
        fixed_hosts=draw(st.booleans()),
        image=draw(st.none() | st.builds(DiskImage, NAMES, st.integers(0, 10**6))),
        after=draw(st.none() | SECONDS) if windowed else None,
        deadline=draw(SECONDS) if windowed else None,
        extras=draw(st.just(()) | st.just((("price", "1.5"), ("paid", "")))),
    )


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    made = draw(st.lists(leases(), max_size=6))
    if draw(st.booleans()):
        numbers = draw(st.permutations(range(1, len(made) + 1)))
        made = [replace(x, id=n, label=str(n)) for x, n in zip(made, numbers, strict=True)]
    made = [replace(x, label=f"{x.label} price=1.5 paid".strip()) if x.extras else x for x in made]
    return Workload(
        name=draw(NAMES),
        leases=by_arrival(made),
        description=" ".join(draw(NAMES).split()),
        site=draw(SITES),
    )


@ONE_FILE
@given(workload=workloads())
def test_lwf(tmp_path: Path, workload: Workload) -> None:
    path = tmp_path / "w.lwf"
    write_whole(path, lwf_text(workload))
    assert replace(read(path), source="") == workload
    again = "".join(lwf_text(read(path)))
    assert again == path.read_text(encoding="utf-8")


JOBS = st.builds(
    lambda arrival, nodes, run, more, owner: WorkloadLease(
        arrival_seconds=arrival,
        kind=Kind.BEST_EFFORT,
        start=None,
        nodes=(Nodes(nodes, {"CPU": 100, "Memory": 1024}),),
        duration=run + more,
        real_duration_seconds=run,
        preemptible=True,
        owner=owner,
    ),
    SECONDS,
    st.integers(1, 10**5),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.sampled_from(["", "3", "77"]),
)


@ONE_FILE
@given(jobs=st.lists(JOBS, max_size=9), epoch=st.none() | st.integers(0, 10**10))
def test_swf(tmp_path: Path, jobs: list[WorkloadLease], epoch: int | None) -> None:
    path = tmp_path / "w.swf"
    numbered = [replace(x, label=str(i)) for i, x in enumerate(by_arrival(jobs), 1)]
    site = WorkloadSite(("CPU", "Memory"), (Nodes(64, {"CPU": 100, "Memory": 1024}),))
    workload = Workload("w.swf", tuple(numbered), site=site, epoch=epoch)
    write_whole(path, swf_text(workload, ["a note"]))
    assert replace(read(path), source="") == workload


def test_swf_keeps_job_numbers_where_they_differ() -> None:
    both = [replace(JOB, label="13"), replace(JOB, label="9")]
    lines = "".join(swf_text(Workload("w", tuple(both)))).splitlines()
    assert [x.split()[0] for x in lines if x[0] != ";"] == ["13", "9"]
    lines = "".join(swf_text(Workload("w", (both[0], both[0])))).splitlines()
    assert [x.split()[0] for x in lines if x[0] != ";"] == ["1", "2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": Kind.AR, "start": 5}, "it is ar, not best-effort"),
        ({"kind": Kind.IMMEDIATE}, "it is immediate"),
        ({"preemptible": False}, "not preemptible"),
        ({"duration": None}, "no end"),
        ({"image": DiskImage("a", 1)}, "disk image"),
        ({"nodes": (Nodes(1, {"CPU": 1}), Nodes(1, {"CPU": 2}))}, "of several sizes"),
        ({"nodes": (Nodes(1, {"CPU": 2}),)}, "of another size"),
    ],
)
def test_what_swf_cannot_hold(change: dict[str, object], reason: str) -> None:
    workload = Workload("w", (JOB, replace(JOB, **change)))  # type: ignore[arg-type]
    with pytest.raises(WorkloadError, match=reason) as caught:
        list(swf_text(workload))
    assert "lease 2" in str(caught.value)


def test_what_lwf_cannot_hold(tmp_path: Path) -> None:
    job = replace(JOB, image=DiskImage("a\1", 1))
    path = tmp_path / "w.lwf"
    path.write_text("before")
    with pytest.raises(WorkloadError, match="XML cannot hold"):
        write_whole(path, lwf_text(Workload("w", (job,))))
    # Nothing changed, and nothing is left lying about.
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["w.lwf"]


@given(st.integers(-(10**9), 10**9))
def test_times(seconds: int) -> None:
    assert values.start(values.clock(seconds)) == seconds
    if seconds > 0:
        assert values.duration(values.clock(seconds)) == seconds
