"""Every rule: a right schedule says nothing; one wrong in one place is found there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from results_builder import Lease, Results

from haizea.checker import Violation, check_file

Found = tuple[str, int | None, int | None, int | None]


def found(results: Results, tmp_path: Path) -> list[Found]:
    tmp_path.mkdir(exist_ok=True)
    violations: tuple[Violation, ...] = check_file(results.write(tmp_path / "r")).violations
    return [(v.rule.value, v.lease, v.host, v.time) for v in violations]


# --- schedules that are right -----------------------------------------------------------


def plain() -> Results:
    """Three best-effort leases one after another, and an AR."""
    r = Results()
    r.best_effort(1, 100, 100, 50, 0, 1)
    r.best_effort(2, 110, 150, 100, 0)
    r.best_effort(3, 120, 150, 30, 1, code="early-end", asked=60)
    r.reserved(4, 130, 1000, 200, 0, 1)
    return r


def preempting() -> Results:
    """A lease is suspended for an AR, with an overhead of 32 s, and resumes after it."""
    r = Results(hosts=1).option(
        suspension="all", policy_preemption="ar-preempts-everything", backfilling="off"
    )
    r.suspended(1, (100, 700), 0, suspend=468, code="preempted")
    r.reserved(9, 200, 500, 200, 0)
    return r


def dropping() -> Results:
    """The same where suspension is not allowed: it starts over."""
    r = Results(hosts=1).option(policy_preemption="ar-preempts-everything")
    lease = r.lease(Lease(1, "best-effort", 100, 1000, preemptible=True))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(500, "Queued", code="preempted", reason="its hosts go to lease 9 from then on")
    lease.then(700, "Scheduled", "Ready", "Active").then(1700, "Done", code="duration-over")
    r.work(lease, "run", 100, 500, 0)
    r.work(lease, "run", 700, 1700, 0)
    r.reserved(9, 200, 500, 200, 0)
    return r


def hole() -> Results:
    """A lease starts in a hole before an AR and is suspended when the hole ends."""
    r = Results(hosts=1).option(suspension="all", policy_preemption="no-preemption")
    r.reserved(9, 50, 500, 200, 0)
    r.suspended(1, (100, 700), 0, suspend=468, code="hole")
    return r


def shutting_down() -> Results:
    r = Results(hosts=1).option(shutdown_time="10", enactment_overhead="2")
    lease = r.lease(Lease(1, "best-effort", 100, 100))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(200, "Done", code="duration-over")
    r.work(lease, "run", 100, 188, 0)
    r.work(lease, "shutdown", 188, 200, 0)
    return r


def moving() -> Results:
    """A lease moves from one host to another: 1024 MB at 100 Mbit/s."""
    r = Results(hosts=2).option(
        suspension="all", policy_preemption="ar-preempts-everything", migration="yes"
    )
    r.options["simulation", "imagetransfer-bandwidth"] = "100"
    lease = r.lease(Lease(1, "best-effort", 100, 1000, preemptible=True))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(468, "Suspending", code="preempted", reason="its hosts go to lease 9")
    lease.then(500, "Suspended-Pending", "Suspended-Queued")
    lease.then(600, "Suspended-Scheduled", "Migrating").then(682, "Suspended-Scheduled", "Resuming")
    lease.then(714, "Resumed-Ready", "Active").then(1346, "Done", code="duration-over")
    r.work(lease, "run", 100, 468, 0)
    r.work(lease, "suspend", 468, 500, 0)
    r.work(lease, "migrate", 600, 682, 1)
    r.work(lease, "resume", 682, 714, 1)
    r.work(lease, "run", 714, 1346, 1)
    r.reserved(9, 200, 500, 2000, 0)
    r.reserved(8, 90, 300, 300, 1)
    return r


def backfilling() -> Results:
    """Lease 2 waits for both hosts until 1100; lease 3 overtakes and is gone by then."""
    r = Results().option(backfilling="aggressive")
    r.best_effort(1, 100, 100, 1000, 0)
    r.best_effort(2, 200, 1100, 100, 0, 1)
    r.best_effort(3, 300, 300, 800, 1)
    return r


def with_images() -> Results:
    """Images of 100 MB at 100 Mbit/s take 8 s, one after another."""
    r = Results()
    r.options["general", "lease-preparation"] = "imagetransfer"
    r.options["simulation", "imagetransfer-bandwidth"] = "100"
    for number, host, begin in ((1, 0, 100), (2, 1, 108)):
        lease = r.lease(Lease(number, "immediate", 100, 50, image="a.img", image_mb=100))
        lease.then(100, "Scheduled").then(begin, "Preparing").then(begin + 8, "Ready", "Active")
        lease.then(begin + 58, "Done", code="duration-over")
        r.rows.append((number, "transfer", host, begin, begin + 8, 0, 0))
        r.work(lease, "run", begin + 8, begin + 58, host)
    return r


def refusing() -> Results:
    """An AR and an immediate lease find no room, and one lease is larger than the site."""
    r = Results(hosts=1)
    r.reserved(1, 100, 500, 200, 0)
    r.lease(Lease(2, "ar", 110, 100, start=600)).then(110, "Rejected", code="no-room")
    r.lease(Lease(3, "immediate", 550, 10)).then(550, "Rejected", code="no-room")
    r.lease(Lease(4, "best-effort", 560, 10, 2)).then(560, "Rejected", code="too-big")
    return r


RIGHT = (
    plain,
    preempting,
    dropping,
    hole,
    shutting_down,
    moving,
    backfilling,
    with_images,
    refusing,
)


@pytest.mark.parametrize("make", RIGHT)
def test_a_right_schedule_breaks_no_rule(make: Callable[[], Results], tmp_path: Path) -> None:
    assert found(make(), tmp_path) == []


# --- one thing wrong --------------------------------------------------------------------


def row(r: Results, lease: int, purpose: str, new: dict[int, int], nth: int = 0) -> None:
    """Change columns (by index) of a lease's nth reservation for a purpose."""
    at = [i for i, x in enumerate(r.rows) if x[0] == lease and x[1] == purpose][nth]
    values = list(r.rows[at])
    for column, value in new.items():
        values[column] = value
    r.rows[at] = tuple(values)  # type: ignore[assignment]


