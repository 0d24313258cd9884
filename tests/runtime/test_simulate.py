"""Whole simulations: the quick start to the second, early ends, ends of runs, failures."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from haizea.backends.simulated import Faults
from haizea.config import Config, load, loads
from haizea.core.model.events import (
    LeaseCancelled,
    OperationEnded,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lifecycle import State
from haizea.core.model.turn import Turn
from haizea.loop import SchedulerError
from haizea.runtime import LeaseFailure, RunError, RunOutcome, Simulation, Status, simulate
from haizea.wording import in_words

ONE = 1_164_459_600  # 2006-11-25 13:00:00
MINUTE, HOUR = 60, 3600

CONFIG = """\
[general]
loglevel: STATUS
{general}
[scheduling]
policy-preemption: ar-preempts-everything
suspension: all
suspend-rate: 32
resume-rate: 32
{scheduling}
[simulation]
starttime: 2006-11-25 13:00:00
resources: {resources}
{simulation}
[tracefile]
tracefile: {trace}
{tracefile}
[accounting]
{accounting}
"""

LEASE = """\
<lease-request arrival="{arrival}">
  {real}
  <lease preemptible="{preemptible}">
    <nodes><node-set numnodes="{nodes}">
      <res type="CPU" amount="100"/><res type="Memory" amount="1024"/>
    </node-set></nodes>
    <start>{start}</start>
    <duration time="{duration}"/>
    <software><none/></software>
  </lease>
