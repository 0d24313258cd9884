"""Changes in workloads: read from YAML and LWF, written as LWF, and what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from haizea.workloads import WorkloadError, read
from haizea.workloads.lwf import read_lwf
from haizea.workloads.lwf_writer import lwf_text
from haizea.workloads.scaling import _moved
from haizea.workloads.source import Source

TRACE = Path(__file__).parents[2] / "traces" / "changes.yaml"
LEASE = "duration: 1h\narrival: 5m\nnodes: {count: 1, CPU: 100, Memory: 1024}\n"


def test_what_is_written_as_lwf_is_read_again() -> None:
    workload = read(TRACE)
    again = read_lwf(Source.of("".join(lwf_text(workload)).encode(), "trace"))
    assert again.leases == workload.leases
    assert [len(lease.changes) for lease in again.leases] == [2, 1, 1, 1, 1]


def test_a_change_moves_with_its_lease() -> None:
    (lease,) = (lease for lease in read(TRACE).leases if lease.id == 2)
    (change,) = _moved(lease, 60).changes
    assert (change.at_seconds, change.start_seconds) == (660, 3 * 3600 + 60)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{duration: 2h}", "the field at is missing"),
        ("{at: 10m}", "it changes nothing"),
        ("{at: 5m, duration: 2h}", "it comes before its lease, or with it"),
        ("{at: 10m, start: 2h}", "this lease has none that could be another"),
        ("{at: 10m, deadline: 2h}", "these are for a lease with a deadline"),
        ("{at: 10m, length: 2h}", "length"),
        ("{at: soon, duration: 2h}", "soon"),
        ("{at: 10m, nodes: {count: 0, CPU: 100}}", "count"),
    ],
)
def test_a_change_that_makes_no_sense_is_told(change: str, message: str) -> None:
    source = Source.of(f"{LEASE}changes: [{change}]\n".encode(), "trace.yaml")
    from haizea.workloads.yaml_leases import read_yaml

    with pytest.raises(WorkloadError, match=message):
        read_yaml(source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('<change time="00:10:00"/>', "it changes nothing"),
        ('<change time="00:10:00"><start/></change>', "a change has an exact one"),
        ("<change><duration time='01:00:00'/></change>", "the attribute time is missing"),
        ('<change time="00:10:00"><duration time="unlimited"/></change>', "never done"),
    ],
)
def test_a_change_in_lwf_that_makes_no_sense_is_told(change: str, message: str) -> None:
    text = (
        '<lease-request arrival="00:05:00"><lease><nodes><node-set numnodes="1">'
        '<res type="CPU" amount="100"/></node-set></nodes><start/>'
        '<duration time="01:00:00"/><deadline time="05:00:00"/></lease>'
        f"{change}</lease-request>"
    )
    with pytest.raises(WorkloadError, match=message):
        read_lwf(Source.of(text.encode(), "trace.lwf"))