def of(r: Results, number: int) -> Lease:
    return next(lease for lease in r.leases if lease.id == number)


def retime(lease: Lease, times: dict[int, int]) -> None:
    lease.story = [(times.get(t, t), *rest) for t, *rest in lease.story]  # type: ignore[misc]


HOST, START, END, CPU = 2, 3, 4, 5


def test_capacity_one_host_too_full(tmp_path: Path) -> None:
    r = plain()
    row(r, 3, "run", {HOST: 0})
    assert found(r, tmp_path) == [("capacity", 3, 0, 150)]


def test_capacity_nothing_runs_in_an_outage(tmp_path: Path) -> None:
    r = plain()
    r.rows.append((None, "outage", 1, 160, 170, 100, 1024))
    assert found(r, tmp_path) == [("capacity", 3, 1, 160)]


def test_an_ar_starts_late(tmp_path: Path) -> None:
    r = plain()
    retime(of(r, 4), {1000: 1010, 1200: 1210})
    for i in (0, 1):
        row(r, 4, "run", {START: 1010, END: 1210}, i)
    assert found(r, tmp_path) == [("ar", 4, None, 1010)]


def test_an_ar_is_cut_short(tmp_path: Path) -> None:
    r = plain()
    retime(of(r, 4), {1200: 1100})
    for i in (0, 1):
        row(r, 4, "run", {END: 1100}, i)
    assert found(r, tmp_path) == [("ar", 4, None, 1100)]


def test_an_accepted_ar_never_starts(tmp_path: Path) -> None:
    r = plain()
    of(r, 4).story[3:] = [(1500, "Cancelled", "too late", "user")]
    r.rows = [x for x in r.rows if x[0] != 4]
    assert found(r, tmp_path) == [("ar", 4, None, 1000)]


def test_an_ar_is_rejected_though_there_is_room(tmp_path: Path) -> None:
    r = refusing()
    of(r, 2).start = 700
    assert found(r, tmp_path) == [("ar", 2, None, 110)]


def test_an_immediate_lease_is_rejected_though_there_is_room(tmp_path: Path) -> None:
    r = refusing()
    lease = of(r, 3)
    lease.submitted = 300
    retime(lease, {550: 300})
    assert found(r, tmp_path) == [("immediate", 3, None, 300)]


def test_an_immediate_lease_starts_late(tmp_path: Path) -> None:
    r = with_images()
    lease = of(r, 2)
    retime(lease, {116: 120, 166: 170})
    row(r, 2, "run", {START: 120, END: 170})
    assert found(r, tmp_path) == [("immediate", 2, None, 120)]


def test_somebody_overtakes_without_backfilling(tmp_path: Path) -> None:
    r = backfilling().option(backfilling="off")
    assert found(r, tmp_path) == [("queue", 3, None, 300)]


def test_somebody_overtakes_and_delays(tmp_path: Path) -> None:
    r = backfilling()
    of(r, 3).duration = 801
    retime(of(r, 3), {1100: 1099})
    of(r, 3).story[-1] = (1099, "Done", "ended", "early-end")
    row(r, 3, "run", {END: 1099})
    assert found(r, tmp_path) == [("queue", 3, None, 300)]


