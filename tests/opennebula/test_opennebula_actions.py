"""Actions that users plan with SCHED_ACTION, where OpenNebula leaves them to the scheduler."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from local_zone import local_zone

from haizea.backends.opennebula.model.template import NO_TEMPLATE, Template
from haizea.backends.opennebula.model.vm import VirtualMachine, read_vm
from haizea.backends.opennebula.owners.scheduled_actions import (
    DueAction,
    after_failure,
    after_success,
    due_actions,
    mark,
    next_due,
)
from haizea.backends.opennebula.owners.scheduled_runner import ScheduledActions
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.session import Session
from haizea.sandbox.clock import ManualClock
from haizea.sandbox.server import Options, Sandbox

NOW = 1_795_000_000


@pytest.fixture(autouse=True, scope="module")
def vienna() -> Iterator[None]:
    """Have times of day those of Vienna."""
    with local_zone("Europe/Vienna"):
        yield


def vm_with(*actions: dict[str, str], number: int = 7, users: bool = False) -> VirtualMachine:
    """A running VM, made a minute ago, with these actions."""
    text = (
        f"<VM><ID>{number}</ID><STATE>3</STATE><LCM_STATE>3</LCM_STATE>"
        f"<STIME>{NOW - 60}</STIME></VM>"
    )
    template = Template({"SCHED_ACTION": [dict(action) for action in actions]})
    return replace(
        read_vm(text),
        template=NO_TEMPLATE if users else template,
        user_template=template if users else NO_TEMPLATE,
    )


def one_due(vm: VirtualMachine, now: int = NOW) -> DueAction:
    [action] = due_actions([vm], now)
    return action


@pytest.mark.parametrize("users", [False, True])
def test_absolute_and_relative_times(users: bool) -> None:
    at = {"ACTION": "suspend", "TIME": str(NOW)}
    assert one_due(vm_with(at, users=users)).parameters == ("suspend", 7)
    assert due_actions([vm_with(at, users=users)], NOW - 1) == ()
    # The VM was made at NOW - 60.
    after = {"ACTION": "Poweroff-Hard", "TIME": "+60"}
    assert one_due(vm_with(after)).parameters == ("poweroff-hard", 7)
    assert due_actions([vm_with({**after, "TIME": "+61"})], NOW) == ()
    assert next_due([vm_with({**after, "TIME": "+61"}, at)], NOW) == NOW + 1
    assert next_due([vm_with(at)], NOW) is None


def test_of_several_the_oldest_is_run_and_the_others_wait() -> None:
    vm = vm_with(
        {"ACTION": "stop", "TIME": str(NOW - 5)},
        {"ACTION": "resume", "TIME": str(NOW - 9)},
        {"ACTION": "hold", "TIME": str(NOW + 9)},
    )
    assert one_due(vm).action == "resume"
    assert one_due(vm).index == 1


def test_what_was_done_is_not_done_again() -> None:
    done = {"ACTION": "stop", "TIME": str(NOW - 5), "DONE": str(NOW - 2)}
    assert due_actions([vm_with(done)], NOW) == ()
    assert one_due(vm_with({**done, "DONE": "-1"})).action == "stop"
    vm = vm_with({"ACTION": "stop", "TIME": "+10", "MESSAGE": "no"})
    left = after_success(one_due(vm), NOW)
    assert left == {"ACTION": "stop", "TIME": "+10", "DONE": str(NOW)}
    assert due_actions([vm_with(dict(left))], NOW + 10**6) == ()


def test_a_failure_is_told_and_tried_again() -> None:
    vm = vm_with({"ACTION": "stop", "TIME": "+10"})
    left = after_failure(one_due(vm), "wrong state " * 100)
    assert left["MESSAGE"].startswith("wrong state")
    assert len(left["MESSAGE"]) <= 200
    assert one_due(vm_with(dict(left))).action == "stop"


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"ACTION": "stop"},
        {"ACTION": "stop", "TIME": ""},
        {"ACTION": "stop", "TIME": "+"},
        {"ACTION": "stop", "TIME": "-5"},
        {"ACTION": "stop", "TIME": "tomorrow"},
        {"ACTION": "stop", "TIME": "9" * 400},
        {"ACTION": "stop", "TIME": "1e3"},
    ],
)
def test_without_a_time_nothing_is_due(action: dict[str, str]) -> None:
    assert due_actions([vm_with(action)], NOW) == ()
    assert next_due([vm_with(action)], NOW) is None


def test_other_calls_and_their_arguments() -> None:
    def called(action: str, arguments: str = "") -> DueAction:
        return one_due(vm_with({"ACTION": action, "TIME": "0", "ARGS": arguments}))

    assert called("snapshot-create", "before").parameters == (7, "before")
    found = called("disk-snapshot-create", " 0 , before ")
    assert (found.method, found.parameters) == ("one.vm.disksnapshotcreate", (7, 0, "before"))
    assert called("backup", "100").method == "one.vm.backup"
    assert "separated by a comma" in called("disk-snapshot-revert", "1").problem
    assert "'x' is not a number" in called("snapshot-revert", "x").problem
    assert "not an action that can be scheduled" in called("explode").problem
    assert called("explode").method == ""


# --- repetition ---------------------------------------------------------------------------


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def repeated(at: str, now: str, **parts: str) -> dict[str, str]:
    """Return what is left of a repeated action that was due at ``at``, and run at ``now``."""
    vm = vm_with({"ACTION": "stop", "TIME": str(moment(at)), "END_TYPE": "0", **parts})
    return dict(after_success(one_due(vm, moment(now)), moment(now)))


@pytest.mark.parametrize(
    ("at", "repeat", "days", "following"),
    [
        # 2026-11-21 is a Saturday (6); Sunday is 0.
        ("2026-11-21 09:30", "0", "6", "2026-11-28 09:30"),
        ("2026-11-21 09:30", "0", "1,3", "2026-11-23 09:30"),
        ("2026-11-21 09:30", "0", "0", "2026-11-22 09:30"),
        ("2026-11-21 09:30", "1", "21", "2026-12-21 09:30"),
        ("2026-11-21 09:30", "1", "5,25", "2026-11-25 09:30"),
        ("2027-01-31 09:30", "1", "31", "2027-03-31 09:30"),
        ("2026-11-21 09:30", "2", "0", "2027-01-01 09:30"),
        ("2026-11-21 09:30", "2", "365", "2028-12-31 09:30"),
        ("2026-11-21 09:30", "3", "5", "2026-11-21 14:30"),
        # The clock is put forward on 2027-03-28: the time of day stays.
        ("2027-03-27 09:30", "0", "0", "2027-03-28 09:30"),
    ],
)
def test_the_next_time(at: str, repeat: str, days: str, following: str) -> None:
    left = repeated(at, at, REPEAT=repeat, DAYS=days)
    assert left["TIME"] == str(moment(following))
    assert due_actions([vm_with(left)], moment(following) - 1) == ()
    assert one_due(vm_with(left), moment(following)).action == "stop"


def test_what_was_missed_is_not_made_up_for() -> None:
    left = repeated("2026-11-21 09:30", "2026-11-21 20:00", REPEAT="3", DAYS="2")
    assert left["TIME"] == str(moment("2026-11-21 21:30"))


def test_ends() -> None:
    daily = {"REPEAT": "0", "DAYS": "0,1,2,3,4,5,6"}
    at = "2026-11-21 09:30"
    left = repeated(at, at, **daily, END_TYPE="1", END_VALUE="1")
    assert (left["TIME"], left["END_VALUE"]) == (str(moment("2026-11-22 09:30")), "0")
    left = repeated(at, at, **daily, END_TYPE="1", END_VALUE="0")
    assert left["TIME"] == str(moment(at))
    last = str(moment("2026-11-22 09:00"))
    assert repeated(at, at, **daily, END_TYPE="2", END_VALUE=last)["TIME"] == str(moment(at))
    last = str(moment("2026-11-22 10:00"))
    assert repeated(at, at, **daily, END_TYPE="2", END_VALUE=last)["TIME"] != str(moment(at))


@pytest.mark.parametrize(
    "parts",
    [
        {"REPEAT": "-1", "DAYS": "1"},
        {"REPEAT": "9", "DAYS": "1"},
        {"REPEAT": "0", "DAYS": ""},
        {"REPEAT": "0", "DAYS": "9"},
        {"REPEAT": "1", "DAYS": "0"},
        {"REPEAT": "3", "DAYS": "0"},
        {"REPEAT": "0", "DAYS": "1", "END_TYPE": "-1"},
        {"REPEAT": "0", "DAYS": "1", "END_TYPE": "1"},
        {"REPEAT": "0", "DAYS": "x,,-1"},
    ],
)
def test_what_is_no_repetition_is_done_once(parts: dict[str, str]) -> None:
    at = "2026-11-21 09:30"
    left = repeated(at, at, **parts)
    assert left["TIME"] == str(moment(at))
    assert due_actions([vm_with(left)], moment("2030-01-01 00:00")) == ()


@tries(400)
@given(
    st.dictionaries(
        st.sampled_from(["TIME", "REPEAT", "DAYS", "END_TYPE", "END_VALUE", "DONE", "ARGS"]),
        st.one_of(
            st.integers(-2, 400).map(str),
            st.text(max_size=12),
            st.integers(0, 10**12).map("+{}".format),
            st.sampled_from(["0,1,2", "31", "365", "0,6"]),
        ),
    ),
    st.integers(0, 10**10),
)
def test_whatever_is_written_is_run_once_a_moment(action: dict[str, str], now: int) -> None:
    vm = vm_with({"ACTION": "stop", **action})
    for due in due_actions([vm], now):
        left = dict(after_success(due, now))
        assert due_actions([vm_with(left)], now) == ()
        following = next_due([vm_with(left)], now)
        assert following is None or following > now


# --- with an OpenNebula -------------------------------------------------------------------


def test_an_action_is_run_and_marked_in_a_version_that_leaves_it_to_us() -> None:
    clock = ManualClock()
    options = Options(version="6.6.0", clock=clock, events_port=None)
    with Sandbox(options) as sandbox, Client(sandbox.url, Session(sandbox.session)) as client:
        template = 'CPU="1"\nMEMORY="64"\nSCHED_ACTION=[ ACTION="hold", TIME="+60" ]'
        number = int(client.command("one.vm.allocate", template, False)[0])
        assert due_actions(client.vms(), int(sandbox.control.now())) == ()
        sandbox.control.advance(61)
        now = int(sandbox.control.now())
        [vm] = client.vms()
        action = one_due(vm, now)
        client.command(action.method, *action.parameters)
        mark(client, vm, action, after_success(action, now))
        [vm] = client.vms()
        assert (vm.id, vm.state) == (number, 2)
        assert due_actions([vm], now + 10**6) == ()
        assert vm.template.vector("SCHED_ACTION")["DONE"] == str(now)


def test_where_they_are_the_users_attributes_all_are_written_again() -> None:
    """Before 6.2 they were in the user's template, and there was no call of their own."""
    clock = ManualClock()
    options = Options(version="6.6.0", clock=clock, events_port=None)
    with Sandbox(options) as sandbox, Client(sandbox.url, Session(sandbox.session)) as client:
        number = int(client.command("one.vm.allocate", 'CPU="1"\nMEMORY="64"', False)[0])
        written = (
            'SCHED_ACTION=[ ACTION="hold", TIME="5", NOTE="a" ]\n'
            'SCHED_ACTION=[ ACTION="stop", TIME="9" ]'
        )
        client.command("one.vm.update", number, written, 1)
        vm = client.vm(number)
        action = one_due(vm, 100)
        mark(client, vm, action, after_success(action, 100))
        vm = client.vm(number)
        assert [dict(one) for one in vm.user_template.vectors("SCHED_ACTION")] == [
            {"ACTION": "hold", "TIME": "5", "NOTE": "a", "DONE": "100"},
            {"ACTION": "stop", "TIME": "9"},
        ]
        assert one_due(vm, 100).action == "stop"


