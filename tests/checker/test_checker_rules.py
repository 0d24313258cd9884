"""Every rule: a right schedule says nothing; one wrong in one place is found there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from results_builder import Lease, Results
from schedules import (
    END,
    HOST,
    START,
    backfilling,
    dropping,
    found,
    hole,
    moving,
    of,
    plain,
    preempting,
    refusing,
    retime,
    row,
    shutting_down,
    with_images,
)

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
    r.rows = [(a, b, c, d, e, 50, 512) for a, b, c, d, e, _, _ in r.rows]
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


@pytest.mark.parametrize("kind", ["best-effort", "ar"])
@pytest.mark.parametrize(
    ("stopped", "gone", "code", "broken"),
    [
        (188, 190, "shut-down", False),
        (188, 188, "shut-down", False),
        (188, 190, "duration-over", True),
        (180, 186, "shut-down", True),
        (188, 201, "shut-down", True),
    ],
)
def test_vms_may_be_gone_before_they_had_to_be(
    tmp_path: Path, kind: str, stopped: int, gone: int, code: str, broken: bool
) -> None:
    r = Results(hosts=1).option(shutdown_time="10", enactment_overhead="2")
    submitted = 50 if kind == "ar" else 100
    lease = r.lease(Lease(1, kind, submitted, 100, start=100 if kind == "ar" else None))
    waits = [] if kind == "ar" else ["Queued"]
    lease.then(submitted, *waits, "Scheduled").then(100, "Ready", "Active")
    lease.then(gone, "Done", code=code)
    r.work(lease, "run", 100, stopped, 0)
    r.work(lease, "shutdown", stopped, gone, 0)
    assert bool(found(r, tmp_path)) is broken


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


def test_a_run_that_was_cut_short_is_the_one_that_was_resumed(tmp_path: Path) -> None:
    r = hole()
    r.hosts = 2
    end = 732
    assert [line[4] for line in r.rows if line[:2] == (1, "resume")] == [end]
    row(r, 1, "run", {HOST: 1}, 1)
    assert ("gang", 1, 0, 700) in found(r, tmp_path)
    # It was preempted at once, and started from nothing elsewhere in the same moment.
    r.work(of(r, 1), "run", end, end, 0)
    assert "gang" not in {fault[0] for fault in found(r, tmp_path / "again")}


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


def test_a_lease_of_nothing_is_rejected_for_that(tmp_path: Path) -> None:
    r = refusing()
    of(r, 4).node, of(r, 4).story[-1] = (0, 0), (560, "Rejected", "asks for nothing", "nothing")
    (tmp_path / "right").mkdir()
    assert found(r, tmp_path / "right") == []
    of(r, 4).node = (0, 1)
    assert found(r, tmp_path) == [("no-loss", 4, None, 560)]


def test_a_lease_of_nothing_that_ran_is_read_and_told(tmp_path: Path) -> None:
    r = Results()
    r.best_effort(1, 100, 100, 50, 0)
    of(r, 1).node = (0, 0)
    r.rows = [(*row[:5], 0, 0) for row in r.rows]
    assert ("no-loss", 1, None, 100) in found(r, tmp_path)


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


def test_an_image_for_two_hosts_at_once(tmp_path: Path) -> None:
    r = sent_ahead(400)
    r.options["deploy-imagetransfer", "transfer-mechanism"] = "unicast"
    assert ("preparation", 2, 1, 100) in found(r, tmp_path)
    assert not [fault for fault in found(r, tmp_path / "again") if fault[1:3] == (2, 0)]


def test_a_transfer_takes_another_time(tmp_path: Path) -> None:
    r = with_images()
    row(r, 1, "transfer", {START: 101})
    assert found(r, tmp_path) == [("preparation", 1, 0, 101)]


def test_a_lease_starts_without_its_image(tmp_path: Path) -> None:
    r = with_images()
    row(r, 2, "transfer", {HOST: 0})
    assert found(r, tmp_path) == [("preparation", 2, 1, 116)]


def sent_ahead(ahead_mb: int, *, dropped: bool = False) -> Results:
    """Three images of 100 MB come while lease 1 has both hosts, one for each that waits."""
    r = Results().option(backfilling="aggressive")
    r.options["general", "lease-preparation"] = "imagetransfer"
    r.options["simulation", "imagetransfer-bandwidth"] = "100"
    for name, value in (
        ("transfer-mechanism", "multicast"),
        ("avoid-redundant-transfers", "yes"),
        ("diskimage-ahead-size", str(ahead_mb)),
    ):
        r.options["deploy-imagetransfer", name] = value
    r.best_effort(1, 100, 100, 1000, 0, 1)
    for number, begin, start in ((2, 100, 1100), (3, 108, 1200), (4, 116, 1300)):
        lease = r.lease(
            Lease(number, "best-effort", 100, 100, 2, image=f"{number}.img", image_mb=100)
        )
        lease.then(100, "Queued", reason="it waits").then(start, "Scheduled", "Ready", "Active")
        lease.then(start + 100, "Done", code="duration-over")
        for host in (0, 1):
            r.rows.append((number, "transfer", host, begin, begin + 8, 0, 0))
        r.work(lease, "run", start, start + 100, 0, 1)
    if dropped:
        for host in (0, 1):
            r.rows.append((3, "transfer", host, 1150, 1158, 0, 0))
    return r


@pytest.mark.parametrize(
    ("ahead_mb", "wrong"), [(400, []), (399, [(4, 124)]), (299, [(3, 116), (4, 124)])]
)
def test_images_sent_ahead_leave_room_for_one_more(
    tmp_path: Path, ahead_mb: int, wrong: list[tuple[int, int]]
) -> None:
    expected = [("preparation", lease, None, time) for lease, time in wrong]
    assert found(sent_ahead(ahead_mb), tmp_path) == expected


def test_an_image_that_came_again_may_have_been_dropped_before(tmp_path: Path) -> None:
    assert found(sent_ahead(399, dropped=True), tmp_path) == []


def test_what_is_sent_in_caches_is_not_judged(tmp_path: Path) -> None:
    r = sent_ahead(299)
    r.options["deploy-imagetransfer", "diskimage-reuse"] = "image-caches"
    assert found(r, tmp_path) == []


@pytest.mark.parametrize(("ended", "wrong"), [("1000", []), ("2000", ["no-loss"])])
def test_a_reservation_whose_image_is_there_waits_for_its_start(
    tmp_path: Path, ended: str, wrong: list[str]
) -> None:
    r = with_images()
    lease = r.lease(Lease(9, "ar", 200, 50, start=2000, image="a.img", image_mb=100))
    lease.then(200, "Scheduled", reason="it starts later")
    lease.then(300, "Preparing").then(308, "Ready")
    r.rows.append((9, "transfer", 0, 300, 308, 0, 0))
    r.run |= {"status": "stopped", "ended": ended}
    assert [rule for rule, *_ in found(r, tmp_path)] == wrong