</lease-request>
"""


def best_effort(
    arrival: str = "00:00:00", duration: str = "01:00:00", nodes: int = 1, real: str = ""
) -> str:
    return LEASE.format(
        arrival=arrival,
        duration=duration,
        nodes=nodes,
        preemptible="true",
        start="",
        real=f'<realduration time="{real}"/>' if real else "",
    )


def reservation(arrival: str, start: str, duration: str = "00:30:00", nodes: int = 4) -> str:
    return LEASE.format(
        arrival=arrival,
        duration=duration,
        nodes=nodes,
        preemptible="false",
        start=f'<exact time="{start}"/>',
        real="",
    )


SAMPLE = [best_effort(), reservation("00:15:00", "00:30:00")]


def configure(tmp_path: Path, leases: Sequence[str], site: str = "", **sections: str) -> Config:
    trace = tmp_path / "trace.lwf"
    requests = "".join(leases)
    trace.write_text(
        f'<lease-workload name="test">{site}<lease-requests>{requests}</lease-requests>'
        "</lease-workload>"
    )
    names = ("general", "scheduling", "simulation", "tracefile", "accounting")
    values = {name: sections.get(name, "") for name in names}
    resources = sections.get("resources", "4 CPU:100 Memory:1024")
    return loads(CONFIG.format(trace=trace, resources=resources, **values))


class Story:
    """An observer that keeps what happened: stretches of operations, and state changes."""

    def __init__(self) -> None:
        self.operations: list[tuple[int, str, int, int]] = []
        self.changes: list[StateChanged] = []

    def note(self, turn: Turn) -> None:
        for decision in turn.decisions:
            if isinstance(decision, OperationEnded):
                since, until = decision.start - ONE, decision.end - ONE
                self.operations.append((decision.lease_id, decision.purpose.value, since, until))
            elif isinstance(decision, StateChanged):
                self.changes.append(decision)

    def of(self, lease_id: int) -> list[tuple[str, int, int]]:
        """Return what a lease did, in seconds from the start of the run."""
        return [(what, since, until) for i, what, since, until in self.operations if i == lease_id]

    def last(self, lease_id: int) -> StateChanged:
        return [c for c in self.changes if c.lease_id == lease_id][-1]


def play(config: Config, faults: Faults | None = None) -> tuple[RunOutcome, Story]:
    story = Story()
    return simulate(config, observers=[story], faults=faults), story


def check_the_quick_start(outcome: RunOutcome, story: Story) -> None:
    assert outcome.status is Status.COMPLETE
    assert outcome.exit_status == 0
    assert outcome.states == {State.DONE: 2}
    assert story.of(1) == [
        ("run", 0, 29 * MINUTE + 28),
        ("suspend", 29 * MINUTE + 28, 30 * MINUTE),
        ("resume", HOUR, HOUR + 32),
        ("run", HOUR + 32, HOUR + 31 * MINUTE + 4),
    ]
    assert story.of(2) == [("run", 30 * MINUTE, HOUR)]
    assert (outcome.started, outcome.ended) == (ONE, ONE + HOUR + 31 * MINUTE + 4)


def test_the_quick_start_to_the_second(tmp_path: Path) -> None:
    check_the_quick_start(*play(configure(tmp_path, SAMPLE)))


def test_the_sample_configuration_is_the_quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    config = load("etc/sample.conf")
    unsaved = replace(config, accounting=replace(config.accounting, datafile=None))
    check_the_quick_start(*play(unsaved))


def test_the_results_file_has_it_too(tmp_path: Path) -> None:
    datafile = tmp_path / "results"
    outcome, _ = play(configure(tmp_path, SAMPLE, accounting=f"datafile: {datafile}"))
    assert outcome.datafile == datafile
    with closing(sqlite3.connect(datafile)) as db:
        run = dict(db.execute("SELECT key, value FROM run"))
        leases = db.execute("SELECT lease, state, started, ended FROM leases").fetchall()
    assert run["status"] == "complete"
    assert run["workload"] == "test"
    assert run["ended"] == str(outcome.ended)
    assert leases == [
        (1, "Done", ONE, ONE + HOUR + 31 * MINUTE + 4),
        (2, "Done", ONE + 30 * MINUTE, ONE + HOUR),
    ]


def test_without_a_datafile_nothing_is_saved(tmp_path: Path) -> None:
    outcome, _ = play(configure(tmp_path, SAMPLE))
    assert outcome.datafile is None
    assert [f.name for f in tmp_path.iterdir()] == ["trace.lwf"]


def test_a_lease_that_really_ends_early_makes_room_that_second(tmp_path: Path) -> None:
    leases = [best_effort(nodes=4, real="00:10:01"), best_effort("00:01:00", nodes=4)]
    _, story = play(configure(tmp_path, leases))
    assert story.of(1) == [("run", 0, 601)]
    assert story.last(1).code == "early-end"
    assert story.of(2) == [("run", 601, 601 + HOUR)]


def test_time_run_before_a_suspension_counts_towards_the_real_duration(tmp_path: Path) -> None:
    leases = [best_effort(real="00:45:00"), SAMPLE[1]]
    _, story = play(configure(tmp_path, leases))
    # 29:28 before the suspension, so that 15:32 are left.
    assert story.of(1)[-1] == ("run", HOUR + 32, HOUR + 32 + 15 * MINUTE + 32)


def test_a_lease_that_ends_before_it_would_be_suspended(tmp_path: Path) -> None:
    _, story = play(configure(tmp_path, [best_effort(real="00:29:28"), SAMPLE[1]]))
    assert story.of(1) == [("run", 0, 29 * MINUTE + 28)]
    assert story.last(1).new is State.DONE


def test_a_preempted_lease_that_is_not_suspended_starts_over(tmp_path: Path) -> None:
    config = configure(
        tmp_path,
        [best_effort(real="00:45:00"), SAMPLE[1]],
        scheduling="force-scheduling-threshold: 02:00:00",
    )
    _, story = play(config)
    runs = [(since, until) for purpose, since, until in story.of(1) if purpose == "run"]
    assert runs[-1][1] - runs[-1][0] == 45 * MINUTE
    assert story.last(1).new is State.DONE


def test_overheads_make_leases_longer(tmp_path: Path) -> None:
    config = configure(
        tmp_path,
        [best_effort(duration="01:00:00", real="00:10:00"), best_effort(duration="01:00:00")],
        tracefile="add-overhead: all\nruntime-slowdown-overhead: 10\nbootshutdown-overhead: 30",
    )
    _, story = play(config)
    assert story.of(1) == [("run", 0, 690)]
    assert story.of(2) == [("run", 0, 3990)]


def test_injected_leases_come_among_the_others(tmp_path: Path) -> None:
    injected = tmp_path / "more.lwf"
    injected.write_text(
        f"<lease-workload name='more'><lease-requests>{SAMPLE[1]}</lease-requests></lease-workload>"
    )
    config = configure(tmp_path, [SAMPLE[0]], tracefile=f"injectionfile: {injected}")
    _, story = play(config)
    assert story.of(2) == [("run", 30 * MINUTE, HOUR)]


SITE = """<site><resource-types names="CPU Memory"/><nodes><node-set numnodes="4">
<res type="CPU" amount="100"/><res type="Memory" amount="1024"/></node-set></nodes></site>"""


def test_the_trace_may_define_the_site(tmp_path: Path) -> None:
    config = configure(tmp_path, SAMPLE, SITE, resources="in-tracefile")
    simulation = Simulation(config)
    assert len(simulation.site.hosts) == 4
    assert simulation.run().states == {State.DONE: 2}


# --- the end of a run -----------------------------------------------------------------------


QUEUE = [
    best_effort("00:00:00", nodes=4),
    best_effort("00:10:00", nodes=4),
    reservation("00:10:00", "05:00:00"),
]


@pytest.mark.parametrize(
    ("stop_when", "minutes"),
    [("all-leases-done", 330), ("besteffort-done", 120), ("besteffort-submitted", 10)],
)
def test_when_a_run_is_over(tmp_path: Path, stop_when: str, minutes: int) -> None:
    outcome, _ = play(configure(tmp_path, QUEUE, simulation=f"stop-when: {stop_when}"))
    assert outcome.status is Status.COMPLETE
    assert outcome.ended == ONE + minutes * MINUTE
    assert sum(outcome.states.values()) == outcome.total == 3


def test_waiting_for_best_effort_leases_where_there_are_none(tmp_path: Path) -> None:
    config = configure(tmp_path, [SAMPLE[1]], simulation="stop-when: besteffort-done")
    with pytest.raises(RunError, match="no best-effort leases; set stop-when: all-leases-done"):
        Simulation(config)


def test_a_run_without_leases_ends_where_it_begins(tmp_path: Path) -> None:
    simulation = Simulation(configure(tmp_path, []))
    assert "no lease requests" in simulation.notes[0]
    outcome = simulation.run()
    assert (outcome.status, outcome.started, outcome.ended) == (Status.COMPLETE, ONE, ONE)


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    datafile = tmp_path / "results"
    simulation = Simulation(configure(tmp_path, SAMPLE, accounting=f"datafile: {datafile}"))

    class Interrupts:
        def note(self, turn: Turn) -> None:
            if turn.now == ONE + 15 * MINUTE:
                simulation.interrupt()

    outcome = simulation.run([Interrupts()])
    assert outcome.status is Status.INTERRUPTED
    assert outcome.exit_status == 130
    assert outcome.ended == ONE + 15 * MINUTE
    assert outcome.message == "interrupted at 2006-11-25 13:15:00+00:00"
    with closing(sqlite3.connect(datafile)) as db:
        assert ("status", "interrupted") in db.execute("SELECT key, value FROM run").fetchall()
        states = db.execute("SELECT lease, state FROM leases").fetchall()
    assert states == [(1, "Active"), (2, "Scheduled")]


# --- what goes wrong ------------------------------------------------------------------------


def test_a_trace_without_a_site_where_one_is_needed(tmp_path: Path) -> None:
    config = configure(tmp_path, SAMPLE, resources="in-tracefile")
    with pytest.raises(RunError, match=r"trace\.lwf does not say what hosts there are"):
        Simulation(config)


def test_a_lease_that_asks_for_what_the_site_does_not_have(tmp_path: Path) -> None:
    lease = best_effort().replace("Memory", "Disk")
    with pytest.raises(RunError, match="the site has no resource type 'Disk'"):
        Simulation(configure(tmp_path, [lease]))


MAPPERS = """
from haizea.core.placement.mapper import GreedyMapper
from haizea.wording import in_words

