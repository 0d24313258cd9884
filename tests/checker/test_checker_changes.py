"""Places in the queue, hosts that come and go, rejections, failures and delays."""

from __future__ import annotations

from pathlib import Path

import pytest
from results_builder import Lease, Results
from schedules import (
    END,
    HOST,
    START,
    dropping,
    found,
    hole,
    of,
    plain,
    retime,
    row,
    shutting_down,
    with_images,
)


def going_on() -> Results:
    """Lease 2 begins to wait before lease 1 is suspended, and so goes before it."""
    r = Results(hosts=1).option(
        suspension="all", policy_preemption="ar-preempts-everything", backfilling="off"
    )
    r.suspended(1, (100, 900), 0, suspend=468, code="preempted")
    r.reserved(9, 200, 500, 200, 0)
    r.best_effort(2, 300, 700, 200, 0)
    return r


def test_who_is_suspended_waits_from_then_on(tmp_path: Path) -> None:
    assert found(going_on(), tmp_path) == []


def test_a_suspended_lease_goes_before_one_that_waits_longer(tmp_path: Path) -> None:
    r = going_on()
    lease = of(r, 2)
    lease.submitted = 480
    retime(lease, {300: 480})
    # It came after lease 1 was suspended at 468, but before it was stored at 500.
    assert found(r, tmp_path) == []
    lease.submitted = 501
    retime(lease, {480: 501})
    assert found(r, tmp_path / "again") == [("queue", 2, None, 700)]


def test_by_seniority_a_suspended_lease_has_its_old_place(tmp_path: Path) -> None:
    r = going_on().option(policy_queue_order="seniority")
    assert found(r, tmp_path) == [("queue", 2, None, 700)]


def test_who_starts_over_has_the_old_place(tmp_path: Path) -> None:
    r = dropping()
    r.best_effort(2, 300, 1700, 100, 0)
    assert found(r, tmp_path) == []
    r = dropping()
    of(r, 1).story[-4:] = []
    of(r, 1).then(800, "Scheduled", "Ready", "Active").then(1800, "Done", code="duration-over")
    row(r, 1, "run", {START: 800, END: 1800}, 1)
    r.best_effort(2, 300, 700, 100, 0)
    assert found(r, tmp_path / "again") == [("queue", 2, None, 700)]


def closing(status: str, since: int, until: int | None = None) -> Results:
    """The second host of :func:`plain` takes nothing new for a while."""
    r = plain()
    r.host_states.append((1, since, status))
    if until is not None:
        r.host_states.append((1, until, "up"))
    return r


def test_what_was_there_goes_on_where_a_host_is_drained(tmp_path: Path) -> None:
    assert found(closing("drained", 155, 170), tmp_path) == []


def test_nothing_new_starts_on_a_drained_host(tmp_path: Path) -> None:
    assert found(closing("drained", 149, 170), tmp_path) == [("hosts", 3, 1, 150)]


def test_an_ar_keeps_its_host_that_is_drained_later(tmp_path: Path) -> None:
    assert found(closing("drained", 500), tmp_path) == []
    assert found(closing("drained", 125, 129), tmp_path / "before") == []
    r = closing("drained", 125)
    assert found(r, tmp_path / "all the time") == [("hosts", 3, 1, 150), ("hosts", 4, 1, 1000)]


def test_nothing_is_held_on_a_host_that_is_down(tmp_path: Path) -> None:
    assert found(closing("down", 160, 161), tmp_path) == [("hosts", 3, 1, 160)]
    assert found(closing("down", 180, 1000), tmp_path / "when it is over") == []


def test_there_is_no_room_on_hosts_that_take_nothing(tmp_path: Path) -> None:
    r = Results(hosts=1)
    r.best_effort(1, 100, 300, 50, 0)
    r.best_effort(2, 200, 350, 50, 0)
    assert ("queue", 1, None, 200) in found(r, tmp_path)
    r.host_states = [(0, 90, "drained"), (0, 300, "up")]
    assert found(r, tmp_path / "drained") == []
    r.host_states = [(0, 90, "drained"), (0, 250, "up")]
    assert found(r, tmp_path / "up again") == [("queue", 1, None, 250)]


def test_a_rejection_for_want_of_hosts_that_are_up(tmp_path: Path) -> None:
    r = Results(hosts=1)
    r.lease(Lease(1, "ar", 110, 100, start=600)).then(110, "Rejected", code="no-room")
    assert found(r, tmp_path) == [("ar", 1, None, 110)]
    r.host_states = [(0, 50, "drained"), (0, 200, "up")]
    assert found(r, tmp_path / "drained") == []


@pytest.mark.parametrize(("reason", "rules"), [("no host is up", []), ("", ["no-loss"])])
def test_a_lease_may_wait_for_ever_for_a_reason(
    reason: str, rules: list[str], tmp_path: Path
) -> None:
    r = Results(hosts=1)
    r.lease(Lease(1, "best-effort", 100, 50)).then(100, "Queued", reason=reason)
    assert ("no-loss", 1, None, 100) in found(r, tmp_path)
    r.host_states = [(0, 50, "drained")]
    assert [f[0] for f in found(r, tmp_path / "drained")] == rules