# --- run by a thread ----------------------------------------------------------------------


@contextmanager
def running(version: str, **options: Any) -> Iterator[tuple[Sandbox, Client]]:
    """Scheduled actions are run in a sandbox whose time is its own."""
    made = Options(version=version, clock=ManualClock(), events_port=None)
    with Sandbox(made) as sandbox, Client(sandbox.url, Session(sandbox.session)) as client:
        actions = ScheduledActions(
            client, interval_seconds=0.02, now=sandbox.control.now, **options
        )
        actions.start()
        try:
            yield sandbox, client
        finally:
            actions.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.01)


def submitted(client: Client, *actions: str) -> int:
    text = "\n".join(['CPU="1"', 'MEMORY="64"', *actions])
    return int(client.command("one.vm.allocate", text, False)[0])


def calls(sandbox: Sandbox, method: str) -> int:
    return sum(command.method == method for command in sandbox.control.commands())


def test_they_are_run_when_due_and_once() -> None:
    with running("6.6.0") as (sandbox, client):
        vm = submitted(client, 'SCHED_ACTION=[ ACTION="hold", TIME="+60" ]')
        client.vms()
        assert client.vm(vm).state == 1
        sandbox.control.advance(61)
        wait_for(lambda: calls(sandbox, "one.vm.schedupdate") == 1)
        assert client.vm(vm).state == 2
        client.command("one.vm.action", "release", vm)
        sandbox.control.advance(600)
        again = submitted(client, 'SCHED_ACTION=[ ACTION="hold", TIME="+1" ]')
        sandbox.control.advance(2)
        wait_for(lambda: client.vm(again).state == 2)
        assert client.vm(vm).state == 1