class Counting(GreedyMapper):
    made_with = []
    def __init__(self, selection):
        self.made_with.append(type(selection).__name__)
        super().__init__(selection)

class Unmakeable(GreedyMapper):
    def __init__(self):
        pass
"""


def test_a_mapper_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_mappers.py").write_text(MAPPERS)
    monkeypatch.syspath_prepend(tmp_path)
    config = configure(tmp_path, SAMPLE, scheduling="mapper: my_mappers.Counting")
    outcome, _ = play(config)
    assert outcome.states == {State.DONE: 2}
    assert vars(sys.modules["my_mappers"])["Counting"].made_with == ["Greedy"]
    config = configure(tmp_path, SAMPLE, scheduling="mapper: my_mappers.Unmakeable")
    with pytest.raises(RunError, match=r"mapper: 'my_mappers\.Unmakeable' cannot be made"):
        Simulation(config)


FAILING = Faults(failure={Purpose.SUSPEND: 1.0})


def test_a_failed_lease_does_not_end_the_run(tmp_path: Path) -> None:
    outcome, story = play(configure(tmp_path, SAMPLE), FAILING)
    assert outcome.status is Status.COMPLETE
    assert outcome.states == {State.FAILED: 1, State.DONE: 1}
    assert "suspending failed" in in_words(story.last(1).reason)


def test_a_failed_lease_ends_the_run_if_it_is_told_to(tmp_path: Path) -> None:
    datafile = tmp_path / "results"
    config = configure(
        tmp_path,
        SAMPLE,
        general="lease-failure-handling: exit",
        accounting=f"datafile: {datafile}",
    )
    outcome, _ = play(config, FAILING)
    assert outcome.status is Status.FAILED
    assert outcome.exit_status == 1
    assert outcome.message.startswith("lease 1 failed at 2006-11-25 13:29:")
    with closing(sqlite3.connect(datafile)) as db:
        assert ("status", "failed") in db.execute("SELECT key, value FROM run").fetchall()


def test_a_failed_lease_raises_if_it_is_told_to(tmp_path: Path) -> None:
    config = configure(tmp_path, SAMPLE, general="lease-failure-handling: exit-raise")
    with pytest.raises(LeaseFailure, match="lease 1 failed at"):
        play(config, FAILING)


def test_a_cancelled_lease_is_no_failure(tmp_path: Path) -> None:
    config = configure(tmp_path, SAMPLE, general="lease-failure-handling: exit")
    outcome, _ = play(config, Faults(at=((ONE + 60, LeaseCancelled(1)),)))
    assert outcome.status is Status.COMPLETE
    assert outcome.states == {State.CANCELLED: 1, State.DONE: 1}


BROKEN_POLICY = """
class Broken:
    def refusal(self, request):
        assert request.id != 2, "the policy is broken"
        return None
