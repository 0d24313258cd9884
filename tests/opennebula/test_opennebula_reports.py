"""Reports that owners of VMs read in them about their leases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from local_zone import local_zone

from haizea.backends.opennebula.owners.reports import LeaseReports, Pace, Reports
from haizea.backends.opennebula.owners.words import Actual, Report, moment_in_words, reports_of
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.connection import RetrySettings
from haizea.backends.opennebula.wire.session import Session
from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.reasons import Code, because, stated
from haizea.core.model.records import LeaseRecord, PhaseRecord, PlanRecord
from haizea.core.model.resources import FOREVER, Capacity
from haizea.core.model.turn import Turn
from haizea.sandbox.clock import ManualClock
from haizea.sandbox.server import Options, Sandbox

NOON = 1_795_258_800  # 2026-11-21 12:00:00 in Vienna
QUICK = Pace(per_second=1000.0, calm_seconds=0.0)


@pytest.fixture(autouse=True, scope="module")
def vienna() -> Iterator[None]:
    """Have it all in Vienna."""
    with local_zone("Europe/Vienna"):
        yield


def make_record(state: State = State.QUEUED, **changes: Any) -> LeaseRecord:
    """A lease of two VMs, 4 and 9, for an hour."""
    request = LeaseRequest(
        id=17,
        submitted=NOON,
        kind=Kind.BEST_EFFORT,
        nodes=(NodeSet(2, Capacity((100, 512))),),
        duration=3600,
        names=("4", "9"),
    )
    record = LeaseRecord(
        request=request, state=state, changed=NOON, queued_since=NOON, remaining=3600
    )
    return replace(record, **changes)


def plan(*phases: tuple[Purpose, int, int]) -> PlanRecord:
    return PlanRecord(
        hosts=(0, 1), phases=tuple(PhaseRecord(purpose=p, start=s, end=e) for p, s, e in phases)
    )


def host_name(host: int) -> str:
    return f"node{host + 1:02}"


def said(record: LeaseRecord) -> str:
    return reports_of(record, host_name)[9].message


# --- words --------------------------------------------------------------------------------

HOSTS_GO = because(Code.HOSTS_GO_TO_FROM, lease=18, start=NOON)
NOT_AT_WORK = because(Code.NOT_AT_WORK, moment=NOON)
BOOTING_FAILED = stated("VM 4: booting failed")
RUN = (Purpose.RUN, NOON + 60, NOON + 3660)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            make_record(reason=because(Code.WAITS, nodes=2)),
            "Haizea lease 17 waits in the queue: waiting for 2 nodes",
        ),
        (
            make_record(expected=NOON + 60, reason=because(Code.START_EXPECTED, start=NOON + 60)),
            "Haizea lease 17 waits in the queue, expected to start 2026-11-21 12:01:00 CET",
        ),
        (
            make_record(State.SCHEDULED, plan=plan(RUN)),
            "Haizea lease 17 starts 2026-11-21 12:01:00 CET on node02,"
            " until 2026-11-21 13:01:00 CET",
        ),
        (
            make_record(State.ACTIVE, plan=plan((Purpose.RUN, NOON, FOREVER))),
            "Haizea lease 17 runs on node02, without end",
        ),
        (
            make_record(
                State.ACTIVE,
                plan=plan((Purpose.RUN, NOON, NOON + 9), (Purpose.SUSPEND, NOON + 9, NOON + 19)),
            ),
            "Haizea lease 17 runs on node02, until 2026-11-21 12:00:09 CET,"
            " is suspended then and goes on later",
        ),
        (
            make_record(
                State.ACTIVE, plan=replace(plan((Purpose.RUN, NOON, NOON + 9)), code="preempted")
            ),
            "Haizea lease 17 runs on node02, until 2026-11-21 12:00:09 CET,"
            " gives its hosts up then and starts over later",
        ),
        (
            make_record(
                State.ACTIVE,
                plan=plan((Purpose.RUN, NOON, NOON + 9), (Purpose.SHUTDOWN, NOON + 9, NOON + 14)),
            ),
            "Haizea lease 17 runs on node02, until 2026-11-21 12:00:09 CET,"
            " and is shut down in the last 5 s of its duration",
        ),
        (
            make_record(State.ACTIVE, reason=BOOTING_FAILED, late=BOOTING_FAILED),
            "Haizea lease 17 runs; it is late: VM 4: booting failed",
        ),
        (
            make_record(State.SUSPENDING, reason=HOSTS_GO),
            "Haizea lease 17 is being suspended: its hosts go to lease 18 from"
            " 2026-11-21 12:00:00 CET on",
        ),
        (
            make_record(State.SUSPENDED_QUEUED, expected=NOON),
            "Haizea lease 17 is suspended, expected to go on 2026-11-21 12:00:00 CET",
        ),
        (
            make_record(State.REJECTED, reason=because(Code.TOO_FEW_FREE_NOW, nodes=4, free=2)),
            "Haizea lease 17 is rejected: 4 nodes asked for now,"
            " 2 free for as long as it would run",
        ),
        (
            make_record(State.DONE, reason=because(Code.DURATION_OVER)),
            "Haizea lease 17 is over: its duration is over",
        ),
        (
            make_record(State.FAILED, reason=stated("VM 4 could not be started")),
            "Haizea lease 17 failed: VM 4 could not be started",
        ),
        (
            make_record(State.SCHEDULED, plan=plan(RUN), late=NOT_AT_WORK),
            "Haizea lease 17 starts 2026-11-21 12:01:00 CET on node02,"
            " until 2026-11-21 13:01:00 CET; it is late: it could not begin at"
            " 2026-11-21 12:00:00 CET: Haizea was not at work then",
        ),
    ],
)
def test_messages(record: LeaseRecord, message: str) -> None:
    assert said(record) == message


def test_a_deadline_is_told_in_the_form_of_other_times() -> None:
    record = make_record(State.SCHEDULED, plan=plan(RUN))
    request = replace(record.request, kind=Kind.DEADLINE, deadline=NOON + 7200)
    assert said(replace(record, request=request)).endswith(
        " until 2026-11-21 13:01:00 CET, to be done by 2026-11-21 14:00:00 CET"
    )


def test_how_vms_really_are_goes_before_what_is_planned() -> None:
    record = make_record(State.ACTIVE, plan=plan((Purpose.RUN, NOON, FOREVER)))
    seen = {4: Actual(host="node07", remark="SCHED_RANK is wrong"), 9: Actual(doing="booting")}
    found = reports_of(record, host_name, seen.__getitem__)
    assert found[4].message == (
        "Haizea lease 17 is being started on node07, without end: VM 9: booting;"
        " SCHED_RANK is wrong"
    )
    assert found[9].message == "Haizea lease 17 is being started on node02, without end: booting"
    shown = {name: found[4].status[name] for name in ("HOST", "PROGRESS", "REMARK")}
    assert shown == {
        "HOST": "node07",
        "PROGRESS": "VM 9: booting",
        "REMARK": "SCHED_RANK is wrong",
    }


def test_what_vms_do_that_take_longer_is_said_once() -> None:
    """And one that has just come to run is not said to do and not to do so."""
    begun = replace(plan((Purpose.PREPARE, NOON, NOON + 60), RUN), since=NOON)
    record = make_record(State.PREPARING, plan=begun, reason=because(Code.VMS_TAKE_LONGER))
    [doing, running] = [
        reports_of(record, host_name, lambda vm, seen=seen: seen)[4]  # type: ignore[misc]
        for seen in (Actual(doing="booting"), Actual())
    ]
    assert doing.message.endswith("counting from when all its VMs run: booting")
    assert running.message.endswith("counting from when all its VMs run: its VMs run")
    assert "REASON" not in {*doing.status, *running.status}


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_words_and_its_status(state: State) -> None:
    record = make_record(
        state,
        reason=because(Code.IMAGE_ARRIVES_LATE, moment=NOON),
        plan=None if state in FINAL else plan(RUN),
    )
    found = reports_of(record, host_name)
    assert sorted(found) == [4, 9]
    status = found[4].status
    assert (status["STATE"], status["LEASE"]) == (state.value, "17")
    assert status["REASON"] == "its image arrives at 2026-11-21 12:00:00 CET only"
    assert found[4].message.startswith("Haizea lease 17 ")
    assert "@" not in found[4].message
    if state in FINAL:
        assert "START" not in status
    else:
        assert status["START"] == "2026-11-21 12:01:00+01:00"
        assert status["END"] == "2026-11-21 13:01:00+01:00"


def test_nodes_that_are_no_vms_have_no_report() -> None:
    request = replace(make_record().request, names=())
    assert reports_of(replace(make_record(), request=request), host_name) == {}


def test_times_are_local_with_their_zone() -> None:
    with local_zone("Asia/Kolkata"):
        assert moment_in_words(NOON) == "2026-11-21 16:30:00 IST"
    with local_zone("America/Sao_Paulo"):
        assert moment_in_words(NOON) == "2026-11-21 08:00:00 -0300"
    assert moment_in_words(FOREVER) == "never"


# --- writing ------------------------------------------------------------------------------


@contextmanager
def reporting(
    sandbox: Sandbox, pace: Pace = QUICK, *, dry_run: bool = False
) -> Iterator[tuple[Reports, Client]]:
    retry = RetrySettings(attempts=1, backoff_seconds=0.01)
    with Client(sandbox.url, Session(sandbox.session), retry=retry) as client:
        reports = Reports(client, dry_run=dry_run, pace=pace)
        try:
            yield reports, client
        finally:
            reports.close(0.0)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Options(clock=ManualClock(), events_port=None)) as made:
        yield made


def submitted(client: Client) -> int:
    template = 'CPU="1"\nMEMORY="64"\nNOTE="mine"\nHAIZEA=[ START="now", DURATION="01:00:00" ]'
    return int(client.command("one.vm.allocate", template, False)[0])


def updates(sandbox: Sandbox) -> int:
    return sum(command.method == "one.vm.update" for command in sandbox.control.commands())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.01)


def test_a_report_is_in_the_vm_beside_what_its_owner_wrote(sandbox: Sandbox) -> None:
    with reporting(sandbox) as (reports, client):
        vm_id = submitted(client)
        reports.tell(
            vm_id, Report({"STATE": "Queued", "REASON": 'no "room"\nyet', "END": ""}, "wait\\")
        )
        assert reports.flush(20)
        written = client.vm(vm_id).user_template
        assert written.vector("HAIZEA_STATUS") == {"STATE": "Queued", "REASON": "no 'room' yet"}
        assert written.text("SCHED_MESSAGE") == "wait/"
        assert written.vector("HAIZEA") == {"START": "now", "DURATION": "01:00:00"}
        assert written.text("NOTE") == "mine"


def test_one_word_and_why_for_a_vm_that_is_no_lease(sandbox: Sandbox) -> None:
    with reporting(sandbox) as (reports, client):
        vm_id = submitted(client)
        reports.report(vm_id, "Refused", "HAIZEA start 'soon' is not a time")
        assert reports.flush(20)
        written = client.vm(vm_id).user_template
        assert written.vector("HAIZEA_STATUS") == {
            "STATE": "Refused",
            "REASON": "HAIZEA start 'soon' is not a time",
        }
        assert written.text("SCHED_MESSAGE") == "Haizea: HAIZEA start 'soon' is not a time"


def test_the_same_again_is_not_written_nor_after_a_restart(sandbox: Sandbox) -> None:
    with reporting(sandbox) as (reports, client):
        vm_id = submitted(client)
        for _ in range(3):
            reports.tell(vm_id, Report({"STATE": "Queued", "REASON": 'a "b"'}, "wait"))
            assert reports.flush(20)
        assert updates(sandbox) == 1
    with reporting(sandbox) as (reports, _):
        reports.tell(vm_id, Report({"STATE": "Queued", "REASON": 'a "b"'}, "wait"))
        assert reports.flush(20)
        assert updates(sandbox) == 1
        reports.tell(vm_id, Report({"STATE": "Active"}, "runs"))
        assert reports.flush(20)
        assert updates(sandbox) == 2


def test_of_several_reports_the_last_one_is_written(sandbox: Sandbox) -> None:
    with reporting(sandbox) as (reports, client):
        vm_id = submitted(client)
        sandbox.stop()
        for number in range(50):
            reports.tell(vm_id, Report({"STATE": "Queued"}, f"place {number}"))
        sandbox.start()
        wait_for(lambda: reports.waiting() == 0)
        assert client.vm(vm_id).user_template.text("SCHED_MESSAGE") == "place 49"
        assert updates(sandbox) == 1


def test_what_only_changes_in_time_is_written_now_and_then(sandbox: Sandbox) -> None:
    with reporting(sandbox, Pace(per_second=1000.0, calm_seconds=3600.0)) as (reports, client):
        vm_id = submitted(client)
        reports.tell(vm_id, Report({"STATE": "Queued"}, "place 2"))
        assert reports.flush(20)
        reports.tell(vm_id, Report({"STATE": "Queued"}, "place 1"))
        assert reports.flush(20)
        assert (updates(sandbox), reports.waiting()) == (1, 1)
        reports.tell(vm_id, Report({"STATE": "Active"}, "runs"))
        assert reports.flush(20)
        assert (updates(sandbox), reports.waiting()) == (2, 0)
        assert client.vm(vm_id).user_template.text("SCHED_MESSAGE") == "runs"


def test_other_times_of_a_lease_that_was_changed_are_written_at_once(sandbox: Sandbox) -> None:
    """The owner read the end that was before the change once, for up to half a minute."""
    with reporting(sandbox, Pace(per_second=1000.0, calm_seconds=3600.0)) as (reports, client):
        vm_id = submitted(client)
        for minutes in (60, 70, 80):
            record = make_record(State.ACTIVE, plan=plan((Purpose.RUN, NOON, NOON + 60 * minutes)))
            request = replace(record.request, duration=60 * minutes)
            told = reports_of(replace(record, request=request), host_name)
            reports.tell(vm_id, told[4])
            assert reports.flush(20)
            assert client.vm(vm_id).user_template.text("SCHED_MESSAGE") == told[4].message
        # That it takes longer is no change.
        late = replace(record, plan=plan((Purpose.RUN, NOON, NOON + 90 * 60)), request=request)
        reports.tell(vm_id, reports_of(late, host_name)[4])
        assert reports.flush(20)
        assert (updates(sandbox), reports.waiting()) == (3, 1)


def test_vms_that_are_gone_are_passed_over(sandbox: Sandbox) -> None:
    with reporting(sandbox) as (reports, client):
        gone, here, known = (submitted(client) for _ in range(3))
        reports.tell(known, Report({"STATE": "Queued"}, "wait"))
        assert reports.flush(20)
        for vm_id in (gone, known):
            client.command("one.vm.action", "terminate-hard", vm_id)
        reports.forget([known])
        for vm_id in (gone, here, known, 99999):
            reports.tell(vm_id, Report({"STATE": "Active"}, "runs"))
        assert reports.flush(20)
        assert (updates(sandbox), reports.waiting()) == (2, 0)


def test_a_refusal_is_tried_a_few_times_and_then_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with reporting(sandbox) as (reports, client):
        locked, other = submitted(client), submitted(client)
        sandbox.control.refuse("one.vm.update", count=3)
        reports.tell(locked, Report({"STATE": "Queued"}, "wait"))
        wait_for(lambda: reports.waiting() == 0)
        [warning] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert warning.startswith(f"VM {locked}: its owner cannot be told")
        reports.tell(other, Report({"STATE": "Queued"}, "wait"))
        assert reports.flush(20)
        assert client.vm(other).user_template.text("SCHED_MESSAGE") == "wait"


def test_a_dry_run_and_an_old_version_write_nothing(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with reporting(sandbox, dry_run=True) as (reports, client):
        reports.tell(submitted(client), Report({"STATE": "Queued"}, "wait"))
        assert (reports.waiting(), updates(sandbox)) == (0, 0)
    with (
        Sandbox(Options(version="1.4.0", clock=ManualClock())) as old,
        reporting(old) as (reports, client),
    ):
        vm_id = int(client.command("one.vm.allocate", "CPU=1\nMEMORY=64")[0])
        for message in ("wait", "run"):
            reports.report(vm_id, "Queued", message)
            wait_for(lambda: reports.waiting() == 0)
        found = [r for r in caplog.records if "cannot write into VMs" in r.getMessage()]
        assert len(found) == 1


def test_leases_are_reported_as_they_change(sandbox: Sandbox) -> None:
    with reporting(sandbox) as (reports, client):
        first, second = submitted(client), submitted(client)
        request = replace(make_record().request, names=(str(first), str(second)))
        changed = [make_record(State.SCHEDULED, request=request, plan=plan(RUN))]
        observer = LeaseReports(reports, host_name)
        observer.note(Turn(NOON, [], changed))
        assert reports.flush(20)
        for vm_id, host in ((first, "node01"), (second, "node02")):
            written = client.vm(vm_id).user_template
            assert f"on {host}, until" in written.text("SCHED_MESSAGE")
            assert written.vector("HAIZEA_STATUS")["STATE"] == "Scheduled"
