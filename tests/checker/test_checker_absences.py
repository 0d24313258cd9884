"""Absences: what a service did when it came back is right; the same without an absence is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from results_builder import Lease, Results
from schedules import found, of, shutting_down


def resumed_unseen(absences: str) -> Results:
    """A lease of 1000 s whose resumption was over at 532, which was seen 20 s later."""
    results = Results()
    results.run["absences"] = absences
    results.option(suspension="all")
    results.options["simulation", "clock"] = "real"
    lease = results.suspended(1, (0, 500), 0, suspend=100, code="hole")
    seen = {532: 552}
    lease.story = [(seen.get(t, t), state, why, code) for t, state, why, code in lease.story]
    results.rows = [
        (i, purpose, host, seen.get(start, start), seen.get(end, end), cpu, memory)
        for i, purpose, host, start, end, cpu, memory in results.rows
    ]
    return results


@pytest.mark.parametrize(
    ("absences", "faults"),
    [("510-552", 0), ("200-210 532-552", 0), ("", 1), ("540-552", 1), ("100-300", 1)],
)
def test_resumed_while_nobody_looked(absences: str, faults: int, tmp_path: Path) -> None:
    rules = [rule for rule, *_ in found(resumed_unseen(absences), tmp_path)]
    assert rules.count("life-cycle") == faults


def waiting(cancelled: int, *, suspended_until: int, absences: str = "") -> Results:
    """An AR that was to start at 500 on the one host, and was cancelled instead.

    Another lease was to have left the host by then.
    """
    results = Results(hosts=1).option(suspension="all", policy_preemption="ar-preempts-everything")
    results.run["faults"] = "delays suspend:0.5"
    results.run["absences"] = absences
    other = results.lease(Lease(1, "best-effort", 100, 1000, preemptible=True))
    other.then(100, "Queued", "Scheduled", "Ready", "Active")
    other.then(468, "Suspending", code="preempted", reason="its hosts go to lease 9")
    other.then(suspended_until, "Suspended-Pending", "Suspended-Queued")
    other.then(2000, "Cancelled", code="user")
    results.work(other, "run", 100, 468, 0)
    results.work(other, "suspend", 468, suspended_until, 0)
    asked = results.lease(Lease(9, "ar", 200, 1000, start=500))
    asked.then(200, "Scheduled").then(cancelled, "Cancelled", code="user")
    return results


@pytest.mark.parametrize(
    ("cancelled", "suspended_until", "absences", "faults"),
    [
        (500, 500, "", 0),
        (520, 560, "", 0),  # It waits for a suspension that takes longer.
        (560, 560, "", 0),
        (590, 560, "", 1),  # The host was free for half a minute.
        (520, 500, "", 1),
        (520, 500, "490-520", 0),  # Cancelled in the turn in which somebody came back.
        (520, 500, "400-480", 1),
    ],
)
def test_a_reservation_that_is_cancelled_while_it_waits(
    cancelled: int, suspended_until: int, absences: str, faults: int, tmp_path: Path
) -> None:
    results = waiting(cancelled, suspended_until=suspended_until, absences=absences)
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("ar") == faults


@pytest.mark.parametrize(
    ("transfer", "disturbed", "faults"),
    [
        ((500, 520), True, 0),
        ((500, 510), True, 1),  # It was there ten seconds before.
        ((500, 520), False, 1),  # Nothing went wrong, so that it should have been there.
        (None, True, 1),
    ],
)
def test_a_reservation_that_is_cancelled_while_its_image_still_comes(
    transfer: tuple[int, int] | None, disturbed: bool, faults: int, tmp_path: Path
) -> None:
    results = Results(hosts=1).option(suspension="all")
    results.run["faults"] = "delays transfer:0.5" if disturbed else ""
    lease = results.lease(Lease(9, "ar", 200, 1000, start=500, image="linux", image_mb=10))
    lease.then(200, "Scheduled").then(520, "Cancelled", code="user")
    if transfer is not None:
        results.work(lease, "transfer", *transfer, 0)
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("ar") == faults


@pytest.mark.parametrize(
    ("code", "absences", "faults"),
    [("late", "130-175", 0), ("", "130-175", 1), ("late", "", 1), ("late", "10-100", 1)],
)
def test_an_immediate_lease_that_starts_after_an_absence_says_so(
    code: str, absences: str, faults: int, tmp_path: Path
) -> None:
    results = Results()
    results.options["simulation", "clock"] = "real"
    results.run["absences"] = absences
    lease = results.lease(Lease(1, "immediate", 130, 100))
    lease.then(130, "Scheduled").then(175, "Ready").then(175, "Active", code=code)
    lease.then(275, "Done", code="duration-over")
    results.work(lease, "run", 175, 275, 0)
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("immediate") == faults


@pytest.mark.parametrize(("in_use_again", "faults"), [(175, 0), (170, 1), (180, 1)])
def test_a_reservation_starts_late_on_a_host_that_comes_back_into_use(
    in_use_again: int, faults: int, tmp_path: Path
) -> None:
    results = Results()
    results.run["faults"] = "suspend fails"
    lease = results.lease(Lease(1, "ar", 10, 100, start=130))
    lease.then(10, "Scheduled").then(175, "Ready").then(175, "Active", code="late")
    lease.then(230, "Done", code="duration-over")
    results.work(lease, "run", 175, 230, 0)
    results.rows.append((None, "outage", 0, 100, in_use_again, 100, 1024))
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("ar") == faults


@pytest.mark.parametrize(
    ("absences", "faults"), [("140-210", 0), ("90-100", 0), ("", 1), ("10-90", 1), ("300-400", 1)]
)
def test_a_lease_that_was_to_run_in_a_hole_alone(
    absences: str, faults: int, tmp_path: Path
) -> None:
    """Its VMs began after it was to be suspended, so that it waits again."""
    results = Results(hosts=1).option(suspension="all", policy_preemption="ar-preempts-everything")
    results.run["absences"] = absences
    results.options["simulation", "clock"] = "real"
    lease = results.lease(Lease(1, "best-effort", 100, 50, preemptible=True))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(210, "Queued", code="hole", reason="its hosts are reserved")
    lease.then(400, "Scheduled", "Ready", "Active").then(450, "Done", code="duration-over")
    results.work(lease, "run", 100, 210, 0)
    results.work(lease, "run", 400, 450, 0)
    rules = [rule for rule, *_ in found(results, tmp_path)]
    assert rules.count("preemption") == faults


@pytest.mark.parametrize(("absences", "faults"), [("150-200", 0), ("", 1), ("10-90", 1)])
def test_a_shutdown_that_nobody_began_in_time(absences: str, faults: int, tmp_path: Path) -> None:
    """Nobody was back before the time of the lease was over."""
    results = shutting_down()
    results.run["absences"] = absences
    results.options["simulation", "clock"] = "real"
    results.rows = []
    results.work(of(results, 1), "run", 100, 200, 0)
    assert found(results, tmp_path) == [("operations", 1, None, 200)] * faults


@pytest.mark.parametrize(("over", "faults"), [(108, 0), (107, 1)])
def test_who_is_cancelled_leaves_a_multicast(over: int, faults: int, tmp_path: Path) -> None:
    """The transfer goes on for the other."""
    results = Results()
    results.options["general", "lease-preparation"] = "imagetransfer"
    results.options["simulation", "imagetransfer-bandwidth"] = "100"
    results.options["deploy-imagetransfer", "transfer-mechanism"] = "multicast"
    for number in (1, 2):
        lease = Lease(number, "best-effort", 100, 50, image="a.img", image_mb=200)
        results.lease(lease).then(100, "Queued", "Scheduled", "Preparing")
    of(results, 1).then(over, "Cancelled", code="user")
    of(results, 2).then(116, "Ready", "Active").then(166, "Done", code="duration-over")
    results.rows.append((1, "transfer", 0, 100, 108, 0, 0))
    results.rows.append((2, "transfer", 1, 100, 116, 0, 0))
    results.work(of(results, 2), "run", 116, 166, 1)
    rules = [(rule, lease) for rule, lease, *_ in found(results, tmp_path)]
    assert rules.count(("preparation", 2)) == faults