def test_a_refusal_is_written_once_and_a_lost_mark_runs_nothing_twice() -> None:
    with running("6.6.0") as (sandbox, client):
        vm = submitted(client, 'SCHED_ACTION=[ ACTION="resume", TIME="+1" ]')
        strange = submitted(client, 'SCHED_ACTION=[ ACTION="explode", TIME="+1" ]')
        sandbox.control.advance(2)
        wait_for(lambda: calls(sandbox, "one.vm.schedupdate") == 2)
        assert "explode" in client.vm(strange).template.vector("SCHED_ACTION")["MESSAGE"]
        tried = calls(sandbox, "one.vm.action")
        wait_for(lambda: calls(sandbox, "one.vm.action") > tried + 2)
        assert client.vm(vm).template.vector("SCHED_ACTION")["MESSAGE"]
        assert calls(sandbox, "one.vm.schedupdate") == 2
    with running("6.6.0") as (sandbox, client):
        vm = submitted(client, 'SCHED_ACTION=[ ACTION="hold", TIME="+1" ]')
        sandbox.control.refuse("one.vm.schedupdate", count=3)
        sandbox.control.advance(2)
        wait_for(lambda: client.vm(vm).template.vector("SCHED_ACTION").get("DONE") != "-1")
        assert calls(sandbox, "one.vm.action") == 1


@pytest.mark.parametrize("version", ["1.4.0", "6.10.5", "7.4.0"])
def test_where_opennebula_runs_them_nobody_else_does(version: str) -> None:
    with running(version) as (sandbox, client):
        client.version()
        wait_for(lambda: not any(t.name == "scheduled actions" for t in threading.enumerate()))
        assert calls(sandbox, "one.vm.action") == 0


def test_a_dry_run_runs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with running("6.6.0", dry_run=True) as (sandbox, client):
        submitted(client, 'SCHED_ACTION=[ ACTION="hold", TIME="+1" ]')
        sandbox.control.advance(2)
        wait_for(lambda: "hold would be run" in caplog.text)
        assert calls(sandbox, "one.vm.action") == 0
