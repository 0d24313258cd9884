"""Hosts of OpenNebula and their indices in the schedule; what to do next with a VM."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.backends.opennebula.model.host import HostInfo, HostState
from haizea.backends.opennebula.model.template import NO_TEMPLATE
from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.steps import Finding, Goal, Manners, Verb, next_step
from haizea.core.model.events import HostAdded, HostDrained, HostFailed, HostRestored
from haizea.core.model.reasons import Code, because

GRACE = 60


def info(number: int, *, cpu: int = 800, state: int = HostState.MONITORED) -> HostInfo:
    return HostInfo(
        id=number,
        name=f"node{number:02}",
        state=state,
        cluster_id=0,
        cluster="default",
        cpu_percent=cpu,
        memory_mb=16384,
        used_cpu_percent=0,
        used_memory_mb=0,
        vm_ids=(),
        template=NO_TEMPLATE,
        attributes={},
    )


class Kept:
    """A table's memory; ``works`` tells whether it can be kept."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.works = True

    def keep(self, text: str) -> bool:
        if self.works:
            self.text = text
        return self.works

    def table(self) -> HostTable:
        return HostTable(self.text, self.keep, GRACE)


def test_indices_are_the_same_after_a_restart_and_never_used_again() -> None:
    kept = Kept()
    table = kept.table()
    added = table.update(0, [info(7), info(3)])
    assert [(e.host.id, e.host.name) for e in added if isinstance(e, HostAdded)] == [
        (0, "node03"),
        (1, "node07"),
    ]
    assert table.update(1, [info(7)]) == [HostFailed(0, because(Code.NO_SUCH_HOST))]
    again = kept.table()
    assert again.hosts() == table.hosts()
    assert [e.host.id for e in again.update(2, [info(7), info(9)]) if isinstance(e, HostAdded)] == [
        2
    ]


def test_a_host_that_cannot_be_kept_is_not_told_of() -> None:
    kept = Kept()
    kept.works = False
    table = kept.table()
    assert table.update(0, [info(1)]) == []
    kept.works = True
    assert [type(e) for e in table.update(1, [info(1)])] == [HostAdded]


def test_a_host_that_grew_is_another_one_and_one_that_shrank_has_lost_something() -> None:
    table = Kept().table()
    table.update(0, [info(1)])
    grown = table.update(1, [info(1, cpu=1600)])
    assert [type(e) for e in grown] == [HostAdded, HostDrained]
    assert table.current == {1: 1}
    assert table.update(2, [info(1, cpu=400)]) == []
    assert table.lost(table.entries[1]) == (1200, 0)


def test_a_host_in_error_is_drained_at_once_and_dead_later() -> None:
    table = Kept().table()
    table.update(0, [info(1)])
    broken = info(1, state=HostState.ERROR)
    assert [type(e) for e in table.see(10, broken)] == [HostDrained]
    assert table.next_review() == 10 + GRACE
    assert table.review(10 + GRACE - 1) == []
    assert [type(e) for e in table.review(10 + GRACE)] == [HostFailed]
    assert table.see(100, broken) == []
    assert table.see(200, info(1)) == [HostRestored(0)]


def test_a_host_without_figures_waits_and_a_disabled_one_is_drained() -> None:
    table = Kept().table()
    assert table.update(0, [info(1, cpu=0, state=HostState.INIT)]) == []
    added = table.update(1, [info(1, state=HostState.DISABLED)])
    assert [type(e) for e in added] == [HostAdded, HostDrained]


def machine(state: int, lcm: int = 0) -> VirtualMachine:
    return VirtualMachine(
        id=1,
        name="vm",
        uid=0,
        gid=0,
        uname="",
        gname="",
        state=state,
        lcm_state=lcm,
        resched=False,
        locked=False,
        stime=0,
        etime=0,
        cpu_percent=100,
        memory_mb=512,
        template=NO_TEMPLATE,
        user_template=NO_TEMPLATE,
        history=(),
    )


@pytest.mark.parametrize(
    ("goal", "state", "lcm", "step"),
    [
        (Goal.RUNNING, 1, 0, Verb.DEPLOY),
        (Goal.RUNNING, 2, 0, Verb.DEPLOY),
        (Goal.RUNNING, 4, 0, Verb.DEPLOY),
        (Goal.RUNNING, 9, 0, Verb.DEPLOY),
        (Goal.RUNNING, 3, 3, Finding.REACHED),
        (Goal.RUNNING, 3, 16, Finding.LOST),
        (Goal.RUNNING, 3, 36, Finding.BROKEN),
        (Goal.RUNNING, 8, 0, Finding.AWAY),
        (Goal.RUNNING, 6, 0, Finding.GONE),
        (Goal.SAVED, 3, 3, Verb.STOP),
        (Goal.SAVED, 4, 0, Finding.REACHED),
        (Goal.SAVED, 5, 0, Verb.STOP),
        (Goal.OFF, 3, 3, Verb.UNDEPLOY),
        (Goal.OFF, 9, 0, Finding.REACHED),
        (Goal.ENDED, 3, 3, Verb.TERMINATE),
        (Goal.ENDED, 1, 0, Verb.TERMINATE),
        (Goal.ENDED, 6, 0, Finding.REACHED),
    ],
)
def test_the_next_step_follows_from_the_state(
    goal: Goal, state: int, lcm: int, step: Verb | Finding
) -> None:
    assert next_step(goal, 0, machine(state, lcm), Manners()) is step


@given(
    goal=st.sampled_from(Goal),
    state=st.integers(0, 15),
    lcm=st.integers(0, 60),
    legacy=st.booleans(),
    suspends=st.booleans(),
)
def test_every_state_has_a_next_step(
    goal: Goal, state: int, lcm: int, legacy: bool, suspends: bool
) -> None:
    manners = Manners(legacy=legacy, suspends=suspends)
    vm = machine(state, lcm if state == 3 else 0)
    step = next_step(goal, 0, vm, manners)
    assert isinstance(step, (Verb, Finding))
    busy = state == 3 and lcm not in (3, 16)
    assert not (busy and isinstance(step, Verb)), "a VM that is busy refuses every command"
    assert step is next_step(goal, 0, replace(vm, name="other"), manners)
