"""Promised leases that lost their hosts: given up too soon, or begun when nothing came free."""

from __future__ import annotations

from pathlib import Path

import pytest
from results_builder import Lease, Results
from schedules import found

START, END = 500, 1500


def reserved(*, shutdown: int = 0) -> tuple[Results, Lease]:
    """A reservation of the one host, which fails at 300."""
    results = Results(hosts=1).option(shutdown_time=str(shutdown))
    results.run["faults"] = "hosts fail"
    lease = results.lease(Lease(9, "ar", 200, END - START, start=START))
    lease.then(200, "Scheduled").then(300, "Queued", code="failure", reason="its host failed")
    results.host_states = [(0, 300, "down")]
    return results, lease


@pytest.mark.parametrize(
    ("failed", "shutdown", "faults"),
    [(300, 0, 1), (500, 0, 1), (1499, 0, 1), (1500, 0, 0), (1490, 10, 0), (1489, 10, 1)],
)
def test_one_is_given_up(failed: int, shutdown: int, faults: int, tmp_path: Path) -> None:
    results, lease = reserved(shutdown=shutdown)
    lease.then(failed, "Failed", code="failure", reason="no hosts came free")
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules == ["ar"] * faults


@pytest.mark.parametrize(
    ("states", "failed", "faults"),
    [(("Queued",), 300, 1), (("Queued",), 1599, 1), (("Queued",), 1600, 0), ((), 300, 1)],
)
def test_one_with_a_deadline_is_given_up(
    states: tuple[str, ...], failed: int, faults: int, tmp_path: Path
) -> None:
    results = Results(hosts=1)
    results.run["faults"] = "hosts fail"
    results.host_states = [(0, 300, "down")]
    lease = results.lease(Lease(9, "deadline", 200, END - START, after=START, deadline=1600))
    lease.then(200, "Scheduled")
    if states:
        lease.then(300, *states, code="failure", reason="its host failed")
    lease.then(failed, "Failed", code="failure", reason="no time is left for it")
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules == ["deadline"] * faults


@pytest.mark.parametrize(("stops", "faults"), [(2, 1), (3, 0)])
def test_one_is_given_up_whose_vms_failed(stops: int, faults: int, tmp_path: Path) -> None:
    results = Results(hosts=1)
    results.run["faults"] = "failures run:0.5"
    lease = results.lease(Lease(9, "ar", 200, END - START, start=START))
    lease.then(200, "Scheduled")
    begun = START
    for stopped in range(600, 600 + 10 * (stops + 1), 10):
        late = {} if begun == START else {"code": "late", "reason": "it crashed"}
        lease.then(begun, *([] if begun == START else ["Scheduled"]), "Ready", "Active", **late)
        results.work(lease, "run", begun, stopped, 0)
        begun = stopped
        last = stopped == 590 + 10 * (stops + 1)
        lease.then(stopped, "Failed" if last else "Queued", code="failure", reason="it crashed")
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules == ["ar"] * faults


@pytest.mark.parametrize(
    ("back", "begins", "faults"), [(700, 700, 0), (700, 800, 1), (400, 600, 1)]
)
def test_one_begins_after_it_waited(back: int, begins: int, faults: int, tmp_path: Path) -> None:
    results, lease = reserved()
    results.host_states.append((0, back, "up"))
    lease.then(begins, "Scheduled", "Ready", "Active", code="late", reason="its host failed")
    results.work(lease, "run", begins, END, 0)
    lease.then(END, "Done", code="duration-over")
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("ar") == faults


@pytest.mark.parametrize(("over", "faults"), [(800, 0), (700, 1)])
def test_one_takes_what_another_gives_back(over: int, faults: int, tmp_path: Path) -> None:
    results = Results(hosts=2)
    results.run["faults"] = "hosts fail"
    results.host_states = [(0, 300, "down")]
    other = results.lease(Lease(1, "ar", 100, 600, start=200))
    other.then(100, "Scheduled").then(200, "Ready", "Active")
    other.then(over, "Done", code="duration-over" if over == 800 else "early-end")
    results.work(other, "run", 200, over, 1)
    lease = results.lease(Lease(9, "ar", 200, END - START, start=START))
    lease.then(200, "Scheduled").then(300, "Queued", code="failure", reason="its host failed")
    lease.then(800, "Scheduled", "Ready", "Active", code="late", reason="its host failed")
    results.work(lease, "run", 800, END, 1)
    lease.then(END, "Done", code="duration-over")
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("ar") == faults


@pytest.mark.parametrize(("starts", "faults"), [(900, 0), (END, 1)])
def test_one_is_cancelled_that_waits_for_a_later_one(
    starts: int, faults: int, tmp_path: Path
) -> None:
    """Both do not fit on the host that is left, and the first to start was promised it later."""
    results = Results(hosts=2)
    results.run["faults"] = "hosts fail"
    results.host_states = [(0, 300, "down")]
    results.reserved(1, 100, starts, 100, 1)
    lease = results.lease(Lease(9, "ar", 200, END - START, start=START))
    lease.then(200, "Scheduled").then(600, "Cancelled", code="user")
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("ar") == faults