def test_the_first_waits_though_there_is_room(tmp_path: Path) -> None:
    r = backfilling()
    retime(of(r, 2), {1100: 1110, 1200: 1210})
    for i in (0, 1):
        row(r, 2, "run", {START: 1110, END: 1210}, i)
    # There is room at 1100, and that was promised when it was overtaken.
    assert found(r, tmp_path) == [("queue", 2, None, 1100), ("queue", 2, None, 1110)]


def test_a_queue_that_goes_by_duration(tmp_path: Path) -> None:
    r = Results(hosts=1).option(policy_queue_order="shortest-first")
    r.best_effort(1, 100, 100, 50, 0)
    r.best_effort(2, 110, 170, 30, 0)
    r.best_effort(3, 120, 150, 20, 0)
    assert found(r, tmp_path) == []
    r.option(policy_queue_order="submission")
    assert found(r, tmp_path / "again") == [("queue", 3, None, 150)]


def test_a_node_runs_alone(tmp_path: Path) -> None:
    r = plain()
    row(r, 1, "run", {START: 110}, 1)
    assert found(r, tmp_path) == [("gang", 1, 1, 110)]


def test_a_node_is_missing(tmp_path: Path) -> None:
    r = plain()
    r.rows = [x for x in r.rows if not (x[0] == 4 and x[HOST] == 1)]
    assert found(r, tmp_path) == [("gang", 4, None, 1000)]


def test_half_a_node_on_a_host(tmp_path: Path) -> None:
    r = Results()
    lease = r.best_effort(1, 100, 100, 50, 0, 1)
    lease.node = (40, 400)
    r.rows = [(1, "run", 0, 100, 150, 60, 600), (1, "run", 1, 100, 150, 20, 200)]
    assert found(r, tmp_path) == [("gang", 1, 0, 100)]


def test_nodes_of_two_sizes_that_cannot_be_shared_out_like_that(tmp_path: Path) -> None:
    r = Results()
    lease = r.best_effort(1, 100, 100, 50, 0, 1)
    lease.nodes, lease.sets = 3, [(1, 50, 512), (2, 25, 256)]
    r.rows = [(1, "run", 0, 100, 150, 75, 768), (1, "run", 1, 100, 150, 25, 256)]
    assert found(r, tmp_path) == []
    r.rows = [(1, "run", 0, 100, 150, 75, 512), (1, "run", 1, 100, 150, 25, 512)]
    assert [f[:2] for f in found(r, tmp_path / "again")] == [("gang", 1)]


def test_a_lease_that_is_not_preemptible_has_to_leave(tmp_path: Path) -> None:
    r = preempting()
    of(r, 1).preemptible = False
    assert found(r, tmp_path) == [("preemption", 1, None, 468)]


def test_nobody_is_preempted_without_preemption(tmp_path: Path) -> None:
    r = preempting().option(policy_preemption="no-preemption")
    assert found(r, tmp_path) == [("preemption", 1, None, 468)]


def test_a_suspension_ends_too_late(tmp_path: Path) -> None:
    r = preempting()
    ar = of(r, 9)
    ar.start = 480
    retime(ar, {500: 480, 700: 680})
    row(r, 9, "run", {START: 480, END: 680})
    assert found(r, tmp_path) == [("preemption", 1, None, 468), ("capacity", 9, 0, 480)]


def test_a_lease_is_dropped_that_could_be_suspended(tmp_path: Path) -> None:
    r = dropping().option(suspension="all")
    assert found(r, tmp_path) == [("preemption", 1, None, 500)]


def test_a_lease_is_preempted_on_a_host_that_is_not_needed(tmp_path: Path) -> None:
    r = preempting()
    r.hosts = 2
    row(r, 9, "run", {HOST: 1})
    assert ("preemption", 1, None, 468) in found(r, tmp_path)


def test_a_lease_is_preempted_though_it_could_stay(tmp_path: Path) -> None:
    r = preempting()
    for lease in r.leases:
        lease.node = (50, 512)
    r.option(override_suspend_time="32", override_resume_time="32")
    r.rows = [(*x[:CPU], 50, 512) for x in r.rows]
    # It could also have gone on, which the queue's rule tells.
    assert ("preemption", 1, None, 468) in found(r, tmp_path)


def test_a_suspension_where_none_is_allowed(tmp_path: Path) -> None:
    r = preempting().option(suspension="none")
    assert found(r, tmp_path) == [("holes", 1, None, 468)]


def test_a_hole_too_short_to_be_worth_while(tmp_path: Path) -> None:
    assert found(hole().option(scheduling_threshold_factor="20"), tmp_path) == [
        ("threshold", 1, None, 468)
    ]


def test_the_threshold_that_is_forced(tmp_path: Path) -> None:
    r = hole().option(force_scheduling_threshold="00:06:09")
    assert found(r, tmp_path) == [("threshold", 1, None, 468)]