def test_a_lease_may_wait_for_one_without_end(tmp_path: Path) -> None:
    r = Results(hosts=1)
    lease = r.lease(Lease(1, "best-effort", 100, None))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    r.work(lease, "run", 100, 100000, 0)
    r.lease(Lease(2, "best-effort", 100, 50)).then(100, "Queued", reason="what is there never ends")
    assert found(r, tmp_path) == []


def held_up(until: int) -> Results:
    """Lease 1 shuts down from 188 to 200; an AR from ``until`` on is rejected at 190."""
    r = shutting_down().option(policy_preemption="ar-preempts-everything")
    of(r, 1).preemptible = True
    r.lease(Lease(2, "ar", 190, 10, start=until)).then(190, "Rejected", code="no-time")
    return r


def test_rejected_for_want_of_time(tmp_path: Path) -> None:
    assert found(held_up(195), tmp_path) == []
    assert found(held_up(200), tmp_path / "later") == [("ar", 2, None, 190)]


def test_rejected_for_want_of_time_though_who_is_there_can_go(tmp_path: Path) -> None:
    r = held_up(150)
    of(r, 2).submitted = 120
    retime(of(r, 2), {190: 120})
    assert found(r, tmp_path) == [("ar", 2, None, 120)]


def test_rejected_for_want_of_room_beside_leases_that_make_room(tmp_path: Path) -> None:
    """Without room means: not even without all that are preemptible, whatever they do."""
    r = held_up(195)
    of(r, 2).story[-1] = (190, "Rejected", "no-room", "no-room")
    assert found(r, tmp_path) == [("ar", 2, None, 190)]
    of(r, 1).preemptible = False
    assert found(r, tmp_path / "firm") == []


def test_delays_are_allowed_where_they_are_announced(tmp_path: Path) -> None:
    r = plain()
    retime(of(r, 4), {1200: 1230})
    for i in (0, 1):
        row(r, 4, "run", {END: 1230}, i)
    assert found(r, tmp_path) == [("ar", 4, None, 1230)]
    r.run["faults"] = "seed 1: delay of shutdown 0.5; events at given moments: 0"
    assert found(r, tmp_path / "delay") == []
    r.run["faults"] = "events at given moments: 3"
    assert found(r, tmp_path / "events") == [("ar", 4, None, 1230)]


def test_what_holds_nothing_is_no_node_that_runs_alone(tmp_path: Path) -> None:
    """A lease fails in the second it starts, and starts over elsewhere in the same second."""
    r = Results()
    lease = r.lease(Lease(1, "best-effort", 100, 50))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(100, "Queued", code="failure").then(100, "Scheduled", "Ready", "Active")
    lease.then(150, "Done", code="duration-over")
    r.work(lease, "run", 100, 100, 0)
    r.work(lease, "run", 100, 150, 1)
    assert found(r, tmp_path) == []


def test_an_image_that_failed_to_come_is_not_there(tmp_path: Path) -> None:
    r = with_images()
    r.run["faults"] = "seed 1: failure of transfer 0.5; events at given moments: 0"
    assert found(r, tmp_path) == []
    row(r, 1, "transfer", {END: 105})
    assert ("preparation", 1, 0, 108) in found(r, tmp_path / "again")


def test_who_is_late_on_one_file_system_may_overlap(tmp_path: Path) -> None:
    r = hole().option(suspendresume_exclusion="global")
    r.hosts = 2
    r.run["faults"] = "seed 1: delay of suspend 0.5; events at given moments: 0"
    r.suspended(2, (100, 800), 1, suspend=500, code="hole")
    retime(of(r, 1), {500: 510})
    row(r, 1, "suspend", {END: 510})
    row(r, 9, "run", {HOST: 1})
    assert [f for f in found(r, tmp_path) if f[0] == "operations"] == []
    row(r, 2, "suspend", {START: 499})
    assert ("operations", 2, None, 499) in found(r, tmp_path / "again")


def left_host() -> Results:
    """An AR was promised host 0 until that was drained; then it went to host 1, left by others."""
    r = Results(hosts=2)
    r.best_effort(1, 100, 100, 150, 1, code="early-end", asked=900, preemptible=False)
    r.reserved(2, 110, 600, 100, 1)
    # There is no room for this one, however it looks afterwards.
    r.lease(Lease(3, "ar", 120, 100, start=600)).then(120, "Rejected", code="no-room")
    return r


def test_what_an_ar_was_promised_before_a_host_was_drained_is_not_known(tmp_path: Path) -> None:
    r = left_host()
    assert found(r, tmp_path) == [("ar", 3, None, 120)]
    r.host_states.append((0, 200, "drained"))
    assert found(r, tmp_path / "drained") == []
