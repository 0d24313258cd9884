"""Leases with deadlines as later versions of the first Haizea were tested with.

The figures of its test traces: a few nodes, at most nine leases, all of them preemptible. Each
trace is run with and without suspension, and checked; whoever is accepted is done in time. Where
leases may be suspended, one that runs makes room for another and goes on in time.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from haizea.cli.commands import cli


class Asked(NamedTuple):
    """One lease; times are minutes."""

    arrival: int
    nodes: int
    start: int
    duration: int
    deadline: int
    #: How long it really takes.
    real: int | None = None


class Trace(NamedTuple):
    """Nodes of one size, who asks for them, and who is refused: always, or without suspension."""

    nodes: int
    leases: tuple[Asked, ...]
    refused: frozenset[int] = frozenset()
    refused_unless_suspended: frozenset[int] = frozenset()


def _around_a_long_one(real: int | None, real_others: int | None, *arrivals: int) -> Trace:
    """Two short leases at fixed times in the midst of a long one that could wait.

    Those which come when the long one runs have it suspended.
    """
    second, third = (
        Asked(arrival, 4, start, 15, start + 15, real_others)
        for arrival, start in zip(arrivals, (60, 120), strict=True)
    )
    refused = frozenset({2, 3} if second.arrival > 30 else ())
    leases = (Asked(0, 4, 30, 120, 600, real), second, third)
    return Trace(4, leases, refused_unless_suspended=refused)


_LONG = {
    f"10-{number}": _around_a_long_one(real, real_others, *arrivals)
    for number, (real, real_others, arrivals) in enumerate(
        product((90, None), (10, None), ((15, 20), (40, 45), (45, 105))), start=1
    )
}

#: By the names that they had there.
TRACES = {
    "1": Trace(4, (Asked(0, 4, 30, 30, 105), Asked(15, 4, 30, 30, 60))),
    "2": Trace(4, (Asked(0, 4, 30, 60, 180), Asked(20, 4, 60, 30, 90))),
    "3": Trace(4, (Asked(0, 4, 60, 30, 90), Asked(15, 4, 30, 30, 90))),
    # There is no time for the second one beside the first.
    "4": Trace(4, (Asked(0, 4, 60, 30, 90), Asked(15, 4, 60, 30, 100)), frozenset({2})),
    # The first one runs when the second one asks for its hosts; it would be done at 121:04.
    "5": Trace(
        4,
        (Asked(0, 4, 30, 60, 135), Asked(45, 4, 60, 30, 90)),
        refused_unless_suspended=frozenset({2}),
    ),
    "6": Trace(4, (Asked(0, 4, 30, 30, 90), Asked(15, 4, 30, 60, 180), Asked(45, 4, 60, 30, 120))),
    "7": Trace(4, (Asked(0, 4, 60, 30, 90), Asked(15, 4, 30, 60, 180), Asked(75, 4, 105, 15, 120))),
    # Saved for the first one and resumed, the second one would be done some seconds too late.
    "8": Trace(
        4,
        (Asked(0, 4, 60, 30, 90), Asked(15, 4, 30, 60, 120), Asked(45, 4, 60, 30, 120)),
        frozenset({2}),
    ),
    "9": Trace(4, (Asked(0, 2, 30, 60, 600), Asked(0, 2, 30, 60, 120), Asked(15, 2, 45, 30, 75))),
    **_LONG,
    "11-1": Trace(
        4, (Asked(0, 3, 30, 120, 600), Asked(15, 2, 60, 30, 90), Asked(20, 2, 75, 30, 105))
    ),
    # The first one runs when the others ask.
    "11-2": Trace(
        4,
        (Asked(0, 3, 30, 120, 600), Asked(40, 2, 60, 30, 90), Asked(45, 2, 75, 30, 105)),
        refused_unless_suspended=frozenset({2, 3}),
    ),
    "12": Trace(
        5,
        (
            Asked(0, 1, 30, 30, 180),
            Asked(0, 1, 15, 30, 45),
            Asked(0, 2, 15, 30, 45),
            Asked(0, 1, 30, 60, 600),
            Asked(0, 2, 45, 15, 60),
            Asked(0, 1, 45, 60, 600),
            Asked(0, 3, 60, 30, 105),
            Asked(0, 1, 600, 15, 1200),
            Asked(20, 1, 30, 15, 75),
        ),
    ),
    # The same.
    "13": Trace(
        4,
        (Asked(0, 4, 30, 120, 600), Asked(35, 4, 45, 15, 60), Asked(40, 4, 75, 15, 120)),
        refused_unless_suspended=frozenset({2, 3}),
    ),
    "14": Trace(
        4, (Asked(0, 4, 30, 120, 600, 60), Asked(15, 4, 45, 15, 60), Asked(20, 4, 75, 15, 120))
    ),
    # Between 30 and 90 minutes there is an hour for two leases of two nodes, and no more.
    "15": Trace(
        4,
        (
            Asked(0, 2, 30, 60, 600),
            Asked(15, 2, 30, 60, 240),
            Asked(0, 4, 90, 210, 300),
            Asked(20, 4, 60, 15, 75),
        ),
        frozenset({4}),
    ),
    "16": Trace(
        4,
        (
            Asked(0, 4, 30, 270, 300, 30),
            Asked(0, 4, 300, 60, 360),
            Asked(0, 2, 30, 240, 600),
            Asked(0, 2, 30, 120, 600),
            Asked(0, 2, 30, 180, 1200),
            Asked(0, 2, 30, 60, 7200),
        ),
    ),
}

CONFIGURATION = """\
[general]
mode: simulated
lease-preparation: unmanaged
[simulation]
clock: simulated
starttime: 2006-11-25 13:00:00
resources: in-tracefile
[scheduling]
policy-preemption: ar-preempts-everything
shutdown-time: 0
wakeup-interval: 3
backfilling: aggressive
enactment-overhead: 0
suspension: {suspension}
suspend-rate: 32
resume-rate: 32
migration: yes
[tracefile]
tracefile: {directory}/trace.lwf
[accounting]
datafile: {directory}/trace.results
"""


def _time(minutes: int) -> str:
    return f'time="{minutes // 60:02d}:{minutes % 60:02d}:00.00"'


def _nodes(count: int) -> str:
    amounts = '<res type="CPU" amount="100"/><res type="Memory" amount="1024"/>'
    return f'<nodes><node-set numnodes="{count}">{amounts}</node-set></nodes>'


def _request(number: int, asked: Asked) -> str:
    real = "" if asked.real is None else f"<realduration {_time(asked.real)}/>"
    return (
        f"<lease-request {_time(asked.arrival).replace('time', 'arrival')}>{real}"
        f'<lease id="{number}" preemptible="true">{_nodes(asked.nodes)}'
        f"<start><exact {_time(asked.start)}/></start><duration {_time(asked.duration)}/>"
        f"<deadline {_time(asked.deadline)}/>"
        '<software><disk-image id="one.img" size="1024"/></software></lease></lease-request>'
    )


def _write(trace: Trace, name: str, directory: Path) -> None:
    requests = "".join(_request(i, asked) for i, asked in enumerate(trace.leases, start=1))
    site = f'<site><resource-types names="CPU Memory"/>{_nodes(trace.nodes)}</site>'
    (directory / "trace.lwf").write_text(
        f'<?xml version="1.0"?><lease-workload name="{name}">{site}'
        f"<lease-requests>{requests}</lease-requests></lease-workload>"
    )


@pytest.mark.parametrize("suspension", ["all", "none"])
@pytest.mark.parametrize("name", TRACES)
def test_whoever_is_accepted_is_done_in_time(tmp_path: Path, name: str, suspension: str) -> None:
    trace = TRACES[name]
    _write(trace, name, tmp_path)
    configuration = tmp_path / "trace.conf"
    configuration.write_text(CONFIGURATION.format(suspension=suspension, directory=tmp_path))
    results = tmp_path / "trace.results"
    for command in (["-c", str(configuration)], ["check-schedule", str(results)]):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
    with closing(sqlite3.connect(results)) as database:
        found = database.execute(
            """select lease, state, (select sum("end" - start) from (select distinct start, "end"
            from reservations r where r.lease = l.lease and purpose = 'run')), ended, deadline
            from leases l"""
        )
        leases = {lease: rest for lease, *rest in found}
    assert len(leases) == len(trace.leases)
    refused = {lease for lease, (state, *_) in leases.items() if state == "Rejected"}
    assert refused == trace.refused | (
        trace.refused_unless_suspended if suspension == "none" else frozenset()
    )
    for lease in leases.keys() - refused:
        state, ran, ended, deadline = leases[lease]
        asked = trace.leases[lease - 1]
        length = asked.duration if asked.real is None else asked.real
        assert (state, ran) == ("Done", 60 * min(length, asked.duration))
        assert ended <= deadline