@pytest.mark.parametrize("purpose", ["suspend", "resume"])
def test_an_operation_takes_another_time(purpose: str, tmp_path: Path) -> None:
    r = hole().option(**{f"override_{purpose}_time": "31"})
    time = {"suspend": 468, "resume": 700}[purpose]
    assert found(r, tmp_path) == [("operations", 1, None, time)]


def test_a_shutdown_takes_another_time(tmp_path: Path) -> None:
    assert found(shutting_down().option(shutdown_time="11"), tmp_path) == [
        ("operations", 1, None, 200)
    ]


def test_suspensions_overlap_on_one_file_system(tmp_path: Path) -> None:
    r = hole()
    r.hosts = 2
    r.suspended(2, (100, 800), 1, suspend=490, code="hole")
    assert [f for f in found(r, tmp_path) if f[0] == "operations"] == []
    r.option(suspendresume_exclusion="global")
    assert found(r, tmp_path / "again") == [("operations", 2, None, 490)]


def test_a_lease_resumes_elsewhere_without_migration(tmp_path: Path) -> None:
    r = hole()
    r.hosts = 2
    row(r, 1, "resume", {HOST: 1})
    row(r, 1, "run", {HOST: 1}, 1)
    assert found(r, tmp_path) == [("migration", 1, 1, 700)]


def test_a_migration_takes_another_time(tmp_path: Path) -> None:
    r = moving()
    r.options["simulation", "imagetransfer-bandwidth"] = "50"
    assert found(r, tmp_path) == [("migration", 1, None, 600)]


def test_something_is_held_after_the_end(tmp_path: Path) -> None:
    r = plain()
    row(r, 3, "run", {END: 190})
    assert found(r, tmp_path) == [("early-ends", 3, 1, 180)]


def test_a_lease_is_lost(tmp_path: Path) -> None:
    r = plain()
    of(r, 4).story[3:] = []
    r.rows = [x for x in r.rows if x[0] != 4]
    r.run["ended"] = "900"
    assert found(r, tmp_path) == [("no-loss", 4, None, 130)]


def test_a_lease_is_rejected_without_a_reason(tmp_path: Path) -> None:
    r = refusing()
    of(r, 4).story[-1] = (560, "Rejected", "", "")
    assert ("no-loss", 4, None, 560) in found(r, tmp_path)


def test_a_lease_that_fits_is_called_too_big(tmp_path: Path) -> None:
    r = refusing()
    r.hosts = 2
    assert ("no-loss", 4, None, 560) in found(r, tmp_path)


def test_a_lease_that_can_never_fit_waits(tmp_path: Path) -> None:
    r = refusing()
    of(r, 4).story[-1:] = [(560, "Queued", "", ""), (570, "Cancelled", "bored", "user")]
    assert found(r, tmp_path) == [("no-loss", 4, None, 560)]


def test_the_time_of_submission_is_not_kept(tmp_path: Path) -> None:
    r = dropping()
    of(r, 1).submitted = 700
    assert ("no-loss", 1, None, 100) in found(r, tmp_path)


def test_a_step_that_the_life_cycle_lacks(tmp_path: Path) -> None:
    r = plain()
    of(r, 2).story = [c for c in of(r, 2).story if c[1] != "Scheduled"]
    assert found(r, tmp_path) == [("life-cycle", 2, None, 150)]


def test_time_runs_backwards(tmp_path: Path) -> None:
    r = Results()
    lease = r.lease(Lease(1, "best-effort", 100, 50))
    lease.then(100, "Queued").then(90, "Cancelled", code="user")
    assert found(r, tmp_path) == [("life-cycle", 1, None, 90)]


def test_progress_is_lost(tmp_path: Path) -> None:
    r = hole()
    of(r, 1).duration = 1001
    assert found(r, tmp_path) == [("life-cycle", 1, None, 1364)]


def test_it_runs_without_a_reservation(tmp_path: Path) -> None:
    r = plain()
    row(r, 2, "run", {END: 240})
    assert found(r, tmp_path) == [("life-cycle", 2, None, 240)]


def test_two_images_at_once(tmp_path: Path) -> None:
    r = with_images()
    lease = of(r, 2)
    retime(lease, {108: 104, 116: 112, 166: 162})
    row(r, 2, "transfer", {START: 104, END: 112})
    row(r, 2, "run", {START: 112, END: 162})
    assert found(r, tmp_path) == [("preparation", 2, 1, 104)]


def test_a_transfer_takes_another_time(tmp_path: Path) -> None:
    r = with_images()
    row(r, 1, "transfer", {START: 101})
    assert found(r, tmp_path) == [("preparation", 1, 0, 101)]


def test_a_lease_starts_without_its_image(tmp_path: Path) -> None:
    r = with_images()
    row(r, 2, "transfer", {HOST: 0})
    assert found(r, tmp_path) == [("preparation", 2, 1, 116)]