"""


@pytest.mark.parametrize("handling", ["cancel", "exit"])
def test_an_error_in_the_scheduler_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handling: str
) -> None:
    config = broken(tmp_path, monkeypatch, handling)
    outcome, _ = play(config)
    assert outcome.status is Status.FAILED
    assert outcome.exit_status == 1
    assert "13:15:00" in outcome.message
    assert "lease 2" in outcome.message
    assert "the policy is broken" in outcome.message
    with closing(sqlite3.connect(tmp_path / "results")) as db:
        assert ("status", "failed") in db.execute("SELECT key, value FROM run").fetchall()


def test_an_error_in_the_scheduler_is_raised_if_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SchedulerError, match="the policy is broken"):
        play(broken(tmp_path, monkeypatch, "exit-raise"))


def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handling: str) -> Config:
    (tmp_path / "broken_policy.py").write_text(BROKEN_POLICY)
    monkeypatch.syspath_prepend(tmp_path)
    return configure(
        tmp_path,
        SAMPLE,
        general=f"lease-failure-handling: {handling}",
        scheduling="policy-admission: broken_policy.Broken",
        accounting=f"datafile: {tmp_path / 'results'}",
    )


def test_the_operations_that_end_are_those_that_started(tmp_path: Path) -> None:
    started: list[tuple[int, Purpose, int]] = []
    ended: list[tuple[int, Purpose, int]] = []

    class Watch:
        def note(self, turn: Turn) -> None:
            for d in turn.decisions:
                if isinstance(d, OperationStarted):
                    started.append((d.lease_id, d.purpose, d.time))
                elif isinstance(d, OperationEnded):
                    ended.append((d.lease_id, d.purpose, d.start))

    simulate(configure(tmp_path, [*SAMPLE, *QUEUE[:2]]), observers=[Watch()])
    assert sorted(started) == sorted(ended)
