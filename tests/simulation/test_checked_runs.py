"""Random workloads through the whole simulator, and every run's results through the checker.

The checker shares no code with the scheduler and reads nothing but the results file. What
is random depends on a seed alone; one that breaks a rule is printed, and
``HAIZEA_EFFORT=1 HAIZEA_SEED=<seed>`` begins with it.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import effort
import pytest

from haizea.backends.simulated import Faults
from haizea.checker import check_file
from haizea.config import loads
from haizea.core.model.events import (
    HostDrained,
    HostFailed,
    HostRates,
    HostRestored,
    Input,
    LeaseCancelled,
    Purpose,
)
from haizea.runtime import Status, simulate

pytestmark = pytest.mark.slow

RUNS = 500
_SUSPENDED = (
    "SELECT count(*) FROM states JOIN leases USING (lease)"
    " WHERE states.state = 'Suspending' AND kind = 'deadline'"
)
START = 1_164_459_600  # 2006-11-25 13:00:00

CONFIG = """\
[general]
loglevel: STATUS
lease-preparation: {preparation}
[scheduling]
{scheduling}
[simulation]
starttime: 2006-11-25 13:00:00
resources: {resources}
[deploy-imagetransfer]
{images}
[tracefile]
tracefile: {trace}
[accounting]
datafile: {datafile}
"""

LEASE = """\
<lease-request arrival="{arrival}">{real}<lease preemptible="{preemptible}"><nodes>{nodes}</nodes>
<start>{start}</start><duration time="{duration}"/>{deadline}<software>{image}</software></lease>
</lease-request>
"""

NODES = (
    '<node-set numnodes="{count}"><res type="CPU" amount="{cpu}"/>'
    '<res type="Memory" amount="{memory}"/></node-set>'
)

#: By option of [scheduling], what it may be.
SCHEDULING = {
    "backfilling": [
        "off",
        "aggressive",
        "conservative",
        "intermediate\nbackfilling-reservations: 2",
    ],
    "suspension": ["none", "serial-only", "all", "all"],
    "suspend-rate": ["32", "100"],
    "resume-rate": ["32"],
    "migration": ["no", "yes", "yes-notransfer"],
    "suspendresume-exclusion": ["local", "global"],
    "shutdown-time": ["0", "20"],
    "enactment-overhead": ["0", "0", "3"],
    "scheduling-threshold-factor": ["0", "1"],
    "policy-preemption": ["ar-preempts-everything"] * 4 + ["no-preemption"],
    "policy-queue-order": ["submission"] * 4 + ["seniority", "shortest-first"],
    "policy-host-selection": ["greedy", "no-policy"],
}

IMAGES = [
    "transfer-mechanism: unicast",
    "transfer-mechanism: unicast\ndiskimage-reuse: image-caches\ndiskimage-cache-size: 2048",
    "transfer-mechanism: multicast\navoid-redundant-transfers: no",
    "transfer-mechanism: multicast\navoid-redundant-transfers: yes",
]


def clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def leases(rng: random.Random, *, images: bool) -> Iterator[str]:
    """Two to fourteen requests, most of them best-effort, of one to five nodes."""
    arrival = 0
    for _ in range(rng.randint(2, 14)):
        arrival += rng.choice([0, 1, 60, 300, 777])
        duration = rng.choice([60, 333, 1800, 3600])
        kind = rng.random()
        start = ""
        if kind > 0.9:
            start = "<now/>"
        elif kind > 0.6:
            start = f'<exact time="{clock(arrival + rng.choice([0, 60, 600, 3000]))}"/>'
        early = kind < 0.9 and rng.random() < 0.4
        real = f'<realduration time="{clock(rng.randint(1, duration))}"/>' if early else ""
        image = f'<disk-image id="image-{rng.randint(0, 2)}" size="1024"/>'
        yield LEASE.format(
            arrival=clock(arrival),
            real=real,
            preemptible="true" if not start and rng.random() < 0.85 else "false",
            nodes=nodes(rng),
            start=start,
            duration=clock(duration),
            deadline="",
            image=image if images else "<none/>",
        )


def with_deadlines(rng: random.Random, *, images: bool) -> Iterator[str]:
    """Three to sixteen requests, half of them with deadlines and most of these preemptible."""
    arrival = 0
    for _ in range(rng.randint(3, 16)):
        arrival += rng.choice([0, 1, 60, 300, 777])
        duration, kind = rng.choice([60, 333, 1800, 3600]), rng.random()
        first, start, deadline = arrival + rng.choice([0, 0, 60, 600]), "", ""
        if kind > 0.92:
            start = "<now/>"
        elif kind > 0.2:
            start = f'<exact time="{clock(first)}"/>'
            slack = rng.choice([0, 100, 300, 2000, 9000])
            if kind < 0.7:
                deadline = f'<deadline time="{clock(first + duration + slack)}"/>'
        early = kind < 0.92 and rng.random() < 0.4
        real = f'<realduration time="{clock(rng.randint(1, duration))}"/>' if early else ""
        image = f'<disk-image id="image-{rng.randint(0, 2)}" size="1024"/>'
        may_leave = (deadline or not start) and rng.random() < 0.85
        yield LEASE.format(
            arrival=clock(arrival),
            real=real,
            preemptible="true" if may_leave else "false",
            nodes=nodes(rng),
            start=start,
            duration=clock(duration),
            deadline=deadline,
            image=image if images else "<none/>",
        )


def nodes(rng: random.Random) -> str:
    """Whole hosts or halves; now and then of two sizes."""
    sizes = [(100, 1024), (100, 1024), (50, 512)]
    sets = 2 if rng.random() < 0.1 else 1
    return "".join(
        NODES.format(count=rng.randint(1, 5 // sets), cpu=cpu, memory=memory)
        for cpu, memory in rng.sample(sizes, sets)
    )


def configuration(rng: random.Random, directory: Path, looks: int, *, deadlines: bool) -> str:
    images = rng.random() < 0.3
    trace = directory / "trace.lwf"
    requests = "".join((with_deadlines if deadlines else leases)(rng, images=images))
    trace.write_text(
        f'<lease-workload name="random"><lease-requests>{requests}</lease-requests>'
        "</lease-workload>"
    )
    options = [f"{name}: {rng.choice(values)}" for name, values in SCHEDULING.items()]
    options.append(f"remapping-effort: {looks}")
    return CONFIG.format(
        preparation="imagetransfer" if images else "unmanaged",
        images=rng.choice(IMAGES) if images else "",
        scheduling="\n".join(options),
        resources=rng.choice(["4 CPU:100 Memory:1024", "3 CPU:200 Memory:2048"]),
        trace=trace,
        datafile=directory / "results.db",
    )


def learned(rng: random.Random) -> Iterator[tuple[int, Input]]:
    """Hosts turn out to suspend and resume faster or slower than was configured."""
    if rng.random() < 0.5:
        rates = [None, 7.5, 20.0, 32.0, 150.0]
        for _ in range(rng.randint(1, 5)):
            host = HostRates(rng.randrange(3), rng.choice(rates), rng.choice(rates))
            yield START + rng.randint(0, 6000), host


def faults(rng: random.Random, seed: int) -> Faults:
    """Operations that fail or are late, hosts that come and go, leases that are cancelled.

    And hosts of which something is learned.
    """
    chance = rng.choice([0, 0, 0.1, 0.4])
    at: list[tuple[int, Input]] = []
    if chance == 0 or rng.random() < 0.5:
        for _ in range(rng.randint(1, 4)):
            moment, host = START + rng.randint(0, 6000), rng.randrange(3)
            outages: list[Input] = [HostFailed(host), HostDrained(host), HostDrained(host)]
            at.append((moment, rng.choice(outages)))
            if rng.random() < 0.8:
                at.append((moment + rng.randint(0, 1000), HostRestored(host)))
        at += [
            (START + rng.randint(0, 6000), LeaseCancelled(rng.randint(1, 15)))
            for _ in range(rng.randint(0, 3))
        ]
    at += learned(random.Random(f"rates {seed}"))
    happening = [purpose for purpose in Purpose if purpose is not Purpose.OUTAGE]
    return Faults(
        seed=seed,
        failure=dict.fromkeys(happening, chance),
        delay={purpose: chance for purpose in happening if purpose is not Purpose.RUN},
        at=tuple(at),
    )


def wrong(
    seed: int,
    directory: Path,
    *,
    disturbed: bool,
    deadlines: bool = False,
    looks: int | None = None,
) -> list[str]:
    """Return what is wrong with the run of this seed, which has its own effort if none is given."""
    rng = random.Random(seed)
    if looks is None:
        looks = effort.looks_by(seed)
    text = configuration(rng, directory, looks, deadlines=deadlines)
    outcome = simulate(loads(text), faults=faults(rng, seed) if disturbed else None)
    if outcome.status is not Status.COMPLETE:
        return [f"seed {seed}: {outcome.message}"]
    report = check_file(directory / "results.db")
    return [f"seed {seed}: {violation}" for violation in report.violations]


@pytest.mark.parametrize("disturbed", [False, True], ids=["as planned", "with faults"])
def test_random_runs_break_no_rule(disturbed: bool, tmp_path: Path) -> None:
    first = effort.SEED if effort.EFFORT else 0
    found: list[str] = []
    for seed in range(first, first + RUNS * max(effort.EFFORT, 1)):
        found += wrong(seed, tmp_path, disturbed=disturbed)[:3]
        if len(found) > 20:
            break
    assert not found, "\n".join(found)


@pytest.mark.parametrize("disturbed", [False, True], ids=["as planned", "with faults"])
def test_random_runs_with_deadlines_break_no_rule(disturbed: bool, tmp_path: Path) -> None:
    """Some of those that run make room for others, and go on in time."""
    first = effort.SEED if effort.EFFORT else 0
    found: list[str] = []
    suspended = 0
    for seed in range(first, first + RUNS // 2 * max(effort.EFFORT, 1)):
        found += wrong(seed, tmp_path, disturbed=disturbed, deadlines=True)[:3]
        with closing(sqlite3.connect(tmp_path / "results.db")) as results:
            suspended += results.execute(_SUSPENDED).fetchone()[0]
        if len(found) > 20:
            break
    assert not found, "\n".join(found)
    assert suspended > 0


@pytest.mark.parametrize(
    ("seed", "disturbed"),
    [
        pytest.param(9510, False, id="an immediate lease waits for another's image"),
        pytest.param(10299, True, id="a lease relies on an image that it has"),
        pytest.param(11533, True, id="a suspension that was planned before its host was slower"),
        pytest.param(4726, True, id="an AR that was put off can start in time after all"),
        pytest.param(30008, True, id="an AR goes where no image has to be sent"),
        pytest.param(6956, True, id="a host is drained while images are on their way"),
        pytest.param(11187, True, id="a host dies while an AR is shut down there"),
        pytest.param(5719, True, id="one that failed starts over with another's images"),
    ],
)
def test_runs_that_broke_a_rule_once(seed: int, disturbed: bool, tmp_path: Path) -> None:
    assert wrong(seed, tmp_path, disturbed=disturbed, looks=effort.DEFAULT_LOOKS) == []
