"""Whatever goes wrong in a simulation, it comes to its end and no lease is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from haizea.backends.simulated import Faults, SimulatedBackend
from haizea.clock import SimulatedClock
from haizea.core.model.events import (
    HostDrained,
    HostFailed,
    HostRestored,
    Input,
    LeaseCancelled,
    Purpose,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.resources import FOREVER, ResourceTypes
from haizea.core.model.settings import Backfilling, Exclusion, Migration, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.loop import Tally, TraceArrivals, run_loop
from haizea.policies.registry import make_policies

HOSTS = 4
SITE = Site.uniform(ResourceTypes(), HOSTS, (200, 1024))
MOMENTS = st.integers(0, 6000)

SETTINGS = st.builds(
    Settings,
    backfilling=st.sampled_from(Backfilling),
    suspension=st.sampled_from(Suspension),
    exclusion=st.sampled_from(Exclusion),
    migration=st.sampled_from(Migration),
    shutdown_seconds=st.sampled_from([0, 20]),
    enactment_overhead_seconds=st.sampled_from([0, 3]),
)


@st.composite
def requests(draw: st.DrawFn) -> list[LeaseRequest]:
    made = []
    submitted = 0
    for lease_id in range(1, draw(st.integers(2, 10)) + 1):
        submitted += draw(st.sampled_from([0, 1, 60, 777]))
        kind = draw(st.sampled_from(Kind))
        start = submitted + draw(st.integers(0, 3000)) if kind is Kind.AR else None
        duration, deadline = draw(st.sampled_from([60, 333, 1800])), None
        if kind is Kind.DEADLINE:
            deadline = submitted + duration + draw(st.integers(0, 3000))
        capacity = draw(st.sampled_from([(100, 512), (200, 1024)]))
        made.append(
            LeaseRequest(
                id=lease_id,
                submitted=submitted,
                kind=kind,
                nodes=(NodeSet(draw(st.integers(1, HOSTS)), capacity),),
                duration=duration,
                start=start,
                deadline=deadline,
                preemptible=kind is Kind.BEST_EFFORT,
            )
        )
    return made


@st.composite
def faults(draw: st.DrawFn) -> Faults:
    """Random faults; every host comes back in the end."""
    probability = st.sampled_from([0.0, 0.1, 0.5])
    at: list[tuple[int, Input]] = []
    for host in draw(st.lists(st.integers(0, HOSTS - 1), max_size=3)):
        moment = draw(MOMENTS)
        trouble = HostFailed(host) if draw(st.booleans()) else HostDrained(host)
        at += [(moment, trouble), (10_000, HostRestored(host))]
    for lease_id in draw(st.lists(st.integers(1, 12), max_size=2)):
        at.append((draw(MOMENTS), LeaseCancelled(lease_id)))
    late = [p for p in Purpose if p is not Purpose.RUN]
    return Faults(
        seed=draw(st.integers(0, 1000)),
        failure=dict.fromkeys(Purpose, draw(probability)),
        delay=dict.fromkeys(late, draw(probability)),
        at=tuple(at),
    )


def play(
    asked: list[LeaseRequest], rules: Settings, real: dict[int, int], wrong: Faults | None = None
) -> Tally:
    tally = Tally()
    policies = make_policies(preemption="ar-preempts-everything")
    run_loop(
        Scheduler(SITE, rules, policies, 0),
        SimulatedClock(0),
        SimulatedBackend(real, wrong),
        TraceArrivals(asked),
        [tally],
        lambda due: due >= FOREVER,
    )
    return tally


REAL = st.dictionaries(st.integers(1, 10), st.integers(1, 1800))


@settings(max_examples=80, deadline=None)
@given(requests(), SETTINGS, REAL, faults())
def test_every_lease_comes_to_an_end(
    asked: list[LeaseRequest], rules: Settings, real: dict[int, int], wrong: Faults
) -> None:
    tally = play(asked, rules, real, wrong)
    assert set(tally.states) <= FINAL
    assert tally.finished == tally.submitted == len(asked)


@settings(max_examples=40, deadline=None)
@given(requests(), SETTINGS, REAL)
def test_without_faults_no_lease_fails(
    asked: list[LeaseRequest], rules: Settings, real: dict[int, int]
) -> None:
    assert set(play(asked, rules, real).states) <= {State.DONE, State.REJECTED}
